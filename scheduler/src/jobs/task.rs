//! One job's task: waits for its turn, runs its driver, and performs what the lifecycle decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use retail_api::events::EventKind;
use retail_api::{Failure, FailureKind, Unpublished};
use retail_engine::ExecutorLoss;
use retail_jobs::{JobSpec, JobSummary, run_job};
use retail_lakehouse::LakehouseError;
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

use super::lifecycle::{Action, Event};
use super::{JobManager, LiveJob, counters, spans};
use crate::admission::Ticket;
use crate::clock::Moment;

/// Between two attempts to store what a job's store refused.
const STORE_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What a job's task does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Waits for its turn, or for its end.
    Wait,
    Drive,
    End,
}

impl JobManager {
    /// One job's life after it was accepted.
    pub(super) async fn run(self: Arc<Self>, spec: JobSpec, job: Arc<LiveJob>, mut ticket: Ticket) {
        let mut next = Next::Wait;
        while next != Next::End {
            let id = job.id.clone();
            let event = match next {
                Next::Drive => Event::DriverEnded {
                    id,
                    outcome: self.drive(&spec, &job).await.map_err(Box::new),
                },
                _ => tokio::select! {
                    biased;
                    () = job.cancel.cancelled() => Event::Stopped { id },
                    Some(turn) = ticket.turn() => Event::Turn { id, turn },
                },
            };
            let actions = self.decide(event);
            next = self.perform(&job, actions).await;
        }
        drop(ticket);
        self.forget(&job).await;
    }

    /// Performs what was decided for a job, in order.
    pub(super) async fn perform(&self, job: &LiveJob, actions: Vec<Action>) -> Next {
        let mut next = Next::Wait;
        for action in actions {
            match action {
                Action::Record { kind } => {
                    if let EventKind::Finished { state, failure, .. } = &kind {
                        spans::ended(*state, failure.as_deref());
                        match failure {
                            None => tracing::info!(job = %job.id, "job succeeded"),
                            Some(failure) => {
                                tracing::warn!(job = %job.id, ?state, %failure, "job ended");
                            }
                        }
                    }
                    job.feed.record(kind, Moment::now()).await;
                }
                Action::Drive { waited } => {
                    counters::started(waited);
                    next = Next::Drive;
                }
                Action::Leave { state, ran } => {
                    counters::ended(state, ran);
                    job.over.cancel();
                    next = Next::End;
                }
                // Notified when it was decided.
                Action::Cancel { .. } => {}
                Action::Prune => self.prune().await,
            }
        }
        next
    }

    /// Lets go of an ended job when all of it is stored: a store that failed gets its events as soon as it works.
    async fn forget(&self, job: &LiveJob) {
        while !job.feed.store_rest(Instant::now()).await {
            tokio::select! {
                () = tokio::time::sleep(STORE_RETRY_PAUSE) => {}
                // The next owner records how it ended.
                () = self.lost.cancelled() => break,
            }
        }
        self.jobs.lock().remove(&job.id);
        let actions = self.decide(Event::Forgotten { id: job.id.clone() });
        self.perform(job, actions).await;
    }

    /// Runs the driver and passes its events on.
    async fn drive(&self, spec: &JobSpec, job: &LiveJob) -> Result<JobSummary, Failure> {
        let (events, mut received) = mpsc::unbounded_channel();
        let (context, cancel) = (self.context.clone(), job.cancel.clone());
        let spec = spec.clone();
        // A task of its own: a defect ends its job, not the scheduler.
        let run = async move { run_job(&spec, &context, &events, &cancel).await };
        let driver = tokio::spawn(run.instrument(Span::current()));
        // Ends when the driver has let go of its sender.
        let mut retried = HashMap::new();
        let mut losses = self.context.cluster.losses();
        loop {
            let kind = tokio::select! {
                event = received.recv() => match event {
                    Some(event) => event,
                    None => break,
                },
                Ok(ExecutorLoss { executor_id, reason }) = losses.recv() =>
                    EventKind::ExecutorLost { executor_id: executor_id.into(), reason },
            };
            counters::event(&kind, &mut retried);
            let id = job.id.clone();
            let actions = self.decide(Event::Happened { id, kind });
            self.perform(job, actions).await;
        }
        match driver.await {
            Ok(outcome) => outcome,
            Err(_) => {
                let id = &job.id;
                let waits = |reason| tracing::warn!(job = %id, reason, "job cannot be settled yet");
                Err(panicked(
                    self.context.lake.settle_publish(id.as_str(), &waits).await,
                ))
            }
        }
    }

    async fn prune(&self) {
        let pruned = self.store.prune(self.keep, Moment::now().wall_us).await;
        if let Err(error) = pruned {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old jobs could not be forgotten"
            );
        }
    }
}

/// `published`: whether the run's publish is in the catalog.
fn panicked(published: Result<bool, LakehouseError>) -> Failure {
    let failure = Failure::new(FailureKind::Internal, "the job's driver ended in a defect");
    let failure = match published {
        Ok(true) => failure.note("the run's tables were published before"),
        Ok(false) => failure.unpublished(Unpublished::RunTables),
        Err(error) => failure.note(format!(
            "whether the run's tables were published is not known: {error}"
        )),
    };
    failure.note("the scheduler's log has the place; please report it")
}
