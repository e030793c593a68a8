use super::*;
use retail_engine::{ExecutorState, Work};

fn a_failure() -> Failure {
    let mut failure = Failure::new(FailureKind::Source, "cannot read raw.orders")
        .model("staging.stg_orders")
        .at("models/sources.yml", 3, 8)
        .snippet_of("a\nb\n  path: x.csv", 4)
        .cause("no such file")
        .note("put it there")
        .caused_by(&std::io::Error::other("disk"))
        .retryable(true);
    failure.stage = 2;
    failure
}

#[test]
fn a_refused_call_carries_the_whole_failure() {
    let status = status_of(a_failure());
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(
        status.message(),
        "cannot read raw.orders at models/sources.yml:3:8: no such file"
    );
    let wire = v1::Failure::decode(status.details()).unwrap();
    assert_eq!(wire.kind(), v1::FailureKind::Source);
    assert_eq!(
        (
            wire.file.as_str(),
            wire.line,
            wire.column,
            wire.span,
            wire.stage
        ),
        ("models/sources.yml", 3, 8, 4, 2)
    );
    assert_eq!(
        (wire.snippet.as_str(), wire.cause.as_str()),
        ("  path: x.csv", "no such file")
    );
    assert_eq!(
        (wire.notes, wire.chain),
        (vec!["put it there".to_owned()], vec!["disk".to_owned()])
    );
    assert!(
        wire.retryable
            && wire.model == "staging.stg_orders"
            && wire.message == "cannot read raw.orders"
    );
}

#[test]
fn every_kind_of_failure_has_a_status() {
    for (kind, code) in [
        (FailureKind::Project, Code::InvalidArgument),
        (FailureKind::Source, Code::FailedPrecondition),
        (FailureKind::Execution, Code::Internal),
        (FailureKind::Publish, Code::Aborted),
        (FailureKind::Storage, Code::Unavailable),
        (FailureKind::NoExecutor, Code::Unavailable),
        (FailureKind::Cancelled, Code::Cancelled),
        (FailureKind::Internal, Code::Internal),
    ] {
        let status = status_of(Failure::new(kind, "x"));
        assert_eq!(status.code(), code);
        assert_ne!(
            v1::Failure::decode(status.details()).unwrap().kind(),
            v1::FailureKind::Unspecified
        );
    }
}

/// A wire event after a trip through bytes.
fn wired(kind: EventKind) -> v1::job_event::Event {
    let wire = event(JobEvent {
        job_id: "7f3a".to_owned(),
        seq: 4,
        time_us: 5,
        kind,
    });
    let back = v1::JobEvent::decode(wire.encode_to_vec().as_slice()).unwrap();
    assert_eq!(
        (back.job_id.as_str(), back.seq, back.time_us),
        ("7f3a", 4, 5)
    );
    back.event.unwrap()
}

