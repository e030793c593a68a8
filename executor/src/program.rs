//! The program: settings, telemetry, run until a stop signal, drain.

use std::process::ExitCode;

use crate::config::{Config, Flags};
use crate::metrics::gauges;
use anyhow::Context;
use clap::Parser;
use retail_telemetry::{Readiness, program, serve_admin_with};

/// The whole of `retail-executor`: from its arguments to its exit code.
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
    let stop = program::stop_signal().context("cannot listen for SIGTERM")?;
    let mut stop = std::pin::pin!(stop);
    let readiness = Readiness::waiting(format!("not registered with {} yet", config.scheduler.url));
    let gauges = gauges::on_scrape(config.work_dir());
    let admin = serve_admin_with(
        config.admin_addr(),
        readiness.clone(),
        gauges,
        axum::Router::new(),
    )
    .await?;
    let started = tokio::select! {
        started = crate::start(config.settings()) => started?,
        signal = &mut stop => {
            tracing::info!(signal, "stopped before the scheduler was reached");
            return Ok(());
        }
    };
    let mut executor = started;
    readiness.ready();
    let ended = tokio::select! {
        reason = executor.stopped() => Some(reason),
        signal = stop => {
            tracing::info!(signal, "draining");
            None
        }
    };
    readiness.not_ready("draining");
    executor.drain(config.drain_grace()).await;
    admin.shutdown().await;
    tracing.flush().await;
    match ended {
        Some(reason) => Err(anyhow::anyhow!(reason)),
        None => Ok(()),
    }
}
