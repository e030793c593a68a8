//! Diagnoses why executors do not run, and where to look.
//!
//! Kubernetes reports this in many places: container states, pod conditions, events. Here it becomes one reason and one
//! sentence. Secrets are never read: the kubelet names one that is missing.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use kube::ResourceExt;

use crate::crd::RetailClusterSpec;
use crate::{quantity, render};

/// One cause: a word for machines and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    pub reason: &'static str,
    pub message: String,
}

impl Diagnosis {
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// Reasons, the most telling first: a cluster with several causes names one.
const ORDER: [&str; 9] = [
    "ImagePullFailed",
    "ConfigRefused",
    "OutOfMemory",
    "CrashLoop",
    "StartFailed",
    "NodeLost",
    "Evicted",
    "Unschedulable",
    "MountFailed",
];

/// The exit code of a program that refuses its configuration.
const EX_USAGE: i32 = 64;

/// Diagnoses the executors' pods by their status; `None` when they start or run.
pub(crate) fn of_pods(pods: &[Pod]) -> Option<Diagnosis> {
    let found: Vec<_> = pods.iter().filter_map(of_pod).collect();
    let rank = |t: &Diagnosis| ORDER.iter().position(|reason| *reason == t.reason);
    let worst = found.iter().min_by_key(|t| rank(t))?;
    let alike = found.iter().filter(|t| t.reason == worst.reason).count();
    let mut worst = worst.clone();
    if alike > 1 {
        worst.message = format!("{} ({alike} executors are in this state)", worst.message);
    }
    Some(worst)
}

fn of_pod(pod: &Pod) -> Option<Diagnosis> {
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    if status.phase.as_deref() == Some("Failed") {
        let why = [status.reason.as_deref(), status.message.as_deref()];
        let why: Vec<_> = why.into_iter().flatten().collect();
        return Some(Diagnosis::new(
            "Evicted",
            format!("pod {name} was evicted from its node: {}", why.join(": ")),
        ));
    }
    if let Some(node) = lost_node(pod) {
        return Some(Diagnosis::new(
            "NodeLost",
            format!(
                "node {node} does not answer, and pod {name} is on it; its tasks run again elsewhere. If the node does not come \
                 back, `kubectl delete node {node}` lets the pod start on another"
            ),
        ));
    }
    let containers = status.container_statuses.iter().flatten();
    if let Some(diagnosis) = containers
        .filter_map(|container| of_container(&name, container))
        .next()
    {
        return Some(diagnosis);
    }
    let unscheduled = status.conditions.iter().flatten().find(|c| {
        c.type_ == "PodScheduled"
            && c.status == "False"
            && c.reason.as_deref() == Some("Unschedulable")
    })?;
    let why = unscheduled.message.as_deref().unwrap_or("no node fits");
    Some(Diagnosis::new(
        "Unschedulable",
        format!("no node takes pod {name}: {why}"),
    ))
}

/// The pod's node, if it does not answer. The node controller then marks the pod as not ready, and no kubelet marks its
/// containers so.
fn lost_node(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let is = |kind: &str, value: &str| {
        conditions
            .iter()
            .any(|c| c.type_ == kind && c.status == value)
    };
    let lost = is("Ready", "False") && is("ContainersReady", "True");
    lost.then(|| pod.spec.as_ref()?.node_name.as_deref())?
}

fn of_container(pod: &str, container: &ContainerStatus) -> Option<Diagnosis> {
    let waiting = container.state.as_ref().and_then(|s| s.waiting.as_ref());
    let reason = waiting
        .and_then(|w| w.reason.as_deref())
        .unwrap_or_default();
    let message = waiting.and_then(|w| w.message.as_deref()).unwrap_or(reason);
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable" => {
            return Some(Diagnosis::new(
                "ImagePullFailed",
                format!(
                    "pod {pod} cannot have image {}: {message}; check spec.image and spec.podTemplate.imagePullSecrets",
                    container.image
                ),
            ));
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            return Some(Diagnosis::new(
                "StartFailed",
                format!("pod {pod} cannot start its container: {message}"),
            ));
        }
        _ => {}
    }
    // What ended last: of a container that waits to be started again, or that was started again and is not ready yet.
    let ended = |state: &Option<ContainerState>| state.as_ref().and_then(|s| s.terminated.clone());
    let now = ended(&container.state);
    let last = now.clone().or_else(|| ended(&container.last_state))?;
    let out_of_memory = last.reason.as_deref() == Some("OOMKilled");
    // One that was killed for its memory will be killed again; it may be back before the next reconcile.
    let will_repeat = reason == "CrashLoopBackOff"
        || (container.restart_count > 0 && !container.ready)
        || (now.is_some() && out_of_memory);
    if !will_repeat {
        return None;
    }
    let times = match container.restart_count + i32::from(now.is_some()) {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    Some(if out_of_memory {
        Diagnosis::new(
            "OutOfMemory",
            format!(
                "pod {pod} was killed {times} because it went over its memory limit; raise spec.resources.limits.memory, \
                 or lower spec.memoryFraction or spec.slots"
            ),
        )
    } else if last.exit_code == EX_USAGE {
        Diagnosis::new(
            "ConfigRefused",
            format!(
                "pod {pod} refuses its configuration (exit code 64); `kubectl logs {pod} --previous` names the setting"
            ),
        )
    } else {
        Diagnosis::new(
            "CrashLoop",
            format!(
                "pod {pod} ended {times}, last with exit code {}; see `kubectl logs {pod} --previous`",
                last.exit_code
            ),
        )
    })
}

