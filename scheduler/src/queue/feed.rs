//! One job's events: numbered, stored, and sent to watchers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::store::{JobStore, StoreError};
use futures::StreamExt;
use futures::stream::BoxStream;
use retail_api::JobId;
use retail_api::clock::now_us;
use retail_api::events::{EventKind, JobEvent};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Events that a watcher may be behind before it falls back to the store.
const WATCHER_LAG_MAX: usize = 1024;
/// Events that lie ready for a client that reads slowly.
const WATCHER_BUFFER: usize = 64;

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
    pub(super) fn new(job_id: JobId, store: JobStore) -> Self {
        Self {
            job_id,
            store,
            log: Mutex::default(),
            watchers: broadcast::Sender::new(WATCHER_LAG_MAX),
        }
    }

    /// Stores an event if it is durable, then sends it to watchers. A store that fails does not stop the job: events are
    /// kept until it takes them.
    pub(super) async fn record(&self, kind: EventKind) {
        let mut log = self.log.lock().await;
        let is_durable = kind.is_durable();
        let seq = log.last_seq + u64::from(is_durable);
        let event = JobEvent {
            job_id: self.job_id.clone(),
            seq,
            time_us: now_us(),
            kind,
        };
        if is_durable {
            log.last_seq = seq;
            log.unstored.push_back(event.clone());
            if log
                .refused_at
                .is_none_or(|at| at.elapsed() >= REFUSED_PAUSE)
            {
                self.store_all(&mut log).await;
            }
        }
        // Nobody watching is no error.
        let _ = self.watchers.send(event);
    }

    /// Stores what the store has refused so far. Whether all of it is stored now.
    pub(super) async fn store_rest(&self) -> bool {
        let mut log = self.log.lock().await;
        self.store_all(&mut log).await;
        log.unstored.is_empty()
    }

    async fn store_all(&self, log: &mut Log) {
        while let Some(event) = log.unstored.front() {
            match self.store.append(event).await {
                Ok(()) => {
                    log.unstored.pop_front();
                    log.refused_at = None;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(job = %self.job_id, seq = event.seq, error, "event could not be stored yet");
                    log.refused_at = Some(Instant::now());
                    return;
                }
            }
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<JobEvent> {
        self.watchers.subscribe()
    }
}

/// A job's events after `after_seq`: those in the store, then, for a live job, those that come. Ends with the job.
///
/// `live` must have been subscribed before this reads the store, so that no event falls between the two.
pub(super) fn watch(
    store: JobStore,
    job_id: JobId,
    after_seq: u64,
    live: Option<broadcast::Receiver<JobEvent>>,
) -> BoxStream<'static, Result<JobEvent, StoreError>> {
    let (out, events) = mpsc::channel(WATCHER_BUFFER);
    tokio::spawn(async move {
        let mut watcher = Watcher {
            store,
            job_id,
            last_seq: after_seq,
            out,
        };
        if let Err(error) = watcher.follow(live).await {
            let _ = watcher.out.send(Err(error)).await;
        }
    });
    ReceiverStream::new(events).boxed()
}

struct Watcher {
    store: JobStore,
    job_id: JobId,
    /// Number of the last durable event that was passed on.
    last_seq: u64,
    out: mpsc::Sender<Result<JobEvent, StoreError>>,
}

/// Whether there is more to come.
#[derive(PartialEq, Eq)]
enum Next {
    More,
    End,
}

impl Watcher {
    async fn follow(
        &mut self,
        mut live: Option<broadcast::Receiver<JobEvent>>,
    ) -> Result<(), StoreError> {
        loop {
            if self.replay().await? == Next::End {
                return Ok(());
            }
            let Some(receiver) = &mut live else {
                return Ok(());
            };
            loop {
                let received = tokio::select! {
                    received = receiver.recv() => received,
                    () = self.out.closed() => return Ok(()),
                };
                match received {
                    Ok(event) if !event.kind.is_durable() => {
                        // Progress of a model that the replay has already shown as done is old.
                        if event.seq >= self.last_seq && self.pass_on(event).await == Next::End {
                            return Ok(());
                        }
                    }
                    Ok(event) if event.seq <= self.last_seq => {}
                    Ok(event) => {
                        if self.pass_on(event).await == Next::End {
                            return Ok(());
                        }
                    }
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(job = %self.job_id, missed, "watcher is behind and reads the store");
                        break;
                    }
                    Err(RecvError::Closed) => {
                        live = None;
                        break;
                    }
                }
            }
        }
    }

    async fn replay(&mut self) -> Result<Next, StoreError> {
        for event in self.store.events(&self.job_id, self.last_seq).await? {
            if self.pass_on(event).await == Next::End {
                return Ok(Next::End);
            }
        }
        Ok(Next::More)
    }

    async fn pass_on(&mut self, event: JobEvent) -> Next {
        let is_last = matches!(event.kind, EventKind::Finished { .. });
        self.last_seq = self.last_seq.max(event.seq);
        match self.out.send(Ok(event)).await {
            Ok(()) if !is_last => Next::More,
            _ => Next::End,
        }
    }
}
