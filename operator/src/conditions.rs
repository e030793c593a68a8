//! What a cluster's status says: four conditions, each with a reason and a sentence, and the events of their changes.
//!
//! | condition            | true                                  | false                                             |
//! |----------------------|---------------------------------------|---------------------------------------------------|
//! | `Ready`              | every desired executor takes tasks    | some are missing; the reason says what keeps them  |
//! | `Progressing`        | executors start, leave or are replaced | nothing changes                                   |
//! | `SchedulerReachable` | the scheduler says how much work is    | it does not answer; nothing is scaled meanwhile    |
//! | `ScalingLimited`     | a limit keeps executors from the work  | the work, or a person, says how many               |

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::events::EventType;

use crate::demand::Demand;
use crate::scale::{Decision, Reason};
use crate::trouble::Trouble;

/// What one look at a cluster found.
#[derive(Debug, Clone)]
pub(crate) struct Seen<'a> {
    pub generation: i64,
    pub decision: Decision,
    pub max: u32,
    /// Executors that exist and those that take tasks.
    pub executors: i32,
    pub ready: i32,
    /// Executors of the newest revision; fewer than exist while they are replaced.
    pub updated: i32,
    /// What the scheduler reports, or why it is not known.
    pub demand: &'a Result<Demand, String>,
    /// What keeps executors from running.
    pub trouble: Option<&'a Trouble>,
}

/// The conditions now. One that did not change keeps the time of its last change.
pub(crate) fn conditions(seen: &Seen<'_>, before: &[Condition], now: Timestamp) -> Vec<Condition> {
    let [ready, progressing] = [ready(seen), progressing(seen)];
    let all = [
        ("Ready", ready),
        ("Progressing", progressing),
        ("SchedulerReachable", reachable(seen)),
        ("ScalingLimited", limited(seen)),
    ];
    let condition = |(type_, (status, reason, message)): (&str, State)| {
        let status = if status { "True" } else { "False" };
        let old = before
            .iter()
            .find(|c| c.type_ == type_ && c.status == status);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: Some(seen.generation),
            last_transition_time: old.map_or(Time(now), |c| c.last_transition_time.clone()),
        }
    };
    all.into_iter().map(condition).collect()
}

