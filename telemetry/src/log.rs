//! Logs: one line per fact on stderr, as text for people or JSON for collectors.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::TelemetryError;

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

/// Libraries that say more than an operator wants to read; a directive of the same name overrides these.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,rustls=warn,reqwest=warn,sqlx=warn,\
     object_store=warn,iceberg=warn,datafusion=warn,ballista=warn,ballista_core=warn,ballista_scheduler=warn,\
     ballista_executor=warn";

/// Starts logging for the whole process; lines of the `log` crate come along.
///
/// The first call wins: a program that embeds us keeps the logging it set up itself.
///
/// # Errors
/// [`TelemetryError::LogLevel`] when the level does not parse.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = filter(&config.level)?;
    let lines = fmt::Subscriber::builder()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let colour = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let started = match config.format {
        LogFormat::Text => lines.with_ansi(colour).finish().try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .finish()
            .try_init(),
    };
    // The only error is that somebody else was first.
    let _ = started;
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
