//! A mistake is named where the operator of a cluster looks first: conditions and events.
//!
//! There are no nodes here. What a kubelet would report of a pod, the test writes as the kubelet does.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Pod, ResourceQuota};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use retail_operator::crd::{RetailCluster, document};
use serde_json::{Value, json};

use crate::support::kubernetes::Kubernetes;
use crate::support::operator::Operator;
use crate::support::scheduler::Scheduler;
use crate::support::wait;

#[tokio::test]
async fn a_missing_config_map_is_named_and_nothing_starts_without_it() {
    let Some(kubernetes) = Kubernetes::new("no-config").await else {
        return;
    };
    let (operator, scheduler) = (Operator::start(&kubernetes).await, Scheduler::idle().await);
    kubernetes
        .create(
            "shop",
            scheduler.port,
            json!({ "configMap": "shop-config" }),
        )
        .await;
    let message = kubernetes
        .wait_for_condition("shop", "Ready", "False", "ConfigMapMissing")
        .await;
    assert!(
        message.contains("there is no ConfigMap shop-config"),
        "{message}"
    );
    assert_eq!(
        kubernetes.wait_for_event("shop", "ConfigMapMissing").await,
        message
    );
    assert!(kubernetes.set("shop").await.is_none());
    kubernetes.config_map("shop-config", "").await;
    kubernetes.wait_until_settled("shop", 1).await;
    // Deleted, what runs stays.
    kubernetes
        .delete::<k8s_openapi::api::core::v1::ConfigMap>("shop-config")
        .await;
    kubernetes
        .wait_for_condition("shop", "Ready", "False", "ConfigMapMissing")
        .await;
    kubernetes.edit("shop", json!({ "replicas": 2 })).await;
    kubernetes.wait_until_settled("shop", 2).await;
    operator.stop().await;
}

#[tokio::test]
async fn too_little_memory_for_a_slot_is_refused_with_the_numbers() {
    let Some(kubernetes) = Kubernetes::new("memory").await else {
        return;
    };
    let (operator, scheduler) = (Operator::start(&kubernetes).await, Scheduler::idle().await);
    let small = json!({ "slots": 8, "resources": { "limits": { "memory": "256Mi" } } });
    kubernetes.create("shop", scheduler.port, small).await;
    let message = kubernetes
        .wait_for_condition("shop", "Ready", "False", "MemoryTooSmall")
        .await;
    assert!(
        message.contains("leaves 22 MiB for each of 8 slots, and a task needs 32 MiB"),
        "{message}"
    );
    assert!(kubernetes.set("shop").await.is_none());
    kubernetes
        .edit(
            "shop",
            json!({ "resources": { "limits": { "memory": "lots" } } }),
        )
        .await;
    kubernetes
        .wait_for_condition("shop", "Ready", "False", "InvalidSpec")
        .await;
    kubernetes
        .edit(
            "shop",
            json!({ "resources": { "limits": { "memory": "1Gi" } } }),
        )
        .await;
    kubernetes.wait_until_settled("shop", 1).await;
    operator.stop().await;
}

#[tokio::test]
async fn what_the_api_server_refuses_is_reported_in_its_words() {
    let Some(kubernetes) = Kubernetes::new("refused").await else {
        return;
    };
    let (operator, scheduler) = (Operator::start(&kubernetes).await, Scheduler::idle().await);
    let odd =
        json!({ "resources": { "limits": { "memory": "1Gi" }, "requests": { "memory": "2Gi" } } });
    kubernetes.create("shop", scheduler.port, odd).await;
    let message = kubernetes
        .wait_for_condition("shop", "Ready", "False", "SpecRefused")
        .await;
    assert!(
        message.contains("must be less than or equal to memory limit"),
        "{message}"
    );
    operator.stop().await;
}

#[tokio::test]
async fn what_keeps_pods_from_running_is_named() {
    let Some(kubernetes) = Kubernetes::new("pods").await else {
        return;
    };
    let (operator, scheduler) = (Operator::start(&kubernetes).await, Scheduler::idle().await);
    kubernetes
        .create("shop", scheduler.port, json!({ "secrets": ["s3-keys"] }))
        .await;
    kubernetes.wait_until_settled("shop", 1).await;
    kubernetes
        .wait_for_condition("shop", "Ready", "False", "Unschedulable")
        .await;
    let binding = json!({ "target": { "kind": "Node", "name": "node1" }, "metadata": { "name": "shop-executor-0" } });
    let pods: Api<Pod> = kubernetes.api();
    let _: Value = pods
        .create_subresource("binding", "shop-executor-0", &Default::default(), &binding)
        .await
        .unwrap();

    report_as_kubelet(&pods, waiting("ContainerCreating"), json!({}), 0).await;
    event(
        &kubernetes,
        "MountVolume.SetUp failed for volume \"secret-0\" : secret \"s3-keys\" not found",
    )
    .await;
    let message = kubernetes
        .wait_for_condition("shop", "Ready", "False", "SecretMissing")
        .await;
    assert!(message.contains("there is no Secret s3-keys"), "{message}");

    report_as_kubelet(&pods, waiting("ImagePullBackOff"), json!({}), 0).await;
    let message = kubernetes
        .wait_for_condition("shop", "Ready", "False", "ImagePullFailed")
        .await;
    assert!(
        message.contains("cannot have image retail:test"),
        "{message}"
    );

    let ended = |code: i32, why: &str| json!({ "terminated": { "exitCode": code, "reason": why } });
    report_as_kubelet(&pods, waiting("CrashLoopBackOff"), ended(64, "Error"), 2).await;
    kubernetes
        .wait_for_condition("shop", "Ready", "False", "ConfigRefused")
        .await;
    report_as_kubelet(
        &pods,
        waiting("CrashLoopBackOff"),
        ended(137, "OOMKilled"),
        3,
    )
    .await;
    let message = kubernetes
        .wait_for_condition("shop", "Ready", "False", "OutOfMemory")
        .await;
    assert!(
        message.contains("raise spec.resources.limits.memory"),
        "{message}"
    );
    for reason in [
        "SecretMissing",
        "ImagePullFailed",
        "ConfigRefused",
        "OutOfMemory",
    ] {
        kubernetes.wait_for_event("shop", reason).await;
    }
    operator.stop().await;
}

