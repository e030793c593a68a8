//! Events under a cluster: what a person reads first with `kubectl describe`.

use std::cmp::Ordering;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

use crate::render::hash;
use crate::scale::{Decision, Reason};
use retail_api::demand::Demand;

/// Of 1024 bytes that the note of an event may have, as many characters.
const NOTE_CHARS_MAX: usize = 900;

/// A change of a cluster that a person should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusEvent {
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

impl StatusEvent {
    pub(crate) fn normal(reason: &str, note: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason: reason.to_owned(),
            note: note.into(),
        }
    }

    pub(crate) fn warning(reason: &str, note: impl Into<String>) -> Self {
        Self {
            warning: true,
            reason: reason.to_owned(),
            note: note.into(),
        }
    }

    /// The event as the API server stores it.
    pub(crate) fn to_kubernetes(&self) -> Event {
        Event {
            type_: if self.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: self.reason.clone(),
            note: Some(self.note.chars().take(NOTE_CHARS_MAX).collect()),
            // Events that differ in nothing but their notes are counted as one, which keeps the first note.
            action: format!("Reconcile-{}", &hash(&self.note)[..8]),
            secondary: None,
        }
    }
}

/// The events of what changed between the conditions of two reconciles.
pub(crate) fn of_conditions(before: &[Condition], after: &[Condition]) -> Vec<StatusEvent> {
    let mut events = vec![];
    for now in after {
        let old = before.iter().find(|c| c.type_ == now.type_);
        if old.is_some_and(|old| old.status == now.status && old.reason == now.reason) {
            continue;
        }
        let was_bad = old.is_some_and(|old| old.status != now.status);
        let note = &now.message;
        events.extend(
            match (now.type_.as_str(), now.status.as_str(), now.reason.as_str()) {
                ("Ready", "True", _) if was_bad => Some(StatusEvent::normal("Ready", note)),
                ("Ready", "False", "Starting") => None,
                ("Ready", "False", reason) => Some(StatusEvent::warning(reason, note)),
                ("SchedulerReachable", "False", _) => {
                    Some(StatusEvent::warning("SchedulerUnreachable", note))
                }
                ("SchedulerReachable", "True", _) if was_bad => {
                    Some(StatusEvent::normal("SchedulerReachable", note))
                }
                ("ScalingLimited", "True", "AtMaximum") => {
                    Some(StatusEvent::warning("AtMaximum", note))
                }
                ("Progressing", "True", "RollingOut") => {
                    Some(StatusEvent::normal("RollingOut", note))
                }
                _ => None,
            },
        );
    }
    events
}

/// The event of a changed number of executors; `None` when it did not change.
pub(crate) fn of_scaling(
    from: u32,
    decision: Decision,
    demand: &Result<Demand, String>,
) -> Option<StatusEvent> {
    let Decision {
        desired, reason, ..
    } = decision;
    let verb = match desired.cmp(&from) {
        Ordering::Greater => "ScaledUp",
        Ordering::Less => "ScaledDown",
        Ordering::Equal => return None,
    };
    let why = match (reason, demand) {
        (Reason::ByHand, _) => "spec.replicas asks for it".to_owned(),
        (Reason::Idle, _) => "there is no work".to_owned(),
        (_, Ok(demand)) => format!(
            "{} tasks run, {} wait, {} jobs run, {} jobs and {} queries wait",
            demand.tasks_running,
            demand.tasks_queued,
            demand.jobs_running,
            demand.jobs_queued,
            demand.queries_waiting
        ),
        (_, Err(_)) => "its limits changed".to_owned(),
    };
    Some(StatusEvent::normal(
        verb,
        format!("{from} to {desired} executors ({reason}): {why}"),
    ))
}

#[cfg(test)]
mod tests;
