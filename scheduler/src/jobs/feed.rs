//! One job's events: numbered, stored, and sent to watchers.
//!
//! A watcher gets every durable event once and in order, whenever it comes and however slowly it reads: one that is more
//! than [`WATCHER_LAG_MAX`] events behind reads the store, and then goes on with what comes. Progress is sent to whoever
//! keeps up; one that is behind misses it. The events of a job that has ended always end with the last one, wherever the
//! client begins.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::clock::Moment;
use crate::store::{JobStore, StoreError};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use retail_api::JobId;
use retail_api::events::{EventKind, JobEvent};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, broadcast};

/// Events that a watcher may be behind before it falls back to the store.
pub(super) const WATCHER_LAG_MAX: usize = 1024;

/// How long a store that refused is left alone: a job must not wait for it at each of its events.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);

/// Where a live job's events go. Durable ones get the next number; progress repeats the last one, so that a
/// watcher that comes back "after N" misses nothing.
pub(super) struct Feed {
    job_id: JobId,
    store: JobStore,
    /// Held while an event is stored: events are sent in order.
    log: Mutex<Log>,
    watchers: broadcast::Sender<JobEvent>,
}

/// The state of a job's log.
#[derive(Default)]
struct Log {
    /// Number of the last durable event.
    last_seq: u64,
    /// Events that the store has refused so far, in order: it gets them when it takes them.
    unstored: VecDeque<JobEvent>,
    refused_at: Option<Instant>,
}

impl Feed {
    /// A feed whose watchers may be `lag_max` events behind before they fall back to the store.
    pub(super) fn new(job_id: JobId, store: JobStore, lag_max: usize) -> Self {
        Self {
            job_id,
            store,
            log: Mutex::default(),
            watchers: broadcast::Sender::new(lag_max),
        }
    }

    /// Stores an event if it is durable, then sends it to watchers. A store that fails does not stop the job: events are
    /// kept until it takes them.
    pub(super) async fn record(&self, kind: EventKind, now: Moment) {
        let mut log = self.log.lock().await;
        let is_durable = kind.is_durable();
        let seq = log.last_seq + u64::from(is_durable);
        let event = JobEvent {
            job_id: self.job_id.clone(),
            seq,
            time_us: now.wall_us,
            kind,
        };
        if is_durable {
            log.last_seq = seq;
            log.unstored.push_back(event.clone());
            let waits = |at| now.at.saturating_duration_since(at) < REFUSED_PAUSE;
            if !log.refused_at.is_some_and(waits) {
                self.store_all(&mut log, now.at).await;
            }
        }
        // Nobody watching is no error.
        let _ = self.watchers.send(event);
    }

    /// Stores what the store has refused so far. Whether all of it is stored now.
    pub(super) async fn store_rest(&self, now: Instant) -> bool {
        let mut log = self.log.lock().await;
        self.store_all(&mut log, now).await;
        log.unstored.is_empty()
    }

    async fn store_all(&self, log: &mut Log, now: Instant) {
        while let Some(event) = log.unstored.front() {
            match self.store.append(event).await {
                Ok(()) => {
                    log.unstored.pop_front();
                    log.refused_at = None;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(job = %self.job_id, seq = event.seq, error, "event could not be stored yet");
                    log.refused_at = Some(now);
                    return;
                }
            }
        }
    }

    /// A watcher of this job's events after `after_seq`.
    pub(super) fn watcher(self: &Arc<Self>, after_seq: u64) -> Watcher {
        Watcher {
            feed: Arc::downgrade(self),
            live: Some(self.watchers.subscribe()),
            ..Watcher::of_ended(self.store.clone(), self.job_id.clone(), after_seq)
        }
    }

    /// What the store has refused so far.
    async fn unstored(&self) -> VecDeque<JobEvent> {
        self.log.lock().await.unstored.clone()
    }
}

/// Reads one job's events, from the store and then as they come.
pub(super) struct Watcher {
    store: JobStore,
    job_id: JobId,
    /// Number of the last durable event that was passed on.
    last_seq: u64,
    /// Weak: a feed that nobody records to any more ends its watchers.
    feed: Weak<Feed>,
    live: Option<broadcast::Receiver<JobEvent>>,
    /// What was read and is passed on before what comes.
    ready: VecDeque<JobEvent>,
    /// Whether the store has to be read before what comes.
    is_behind: bool,
    is_over: bool,
}

