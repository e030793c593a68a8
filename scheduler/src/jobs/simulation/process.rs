//! One scheduler process: what `JobManager` holds, performed step by step instead of by tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use parking_lot::Mutex;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use retail_api::JobId;
use retail_api::events::EventKind;
use tokio_util::sync::CancellationToken;

use super::super::feed::Feed;
use super::super::lifecycle::{Action, Event, Lifecycle};
use super::driver::Driver;
use crate::admission::{Class, Gate, Limits, Ticket, Turn};
use crate::clock::Moment;
use crate::store::JobStore;

/// Events that a watcher may be behind: few, so that they lag.
const LAG_MAX: usize = 4;
const KEEP: u32 = 1000;

pub(super) struct Process {
    pub(super) lifecycle: Lifecycle,
    pub(super) gate: Gate,
    pub(super) limits: Limits,
    clock: Arc<Mutex<Moment>>,
    store: JobStore,
    pub(super) jobs: BTreeMap<JobId, Task>,
    pub(super) statements: Vec<Statement>,
    /// Jobs whose turn had come when the scheduler began to stop.
    may_start: Option<Vec<JobId>>,
    grace_is_over: bool,
    entered: u64,
}

pub(super) struct Task {
    pub(super) feed: Arc<Feed>,
    pub(super) ticket: Option<Ticket>,
    pub(super) cancel: CancellationToken,
    pub(super) driver: Option<Driver>,
    pub(super) has_ended: bool,
    entered: u64,
}

pub(super) struct Statement {
    pub(super) ticket: Ticket,
    pub(super) runs: bool,
    entered: u64,
}

impl Process {
    pub(super) fn new(store: &JobStore, clock: &Arc<Mutex<Moment>>, rng: &mut ChaCha8Rng) -> Self {
        let limits = Limits {
            jobs: rng.random_range(1..=3),
            statements: rng.random_range(1..=2),
        };
        let of_gate = Arc::clone(clock);
        Self {
            lifecycle: Lifecycle::new(None),
            gate: Gate::with_clock(limits, Arc::new(move || of_gate.lock().at)),
            limits,
            clock: Arc::clone(clock),
            store: store.clone(),
            jobs: BTreeMap::new(),
            statements: vec![],
            may_start: None,
            grace_is_over: false,
            entered: 0,
        }
    }

    fn now(&self) -> Moment {
        *self.clock.lock()
    }

    /// As `JobManager::submit` does once the job is stored. Returns what was recorded.
    pub(super) async fn accept(&mut self, id: &JobId) -> Vec<EventKind> {
        let ticket = self.gate.enter(Class::Job);
        let position = ticket.position();
        self.entered += 1;
        let task = Task {
            feed: Arc::new(Feed::new(id.clone(), self.store.clone(), LAG_MAX)),
            ticket: Some(ticket),
            cancel: CancellationToken::new(),
            driver: None,
            has_ended: false,
            entered: self.entered,
        };
        self.jobs.insert(id.clone(), task);
        let accepted = Event::Accepted {
            id: id.clone(),
            project: "shop".to_owned(),
            position,
            trace_id: None,
        };
        self.happens(accepted).await
    }

    /// Decides and performs. Returns the durable events that were recorded.
    pub(super) async fn happens(&mut self, event: Event) -> Vec<EventKind> {
        let now = self.now();
        let id = job_of(&event);
        if matches!(event, Event::Stop | Event::TakenOver) {
            self.begins_to_stop();
        }
        self.grace_is_over |= matches!(event, Event::GraceOver | Event::TakenOver);
        let mut recorded = vec![];
        for action in self.lifecycle.on(event, now.at) {
            match action {
                Action::Record { kind } => {
                    if kind.is_durable() {
                        recorded.push(kind.clone());
                    }
                    self.jobs[&id].feed.record(kind, now).await;
                }
                Action::Drive { .. } => self.drive(&id),
                Action::Cancel { id } => self.jobs[&id].cancel.cancel(),
                Action::Leave { .. } => {
                    let task = self.jobs.get_mut(&id).unwrap();
                    assert!(!task.has_ended, "{id} ended twice");
                    task.has_ended = true;
                    task.driver = None;
                    task.ticket = None;
                }
                Action::Prune => {
                    self.store.prune(KEEP, now.wall_us).await.unwrap();
                }
            }
        }
        self.are_stopped();
        recorded
    }

    /// Whoever must not start or go on any more has been notified.
    fn are_stopped(&self) {
        let Some(may_start) = &self.may_start else {
            return;
        };
        let live = self.jobs.iter().filter(|(_, task)| !task.has_ended);
        for (id, task) in live {
            let goes_on = may_start.contains(id) && !self.grace_is_over;
            assert!(
                goes_on || task.cancel.is_cancelled(),
                "{id} was not stopped"
            );
        }
    }

