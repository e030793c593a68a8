//! The engines that answer: plain DataFusion in one process, clusters of several shapes, DuckDB.
//!
//! ```text
//!  project ─▶ publish ─▶ warehouse ─┬─ catalog of "one process"
//!             (once)                ├─ catalog of "four executors"      a scheduler and its executors each, all in
//!                                   └─ …                                 this process, queried over gRPC as clients do
//! ```

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::ipc::reader::StreamDecoder;
use prost::Message;
use retail_engine::EngineConfig;
use retail_executor::Executor;
use retail_proto::v1;
use retail_proto::v1::jobs_client::JobsClient;
use retail_proto::v1::query_client::QueryClient;
use retail_proto::v1::{job_event, sql_response};
use retail_scheduler::{Config, Scheduler, WithoutCatalog};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;

use super::rows::Rows;
use super::tables;

/// How long processes may go on when they are to end.
const GRACE: Duration = Duration::from_secs(2);
/// A query of a few rows that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Slots of an executor, and of one process.
const SLOTS: usize = 2;
/// Rows of a batch where batches are to be many.
const SMALL_BATCH: usize = 16;

/// What an engine answered to a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Rows(Rows),
    /// Before anything ran, in words for a person.
    Refused(String),
    /// While it ran.
    Failed(String),
}

/// A shape of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub name: &'static str,
    /// 0: plain DataFusion in this process.
    pub executors: u16,
    pub engine: EngineConfig,
}

/// The reference, and every shape that is compared with it.
pub fn shapes() -> Vec<Shape> {
    let shape = |name, executors, engine| Shape {
        name,
        executors,
        engine,
    };
    let base = EngineConfig::default();
    let small = EngineConfig {
        batch_size: SMALL_BATCH,
        broadcast_bytes: 0,
        ..base.clone()
    };
    vec![
        shape("one-process", 0, base.clone()),
        shape("one-executor", 1, base.clone()),
        shape(
            "two-executors-narrow",
            2,
            EngineConfig {
                max_partitions_per_task: 1,
                ..small.clone()
            },
        ),
        shape("four-executors", 4, base.clone()),
        shape(
            "four-executors-narrow",
            4,
            EngineConfig {
                max_partitions_per_task: 1,
                ..base
            },
        ),
        shape("one-executor-small", 1, small),
    ]
}

/// A running scheduler with its executors.
pub struct System {
    pub name: &'static str,
    scheduler: Scheduler,
    executors: Vec<Executor>,
    channel: Channel,
}

/// The tables, published once, for systems to read.
pub struct Lake {
    dir: TempDir,
}

impl Lake {
    /// Publishes the tables with the project that a user would write.
    ///
    /// # Errors
    /// The job fails.
    pub async fn publish() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("retail-fuzz-").tempdir()?;
        tables::write(dir.path())?;
        let lake = Self { dir };
        let shape = Shape {
            name: "publisher",
            executors: 0,
            engine: EngineConfig::default(),
        };
        let system = lake.start_at(&shape, &lake.dir.path().join("data")).await?;
        let published = publish(&lake.dir.path().join("project"), system.channel.clone()).await;
        system.stop().await;
        published.context("cannot publish the tables")?;
        Ok(lake)
    }

    /// Where the tables' CSV files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts a system over a copy of the catalog: a catalog has one scheduler.
    ///
    /// # Errors
    /// A port or a folder cannot be used.
    pub async fn start(&self, shape: &Shape) -> Result<System> {
        let own = self.dir.path().join(shape.name);
        std::fs::create_dir_all(&own)?;
        for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
            let from = self.dir.path().join("data").join(file);
            if from.exists() {
                std::fs::copy(from, own.join(file))?;
            }
        }
        self.start_at(shape, &own).await
    }

    async fn start_at(&self, shape: &Shape, own: &Path) -> Result<System> {
        std::fs::create_dir_all(own)?;
        let mut config = Config::in_dir(own);
        config.server.port = 0;
        config.server.admin_port = 0;
        config.catalog.warehouse =
            format!("file://{}", self.dir.path().join("warehouse").display());
        let input = self.dir.path().display().to_string();
        config.sources.allow.push(input);
        config.engine = shape.engine.clone();
        if shape.executors == 0 {
            config.cluster.in_process_slots = SLOTS;
        }
        let storage = config.storage.clone();
        let scheduler = retail_scheduler::start(config, WithoutCatalog::Fail)
            .await
            .with_context(|| format!("cannot start the scheduler of {}", shape.name))?;
        let url = scheduler.url();
        let mut executors = vec![];
        for _ in 0..shape.executors {
            let settings = retail_executor::Settings {
                host: Ipv4Addr::LOCALHOST.into(),
                advertise_host: "127.0.0.1".to_owned(),
                flight_port: 0,
                grpc_port: 0,
                scheduler_url: url.clone(),
                slots: SLOTS,
                memory_bytes: 512 << 20,
                work_dir: own.join("work"),
                heartbeat_s: 5,
                storage: storage.clone(),
                secret_files: vec![],
            };
            let executor = retail_executor::start(settings).await;
            executors.push(
                executor.with_context(|| format!("cannot start an executor of {}", shape.name))?,
            );
        }
        let channel = Channel::from_shared(url)?.connect().await?;
        Ok(System {
            name: shape.name,
            scheduler,
            executors,
            channel,
        })
    }
}

