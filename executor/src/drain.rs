//! When a draining executor may leave. Pure: `process` counts, requests, waits and leaves.
//!
//! ```text
//!  tasks run ──▶ none runs: request the removal ──┬── something blocks it: report that when it changes, look again
//!                                                 ├── removed: leave
//!                                                 └── no answer: leave with what it holds
//! ```
//!
//! The removal is requested after the last task only: a scheduler that removes an executor counts what runs there as lost.

use retail_proto::v1::RequestRemovalResponse;

/// What a draining executor saw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// Tasks that run here.
    Tasks(usize),
    /// The scheduler's answer to the request to be removed: what blocks it. Empty: it is removed.
    Answer(RequestRemovalResponse),
    /// The scheduler cannot be reached.
    NoAnswer,
}

/// What it does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again later.
    Wait,
    RequestRemoval,
    /// Report what blocks the removal, then look again later.
    Report {
        tasks: u32,
        queries: u32,
    },
    /// Nothing depends on this executor.
    Leave,
    /// Whoever needs what it holds will run it again elsewhere.
    LeaveWithWork,
}

/// A drain: what was reported last.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    reported: RequestRemovalResponse,
}

impl Drain {
    pub(crate) fn on(&mut self, seen: Seen) -> Next {
        match seen {
            Seen::Tasks(0) => Next::RequestRemoval,
            Seen::Tasks(_) => Next::Wait,
            Seen::NoAnswer => Next::LeaveWithWork,
            Seen::Answer(blockers) if blockers == RequestRemovalResponse::default() => Next::Leave,
            Seen::Answer(blockers) if blockers == self.reported => Next::Wait,
            Seen::Answer(blockers) => {
                self.reported = blockers;
                Next::Report {
                    tasks: blockers.tasks,
                    queries: blockers.queries,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(tasks: u32, queries: u32) -> Seen {
        Seen::Answer(RequestRemovalResponse { tasks, queries })
    }

    #[test]
    fn an_executor_is_not_removed_while_it_runs_tasks() {
        let mut drain = Drain::default();
        assert_eq!(drain.on(Seen::Tasks(2)), Next::Wait);
        assert_eq!(drain.on(Seen::Tasks(1)), Next::Wait);
        assert_eq!(drain.on(Seen::Tasks(0)), Next::RequestRemoval);
    }

    #[test]
    fn an_executor_stays_until_no_query_reads_its_rows() {
        let mut drain = Drain::default();
        let reported = |tasks, queries| Next::Report { tasks, queries };
        assert_eq!(drain.on(blocked(1, 2)), reported(1, 2));
        assert_eq!(drain.on(blocked(0, 1)), reported(0, 1));
        assert_eq!(drain.on(blocked(0, 0)), Next::Leave);
    }

    #[test]
    fn what_blocks_a_removal_is_reported_when_it_changes() {
        let mut drain = Drain::default();
        let reported = Next::Report {
            tasks: 0,
            queries: 3,
        };
        assert_eq!(drain.on(blocked(0, 3)), reported);
        assert_eq!(drain.on(blocked(0, 3)), Next::Wait);
        assert_eq!(drain.on(Seen::Tasks(0)), Next::RequestRemoval);
        assert_eq!(drain.on(blocked(0, 3)), Next::Wait);
        assert_eq!(
            drain.on(blocked(1, 3)),
            Next::Report {
                tasks: 1,
                queries: 3
            }
        );
    }

    #[test]
    fn without_a_scheduler_nothing_is_waited_for() {
        let mut drain = Drain::default();
        assert_eq!(drain.on(Seen::NoAnswer), Next::LeaveWithWork);
    }
}
