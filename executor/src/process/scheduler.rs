//! How an executor that starts reaches its scheduler: connects, asks where it may read and write, and waits where that may
//! pass.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use retail_proto::v1::GetLocationsRequest;
use retail_proto::v1::cluster_client::ClusterClient;
use retail_storage::Locations;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::Settings;

/// Pause between attempts to reach the scheduler.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);
/// How often a waiting executor logs what it waits for.
const WAITING_NOTICE: Duration = Duration::from_secs(5);

/// Whether a registration may go through the next time: the connection broke, or the scheduler could not reach back to
/// this executor, whose network may be younger than it is.
pub(super) fn may_pass(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::Unimplemented
            | Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
    )
}

/// A channel to the scheduler; waits for it as long as it takes.
pub(super) async fn connect(url: &str) -> anyhow::Result<Channel> {
    let endpoint = retail_security::endpoint(url)
        .with_context(|| format!("{url} is no scheduler address; use http://host:port"))?;
    let mut noticed = Instant::now();
    loop {
        match endpoint.connect().await {
            Ok(channel) => return Ok(channel),
            Err(error) => {
                if noticed.elapsed() >= WAITING_NOTICE {
                    tracing::warn!(scheduler = url, %error, "waiting for the scheduler");
                    noticed = Instant::now();
                }
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}

/// Where tasks may read and write: the scheduler's list, without the files of this executor's own secrets.
pub(super) async fn locations(
    cluster: &mut ClusterClient<Channel>,
    settings: &Settings,
) -> anyhow::Result<Locations> {
    let url = &settings.scheduler_url;
    let mut notice = Notice::new("cannot ask for locations yet");
    let found = loop {
        match cluster.get_locations(GetLocationsRequest {}).await {
            Ok(found) => break found.into_inner(),
            Err(status) if may_pass(&status) => notice.pause(url, &status).await,
            Err(status) => {
                return Err(status).with_context(|| {
                    format!("the scheduler at {url} does not say where tasks may read and write")
                });
            }
        }
    };
    let mut locations = Locations::of(&found.allowed)?;
    let denied = found.denied.into_iter().map(PathBuf::from);
    let own = settings.secret_files.iter().cloned();
    denied.chain(own).for_each(|path| locations.deny(path));
    Ok(locations)
}

/// What is logged now and then while the scheduler refuses, for as long as it may pass.
pub(super) struct Notice {
    text: &'static str,
    last: Option<Instant>,
}

impl Notice {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, last: None }
    }

    /// Waits before the next attempt.
    pub(super) async fn pause(&mut self, url: &str, status: &Status) {
        if self.last.is_none_or(|at| at.elapsed() >= WAITING_NOTICE) {
            tracing::warn!(scheduler = url, error = %status.message(), "{}", self.text);
            self.last = Some(Instant::now());
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}
