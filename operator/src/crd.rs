//! `RetailCluster`: what a person wants, and what is reported about it.
//!
//! The API server checks a spec before it is stored, so that a mistake is refused where it is made: ranges and relations
//! are rules in CEL, each with a message that names what to change.

#![allow(
    unreachable_pub,
    reason = "KubeSchema repeats each struct in a function of its own"
)]

pub mod document;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, Toleration, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The executors of one scheduler: how many, how big, and where they run.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "retail.dev",
    version = "v1alpha1",
    kind = "RetailCluster",
    plural = "retailclusters",
    shortname = "rc-retail",
    category = "retail",
    namespaced,
    doc = "Executors of a retail scheduler: how many run, how big they are, and how they follow the work.",
    status = "RetailClusterStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.executors",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.ready", description = "Executors that take tasks."),
    printcolumn(name = "Executors", type_ = "integer", json_path = ".status.executors", description = "Executors that exist."),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desired", description = "Executors that there should be."),
    printcolumn(name = "Running-Tasks", type_ = "integer", json_path = ".status.runningTasks", description = "Tasks that run now."),
    printcolumn(name = "Queued-Tasks", type_ = "integer", json_path = ".status.queuedTasks", description = "Tasks that could run now and have no slot."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not.", priority = 1),
    validation = (
        "size(self.metadata.name) <= 43 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "the name of a RetailCluster has at most 43 characters, begins with a letter and holds only a-z, 0-9 and -: its Service and pods are named after it"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "!(self.autoscaling.enabled && oldSelf.autoscaling.enabled) || self.replicas == oldSelf.replicas",
        "autoscaling is on and decides how many executors run: change autoscaling.min or autoscaling.max, or turn autoscaling off before scaling by hand"
    )
)]
pub struct RetailClusterSpec {
    /// Host name of the scheduler's Service; a name without dots is looked up in the cluster's own namespace.
    #[x_kube(validation = (
        "self.matches('^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$')",
        "schedulerService is the host name of the scheduler's Service, without scheme and port"
    ))]
    #[schemars(length(max = 253))]
    pub scheduler_service: String,
    /// The scheduler's gRPC port.
    #[serde(default = "defaults::scheduler_port")]
    #[x_kube(validation = ("self >= 1 && self <= 65535", "schedulerPort must be between 1 and 65535"))]
    pub scheduler_port: i32,
    /// The scheduler's HTTP port, which reports how much work there is.
    #[serde(default = "defaults::scheduler_admin_port")]
    #[x_kube(validation = ("self >= 1 && self <= 65535", "schedulerAdminPort must be between 1 and 65535"))]
    pub scheduler_admin_port: i32,
    /// Image with retail-executor.
    #[x_kube(validation = ("self.trim() != ''", "image must not be empty: name the image with retail-executor, such as retail:0.1.0"))]
    #[schemars(length(max = 1024))]
    pub image: String,
    #[serde(default)]
    pub image_pull_policy: PullPolicy,
    /// Executors wanted while autoscaling is off; `kubectl scale` writes it.
    #[serde(default = "defaults::replicas")]
    #[x_kube(validation = ("self >= 0 && self <= 10000", "replicas must be between 0 and 10000"))]
    pub replicas: i32,
    #[serde(default)]
    pub autoscaling: Autoscaling,
    /// Tasks that one executor runs at once.
    #[serde(default = "defaults::slots")]
    #[x_kube(validation = ("self >= 1 && self <= 1024", "slots must be between 1 and 1024: an executor without slots runs no task"))]
    pub slots: i32,
    /// Requests and limits of one executor.
    #[x_kube(validation = (
        "has(self.limits) && 'memory' in self.limits",
        "resources.limits.memory is missing: an executor's memory pool is memoryFraction of it"
    ))]
    pub resources: Resources,
    /// Share of the memory limit that joins, sorts and aggregates may use before they spill; the rest is for everything else.
    #[serde(default = "defaults::memory_fraction")]
    #[x_kube(validation = ("self > 0.0 && self < 1.0", "memoryFraction must be between 0 and 1, both excluded"))]
    pub memory_fraction: f64,
    /// How long an executor that is removed may finish its tasks and keep its shuffle files for others.
    #[serde(default = "defaults::drain_grace_seconds")]
    #[x_kube(validation = ("self >= 0 && self <= 86400", "drainGraceSeconds must be between 0 and 86400"))]
    pub drain_grace_seconds: i32,
    #[serde(default)]
    pub work_volume: WorkVolume,
    /// ConfigMap of this namespace whose `config.toml` the executors read; a change of it replaces them one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self != ''", "configMap must not be empty; leave it out where there is none"))]
    #[schemars(length(max = 253))]
    pub config_map: Option<String>,
    /// Secrets of this namespace, mounted at /etc/retail/secrets/NAME.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = ("self.all(name, name != '')", "secrets must not hold an empty name"))]
    #[schemars(length(max = 64), inner(length(max = 253)))]
    pub secrets: Vec<String>,
    #[serde(default)]
    pub pod_template: PodTemplate,
}

