use super::*;

/// 2026-11-20T18:20:11Z.
const NOW: i64 = 1_795_198_811_000_000;

fn planned(model: &str, depends_on: &[&str]) -> PlannedModel {
    let materialized = if model.contains("obt_") {
        "view"
    } else {
        "table"
    };
    PlannedModel {
        model: model.into(),
        materialized: materialized.into(),
        path: format!("models/{}.sql", model.replace('.', "/")),
        depends_on: depends_on.iter().map(|name| name.to_string()).collect(),
    }
}

fn plan() -> EventKind {
    EventKind::Planned {
        project: "retail".into(),
        models: vec![
            planned("staging.stg_orders", &[]),
            planned("marts.fact_order_items", &["stg_orders"]),
            planned("marts.obt_sellers", &["marts.fact_order_items"]),
        ],
        executors: 3,
        slots: 12,
    }
}

fn staged(model: &str, rows: u64, bytes: u64) -> EventKind {
    EventKind::ModelStaged {
        model: model.into(),
        rows,
        bytes,
        files: 4,
        stages: 2,
        elapsed_ms: 1_200,
    }
}

fn published(table: &str, rows: u64, rows_before: Option<u64>) -> PublishedTable {
    let materialized = if table.contains("obt_") {
        "view"
    } else {
        "table"
    };
    PublishedTable {
        table: table.into(),
        materialized: materialized.into(),
        rows,
        rows_before,
        snapshot_id: Some(retail_api::SnapshotId(1)),
        elapsed_ms: 5,
    }
}

fn view() -> View {
    View::new("7f3a", Paint::OFF, 80, "retail-submit sql")
}

/// Feeds events 100 ms apart; returns the lines a pipe shows.
fn feed(view: &mut View, events: impl IntoIterator<Item = EventKind>) -> Vec<String> {
    let mut out = vec![];
    for (i, kind) in events.into_iter().enumerate() {
        let time_us = NOW + i as i64 * 100_000;
        let event = JobEvent {
            job_id: "7f3a".into(),
            seq: i as u64 + 1,
            time_us,
            kind,
        };
        out.extend(
            view.on(&event, time_us)
                .into_iter()
                .filter(|line| line.level >= Level::Still)
                .map(|line| line.text),
        );
    }
    out
}

#[test]
fn a_run_is_a_line_per_model_and_a_summary() {
    let lines = feed(
        &mut view(),
        [
            EventKind::Queued {
                project: "retail".into(),
                position: 1,
                trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            },
            plan(),
            EventKind::AttemptStarted { attempt: 1 },
            EventKind::ModelStarted {
                model: "staging.stg_orders".into(),
                attempt: 1,
            },
            staged("staging.pulled_in", 0, 0),
            staged("staging.stg_orders", 1_000_000, 118_000_000),
            staged("marts.fact_order_items", 3_001_346, 301_000_000),
            staged("marts.obt_sellers", 0, 0),
            EventKind::Published {
                tables: vec![
                    published("staging.stg_orders", 1_000_000, Some(1_000_000)),
                    published("marts.fact_order_items", 3_001_346, Some(1_797_015)),
                    published("marts.obt_sellers", 0, None),
                ],
                elapsed_ms: 12,
            },
            EventKind::Finished {
                state: JobState::Succeeded,
                failure: None,
                elapsed_ms: 9_400,
            },
        ],
    );
    assert_eq!(
        lines,
        [
            "job 7f3a  retail  3 models  3 executors (12 slots)   trace 4bf92f35…",
            "  ✓ staging.stg_orders      1,000,000 rows    118 MB    1.2 s   2 stages",
            "  ✓ marts.fact_order_items  3,001,346 rows    301 MB    1.2 s   2 stages",
            "  ✓ marts.obt_sellers                 view              1.2 s   2 stages",
            "published 3 tables at once · snapshot set 2026-11-20T18:20:11Z · 9.4 s",
            "  what changed: fact_order_items +1,204,331 rows, 1 table with as many rows as",
            "    before",
            "  look: retail-submit sql \"select * from marts.fact_order_items limit 10\"",
        ]
    );
}

