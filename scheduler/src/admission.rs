//! Which jobs and statements run and which wait. Pure: time is an argument, and [`Gate`] performs what this decides.
//!
//! ```text
//!  job       ──▶ lane of jobs        at most jobs.max_concurrent run,       the others wait in order of arrival
//!  statement ──▶ lane of statements  at most statements.max_concurrent run, the others wait in order of arrival
//! ```
//!
//! The lanes are side by side: a person's query does not wait for the jobs of the night, nor they for it.

mod gate;

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

pub(crate) use gate::{Gate, Ticket, Turn};

/// What is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// A run of a project.
    Job,
    /// A query of a person or tool that runs on executors.
    Statement,
}

/// Most entries of each class that run at once. Zero counts as one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) jobs: usize,
    pub(crate) statements: usize,
}

/// Names one job or statement from its arrival to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    class: Class,
    number: u64,
}

/// What follows from an arrival or an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// It may run now, after it has waited so long.
    Start { entry: Entry, waited: Duration },
    /// `position` counts from 1: the next one to start.
    Wait { entry: Entry, position: u32 },
}

/// Two lanes, each with its own limit and its own queue.
#[derive(Debug)]
struct Admission {
    jobs: Lane,
    statements: Lane,
    entered: u64,
}

#[derive(Debug)]
struct Lane {
    running_max: usize,
    running: HashSet<Entry>,
    waiting: VecDeque<(Entry, Instant)>,
}

impl Admission {
    fn new(limits: Limits) -> Self {
        let lane = |running_max: usize| Lane {
            running_max: running_max.max(1),
            running: HashSet::new(),
            waiting: VecDeque::new(),
        };
        Self {
            jobs: lane(limits.jobs),
            statements: lane(limits.statements),
            entered: 0,
        }
    }

    fn lane(&self, class: Class) -> &Lane {
        match class {
            Class::Job => &self.jobs,
            Class::Statement => &self.statements,
        }
    }

    fn lane_mut(&mut self, class: Class) -> &mut Lane {
        match class {
            Class::Job => &mut self.jobs,
            Class::Statement => &mut self.statements,
        }
    }

    /// A job or statement arrives at `now`.
    fn enter(&mut self, class: Class, now: Instant) -> (Entry, Decision) {
        self.entered += 1;
        let entry = Entry {
            class,
            number: self.entered,
        };
        (entry, self.lane_mut(class).enter(entry, now))
    }

    /// A job or statement ended at `now`, whether it ran or waited.
    fn leave(&mut self, entry: Entry, now: Instant) -> Vec<Decision> {
        self.lane_mut(entry.class).leave(entry, now)
    }
}

impl Lane {
    fn enter(&mut self, entry: Entry, now: Instant) -> Decision {
        if self.running.len() < self.running_max {
            self.running.insert(entry);
            return Decision::Start {
                entry,
                waited: Duration::ZERO,
            };
        }
        self.waiting.push_back((entry, now));
        Decision::Wait {
            entry,
            position: self.waiting.len() as u32,
        }
    }

    fn leave(&mut self, entry: Entry, now: Instant) -> Vec<Decision> {
        self.running.remove(&entry);
        let before: Vec<Entry> = self.waiting.iter().map(|(entry, _)| *entry).collect();
        self.waiting.retain(|(other, _)| *other != entry);
        let mut decisions = vec![];
        while self.running.len() < self.running_max
            && let Some((next, since)) = self.waiting.pop_front()
        {
            self.running.insert(next);
            decisions.push(Decision::Start {
                entry: next,
                waited: now.saturating_duration_since(since),
            });
        }
        for (at, (other, _)) in self.waiting.iter().enumerate() {
            if before.get(at) != Some(other) {
                decisions.push(Decision::Wait {
                    entry: *other,
                    position: at as u32 + 1,
                });
            }
        }
        decisions
    }
}

