use super::*;

fn decision(desired: u32, reason: Reason, wanted: u32) -> Decision {
    Decision {
        desired,
        reason,
        wanted,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn seen<'a>(
    demand: &'a Result<Demand, String>,
    decision: Decision,
    executors: i32,
    ready: i32,
) -> Seen<'a> {
    Seen {
        generation: 3,
        decision,
        max: 5,
        executors,
        ready,
        updated: executors,
        demand,
        trouble: None,
    }
}

fn summary(conditions: &[Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|c| format!("{}={} {}", c.type_, c.status, c.reason))
        .collect()
}

#[test]
fn a_settled_cluster_is_ready_and_nothing_else() {
    let demand = Ok(Demand::default());
    let found = conditions(
        &seen(&demand, decision(2, Reason::ByHand, 2), 2, 2),
        &[],
        at(0),
    );
    assert_eq!(
        summary(&found),
        [
            "Ready=True AllReady",
            "Progressing=False Settled",
            "SchedulerReachable=True Answers",
            "ScalingLimited=False ByHand"
        ]
    );
}

#[test]
fn conditions_tell_states_apart() {
    let idle = Ok(Demand::default());
    let silent = Err("no answer".to_owned());
    let trouble = Trouble::new("ImagePullFailed", "no such image");
    let busy = decision(5, Reason::AtMaximum, 9);
    for (seen, expected) in [
        (
            seen(&idle, decision(0, Reason::Idle, 0), 0, 0),
            "Ready=True ScaledToZero",
        ),
        (seen(&idle, busy, 5, 3), "Ready=False Starting"),
        (seen(&idle, busy, 3, 3), "Progressing=True ScalingUp"),
        (seen(&idle, busy, 7, 7), "Progressing=True ScalingDown"),
        (seen(&idle, busy, 5, 5), "ScalingLimited=True AtMaximum"),
        (
            Seen {
                updated: 1,
                ..seen(&idle, busy, 5, 5)
            },
            "Progressing=True RollingOut",
        ),
        (
            Seen {
                trouble: Some(&trouble),
                ..seen(&idle, busy, 5, 0)
            },
            "Ready=False ImagePullFailed",
        ),
        (
            seen(&silent, decision(2, Reason::SchedulerUnreachable, 2), 2, 2),
            "SchedulerReachable=False Unreachable",
        ),
        (
            seen(&silent, decision(2, Reason::SchedulerUnreachable, 2), 2, 2),
            "ScalingLimited=True SchedulerUnreachable",
        ),
    ] {
        let found = summary(&conditions(&seen, &[], at(0)));
        assert!(
            found.contains(&expected.to_owned()),
            "{expected} is not in {found:?}"
        );
    }
}

#[test]
fn a_condition_keeps_the_time_of_its_last_change() {
    let demand = Ok(Demand::default());
    let first = conditions(
        &seen(&demand, decision(2, Reason::ByHand, 2), 2, 1),
        &[],
        at(10),
    );
    let second = conditions(
        &seen(&demand, decision(2, Reason::ByHand, 2), 2, 2),
        &first,
        at(20),
    );
    let times: Vec<_> = second
        .iter()
        .map(|c| c.last_transition_time.0.as_second())
        .collect();
    assert_eq!(times, [20, 10, 10, 10]);
}

#[test]
fn only_changes_are_news() {
    let (demand, silent) = (Ok(Demand::default()), Err("no answer".to_owned()));
    let settled = conditions(
        &seen(&demand, decision(2, Reason::FollowsWork, 2), 2, 2),
        &[],
        at(0),
    );
    assert_eq!(news(&[], &settled), []);
    assert_eq!(news(&settled, &settled), []);
    let trouble = Trouble::new("CrashLoop", "pod a ended");
    let broken = Seen {
        trouble: Some(&trouble),
        ..seen(&silent, decision(2, Reason::SchedulerUnreachable, 2), 2, 0)
    };
    let broken = conditions(&broken, &settled, at(1));
    let reasons: Vec<_> = news(&settled, &broken)
        .into_iter()
        .map(|n| (n.warning, n.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (true, "CrashLoop".to_owned()),
            (true, "SchedulerUnreachable".to_owned())
        ]
    );
    let reasons: Vec<_> = news(&broken, &settled)
        .into_iter()
        .map(|n| (n.warning, n.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (false, "Ready".to_owned()),
            (false, "SchedulerReachable".to_owned())
        ]
    );
}

#[test]
fn the_event_of_scaling_says_from_to_and_why() {
    let demand = Ok(Demand {
        tasks_running: 4,
        tasks_queued: 12,
        jobs_running: 1,
        ..Demand::default()
    });
    let news = scaled(2, decision(8, Reason::FollowsWork, 8), &demand).unwrap();
    assert_eq!(news.reason, "ScaledUp");
    assert_eq!(
        news.note,
        "2 to 8 executors (FollowsWork): 4 tasks run, 12 wait, 1 jobs run, 0 jobs and 0 queries wait"
    );
    assert_eq!(
        scaled(8, decision(8, Reason::FollowsWork, 8), &demand),
        None
    );
}
