//! The API server accepts the definition, and refuses bad specs with a message that names what to change.

use kube::api::{Api, Patch, PatchParams, PostParams};
use retail_operator::crd::RetailCluster;
use serde_json::{Value, json};

use crate::support::kubernetes::Kubernetes;

#[tokio::test]
async fn a_spec_gets_its_defaults_and_is_served_with_them() {
    let Some(kubernetes) = Kubernetes::new("definition").await else {
        return;
    };
    let stored = kubernetes
        .create(
            "shop",
            1,
            json!({ "autoscaling": { "enabled": true, "min": 0 } }),
        )
        .await;
    assert_eq!(
        (
            stored.spec.replicas,
            stored.spec.slots,
            stored.spec.scheduler_port
        ),
        (1, 2, 50050)
    );
    assert_eq!(
        (
            stored.spec.autoscaling.max,
            stored.spec.autoscaling.idle_seconds
        ),
        (10, 600)
    );
    assert_eq!(stored.spec.work_volume.size_limit, "20Gi");
    let served: RetailCluster = kubernetes.api().get("shop").await.unwrap();
    assert_eq!(served, stored);
}

#[tokio::test]
async fn bad_specs_are_refused_with_what_is_wrong() {
    let Some(kubernetes) = Kubernetes::new("bad-specs").await else {
        return;
    };
    let api: Api<RetailCluster> = kubernetes.api();
    for (change, message) in [
        (
            json!({ "autoscaling": { "min": 4, "max": 3 } }),
            "autoscaling.max must not be below autoscaling.min",
        ),
        (
            json!({ "autoscaling": { "min": -1 } }),
            "autoscaling.min must not be negative",
        ),
        (
            json!({ "autoscaling": { "min": 0, "max": 0 } }),
            "autoscaling.max must be between 1 and 10000",
        ),
        (
            json!({ "autoscaling": { "tasksPerExecutor": 0 } }),
            "autoscaling.tasksPerExecutor must be at least 1",
        ),
        (
            json!({ "autoscaling": { "idleSeconds": -1 } }),
            "autoscaling.idleSeconds must be between",
        ),
        (
            json!({ "autoscaling": { "stabilizationSeconds": -1 } }),
            "autoscaling.stabilizationSeconds must be between",
        ),
        (
            json!({ "slots": 0 }),
            "an executor without slots runs no task",
        ),
        (
            json!({ "replicas": -1 }),
            "replicas must be between 0 and 10000",
        ),
        (
            json!({ "memoryFraction": 1 }),
            "memoryFraction must be between 0 and 1",
        ),
        (
            json!({ "memoryFraction": 0.0 }),
            "memoryFraction must be between 0 and 1",
        ),
        (
            json!({ "drainGraceSeconds": -1 }),
            "drainGraceSeconds must be between 0 and 86400",
        ),
        (json!({ "image": "  " }), "image must not be empty"),
        (
            json!({ "schedulerService": "http://x" }),
            "without scheme and port",
        ),
        (json!({ "schedulerService": "" }), "without scheme and port"),
        (
            json!({ "schedulerPort": 0 }),
            "schedulerPort must be between 1 and 65535",
        ),
        (
            json!({ "schedulerAdminPort": 70000 }),
            "schedulerAdminPort must be between 1 and 65535",
        ),
        (
            json!({ "resources": { "limits": { "cpu": 1 } } }),
            "resources.limits.memory is missing",
        ),
        (
            json!({ "resources": {} }),
            "resources.limits.memory is missing",
        ),
        (
            json!({ "workVolume": { "sizeLimit": "big" } }),
            "workVolume.sizeLimit must be a size such as 20Gi",
        ),
        (
            json!({ "workVolume": { "sizeLimit": "0" } }),
            "workVolume.sizeLimit must be a size such as 20Gi",
        ),
        (json!({ "configMap": "" }), "configMap must not be empty"),
        (
            json!({ "secrets": ["a", ""] }),
            "secrets must not hold an empty name",
        ),
        (
            json!({ "imagePullPolicy": "Sometimes" }),
            "supported values",
        ),
        (json!({ "replicas": "three" }), "expected numeric"),
    ] {
        let cluster = kubernetes.cluster("shop", 1, change.clone());
        assert!(
            refusal(&api, &cluster).await.contains(message),
            "{change}: {}",
            refusal(&api, &cluster).await
        );
    }
    let nameless = kubernetes.cluster("9shop", 1, json!({}));
    assert!(
        refusal(&api, &nameless)
            .await
            .contains("begins with a letter")
    );
    let long = kubernetes.cluster(&"a".repeat(44), 1, json!({}));
    assert!(refusal(&api, &long).await.contains("at most 43 characters"));
    let unknown = kubernetes.cluster("shop", 1, json!({ "slotz": 1 }));
    let strict = PostParams::default();
    let answer = api
        .patch(
            "shop",
            &PatchParams::apply("a-person").validation_strict(),
            &Patch::Apply(&unknown),
        )
        .await
        .unwrap_err();
    assert!(answer.to_string().contains("slotz"), "{answer}");
    // And the good one passes.
    let good: RetailCluster =
        serde_json::from_value(kubernetes.cluster("shop", 1, json!({}))).unwrap();
    api.create(&strict, &good).await.unwrap();
}

/// The error with which the API server refuses it.
async fn refusal(api: &Api<RetailCluster>, cluster: &Value) -> String {
    let name = cluster["metadata"]["name"].as_str().unwrap();
    match api
        .patch(
            name,
            &PatchParams::apply("a-person").dry_run(),
            &Patch::Apply(cluster),
        )
        .await
    {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}