type State = (bool, &'static str, String);

fn desired(seen: &Seen<'_>) -> i32 {
    i32::try_from(seen.decision.desired).unwrap_or(i32::MAX)
}

fn ready(seen: &Seen<'_>) -> State {
    let desired = desired(seen);
    if let Some(trouble) = seen.trouble {
        return (false, trouble.reason, trouble.message.clone());
    }
    match (desired, seen.ready) {
        (0, _) if waits(seen) => (
            false,
            "Starting",
            "work waits for the first executor".to_owned(),
        ),
        (0, _) => (
            true,
            "ScaledToZero",
            "no executors are wanted now".to_owned(),
        ),
        (_, ready) if ready >= desired => (
            true,
            "AllReady",
            format!("{desired} of {desired} executors take tasks"),
        ),
        (_, ready) => (
            false,
            "Starting",
            format!("{ready} of {desired} executors take tasks"),
        ),
    }
}

fn waits(seen: &Seen<'_>) -> bool {
    let demand = seen.demand.as_ref();
    seen.decision.reason != Reason::ByHand && demand.is_ok_and(|demand| !demand.is_idle())
}

fn progressing(seen: &Seen<'_>) -> State {
    let (desired, executors) = (desired(seen), seen.executors);
    if executors < desired {
        (
            true,
            "ScalingUp",
            format!("from {executors} to {desired} executors"),
        )
    } else if executors > desired {
        let message = format!(
            "from {executors} to {desired} executors; those that leave finish their tasks first"
        );
        (true, "ScalingDown", message)
    } else if seen.updated < executors {
        let message = format!(
            "{} of {executors} executors are of the newest revision; one at a time is replaced",
            seen.updated
        );
        (true, "RollingOut", message)
    } else {
        (
            false,
            "Settled",
            format!("{executors} executors, as desired"),
        )
    }
}

fn reachable(seen: &Seen<'_>) -> State {
    match seen.demand {
        Ok(_) => (
            true,
            "Answers",
            "the scheduler says how much work there is".to_owned(),
        ),
        Err(why) => {
            let meanwhile = match seen.decision.reason {
                Reason::ByHand => "",
                _ => "; the number of executors stays as it is",
            };
            (false, "Unreachable", format!("{why}{meanwhile}"))
        }
    }
}

fn limited(seen: &Seen<'_>) -> State {
    let Decision {
        desired,
        reason,
        wanted,
    } = seen.decision;
    let message = match reason {
        Reason::ByHand => format!("autoscaling is off; spec.replicas asks for {desired}"),
        Reason::FollowsWork => format!("the work calls for {wanted}"),
        Reason::AtMinimum => format!("the work calls for {wanted}; autoscaling.min is {desired}"),
        Reason::AtMaximum => format!(
            "the work calls for {wanted}; autoscaling.max is {}",
            seen.max
        ),
        Reason::Stabilizing => {
            format!(
                "the work calls for {wanted}, but not yet for autoscaling.stabilizationSeconds; {desired} stay"
            )
        }
        Reason::IdleSoon => {
            format!("there is no work, but not yet for autoscaling.idleSeconds; {desired} stay")
        }
        Reason::Idle => format!("there was no work for autoscaling.idleSeconds; {desired} stay"),
        Reason::SchedulerUnreachable => format!("the scheduler does not answer; {desired} stay"),
    };
    let limited = matches!(reason, Reason::AtMaximum | Reason::SchedulerUnreachable);
    (limited, reason.name(), message)
}

/// Something that a person should read under `kubectl describe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

impl News {
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

    pub(crate) fn event_type(&self) -> EventType {
        if self.warning {
            EventType::Warning
        } else {
            EventType::Normal
        }
    }
}

/// What changed between two looks and is worth an event.
pub(crate) fn news(before: &[Condition], after: &[Condition]) -> Vec<News> {
    let mut news = vec![];
    for now in after {
        let old = before.iter().find(|c| c.type_ == now.type_);
        if old.is_some_and(|old| old.status == now.status && old.reason == now.reason) {
            continue;
        }
        let was_bad = old.is_some_and(|old| old.status != now.status);
        match (now.type_.as_str(), now.status.as_str(), now.reason.as_str()) {
            ("Ready", "True", _) if was_bad => news.push(News::normal("Ready", &now.message)),
            ("Ready", "False", "Starting") => {}
            ("Ready", "False", reason) => news.push(News::warning(reason, &now.message)),
            ("SchedulerReachable", "False", _) => {
                news.push(News::warning("SchedulerUnreachable", &now.message));
            }
            ("SchedulerReachable", "True", _) if was_bad => {
                news.push(News::normal("SchedulerReachable", &now.message));
            }
            ("ScalingLimited", "True", "AtMaximum") => {
                news.push(News::warning("AtMaximum", &now.message))
            }
            ("Progressing", "True", "RollingOut") => {
                news.push(News::normal("RollingOut", &now.message))
            }
            _ => {}
        }
    }
    news
}

/// The event of a changed number of executors.
pub(crate) fn scaled(
    from: u32,
    decision: Decision,
    demand: &Result<Demand, String>,
) -> Option<News> {
    let Decision {
        desired, reason, ..
    } = decision;
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
    let verb = match desired.cmp(&from) {
        std::cmp::Ordering::Greater => "ScaledUp",
        std::cmp::Ordering::Less => "ScaledDown",
        std::cmp::Ordering::Equal => return None,
    };
    Some(News::normal(
        verb,
        format!("{from} to {desired} executors ({reason}): {why}"),
    ))
}

#[cfg(test)]
mod tests;
