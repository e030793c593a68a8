//! How much work a cluster has: the scheduler's `GET /work`.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

/// An answer longer than this is no answer of a scheduler: 10,000 executors take 2 MB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Of an answer that is no work, as much as a condition should show.
const TOLD_CHARS_MAX: usize = 400;

/// What runs and what waits. Keys that we do not know are passed over: the scheduler may be newer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Work {
    pub jobs_running: u32,
    pub jobs_queued: u32,
    /// Queries that wait because there is no executor.
    pub queries_waiting: u32,
    pub tasks_running: u32,
    /// Tasks of runnable stages that have no slot yet.
    pub tasks_queued: u32,
    /// Most tasks that one running stage could use at once; 0 = not known.
    pub widest_stage: u32,
    pub executors: Vec<Executor>,
}

/// An executor that the scheduler knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Executor {
    pub id: String,
    pub host: String,
    /// active, draining or lost
    pub state: String,
    pub slots: u32,
    pub tasks_running: u32,
}

impl Work {
    /// Whether anything runs or waits.
    pub(crate) fn any(&self) -> bool {
        [
            self.jobs_running,
            self.jobs_queued,
            self.queries_waiting,
            self.tasks_running,
            self.tasks_queued,
        ]
        .iter()
        .any(|n| *n > 0)
    }
}

/// Why the scheduler could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error("{url} is no address")]
    Address { url: String },
    #[error("no answer from {url} within {timeout:?}")]
    Timeout { url: String, timeout: Duration },
    #[error("cannot reach {url}: {reason}")]
    Connect { url: String, reason: String },
    #[error("{url} answered {status}: {told}")]
    Status {
        url: String,
        status: u16,
        /// Its first line, shortened.
        told: String,
    },
    #[error("{url} answered what is no work: {reason}")]
    Answer { url: String, reason: String },
}

/// Asks schedulers. A clone shares its connections.
#[derive(Debug, Clone)]
pub(crate) struct WorkClient {
    client: Client<HttpConnector, Empty<Bytes>>,
    timeout: Duration,
}

impl WorkClient {
    pub(crate) fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self { client, timeout }
    }

    /// Asks the scheduler at `host:port` how much work there is.
    ///
    /// # Errors
    /// It does not answer in time, or not with what we understand.
    pub(crate) async fn get(&self, host: &str, port: i32) -> Result<Work, WorkError> {
        let url = format!("http://{host}:{port}/work");
        match tokio::time::timeout(self.timeout, self.ask(&url)).await {
            Ok(answer) => answer,
            Err(_) => Err(WorkError::Timeout {
                url,
                timeout: self.timeout,
            }),
        }
    }

    async fn ask(&self, url: &str) -> Result<Work, WorkError> {
        let address = url.parse().map_err(|_| WorkError::Address {
            url: url.to_owned(),
        })?;
        let answer = self
            .client
            .get(address)
            .await
            .map_err(|e| WorkError::Connect {
                url: url.to_owned(),
                reason: innermost(&e),
            })?;
        let status = answer.status();
        let refuse = |reason: String| WorkError::Answer {
            url: url.to_owned(),
            reason,
        };
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|e| refuse(e.to_string()))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            let line = text.lines().next().unwrap_or_default();
            return Err(WorkError::Status {
                url: url.to_owned(),
                status: status.as_u16(),
                told: line.chars().take(TOLD_CHARS_MAX).collect(),
            });
        }
        serde_json::from_slice(&body.to_bytes()).map_err(|e| refuse(e.to_string()))
    }
}

/// The cause at the bottom: `connection refused` says more than `client error (Connect)`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