/// Why an entry of a class waits, for the one who waits.
fn waiting_reason(class: Class, position: u32, running_max: usize) -> String {
    let (one, many, setting) = match class {
        Class::Job => ("job", "jobs", "jobs.max_concurrent"),
        Class::Statement => ("statement", "statements", "statements.max_concurrent"),
    };
    let running = match running_max {
        1 => format!("1 {one} is"),
        n => format!("{n} {many} are"),
    };
    let place = match position {
        1 => "this one is next".to_owned(),
        2 => format!("1 {one} is before this one"),
        n => format!("{} {many} are before this one", n - 1),
    };
    format!("{running} running, as many as may ({setting}); {place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(entry: Entry, waited_s: u64) -> Decision {
        let waited = Duration::from_secs(waited_s);
        Decision::Start { entry, waited }
    }

    fn wait(entry: Entry, position: u32) -> Decision {
        Decision::Wait { entry, position }
    }

    fn limits(jobs: usize, statements: usize) -> Limits {
        Limits { jobs, statements }
    }

    /// An admission on which `count` entries of a class arrived at `now`.
    fn entered(
        limits: Limits,
        class: Class,
        count: usize,
        now: Instant,
    ) -> (Admission, Vec<Entry>, Vec<Decision>) {
        let mut admission = Admission::new(limits);
        let all: Vec<_> = (0..count).map(|_| admission.enter(class, now)).collect();
        let (entries, decisions) = all.into_iter().unzip();
        (admission, entries, decisions)
    }

    #[test]
    fn entries_start_in_the_order_of_their_arrival() {
        let now = Instant::now();
        for class in [Class::Job, Class::Statement] {
            let (mut admission, e, decisions) = entered(limits(2, 2), class, 5, now);
            assert_eq!(
                decisions,
                [
                    start(e[0], 0),
                    start(e[1], 0),
                    wait(e[2], 1),
                    wait(e[3], 2),
                    wait(e[4], 3)
                ]
            );
            let later = now + Duration::from_secs(7);
            assert_eq!(
                admission.leave(e[0], later),
                [start(e[2], 7), wait(e[3], 1), wait(e[4], 2)]
            );
            let lane = admission.lane(class);
            assert_eq!((lane.running.len(), lane.waiting.len()), (2, 2));
        }
    }

    #[test]
    fn jobs_and_statements_do_not_wait_for_each_other() {
        let now = Instant::now();
        let (mut admission, jobs, _) = entered(limits(1, 1), Class::Job, 2, now);
        let (first, decision) = admission.enter(Class::Statement, now);
        assert_eq!(decision, start(first, 0));
        let (second, decision) = admission.enter(Class::Statement, now);
        assert_eq!(decision, wait(second, 1));
        assert_eq!(admission.leave(jobs[0], now), [start(jobs[1], 0)]);
        assert_eq!(admission.leave(first, now), [start(second, 0)]);
    }

    #[test]
    fn an_entry_that_gives_up_waiting_lets_the_others_move_up() {
        let now = Instant::now();
        let (mut admission, e, _) = entered(limits(1, 1), Class::Job, 4, now);
        assert_eq!(admission.leave(e[2], now), [wait(e[3], 2)]);
        assert_eq!(admission.leave(e[2], now), []);
        assert_eq!(admission.leave(e[0], now), [start(e[1], 0), wait(e[3], 1)]);
    }

    #[test]
    fn a_limit_of_none_is_a_limit_of_one() {
        let (_, e, decisions) = entered(limits(0, 0), Class::Statement, 2, Instant::now());
        assert_eq!(decisions, [start(e[0], 0), wait(e[1], 1)]);
    }

    #[test]
    fn who_waits_is_shown_the_limit_and_the_position() {
        for (class, position, running_max, expected) in [
            (
                Class::Job,
                1,
                1,
                "1 job is running, as many as may (jobs.max_concurrent); this one is next",
            ),
            (
                Class::Job,
                2,
                2,
                "2 jobs are running, as many as may (jobs.max_concurrent); 1 job is before this one",
            ),
            (
                Class::Statement,
                4,
                16,
                "16 statements are running, as many as may (statements.max_concurrent); 3 statements are before this one",
            ),
        ] {
            assert_eq!(waiting_reason(class, position, running_max), expected);
        }
    }
}
