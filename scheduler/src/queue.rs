//! Jobs from submission to their last event: who runs, who waits, who is notified.
//!
//! ```text
//! submit ──▶ store ──▶ ticket ──▶ run_job ──▶ Finished
//!                        │ full: waits  │ events
//!                        ▼              ▼
//!                     position       feed: number, store, notify watchers
//! ```

#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

mod counters;
mod feed;
#[cfg(test)]
mod kept_tests;
mod recover;
mod spans;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod truth_tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::store::{JobStore, NewJob, StoreError};
use futures::stream::BoxStream;
use parking_lot::Mutex;
use retail_api::clock::now_us;
use retail_api::events::{EventKind, JobEvent};
use retail_api::job::{Job, JobState};
use retail_api::{Failure, FailureKind, JobId, JobIdText};
use retail_engine::ExecutorLoss;
use retail_jobs::driver::{JobContext, JobSpec, JobSummary, run_job};
use retail_lakehouse::LakehouseError;
use retail_project::{ModelName, Project};
use retail_telemetry::trace::trace_id;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::admission::{Class, Gate, Ticket, Turn};
use crate::config::JobsConfig;
use crate::owner::Ownership;
use feed::Feed;

/// How long a cancelled job may take to let go of its queries.
const CANCEL_GRACE: Duration = Duration::from_secs(10);
/// Between two attempts to store what a job's store refused.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Ended jobs between two rounds of forgetting old ones.
const PRUNE_EVERY: u32 = 50;

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
    jobs: Mutex<HashMap<JobId, Arc<LiveJob>>>,
    /// How many jobs are live; changes wake whoever waits for all to end.
    live: watch::Sender<usize>,
    /// Cancelled when the scheduler begins to stop.
    stopping: CancellationToken,
    ownership: Ownership,
    /// Cancelled when another scheduler has taken over.
    lost: CancellationToken,
    ended: AtomicU32,
}