#[test]
fn a_failed_model_leaves_its_failure_in_the_outcome_once() {
    let mut view = view();
    let failure = Failure::new(
        FailureKind::Project,
        "cannot plan model marts.fact_order_items",
    );
    let reported = failure.clone().unpublished(Unpublished::Everything);
    let lines = feed(
        &mut view,
        [
            plan(),
            EventKind::ModelFailed {
                model: "marts.fact_order_items".into(),
                failure: Box::new(failure),
            },
            EventKind::ModelSkipped {
                model: "marts.obt_sellers".into(),
                because: "marts.fact_order_items failed".into(),
            },
            EventKind::Finished {
                state: JobState::Failed,
                failure: Some(Box::new(reported.clone())),
                elapsed_ms: 2_100,
            },
        ],
    );
    assert_eq!(
        lines[1..],
        [
            "  ✗ marts.fact_order_items  failed",
            "  - marts.obt_sellers       skipped: marts.fact_order_items failed",
        ]
    );
    let outcome = view.outcome().unwrap();
    assert_eq!(
        (outcome.state, outcome.failures.as_slice()),
        (JobState::Failed, [reported].as_slice())
    );
}

#[test]
fn a_new_attempt_forgets_the_failures_of_the_last() {
    let mut view = view();
    let failure = Failure::new(FailureKind::Publish, "another run published first");
    let lines = feed(
        &mut view,
        [
            plan(),
            EventKind::ModelFailed {
                model: "staging.stg_orders".into(),
                failure: Box::new(failure),
            },
            EventKind::AttemptStarted { attempt: 2 },
            EventKind::Finished {
                state: JobState::Succeeded,
                failure: None,
                elapsed_ms: 300,
            },
        ],
    );
    assert_eq!(lines[2..], ["  ↻ attempt 2", "nothing to publish · 300 ms"]);
    assert!(view.outcome().unwrap().failures.is_empty());
}

#[test]
fn a_cancelled_or_interrupted_job_reports_that_nothing_was_published() {
    for (state, message) in [
        (JobState::Cancelled, "job 7f3a was cancelled"),
        (
            JobState::Interrupted,
            "the scheduler ended while the job ran",
        ),
    ] {
        let mut view = view();
        feed(
            &mut view,
            [EventKind::Finished {
                state,
                failure: None,
                elapsed_ms: 1,
            }],
        );
        let failure = view.outcome().unwrap().failures[0].clone();
        assert_eq!(failure.message, message);
        assert!(failure.unpublished.is_some());
    }
}

#[test]
fn waiting_is_said_once_in_a_pipe_and_counts_up_on_a_terminal() {
    let mut view = view();
    let waiting = || EventKind::Waiting {
        reason: "no executor has a free slot (0 of 0); job 7f3a is queued first".into(),
    };
    let lines = feed(&mut view, [waiting(), waiting(), waiting()]);
    assert_eq!(
        lines,
        ["waiting: no executor has a free slot (0 of 0); job 7f3a is queued first"]
    );
    assert_eq!(
        view.live(NOW + 12_000_000, 20),
        [
            "waiting: no executor has a free slot (0 of 0); job 7f3a is queued first · 12 s ·",
            "  Ctrl-C stops watching, the job stays",
        ]
    );
}

#[test]
fn the_moving_part_shows_what_runs_and_what_the_others_wait_for() {
    let mut view = view();
    let progress = |tasks_done, rows| {
        EventKind::StageProgress(StageProgress {
            model: "marts.fact_order_items".into(),
            stage: 2,
            stages: 3,
            tasks_done,
            tasks: 12,
            rows,
            ..Default::default()
        })
    };
    feed(
        &mut view,
        [
            plan(),
            staged("staging.stg_orders", 1, 1),
            EventKind::ModelStarted {
                model: "marts.fact_order_items".into(),
                attempt: 1,
            },
            progress(0, 0),
            progress(5, 100_000),
            progress(10, 380_000),
        ],
    );
    assert_eq!(
        view.live(NOW + 300_000, 20),
        [
            "  ⠸ marts.fact_order_items  stage 2 of 3  ━━━━━━━━━━╸━━━━━━  61 %   1.9 M rows/s",
            "  · marts.obt_sellers       waits for fact_order_items",
        ]
    );
    assert_eq!(view.live(NOW, 1).len(), 1);
    view.width = 60;
    assert!(
        view.live(NOW, 20)
            .iter()
            .all(|line| line.chars().count() <= 64),
        "{:?}",
        view.live(NOW, 20)
    );
}

