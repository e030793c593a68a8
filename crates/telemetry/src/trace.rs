//! Traces: spans of ours, sent to an OpenTelemetry collector over OTLP/gRPC.
//!
//! ```text
//! submit                          retail-submit
//! └─ job                          retail-scheduler, which got the client's context in gRPC metadata
//!    ├─ model
//!    │  ├─ query
//!    │  │  └─ stage               known when the query ends; its id follows from the query's (`stage_parent`)
//!    │  │     └─ task             retail-executor, which got the query's context with the task
//!    │  │        └─ object_store
//!    │  └─ commit
//!    └─ publish
//! ```
//!
//! Code that is traced names `tracing` only. Nothing waits for a collector: see `export`.

mod context;
mod export;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData};
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::{Layer, Registry};

use crate::TelemetryError;
pub use context::{TraceContext, context_of, follow, of, stage_parent, trace_id, traceparent};
use export::{Queue, Shared};

/// Name of spans around single requests to a store: many, and the first to be dropped.
pub const OBJECT_STORE: &str = "object_store";
/// Longest wait for the last spans when a process ends.
const FLUSH: Duration = Duration::from_secs(2);
const SCOPE: &str = "retail";

/// Where spans go, and how many traces are recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceConfig {
    /// `http://host:4317` of a collector; empty = no traces.
    pub endpoint: String,
    /// Of the traces that begin in this process, the share that is recorded. Other traces follow the decision of the
    /// process that began them.
    pub sample_ratio: f64,
    pub service_name: String,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            sample_ratio: 1.0,
            service_name: "retail".to_owned(),
        }
    }
}

/// The environment variables of OpenTelemetry that we honour below our own settings, and the settings they are.
/// The last one that is set counts.
pub const STANDARD_ENV: [(&str, &str); 4] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "trace.endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "trace.endpoint"),
    ("OTEL_TRACES_SAMPLER_ARG", "trace.sample_ratio"),
    ("OTEL_SERVICE_NAME", "trace.service_name"),
];

impl TraceConfig {
    /// The defaults of the process that is called so.
    pub fn of(service_name: &str) -> Self {
        Self {
            service_name: service_name.to_owned(),
            ..Self::default()
        }
    }

    /// Reads OpenTelemetry's own environment variables, for a process without settings.
    ///
    /// # Errors
    /// The variable at fault and why.
    pub fn from_env(
        service_name: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, (&'static str, String)> {
        let mut config = Self::of(service_name);
        let mut endpoint_from = STANDARD_ENV[0].0;
        for (name, key) in STANDARD_ENV {
            let Some(text) = variable(name).filter(|text| !text.is_empty()) else {
                continue;
            };
            match key {
                "trace.endpoint" => (config.endpoint, endpoint_from) = (text, name),
                "trace.service_name" => config.service_name = text,
                _ => {
                    config.sample_ratio = text
                        .parse()
                        .map_err(|_| (name, format!("expected a number, found {text:?}")))?;
                }
            }
        }
        config.check().map_err(|(key, reason)| match key {
            "trace.endpoint" => (endpoint_from, reason),
            _ => ("OTEL_TRACES_SAMPLER_ARG", reason),
        })?;
        Ok(config)
    }

    /// Checks what types cannot: the key at fault and why.
    ///
    /// # Errors
    /// An endpoint that is no `http://host:port`, or a ratio outside 0 to 1.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let host = self.endpoint.strip_prefix("http://");
        if self.is_on() && host.is_none_or(|host| host.trim_matches('/').is_empty()) {
            let reason = match self.endpoint.starts_with("https://") {
                true => {
                    "spans are sent without TLS; run a collector near this process that passes them on"
                }
                false => "expected http://host:4317, where a collector takes OTLP over gRPC",
            };
            return Err(("trace.endpoint", reason.to_owned()));
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err((
                "trace.sample_ratio",
                format!("{} is not between 0 and 1", self.sample_ratio),
            ));
        }
        Ok(())
    }

    fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }
}

/// The running export of spans; off by default. A clone is another handle on the same.
#[derive(Debug, Clone, Default)]
pub struct Tracing {
    running: Option<Arc<Running>>,
}

#[derive(Debug)]
struct Running {
    queue: Arc<Queue>,
    provider: SdkTracerProvider,
}

