//! Spans on their way to the collector. Work never waits for it.
//!
//! ```text
//! span ends ─▶ queue, bounded ─▶ one thread ─▶ a batch over gRPC
//!                 │ full                          │ refused, or no answer in time
//!                 ▼                               ▼
//!              dropped and counted; at most one warning a minute
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_otlp::{RetryPolicy, SpanExporter as Otlp, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};
use tokio::runtime::Handle;

use super::OBJECT_STORE;
use crate::TelemetryError;
use crate::metrics::metrics;

/// Spans that wait, at most: a few megabytes.
const QUEUE_MAX: usize = 8192;
/// Requests to stores are leaves: without them the tree is whole. They leave this much of the queue to others.
const QUEUE_MAX_LEAVES: usize = QUEUE_MAX / 2;
const BATCH: usize = 512;
/// How long a span waits for others to go with.
const DELAY: Duration = Duration::from_secs(1);
/// How long a collector may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(3);
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Spans that wait to be sent.
pub(super) struct Queue {
    batches: BatchSpanProcessor,
    counts: Arc<Counts>,
}

/// What became of spans.
struct Counts {
    endpoint: String,
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// How many were dropped when it was last said, and when that was.
    warned: Mutex<(u64, Option<Instant>)>,
}

impl Queue {
    /// Starts the sending thread. No connection is made before the first span.
    pub(super) fn start(endpoint: &str, resource: &Resource) -> Result<Self, TelemetryError> {
        let cannot = |reason: String| TelemetryError::Trace {
            endpoint: crate::settings::redact(endpoint),
            reason,
        };
        let runtime = Handle::try_current().map_err(|e| cannot(e.to_string()))?;
        let otlp = Otlp::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            // The next batch is the next attempt.
            .with_retry_policy(RetryPolicy::default().with_max_retries(0))
            .build()
            .map_err(|e| cannot(e.to_string()))?;
        let counts = Arc::new(Counts {
            endpoint: crate::settings::redact(endpoint),
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            warned: Mutex::new((0, None)),
        });
        let sender = Sender {
            otlp: Arc::new(otlp),
            runtime,
            counts: Arc::clone(&counts),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let mut batches = BatchSpanProcessor::builder(sender)
            .with_batch_config(config)
            .build();
        batches.set_resource(resource);
        Ok(Self { batches, counts })
    }

    /// Spans that no collector got.
    pub(super) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// The same when nothing is sent any more.
    pub(super) fn lost(&self) -> u64 {
        self.dropped() + self.counts.waiting.load(Ordering::Relaxed) as u64
    }
}

impl Queue {
    pub(super) fn put(&self, span: SpanData) {
        let limit = match span.name == OBJECT_STORE {
            true => QUEUE_MAX_LEAVES,
            false => QUEUE_MAX,
        };
        if self.counts.waiting.load(Ordering::Relaxed) >= limit {
            // The sending thread logs it: here, in the middle of anything, nothing may be logged.
            self.counts.give_up(1);
            return;
        }
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        self.batches.on_end(span);
    }
}

impl Counts {
    fn give_up(&self, spans: u64) {
        self.dropped.fetch_add(spans, Ordering::Relaxed);
        metrics().spans_dropped_total.inc_by(spans);
    }

    /// Logs that spans are dropped, if there are more than at the last warning, and that is a minute ago.
    fn warn(&self, reason: Option<String>) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let (reported, at) = *warned;
        if dropped == reported || at.is_some_and(|at| at.elapsed() < WARN_EVERY) {
            return;
        }
        *warned = (dropped, Some(Instant::now()));
        tracing::warn!(
            endpoint = self.endpoint,
            dropped,
            reason = reason.as_deref().unwrap_or("more came than were taken"),
            "spans are dropped; the collector does not take them"
        );
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("endpoint", &self.counts.endpoint)
            .finish_non_exhaustive()
    }
}

/// The queue as the tracer sees it.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<Queue>);

impl SpanProcessor for Shared {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.put(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.batches.shutdown_with_timeout(timeout)
    }
}

/// Sends batches from inside the async runtime, in bounded time, and counts those that do not arrive.
struct Sender {
    otlp: Arc<Otlp>,
    runtime: Handle,
    counts: Arc<Counts>,
}

impl SpanExporter for Sender {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let otlp = Arc::clone(&self.otlp);
        let sending = self.runtime.spawn(async move {
            match tokio::time::timeout(TIMEOUT, otlp.export(batch)).await {
                Ok(sent) => sent,
                Err(_) => Err(OTelSdkError::Timeout(TIMEOUT)),
            }
        });
        let sent = match sending.await {
            Ok(sent) => sent,
            Err(stopped) => Err(OTelSdkError::InternalFailure(stopped.to_string())),
        };
        self.counts.waiting.fetch_sub(spans, Ordering::Relaxed);
        if sent.is_err() {
            self.counts.give_up(spans as u64);
        }
        self.counts
            .warn(sent.as_ref().err().map(ToString::to_string));
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(otlp) = Arc::get_mut(&mut self.otlp) {
            otlp.set_resource(resource);
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("endpoint", &self.counts.endpoint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};

    use super::*;

    fn span(name: &'static str) -> SpanData {
        let now = std::time::SystemTime::now();
        SpanData {
            span_context: SpanContext::NONE,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_collector_that_hangs_leaves_no_place_for_is_dropped_and_counted() {
        // It takes connections and never answers.
        let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", hangs.local_addr().unwrap());
        let queue = Queue::start(&endpoint, &Resource::builder().build()).unwrap();
        for _ in 0..2 * QUEUE_MAX {
            queue.put(span(OBJECT_STORE));
        }
        let leaves = queue.counts.waiting.load(Ordering::Relaxed);
        assert!(leaves <= QUEUE_MAX_LEAVES, "{leaves}");
        for _ in 0..2 * QUEUE_MAX {
            queue.put(span("task"));
        }
        let waiting = queue.counts.waiting.load(Ordering::Relaxed);
        assert!(leaves < waiting && waiting <= QUEUE_MAX, "{waiting}");
        assert_eq!(queue.lost(), 4 * QUEUE_MAX as u64);
    }
}
