//! A client that watches a job: what it must see.

use retail_api::JobId;
use retail_api::events::{EventKind, JobEvent};

use super::super::feed::{Step, Watcher};

/// A client. It sees every durable event once and in order, from where it begins to the job's end.
pub(super) struct Client {
    pub(super) job: JobId,
    /// `None` while it is away.
    pub(super) watcher: Option<Watcher>,
    pub(super) last_seq: u64,
    /// It saw what the store never got before the process died: the numbers are given again, and it must see the end.
    pub(super) is_ahead: bool,
    pub(super) has_ended: bool,
}

impl Client {
    /// Reads what is there, at most `steps_max` steps of it. `recorded` is what the job's feed has recorded, from number 1.
    pub(super) async fn read(&mut self, steps_max: usize, recorded: &[EventKind]) {
        for _ in 0..steps_max {
            let Some(watcher) = self.watcher.as_mut().filter(|w| w.has_more()) else {
                return;
            };
            match watcher.step().await {
                Ok(Step::Nothing) => {}
                Ok(Step::Event(event)) => self.sees(&event, recorded),
                Ok(Step::End) => {
                    assert!(self.has_ended, "a stream ended before its job");
                    self.watcher = None;
                }
                // The client comes back.
                Err(_) => self.watcher = None,
            }
        }
    }

    fn sees(&mut self, event: &JobEvent, recorded: &[EventKind]) {
        assert_eq!(event.job_id, self.job);
        assert!(!self.has_ended, "an event after the last one: {event:?}");
        if !event.kind.is_durable() {
            assert_eq!(event.seq, self.last_seq, "progress repeats the last number");
            return;
        }
        let expected = match self.is_ahead {
            true => recorded.len() as u64,
            false => self.last_seq + 1,
        };
        assert_eq!(event.seq, expected, "events once and in order");
        assert_eq!(Some(&event.kind), recorded.get(event.seq as usize - 1));
        self.last_seq = event.seq;
        self.has_ended = matches!(event.kind, EventKind::Finished { .. });
    }
}
