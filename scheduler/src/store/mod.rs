//! The job store: jobs, their models and their events, on the catalog's database.
//!
//! ```text
//! retail_jobs           id            -> project, state, times, counts, failure
//! retail_job_models     job, model    -> state, rows, bytes, files, stages, times, snapshot
//! retail_job_tests      job, position -> test, where it is declared, what it came to
//! retail_job_events     job, seq      -> the event as JSON: what Watch replays
//! retail_store_version                -> which shape these tables have
//! ```
//!
//! An event is the only thing that changes a job: [`JobStore::append`] stores it and, in the same transaction, what
//! follows from it for the job's and its models' rows (`changes`). SQLite and PostgreSQL get the same statements.

mod changes;
mod error;
mod interrupt;
mod rows;
mod statements;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use sqlx::{AnyPool, Row};

pub(crate) use error::StoreError;
pub(crate) use interrupt::interrupted_with;
use statements::{Statement, statement};

use retail_api::events::{EventKind, JobEvent};
use retail_api::job::Job;
use retail_api::{JobId, JobIdText};

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Shape of our tables; a store of a newer one is refused.
const VERSION: i64 = 1;
/// How often a write is begun when other writers are in the way, and the first pause between.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const DAY_US: i64 = 24 * 3600 * 1_000_000;

/// A job before it has an id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NewJob {
    pub project: String,
    /// Who submits; free text.
    pub submitted_by: String,
    /// Models that were selected.
    pub models_total: u32,
}

/// Jobs on the catalog's database. A clone is another handle on the same.
#[derive(Debug, Clone)]
pub(crate) struct JobStore {
    pool: AnyPool,
    is_sqlite: bool,
}

impl JobStore {
    /// Opens the store beside the catalog's tables, and creates its own if they are absent.
    ///
    /// # Errors
    /// The database refuses, or a newer version of ours wrote the store.
    pub(crate) async fn open(pool: &AnyPool) -> Result<Self> {
        let is_sqlite = pool.connect_options().database_url.scheme() == "sqlite";
        let store = Self {
            pool: pool.clone(),
            is_sqlite,
        };
        for text in statements::CREATE {
            let mut done = sqlx::query(text).execute(&store.pool).await;
            // PostgreSQL's IF NOT EXISTS lets two sessions create at once, and one of them fails.
            if done.is_err() {
                done = sqlx::query(text).execute(&store.pool).await;
            }
            done.map_err(|e| StoreError::database("create the job store's tables", e))?;
        }
        let found = store
            .rows(
                "read the job store's version",
                statement(statements::VERSION),
            )
            .await?;
        for row in found {
            let found: i64 = row
                .try_get(0)
                .map_err(|e| StoreError::database("read the job store's version", e))?;
            if found > VERSION {
                return Err(StoreError::Newer {
                    found,
                    known: VERSION,
                });
            }
        }
        Ok(store)
    }