#[tokio::test]
async fn a_quota_that_forbids_pods_is_named() {
    let Some(kubernetes) = Kubernetes::new("quota").await else {
        return;
    };
    let (operator, scheduler) = (Operator::start(&kubernetes).await, Scheduler::idle().await);
    kubernetes
        .put::<ResourceQuota>(
            json!({ "metadata": { "name": "few" }, "spec": { "hard": { "pods": "0" } } }),
        )
        .await;
    let status = || async {
        kubernetes
            .api::<ResourceQuota>()
            .get("few")
            .await
            .unwrap()
            .status
    };
    wait::until("the quota counts", status, |s| {
        s.as_ref().is_some_and(|s| s.hard.is_some())
    })
    .await;
    kubernetes.create("shop", scheduler.port, json!({})).await;
    let message = kubernetes
        .wait_for_condition("shop", "Ready", "False", "PodsRefused")
        .await;
    assert!(message.contains("exceeded quota"), "{message}");
    operator.stop().await;
}

#[tokio::test]
async fn an_unreachable_scheduler_is_named_with_its_address() {
    let Some(kubernetes) = Kubernetes::new("nobody").await else {
        return;
    };
    let operator = Operator::start(&kubernetes).await;
    kubernetes.create("shop", 1, json!({})).await;
    let message = kubernetes
        .wait_for_condition("shop", "SchedulerReachable", "False", "Unreachable")
        .await;
    assert!(
        message.contains("cannot reach http://127.0.0.1:1/work: Connection refused"),
        "{message}"
    );
    // Executors come nevertheless: they wait for the scheduler.
    kubernetes.wait_until_settled("shop", 1).await;
    operator.stop().await;
}

/// An older definition drops fields without a word, so nothing is done before it is brought up to date. The definition
/// is everybody's here: the test shows another one to the operator alone.
#[tokio::test]
async fn an_operator_names_what_an_older_definition_lacks() {
    let Some(kubernetes) = Kubernetes::new("old-crd").await else {
        return;
    };
    let mut older = serde_json::to_value(document::definition()).unwrap();
    let properties = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    older
        .pointer_mut(properties)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("workVolume")
        .unwrap();
    let scheduler = Scheduler::idle().await;
    kubernetes.create("shop", scheduler.port, json!({})).await;
    let operator = Operator::start_seeing(&kubernetes, Some(older)).await;
    let reason = || async { operator.readiness.reason().unwrap_or_default() };
    let why = wait::until("it is not ready because of it", reason, |r| {
        r.contains("lacks spec.workVolume")
    })
    .await;
    assert!(why.contains("apply crds/retailclusters.yaml"), "{why}");
    assert_eq!(
        kubernetes
            .wait_for_event("shop", "DefinitionOutdated")
            .await,
        why
    );
    let api: Api<CustomResourceDefinition> = Api::all(kubernetes.client.clone());
    let real = api.get(document::NAME).await.unwrap();
    assert_eq!(document::missing_in(&real), None);
    operator.stop().await;
}

fn waiting(reason: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": "because" } })
}

async fn report_as_kubelet(pods: &Api<Pod>, state: Value, last: Value, restarts: i32) {
    let status = json!({ "status": { "phase": "Pending", "containerStatuses": [{
        "name": "executor", "image": "retail:test", "imageID": "", "ready": false,
        "restartCount": restarts, "state": state, "lastState": last,
    }] } });
    pods.patch_status(
        "shop-executor-0",
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
    .unwrap();
}

async fn event(kubernetes: &Kubernetes, message: &str) {
    let now = Timestamp::now();
    kubernetes
        .put::<Event>(json!({
            "metadata": { "name": "shop-executor-0.1", "namespace": kubernetes.namespace },
            "involvedObject": { "kind": "Pod", "name": "shop-executor-0", "namespace": kubernetes.namespace },
            "type": "Warning", "reason": "FailedMount", "message": message,
            "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        }))
        .await;
}

#[tokio::test]
async fn a_status_of_an_earlier_cluster_of_that_name_is_not_believed() {
    let Some(kubernetes) = Kubernetes::new("again").await else {
        return;
    };
    let (operator, scheduler) = (Operator::start(&kubernetes).await, Scheduler::idle().await);
    for replicas in [3, 1] {
        kubernetes
            .create("shop", scheduler.port, json!({ "replicas": replicas }))
            .await;
        kubernetes.wait_until_settled("shop", replicas).await;
        kubernetes.delete::<RetailCluster>("shop").await;
        kubernetes.wait_until_gone("shop").await;
        assert_eq!(
            kubernetes.names::<StatefulSet>().await,
            Vec::<String>::new()
        );
    }
    operator.stop().await;
}