/// What one step of a watcher brought.
#[derive(Debug)]
pub(super) enum Step {
    Event(JobEvent),
    /// Nothing for the client.
    Nothing,
    /// The job has ended and all of its events are out.
    End,
}

impl Watcher {
    /// A watcher of a job that is not live: reads the store.
    pub(super) fn of_ended(store: JobStore, job_id: JobId, after_seq: u64) -> Self {
        Self {
            store,
            job_id,
            last_seq: after_seq,
            feed: Weak::new(),
            live: None,
            ready: VecDeque::new(),
            is_behind: true,
            is_over: false,
        }
    }

    /// All events to the job's end. A store that cannot be read ends them with its error.
    pub(super) fn stream(self) -> BoxStream<'static, Result<JobEvent, StoreError>> {
        stream::unfold(self, |mut watcher| async move {
            loop {
                let item = match watcher.step().await {
                    Ok(Step::Nothing) => continue,
                    Ok(Step::Event(event)) => Ok(event),
                    Ok(Step::End) => return None,
                    Err(error) => {
                        watcher.is_over = true;
                        Err(error)
                    }
                };
                return Some((item, watcher));
            }
        })
        .boxed()
    }

    /// Whether the next step has something to do now.
    #[cfg(test)]
    pub(super) fn has_more(&self) -> bool {
        let comes = |live: &broadcast::Receiver<JobEvent>| !live.is_empty() || live.is_closed();
        !self.ready.is_empty() || self.is_behind || self.live.as_ref().is_none_or(comes)
    }

    /// Waits for the next thing that happens.
    pub(super) async fn step(&mut self) -> Result<Step, StoreError> {
        if self.is_over {
            return Ok(Step::End);
        }
        if let Some(event) = self.ready.pop_front() {
            return Ok(self.pass_on(event));
        }
        if self.is_behind {
            self.ready = self.replay().await?;
            self.is_behind = false;
            return Ok(Step::Nothing);
        }
        let Some(live) = &mut self.live else {
            self.is_over = true;
            return Ok(self.end().await?.map_or(Step::End, Step::Event));
        };
        match live.recv().await {
            Ok(event) => return Ok(self.pass_on(event)),
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(job = %self.job_id, missed, "watcher is behind and reads the store");
            }
            Err(RecvError::Closed) => self.live = None,
        }
        self.is_behind = true;
        Ok(Step::Nothing)
    }

    /// What was recorded so far and not passed on. The unstored events are read first: what is stored meanwhile is read twice
    /// then, and what comes meanwhile is received.
    async fn replay(&self) -> Result<VecDeque<JobEvent>, StoreError> {
        let unstored = match self.feed.upgrade() {
            Some(feed) => feed.unstored().await,
            None => VecDeque::new(),
        };
        let mut events = VecDeque::from(self.store.events(&self.job_id, self.last_seq).await?);
        events.extend(unstored);
        Ok(events)
    }

    /// The end of a job of which nothing is left to pass on, for a client that has seen a later number: the scheduler died
    /// before the store took what that client saw.
    async fn end(&self) -> Result<Option<JobEvent>, StoreError> {
        let last_seq = self.store.last_seq(&self.job_id).await?;
        let before_last = last_seq.saturating_sub(1);
        let last = self.store.events(&self.job_id, before_last).await?.pop();
        Ok(last.filter(|event| matches!(event.kind, EventKind::Finished { .. })))
    }

    fn pass_on(&mut self, event: JobEvent) -> Step {
        let is_durable = event.kind.is_durable();
        // Progress of a model that is shown as done already is old.
        if event.seq < self.last_seq || (is_durable && event.seq == self.last_seq) {
            return Step::Nothing;
        }
        if is_durable {
            self.last_seq = event.seq;
        }
        self.is_over = matches!(event.kind, EventKind::Finished { .. });
        Step::Event(event)
    }
}