#[test]
fn every_event_arrives_with_all_it_says() {
    use v1::job_event::Event;
    let text = |text: &str| text.to_owned();
    let planned = PlannedModel {
        model: text("a.b"),
        materialized: text("table"),
        path: text("models/b.sql"),
        depends_on: vec![text("a.a")],
    };
    let published = PublishedTable {
        table: text("a.b"),
        materialized: text("table"),
        rows: 1,
        rows_before: -1,
        snapshot_id: i64::MIN,
        elapsed_ms: 2,
    };
    let progress = StageProgress {
        model: text("a.b"),
        stage: 1,
        stages: 2,
        tasks_done: 3,
        tasks: 4,
        tasks_retried: 5,
        rows: u64::MAX,
        bytes: 7,
    };
    let failure = || Box::new(a_failure());
    let wire_failure = || Some(super::failure(a_failure()));
    for (kind, expected) in [
        (
            EventKind::Queued {
                project: text("p"),
                position: 2,
                trace_id: text("4bf9"),
            },
            Event::Queued(v1::JobQueued {
                project: text("p"),
                position: 2,
                trace_id: text("4bf9"),
            }),
        ),
        (
            EventKind::Planned {
                project: text("p"),
                models: vec![planned.clone()],
                executors: 3,
                slots: 12,
            },
            Event::Planned(v1::JobPlanned {
                project: text("p"),
                models: vec![v1::PlannedModel {
                    model: planned.model,
                    materialized: planned.materialized,
                    path: planned.path,
                    depends_on: planned.depends_on,
                }],
                executors: 3,
                slots: 12,
            }),
        ),
        (
            EventKind::Waiting { reason: text("r") },
            Event::Waiting(v1::Waiting { reason: text("r") }),
        ),
        (
            EventKind::AttemptStarted {
                attempt: 2,
                reason: text("r"),
            },
            Event::AttemptStarted(v1::AttemptStarted {
                attempt: 2,
                reason: text("r"),
            }),
        ),
        (
            EventKind::ModelStarted {
                model: text("a.b"),
                attempt: 2,
            },
            Event::ModelStarted(v1::ModelStarted {
                model: text("a.b"),
                attempt: 2,
            }),
        ),
        (
            EventKind::StageProgress(progress),
            Event::StageProgress(v1::StageProgress {
                model: text("a.b"),
                stage: 1,
                stages: 2,
                tasks_done: 3,
                tasks: 4,
                tasks_retried: 5,
                rows: u64::MAX,
                bytes: 7,
            }),
        ),
        (
            EventKind::ModelStaged {
                model: text("a.b"),
                rows: 1,
                bytes: 2,
                files: 3,
                stages: 4,
                elapsed_ms: 5,
                note: text("n"),
            },
            Event::ModelStaged(v1::ModelStaged {
                model: text("a.b"),
                rows: 1,
                bytes: 2,
                files: 3,
                stages: 4,
                elapsed_ms: 5,
                note: text("n"),
            }),
        ),
        (
            EventKind::ModelFailed {
                model: text("a.b"),
                failure: failure(),
            },
            Event::ModelFailed(v1::ModelFailed {
                model: text("a.b"),
                failure: wire_failure(),
            }),
        ),
        (
            EventKind::ModelSkipped {
                model: text("a.b"),
                because: text("c"),
            },
            Event::ModelSkipped(v1::ModelSkipped {
                model: text("a.b"),
                because: text("c"),
            }),
        ),
        (
            EventKind::Published {
                tables: vec![published],
                elapsed_ms: 9,
            },
            Event::Published(v1::Published {
                tables: vec![v1::PublishedTable {
                    table: text("a.b"),
                    rows: 1,
                    rows_before: -1,
                    snapshot_id: i64::MIN,
                    elapsed_ms: 2,
                    materialized: text("table"),
                }],
                elapsed_ms: 9,
            }),
        ),
        (
            EventKind::TestsStarted {
                tests: 3,
                queries: 2,
            },
            Event::TestsStarted(v1::TestsStarted {
                tests: 3,
                queries: 2,
            }),
        ),
        (
            EventKind::Tested {
                results: vec![a_test()],
                elapsed_ms: 9,
            },
            Event::Tested(v1::Tested {
                results: vec![wire_test()],
                elapsed_ms: 9,
            }),
        ),
        (
            EventKind::Finished {
                state: JobState::Interrupted,
                failure: Some(failure()),
                elapsed_ms: 9,
            },
            Event::Finished(v1::JobFinished {
                state: v1::JobState::Interrupted.into(),
                failure: wire_failure(),
                elapsed_ms: 9,
            }),
        ),
        (
            EventKind::QueryRestarted {
                model: text("m"),
                run: 2,
                reason: text("r"),
            },
            Event::QueryRestarted(v1::QueryRestarted {
                model: text("m"),
                run: 2,
                reason: text("r"),
            }),
        ),
        (
            EventKind::Warning {
                text: text("t"),
                path: text("p"),
                line: 3,
            },
            Event::Warning(v1::Warning {
                text: text("t"),
                path: text("p"),
                line: 3,
            }),
        ),
        (
            EventKind::ExecutorLost {
                executor_id: text("e"),
                reason: text("r"),
            },
            Event::ExecutorLost(v1::ExecutorLost {
                executor_id: text("e"),
                reason: text("r"),
            }),
        ),
    ] {
        assert_eq!(wired(kind), expected);
    }
}