struct LiveJob {
    feed: Feed,
    /// Its turn has come.
    started: AtomicBool,
    cancel: CancellationToken,
    stopped_by: OnceLock<StoppedBy>,
    /// Cancelled when the last event is out.
    over: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoppedBy {
    /// A client cancelled it.
    Cancel,
    /// The scheduler stops.
    Shutdown,
}

impl LiveJob {
    fn stop(&self, by: StoppedBy) {
        let _ = self.stopped_by.set(by);
        self.cancel.cancel();
    }
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
                recover::recover(&store, &context.lake).await?;
                store.prune(config.keep).await?
            }
            // Their jobs run.
            Ownership::Others(_) => 0,
        };
        tracing::info!(
            max_concurrent = config.max_concurrent,
            forgotten,
            "job store open"
        );
        let timeout_s = config.executor_timeout_s;
        let jobs = Arc::new(Self {
            store,
            context,
            executor_timeout: (timeout_s > 0).then(|| Duration::from_secs(timeout_s)),
            keep: config.keep,
            gate,
            jobs: Mutex::default(),
            live: watch::Sender::new(0),
            stopping: CancellationToken::new(),
            ownership,
            lost: lost.clone(),
            ended: AtomicU32::new(0),
        });
        let interrupt = Arc::downgrade(&jobs);
        tokio::spawn(async move {
            lost.cancelled().await;
            if let Some(jobs) = interrupt.upgrade() {
                jobs.interrupt_all();
            }
        });
        Ok(jobs)
    }

    /// Stops every job: the next owner has said what became of them.
    fn interrupt_all(&self) {
        let live: Vec<_> = self.jobs.lock().values().cloned().collect();
        for job in live {
            job.stop(StoppedBy::Shutdown);
        }
    }

    /// Stores a job and lets it run when its turn comes. Returns its id at once.
    ///
    /// # Errors
    /// [`SubmitError::Stopping`] when the scheduler stops.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        submission: Submission,
    ) -> Result<JobId, SubmitError> {
        if self.stopping.is_cancelled() {
            return Err(SubmitError::Stopping);
        }
        if let Ownership::Others(owner) = &self.ownership {
            return Err(SubmitError::NotOwner(owner.clone()));
        }
        if self.lost.is_cancelled() {
            let owner = "another scheduler has taken over the catalog".to_owned();
            return Err(SubmitError::NotOwner(owner));
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
        let stored = self.store.create(&new, now_us()).await?;
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
        let job = Arc::new(LiveJob {
            feed: Feed::new(stored.id.clone(), self.store.clone()),
            started: AtomicBool::new(false),
            cancel: CancellationToken::new(),
            stopped_by: OnceLock::new(),
            over: CancellationToken::new(),
        });
        let ticket = {
            let mut jobs = self.jobs.lock();
            jobs.insert(stored.id.clone(), Arc::clone(&job));
            self.live.send_replace(jobs.len());
            let ticket = self.gate.enter(Class::Job);
            // A job that may start at once has started for whoever stops the scheduler before its task runs.
            job.started.store(ticket.position() == 0, Ordering::Release);
            ticket
        };
        // Stopping may have begun while the job was stored; whoever stops sees it in `live` or we see it here.
        if self.stopping.is_cancelled() {
            job.stop(StoppedBy::Shutdown);
        }
        tracing::info!(job = %stored.id, project = %stored.project, models = stored.models_total, "job accepted");
        job.feed
            .record(EventKind::Queued {
                project: stored.project,
                position: ticket.position(),
                trace_id: trace_id(&span),
            })
            .await;
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
        let live = self.jobs.lock().get(id).map(|job| job.feed.subscribe());
        if live.is_none() && self.store.get(id).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(feed::watch(
            self.store.clone(),
            id.clone(),
            after_seq,
            live,
        )))
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
            job.stop(StoppedBy::Cancel);
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
        for job in self.jobs.lock().values() {
            if !job.started.load(Ordering::Acquire) {
                job.stop(StoppedBy::Shutdown);
            }
        }
        if self.all_over(grace).await {
            return;
        }
        let running: Vec<_> = self.jobs.lock().values().cloned().collect();
        tracing::warn!(
            jobs = running.len(),
            ?grace,
            "running jobs did not end in time and are interrupted"
        );
        for job in running {
            job.stop(StoppedBy::Shutdown);
        }
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

    /// One job's life after it was accepted.
    async fn run(self: Arc<Self>, spec: JobSpec, job: Arc<LiveJob>, mut ticket: Ticket) {
        let id = spec.id.clone();
        let mut since = Instant::now();
        let may_run = tokio::select! {
            biased;
            () = job.cancel.cancelled() => false,
            waited = admitted(&job, &mut ticket) => match waited {
                Some(waited) => {
                    counters::started(waited);
                    true
                }
                None => false,
            },
        };
        let outcome = match may_run {
            true => {
                since = Instant::now();
                self.drive(spec, &job).await
            }
            false => Err(Failure::new(
                FailureKind::Cancelled,
                "the job was cancelled before it started",
            )
            .note("nothing was published")),
        };
        let (state, failure) = ending(outcome, job.stopped_by.get().copied());
        match &failure {
            None => tracing::info!(job = %id, "job succeeded"),
            Some(failure) => tracing::warn!(job = %id, ?state, %failure, "job ended"),
        }
        counters::ended(state, may_run.then(|| since.elapsed()));
        spans::ended(state, failure.as_ref());
        let elapsed_ms = since.elapsed().as_millis() as u64;
        job.feed
            .record(EventKind::Finished {
                state,
                failure: failure.map(Box::new),
                elapsed_ms,
            })
            .await;
        job.over.cancel();
        drop(ticket);
        self.prune_now_and_then().await;
        self.forget(&id, &job).await;
    }

    /// Lets go of an ended job when all of it is stored: a store that failed gets its events as soon as it works.
    async fn forget(&self, id: &JobId, job: &LiveJob) {
        while !job.feed.store_rest().await {
            tokio::select! {
                () = tokio::time::sleep(STORE_AGAIN) => {}
                // The next owner records how it ended.
                () = self.lost.cancelled() => break,
            }
        }
        let live = {
            let mut jobs = self.jobs.lock();
            jobs.remove(id);
            jobs.len()
        };
        self.live.send_replace(live);
    }

    /// Runs the driver and passes its events on.
    async fn drive(&self, spec: JobSpec, job: &LiveJob) -> Result<JobSummary, Failure> {
        let (events, mut received) = mpsc::unbounded_channel();
        let (context, cancel) = (self.context.clone(), job.cancel.clone());
        let id = spec.id.clone();
        // A task of its own: a defect ends its job, not the scheduler.
        let run = async move { run_job(&spec, &context, &events, &cancel).await };
        let driver = tokio::spawn(run.instrument(Span::current()));
        // Ends when the driver has let go of its sender.
        let mut retried = HashMap::new();
        let mut losses = self.context.cluster.losses();
        loop {
            let event = tokio::select! {
                event = received.recv() => match event {
                    Some(event) => event,
                    None => break,
                },
                Ok(ExecutorLoss { executor_id, reason }) = losses.recv() =>
                    EventKind::ExecutorLost { executor_id: executor_id.into(), reason },
            };
            counters::event(&event, &mut retried);
            job.feed.record(event).await;
        }
        match driver.await {
            Ok(outcome) => outcome,
            Err(_) => {
                let waits = |reason| tracing::warn!(job = %id, reason, "job cannot be settled yet");
                Err(panicked(
                    self.context.lake.settle_publish(id.as_str(), &waits).await,
                ))
            }
        }
    }

    async fn prune_now_and_then(&self) {
        if (self.ended.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(PRUNE_EVERY)
            && let Err(error) = self.store.prune(self.keep).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old jobs could not be forgotten"
            );
        }
    }
}

/// Waits for a job's turn and reports why it waits; how long that took, or `None` when it has no turn any more.
async fn admitted(job: &LiveJob, ticket: &mut Ticket) -> Option<Duration> {
    loop {
        match ticket.turn().await? {
            Turn::Wait { reason } => job.feed.record(EventKind::Waiting { reason }).await,
            Turn::Start { waited } => {
                job.started.store(true, Ordering::Release);
                return Some(waited);
            }
        }
    }
}

fn ending(
    outcome: Result<JobSummary, Failure>,
    stopped_by: Option<StoppedBy>,
) -> (JobState, Option<Failure>) {
    match (outcome, stopped_by) {
        (Ok(_), _) => (JobState::Succeeded, None),
        (Err(failure), Some(StoppedBy::Shutdown)) if failure.kind == FailureKind::Cancelled => (
            JobState::Interrupted,
            Some(crate::store::interrupted_with(failure.notes)),
        ),
        (Err(failure), _) if failure.kind == FailureKind::Cancelled => {
            (JobState::Cancelled, Some(failure))
        }
        (Err(failure), _) => (JobState::Failed, Some(failure)),
    }
}

/// `published`: whether the run's publish is in the catalog.
fn panicked(published: Result<bool, LakehouseError>) -> Failure {
    let tables = match published {
        Ok(true) => "the run's tables were published before".to_owned(),
        Ok(false) => "of the run's tables nothing was published".to_owned(),
        Err(error) => format!("whether the run's tables were published is not known: {error}"),
    };
    Failure::new(FailureKind::Internal, "the job's driver ended in a defect")
        .note(tables)
        .note("the scheduler's log has the place; please report it")
}