/// How the number of executors follows the work.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.max >= self.min", "autoscaling.max must not be below autoscaling.min"))]
pub struct Autoscaling {
    /// Off: `replicas` is how many.
    #[serde(default)]
    pub enabled: bool,
    /// Fewest executors; 0 lets an idle cluster go to nothing.
    #[serde(default = "defaults::min")]
    #[x_kube(validation = ("self >= 0", "autoscaling.min must not be negative"))]
    pub min: i32,
    /// Most executors.
    #[serde(default = "defaults::max")]
    #[x_kube(validation = ("self >= 1 && self <= 10000", "autoscaling.max must be between 1 and 10000"))]
    pub max: i32,
    /// Executors are taken away only when fewer were enough for this long.
    #[serde(default = "defaults::stabilization_seconds")]
    #[x_kube(validation = ("self >= 0 && self <= 86400", "autoscaling.stabilizationSeconds must be between 0 and 86400"))]
    pub stabilization_seconds: i32,
    /// A cluster without any work goes to `min` after this long.
    #[serde(default = "defaults::idle_seconds")]
    #[x_kube(validation = ("self >= 0 && self <= 604800", "autoscaling.idleSeconds must be between 0 and 604800"))]
    pub idle_seconds: i32,
    /// Tasks that justify one executor; by default its slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self >= 1", "autoscaling.tasksPerExecutor must be at least 1"))]
    pub tasks_per_executor: Option<i32>,
}

/// Requests and limits, as a container has them.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, IntOrString>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, IntOrString>,
}

/// The local disk for shuffle and spill files.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkVolume {
    /// An executor whose files grow beyond it is evicted, and drains.
    #[serde(default = "defaults::size_limit")]
    #[x_kube(validation = (
        "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
        "workVolume.sizeLimit must be a size such as 20Gi"
    ))]
    #[schemars(length(max = 64))]
    pub size_limit: String,
}

/// What else the pods need to run where they should.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// A constraint without a labelSelector counts this cluster's executors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Executors never talk to the API server; a service account matters only to stores that know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// When the image is pulled.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullPolicy {
    Always,
    #[default]
    IfNotPresent,
    Never,
}

/// What the operator found and decided last.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetailClusterStatus {
    /// Executors that take tasks.
    pub ready: i32,
    /// Executors that exist.
    pub executors: i32,
    /// Executors that there should be.
    pub desired: i32,
    /// Tasks that run now; not set while the scheduler does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_tasks: Option<i32>,
    /// Tasks that could run now and have no slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_tasks: Option<i32>,
    /// The executors' labels, for the scale subresource.
    pub selector: String,
    /// Generation of the spec that this status is about.
    pub observed_generation: i64,
    pub conditions: Vec<Condition>,
}

impl Default for Autoscaling {
    fn default() -> Self {
        Self {
            enabled: false,
            min: defaults::min(),
            max: defaults::max(),
            stabilization_seconds: defaults::stabilization_seconds(),
            idle_seconds: defaults::idle_seconds(),
            tasks_per_executor: None,
        }
    }
}

impl Default for WorkVolume {
    fn default() -> Self {
        Self {
            size_limit: defaults::size_limit(),
        }
    }
}

mod defaults {
    pub(crate) fn scheduler_port() -> i32 {
        50050
    }
    pub(crate) fn scheduler_admin_port() -> i32 {
        50080
    }
    pub(crate) fn replicas() -> i32 {
        1
    }
    pub(crate) fn slots() -> i32 {
        2
    }
    pub(crate) fn memory_fraction() -> f64 {
        0.7
    }
    pub(crate) fn drain_grace_seconds() -> i32 {
        60
    }
    pub(crate) fn min() -> i32 {
        1
    }
    pub(crate) fn max() -> i32 {
        10
    }
    pub(crate) fn stabilization_seconds() -> i32 {
        120
    }
    pub(crate) fn idle_seconds() -> i32 {
        600
    }
    pub(crate) fn size_limit() -> String {
        "20Gi".to_owned()
    }
}
