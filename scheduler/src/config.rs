//! Settings of the scheduler: `default.toml` < a file < `RETAIL__SECTION__KEY` < flags.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use retail_engine::EngineConfig;
use retail_lakehouse::CatalogConfig;
use retail_security::parse_host;
use retail_storage::{Locations, SourcesConfig, StorageConfig, StorageError};
use retail_telemetry::trace::STANDARD_ENV;
use retail_telemetry::{LogConfig, SettingError, Settings, TraceConfig};
use serde::Deserialize;

/// Every key with its default and a comment.
pub const DEFAULTS: &str = include_str!("default.toml");
/// Where catalog and warehouse go when not configured, in the working folder.
const DATA_DIR: &str = "retail-data";

/// What the scheduler needs to know. Programs that embed it start from `Config::default()` or `Config::in_dir`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub server: ServerConfig,
    pub catalog: CatalogConfig,
    #[serde(default)]
    pub sources: SourcesConfig,
    #[serde(default)]
    pub storage: StorageConfig,
    /// Files that secrets were read from.
    #[serde(skip)]
    pub secret_files: Vec<PathBuf>,
    #[serde(default)]
    pub engine: EngineConfig,
    #[serde(default)]
    pub cluster: ClusterConfig,
    #[serde(default)]
    pub jobs: JobsConfig,
    pub statements: StatementsConfig,
    #[serde(default)]
    pub log: LogConfig,
    #[serde(default)]
    pub trace: TraceConfig,
}

/// Ports and names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address that the ports bind to.
    #[serde(deserialize_with = "retail_security::deserialize_host")]
    pub host: IpAddr,
    /// gRPC port for clients and executors; 0 = any free one.
    pub port: u16,
    /// HTTP port for health and metrics; 0 = any free one.
    pub admin_port: u16,
    /// Name under which executors reach this scheduler; when empty, `Config::load` fills it in.
    pub advertise_host: String,
}

/// How executors are watched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// An executor without a heartbeat for this long is lost.
    pub executor_timeout_s: u64,
    /// How often that is checked.
    pub expiry_check_s: u64,
    /// How long queries wait for another executor after the last one is lost.
    pub no_executor_grace_s: u64,
    /// How often a task may fail before its query does.
    pub task_max_failures: usize,
    /// Run queries in this process on so many slots, without executors; 0 = on executors.
    pub in_process_slots: usize,
}

/// What statements, the SQL of people and tools, may do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatementsConfig {
    /// Statements that run on executors side by side.
    pub max_concurrent: usize,
}

/// What jobs may do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// Jobs that run side by side.
    pub max_concurrent: usize,
    /// Fail when no executor is there after this long; 0 waits without end.
    pub executor_timeout_s: u64,
    /// How long a stopping scheduler lets running jobs end.
    pub shutdown_grace_s: u64,
    /// Ended jobs that are remembered.
    pub keep: u32,
    /// How long this scheduler may be silent before another one takes its catalog over.
    pub lease_s: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::from([127, 0, 0, 1]),
            port: 50050,
            admin_port: 50080,
            advertise_host: "127.0.0.1".to_owned(),
        }
    }
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            executor_timeout_s: 30,
            expiry_check_s: 5,
            no_executor_grace_s: 30,
            task_max_failures: 4,
            in_process_slots: 0,
        }
    }
}

impl Default for StatementsConfig {
    fn default() -> Self {
        Self { max_concurrent: 16 }
    }
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            max_concurrent: 2,
            executor_timeout_s: 0,
            shutdown_grace_s: 30,
            keep: 1000,
            lease_s: 15,
        }
    }
}

/// The defaults, with catalog and warehouse in `retail-data` of the working folder.
impl Default for Config {
    fn default() -> Self {
        Self::in_dir(Path::new(DATA_DIR))
    }
}

