//! What a `RetailCluster` becomes: a StatefulSet of executors, the Service that names them, and the
//! PodDisruptionBudget that lets them go one at a time.
//!
//! Only what we mean to decide is written. Everything else keeps the API server's defaults, or what others set.

use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::crd::{RetailCluster, RetailClusterSpec};
use crate::quantity;

/// Who writes, in managed fields and in labels.
pub(crate) const MANAGER: &str = "retail-operator";
/// Hash of the executors' configuration, so that a change of it replaces them.
pub(crate) const CONFIG_HASH: &str = "retail.dev/config-hash";
/// Hash of what we rendered, so that what we no longer write is seen too.
pub(crate) const RENDERED: &str = "retail.dev/rendered";

const FLIGHT_PORT: u16 = 50051;
const TASK_PORT: u16 = 50052;
const ADMIN_PORT: u16 = 50081;
/// Uid and gid in the image.
const USER: u32 = 65532;
/// Time beyond the drain that a pod has before it is killed.
pub(crate) const TERMINATION_MARGIN_S: i64 = 30;
/// A task with less memory than this spills all the time.
pub(crate) const SLOT_BYTES_MIN: u64 = 32 << 20;

/// The objects of a cluster, ready to be applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Objects {
    pub service: Value,
    pub disruption_budget: Value,
    pub stateful_set: Value,
}

/// Name of all objects of a cluster.
pub(crate) fn object_name(cluster: &str) -> String {
    format!("{cluster}-executor")
}

/// The labels by which a cluster's executors are found.
pub(crate) fn selector(cluster: &str) -> Value {
    json!({
        "app.kubernetes.io/name": "retail",
        "app.kubernetes.io/instance": cluster,
        "app.kubernetes.io/component": "executor",
    })
}

/// The same labels as text, as the scale subresource wants them.
pub(crate) fn selector_text(cluster: &str) -> String {
    format!(
        "app.kubernetes.io/name=retail,app.kubernetes.io/instance={cluster},app.kubernetes.io/component=executor"
    )
}

/// Hash of a text, short enough to be read.
pub(crate) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes of one executor's memory pool; `None` when its limit is no quantity.
pub(crate) fn memory_bytes(spec: &RetailClusterSpec) -> Option<u64> {
    let limit = quantity::parse(spec.resources.limits.get("memory")?)?;
    Some((limit * spec.memory_fraction) as u64)
}

/// Renders a cluster with `replicas` executors.
pub(crate) fn objects(cluster: &RetailCluster, replicas: u32, config_hash: &str) -> Objects {
    let name = object_name(&cluster.name_any());
    let meta = |kind: &str, spec: Value, api_version: &str| {
        let mut object = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": cluster.namespace(),
                "labels": labels(cluster),
                "ownerReferences": [cluster.controller_owner_ref(&())],
            },
            "spec": spec,
        });
        let rendered = hash(&object.to_string());
        object["metadata"]["annotations"] = json!({ RENDERED: rendered });
        object
    };
    Objects {
        service: meta("Service", service(cluster), "v1"),
        disruption_budget: meta(
            "PodDisruptionBudget",
            json!({
                "maxUnavailable": 1,
                // A pod that is not ready serves nobody: it must not hold up the drain of a node.
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": { "matchLabels": selector(&cluster.name_any()) },
            }),
            "policy/v1",
        ),
        stateful_set: meta(
            "StatefulSet",
            stateful_set(cluster, replicas, config_hash),
            "apps/v1",
        ),
    }
}

fn labels(cluster: &RetailCluster) -> Value {
    let mut labels = selector(&cluster.name_any());
    labels["app.kubernetes.io/managed-by"] = json!(MANAGER);
    labels
}

fn service(cluster: &RetailCluster) -> Value {
    json!({
        "clusterIP": "None",
        // Executors fetch shuffle files from one that drains, and it is not ready then.
        "publishNotReadyAddresses": true,
        "selector": selector(&cluster.name_any()),
        "ports": [
            { "name": "flight", "port": FLIGHT_PORT, "targetPort": "flight", "protocol": "TCP" },
            { "name": "tasks", "port": TASK_PORT, "targetPort": "tasks", "protocol": "TCP" },
            { "name": "admin", "port": ADMIN_PORT, "targetPort": "admin", "protocol": "TCP" },
        ],
    })
}

fn stateful_set(cluster: &RetailCluster, replicas: u32, config_hash: &str) -> Value {
    json!({
        "replicas": replicas,
        "serviceName": object_name(&cluster.name_any()),
        // Executors do not wait for each other to start or to end; an upgrade still takes one after the other.
        "podManagementPolicy": "Parallel",
        "updateStrategy": { "type": "RollingUpdate" },
        "revisionHistoryLimit": 3,
        "selector": { "matchLabels": selector(&cluster.name_any()) },
        "template": {
            "metadata": {
                "labels": pod_labels(cluster),
                "annotations": pod_annotations(cluster, config_hash),
            },
            "spec": pod(cluster),
        },
    })
}

fn pod_labels(cluster: &RetailCluster) -> Value {
    let mut all = json!(cluster.spec.pod_template.labels);
    merge(&mut all, labels(cluster));
    all
}

fn pod_annotations(cluster: &RetailCluster, config_hash: &str) -> Value {
    let mut all = json!(cluster.spec.pod_template.annotations);
    merge(
        &mut all,
        json!({
            CONFIG_HASH: config_hash,
            // `kubectl drain` and the autoscaler of nodes may move it: it drains.
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
            "kubectl.kubernetes.io/default-container": "executor",
        }),
    );
    all
}

