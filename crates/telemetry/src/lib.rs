//! What every process has around its work: settings, logs, traces, metrics and an admin port.
//!
//! `settings` reads configuration in layers, `log` writes log lines, `trace` connects what happens across processes,
//! `metrics` lists every metric we count, `program` is what mains share, and `admin` serves health, readiness, metrics and the log level over HTTP.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod admin;
mod allocator;
pub mod fields;
pub mod log;
pub mod metrics;
pub mod program;
pub mod settings;
pub mod trace;

pub use admin::{AdminServer, Readiness, serve_admin, serve_admin_with};
pub use allocator::keep_freed_pages;
pub use log::{LogConfig, LogFormat, init, init_with};
pub use metrics::metrics;
pub use settings::{SettingError, Settings};
pub use trace::{TraceConfig, Tracing};

/// What could not be set up around a process's work.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log level does not parse.
    #[error(
        "log.level is not a filter: {reason}; expected a level such as info, or info,retail_jobs=debug"
    )]
    LogLevel { reason: String },
    /// Spans cannot be sent to such an endpoint.
    #[error("cannot send traces to {endpoint}: {reason}")]
    Trace { endpoint: String, reason: String },
    /// The admin port cannot be used.
    #[error("cannot bind the admin port {addr}")]
    Bind {
        addr: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
}