impl System {
    /// Asks a query.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub async fn ask(&self, sql: &str) -> Result<Answer> {
        match tokio::time::timeout(PATIENCE, self.rows(sql)).await {
            Ok(answer) => answer,
            Err(_) => Ok(Answer::Failed(format!(
                "no answer within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }

    async fn rows(&self, sql: &str) -> Result<Answer> {
        let request = v1::SqlRequest {
            sql: sql.to_owned(),
            ..Default::default()
        };
        let mut client = QueryClient::new(self.channel.clone())
            .max_decoding_message_size(retail_proto::MAX_MESSAGE_BYTES);
        let mut messages = match client.sql(request).await {
            Ok(messages) => messages.into_inner(),
            Err(status) => return Ok(refusal(&status)),
        };
        let mut decoder = StreamDecoder::new();
        let mut batches = vec![];
        while let Some(message) = messages.next().await {
            let message = match message {
                Ok(message) => message,
                Err(status) => return Ok(refusal(&status)),
            };
            if let Some(sql_response::Response::ArrowIpc(bytes)) = message.response {
                let mut buffer = Buffer::from_vec(bytes);
                while !buffer.is_empty() {
                    batches.extend(decoder.decode(&mut buffer)?);
                }
            }
        }
        let Some(schema) = decoder.schema() else {
            return Ok(Answer::Failed(
                "the answer broke off, as after a panic".to_owned(),
            ));
        };
        Ok(Answer::Rows(Rows::from_batches(&schema, &batches)?))
    }

    /// Ends its executors, then its scheduler.
    pub async fn stop(self) {
        drop(self.channel);
        for executor in self.executors {
            executor.stop(GRACE).await;
        }
        self.scheduler.shutdown(GRACE).await;
    }
}

fn refusal(status: &tonic::Status) -> Answer {
    let failure = v1::Failure::decode(status.details()).unwrap_or_default();
    let mut text = if failure.message.is_empty() {
        status.message().to_owned()
    } else {
        failure.message
    };
    if !failure.cause.is_empty() {
        text = format!("{text}: {}", failure.cause);
    }
    match status.code() {
        Code::InvalidArgument => Answer::Refused(text),
        _ => Answer::Failed(text),
    }
}

async fn publish(project: &Path, channel: Channel) -> Result<()> {
    let mut files = vec![];
    for file in ["dbt_project.yml".to_owned()].into_iter().chain(
        std::fs::read_dir(project.join("models"))?
            .filter_map(|entry| Some(format!("models/{}", entry.ok()?.file_name().to_str()?))),
    ) {
        files.push(v1::ProjectFile {
            content: std::fs::read(project.join(&file))?,
            path: file,
        });
    }
    let mut jobs = JobsClient::new(channel);
    let request = v1::SubmitRequest {
        files,
        project_dir: project.display().to_string(),
        ..Default::default()
    };
    let job_id = jobs.submit(request).await?.into_inner().job_id;
    let mut events = jobs
        .watch(v1::WatchRequest {
            job_id,
            after_seq: 0,
        })
        .await?
        .into_inner();
    while let Some(event) = events.next().await {
        if let Some(job_event::Event::Finished(end)) = event?.event {
            let failure = end.failure.clone().unwrap_or_default();
            ensure!(
                end.state() == v1::JobState::Succeeded,
                "{}: {}",
                failure.message,
                failure.cause
            );
            return Ok(());
        }
    }
    bail!("the job's events ended before the job did")
}

/// DuckDB in a Python process.
pub struct DuckDb {
    talk: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    _process: Child,
}

impl DuckDb {
    /// Starts it and makes the tables.
    ///
    /// # Errors
    /// Python or DuckDB is not there, or a table cannot be made.
    pub async fn start(python: &Path, lake: &Lake) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/duckdb_answers.py");
        let mut process = Command::new(python)
            .arg("-B")
            .arg(&script)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {} {}", python.display(), script.display()))?;
        let stdin = process
            .stdin
            .take()
            .context("DuckDB's process has no input")?;
        let stdout = process
            .stdout
            .take()
            .context("DuckDB's process has no output")?;
        let duckdb = Self {
            talk: Mutex::new((stdin, BufReader::new(stdout).lines())),
            _process: process,
        };
        for statement in tables::in_duckdb(lake.dir()) {
            if let Answer::Failed(why) = duckdb.ask(&statement).await? {
                bail!("DuckDB cannot run {statement}: {why}");
            }
        }
        Ok(duckdb)
    }

    /// Asks a query.
    ///
    /// # Errors
    /// The process is gone, or its output is no answer.
    pub async fn ask(&self, sql: &str) -> Result<Answer> {
        let line = serde_json::json!({ "sql": sql }).to_string() + "\n";
        let mut talk = self.talk.lock().await;
        let (input, output) = &mut *talk;
        input.write_all(line.as_bytes()).await?;
        let line = output
            .next_line()
            .await?
            .context("DuckDB's process is gone")?;
        let answer: serde_json::Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => Ok(Answer::Failed(error.to_owned())),
            None => Ok(Answer::Rows(Rows::from_json(&answer)?)),
        }
    }
}

/// The Python of the tests' environment, where it was made.
pub fn python() -> Option<PathBuf> {
    std::env::var_os("RETAIL_TEST_PYTHON").map(PathBuf::from)
}
