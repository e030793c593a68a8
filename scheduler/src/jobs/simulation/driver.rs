//! The script that stands for a job's driver: facts in the order of `run_job`, one publish, an end.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use retail_api::events::{EventKind, PlannedModel, StageProgress};
use retail_api::{Failure, FailureKind, JobId};
use retail_jobs::JobSummary;
use retail_lakehouse::Lakehouse;
use tokio_util::sync::CancellationToken;

const MODEL: &str = "marts.a";
/// As a publish's own transaction writes it.
const PUBLISH: &str = "INSERT INTO retail_publishes (publish_id, state, epoch, decided_at_us) \
     VALUES ($1, 'published', 1, 0) ON CONFLICT DO NOTHING";

/// How far a job's driver is.
#[derive(Debug, Default)]
pub(super) struct Driver {
    done: u32,
}

/// What a driver did.
pub(super) enum Did {
    Fact(EventKind),
    Nothing,
    End(Result<JobSummary, Box<Failure>>),
}

impl Driver {
    /// Whether its tables are published and it has not reported that yet.
    pub(super) fn has_just_published(&self) -> bool {
        self.done == 5
    }

    /// Does the next thing. Without executors nothing goes on; a cancelled driver lets go unless it has published.
    pub(super) async fn goes_on(
        &mut self,
        id: &JobId,
        lake: &Lakehouse,
        executors: u32,
        cancel: &CancellationToken,
        rng: &mut ChaCha8Rng,
    ) -> Did {
        const PUBLISHING: u32 = 4;
        if self.done <= PUBLISHING {
            if cancel.is_cancelled() {
                return failed(FailureKind::Cancelled, "the job was cancelled");
            }
            if rng.random_bool(0.05) {
                return failed(FailureKind::Execution, "a task failed");
            }
            if executors == 0 && self.done > 0 {
                return Did::Nothing;
            }
        }
        // Progress comes as often as it likes, and the answer to the commit when it likes.
        if self.done == 3 && rng.random_bool(0.6) {
            return Did::Fact(progress());
        }
        if self.done == 5 && rng.random_bool(0.6) {
            return Did::Nothing;
        }
        self.done += 1;
        match self.done {
            1 => Did::Fact(planned(executors)),
            2 => Did::Fact(EventKind::AttemptStarted { attempt: 1 }),
            3 => Did::Fact(EventKind::ModelStarted {
                model: MODEL.to_owned(),
                attempt: 1,
            }),
            4 => Did::Fact(EventKind::ModelStaged {
                model: MODEL.to_owned(),
                rows: 3,
                bytes: 30,
                files: 1,
                stages: 2,
                elapsed_ms: 5,
            }),
            5 => match publish(id, lake).await {
                true => Did::Nothing,
                false => failed(FailureKind::Publish, "the publish was given up before"),
            },
            6 => Did::Fact(EventKind::Published {
                tables: vec![],
                elapsed_ms: 1,
            }),
            _ => Did::End(Ok(JobSummary::default())),
        }
    }
}

/// Whether this is the publish that took place.
async fn publish(id: &JobId, lake: &Lakehouse) -> bool {
    let insert = sqlx::query(PUBLISH).bind(id.as_str());
    insert.execute(lake.pool()).await.unwrap().rows_affected() == 1
}

fn failed(kind: FailureKind, text: &str) -> Did {
    Did::End(Err(Box::new(Failure::new(kind, text))))
}

fn planned(executors: u32) -> EventKind {
    EventKind::Planned {
        project: "shop".to_owned(),
        models: vec![PlannedModel {
            model: MODEL.to_owned(),
            materialized: "table".to_owned(),
            path: "models/a.sql".to_owned(),
            depends_on: vec![],
        }],
        executors,
        slots: executors * 2,
    }
}

fn progress() -> EventKind {
    EventKind::StageProgress(StageProgress {
        model: MODEL.to_owned(),
        ..StageProgress::default()
    })
}