fn a_test() -> TestResult {
    TestResult {
        test: "unique_a_id".to_owned(),
        about: "a.b".to_owned(),
        column: Some("id".to_owned()),
        path: "models/s.yml".to_owned(),
        line: 7,
        state: TestState::Warned,
        failures: -2,
        elapsed_ms: 11,
        failure: Some(Box::new(a_failure())),
    }
}

fn wire_test() -> v1::TestResult {
    v1::TestResult {
        test: "unique_a_id".to_owned(),
        about: "a.b".to_owned(),
        column: "id".to_owned(),
        path: "models/s.yml".to_owned(),
        line: 7,
        state: v1::TestState::Warned.into(),
        failures: -2,
        elapsed_ms: 11,
        failure: Some(super::failure(a_failure())),
    }
}

#[test]
fn a_job_arrives_with_its_models() {
    let run = ModelRun {
        model: "a.b".to_owned(),
        state: ModelState::Published,
        rows: 1,
        bytes: 2,
        files: 3,
        stages: 4,
        started_at_us: 5,
        finished_at_us: 6,
        snapshot_id: 7,
    };
    let job = Job {
        trace_id: String::new(),
        id: "7f3a".to_owned(),
        project: "retail".to_owned(),
        state: JobState::Failed,
        submitted_by: "etl".to_owned(),
        submitted_at_us: 1,
        started_at_us: 2,
        finished_at_us: 3,
        attempts: 4,
        models_total: 5,
        models_done: 6,
        rows_written: 7,
        bytes_written: 8,
        failure: Some(a_failure()),
        models: vec![run],
        test_counts: TestCounts {
            passed: 1,
            warned: 2,
            failed: 3,
            skipped: 4,
        },
        tests: vec![a_test()],
    };
    let wire = v1::Job::decode(super::job(job).encode_to_vec().as_slice()).unwrap();
    assert_eq!(
        (
            wire.id.as_str(),
            wire.project.as_str(),
            wire.submitted_by.as_str()
        ),
        ("7f3a", "retail", "etl")
    );
    assert_eq!(
        (
            wire.state(),
            wire.submitted_at_us,
            wire.started_at_us,
            wire.finished_at_us
        ),
        (v1::JobState::Failed, 1, 2, 3)
    );
    assert_eq!(
        (
            wire.attempts,
            wire.models_total,
            wire.models_done,
            wire.rows_written,
            wire.bytes_written
        ),
        (4, 5, 6, 7, 8)
    );
    assert_eq!(wire.failure, Some(super::failure(a_failure())));
    let run = &wire.models[0];
    assert_eq!(
        (run.state(), run.rows, run.bytes, run.files, run.stages),
        (v1::ModelState::Published, 1, 2, 3, 4)
    );
    assert_eq!(
        (run.started_at_us, run.finished_at_us, run.snapshot_id),
        (5, 6, 7)
    );
}

#[test]
fn an_executor_that_drains_says_so() {
    let executor = |id: &str, state| retail_engine::ExecutorStatus {
        id: id.to_owned(),
        host: "h".to_owned(),
        flight_port: 1,
        grpc_port: 2,
        slots: 4,
        slots_free: 3,
        tasks_running: 1,
        state,
        last_heartbeat_us: 9,
    };
    let executors = vec![
        executor("a", ExecutorState::Active),
        executor("b", ExecutorState::Draining),
        executor("c", ExecutorState::Lost),
    ];
    let wire = cluster_status(ClusterStatus {
        executors,
        work: Work::default(),
    });
    assert_eq!((wire.slots, wire.slots_free), (12, 9));
    assert_eq!(
        wire.executors
            .iter()
            .map(|e| e.state.as_str())
            .collect::<Vec<_>>(),
        ["active", "draining", "lost"]
    );
    assert_eq!(
        (wire.executors[0].flight_port, wire.executors[0].grpc_port),
        (1, 2)
    );
}