#[test]
fn many_waiting_models_become_a_number() {
    let mut view = view();
    let models = (0..30)
        .map(|i| planned(&format!("marts.m{i}"), &[]))
        .collect();
    feed(
        &mut view,
        [EventKind::Planned {
            project: "p".into(),
            models,
            executors: 1,
            slots: 2,
        }],
    );
    let live = view.live(NOW, 10);
    assert_eq!(
        (live.len(), live.last().unwrap().as_str()),
        (9, "  · 22 more wait")
    );
}

#[test]
fn late_progress_does_not_bring_an_ended_model_back() {
    let mut view = view();
    let late = StageProgress {
        model: "staging.stg_orders".into(),
        stage: 1,
        stages: 1,
        ..Default::default()
    };
    feed(
        &mut view,
        [
            plan(),
            staged("staging.stg_orders", 1, 1),
            EventKind::StageProgress(late),
        ],
    );
    assert!(
        !view
            .live(NOW, 20)
            .iter()
            .any(|line| line.contains("stg_orders "))
    );
}

#[test]
fn tests_that_do_not_pass_have_a_line_and_the_summary_counts_all() {
    let result = |name: &str, state: TestState, failures| {
        let failure = Failure::new(
            FailureKind::Test,
            format!("test {name} failed: {failures} rows"),
        )
        .at("models/s.yml", 7, 0);
        TestResult {
            test: name.into(),
            about: "m.orders".into(),
            column: None,
            path: "models/s.yml".into(),
            line: 7,
            state,
            failures,
            elapsed_ms: 3,
            failure: (state != TestState::Passed).then(|| Box::new(failure)),
        }
    };
    let started = EventKind::TestsStarted {
        tests: 3,
        queries: 2,
    };
    let warned = EventKind::Tested {
        results: vec![
            result("a", TestState::Passed, 0),
            result("b", TestState::Warned, 2),
        ],
        elapsed_ms: 5,
    };
    let published = EventKind::Published {
        tables: vec![published("m.orders", 4, None)],
        elapsed_ms: 1,
    };
    let finished = |state, failure| EventKind::Finished {
        state,
        failure,
        elapsed_ms: 400,
    };
    let mut good = view();
    let lines = feed(
        &mut good,
        [
            plan(),
            started.clone(),
            warned,
            published,
            finished(JobState::Succeeded, None),
        ],
    );
    assert_eq!(lines[1], "  · 3 tests in 2 queries");
    assert_eq!(lines[2], "  ! test b failed: 2 rows   models/s.yml:7");
    assert!(
        lines[3].ends_with("· 400 ms · 1 of 2 tests passed, 1 warn"),
        "{}",
        lines[3]
    );

    let mut bad = view();
    let failed = EventKind::Tested {
        results: vec![
            result("a", TestState::Failed, 1),
            result("b", TestState::Failed, 2),
        ],
        elapsed_ms: 5,
    };
    let job = Failure::new(FailureKind::Test, "2 of 2 tests failed");
    let lines = feed(
        &mut bad,
        [
            plan(),
            started,
            failed,
            finished(JobState::Failed, Some(Box::new(job))),
        ],
    );
    assert_eq!(lines[2], "  ✗ test a failed: 1 rows   models/s.yml:7");
    let failures = &bad.outcome().unwrap().failures;
    let messages: Vec<&str> = failures.iter().map(|f| f.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "test a failed: 1 rows",
            "test b failed: 2 rows",
            "2 of 2 tests failed"
        ]
    );
}
