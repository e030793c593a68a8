//! Logs: one line per fact on stderr, as text for people or JSON for collectors.
//!
//! JSON lines carry what they are about, wherever in the code they were written: `trace_id`, `job`, `model`, `query`,
//! `stage` and `task` come from the spans around them. Text lines stay short.

mod filter;
mod json;

use std::sync::{Mutex, OnceLock, PoisonError};

use anstream::{AutoStream, ColorChoice};
use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::TelemetryError;
use crate::fields::Fields;
use crate::trace::{self, TraceConfig, Tracing};
use filter::LogFilter;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A level, or directives such as `info,retail_jobs=debug,ballista_scheduler=info`.
    pub level: String,
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Libraries that log more than an operator wants to read; a directive of the same name overrides these.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,rustls=warn,reqwest=warn,sqlx=warn,\
     object_store=warn,iceberg=warn,datafusion=warn,ballista=warn,ballista_core=warn,ballista_scheduler=warn,\
     ballista_executor=warn,opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off";

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The running log's filter: its directives, and how it is replaced.
struct Control {
    level: Mutex<String>,
    with_spans: bool,
    filter: reload::Handle<LogFilter, Registry>,
}

static CONTROL: OnceLock<Control> = OnceLock::new();

/// Starts logging for the whole process; lines of the `log` crate come along.
///
/// The first call wins: a program that embeds us keeps the logging it set up itself.
///
/// # Errors
/// [`TelemetryError::LogLevel`] when the level does not parse.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    init_with(Some(config), &TraceConfig::default()).map(|_| ())
}

/// Starts logs and traces for the whole process, each if it is wanted. Spans are sent from inside the async runtime
/// that this is called in; [`Tracing::flush`] sends the last of them.
///
/// The first call wins, as in [`init`].
///
/// # Errors
/// [`TelemetryError::LogLevel`] when the level does not parse, [`TelemetryError::Trace`] when spans cannot be sent
/// to the endpoint at all.
pub fn init_with(log: Option<&LogConfig>, trace: &TraceConfig) -> Result<Tracing, TelemetryError> {
    let mut layers: Vec<BoxedLayer> = vec![];
    let control = match log {
        Some(config) => {
            let (control, lines) = lines(config)?;
            layers.push(lines);
            Some(control)
        }
        None => None,
    };
    let (tracing, spans) = match trace::start(trace)? {
        Some((tracing, spans)) => (tracing, Some(spans)),
        None => (Tracing::default(), None),
    };
    layers.insert(
        0,
        Fields::default().with_filter(filter::our_spans()).boxed(),
    );
    layers.extend(spans);
    // The only error is that somebody else was first.
    if tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .is_err()
    {
        return Ok(Tracing::default());
    }
    if let Some(control) = control {
        let _ = CONTROL.set(control);
    }
    tracing.install();
    trace::warn_ignored_settings();
    Ok(tracing)
}

fn lines(config: &LogConfig) -> Result<(Control, BoxedLayer), TelemetryError> {
    let with_spans = config.format == LogFormat::Json;
    let (filter, handle) = reload::Layer::new(LogFilter::new(filter(&config.level)?, with_spans));
    let control = Control {
        level: Mutex::new(config.level.trim().to_owned()),
        with_spans,
        filter: handle,
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let colour = AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(colour).with_filter(filter).boxed(),
        LogFormat::Json => lines
            .with_ansi(false)
            .event_format(json::Json)
            .with_filter(filter)
            .boxed(),
    };
    Ok((control, lines))
}

/// What is logged now; none where this process does not log, or logs in its own way.
pub fn level() -> Option<String> {
    let control = CONTROL.get()?;
    Some(
        control
            .level
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
    )
}

/// Changes what is logged from now on, until the process ends.
///
/// # Errors
/// [`TelemetryError::LogLevel`] when the level does not parse, or the log is not ours.
pub fn set_level(level: &str) -> Result<(), TelemetryError> {
    let filter = filter(level)?;
    let not_ours = || TelemetryError::LogLevel {
        reason: "this process does not log, or logs in its own way".to_owned(),
    };
    let control = CONTROL.get().ok_or_else(not_ours)?;
    let mut known = control.level.lock().unwrap_or_else(PoisonError::into_inner);
    control
        .filter
        .reload(LogFilter::new(filter, control.with_spans))
        .map_err(|_| not_ours())?;
    let before = std::mem::replace(&mut *known, level.trim().to_owned());
    tracing::warn!(before, now = *known, "log level changed");
    Ok(())
}

/// Checks a level without starting anything.
///
/// # Errors
/// [`TelemetryError::LogLevel`] when it does not parse.
pub fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let level = level.trim();
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    let word = level.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if word && !known.contains(&level.to_ascii_lowercase().as_str()) {
        // A lone word that is no level would be taken for a target, and everything else would go silent.
        return Err(TelemetryError::LogLevel {
            reason: format!("{level:?} is no level"),
        });
    }
    EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|e| TelemetryError::LogLevel {
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_overrides_a_quiet_library() {
        let filter = filter("info,ballista_scheduler=debug").unwrap().to_string();
        assert!(filter.contains("ballista_scheduler=debug"), "{filter}");
        assert!(!filter.contains("ballista_scheduler=warn"), "{filter}");
        assert!(filter.contains("ballista_executor=warn"), "{filter}");
    }

    #[test]
    fn a_misspelt_level_is_refused_instead_of_silencing_everything() {
        for level in ["inof", "", "retail_jobs", "info,retail_jobs=loud"] {
            assert!(filter(level).is_err(), "{level:?}");
        }
        for level in ["info", "WARN", "off", "warn,retail_jobs=trace"] {
            assert!(filter(level).is_ok(), "{level:?}");
        }
    }
}
