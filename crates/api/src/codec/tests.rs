use prost::Message;
use retail_proto::v1;
use strum::IntoEnumIterator;
use tonic::Code;

use super::*;
use crate::cluster::{ClusterStatus, Executor, ExecutorState};
use crate::events::{EventKind, JobEvent, PlannedModel, PublishedTable, StageProgress};
use crate::job::{
    Job, JobState, ModelExplanation, ModelRun, ModelState, TestCounts, TestResult, TestState,
};
use crate::table::{Column, Snapshot, Table, TableKind};
use crate::{Failure, FailureKind, Unpublished};

/// A value after a trip through a message's bytes.
fn travelled<T, W>(ours: T) -> T
where
    T: From<W>,
    W: From<T> + Message + Default,
{
    let bytes = W::from(ours).encode_to_vec();
    W::decode(bytes.as_slice()).unwrap().into()
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// Every field has a value.
fn a_failure() -> Failure {
    let mut failure = Failure::new(FailureKind::Source, "cannot read raw.orders")
        .model("staging.stg_orders")
        .at("models/sources.yml", 3, 8)
        .snippet_of("a\nb\n  path: x.csv", 4)
        .cause("no such file")
        .note("put it there")
        .unpublished(Unpublished::RunTables)
        .caused_by(&std::io::Error::other("disk"))
        .retryable(true);
    failure.stage = 2;
    failure
}

fn a_test() -> TestResult {
    TestResult {
        test: text("unique_a_id"),
        about: text("a.b"),
        column: Some(text("id")),
        path: text("models/s.yml"),
        line: 7,
        state: TestState::Warned,
        failures: -2,
        elapsed_ms: 11,
        failure: Some(Box::new(a_failure())),
    }
}

fn a_job() -> Job {
    Job {
        id: JobId::new(1_795_198_811_000_000),
        project: text("retail"),
        state: JobState::Failed,
        submitted_by: text("etl"),
        submitted_at_us: 1,
        started_at_us: Some(2),
        finished_at_us: Some(3),
        attempts: 4,
        models_total: 5,
        models_done: 6,
        rows_written: 7,
        bytes_written: u64::MAX,
        failure: Some(a_failure()),
        trace_id: Some(text("4bf9")),
        models: vec![
            ModelRun {
                model: text("a.b"),
                state: ModelState::Published,
                rows: 1,
                bytes: 2,
                files: 3,
                stages: 4,
                started_at_us: Some(5),
                finished_at_us: Some(6),
                snapshot_id: Some(SnapshotId(i64::MAX)),
            },
            ModelRun::default(),
        ],
        test_counts: TestCounts {
            passed: 1,
            warned: 2,
            failed: 3,
            skipped: 4,
        },
        tests: vec![a_test()],
    }
}

/// One of each kind.
fn events() -> Vec<EventKind> {
    let table = PublishedTable {
        table: text("a.b"),
        materialized: text("table"),
        rows: 1,
        rows_before: Some(0),
        snapshot_id: Some(SnapshotId(i64::MIN)),
        elapsed_ms: 2,
    };
    let view = PublishedTable {
        rows_before: None,
        snapshot_id: None,
        ..table.clone()
    };
    let planned = PlannedModel {
        model: text("a.b"),
        materialized: text("table"),
        path: text("models/b.sql"),
        depends_on: vec![text("a.a")],
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
    vec![
        EventKind::Queued {
            project: text("p"),
            position: 2,
            trace_id: Some(text("4bf9")),
        },
        EventKind::Planned {
            project: text("p"),
            models: vec![planned],
            executors: 3,
            slots: 12,
        },
        EventKind::Waiting { reason: text("r") },
        EventKind::AttemptStarted { attempt: 2 },
        EventKind::ModelStarted {
            model: text("a.b"),
            attempt: 2,
        },
        EventKind::StageProgress(progress),
        EventKind::QueryRestarted {
            model: text("m"),
            run: 2,
            reason: text("r"),
        },
        EventKind::ModelStaged {
            model: text("a.b"),
            rows: 1,
            bytes: 2,
            files: 3,
            stages: 4,
            elapsed_ms: 5,
        },
        EventKind::ModelFailed {
            model: text("a.b"),
            failure: failure(),
        },
        EventKind::ModelSkipped {
            model: text("a.b"),
            because: text("c"),
        },
        EventKind::TestsStarted {
            tests: 3,
            queries: 2,
        },
        EventKind::Tested {
            results: vec![a_test()],
            elapsed_ms: 9,
        },
        EventKind::Published {
            tables: vec![table, view],
            elapsed_ms: 9,
        },
        EventKind::Finished {
            state: JobState::Interrupted,
            failure: Some(failure()),
            elapsed_ms: 9,
        },
        EventKind::Warning {
            text: text("t"),
            path: text("p"),
            line: 3,
        },
        EventKind::ExecutorLost {
            executor_id: "e".into(),
            reason: text("r"),
        },
    ]
}

fn an_event(kind: EventKind) -> JobEvent {
    JobEvent {
        job_id: "7f3a".into(),
        seq: 4,
        time_us: 5,
        kind,
    }
}

#[test]
fn what_is_sent_arrives_with_all_its_fields() {
    for ours in [a_job(), Job::default()] {
        assert_eq!(travelled::<_, v1::Job>(ours.clone()), ours);
    }
    for kind in events() {
        let ours = an_event(kind);
        let bytes = v1::JobEvent::from(ours.clone()).encode_to_vec();
        let wire = v1::JobEvent::decode(bytes.as_slice()).unwrap();
        assert_eq!(event(wire), Some(ours));
    }
    let table = Table {
        name: text("marts.a"),
        kind: TableKind::View,
        rows: 1,
        bytes: 2,
        files: 3,
        snapshot_id: Some(SnapshotId(4)),
        updated_at_us: Some(5),
        location: text("s3://b/a"),
        metadata_location: text("s3://b/a/m.json"),
        partition_by: vec![text("day")],
        columns: vec![Column {
            name: text("id"),
            r#type: text("long"),
            required: true,
        }],
    };
    for ours in [table, Table::default()] {
        assert_eq!(travelled::<_, v1::Table>(ours.clone()), ours);
    }
    let ours = Snapshot {
        id: SnapshotId(1),
        parent_id: None,
        committed_at_us: 3,
        operation: text("append"),
        summary: [(text("k"), text("v"))].into(),
    };
    assert_eq!(travelled::<_, v1::Snapshot>(ours.clone()), ours);
    let executor = |state| Executor {
        id: "e".into(),
        host: text("h"),
        flight_port: u16::MAX,
        grpc_port: 2,
        slots: 4,
        slots_free: 3,
        state,
        tasks_running: 1,
        last_heartbeat_us: Some(9),
    };
    let ours = ClusterStatus {
        executors: ExecutorState::iter().map(executor).collect(),
        slots: 12,
        slots_free: 9,
        jobs_running: 1,
        jobs_queued: 2,
        version: text("0.1.0"),
        started_at_us: 8,
    };
    assert_eq!(travelled::<_, v1::ClusterStatus>(ours.clone()), ours);
    let ours = ModelExplanation {
        model: text("a.b"),
        path: text("models/b.sql"),
        materialized: text("table"),
        rendered_sql: text("SELECT 1"),
        reads: vec![text("a.a")],
        logical_plan: text("l"),
        physical_plan: text("p"),
        writes: text("w"),
        tests: vec![text("t")],
    };
    assert_eq!(travelled::<_, v1::ModelExplanation>(ours.clone()), ours);
}

#[test]
fn what_is_stored_reads_back_and_absent_values_stay_numbers() {
    for kind in events() {
        let json = serde_json::to_string(&an_event(kind.clone())).unwrap();
        assert_eq!(
            serde_json::from_str::<JobEvent>(&json).unwrap().kind,
            kind,
            "{json}"
        );
    }
    let json = serde_json::to_value(ModelRun::default()).unwrap();
    assert_eq!(
        (&json["started_at_us"], &json["snapshot_id"]),
        (&0.into(), &0.into())
    );
    let view = r#"{"table":"a.b","materialized":"view","rows":0,"rows_before":-1,"snapshot_id":0,"elapsed_ms":1}"#;
    let read: PublishedTable = serde_json::from_str(view).unwrap();
    assert_eq!((read.rows_before, read.snapshot_id), (None, None));
    assert_eq!(serde_json::to_string(&read).unwrap(), view);
}

#[test]
fn events_of_the_program_before_are_read_without_what_it_never_filled() {
    for (stored, expected) in [
        (
            r#"{"event":"attempt_started","attempt":2,"reason":""}"#,
            EventKind::AttemptStarted { attempt: 2 },
        ),
        (
            r#"{"event":"model_staged","model":"a.b","rows":1,"bytes":2,"files":3,"stages":4,"elapsed_ms":5,"note":""}"#,
            EventKind::ModelStaged {
                model: text("a.b"),
                rows: 1,
                bytes: 2,
                files: 3,
                stages: 4,
                elapsed_ms: 5,
            },
        ),
    ] {
        assert_eq!(serde_json::from_str::<EventKind>(stored).unwrap(), expected);
    }
}

#[test]
fn an_event_of_a_newer_server_is_ignored() {
    assert_eq!(
        event(v1::JobEvent {
            job_id: text("7f3a"),
            seq: 4,
            time_us: 1,
            event: None
        }),
        None
    );
}

#[test]
fn a_refused_call_carries_the_whole_failure() {
    let status = status_of(a_failure());
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(
        status.message(),
        "cannot read raw.orders at models/sources.yml:3:8: no such file"
    );
    assert_eq!(failure_of_status(&status), Some(a_failure()));
    assert_eq!(failure_of_status(&tonic::Status::not_found("no job")), None);
}

#[test]
fn every_kind_of_failure_has_a_status_and_travels() {
    for kind in FailureKind::iter() {
        let code = match kind {
            FailureKind::Project => Code::InvalidArgument,
            FailureKind::Source | FailureKind::Test => Code::FailedPrecondition,
            FailureKind::Execution | FailureKind::Internal => Code::Internal,
            FailureKind::Publish => Code::Aborted,
            FailureKind::Storage | FailureKind::NoExecutor => Code::Unavailable,
            FailureKind::Cancelled => Code::Cancelled,
        };
        let status = status_of(Failure::new(kind, "x"));
        assert_eq!(status.code(), code);
        assert_eq!(failure_of_status(&status).unwrap().kind, kind);
    }
    assert_eq!(FailureKind::NoExecutor.to_string(), "no executor");
}
