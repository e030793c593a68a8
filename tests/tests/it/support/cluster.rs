//! A scheduler and executors as processes of their own.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use retail_proto::v1;
use retail_proto::v1::cluster_client::ClusterClient;
use retail_proto::v1::jobs_client::JobsClient;
use retail_proto::v1::query_client::QueryClient;
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::Channel;

use super::lake::LakeAt;
use super::program::Program;
use super::repository;
use super::submit::Submit;
use super::wait;

/// How long a debug build may take to be ready on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What a cluster is to be like.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub executors: usize,
    /// Of each executor.
    pub slots: usize,
    /// `None`: SQLite and a folder in the cluster's own.
    pub lake: Option<LakeAt>,
    /// Of each stage that shuffles; 0: as many as there are slots.
    pub target_partitions: usize,
    pub max_partitions_per_task: usize,
    /// Seconds without a heartbeat after which an executor is lost.
    pub executor_timeout_s: u64,
    /// Seconds that the scheduler may be silent before another one takes its catalog over.
    pub lease_s: u64,
    /// Name of the failpoint at which the scheduler aborts.
    pub fault: Option<&'static str>,
    /// Where sources may lie; `None`: below the system's temporary folder, where tests put theirs, and in the repository.
    pub allow: Option<Vec<String>>,
    /// Sections that the configuration of every process has besides.
    pub more: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            executors: 1,
            slots: 2,
            lake: None,
            target_partitions: 0,
            max_partitions_per_task: 0,
            executor_timeout_s: 30,
            lease_s: 15,
            fault: None,
            allow: None,
            more: String::new(),
        }
    }
}

/// A running cluster. Dropping it kills its processes and removes its folder.
pub(crate) struct Cluster {
    pub scheduler: Program,
    pub executors: Vec<Program>,
    pub lake: LakeAt,
    pub url: String,
    setup: Setup,
    admin_port: u16,
    executor_admin_ports: Vec<u16>,
    started: usize,
    dir: TempDir,
}

impl Cluster {
    /// Starts the processes and waits until each is ready and every executor is registered.
    pub(crate) async fn start(setup: Setup) -> Self {
        let mut cluster = Self::start_without_waiting(setup);
        cluster
            .scheduler
            .ready(cluster.admin_port, START_LIMIT)
            .await;
        for _ in 0..cluster.setup.executors {
            cluster.add_executor().await;
        }
        cluster.wait_for_executors(cluster.setup.executors).await;
        cluster
    }

    /// Starts the scheduler alone, ready or not.
    pub(crate) fn start_without_waiting(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = setup
            .lake
            .clone()
            .unwrap_or_else(|| LakeAt::local(dir.path()));
        let (grpc_port, admin_port) = (wait::free_port(), wait::free_port());
        write_config(dir.path(), &setup, &lake, grpc_port, admin_port);
        let scheduler = start_scheduler(dir.path(), &setup);
        Self {
            scheduler,
            executors: vec![],
            lake,
            url: format!("http://127.0.0.1:{grpc_port}"),
            setup,
            admin_port,
            executor_admin_ports: vec![],
            started: 0,
            dir,
        }
    }

