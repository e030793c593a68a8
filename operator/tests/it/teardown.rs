//! A deleted cluster drains before it goes, also in mid-job, and nothing of it stays.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PropagationPolicy};
use retail_operator::Config;
use retail_operator::crd::RetailCluster;
use retail_operator::remove;
use serde_json::json;

use crate::support::kubernetes::Kubernetes;
use crate::support::operator::Operator;
use crate::support::scheduler::Scheduler;
use crate::support::wait;

#[tokio::test]
async fn a_cluster_deleted_in_mid_job_drains_its_executors_first() {
    let Some(kubernetes) = Kubernetes::new("teardown").await else {
        return;
    };
    let operator = Operator::start(&kubernetes).await;
    let scheduler = Scheduler::idle().await;
    scheduler.reports(json!({ "jobs_running": 1, "tasks_running": 4, "widest_stage": 4 }));
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

/// Settings of `retail-operator remove` for the test's namespace.
fn settings(kubernetes: &Kubernetes) -> Config {
    let mut config = Config::default();
    config.kubernetes.namespace = kubernetes.namespace.clone();
    config.leader.lease_s = 2.0;
    config.leader.renew_s = 0.5;
    config
}

/// An operator that leads, and a cluster of one executor. The scheduler answers until it is dropped.
async fn one_executor(kubernetes: &Kubernetes, config: &Config) -> (Operator, Scheduler) {
    let operator = Operator::start_with(kubernetes, |own| own.leader = config.leader.clone()).await;
    let scheduler = Scheduler::idle().await;
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 1 }))
        .await;
    kubernetes.wait_until_settled("shop", 1).await;
    (operator, scheduler)
}

#[tokio::test]
async fn a_removed_cluster_is_torn_down_by_the_operator_that_leads() {
    let Some(kubernetes) = Kubernetes::new("removed").await else {
        return;
    };
    let config = settings(&kubernetes);
    let (operator, _scheduler) = one_executor(&kubernetes, &config).await;
    remove(kubernetes.client.clone(), &config, "shop")
        .await
        .unwrap();
    kubernetes.wait_until_gone("shop").await;
    kubernetes.wait_for_event("shop", "Draining").await;
    // Once more: there is none, and that is fine.
    remove(kubernetes.client.clone(), &config, "shop")
        .await
        .unwrap();
    operator.stop().await;
}

#[tokio::test]
async fn a_removed_cluster_goes_when_no_operator_runs() {
    let Some(kubernetes) = Kubernetes::new("removed-alone").await else {
        return;
    };
    let config = settings(&kubernetes);
    let (operator, _scheduler) = one_executor(&kubernetes, &config).await;
    // As after a power cut: its Lease is still held for a while.
    operator.kill();
    remove(kubernetes.client.clone(), &config, "shop")
        .await
        .unwrap();
    kubernetes.wait_until_gone("shop").await;
}

#[tokio::test]
async fn a_cluster_that_another_finalizer_holds_is_not_reported_as_gone() {
    let Some(kubernetes) = Kubernetes::new("removed-held").await else {
        return;
    };
    let mut config = settings(&kubernetes);
    config.leader.enabled = false;
    let operator = Operator::start(&kubernetes).await;
    let scheduler = Scheduler::idle().await;
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 0 }))
        .await;
    kubernetes.wait_until_settled("shop", 0).await;
    let held =
        json!({ "metadata": { "finalizers": ["retail.dev/executors", "example.com/held"] } });
    kubernetes.patch::<RetailCluster>("shop", held).await;
    let removal = remove(kubernetes.client.clone(), &config, "shop");
    let mut removal = std::pin::pin!(removal);
    let cluster = || async {
        kubernetes
            .api::<RetailCluster>()
            .get_opt("shop")
            .await
            .unwrap()
            .is_some_and(|c| c.finalizers() == ["example.com/held"])
    };
    tokio::select! {
        ended = &mut removal => panic!("it ended: {ended:?}"),
        () = async { wait::until("the operator let it go", cluster, |gone| *gone).await; } => {}
    }
    let free = json!({ "metadata": { "finalizers": [] } });
    kubernetes.patch::<RetailCluster>("shop", free).await;
    removal.await.unwrap();
    operator.stop().await;
}

#[tokio::test]
async fn executors_stay_when_a_person_orphans_them() {
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
    // The same cluster created anew takes them over.
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 2 }))
        .await;
    kubernetes.wait_until_settled("shop", 2).await;
    operator.stop().await;
}
