//! The program: settings, telemetry, the admin port, and clusters to reconcile until a signal stops it.

use std::process::ExitCode;
use std::sync::Arc;

use crate::cluster_state::ClusterStates;
use crate::config::{Command, Config, Flags};
use crate::crd::document;
use anyhow::Context;
use clap::Parser;
use retail_telemetry::metrics::{Role, expose};
use retail_telemetry::{Readiness, program, serve_admin_with};

/// The whole of `retail-operator`: from its arguments to its exit code.
pub fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => {
            let _ = error.print();
            return program::usage(error.use_stderr());
        }
    };
    if let Some(Command::Crd) = flags.command {
        print!("{}", document::yaml().expect("a test writes it"));
        return ExitCode::SUCCESS;
    }
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
    let ended = match &flags.command {
        Some(Command::Remove { name }) => remove(&config, name),
        _ => run(config),
    };
    program::ended(ended)
}

#[tokio::main]
async fn remove(config: &Config, name: &str) -> anyhow::Result<()> {
    retail_telemetry::init(&config.log)?;
    let client = client().await?;
    Ok(crate::remove(client, config, name).await?)
}

async fn client() -> anyhow::Result<kube::Client> {
    crate::controller::client().await.context(
        "no API server is known: neither a pod's service account nor KUBECONFIG leads to one",
    )
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    retail_telemetry::init(&config.log)?;
    expose(Role::Operator);
    let signal = program::stop_signal().context("cannot listen for SIGTERM")?;
    let stop = async move {
        let signal = signal.await;
        tracing::info!(signal, "stopping");
    };
    let readiness = Readiness::waiting("the API server was not reached yet");
    let states = ClusterStates::default();
    let counted = states.clone();
    let count = Arc::new(
        move || -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            counted.count();
            Box::pin(std::future::ready(()))
        },
    );
    let admin = serve_admin_with(
        config.admin_addr(),
        readiness.clone(),
        count,
        axum::Router::new(),
    )
    .await?;
    let client = client().await?;
    let ended = crate::run(client, &config, &readiness, states, stop).await;
    admin.shutdown().await;
    ended.context("the operator ended")
}