fn pod(cluster: &RetailCluster) -> Value {
    let spec = &cluster.spec;
    let template = &spec.pod_template;
    let mut volumes = vec![
        json!({ "name": "data", "emptyDir": { "sizeLimit": spec.work_volume.size_limit } }),
        json!({ "name": "tmp", "emptyDir": { "sizeLimit": "64Mi" } }),
    ];
    if let Some(name) = &spec.config_map {
        volumes.push(json!({ "name": "config", "configMap": { "name": name } }));
    }
    for (at, name) in spec.secrets.iter().enumerate() {
        volumes.push(json!({
            "name": format!("secret-{at}"),
            "secret": { "secretName": name, "defaultMode": 0o440 },
        }));
    }
    let mut pod = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": i64::from(spec.drain_grace_seconds) + TERMINATION_MARGIN_S,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [container(spec)],
        "volumes": volumes,
    });
    let mut set = |key: &str, value: Value| {
        let empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        if !empty {
            pod[key] = value;
        }
    };
    set("nodeSelector", json!(template.node_selector));
    set("tolerations", json!(template.tolerations));
    set("affinity", json!(template.affinity));
    set(
        "topologySpreadConstraints",
        json!(spread(cluster, &template.topology_spread_constraints)),
    );
    set("priorityClassName", json!(template.priority_class_name));
    set("imagePullSecrets", json!(template.image_pull_secrets));
    set("serviceAccountName", json!(template.service_account_name));
    pod
}

/// Constraints without a selector would match no pod at all: they mean this cluster's executors.
fn spread(
    cluster: &RetailCluster,
    constraints: &[TopologySpreadConstraint],
) -> Vec<TopologySpreadConstraint> {
    let ours = LabelSelector {
        match_labels: serde_json::from_value(selector(&cluster.name_any())).ok(),
        ..LabelSelector::default()
    };
    let with_selector = |constraint: &TopologySpreadConstraint| TopologySpreadConstraint {
        label_selector: constraint.label_selector.clone().or(Some(ours.clone())),
        ..constraint.clone()
    };
    constraints.iter().map(with_selector).collect()
}

fn container(spec: &RetailClusterSpec) -> Value {
    let mut mounts = vec![
        json!({ "name": "data", "mountPath": "/data" }),
        json!({ "name": "tmp", "mountPath": "/tmp" }),
    ];
    let mut container = json!({
        "name": "executor",
        "image": spec.image,
        "imagePullPolicy": spec.image_pull_policy,
        "command": ["retail-executor"],
        "env": environment(spec),
        "ports": [
            { "name": "flight", "containerPort": FLIGHT_PORT, "protocol": "TCP" },
            { "name": "tasks", "containerPort": TASK_PORT, "protocol": "TCP" },
            { "name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP" },
        ],
        "resources": spec.resources,
        // `kubectl describe` shows the last lines of one that failed.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        // Alive at all within two minutes; ready while it takes tasks; killed only when it does not answer for a minute.
        "startupProbe": probe("/healthz", 1, 120),
        "readinessProbe": probe("/readyz", 2, 2),
        "livenessProbe": probe("/healthz", 10, 6),
    });
    if spec.config_map.is_some() {
        container["args"] = json!(["--config", "/etc/retail/config.toml"]);
        mounts.push(json!({
            "name": "config", "mountPath": "/etc/retail/config.toml", "subPath": "config.toml", "readOnly": true,
        }));
    }
    for (at, name) in spec.secrets.iter().enumerate() {
        mounts.push(json!({
            "name": format!("secret-{at}"), "mountPath": format!("/etc/retail/secrets/{name}"), "readOnly": true,
        }));
    }
    container["volumeMounts"] = json!(mounts);
    container
}

/// What only the pod knows. Ports are set so that a file cannot move them away from the Service's.
fn environment(spec: &RetailClusterSpec) -> Value {
    let scheduler = format!("http://{}:{}", spec.scheduler_service, spec.scheduler_port);
    let set = |name: &str, value: String| json!({ "name": name, "value": value });
    json!([
        set("RETAIL__SCHEDULER__URL", scheduler),
        set("RETAIL__SERVER__HOST", "0.0.0.0".to_owned()),
        {
            "name": "RETAIL__SERVER__ADVERTISE_HOST",
            "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "status.podIP" } },
        },
        set("RETAIL__SERVER__FLIGHT_PORT", FLIGHT_PORT.to_string()),
        set("RETAIL__SERVER__GRPC_PORT", TASK_PORT.to_string()),
        set("RETAIL__SERVER__ADMIN_PORT", ADMIN_PORT.to_string()),
        set("RETAIL__RESOURCES__SLOTS", spec.slots.to_string()),
        set(
            "RETAIL__RESOURCES__MEMORY_BYTES",
            memory_bytes(spec).unwrap_or_default().to_string()
        ),
        set("RETAIL__RESOURCES__WORK_DIR", "/data".to_owned()),
        set(
            "RETAIL__RESOURCES__DRAIN_GRACE_S",
            spec.drain_grace_seconds.to_string()
        ),
    ])
}

fn probe(path: &str, period_s: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "admin", "scheme": "HTTP" },
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}

/// Lays `over`'s keys over those of `all`.
fn merge(all: &mut Value, over: Value) {
    if let (Some(all), Value::Object(over)) = (all.as_object_mut(), over) {
        all.extend(over);
    }
}

#[cfg(test)]
mod tests;
