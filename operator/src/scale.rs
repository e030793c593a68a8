//! How many executors there should be.
//!
//! One pure function, [`decide`]: what a person allows, what the scheduler reports, what was decided before, and the
//! time go in; a number and its reason come out. It goes up at once and down slowly: an executor too many costs
//! money for a while, one too few makes a job wait.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use strum::{Display, IntoStaticStr, VariantArray};

use crate::crd::RetailClusterSpec;
use retail_api::demand::Demand;

/// The settings of the spec for scaling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub enabled: bool,
    /// Executors while scaling is off.
    pub replicas: u32,
    pub min: u32,
    pub max: u32,
    /// Tasks that justify one executor.
    pub tasks_per_executor: u32,
    /// Fewer must have been enough for this long before executors are taken away.
    pub stabilization: Duration,
    /// Without any work for this long, only `min` stay.
    pub idle: Duration,
}

impl Policy {
    pub(crate) fn of(spec: &RetailClusterSpec) -> Self {
        let scaling = &spec.autoscaling;
        let count = |n: i32| u32::try_from(n).unwrap_or(0);
        let seconds = |n: i32| Duration::from_secs(u64::try_from(n).unwrap_or(0));
        let min = count(scaling.min);
        Self {
            enabled: scaling.enabled,
            replicas: count(spec.replicas),
            min,
            max: count(scaling.max).max(min),
            tasks_per_executor: count(scaling.tasks_per_executor.unwrap_or(spec.slots)).max(1),
            stabilization: seconds(scaling.stabilization_seconds),
            idle: seconds(scaling.idle_seconds),
        }
    }
}

/// What the next decision needs to know of earlier ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct History {
    /// What was decided last, or what was found; `None` for a cluster that has nothing yet.
    pub current: Option<u32>,
    /// What the demand called for at each poll, oldest first, as far back as the stabilisation window reaches.
    wanted: VecDeque<(Instant, u32)>,
    /// Since when there is no work at all.
    idle_since: Option<Instant>,
}

impl History {
    /// Begins with `current` executors. Those count as wanted now, so that a new leader takes nothing away at once.
    pub(crate) fn starting_with(current: Option<u32>) -> Self {
        Self {
            current,
            ..Self::default()
        }
    }
}

/// The number of executors, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub desired: u32,
    pub reason: Reason,
    /// What the demand alone calls for, before minimum, maximum and windows.
    pub wanted: u32,
}

/// Why a number was chosen; its name is a label of a metric and the reason of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
pub(crate) enum Reason {
    /// Autoscaling is off; the spec sets the number.
    ByHand,
    /// As many as the demand calls for.
    FollowsWork,
    /// The demand calls for fewer than the minimum.
    AtMinimum,
    /// The demand calls for more than the maximum.
    AtMaximum,
    /// The demand calls for fewer, but not for long enough.
    Stabilizing,
    /// There is no work, but not for long enough.
    IdleSoon,
    /// There has been no work for long enough.
    Idle,
    /// The demand is not known; the number stays.
    SchedulerUnreachable,
}

/// Decides how many executors there should be, and what to remember for the next time.
/// `demand` is `None` while the scheduler is unavailable.
pub(crate) fn decide(
    policy: &Policy,
    demand: Option<&Demand>,
    history: &History,
    now: Instant,
) -> (Decision, History) {
    if !policy.enabled {
        let decision = Decision {
            desired: policy.replicas,
            reason: Reason::ByHand,
            wanted: policy.replicas,
        };
        return (decision, History::starting_with(Some(policy.replicas)));
    }
    let current = history
        .current
        .unwrap_or(policy.min)
        .clamp(policy.min, policy.max);
    let Some(demand) = demand else {
        let decision = Decision {
            desired: current,
            reason: Reason::SchedulerUnreachable,
            wanted: current,
        };
        let mut history = history.clone();
        history.current = Some(current);
        history.idle_since = None; // what went on meanwhile is not known
        return (decision, history);
    };

    let idle_since = demand.is_idle().then(|| history.idle_since.unwrap_or(now));
    let wanted = match idle_since {
        Some(_) => 0,
        None => wanted(policy, demand),
    };
    let mut recent = history.wanted.clone();
    if recent.is_empty() {
        recent.push_back((now, current));
    }
    recent.push_back((now, wanted.clamp(policy.min, policy.max)));
    while recent
        .front()
        .is_some_and(|(at, _)| now.duration_since(*at) > policy.stabilization)
    {
        recent.pop_front();
    }
    let peak = recent.iter().map(|(_, n)| *n).max().unwrap_or(policy.min);

    let (desired, reason) = match idle_since {
        Some(since) if now.duration_since(since) >= policy.idle => {
            recent.clear();
            (policy.min, Reason::Idle)
        }
        // An idle cluster keeps one executor until it counts as idle: the next job may be near.
        Some(_) => match peak.max(1).min(current) {
            held if held > policy.min => (held, Reason::IdleSoon),
            _ => (policy.min, Reason::AtMinimum),
        },
        None if wanted > policy.max => (policy.max, Reason::AtMaximum),
        None if wanted >= current => (wanted.max(policy.min), floor_reason(policy, wanted)),
        None => match peak.min(current) {
            held if held > wanted.max(policy.min) => (held, Reason::Stabilizing),
            held => (held, floor_reason(policy, wanted)),
        },
    };
    let decision = Decision {
        desired,
        reason,
        wanted,
    };
    let history = History {
        current: Some(desired),
        wanted: recent,
        idle_since,
    };
    (decision, history)
}

fn floor_reason(policy: &Policy, wanted: u32) -> Reason {
    if wanted < policy.min {
        Reason::AtMinimum
    } else {
        Reason::FollowsWork
    }
}

/// Executors that the demand alone calls for; at least one while anything runs or waits.
///
/// Tasks beyond what the widest stage can use at once are of stages that come later. Jobs run beside each other,
/// so the width counts once for each.
fn wanted(policy: &Policy, demand: &Demand) -> u32 {
    let tasks = demand.tasks_running.saturating_add(demand.tasks_queued);
    let width = match demand.widest_stage {
        0 => tasks,
        width => width.saturating_mul(demand.jobs_running.max(1)),
    };
    tasks.min(width).div_ceil(policy.tasks_per_executor).max(1)
}

#[cfg(test)]
mod tests;
