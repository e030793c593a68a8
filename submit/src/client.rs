//! The connection to a scheduler: `retail.v1` calls, and what their statuses mean to a person.

use std::time::Duration;

use prost::Message;
use retail_api::cluster::ClusterStatus;
use retail_api::job::{Job, JobState, ModelExplanation};
use retail_api::table::{Snapshot, Table};
use retail_api::{Failure, FailureKind, JobId, codec};
use retail_proto::MAX_MESSAGE_BYTES;
use retail_proto::v1;
use retail_proto::v1::cluster_client::ClusterClient;
use retail_proto::v1::jobs_client::JobsClient;
use retail_proto::v1::query_client::QueryClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::error::SubmitError;
use crate::format;

/// How often a quiet connection is tested, so that a dead host is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

type Interceptor = fn(Request<()>) -> Result<Request<()>, Status>;
type Traced = InterceptedService<Channel, Interceptor>;

/// Names the span that a call is part of, where this process traces.
fn name_span(mut request: Request<()>) -> Result<Request<()>, Status> {
    let traceparent = retail_telemetry::trace::traceparent(&tracing::Span::current());
    if let Some(text) = traceparent.and_then(|text| text.parse().ok()) {
        request.metadata_mut().insert("traceparent", text);
    }
    Ok(request)
}

/// A connected client; clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    url: String,
    channel: Channel,
}

