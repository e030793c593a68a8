use retail_telemetry::metrics::SCALING;

use super::*;

fn policy() -> Policy {
    Policy {
        enabled: true,
        replicas: 3,
        min: 0,
        max: 10,
        tasks_per_executor: 2,
        stabilization: Duration::from_secs(120),
        idle: Duration::from_secs(600),
    }
}

/// jobs running, jobs queued, queries waiting, tasks running, tasks queued, widest stage
fn demand(numbers: [u32; 6]) -> Demand {
    let [
        jobs_running,
        jobs_queued,
        queries_waiting,
        tasks_running,
        tasks_queued,
        widest_stage,
    ] = numbers;
    Demand {
        jobs_running,
        jobs_queued,
        queries_waiting,
        tasks_running,
        tasks_queued,
        widest_stage,
        executors: vec![],
    }
}

const NOTHING: [u32; 6] = [0; 6];

#[test]
fn one_poll_decides_as_in_the_table() {
    use Reason::*;
    #[rustfmt::skip]
    let table = [
        // what                                    min max  now  demand                    desired reason
        ("a job arrives at nothing",                0, 10,  0, [1, 0, 0, 0, 0, 0],          1, FollowsWork),
        ("a job waits for others at nothing",       0, 10,  0, [0, 1, 0, 0, 0, 0],          1, FollowsWork),
        ("a query waits at nothing",                0, 10,  0, [0, 0, 1, 0, 0, 0],          1, FollowsWork),
        ("tasks wait at nothing: all at once",      0, 10,  0, [1, 0, 0, 0, 12, 12],        6, FollowsWork),
        ("running and queued tasks count together", 0, 10,  2, [1, 0, 0, 4, 12, 16],        8, FollowsWork),
        ("half an executor is a whole one",         0, 10,  1, [1, 0, 0, 2, 1, 3],          2, FollowsWork),
        ("no more than the widest stage can use",   0, 10,  2, [1, 0, 0, 4, 12, 8],         4, FollowsWork),
        ("each job has a stage of its own",         0, 10,  2, [2, 0, 0, 4, 12, 8],         8, FollowsWork),
        ("a width that is not known is no limit",   0, 10,  2, [1, 0, 0, 4, 12, 0],         8, FollowsWork),
        ("a query outside of jobs has width too",   0, 10,  1, [0, 0, 0, 4, 8, 6],          3, FollowsWork),
        ("never beyond the maximum",                0,  5,  2, [1, 0, 0, 4, 96, 100],       5, AtMaximum),
        ("exactly the maximum is no limit",         0,  5,  2, [1, 0, 0, 4, 6, 10],         5, FollowsWork),
        ("never below the minimum",                 3, 10,  3, [1, 0, 0, 1, 0, 1],          3, AtMinimum),
        ("a raised minimum counts at once",         4, 10,  1, [1, 0, 0, 1, 0, 1],          4, AtMinimum),
        ("a lowered maximum counts at once",        0,  2,  8, [1, 0, 0, 16, 0, 16],        2, AtMaximum),
        ("fewer are wanted: not yet",               0, 10,  8, [1, 0, 0, 4, 0, 4],          8, Stabilizing),
        ("as many as there are",                    0, 10,  2, [1, 0, 0, 4, 0, 4],          2, FollowsWork),
        ("between two stages one stays wanted",     0, 10,  1, [1, 0, 0, 0, 0, 0],          1, FollowsWork),
        ("idle since just now: all stay",           0, 10,  4, NOTHING,                     4, IdleSoon),
        ("idle at nothing: nothing",                0, 10,  0, NOTHING,                     0, AtMinimum),
        ("idle at the minimum",                     2, 10,  2, NOTHING,                     2, AtMinimum),
        ("numbers beyond reason",                   0, 10,  1, [9, 0, 0, u32::MAX, 9, u32::MAX], 10, AtMaximum),
    ];
    for (what, min, max, current, numbers, desired, reason) in table {
        let policy = Policy {
            min,
            max,
            ..policy()
        };
        let history = History::starting_with(Some(current));
        let (decision, history) = decide(&policy, Some(&demand(numbers)), &history, Instant::now());
        assert_eq!(
            (decision.desired, decision.reason),
            (desired, reason),
            "{what}"
        );
        assert_eq!(history.current, Some(desired), "{what}");
    }
}

/// Decides at each second of `polls` and gives the numbers.
fn over_time(
    policy: &Policy,
    current: u32,
    polls: &[(u64, Option<[u32; 6]>)],
) -> Vec<(u32, Reason)> {
    let start = Instant::now();
    let mut history = History::starting_with(Some(current));
    let mut seen = vec![];
    for (second, numbers) in polls {
        let demand = numbers.map(demand);
        let now = start + Duration::from_secs(*second);
        let (decision, next) = decide(policy, demand.as_ref(), &history, now);
        history = next;
        seen.push((decision.desired, decision.reason));
    }
    seen
}

