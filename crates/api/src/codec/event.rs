//! Events of jobs.

use retail_proto::v1;
use retail_proto::v1::job_event::Event;

use super::{Field, message};
use crate::events::{EventKind, JobEvent, PlannedModel, PublishedTable, StageProgress};

impl From<JobEvent> for v1::JobEvent {
    fn from(event: JobEvent) -> Self {
        Self {
            job_id: Field::encode(event.job_id),
            seq: event.seq,
            time_us: event.time_us,
            event: Some(event.kind.encode()),
        }
    }
}

/// An event; `None` for a kind that this program is too old to know.
pub fn event(wire: v1::JobEvent) -> Option<JobEvent> {
    Some(JobEvent {
        job_id: Field::decode(wire.job_id),
        seq: wire.seq,
        time_us: wire.time_us,
        kind: EventKind::decode(wire.event?),
    })
}

/// Both directions of the kinds of events: variant, message and their fields.
macro_rules! kinds {
    ($($kind:ident = $message:ident { $($field:ident),* })*) => {
        impl Field<Event> for EventKind {
            fn encode(self) -> Event {
                match self {
                    $(Self::$kind { $($field),* } => Event::$kind(v1::$message {
                        $($field: Field::encode($field)),*
                    }),)*
                    Self::StageProgress(progress) => Event::StageProgress(progress.into()),
                }
            }
            fn decode(wire: Event) -> Self {
                match wire {
                    $(Event::$kind(v1::$message { $($field),* }) => Self::$kind {
                        $($field: Field::decode($field)),*
                    },)*
                    Event::StageProgress(progress) => Self::StageProgress(progress.into()),
                }
            }
        }
    };
}

kinds! {
    Queued = JobQueued { project, position, trace_id }
    Planned = JobPlanned { project, models, executors, slots }
    Waiting = Waiting { reason }
    AttemptStarted = AttemptStarted { attempt }
    ModelStarted = ModelStarted { model, attempt }
    QueryRestarted = QueryRestarted { model, run, reason }
    ModelStaged = ModelStaged { model, rows, bytes, files, stages, elapsed_ms }
    ModelFailed = ModelFailed { model, failure }
    ModelSkipped = ModelSkipped { model, because }
    TestsStarted = TestsStarted { tests, queries }
    Tested = Tested { results, elapsed_ms }
    Published = Published { tables, elapsed_ms }
    Finished = JobFinished { state, failure, elapsed_ms }
    Warning = Warning { text, path, line }
    ExecutorLost = ExecutorLost { executor_id, reason }
}

message!(PlannedModel {
    model,
    materialized,
    path,
    depends_on,
});

message!(StageProgress {
    model,
    stage,
    stages,
    tasks_done,
    tasks,
    tasks_retried,
    rows,
    bytes,
});

message!(PublishedTable {
    table,
    materialized,
    rows,
    rows_before,
    snapshot_id,
    elapsed_ms,
});