impl Client {
    /// Connects to `url`; `host:port` alone means http.
    pub(crate) async fn connect(url: &str) -> Result<Self, SubmitError> {
        let url = if url.contains("://") {
            url.to_string()
        } else {
            format!("http://{url}")
        };
        let bad_url = || {
            SubmitError::config_with(
                format!("{url} is no scheduler's URL"),
                "it looks like http://host:50050",
            )
        };
        let endpoint = retail_security::endpoint(&url).map_err(|_| bad_url())?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
            return Err(bad_url());
        }
        let endpoint = endpoint
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .user_agent(concat!("retail-submit/", env!("CARGO_PKG_VERSION")))
            .map_err(|_| bad_url())?;
        match endpoint.connect().await {
            Ok(channel) => Ok(Self { url, channel }),
            Err(error) => Err(SubmitError::Unreachable {
                url,
                reason: reason(&error),
            }),
        }
    }

    /// Where it is connected to.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn jobs(&self) -> JobsClient<Traced> {
        JobsClient::with_interceptor(self.channel.clone(), name_span as Interceptor)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn query(&self) -> QueryClient<Traced> {
        QueryClient::with_interceptor(self.channel.clone(), name_span as Interceptor)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Hands in a job; returns its id. A project larger than one message is refused before it is sent.
    pub(crate) async fn submit(&self, request: v1::SubmitRequest) -> Result<JobId, SubmitError> {
        fits(request.encoded_len(), &request.files)?;
        let project_dir = request.project_dir.clone();
        let answer = self.jobs().submit(request).await;
        Ok(answer
            .map_err(|status| self.refused(&status, Some(project_dir)))?
            .into_inner()
            .job_id
            .into())
    }

    /// The job's events after `after_seq`; the raw status decides whether the watcher comes back.
    pub(crate) async fn watch(
        &self,
        job_id: &str,
        after_seq: u64,
    ) -> Result<Streaming<v1::JobEvent>, Status> {
        let request = v1::WatchRequest {
            job_id: job_id.into(),
            after_seq,
        };
        Ok(self.jobs().watch(request).await?.into_inner())
    }

    /// One job with its models, by its id or the beginning of its short form.
    pub(crate) async fn job(&self, job_id: &str) -> Result<Job, SubmitError> {
        let answer = self
            .jobs()
            .get(v1::GetJobRequest {
                job_id: job_id.into(),
            })
            .await;
        Ok(answer
            .map_err(|status| self.refused(&status, None))?
            .into_inner()
            .into())
    }

    /// The newest jobs.
    pub(crate) async fn list_jobs(&self, limit: u32) -> Result<Vec<Job>, SubmitError> {
        let answer = self.jobs().list(v1::ListJobsRequest { limit }).await;
        let listed = answer.map_err(|status| self.refused(&status, None))?;
        Ok(ours(listed.into_inner().jobs))
    }

    /// Stops a job; the state it is in then.
    pub(crate) async fn cancel(&self, job_id: &str) -> Result<JobState, SubmitError> {
        let answer = self
            .jobs()
            .cancel(v1::CancelJobRequest {
                job_id: job_id.into(),
            })
            .await;
        Ok(answer
            .map_err(|status| self.refused(&status, None))?
            .into_inner()
            .state()
            .into())
    }

    /// What models would do, without running them.
    pub(crate) async fn explain(
        &self,
        request: v1::ExplainRequest,
    ) -> Result<Vec<ModelExplanation>, SubmitError> {
        fits(request.encoded_len(), &request.files)?;
        let project_dir = request.project_dir.clone();
        let answer = self.jobs().explain(request).await;
        let explained = answer.map_err(|status| self.refused(&status, Some(project_dir)))?;
        Ok(ours(explained.into_inner().models))
    }

    /// Runs one statement; dropping the stream cancels it.
    pub(crate) async fn sql(
        &self,
        request: v1::SqlRequest,
    ) -> Result<Streaming<v1::SqlResponse>, SubmitError> {
        let answer = self.query().sql(request).await;
        Ok(answer
            .map_err(|status| self.refused(&status, None))?
            .into_inner())
    }

    /// The published tables, of one namespace if it is not empty.
    pub(crate) async fn tables(&self, namespace: &str) -> Result<Vec<Table>, SubmitError> {
        let answer = self
            .query()
            .list_tables(v1::ListTablesRequest {
                namespace: namespace.into(),
            })
            .await;
        let listed = answer.map_err(|status| self.refused(&status, None))?;
        Ok(ours(listed.into_inner().tables))
    }

    /// A table's states.
    pub(crate) async fn snapshots(&self, table: &str) -> Result<Vec<Snapshot>, SubmitError> {
        let answer = self
            .query()
            .list_snapshots(v1::ListSnapshotsRequest {
                table: table.into(),
            })
            .await;
        let listed = answer.map_err(|status| self.refused(&status, None))?;
        Ok(ours(listed.into_inner().snapshots))
    }

    /// The executors and what they are doing.
    pub(crate) async fn status(&self) -> Result<ClusterStatus, SubmitError> {
        let answer = self.cluster().get_status(v1::GetStatusRequest {}).await;
        Ok(answer
            .map_err(|status| self.refused(&status, None))?
            .into_inner()
            .into())
    }

    /// What a status means: the failure it carries, a lost connection, or its own words.
    pub(crate) fn refused(&self, status: &Status, project_dir: Option<String>) -> SubmitError {
        if let Some(failure) = codec::failure_of_status(status) {
            return SubmitError::Refused {
                failure: Box::new(failure),
                project_dir,
            };
        }
        if connection_lost(status) {
            return SubmitError::Lost {
                url: self.url.clone(),
                reason: status_reason(status),
                notes: vec![],
            };
        }
        let kind = match status.code() {
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => {
                FailureKind::Project
            }
            Code::Cancelled => FailureKind::Cancelled,
            _ => FailureKind::Internal,
        };
        let message = match (status.message(), status.code()) {
            ("", Code::Unimplemented) => {
                "the scheduler does not know this request; is it older than this client?".into()
            }
            ("", code) => code.description().to_lowercase(),
            (message, _) => message.to_string(),
        };
        SubmitError::Refused {
            failure: Box::new(Failure::new(kind, message)),
            project_dir,
        }
    }
}