const SMALL: Option<[u32; 6]> = Some([1, 0, 0, 4, 0, 4]);
const LARGE: Option<[u32; 6]> = Some([1, 0, 0, 12, 0, 12]);
const IDLE: Option<[u32; 6]> = Some(NOTHING);

#[test]
fn executors_are_removed_only_after_fewer_were_enough_for_the_whole_window() {
    let polls = [
        (0, LARGE),
        (10, SMALL),
        (60, SMALL),
        (120, SMALL),
        (121, SMALL),
    ];
    assert_eq!(
        over_time(&policy(), 6, &polls),
        [
            (6, Reason::FollowsWork),
            (6, Reason::Stabilizing),
            (6, Reason::Stabilizing),
            (6, Reason::Stabilizing),
            (2, Reason::FollowsWork),
        ]
    );
}

#[test]
fn a_peak_within_the_window_starts_it_anew() {
    let polls = [
        (0, LARGE),
        (60, SMALL),
        (100, LARGE),
        (200, SMALL),
        (221, SMALL),
    ];
    let seen = over_time(&policy(), 6, &polls);
    assert_eq!(seen[3], (6, Reason::Stabilizing));
    assert_eq!(seen[4], (2, Reason::FollowsWork));
}

#[test]
fn without_a_window_executors_are_removed_at_once() {
    let policy = Policy {
        stabilization: Duration::ZERO,
        ..policy()
    };
    let polls = [(0, LARGE), (1, SMALL)];
    assert_eq!(over_time(&policy, 6, &polls)[1], (2, Reason::FollowsWork));
}

#[test]
fn an_idle_cluster_goes_down_to_one_and_then_to_nothing() {
    let polls = [
        (0, LARGE),
        (10, IDLE),
        (131, IDLE),
        (609, IDLE),
        (610, IDLE),
        (620, LARGE),
    ];
    assert_eq!(
        over_time(&policy(), 6, &polls),
        [
            (6, Reason::FollowsWork),
            (6, Reason::IdleSoon),
            (1, Reason::IdleSoon),
            (1, Reason::IdleSoon),
            (0, Reason::Idle),
            (6, Reason::FollowsWork),
        ]
    );
}

#[test]
fn work_starts_the_idle_time_anew() {
    let polls = [
        (0, IDLE),
        (500, SMALL),
        (510, IDLE),
        (1000, IDLE),
        (1110, IDLE),
    ];
    let seen = over_time(&policy(), 2, &polls);
    assert_eq!(seen[3], (1, Reason::IdleSoon));
    assert_eq!(seen[4], (0, Reason::Idle));
}

#[test]
fn an_unreachable_scheduler_changes_nothing_and_is_not_idleness() {
    let polls = [
        (0, IDLE),
        (300, None),
        (599, None),
        (610, IDLE),
        (1209, IDLE),
        (1210, IDLE),
    ];
    assert_eq!(
        over_time(&policy(), 4, &polls),
        [
            (4, Reason::IdleSoon),
            (4, Reason::SchedulerUnreachable),
            (4, Reason::SchedulerUnreachable),
            (1, Reason::IdleSoon),
            (1, Reason::IdleSoon),
            (0, Reason::Idle),
        ]
    );
}

#[test]
fn limits_hold_while_the_scheduler_is_unreachable() {
    let policy = Policy {
        min: 2,
        max: 3,
        ..policy()
    };
    assert_eq!(
        over_time(&policy, 9, &[(0, None)]),
        [(3, Reason::SchedulerUnreachable)]
    );
    assert_eq!(
        over_time(&policy, 0, &[(0, None)]),
        [(2, Reason::SchedulerUnreachable)]
    );
}

#[test]
fn a_new_leader_takes_nothing_away_at_once() {
    assert_eq!(
        over_time(&policy(), 7, &[(0, SMALL)]),
        [(7, Reason::Stabilizing)]
    );
}

#[test]
fn a_cluster_that_has_nothing_begins_with_its_minimum() {
    let policy = Policy { min: 2, ..policy() };
    let (decision, _) = decide(&policy, None, &History::default(), Instant::now());
    assert_eq!(decision.desired, 2);
}

#[test]
fn with_autoscaling_off_the_spec_sets_the_number() {
    let policy = Policy {
        enabled: false,
        ..policy()
    };
    assert_eq!(
        over_time(&policy, 9, &[(0, LARGE), (1, None)]),
        [(3, Reason::ByHand); 2]
    );
}

#[test]
fn every_reason_to_scale_is_a_label_that_the_list_of_metrics_knows() {
    let reasons: Vec<&str> = Reason::VARIANTS.iter().map(Into::into).collect();
    assert_eq!(reasons, SCALING);
}
