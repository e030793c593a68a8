//! Jobs from submission to their last event: who runs, who waits, who is notified.
//!
//! ```text
//! submit ──▶ store ──▶ ticket ──▶ run_job ──▶ Finished
//!                        │ full: waits  │ events
//!                        ▼              ▼
//!                     position       feed: number, store, notify watchers
//! ```
//!
//! [`lifecycle`] decides what becomes of each job; this performs it. `simulation` drives the decisions, admission, the feed
//! and the store together, from seeds.

#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

mod counters;
mod feed;
#[cfg(test)]
mod kept_tests;
mod lifecycle;
mod recover;
#[cfg(test)]
mod simulation;
mod spans;
mod task;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod truth_tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::store::{JobStore, NewJob, StoreError};
use futures::stream::BoxStream;
use parking_lot::Mutex;
use retail_api::events::JobEvent;
use retail_api::job::{Job, JobState};
use retail_api::{JobId, JobIdText};
use retail_jobs::{JobContext, JobSpec};
use retail_project::{ModelName, Project};
use retail_telemetry::trace::trace_id;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::admission::{Class, Gate};
use crate::clock::Moment;
use crate::config::JobsConfig;
use crate::owner::Ownership;
use feed::{Feed, WATCHER_LAG_MAX, Watcher};
use lifecycle::{Action, Event, Lifecycle};

/// How long a cancelled job may take to let go of its queries.
const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// A project that was checked and is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub project: Arc<Project>,
    /// In the order of the graph.
    pub selected: Vec<ModelName>,
    pub submitted_by: String,
    /// Fail when no executor is there after this long; none takes the scheduler's setting.
    pub executor_timeout: Option<Duration>,
    /// Only hold the tests of the selected models against what is published.
    pub tests_only: bool,
    /// The client's span, as W3C writes it.
    pub traceparent: Option<String>,
    /// See [`JobSpec`].
    pub allow_removed_files: bool,
    pub keep_foreign_rows: bool,
}

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    #[error("the scheduler is stopping")]
    Stopping,
    #[error("the job store does not take the job")]
    Store(#[from] StoreError),
    #[error("cannot run jobs here: {0}")]
    NotOwner(String),
}

/// All jobs of this scheduler.
pub(crate) struct JobManager {
    store: JobStore,
    context: JobContext,
    executor_timeout: Option<Duration>,
    keep: u32,
    gate: Gate,
    lifecycle: Mutex<Lifecycle>,
    jobs: Mutex<HashMap<JobId, Arc<LiveJob>>>,
    /// How many jobs are live; changes wake whoever waits for all to end.
    live: watch::Sender<usize>,
    /// Cancelled when the scheduler begins to stop.
    stopping: CancellationToken,
    /// Cancelled when another scheduler has taken over.
    lost: CancellationToken,
}

/// What a job that is not forgotten is performed with.
struct LiveJob {
    id: JobId,
    feed: Arc<Feed>,
    cancel: CancellationToken,
    /// Cancelled when the last event is out.
    over: CancellationToken,
}

impl JobManager {
    /// Ends the jobs of the previous process, then accepts new ones.
    ///
    /// # Errors
    /// The job store or the catalog cannot be read or written.
    pub(crate) async fn start(
        store: JobStore,
        context: JobContext,
        ownership: Ownership,
        lost: CancellationToken,
        gate: Gate,
        config: &JobsConfig,
    ) -> anyhow::Result<Arc<Self>> {
        let forgotten = match &ownership {
            Ownership::Ours(_) => {
                let now_us = Moment::now().wall_us;
                recover::recover(&store, &context.lake, now_us).await?;
                store.prune(config.keep, now_us).await?
            }
            // Their jobs run.
            Ownership::Others(_) => 0,
        };
        tracing::info!(
            max_concurrent = config.max_concurrent,
            forgotten,
            "job store open"
        );
        let owned_by = match ownership {
            Ownership::Ours(_) => None,
            Ownership::Others(owner) => Some(owner),
        };
        let timeout_s = config.executor_timeout_s;
        let jobs = Arc::new(Self {
            store,
            context,
            executor_timeout: (timeout_s > 0).then(|| Duration::from_secs(timeout_s)),
            keep: config.keep,
            gate,
            lifecycle: Mutex::new(Lifecycle::new(owned_by)),
            jobs: Mutex::default(),
            live: watch::Sender::new(0),
            stopping: CancellationToken::new(),
            lost: lost.clone(),
        });
        let interrupt = Arc::downgrade(&jobs);
        tokio::spawn(async move {
            lost.cancelled().await;
            if let Some(jobs) = interrupt.upgrade() {
                jobs.decide(Event::TakenOver);
            }
        });
        Ok(jobs)
    }

