//! `kubectl scale` works while autoscaling is off, and is refused with a reason while it is on.

use kube::api::{Api, Patch, PatchParams};
use retail_operator::crd::RetailCluster;
use serde_json::json;

use crate::support::kubernetes::Kubernetes;
use crate::support::operator::Operator;
use crate::support::scheduler::Scheduler;
use crate::support::wait;

#[tokio::test]
async fn the_scale_subresource_sets_the_number_of_executors() {
    let Some(kubernetes) = Kubernetes::new("scale").await else {
        return;
    };
    let operator = Operator::start(&kubernetes).await;
    let scheduler = Scheduler::idle().await;
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 2 }))
        .await;
    kubernetes.wait_until_settled("shop", 2).await;

    let api: Api<RetailCluster> = kubernetes.api();
    let scale = json!({ "spec": { "replicas": 4 } });
    api.patch_scale("shop", &PatchParams::default(), &Patch::Merge(scale))
        .await
        .unwrap();
    kubernetes.wait_until_settled("shop", 4).await;
    let scale = api.get_scale("shop").await.unwrap();
    let status = scale.status.unwrap();
    assert_eq!(
        (scale.spec.unwrap().replicas, status.replicas),
        (Some(4), 4)
    );
    assert_eq!(
        status.selector.as_deref(),
        Some(
            "app.kubernetes.io/name=retail,app.kubernetes.io/instance=shop,app.kubernetes.io/component=executor"
        )
    );
    let event = kubernetes.wait_for_event("shop", "ScaledUp").await;
    assert_eq!(
        event,
        "2 to 4 executors (ByHand): spec.replicas asks for it"
    );

    let none = json!({ "spec": { "replicas": 0 } });
    api.patch_scale("shop", &PatchParams::default(), &Patch::Merge(none))
        .await
        .unwrap();
    kubernetes.wait_until_settled("shop", 0).await;
    kubernetes
        .wait_for_condition("shop", "Ready", "True", "ScaledToZero")
        .await;
    operator.stop().await;
}

#[tokio::test]
async fn with_autoscaling_on_it_is_refused_with_what_to_do_instead() {
    let Some(kubernetes) = Kubernetes::new("scale-auto").await else {
        return;
    };
    let api: Api<RetailCluster> = kubernetes.api();
    kubernetes
        .create("shop", 1, json!({ "autoscaling": { "enabled": true } }))
        .await;
    let five = Patch::Merge(json!({ "spec": { "replicas": 5 } }));
    let answer = api
        .patch_scale("shop", &PatchParams::default(), &five)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        answer.contains("change autoscaling.min or autoscaling.max"),
        "{answer}"
    );
    // Turning it off and scaling in one edit is fine.
    kubernetes
        .edit(
            "shop",
            json!({ "autoscaling": { "enabled": false }, "replicas": 5 }),
        )
        .await;
    api.patch_scale(
        "shop",
        &PatchParams::default(),
        &Patch::Merge(json!({ "spec": { "replicas": 6 } })),
    )
    .await
    .unwrap();
    let spec = || async { api.get("shop").await.unwrap().spec };
    wait::until("six are requested", spec, |s| s.replicas == 6).await;
}