impl Config {
    /// The defaults, with an SQLite catalog and a warehouse below `dir`.
    pub fn in_dir(dir: &Path) -> Self {
        let (uri, warehouse) = in_dir(dir);
        Self {
            server: ServerConfig::default(),
            catalog: CatalogConfig {
                uri,
                name: "retail".to_owned(),
                warehouse,
            },
            sources: SourcesConfig::default(),
            storage: StorageConfig::default(),
            secret_files: vec![],
            engine: EngineConfig::default(),
            cluster: ClusterConfig::default(),
            jobs: JobsConfig::default(),
            statements: StatementsConfig::default(),
            log: LogConfig::default(),
            trace: TraceConfig::of("retail-scheduler"),
        }
    }

    /// Reads all layers and checks them as a whole; also returns the layers, for `--print-config`.
    ///
    /// # Errors
    /// The first setting that cannot be used, with where it was set.
    pub fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Settings), SettingError> {
        let mut settings = Settings::with_defaults(DEFAULTS);
        let environment: Vec<_> = environment.into_iter().collect();
        settings.standard_env(&STANDARD_ENV, &environment)?;
        if let Some(path) = &flags.config {
            settings.file(path)?;
        }
        settings.env(environment)?;
        flags.lay_over(&mut settings)?;
        let (uri, warehouse) = (
            settings.is_set("catalog.uri"),
            settings.is_set("catalog.warehouse"),
        );
        if !uri && !warehouse {
            let (uri, warehouse) = in_dir(Path::new(DATA_DIR));
            settings.default_to("catalog.uri", uri);
            settings.default_to("catalog.warehouse", warehouse);
        } else if !uri {
            return Err(settings.refuse(
                "catalog.uri",
                "not set, but catalog.warehouse is; set both or neither",
            ));
        } else if !warehouse {
            return Err(settings.refuse(
                "catalog.warehouse",
                "not set, but catalog.uri is; set both or neither",
            ));
        }
        if !settings.is_set("server.advertise_host") {
            settings.default_to(
                "server.advertise_host",
                advertised(&settings.text("server.host")),
            );
        }
        let mut config: Self = settings.read()?;
        config.secret_files = settings.secret_files();
        config
            .check()
            .map_err(|(key, reason)| settings.refuse(key, reason))?;
        Ok((config, settings))
    }

    /// Checks across values: the key at fault and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let positive = [
            ("jobs.max_concurrent", self.jobs.max_concurrent as u64),
            (
                "statements.max_concurrent",
                self.statements.max_concurrent as u64,
            ),
            (
                "cluster.executor_timeout_s",
                self.cluster.executor_timeout_s,
            ),
            ("cluster.expiry_check_s", self.cluster.expiry_check_s),
            ("jobs.lease_s", self.jobs.lease_s),
            (
                "cluster.task_max_failures",
                self.cluster.task_max_failures as u64,
            ),
            ("engine.batch_size", self.engine.batch_size as u64),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err((key, "must be at least 1".to_owned()));
        }
        if self.server.port != 0 && self.server.port == self.server.admin_port {
            return Err((
                "server.admin_port",
                format!("{} is server.port already", self.server.port),
            ));
        }
        let catalog = self
            .catalog
            .uri
            .split_once("://")
            .map_or("", |(scheme, _)| scheme);
        if !["sqlite", "postgresql", "postgres"].contains(&catalog) {
            return Err((
                "catalog.uri",
                "expected sqlite:///abs/catalog.db or postgresql://…".to_owned(),
            ));
        }
        let warehouse = &self.catalog.warehouse;
        if !["file:/", "s3://", "s3a://", "/"]
            .iter()
            .any(|scheme| warehouse.starts_with(scheme))
        {
            let reason = format!(
                "{warehouse} is no location; expected file:///abs/folder or s3://bucket/prefix"
            );
            return Err(("catalog.warehouse", reason));
        }
        Locations::of(&self.sources.allow).map_err(|e| ("sources.allow", e.to_string()))?;
        let mut allow = self.sources.allow.iter();
        if let Some(pattern) = allow.find(|place| place.contains(['*', '?'])) {
            let reason = format!("{pattern} is a pattern; list the folder or prefix above it");
            return Err(("sources.allow", reason));
        }
        retail_telemetry::log::filter(&self.log.level).map_err(|e| ("log.level", e.to_string()))?;
        self.trace.check()?;
        Ok(())
    }

    /// Where jobs and statements may read and write: where sources may lie, and the warehouse. Never the files of secrets
    /// and of the catalog.
    ///
    /// # Errors
    /// One of them is no place.
    pub fn locations(&self) -> Result<Locations, StorageError> {
        let mut locations = Locations::of(&self.sources.allow)?;
        locations.allow(&self.catalog.warehouse)?;
        self.secret_files
            .iter()
            .for_each(|file| locations.deny(file));
        if let Some(database) = self.catalog.uri.strip_prefix("sqlite://") {
            let database = database.split('?').next().unwrap_or_default();
            for suffix in ["", "-wal", "-shm", "-journal"] {
                locations.deny(format!("{database}{suffix}"));
            }
        }
        Ok(locations)
    }

    /// Where the gRPC port binds.
    pub fn grpc_addr(&self) -> SocketAddr {
        SocketAddr::new(self.server.host, self.server.port)
    }

    /// Where the admin port binds.
    pub fn admin_addr(&self) -> SocketAddr {
        SocketAddr::new(self.server.host, self.server.admin_port)
    }

    /// How long jobs wait for an executor; none = without end.
    pub fn executor_timeout(&self) -> Option<Duration> {
        (self.jobs.executor_timeout_s > 0)
            .then(|| Duration::from_secs(self.jobs.executor_timeout_s))
    }

    /// How long running jobs may go on when the scheduler stops.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.jobs.shutdown_grace_s)
    }
}