/// What a list of messages means.
fn ours<W, T: From<W>>(wire: Vec<W>) -> Vec<T> {
    wire.into_iter().map(T::from).collect()
}

/// Whether a status is about the connection or a stopping server, not of the request: worth coming back.
pub(crate) fn connection_lost(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        // A torn stream has no status of the server; tonic makes one up and names the transport as its source.
        Code::Unknown | Code::Internal | Code::Cancelled => {
            std::error::Error::source(status).is_some()
        }
        _ => false,
    }
}

/// A lost connection in a few words.
pub(crate) fn status_reason(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => reason(source),
        None => status.message().to_string(),
    }
}

/// The cause at the bottom of a chain, in a few words.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error.to_string();
    for error in retail_api::error_chain(error) {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return "connection refused".into(),
                std::io::ErrorKind::TimedOut => return "timed out".into(),
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => {
                    return "connection reset".into();
                }
                _ => {}
            }
        }
        last = error.to_string();
    }
    if last.contains("failed to lookup address") {
        return "no such host".into();
    }
    if last.contains("broken pipe") || last.contains("error reading a body") {
        return "connection closed".into();
    }
    if last.contains("deadline has elapsed") {
        return "timed out".into();
    }
    last
}

/// Refuses what no server accepts, and names the files to leave out.
fn fits(bytes: usize, files: &[v1::ProjectFile]) -> Result<(), SubmitError> {
    if bytes <= MAX_MESSAGE_BYTES {
        return Ok(());
    }
    let mut biggest: Vec<_> = files
        .iter()
        .map(|file| (file.content.len() as u64, file.path.as_str()))
        .collect();
    biggest.sort_by(|a, b| b.cmp(a));
    let named: Vec<String> = biggest
        .iter()
        .take(3)
        .map(|(bytes, path)| format!("{path} ({})", format::size(*bytes)))
        .collect();
    let limit = format!(
        "{} ({} MiB)",
        format::size(MAX_MESSAGE_BYTES as u64),
        MAX_MESSAGE_BYTES >> 20
    );
    Err(SubmitError::Config {
        message: format!(
            "the project is too large to send: {}, and {limit} is the limit",
            format::size(bytes as u64)
        ),
        notes: vec![
            format!("its biggest files: {}", named.join(", ")),
            "data belongs beside the project and is read as a source; nothing was sent".into(),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_a_refused_connection() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = Client::connect(&url).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no scheduler at {url} (connection refused)")
        );
        assert_eq!(error.exit_code(), crate::exit::ExitCode::Unavailable);
        assert!(error.retryable());
    }

    #[tokio::test]
    async fn a_url_without_host_is_a_setting_gone_wrong() {
        for url in ["http://", "ftp://x:1", "no url"] {
            let error = Client::connect(url).await.unwrap_err();
            assert_eq!(
                error.exit_code(),
                crate::exit::ExitCode::Config,
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn a_project_too_large_to_send_names_its_biggest_files() {
        let file = |path: &str, len| v1::ProjectFile {
            path: path.into(),
            content: vec![0; len],
        };
        let files = [
            file("a.sql", 100),
            file("seeds/big.csv", 80_000_000),
            file("seeds/small.csv", 2_000),
        ];
        let error = fits(80_002_100, &files).unwrap_err();
        let SubmitError::Config { message, notes } = error else {
            panic!("{error}")
        };
        assert_eq!(
            message,
            "the project is too large to send: 80 MB, and 67 MB (64 MiB) is the limit"
        );
        assert_eq!(
            notes[0],
            "its biggest files: seeds/big.csv (80 MB), seeds/small.csv (2.0 kB), a.sql (100 B)"
        );
    }

    #[test]
    fn only_transport_errors_are_worth_coming_back() {
        assert!(connection_lost(&Status::unavailable("stopping")));
        assert!(!connection_lost(&Status::not_found("no job 7f3a")));
        assert!(!connection_lost(&Status::internal("a defect")));
    }
}
