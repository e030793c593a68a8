//! The client's part of a trace: its root, where OpenTelemetry's environment variables ask for one.

use retail_telemetry::{LogConfig, TraceConfig, Tracing};
use tracing::Span;
use tracing::field::Empty;

use crate::cli::Command;
use crate::error::SubmitError;

/// Starts logs, if a level is given, and traces, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
///
/// # Errors
/// What is wrong with one of them, for a person.
pub(crate) fn start(level: Option<String>) -> Result<Tracing, String> {
    let log = level.map(|level| LogConfig {
        level,
        ..Default::default()
    });
    let trace = TraceConfig::from_env("retail-submit", |name| std::env::var(name).ok())
        .map_err(|(name, reason)| format!("{name}: {reason}"))?;
    retail_telemetry::init_with(log.as_ref(), &trace).map_err(|error| error.to_string())
}

/// The root of what a command has the cluster do; none for commands that only look.
pub(crate) fn span(command: Option<&Command>) -> Span {
    let command = match command {
        Some(Command::Run(_)) => "run",
        Some(Command::Demo(_)) => "demo",
        Some(Command::Sql(_)) => "sql",
        _ => return Span::none(),
    };
    tracing::info_span!(
        "submit",
        otel.kind = "client",
        command,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// What a command came to. Of an error only the exit code: its text may quote SQL or data.
pub(crate) fn ended(span: &Span, error: Option<&SubmitError>) {
    if let Some(error) = error {
        span.record("otel.status_code", "ERROR");
        let code = format!("exit code {:?}", error.exit_code());
        span.record("otel.status_description", code.to_lowercase());
    }
}
