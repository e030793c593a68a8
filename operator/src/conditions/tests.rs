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

fn findings<'a>(
    demand: &'a Result<Demand, String>,
    decision: Decision,
    executors: i32,
    ready: i32,
) -> Findings<'a> {
    Findings {
        generation: 3,
        decision,
        max: 5,
        executors,
        ready,
        updated: executors,
        demand,
        diagnosis: None,
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
        &findings(&demand, decision(2, Reason::ByHand, 2), 2, 2),
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
fn conditions_distinguish_states() {
    let idle = Ok(Demand::default());
    let silent = Err("no answer".to_owned());
    let diagnosis = Diagnosis::new("ImagePullFailed", "no such image");
    let busy = decision(5, Reason::AtMaximum, 9);
    for (findings, expected) in [
        (
            findings(&idle, decision(0, Reason::Idle, 0), 0, 0),
            "Ready=True ScaledToZero",
        ),
        (findings(&idle, busy, 5, 3), "Ready=False Starting"),
        (findings(&idle, busy, 3, 3), "Progressing=True ScalingUp"),
        (findings(&idle, busy, 7, 7), "Progressing=True ScalingDown"),
        (findings(&idle, busy, 5, 5), "ScalingLimited=True AtMaximum"),
        (
            Findings {
                updated: 1,
                ..findings(&idle, busy, 5, 5)
            },
            "Progressing=True RollingOut",
        ),
        (
            Findings {
                diagnosis: Some(&diagnosis),
                ..findings(&idle, busy, 5, 0)
            },
            "Ready=False ImagePullFailed",
        ),
        (
            findings(&silent, decision(2, Reason::SchedulerUnreachable, 2), 2, 2),
            "SchedulerReachable=False Unreachable",
        ),
        (
            findings(&silent, decision(2, Reason::SchedulerUnreachable, 2), 2, 2),
            "ScalingLimited=True SchedulerUnreachable",
        ),
    ] {
        let found = summary(&conditions(&findings, &[], at(0)));
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
        &findings(&demand, decision(2, Reason::ByHand, 2), 2, 1),
        &[],
        at(10),
    );
    let second = conditions(
        &findings(&demand, decision(2, Reason::ByHand, 2), 2, 2),
        &first,
        at(20),
    );
    let times: Vec<_> = second
        .iter()
        .map(|c| c.last_transition_time.0.as_second())
        .collect();
    assert_eq!(times, [20, 10, 10, 10]);
}