    /// The folder of configuration and logs; the tables of a local lake lie in it too.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn submit(&self) -> Submit {
        Submit::new(&self.url, self.dir())
    }

    pub(crate) fn admin_port(&self) -> u16 {
        self.admin_port
    }

    /// Of all executors that were started, in order.
    pub(crate) fn executor_admin_ports(&self) -> &[u16] {
        &self.executor_admin_ports
    }

    /// Starts one executor more and waits until it is ready.
    pub(crate) async fn add_executor(&mut self) {
        self.started += 1;
        let name = format!("executor-{}", self.started);
        let admin_port = wait::free_port();
        let config = executor_config(
            self.dir(),
            &name,
            &self.url,
            admin_port,
            &self.setup,
            &self.lake,
        );
        let mut executor = start_executor(self.dir(), &name, &config);
        executor.ready(admin_port, START_LIMIT).await;
        self.executor_admin_ports.push(admin_port);
        self.executors.push(executor);
    }

    /// Kills an executor and starts it again at once, at the same address, as a container is that ran out of memory.
    pub(crate) async fn restart_executor(&mut self, index: usize) {
        let name = format!("executor-{}", index + 1);
        let config = self.dir().join(format!("{name}.toml"));
        let log = self.executors[index].log();
        let mut text = std::fs::read_to_string(&config).unwrap();
        for key in ["flight_port", "grpc_port"] {
            let (_, rest) = log
                .split_once(&format!(" {key}="))
                .expect("it is registered");
            let port = rest.split_whitespace().next().expect("a port follows");
            text = text.replace(&format!("{key} = 0"), &format!("{key} = {port}"));
        }
        std::fs::write(&config, text).unwrap();
        self.executors[index].kill();
        let mut executor = start_executor(self.dir(), &name, &config);
        executor
            .ready(self.executor_admin_ports[index], START_LIMIT)
            .await;
        self.executors[index] = executor;
    }

    /// Starts the scheduler again after it ended, on the same ports, without its fault.
    pub(crate) async fn restart_scheduler(&mut self) {
        self.setup.fault = None;
        self.scheduler.kill();
        self.scheduler = start_scheduler(self.dir.path(), &self.setup);
        self.scheduler.ready(self.admin_port, START_LIMIT).await;
        self.wait_for_executors(self.executors.len()).await;
    }

    pub(crate) async fn wait_for_executors(&self, count: usize) {
        wait::until(
            &format!("{count} executors to be registered"),
            START_LIMIT,
            async || {
                let status = self.status().await?;
                (status
                    .executors
                    .iter()
                    .filter(|e| e.state == "active")
                    .count()
                    == count)
                    .then_some(())
            },
        )
        .await;
    }

    /// The executors and what they are doing; none while the scheduler cannot be reached.
    pub(crate) async fn status(&self) -> Option<v1::ClusterStatus> {
        let mut client = ClusterClient::connect(self.url.clone()).await.ok()?;
        Some(
            client
                .get_status(v1::GetStatusRequest {})
                .await
                .ok()?
                .into_inner(),
        )
    }

    /// The demand that `GET /work` reports to whoever scales the executors.
    pub(crate) fn work(&self) -> Value {
        let (status, body) = wait::http_get(self.admin_port, "/work").expect("the port answers");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"))
    }

    /// A query's rows as the scheduler streams them, for a reader that stops in the middle.
    pub(crate) async fn rows(&self, sql: &str) -> tonic::Streaming<v1::SqlResponse> {
        let mut client = QueryClient::connect(self.url.clone()).await.unwrap();
        let request = v1::SqlRequest {
            sql: sql.to_owned(),
            ..Default::default()
        };
        client.sql(request).await.unwrap().into_inner()
    }

    /// The jobs service itself, for what the client does not show.
    pub(crate) async fn jobs(&self) -> JobsClient<Channel> {
        JobsClient::connect(self.url.clone()).await.unwrap()
    }
}

fn start_executor(dir: &Path, name: &str, config: &Path) -> Program {
    let arguments = ["--config".to_owned(), config.display().to_string()];
    Program::start("retail-executor", name, dir, &arguments, &[])
}

fn start_scheduler(dir: &Path, setup: &Setup) -> Program {
    let config = dir.join("scheduler.toml");
    let fault = setup
        .fault
        .map(|name| ("RETAIL_FAULT".to_owned(), name.to_owned()));
    let arguments = ["--config".to_owned(), config.display().to_string()];
    Program::start(
        "retail-scheduler",
        "scheduler",
        dir,
        &arguments,
        fault.as_slice(),
    )
}

fn write_config(dir: &Path, setup: &Setup, lake: &LakeAt, grpc_port: u16, admin_port: u16) {
    let mut text = format!(
        "[server]
host = \"127.0.0.1\"
port = {grpc_port}
admin_port = {admin_port}

[catalog]
uri = \"{}\"
warehouse = \"{}\"

[cluster]
executor_timeout_s = {}
expiry_check_s = 1

[jobs]
lease_s = {}

[engine]
target_partitions = {}
max_partitions_per_task = {}
",
        lake.catalog,
        lake.warehouse,
        setup.executor_timeout_s,
        setup.lease_s,
        setup.target_partitions,
        setup.max_partitions_per_task,
    );
    let allow = setup.allow.clone().unwrap_or_else(|| {
        let folders = [std::env::temp_dir(), repository::root().to_path_buf()];
        let folders = folders.map(|folder| folder.display().to_string());
        ["s3://".to_owned()].into_iter().chain(folders).collect()
    });
    write!(text, "\n[sources]\nallow = {allow:?}\n").unwrap();
    text += &storage(lake);
    text += &setup.more;
    std::fs::write(dir.join("scheduler.toml"), text).unwrap();
}

fn executor_config(
    dir: &Path,
    name: &str,
    url: &str,
    admin_port: u16,
    setup: &Setup,
    lake: &LakeAt,
) -> PathBuf {
    let file = dir.join(format!("{name}.toml"));
    let mut text = format!(
        "[scheduler]
url = \"{url}\"
heartbeat_s = 1

[server]
flight_port = 0
grpc_port = 0
admin_port = {admin_port}

[resources]
slots = {}
work_dir = \"{}\"
",
        setup.slots,
        dir.join(format!("work-{name}")).display(),
    );
    text += &storage(lake);
    text += &setup.more;
    std::fs::write(&file, text).unwrap();
    file
}

fn storage(lake: &LakeAt) -> String {
    let mut text = String::new();
    if let Some(s3) = &lake.s3 {
        write!(
            text,
            "\n[storage.s3]\nendpoint = \"{}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\nallow_http = true\n",
            s3.endpoint, s3.key, s3.secret
        )
        .unwrap();
    }
    text
}