    fn begins_to_stop(&mut self) {
        let running = self.limits.jobs;
        let mut holders: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, t)| t.ticket.is_some())
            .collect();
        holders.sort_by_key(|(_, task)| task.entered);
        let ids = holders.into_iter().take(running).map(|(id, _)| id.clone());
        self.may_start.get_or_insert(ids.collect());
    }

    fn drive(&mut self, id: &JobId) {
        let entered = self.jobs[id].entered;
        let before = self
            .jobs
            .values()
            .filter(|t| t.ticket.is_some() && t.entered < entered);
        assert!(
            before.count() < self.limits.jobs,
            "{id} overtook another job"
        );
        if let Some(may_start) = &self.may_start {
            assert!(
                may_start.contains(id),
                "{id} started while the scheduler stops"
            );
        }
        let task = self.jobs.get_mut(id).unwrap();
        assert!(!task.cancel.is_cancelled(), "{id} started after its stop");
        assert!(
            task.ticket.is_some() && task.driver.is_none(),
            "{id} started twice"
        );
        task.driver = Some(Driver::default());
    }

    /// As a job's task does while it does not drive; one that is stopped at this moment may have read its turn before. Returns
    /// what was recorded; `None` when there was nothing to do.
    pub(super) async fn task_runs(
        &mut self,
        id: &JobId,
        reads_its_turn_first: bool,
    ) -> Option<Vec<EventKind>> {
        let task = self.jobs.get_mut(id).unwrap();
        if task.driver.is_some() || task.has_ended {
            return None;
        }
        let id = id.clone();
        let is_stopped = task.cancel.is_cancelled();
        let turn = match is_stopped && !reads_its_turn_first {
            true => None,
            false => next_turn(task.ticket.as_mut().unwrap()),
        };
        let event = match turn {
            Some(turn) => Event::Turn { id, turn },
            None if is_stopped => Event::Stopped { id },
            None => return None,
        };
        Some(self.happens(event).await)
    }

    pub(super) fn statement_enters(&mut self) {
        self.entered += 1;
        self.statements.push(Statement {
            ticket: self.gate.enter(Class::Statement),
            runs: false,
            entered: self.entered,
        });
    }

    pub(super) fn statement_reads(&mut self, at: usize) {
        let before = self.statements[..at].len();
        let statement = &mut self.statements[at];
        if let Some(Turn::Start { .. }) = next_turn(&mut statement.ticket) {
            assert!(
                !statement.runs,
                "statement {} started twice",
                statement.entered
            );
            assert!(
                before < self.limits.statements,
                "a statement overtook another"
            );
            statement.runs = true;
        }
    }

    /// Never more run than may, nobody waits beside a free place, and no ticket is lost.
    pub(super) fn holds(&self) {
        let driven = self.jobs.values().filter(|task| task.driver.is_some());
        let (held, limit) = (
            self.jobs
                .values()
                .filter(|task| task.ticket.is_some())
                .count(),
            self.limits.jobs,
        );
        assert!(driven.count() <= limit, "more jobs run than may");
        self.counts(Class::Job, held, limit);
        let (held, limit) = (self.statements.len(), self.limits.statements);
        let run = self.statements.iter().filter(|statement| statement.runs);
        assert!(run.count() <= limit, "more statements run than may");
        self.counts(Class::Statement, held, limit);
        for (id, task) in &self.jobs {
            assert_eq!(task.ticket.is_none(), task.has_ended, "{id}'s ticket");
        }
        assert_eq!(self.jobs.len(), self.lifecycle.live());
    }

    fn counts(&self, class: Class, held: usize, limit: usize) {
        let running = held.min(limit);
        let expected = (running as u32, (held - running) as u32);
        assert_eq!(
            self.gate.counts(class),
            expected,
            "{class:?}: running, waiting"
        );
    }
}

/// The job whose task performs what follows; an event of the scheduler has none.
fn job_of(event: &Event) -> JobId {
    match event {
        Event::Accepted { id, .. }
        | Event::Turn { id, .. }
        | Event::Stopped { id }
        | Event::Happened { id, .. }
        | Event::DriverEnded { id, .. }
        | Event::Forgotten { id }
        | Event::Cancel { id } => id.clone(),
        Event::Stop | Event::GraceOver | Event::TakenOver => "none".into(),
    }
}

/// The next change of a ticket, if there is one by now.
fn next_turn(ticket: &mut Ticket) -> Option<Turn> {
    tokio::task::unconstrained(ticket.turn())
        .now_or_never()
        .flatten()
}