/// The first pod that has a node, no running container and no reason in its status: its events have one.
pub(crate) fn silent_pod(pods: &[Pod]) -> Option<&Pod> {
    pods.iter().find(|pod| {
        let Some(status) = &pod.status else {
            return false;
        };
        let mut states = status
            .container_statuses
            .iter()
            .flatten()
            .filter_map(|c| c.state.as_ref());
        let creating = states.all(|s| {
            s.waiting
                .as_ref()
                .is_some_and(|w| w.reason.as_deref() == Some("ContainerCreating"))
        });
        let has_node = pod.spec.as_ref().is_some_and(|s| s.node_name.is_some());
        status.phase.as_deref() == Some("Pending") && has_node && creating
    })
}

/// Diagnoses a pod that does not start by its newest warning.
pub(crate) fn of_pod_events(pod: &str, events: &[Event]) -> Option<Diagnosis> {
    let note = newest(
        events,
        &[
            "FailedMount",
            "FailedCreatePodSandBox",
            "FailedAttachVolume",
        ],
    )?;
    Some(
        match (missing(note, "secret"), missing(note, "configmap")) {
            (Some(name), _) => Diagnosis::new(
                "SecretMissing",
                format!(
                    "there is no Secret {name}, which spec.secrets names: make it, or take it out ({pod} waits for it)"
                ),
            ),
            (_, Some(name)) => config_map_missing(&name),
            _ => Diagnosis::new("MountFailed", format!("pod {pod} cannot start: {note}")),
        },
    )
}

/// Diagnoses a StatefulSet that makes no pods by its newest warning.
pub(crate) fn of_set_events(events: &[Event]) -> Option<Diagnosis> {
    let note = newest(events, &["FailedCreate"])?;
    Some(Diagnosis::new(
        "PodsRefused",
        format!("the API server refuses the executors' pods: {note}"),
    ))
}

/// Diagnoses a spec that passed the rules of the API server and is no good nevertheless.
pub(crate) fn of_spec(spec: &RetailClusterSpec) -> Option<Diagnosis> {
    let Some(bytes) = render::memory_bytes(spec) else {
        return Some(Diagnosis::new(
            "InvalidSpec",
            "spec.resources.limits.memory is no quantity; write it as 4Gi or 4000M",
        ));
    };
    let slot = bytes / u64::try_from(spec.slots).unwrap_or(1).max(1);
    (slot < render::SLOT_BYTES_MIN).then(|| {
        Diagnosis::new(
            "MemoryTooSmall",
            format!(
                "memoryFraction {} of the memory limit leaves {} for each of {} slots, and a task needs {}: raise \
                 spec.resources.limits.memory or spec.memoryFraction, or lower spec.slots",
                spec.memory_fraction,
                quantity::bytes(slot),
                spec.slots,
                quantity::bytes(render::SLOT_BYTES_MIN),
            ),
        )
    })
}

/// The ConfigMap of the spec does not exist.
pub(crate) fn config_map_missing(name: &str) -> Diagnosis {
    Diagnosis::new(
        "ConfigMapMissing",
        format!(
            "there is no ConfigMap {name}, which spec.configMap names: make it, with a key config.toml"
        ),
    )
}

/// The ConfigMap of the spec has no configuration file.
pub(crate) fn config_key_missing(name: &str) -> Diagnosis {
    Diagnosis::new(
        "ConfigMapMissing",
        format!("ConfigMap {name}, which spec.configMap names, has no key config.toml"),
    )
}

fn newest<'a>(events: &'a [Event], reasons: &[&str]) -> Option<&'a str> {
    let newest = events
        .iter()
        .filter(|e| e.reason.as_deref().is_some_and(|r| reasons.contains(&r)))
        .max_by_key(|e| {
            let seen = e
                .series
                .as_ref()
                .and_then(|s| s.last_observed_time.as_ref());
            let seen = seen.or(e.event_time.as_ref()).map(|t| t.0);
            seen.or(e.last_timestamp.as_ref().map(|t| t.0)).or(e
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|t| t.0))
        })?;
    newest.message.as_deref()
}

/// `name` of `secret "name" not found`.
fn missing(note: &str, kind: &str) -> Option<String> {
    let rest = &note[note.find(&format!("{kind} \""))? + kind.len() + 2..];
    let (name, rest) = rest.split_once('"')?;
    rest.starts_with(" not found").then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
