//! Jobs whose scheduler is gone, or goes on although another one owns the catalog now.

use retail_api::events::{EventKind, JobEvent};
use retail_api::job::{Job, JobState};
use retail_api::{Failure, FailureKind, JobId, Unpublished};
use sqlx::Row;

use super::statements::{self, statement};
use super::{JobStore, Result, StoreError, rows};

impl JobStore {
    /// Jobs that have not ended, oldest first, with their models: those of the previous process when a scheduler starts.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn unfinished(&self) -> Result<Vec<Job>> {
        const DOING: &str = "read unfinished jobs";
        let mut jobs = vec![];
        for row in self.rows(DOING, statement(statements::UNFINISHED)).await? {
            let job = rows::job(&row).map_err(|e| StoreError::database(DOING, e))?;
            jobs.extend(self.get(&job.id).await?);
        }
        Ok(jobs)
    }

    /// Ends a job whose scheduler is gone: interrupted, or succeeded when its tables were published. Returns the last event,
    /// or `None` where that scheduler has ended the job meanwhile after all.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn interrupt(
        &self,
        job: &Job,
        published: bool,
        now_us: i64,
    ) -> Result<Option<JobEvent>> {
        let since = job.started_at_us.unwrap_or(job.submitted_at_us);
        let elapsed_ms = (now_us - since).max(0) as u64 / 1000;
        let (state, failure) = match published {
            true => (JobState::Succeeded, None),
            false => (JobState::Interrupted, Some(Box::new(interrupted()))),
        };
        let mut event = JobEvent {
            job_id: job.id.clone(),
            seq: 0,
            time_us: now_us,
            kind: EventKind::Finished {
                state,
                failure,
                elapsed_ms,
            },
        };
        // A scheduler that hangs may go on and store an event of the same number: then the next one is free.
        loop {
            let before = event.seq;
            event.seq = self.last_seq(&job.id).await? + 1;
            if event.seq == before {
                return Ok(None);
            }
            if self.store_event(&event).await? {
                return Ok(Some(event));
            }
        }
    }

    /// The number of a job's last stored event; 0 where it has none.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn last_seq(&self, id: &JobId) -> Result<u64> {
        const DOING: &str = "read events";
        let last = statement(statements::LAST_SEQ).text(id.as_str());
        let found = self.rows(DOING, last).await?;
        let last = found.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0));
        last.map(|seq| seq as u64)
            .map_err(|e| StoreError::database(DOING, e))
    }
}

/// What a job failed with whose scheduler is gone. Rows that its tests keep may have been stored.
fn interrupted() -> Failure {
    interrupted_with(vec![], Some(Unpublished::RunTables))
}

/// What a job failed with whose scheduler stopped, with what its driver noted and left as it was.
pub(crate) fn interrupted_with(notes: Vec<String>, unpublished: Option<Unpublished>) -> Failure {
    let mut failure = Failure::new(
        FailureKind::Execution,
        "the scheduler stopped before the job ended",
    )
    .retryable(true);
    failure.notes = notes;
    failure.unpublished = unpublished;
    failure.note("submit the job again")
}
