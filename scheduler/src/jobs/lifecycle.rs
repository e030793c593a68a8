//! What becomes of jobs. Pure: events and the time go in, actions come out, and [`super::JobManager`] performs them.
//!
//! ```text
//!            Turn::Start              DriverEnded
//!  Waiting ─────────────▶ Running ──────────────────▶ Ended ──Forgotten──▶ (gone)
//!     │                                                 ▲
//!     └── Stopped: cancelled, or the scheduler stops ───┘
//! ```
//!
//! A job that may start at once is `Admitted` until its task has read its turn: whoever stops the scheduler meanwhile
//! lets it run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use retail_api::events::EventKind;
use retail_api::job::JobState;
use retail_api::{Failure, FailureKind, JobId, Unpublished};
use retail_jobs::JobSummary;

use super::SubmitError;
use crate::admission::Turn;
use crate::store::interrupted_with;

/// Ended jobs between two rounds of forgetting old ones.
const PRUNE_EVERY: u32 = 50;

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The job is stored and stands in the queue at `position`, from 1; 0 where it may start at once.
    Accepted {
        id: JobId,
        project: String,
        position: u32,
        trace_id: Option<String>,
    },
    /// Admission moved it.
    Turn { id: JobId, turn: Turn },
    /// It heard that it is to stop before its turn came.
    Stopped { id: JobId },
    /// Its driver reports a fact, or the cluster one that concerns it.
    Happened { id: JobId, kind: EventKind },
    /// Its driver has let go.
    DriverEnded {
        id: JobId,
        outcome: Result<JobSummary, Box<Failure>>,
    },
    /// All of its events are stored, or the next owner records how it ended.
    Forgotten { id: JobId },
    /// A client cancels a job.
    Cancel { id: JobId },
    /// The scheduler begins to stop.
    Stop,
    /// The time in which running jobs may end while the scheduler stops is over.
    GraceOver,
    /// Another scheduler owns the catalog now: it records how our jobs ended.
    TakenOver,
}

/// What to do about it, in order. Where no job is named, it is the event's.
#[derive(Debug)]
pub(super) enum Action {
    /// Number, store and send an event of the job.
    Record { kind: EventKind },
    /// Run the job's driver, after it has waited so long.
    Drive { waited: Duration },
    /// Let a job's task or its driver know that it is to stop.
    Cancel { id: JobId },
    /// Give the job's place to the next one. `ran` is absent for a job that never ran.
    Leave {
        state: JobState,
        ran: Option<Duration>,
    },
    /// Forget old jobs.
    Prune,
}

/// All jobs of this scheduler that are not forgotten.
#[derive(Debug)]
pub(super) struct Lifecycle {
    jobs: BTreeMap<JobId, Life>,
    is_stopping: bool,
    /// Who owns the catalog, where this scheduler does not.
    owned_by: Option<String>,
    ended: u32,
}

#[derive(Debug)]
struct Life {
    phase: Phase,
    /// The first one counts.
    stopped_by: Option<StoppedBy>,
    /// When it was accepted; once it runs, when it began.
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Admitted,
    Running,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoppedBy {
    /// A client cancelled it.
    Cancel,
    /// The scheduler stops.
    Shutdown,
}

impl Lifecycle {
    /// `owned_by` names the catalog's owner where this scheduler is not.
    pub(super) fn new(owned_by: Option<String>) -> Self {
        Self {
            jobs: BTreeMap::new(),
            is_stopping: false,
            owned_by,
            ended: 0,
        }
    }

    /// Why no job is accepted now.
    pub(super) fn refusal(&self) -> Option<SubmitError> {
        if self.is_stopping {
            return Some(SubmitError::Stopping);
        }
        self.owned_by.clone().map(SubmitError::NotOwner)
    }

    /// How many jobs are not forgotten.
    pub(super) fn live(&self) -> usize {
        self.jobs.len()
    }

