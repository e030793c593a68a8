//! Performs what [`Admission`] decides: everything that runs on executors holds a [`Ticket`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use retail_telemetry::metrics;
use tokio::sync::mpsc;

use super::{Admission, Class, Decision, Entry, Limits, waiting_reason};

/// The one admission of a scheduler. A clone is another handle on the same.
#[derive(Clone)]
pub(crate) struct Gate {
    state: Arc<Mutex<State>>,
    /// Read here and not passed in: a ticket is dropped wherever its holder ends.
    clock: Arc<Clock>,
}

type Clock = dyn Fn() -> Instant + Send + Sync;

struct State {
    admission: Admission,
    /// Of the entries that have not started.
    turns: HashMap<Entry, mpsc::UnboundedSender<Turn>>,
}

/// What an entry gets to know while it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits; the reason is for people, and changes with its position.
    Wait { reason: String },
    /// It may run, after it has waited so long.
    Start { waited: Duration },
}

/// A job's or statement's place, in the queue and then among those that run, until this is dropped.
pub(crate) struct Ticket {
    gate: Gate,
    entry: Entry,
    position: u32,
    turns: mpsc::UnboundedReceiver<Turn>,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Self::with_clock(limits, Arc::new(Instant::now))
    }

    /// A gate whose waits are measured on `clock`.
    pub(crate) fn with_clock(limits: Limits, clock: Arc<Clock>) -> Self {
        let state = State {
            admission: Admission::new(limits),
            turns: HashMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            clock,
        }
    }

    /// Queues a job or statement.
    pub(crate) fn enter(&self, class: Class) -> Ticket {
        let (sender, turns) = mpsc::unbounded_channel();
        let mut state = self.state.lock();
        let (entry, decision) = state.admission.enter(class, (self.clock)());
        let position = match decision {
            Decision::Start { .. } => 0,
            Decision::Wait { position, .. } => position,
        };
        state.turns.insert(entry, sender);
        state.perform([decision]);
        Ticket {
            gate: self.clone(),
            entry,
            position,
            turns,
        }
    }

    /// How many of a class run, and how many wait.
    pub(crate) fn counts(&self, class: Class) -> (u32, u32) {
        self.state.lock().counts(class)
    }
}

impl State {
    fn counts(&self, class: Class) -> (u32, u32) {
        let lane = self.admission.lane(class);
        (lane.running.len() as u32, lane.waiting.len() as u32)
    }

    fn perform(&mut self, decisions: impl IntoIterator<Item = Decision>) {
        for decision in decisions {
            // A receiver that is gone belongs to a ticket that is being dropped.
            match decision {
                Decision::Start { entry, waited } => {
                    if let Some(turns) = self.turns.remove(&entry) {
                        let _ = turns.send(Turn::Start { waited });
                    }
                }
                Decision::Wait { entry, position } => {
                    let running_max = self.admission.lane(entry.class).running_max;
                    let reason = waiting_reason(entry.class, position, running_max);
                    if let Some(turns) = self.turns.get(&entry) {
                        let _ = turns.send(Turn::Wait { reason });
                    }
                }
            }
        }
        let (running, waiting) = self.counts(Class::Job);
        metrics().jobs_running.set(running.into());
        metrics().jobs_queued.set(waiting.into());
        let (running, waiting) = self.counts(Class::Statement);
        metrics().statements_running.set(running.into());
        metrics().statements_queued.set(waiting.into());
    }
}

impl Ticket {
    /// Where it stood when it arrived, from 1; 0 where it could start at once.
    pub(crate) fn position(&self) -> u32 {
        self.position
    }

    /// Each change while it waits, in order, the start as the last; `None` after that.
    pub(crate) async fn turn(&mut self) -> Option<Turn> {
        self.turns.recv().await
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.turns.remove(&self.entry);
        let decisions = state.admission.leave(self.entry, (self.gate.clock)());
        state.perform(decisions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        jobs: 1,
        statements: 1,
    };

    async fn reason(ticket: &mut Ticket) -> String {
        match ticket.turn().await {
            Some(Turn::Wait { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_dropped_ticket_starts_the_next_one() {
        let gate = Gate::new(LIMITS);
        let mut first = gate.enter(Class::Statement);
        let mut second = gate.enter(Class::Statement);
        assert!(matches!(first.turn().await, Some(Turn::Start { .. })));
        assert_eq!((first.position(), second.position()), (0, 1));
        assert!(reason(&mut second).await.ends_with("this one is next"));
        assert_eq!(gate.counts(Class::Statement), (1, 1));
        drop(first);
        assert!(matches!(second.turn().await, Some(Turn::Start { .. })));
        assert_eq!(second.turn().await, None);
        drop(second);
        assert_eq!(gate.counts(Class::Statement), (0, 0));
    }

    #[tokio::test]
    async fn a_ticket_that_is_dropped_while_it_waits_moves_the_others_up() {
        let gate = Gate::new(LIMITS);
        let _running = gate.enter(Class::Job);
        let second = gate.enter(Class::Job);
        let mut third = gate.enter(Class::Job);
        assert!(
            reason(&mut third)
                .await
                .ends_with("1 job is before this one")
        );
        drop(second);
        assert!(reason(&mut third).await.ends_with("this one is next"));
        assert_eq!(gate.counts(Class::Job), (1, 1));
    }
}
