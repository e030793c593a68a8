//! Reads the demand of a cluster: `GET /work` of its scheduler.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::error::root_cause;
use retail_api::demand::Demand;

/// A longer answer is not from a scheduler: 10,000 executors take 2 MB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// As much of a failed answer as a condition should show.
const SHOWN_CHARS_MAX: usize = 400;

/// Why the demand is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemandError {
    #[error("{url} is no address")]
    Address { url: String },
    #[error("no answer from {url} within {timeout:?}")]
    Timeout { url: String, timeout: Duration },
    #[error("cannot reach {url}: {reason}")]
    Connect { url: String, reason: String },
    #[error("{url} answered {status}: {line}")]
    Status {
        url: String,
        status: u16,
        /// The first line of its body, shortened.
        line: String,
    },
    #[error("{url} answered what is no work: {reason}")]
    Answer { url: String, reason: String },
}

/// An HTTP client of schedulers. A clone shares its connections.
#[derive(Debug, Clone)]
pub(crate) struct DemandClient {
    client: Client<HttpConnector, Empty<Bytes>>,
    timeout: Duration,
}

impl DemandClient {
    pub(crate) fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self { client, timeout }
    }

    /// Reads the demand at the scheduler with its admin port at `host:port`.
    ///
    /// # Errors
    /// It does not answer in time, or not with what we understand.
    pub(crate) async fn get(&self, host: &str, port: i32) -> Result<Demand, DemandError> {
        let url = format!("http://{host}:{port}/work");
        match tokio::time::timeout(self.timeout, self.request(&url)).await {
            Ok(answer) => answer,
            Err(_) => Err(DemandError::Timeout {
                url,
                timeout: self.timeout,
            }),
        }
    }

    async fn request(&self, url: &str) -> Result<Demand, DemandError> {
        let address = url.parse().map_err(|_| DemandError::Address {
            url: url.to_owned(),
        })?;
        let answer = self
            .client
            .get(address)
            .await
            .map_err(|e| DemandError::Connect {
                url: url.to_owned(),
                reason: root_cause(&e),
            })?;
        let status = answer.status();
        let refuse = |reason: String| DemandError::Answer {
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
            return Err(DemandError::Status {
                url: url.to_owned(),
                status: status.as_u16(),
                line: line.chars().take(SHOWN_CHARS_MAX).collect(),
            });
        }
        serde_json::from_slice(&body.to_bytes()).map_err(|e| refuse(e.to_string()))
    }
}
