//! The program: settings, telemetry, serve until a stop signal, drain.

use std::process::ExitCode;
use std::time::Duration;

use crate::WithoutCatalog;
use crate::config::{Config, Flags};
use anyhow::Context;
use clap::Parser;
use retail_telemetry::program;

/// The whole of `retail-scheduler`: from its arguments to its exit code.
pub fn main() -> ExitCode {
    retail_telemetry::keep_freed_pages();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => {
            let _ = error.print();
            return program::usage(error.use_stderr());
        }
    };
    let (config, layers) = match Config::load(&flags, program::environment()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(program::EX_USAGE);
        }
    };
    if flags.print_config {
        print!("{}", layers.print());
        return ExitCode::SUCCESS;
    }
    program::ended(program::block_on(run(config)))
}

async fn run(config: Config) -> anyhow::Result<()> {
    let tracing = retail_telemetry::init_with(Some(&config.log), &config.trace)?;
    let grace = config.shutdown_grace();
    let stop = program::stop_signal().context("cannot listen for SIGTERM")?;
    let mut stop = std::pin::pin!(stop);
    let scheduler = tokio::select! {
        started = crate::start(config, WithoutCatalog::Wait) => started?,
        signal = &mut stop => {
            tracing::info!(signal, "stopped before it served");
            return Ok(());
        }
    };
    let signal = tokio::select! {
        signal = stop => signal,
        () = scheduler.lost_ownership() => {
            scheduler.shutdown(Duration::ZERO).await;
            tracing.flush().await;
            anyhow::bail!("another scheduler has taken over the catalog, since this one did not renew its lease in time");
        }
    };
    tracing::info!(signal, ?grace, "stopping");
    scheduler.shutdown(grace).await;
    tracing.flush().await;
    Ok(())
}