static RUNNING: OnceLock<Arc<Running>> = OnceLock::new();

impl Tracing {
    /// Sends what is left, within two seconds, and sends nothing from then on. Returns how many spans of this process
    /// were dropped in all.
    pub async fn flush(self) -> u64 {
        let Some(running) = self.running else {
            return 0;
        };
        let ending = Arc::clone(&running);
        let end = tokio::task::spawn_blocking(move || ending.provider.shutdown_with_timeout(FLUSH));
        // A thread that hangs in there ends with the process.
        let _ = tokio::time::timeout(FLUSH, end).await;
        running.queue.lost()
    }
}

type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The export and the layer that feeds it; none where tracing is off.
pub(crate) fn start(config: &TraceConfig) -> Result<Option<(Tracing, SpanLayer)>, TelemetryError> {
    if !config.is_on() {
        return Ok(None);
    }
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let queue = Arc::new(Queue::start(&config.endpoint, &resource)?);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            config.sample_ratio,
        ))))
        .with_span_processor(Shared(Arc::clone(&queue)))
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(ours());
    let running = Arc::new(Running { queue, provider });
    let tracing = Tracing {
        running: Some(running),
    };
    Ok(Some((tracing, layer.boxed())))
}

impl Tracing {
    /// Makes this the process's export.
    pub(crate) fn install(&self) {
        if let Some(running) = &self.running {
            let _ = RUNNING.set(Arc::clone(running));
        }
    }
}

/// Libraries have spans too; a trace of ours has ours.
fn ours() -> FilterFn {
    let is_ours: fn(&Metadata<'_>) -> bool = |metadata| {
        metadata.is_span()
            && *metadata.level() <= Level::DEBUG
            && metadata.target().starts_with("retail_")
    };
    FilterFn::new(is_ours).with_max_level_hint(LevelFilter::DEBUG)
}

/// Warns of standard settings of OpenTelemetry that have no effect here.
pub(crate) fn warn_ignored_settings() {
    let Some(_) = RUNNING.get() else { return };
    for name in [
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    ] {
        if let Ok(protocol) = std::env::var(name)
            && !protocol.is_empty()
            && protocol != "grpc"
        {
            tracing::warn!(
                name,
                protocol,
                "spans are sent over gRPC; this setting is ignored"
            );
        }
    }
}

/// A stage of a query, known when the query has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    pub stage: usize,
    pub start: SystemTime,
    pub end: SystemTime,
    pub failed: bool,
    pub attributes: Vec<(&'static str, i64)>,
}

/// Sends the span of a stage of the query that `query` is the context of. Tasks name it as their parent before it
/// exists, so its id follows from the query's and the stage's number.
pub fn record_stage(query: &str, stage: Stage) {
    let (Some(running), Some(query_context)) = (RUNNING.get(), context::parse(query)) else {
        return;
    };
    if !query_context.is_sampled() {
        return;
    }
    let attributes = stage
        .attributes
        .iter()
        .map(|(name, value)| KeyValue::new(*name, *value))
        .chain([KeyValue::new("stage", stage.stage as i64)]);
    running.queue.put(SpanData {
        span_context: SpanContext::new(
            query_context.trace_id(),
            context::stage_id(&query_context, stage.stage),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: query_context.span_id(),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "stage".into(),
        start_time: stage.start,
        end_time: stage.end.max(stage.start),
        attributes: attributes.collect(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: match stage.failed {
            true => Status::error("the stage failed"),
            false => Status::Unset,
        },
        instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_in_opentelemetrys_words_is_understood_and_checked() {
        let of = |variables: &[(&str, &str)]| {
            let variables: Vec<(String, String)> = variables
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect();
            TraceConfig::from_env("retail-submit", move |name| {
                variables
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, text)| text.clone())
            })
        };
        let off = of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap();
        assert!(!off.is_on() && off.service_name == "retail-submit");
        let on = of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://any:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ])
        .unwrap();
        assert_eq!(
            (on.endpoint.as_str(), on.sample_ratio),
            ("http://traces:4317", 0.25)
        );
        for (name, text) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_TRACES_SAMPLER_ARG", "half"),
        ] {
            let (blamed, reason) = of(&[(name, text)]).unwrap_err();
            assert_eq!(blamed, name, "{reason}");
        }
    }
}