    /// Decides what follows from an event at `now`.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Accepted {
                id,
                project,
                position,
                trace_id,
            } => {
                let queued = EventKind::Queued {
                    project,
                    position,
                    trace_id,
                };
                self.accepted(id, position, queued, now)
            }
            Event::Turn { id, turn } => self.turn(&id, turn, now),
            Event::Stopped { id } => match self.phase(&id) {
                Some(Phase::Waiting | Phase::Admitted) => self.end(&id, Err(never_started()), now),
                _ => vec![],
            },
            Event::Happened { id, kind } => match self.phase(&id) {
                Some(Phase::Running) => vec![Action::Record { kind }],
                _ => vec![],
            },
            Event::DriverEnded { id, outcome } => match self.phase(&id) {
                Some(Phase::Running) => self.end(&id, outcome, now),
                _ => vec![],
            },
            Event::Forgotten { id } => self.forget(&id),
            Event::Cancel { id } => self.stop(StoppedBy::Cancel, |other, _| *other == id),
            Event::Stop => {
                self.is_stopping = true;
                self.stop(StoppedBy::Shutdown, |_, phase| phase == Phase::Waiting)
            }
            Event::GraceOver => self.stop(StoppedBy::Shutdown, |_, _| true),
            Event::TakenOver => {
                self.owned_by = Some("another scheduler has taken over the catalog".to_owned());
                self.stop(StoppedBy::Shutdown, |_, _| true)
            }
        }
    }

    fn phase(&self, id: &JobId) -> Option<Phase> {
        self.jobs.get(id).map(|life| life.phase)
    }

    fn accepted(
        &mut self,
        id: JobId,
        position: u32,
        queued: EventKind,
        now: Instant,
    ) -> Vec<Action> {
        let phase = match position {
            0 => Phase::Admitted,
            _ => Phase::Waiting,
        };
        let life = Life {
            phase,
            stopped_by: None,
            since: now,
        };
        self.jobs.insert(id.clone(), life);
        let mut actions = vec![Action::Record { kind: queued }];
        // Stopping may have begun while the job was stored.
        if self.refusal().is_some() {
            actions.extend(self.stop(StoppedBy::Shutdown, |other, _| *other == id));
        }
        actions
    }

    fn turn(&mut self, id: &JobId, turn: Turn, now: Instant) -> Vec<Action> {
        let Some(life) = self.jobs.get_mut(id) else {
            return vec![];
        };
        match (life.phase, turn) {
            (Phase::Waiting, Turn::Wait { reason }) => vec![Action::Record {
                kind: EventKind::Waiting { reason },
            }],
            (Phase::Waiting | Phase::Admitted, Turn::Start { .. }) if life.stopped_by.is_some() => {
                self.end(id, Err(never_started()), now)
            }
            (Phase::Waiting | Phase::Admitted, Turn::Start { waited }) => {
                life.phase = Phase::Running;
                life.since = now;
                vec![Action::Drive { waited }]
            }
            (Phase::Admitted | Phase::Running | Phase::Ended, _) => vec![],
        }
    }

    fn stop(&mut self, by: StoppedBy, whom: impl Fn(&JobId, Phase) -> bool) -> Vec<Action> {
        let mut actions = vec![];
        for (id, life) in &mut self.jobs {
            if life.phase != Phase::Ended && whom(id, life.phase) {
                life.stopped_by.get_or_insert(by);
                actions.push(Action::Cancel { id: id.clone() });
            }
        }
        actions
    }

    fn end(
        &mut self,
        id: &JobId,
        outcome: Result<JobSummary, Box<Failure>>,
        now: Instant,
    ) -> Vec<Action> {
        let Some(life) = self.jobs.get_mut(id) else {
            return vec![];
        };
        let elapsed = now.saturating_duration_since(life.since);
        let ran = (life.phase == Phase::Running).then_some(elapsed);
        life.phase = Phase::Ended;
        let (state, failure) = ending(outcome, life.stopped_by);
        let finished = EventKind::Finished {
            state,
            failure,
            elapsed_ms: elapsed.as_millis() as u64,
        };
        vec![
            Action::Record { kind: finished },
            Action::Leave { state, ran },
        ]
    }

    fn forget(&mut self, id: &JobId) -> Vec<Action> {
        if self.phase(id) != Some(Phase::Ended) {
            return vec![];
        }
        self.jobs.remove(id);
        self.ended += 1;
        match self.ended.is_multiple_of(PRUNE_EVERY) {
            true => vec![Action::Prune],
            false => vec![],
        }
    }
}

fn never_started() -> Box<Failure> {
    let failure = Failure::new(
        FailureKind::Cancelled,
        "the job was cancelled before it started",
    );
    Box::new(failure.unpublished(Unpublished::Everything))
}

fn ending(
    outcome: Result<JobSummary, Box<Failure>>,
    stopped_by: Option<StoppedBy>,
) -> (JobState, Option<Box<Failure>>) {
    match (outcome, stopped_by) {
        (Ok(_), _) => (JobState::Succeeded, None),
        (Err(failure), Some(StoppedBy::Shutdown)) if failure.kind == FailureKind::Cancelled => (
            JobState::Interrupted,
            Some(Box::new(interrupted_with(
                failure.notes,
                failure.unpublished,
            ))),
        ),
        (Err(failure), _) if failure.kind == FailureKind::Cancelled => {
            (JobState::Cancelled, Some(failure))
        }
        (Err(failure), _) => (JobState::Failed, Some(failure)),
    }
}

#[cfg(test)]
mod tests;