    /// Stores a queued job under a new id.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn create(&self, new: &NewJob, now_us: i64) -> Result<Job> {
        let job = Job {
            id: JobId::new(now_us),
            project: new.project.clone(),
            submitted_by: new.submitted_by.clone(),
            submitted_at_us: now_us,
            models_total: new.models_total,
            ..Job::default()
        };
        let insert = statement(statements::INSERT_JOB)
            .text(job.id.as_str())
            .text(&job.project)
            .text(job.state.as_ref())
            .text(&job.submitted_by)
            .int(now_us)
            .int(i64::from(job.models_total));
        self.write("store a job", vec![insert]).await?;
        Ok(job)
    }

    /// The jobs that a person may mean with `typed`: the one of that id, or those whose short form begins so, the newest
    /// first and a few at most.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn find(&self, typed: &JobIdText) -> Result<Vec<JobId>> {
        const DOING: &str = "find a job";
        let text = typed.as_str();
        let beginning = typed
            .digits()
            .map(|digits| format!("{}{digits}%", statements::BEFORE_LAST_GROUP))
            .unwrap_or_default();
        let search = statement(statements::FIND).text(text).text(&beginning);
        let mut found = vec![];
        for row in self.rows(DOING, search).await? {
            let id: String = row.try_get(0).map_err(|e| StoreError::database(DOING, e))?;
            found.push(JobId::from(id));
        }
        match found.iter().position(|id| id.as_str() == text) {
            Some(exact) => Ok(vec![found.swap_remove(exact)]),
            None => Ok(found),
        }
    }

    /// Stores an event and what follows from it. An event that is there already changes nothing, nor does one of a job that
    /// has ended or is forgotten.
    ///
    /// Events that are not durable are ignored.
    ///
    /// # Errors
    /// The database refuses; then neither the event nor what follows is stored.
    pub(crate) async fn append(&self, event: &JobEvent) -> Result<()> {
        if event.kind.is_durable() {
            self.store_event(event).await?;
        }
        Ok(())
    }

    /// Whether the event is stored by this.
    async fn store_event(&self, event: &JobEvent) -> Result<bool> {
        let text = serde_json::to_string(&event.kind).map_err(|source| StoreError::Event {
            job: event.job_id.clone(),
            seq: event.seq,
            source,
        })?;
        let insert = statement(statements::INSERT_EVENT)
            .text(event.job_id.as_str())
            .int(event.seq as i64)
            .int(event.time_us)
            .text(&text);
        let mut all = vec![insert];
        all.extend(changes::of(event));
        Ok(self.write("store an event", all).await? > 0)
    }

    /// A job with its models; none when there is no such job.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn get(&self, id: &JobId) -> Result<Option<Job>> {
        const DOING: &str = "read a job";
        let found = self
            .rows(DOING, statement(statements::JOB).text(id.as_str()))
            .await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let mut job = rows::job(row).map_err(|e| StoreError::database(DOING, e))?;
        for row in self
            .rows(DOING, statement(statements::MODELS).text(id.as_str()))
            .await?
        {
            job.models
                .push(rows::model(&row).map_err(|e| StoreError::database(DOING, e))?);
        }
        for row in self
            .rows(DOING, statement(statements::TESTS).text(id.as_str()))
            .await?
        {
            job.tests
                .push(rows::test(&row).map_err(|e| StoreError::database(DOING, e))?);
        }
        job.trace_id = self.trace_id(id).await?;
        Ok(Some(job))
    }

    /// The id of a job's trace, which its first event knows.
    async fn trace_id(&self, id: &JobId) -> Result<Option<String>> {
        const DOING: &str = "read a job's first event";
        let first = statement(statements::FIRST_EVENT).text(id.as_str());
        let found = self.rows(DOING, first).await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let (_, _, text) = rows::event(row).map_err(|e| StoreError::database(DOING, e))?;
        Ok(match serde_json::from_str(&text) {
            Ok(EventKind::Queued { trace_id, .. }) => trace_id,
            _ => None,
        })
    }

    /// The newest jobs first, without their models.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn list(&self, limit: u32) -> Result<Vec<Job>> {
        const DOING: &str = "list jobs";
        let found = self
            .rows(DOING, statement(statements::JOBS).int(i64::from(limit)))
            .await?;
        found
            .iter()
            .map(|row| rows::job(row).map_err(|e| StoreError::database(DOING, e)))
            .collect()
    }

    /// A job's stored events after `after_seq`, in order.
    ///
    /// # Errors
    /// The database refuses, or an event cannot be read.
    pub(crate) async fn events(&self, id: &JobId, after_seq: u64) -> Result<Vec<JobEvent>> {
        const DOING: &str = "read events";
        let after = i64::try_from(after_seq).unwrap_or(i64::MAX);
        let found = self
            .rows(
                DOING,
                statement(statements::EVENTS).text(id.as_str()).int(after),
            )
            .await?;
        found
            .iter()
            .map(|row| {
                let (seq, time_us, text) =
                    rows::event(row).map_err(|e| StoreError::database(DOING, e))?;
                let kind = serde_json::from_str(&text).map_err(|source| StoreError::Event {
                    job: id.clone(),
                    seq,
                    source,
                })?;
                Ok(JobEvent {
                    job_id: id.clone(),
                    seq,
                    time_us,
                    kind,
                })
            })
            .collect()
    }

    /// Forgets ended jobs but the `keep` newest ones; how many were forgotten. Their tables stay.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn prune(&self, keep: u32, now_us: i64) -> Result<u64> {
        let mut all = vec![statement(statements::PRUNE_JOBS).int(i64::from(keep))];
        all.extend(statements::PRUNE_REST.into_iter().map(statement));
        let forgotten = self.write("forget old jobs", all).await?;
        let before_us = now_us - DAY_US;
        let publishes = statement(statements::PRUNE_PUBLISHES).int(before_us);
        self.write("forget old publishes", vec![publishes]).await?;
        Ok(forgotten)
    }

    async fn rows(
        &self,
        doing: &'static str,
        statement: Statement,
    ) -> Result<Vec<sqlx::any::AnyRow>> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match statement
                .query()
                .fetch_all(&self.pool)
                .await
                .map_err(|e| StoreError::database(doing, e))
            {
                Err(error) if error.is_contention() && attempt < ATTEMPTS => {}
                done => return done,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// Runs statements in one transaction; the first one's affected rows. When it affects none, the rest is left out.
    async fn write(&self, doing: &'static str, all: Vec<Statement>) -> Result<u64> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match self
                .transaction(&all)
                .await
                .map_err(|e| StoreError::database(doing, e))
            {
                Err(error) if error.is_contention() && attempt < ATTEMPTS => {
                    tracing::debug!(doing, attempt, %error, "job store is busy");
                }
                done => return done,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn transaction(&self, all: &[Statement]) -> sqlx::Result<u64> {
        // SQLite takes its write lock at once, so that no writer has to give up halfway.
        let mut transaction = match self.is_sqlite {
            true => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            false => self.pool.begin().await?,
        };
        let mut first = None;
        for statement in all {
            let affected = statement
                .query()
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            if *first.get_or_insert(affected) == 0 {
                break;
            }
        }
        transaction.commit().await?;
        Ok(first.unwrap_or(0))
    }
}