    /// What is to be done about an event, for the task of its job. Whom it stops is notified here.
    fn decide(&self, event: Event) -> Vec<Action> {
        let mut lifecycle = self.lifecycle.lock();
        let actions = lifecycle.on(event, Instant::now());
        let live = lifecycle.live();
        drop(lifecycle);
        self.live
            .send_if_modified(|before| std::mem::replace(before, live) != live);
        for action in &actions {
            if let Action::Cancel { id } = action
                && let Some(job) = self.jobs.lock().get(id)
            {
                job.cancel.cancel();
            }
        }
        actions
    }

    /// Stores a job and lets it run when its turn comes. Returns its id at once.
    ///
    /// # Errors
    /// The scheduler stops, does not own the catalog, or cannot store the job.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        submission: Submission,
    ) -> Result<JobId, SubmitError> {
        if let Some(refusal) = self.lifecycle.lock().refusal() {
            return Err(refusal);
        }
        let Submission {
            project,
            selected,
            submitted_by,
            executor_timeout,
            tests_only,
            traceparent,
            allow_removed_files,
            keep_foreign_rows,
        } = submission;
        let new = NewJob {
            project: project.name.clone(),
            submitted_by,
            models_total: if tests_only { 0 } else { selected.len() as u32 },
        };
        let stored = self.store.create(&new, Moment::now().wall_us).await?;
        let span = spans::job(&stored, traceparent.as_deref());
        let spec = JobSpec {
            id: stored.id.clone(),
            project,
            selected,
            executor_timeout: executor_timeout.or(self.executor_timeout),
            tests_only,
            allow_removed_files,
            keep_foreign_rows,
        };
        let feed = Feed::new(stored.id.clone(), self.store.clone(), WATCHER_LAG_MAX);
        let job = Arc::new(LiveJob {
            id: stored.id.clone(),
            feed: Arc::new(feed),
            cancel: CancellationToken::new(),
            over: CancellationToken::new(),
        });
        self.jobs.lock().insert(stored.id.clone(), Arc::clone(&job));
        let ticket = self.gate.enter(Class::Job);
        let actions = self.decide(Event::Accepted {
            id: stored.id.clone(),
            project: stored.project.clone(),
            position: ticket.position(),
            trace_id: trace_id(&span),
        });
        tracing::info!(job = %stored.id, project = %stored.project, models = stored.models_total, "job accepted");
        self.perform(&job, actions).await;
        tokio::spawn(Arc::clone(self).run(spec, job, ticket).instrument(span));
        Ok(stored.id)
    }

    /// The jobs that a person may mean with `typed`: see [`JobStore::find`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn find(&self, typed: &str) -> Result<Vec<JobId>, StoreError> {
        let typed = JobIdText::new(typed);
        let whole = JobId::from(typed.as_str());
        // A live job can be watched and cancelled while the store does not answer.
        if self.jobs.lock().contains_key(&whole) {
            return Ok(vec![whole]);
        }
        self.store.find(&typed).await
    }

    /// A job's events after `after_seq`, to the job's end; `None` when there is no such job.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn watch(
        &self,
        id: &JobId,
        after_seq: u64,
    ) -> Result<Option<BoxStream<'static, Result<JobEvent, StoreError>>>, StoreError> {
        let live = self.jobs.lock().get(id).cloned();
        let watcher = match live {
            Some(job) => job.feed.watcher(after_seq),
            None if self.store.get(id).await?.is_none() => return Ok(None),
            None => Watcher::of_ended(self.store.clone(), id.clone(), after_seq),
        };
        Ok(Some(watcher.stream()))
    }

    /// A job with its models.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.store.get(id).await
    }

    /// The newest jobs first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn list(&self, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.store.list(limit).await
    }

    /// Stops a job and returns the state it is in then; `None` when there is no such job.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn cancel(&self, id: &JobId) -> Result<Option<JobState>, StoreError> {
        let live = self.jobs.lock().get(id).cloned();
        if let Some(job) = live {
            tracing::info!(job = %id, "job is being cancelled");
            self.decide(Event::Cancel { id: id.clone() });
            let _ = tokio::time::timeout(CANCEL_GRACE, job.over.cancelled()).await;
        }
        Ok(self.store.get(id).await?.map(|job| job.state))
    }

    /// How many jobs run, and how many wait.
    pub(crate) fn counts(&self) -> (u32, u32) {
        self.gate.counts(Class::Job)
    }

    /// Cancelled when the scheduler begins to stop.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Takes no more jobs, lets running ones end for at most `grace`, and interrupts the rest.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        self.stopping.cancel();
        self.decide(Event::Stop);
        if self.all_over(grace).await {
            return;
        }
        let jobs = *self.live.borrow();
        tracing::warn!(
            jobs,
            ?grace,
            "running jobs did not end in time and are interrupted"
        );
        self.decide(Event::GraceOver);
        if !self.all_over(CANCEL_GRACE).await {
            tracing::warn!("some jobs did not stop; the next start marks them interrupted");
        }
    }

    async fn all_over(&self, within: Duration) -> bool {
        let mut live = self.live.subscribe();
        tokio::time::timeout(within, live.wait_for(|live| *live == 0))
            .await
            .is_ok()
    }
}
