//! Which jobs run and which wait. Pure: [`super::JobManager`] performs what this decides.

use std::collections::{HashSet, VecDeque};

use retail_api::JobId;

/// At most so many jobs run; the others wait in the order in which they came.
#[derive(Debug)]
pub(super) struct Admission {
    max_running: usize,
    running: HashSet<JobId>,
    waiting: VecDeque<JobId>,
}

/// What is to be done after a job came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Start {
        job: JobId,
    },
    /// `position` counts from 1: the next one to start.
    Wait {
        job: JobId,
        position: u32,
    },
}

impl Admission {
    pub(super) fn new(max_running: usize) -> Self {
        Self {
            max_running: max_running.max(1),
            running: HashSet::new(),
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn enter(&mut self, job: &JobId) -> Action {
        if self.running.len() < self.max_running {
            self.running.insert(job.clone());
            return Action::Start { job: job.clone() };
        }
        self.waiting.push_back(job.clone());
        Action::Wait {
            job: job.clone(),
            position: self.waiting.len() as u32,
        }
    }

    /// A job ended, whether it ran or waited.
    pub(super) fn leave(&mut self, job: &JobId) -> Vec<Action> {
        self.running.remove(job);
        let before: Vec<JobId> = self.waiting.iter().cloned().collect();
        self.waiting.retain(|other| other != job);
        let mut actions = vec![];
        while self.running.len() < self.max_running
            && let Some(next) = self.waiting.pop_front()
        {
            self.running.insert(next.clone());
            actions.push(Action::Start { job: next });
        }
        for (at, other) in self.waiting.iter().enumerate() {
            if before.get(at) != Some(other) {
                actions.push(Action::Wait {
                    job: other.clone(),
                    position: at as u32 + 1,
                });
            }
        }
        actions
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn max_running(&self) -> usize {
        self.max_running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(job: &str) -> Action {
        Action::Start { job: job.into() }
    }

    fn wait(job: &str, position: u32) -> Action {
        Action::Wait {
            job: job.into(),
            position,
        }
    }

    #[test]
    fn jobs_start_in_the_order_in_which_they_came() {
        let mut admission = Admission::new(2);
        assert_eq!(
            ["a", "b"].map(|j| admission.enter(&j.into())),
            [start("a"), start("b")]
        );
        assert_eq!(
            ["c", "d", "e"].map(|j| admission.enter(&j.into())),
            [wait("c", 1), wait("d", 2), wait("e", 3)]
        );
        assert_eq!(
            admission.leave(&"a".into()),
            [start("c"), wait("d", 1), wait("e", 2)]
        );
        assert_eq!((admission.running(), admission.waiting()), (2, 2));
    }

    #[test]
    fn a_job_that_gives_up_waiting_lets_the_others_move_up() {
        let mut admission = Admission::new(1);
        for job in ["a", "b", "c", "d"] {
            admission.enter(&job.into());
        }
        assert_eq!(admission.leave(&"c".into()), [wait("d", 2)]);
        assert_eq!(admission.leave(&"nobody".into()), []);
        assert_eq!(admission.leave(&"a".into()), [start("b"), wait("d", 1)]);
    }

    #[test]
    fn a_limit_of_none_is_a_limit_of_one() {
        assert_eq!(Admission::new(0).enter(&"a".into()), start("a"));
    }
}