/// URIs of catalog and warehouse below a folder.
fn in_dir(dir: &Path) -> (String, String) {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    (
        format!("sqlite://{}/catalog.db", dir.display()),
        format!("file://{}/warehouse", dir.display()),
    )
}

/// The name of a host that executors can reach: where it is any address, this machine's name.
fn advertised(host: &str) -> String {
    if parse_host(host).is_ok_and(|ip| !ip.is_unspecified()) {
        return host.to_owned();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

/// Accepts retail jobs, plans them, hands their tasks to executors and publishes their tables.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "retail-scheduler", version, after_help = EXAMPLES)]
pub struct Flags {
    /// Settings as TOML; see --print-config for all of them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address that the ports bind to; 0.0.0.0 lets other machines in
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// gRPC port for clients and executors; 0 takes any free one
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// HTTP port for health and metrics; 0 takes any free one
    #[arg(long, value_name = "PORT")]
    pub admin_port: Option<String>,
    /// Name under which executors reach this scheduler
    #[arg(long, value_name = "NAME")]
    pub advertise_host: Option<String>,
    /// Where sources may lie, with commas between: /data/landing,s3://lake/raw; see sources.allow
    #[arg(long, value_name = "PLACES")]
    pub allow: Option<String>,
    /// Folder of an SQLite catalog and of the tables
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A level such as info, or directives such as info,retail_jobs=debug
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Print the settings in force, with where each was set, and end
    #[arg(long)]
    pub print_config: bool,
}

const EXAMPLES: &str = "Examples:
  retail-scheduler --data-dir /var/lib/retail --allow /data/landing
  RETAIL__CATALOG__URI_FILE=/run/secrets/catalog retail-scheduler --config retail.toml --host 0.0.0.0";

impl Flags {
    fn lay_over(&self, settings: &mut Settings) -> Result<(), SettingError> {
        let texts = [
            ("--host", "server.host", &self.host),
            ("--port", "server.port", &self.port),
            ("--admin-port", "server.admin_port", &self.admin_port),
            (
                "--advertise-host",
                "server.advertise_host",
                &self.advertise_host,
            ),
            ("--allow", "sources.allow", &self.allow),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
        ];
        for (flag, key, text) in texts {
            if let Some(text) = text {
                settings.flag(flag, key, text)?;
            }
        }
        if let Some(dir) = &self.data_dir {
            let (uri, warehouse) = in_dir(dir);
            settings.flag("--data-dir", "catalog.uri", &uri)?;
            settings.flag("--data-dir", "catalog.warehouse", &warehouse)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
