//! A deleted cluster drains before it goes, also in mid-job, and leaves nothing behind.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PropagationPolicy};
use retail_operator::crd::RetailCluster;
use serde_json::json;

use crate::support::kubernetes::Kubernetes;
use crate::support::operator::Operator;
use crate::support::scheduler::Scheduler;
use crate::support::wait;

#[tokio::test]
async fn a_cluster_deleted_in_mid_job_drains_its_executors_first() {
    let Some(kubernetes) = Kubernetes::new("leaving").await else {
        return;
    };
    let operator = Operator::start(&kubernetes).await;
    let scheduler = Scheduler::idle().await;
    scheduler.says(json!({ "jobs_running": 1, "tasks_running": 4, "widest_stage": 4 }));
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 2 }))
        .await;
    kubernetes.wait_until_settled("shop", 2).await;
    // A pod that drains: it stays until its task is done.
    let pods: Api<k8s_openapi::api::core::v1::Pod> = kubernetes.api();
    let hold = |finalizers: serde_json::Value| {
        Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }))
    };
    pods.patch(
        "shop-executor-0",
        &PatchParams::default(),
        &hold(json!(["retail.dev/test"])),
    )
    .await
    .unwrap();

    kubernetes.delete::<RetailCluster>("shop").await;
    let event = kubernetes.wait_for_event("shop", "Draining").await;
    assert!(
        event.contains("2 executors finish their tasks, for up to 1 s"),
        "{event}"
    );
    kubernetes.wait_for_replicas("shop", 0).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(
        kubernetes.service("shop").await.is_some(),
        "the Service went while an executor drains"
    );
    assert!(
        kubernetes.set("shop").await.is_some(),
        "the StatefulSet went while an executor drains"
    );

    pods.patch("shop-executor-0", &PatchParams::default(), &hold(json!([])))
        .await
        .unwrap();
    kubernetes.wait_until_gone("shop").await;
    operator.stop().await;
}

#[tokio::test]
async fn a_cluster_whose_objects_are_gone_already_goes_too() {
    let Some(kubernetes) = Kubernetes::new("half-gone").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    let operator = Operator::start(&kubernetes).await;
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 1 }))
        .await;
    kubernetes.wait_until_settled("shop", 1).await;
    operator.stop().await;
    kubernetes.delete::<StatefulSet>("shop-executor").await;
    kubernetes.delete::<RetailCluster>("shop").await;
    let operator = Operator::start(&kubernetes).await;
    kubernetes.wait_until_gone("shop").await;
    operator.stop().await;
}

#[tokio::test]
async fn executors_stay_when_a_person_says_so() {
    let Some(kubernetes) = Kubernetes::new("orphan").await else {
        return;
    };
    let operator = Operator::start(&kubernetes).await;
    let scheduler = Scheduler::idle().await;
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 1 }))
        .await;
    kubernetes.wait_until_settled("shop", 1).await;
    let orphan = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    kubernetes
        .api::<RetailCluster>()
        .delete("shop", &orphan)
        .await
        .unwrap();
    let clusters = || async {
        kubernetes
            .api::<RetailCluster>()
            .get_opt("shop")
            .await
            .unwrap()
            .map(|c| c.name_any())
    };
    wait::until("the cluster is gone", clusters, Option::is_none).await;
    assert_eq!(kubernetes.replicas("shop").await, Some(1));
    // The same cluster made again takes them over.
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 2 }))
        .await;
    kubernetes.wait_until_settled("shop", 2).await;
    operator.stop().await;
}
