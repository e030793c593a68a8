//! From every half-made state the operator makes what there should be, and then writes nothing more.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use retail_operator::crd::RetailCluster;
use serde_json::{Value, json};

use crate::support::kubernetes::Kubernetes;
use crate::support::operator::Operator;
use crate::support::scheduler::Scheduler;
use crate::support::wait;

async fn settled(kubernetes: &Kubernetes, scheduler: &Scheduler) -> Operator {
    let operator = Operator::start(kubernetes).await;
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 2, "slots": 3 }))
        .await;
    kubernetes.wait_until_settled("shop", 2).await;
    operator
}

#[tokio::test]
async fn a_settled_cluster_is_not_written_to() {
    let Some(kubernetes) = Kubernetes::new("settled").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    let operator = settled(&kubernetes, &scheduler).await;
    kubernetes
        .wait_for_condition("shop", "Ready", "False", "Unschedulable")
        .await;
    let versions = || async {
        let cluster: RetailCluster = kubernetes.api().get("shop").await.unwrap();
        [
            cluster.resource_version(),
            kubernetes.set("shop").await.unwrap().resource_version(),
            kubernetes.service("shop").await.unwrap().resource_version(),
            kubernetes.budget("shop").await.unwrap().resource_version(),
        ]
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = versions().await;
    wait::always(
        "nothing is written",
        Duration::from_secs(2),
        versions,
        |now| *now == before,
    )
    .await;
    operator.stop().await;
}

#[tokio::test]
async fn what_is_deleted_comes_back() {
    let Some(kubernetes) = Kubernetes::new("deleted").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    let operator = settled(&kubernetes, &scheduler).await;
    let uid = kubernetes.set("shop").await.unwrap().uid();
    kubernetes.delete::<StatefulSet>("shop-executor").await;
    kubernetes.delete::<Service>("shop-executor").await;
    kubernetes
        .delete::<PodDisruptionBudget>("shop-executor")
        .await;
    let all = || async {
        let set = kubernetes.set("shop").await.filter(|s| s.uid() != uid);
        (
            set.is_some(),
            kubernetes.service("shop").await.is_some(),
            kubernetes.budget("shop").await.is_some(),
        )
    };
    wait::until("all three are back", all, |seen| {
        *seen == (true, true, true)
    })
    .await;
    kubernetes.wait_until_settled("shop", 2).await;
    operator.stop().await;
}

#[tokio::test]
async fn what_others_change_is_changed_back_and_what_they_add_stays() {
    let Some(kubernetes) = Kubernetes::new("edited").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    let operator = settled(&kubernetes, &scheduler).await;
    kubernetes
        .patch::<StatefulSet>("shop-executor", json!({
            "metadata": { "labels": { "app.kubernetes.io/managed-by": null, "team": "data" }, "ownerReferences": null },
            "spec": { "replicas": 7, "template": { "metadata": { "annotations": { "restarted-at": "noon" } } } },
        }))
        .await;
    kubernetes
        .patch::<Service>(
            "shop-executor",
            json!({ "spec": { "selector": { "app": "other" } } }),
        )
        .await;
    kubernetes
        .patch::<PodDisruptionBudget>("shop-executor", json!({ "spec": { "maxUnavailable": 9 } }))
        .await;
    kubernetes.wait_for_replicas("shop", 2).await;
    let budget = || async {
        json!(
            kubernetes
                .budget("shop")
                .await
                .unwrap()
                .spec
                .unwrap()
                .max_unavailable
        )
    };
    wait::until("one at a time again", budget, |n| *n == json!(1)).await;
    let set = || async { kubernetes.set("shop").await.unwrap() };
    let set = wait::until("it is ours again", set, |s| {
        s.labels()
            .get("app.kubernetes.io/managed-by")
            .is_some_and(|by| by == "retail-operator")
            && s.owner_references().len() == 1
    })
    .await;
    assert_eq!(set.labels().get("team").map(String::as_str), Some("data"));
    let annotations = set
        .spec
        .unwrap()
        .template
        .metadata
        .unwrap()
        .annotations
        .unwrap();
    assert_eq!(
        annotations.get("restarted-at").map(String::as_str),
        Some("noon")
    );
    operator.stop().await;
}

#[tokio::test]
async fn an_object_that_cannot_be_changed_is_created_anew_and_its_pods_stay() {
    let Some(kubernetes) = Kubernetes::new("immutable").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    // Made by something else under our label: other immutable fields, other everything.
    kubernetes
        .put::<StatefulSet>(foreign_set(
            json!({ "app.kubernetes.io/managed-by": "retail-operator" }),
        ))
        .await;
    kubernetes
        .put::<Service>(json!({
            "metadata": { "name": "shop-executor", "labels": { "app.kubernetes.io/managed-by": "retail-operator" } },
            "spec": { "ports": [{ "port": 80 }], "selector": { "app": "other" } },
        }))
        .await;
    let operator = settled(&kubernetes, &scheduler).await;
    let set = kubernetes.set("shop").await.unwrap();
    assert_eq!(
        set.spec.as_ref().unwrap().pod_management_policy.as_deref(),
        Some("Parallel")
    );
    let service = kubernetes.service("shop").await.unwrap().spec.unwrap();
    assert_eq!(service.cluster_ip.as_deref(), Some("None"));
    operator.stop().await;
}

#[tokio::test]
async fn a_strangers_object_is_never_touched() {
    let Some(kubernetes) = Kubernetes::new("stranger").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    let stranger: StatefulSet = kubernetes
        .put(foreign_set(json!({ "team": "other" })))
        .await;
    let operator = Operator::start(&kubernetes).await;
    kubernetes.create("shop", scheduler.port, json!({})).await;
    let message = kubernetes
        .wait_for_condition("shop", "Ready", "False", "NameTaken")
        .await;
    assert!(
        message
            .contains("StatefulSet shop-executor is there already and was made by somebody else"),
        "{message}"
    );
    kubernetes.wait_for_event("shop", "NameTaken").await;
    // Nor deleted with the cluster.
    kubernetes.delete::<RetailCluster>("shop").await;
    let clusters = || kubernetes.names::<RetailCluster>();
    wait::until("the cluster is gone", clusters, Vec::is_empty).await;
    let now = kubernetes.set("shop").await.unwrap();
    assert_eq!((now.uid(), now.spec), (stranger.uid(), stranger.spec));
    operator.stop().await;
}

#[tokio::test]
async fn a_changed_config_replaces_the_pods_and_a_changed_size_does_not() {
    let Some(kubernetes) = Kubernetes::new("config").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    kubernetes
        .config_map("shop-config", "[log]\nlevel = \"info\"\n")
        .await;
    let operator = Operator::start(&kubernetes).await;
    kubernetes
        .create(
            "shop",
            scheduler.port,
            json!({ "configMap": "shop-config", "replicas": 1 }),
        )
        .await;
    kubernetes.wait_until_settled("shop", 1).await;
    let revision = || async {
        kubernetes
            .set("shop")
            .await
            .unwrap()
            .status
            .unwrap()
            .update_revision
    };
    let first = revision().await;
    kubernetes.edit("shop", json!({ "replicas": 2 })).await;
    kubernetes.wait_until_settled("shop", 2).await;
    assert_eq!(revision().await, first);
    kubernetes
        .config_map("shop-config", "[log]\nlevel = \"debug\"\n")
        .await;
    wait::until("a new revision begins", revision, |now| *now != first).await;
    kubernetes.wait_for_event("shop", "RollingOut").await;
    operator.stop().await;
}

#[tokio::test]
async fn what_the_spec_no_longer_has_is_taken_away() {
    let Some(kubernetes) = Kubernetes::new("removed").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    let operator = Operator::start(&kubernetes).await;
    let selected =
        json!({ "podTemplate": { "nodeSelector": { "disk": "nvme" } }, "secrets": ["keys"] });
    kubernetes.create("shop", scheduler.port, selected).await;
    let pod = || async {
        kubernetes
            .set("shop")
            .await
            .and_then(|s| s.spec)
            .and_then(|s| s.template.spec)
    };
    wait::until("the node selector is there", pod, |p| {
        p.as_ref().is_some_and(|p| p.node_selector.is_some())
    })
    .await;
    kubernetes
        .edit(
            "shop",
            json!({ "podTemplate": { "nodeSelector": null }, "secrets": [] }),
        )
        .await;
    let without = |p: &Option<k8s_openapi::api::core::v1::PodSpec>| {
        p.as_ref().is_some_and(|p| {
            p.node_selector.is_none() && p.volumes.as_ref().is_some_and(|v| v.len() == 2)
        })
    };
    wait::until("both are gone", pod, without).await;
    // The one executor is replaced: for a moment there may be none.
    let pods = || kubernetes.names::<Pod>();
    wait::until("one executor stays", pods, |names| names.len() == 1).await;
    operator.stop().await;
}

fn foreign_set(labels: Value) -> Value {
    json!({
        "metadata": { "name": "shop-executor", "labels": labels },
        "spec": {
            "replicas": 0,
            "serviceName": "other",
            "selector": { "matchLabels": { "app": "other" } },
            "template": {
                "metadata": { "labels": { "app": "other" } },
                "spec": { "containers": [{ "name": "other", "image": "other" }] },
            },
        },
    })
}
