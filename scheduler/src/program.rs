//! The program: settings, telemetry, serve until told to stop, drain.

use std::process::ExitCode;

use crate::WithoutCatalog;
use crate::config::{Config, Flags};
use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Wrong usage or configuration, as in sysexits.h.
const EX_USAGE: u8 = 64;

/// The whole of `retail-scheduler`: from its arguments to its exit code.
pub fn main() -> ExitCode {
    retail_telemetry::keep_freed_pages();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    let (config, layers) = match Config::load(&flags, environment()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EX_USAGE);
        }
    };
    if flags.print_config {
        print!("{}", layers.print());
        return ExitCode::SUCCESS;
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    let tracing = retail_telemetry::init_with(Some(&config.log), &config.trace)?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let grace = config.shutdown_grace();
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        }
    };
    let mut stop = std::pin::pin!(stop);
    let scheduler = tokio::select! {
        started = crate::start(config, WithoutCatalog::Wait) => started?,
        signal = &mut stop => {
            tracing::info!(signal, "stopped before it served");
            return Ok(());
        }
    };
    let signal = stop.await;
    tracing::info!(signal, ?grace, "stopping");
    scheduler.shutdown(grace).await;
    tracing.flush().await;
    Ok(())
}
