//! What a cluster's status reports: four conditions, each with a reason and a sentence.
//!
//! | condition            | true                                  | false                                             |
//! |----------------------|---------------------------------------|---------------------------------------------------|
//! | `Ready`              | every desired executor takes tasks    | some are missing; the reason is what keeps them     |
//! | `Progressing`        | executors start, drain or are replaced | nothing changes                                   |
//! | `SchedulerReachable` | the scheduler reports its demand      | it does not answer; nothing is scaled meanwhile    |
//! | `ScalingLimited`     | a limit keeps executors from the work  | the demand, or a person, sets how many             |

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::diagnosis::Diagnosis;
use crate::scale::{Decision, Reason};
use retail_api::demand::Demand;

/// What one reconcile of a cluster found and decided.
#[derive(Debug, Clone)]
pub(crate) struct Findings<'a> {
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
    pub diagnosis: Option<&'a Diagnosis>,
}

/// The conditions now. One that did not change keeps the time of its last change.
pub(crate) fn conditions(
    findings: &Findings<'_>,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let [ready, progressing] = [ready(findings), progressing(findings)];
    let all = [
        ("Ready", ready),
        ("Progressing", progressing),
        ("SchedulerReachable", reachable(findings)),
        ("ScalingLimited", limited(findings)),
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
            observed_generation: Some(findings.generation),
            last_transition_time: old.map_or(Time(now), |c| c.last_transition_time.clone()),
        }
    };
    all.into_iter().map(condition).collect()
}

type State = (bool, &'static str, String);

fn desired(findings: &Findings<'_>) -> i32 {
    i32::try_from(findings.decision.desired).unwrap_or(i32::MAX)
}

fn ready(findings: &Findings<'_>) -> State {
    let desired = desired(findings);
    if let Some(diagnosis) = findings.diagnosis {
        return (false, diagnosis.reason, diagnosis.message.clone());
    }
    match (desired, findings.ready) {
        (0, _) if waits(findings) => (
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

fn waits(findings: &Findings<'_>) -> bool {
    let demand = findings.demand.as_ref();
    findings.decision.reason != Reason::ByHand && demand.is_ok_and(|demand| !demand.is_idle())
}

fn progressing(findings: &Findings<'_>) -> State {
    let (desired, executors) = (desired(findings), findings.executors);
    if executors < desired {
        (
            true,
            "ScalingUp",
            format!("from {executors} to {desired} executors"),
        )
    } else if executors > desired {
        let message = format!(
            "from {executors} to {desired} executors; those that are removed finish their tasks first"
        );
        (true, "ScalingDown", message)
    } else if findings.updated < executors {
        let message = format!(
            "{} of {executors} executors are of the newest revision; one at a time is replaced",
            findings.updated
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

fn reachable(findings: &Findings<'_>) -> State {
    match findings.demand {
        Ok(_) => (
            true,
            "Answers",
            "the scheduler reports how much work there is".to_owned(),
        ),
        Err(why) => {
            let meanwhile = match findings.decision.reason {
                Reason::ByHand => "",
                _ => "; the number of executors stays as it is",
            };
            (false, "Unreachable", format!("{why}{meanwhile}"))
        }
    }
}

fn limited(findings: &Findings<'_>) -> State {
    let Decision {
        desired,
        reason,
        wanted,
    } = findings.decision;
    let message = match reason {
        Reason::ByHand => format!("autoscaling is off; spec.replicas asks for {desired}"),
        Reason::FollowsWork => format!("the work calls for {wanted}"),
        Reason::AtMinimum => format!("the work calls for {wanted}; autoscaling.min is {desired}"),
        Reason::AtMaximum => format!(
            "the work calls for {wanted}; autoscaling.max is {}",
            findings.max
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
    (limited, reason.into(), message)
}

#[cfg(test)]
mod tests;
