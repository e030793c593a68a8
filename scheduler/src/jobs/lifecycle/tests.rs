use super::*;

fn accepted(lifecycle: &mut Lifecycle, id: &str, position: u32, now: Instant) {
    let event = Event::Accepted {
        id: id.into(),
        project: "shop".to_owned(),
        position,
        trace_id: None,
    };
    lifecycle.on(event, now);
}

fn start(id: &str) -> Event {
    Event::Turn {
        id: id.into(),
        turn: Turn::Start {
            waited: Duration::ZERO,
        },
    }
}

/// The ids of the jobs that are stopped.
fn stopped(actions: &[Action]) -> Vec<&str> {
    let ids = actions.iter().filter_map(|action| match action {
        Action::Cancel { id } => Some(id.as_str()),
        _ => None,
    });
    ids.collect()
}

/// The final state that is recorded, and how long the job ran.
fn ended(actions: &[Action]) -> Option<(JobState, Option<Duration>)> {
    match actions {
        [
            Action::Record {
                kind: EventKind::Finished { state, .. },
            },
            Action::Leave { state: left, ran },
        ] if state == left => Some((*state, *ran)),
        _ => None,
    }
}

#[test]
fn a_scheduler_that_stops_lets_jobs_run_whose_turn_has_come() {
    let now = Instant::now();
    let mut lifecycle = Lifecycle::new(None);
    for (id, position) in [("a", 0), ("b", 0), ("c", 1)] {
        accepted(&mut lifecycle, id, position, now);
    }
    lifecycle.on(start("a"), now);
    assert_eq!(stopped(&lifecycle.on(Event::Stop, now)), ["c"]);
    let started = lifecycle.on(start("b"), now);
    assert!(matches!(started[..], [Action::Drive { .. }]), "{started:?}");
    assert_eq!(
        stopped(&lifecycle.on(Event::GraceOver, now)),
        ["a", "b", "c"]
    );
    let ends = lifecycle.on(Event::Stopped { id: "c".into() }, now);
    assert_eq!(ended(&ends), Some((JobState::Interrupted, None)));
}

#[test]
fn a_job_whose_turn_comes_after_it_was_cancelled_ends_without_running() {
    let now = Instant::now();
    let mut lifecycle = Lifecycle::new(None);
    accepted(&mut lifecycle, "a", 1, now);
    let cancel = || Event::Cancel { id: "a".into() };
    assert_eq!(stopped(&lifecycle.on(cancel(), now)), ["a"]);
    let ends = lifecycle.on(start("a"), now);
    assert_eq!(ended(&ends), Some((JobState::Cancelled, None)));
    assert!(lifecycle.on(cancel(), now).is_empty());
    assert!(lifecycle.on(start("a"), now).is_empty());
}

#[test]
fn a_cancelled_job_that_has_published_succeeded() {
    let now = Instant::now();
    let mut lifecycle = Lifecycle::new(None);
    accepted(&mut lifecycle, "a", 0, now);
    lifecycle.on(start("a"), now);
    lifecycle.on(Event::Cancel { id: "a".into() }, now);
    let event = Event::DriverEnded {
        id: "a".into(),
        outcome: Ok(JobSummary::default()),
    };
    let ran = Duration::from_secs(3);
    let ends = lifecycle.on(event, now + ran);
    assert_eq!(ended(&ends), Some((JobState::Succeeded, Some(ran))));
}

#[test]
fn a_job_that_was_stored_while_the_scheduler_began_to_stop_is_stopped() {
    let now = Instant::now();
    for event in [Event::Stop, Event::TakenOver] {
        let mut lifecycle = Lifecycle::new(None);
        lifecycle.on(event, now);
        assert!(lifecycle.refusal().is_some());
        let event = Event::Accepted {
            id: "a".into(),
            project: "shop".to_owned(),
            position: 0,
            trace_id: None,
        };
        assert_eq!(stopped(&lifecycle.on(event, now)), ["a"]);
    }
}
