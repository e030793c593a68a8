use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::*;

fn condition(type_: &str, status: &str, reason: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: format!("because of {reason}"),
        observed_generation: None,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

fn decision(desired: u32) -> Decision {
    Decision {
        desired,
        reason: Reason::FollowsWork,
        wanted: desired,
    }
}

#[test]
fn only_changes_become_events() {
    let settled = [
        condition("Ready", "True", "AllReady"),
        condition("Progressing", "False", "Settled"),
        condition("SchedulerReachable", "True", "Answers"),
        condition("ScalingLimited", "False", "FollowsWork"),
    ];
    let broken = [
        condition("Ready", "False", "CrashLoop"),
        condition("Progressing", "True", "ScalingUp"),
        condition("SchedulerReachable", "False", "Unreachable"),
        condition("ScalingLimited", "True", "SchedulerUnreachable"),
    ];
    assert_eq!(of_conditions(&[], &settled), []);
    assert_eq!(of_conditions(&settled, &settled), []);
    assert_eq!(
        of_conditions(&settled, &broken),
        [
            StatusEvent::warning("CrashLoop", "because of CrashLoop"),
            StatusEvent::warning("SchedulerUnreachable", "because of Unreachable"),
        ]
    );
    assert_eq!(
        of_conditions(&broken, &settled),
        [
            StatusEvent::normal("Ready", "because of AllReady"),
            StatusEvent::normal("SchedulerReachable", "because of Answers"),
        ]
    );
}

#[test]
fn the_event_of_scaling_has_both_numbers_and_the_reason() {
    let demand = Ok(Demand {
        tasks_running: 4,
        tasks_queued: 12,
        jobs_running: 1,
        ..Demand::default()
    });
    let event = of_scaling(2, decision(8), &demand).unwrap();
    assert_eq!(
        event,
        StatusEvent::normal(
            "ScaledUp",
            "2 to 8 executors (FollowsWork): 4 tasks run, 12 wait, 1 jobs run, 0 jobs and 0 queries wait"
        )
    );
    assert_eq!(of_scaling(8, decision(8), &demand), None);
}

#[test]
fn events_that_differ_in_their_notes_alone_are_different_events() {
    let action = |note: &str| StatusEvent::normal("ScaledUp", note).to_kubernetes().action;
    assert_ne!(action("1 to 2 executors"), action("2 to 3 executors"));
}
