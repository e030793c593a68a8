use super::*;

fn cluster(spec: Value) -> RetailCluster {
    serde_json::from_value(json!({
        "apiVersion": "retail.dev/v1alpha1",
        "kind": "RetailCluster",
        "metadata": { "name": "shop", "namespace": "retail", "uid": "11111111-2222-3333-4444-555555555555" },
        "spec": spec,
    }))
    .unwrap()
}

fn small() -> Value {
    json!({
        "schedulerService": "shop-scheduler",
        "image": "retail:0.1.0",
        "resources": { "limits": { "memory": "1Gi" } },
    })
}

/// Everything that can be set.
fn full() -> Value {
    json!({
        "schedulerService": "shop-scheduler",
        "schedulerPort": 1050,
        "image": "registry.example/retail:0.1.0",
        "imagePullPolicy": "Always",
        "slots": 4,
        "resources": { "limits": { "memory": "4Gi", "cpu": 2 }, "requests": { "memory": "4Gi", "cpu": "500m" } },
        "memoryFraction": 0.5,
        "drainGraceSeconds": 300,
        "workVolume": { "sizeLimit": "100Gi" },
        "configMap": "shop-config",
        "secrets": ["s3-keys", "catalog.uri"],
        "podTemplate": {
            "labels": { "team": "data", "app.kubernetes.io/component": "not-mine" },
            "annotations": { "prometheus.io/scrape": "true" },
            "nodeSelector": { "disk": "nvme" },
            "tolerations": [{ "key": "spot", "operator": "Exists", "effect": "NoSchedule" }],
            "topologySpreadConstraints": [
                { "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway" },
            ],
            "priorityClassName": "batch",
            "imagePullSecrets": [{ "name": "registry" }],
            "serviceAccountName": "shop-executor",
        },
    })
}

/// Compares with the file of that name; RETAIL_TEST_BLESS=1 writes it instead.
fn snapshot(name: &str, objects: &Objects) {
    let documents = [
        &objects.service,
        &objects.disruption_budget,
        &objects.stateful_set,
    ];
    let texts: Vec<_> = documents
        .iter()
        .map(|document| serde_saphyr::to_string(document).unwrap())
        .collect();
    let text = texts.join("---\n");
    let path = format!("{}/tests/snapshots/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("RETAIL_TEST_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (line, (got, want)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(got, want, "{path}:{}", line + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{path}");
}

#[test]
fn a_small_cluster_is_rendered_as_its_snapshot() {
    snapshot("small", &objects(&cluster(small()), 3, "none"));
}

#[test]
fn a_cluster_with_everything_is_rendered_as_its_snapshot() {
    snapshot("full", &objects(&cluster(full()), 0, "0123456789abcdef"));
}

#[test]
fn only_what_pods_depend_on_changes_the_pods() {
    let template = |cluster: &RetailCluster, replicas, config: &str| {
        objects(cluster, replicas, config).stateful_set["spec"]["template"].clone()
    };
    let one = template(&cluster(small()), 1, "a");
    assert_eq!(one, template(&cluster(small()), 9, "a"));
    assert_ne!(one, template(&cluster(small()), 1, "b"));
    let mut scaled = small();
    scaled["autoscaling"] = json!({ "enabled": true, "min": 0, "max": 50 });
    scaled["replicas"] = json!(7);
    assert_eq!(one, template(&cluster(scaled), 1, "a"));
}

#[test]
fn what_is_written_no_more_changes_the_rendered_hash() {
    let hash_of = |spec| {
        objects(&cluster(spec), 1, "a").stateful_set["metadata"]["annotations"][RENDERED].clone()
    };
    let mut labelled = small();
    labelled["podTemplate"] = json!({ "nodeSelector": { "disk": "nvme" } });
    assert_ne!(hash_of(small()), hash_of(labelled));
    assert_eq!(hash_of(small()), hash_of(small()));
}

#[test]
fn the_memory_pool_is_the_fraction_of_the_limit() {
    assert_eq!(memory_bytes(&cluster(full()).spec), Some(2 << 30));
    let mut odd = small();
    odd["resources"]["limits"]["memory"] = json!("much");
    assert_eq!(memory_bytes(&cluster(odd).spec), None);
}
