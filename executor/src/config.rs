//! Settings of an executor: `default.toml` < a file < `RETAIL__SECTION__KEY` < flags.

mod resources;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use retail_security::parse_host;
use retail_storage::StorageConfig;
use retail_telemetry::trace::STANDARD_ENV;
use retail_telemetry::{LogConfig, SettingError, Settings as Layers, TraceConfig};
use serde::Deserialize;
use tonic::transport::Uri;

use crate::Settings;

/// Every key with its default and a comment.
pub(crate) const DEFAULTS: &str = include_str!("default.toml");

/// What an executor needs to know. Programs that embed one start from `Config::default()`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub server: ServerConfig,
    pub scheduler: SchedulerConfig,
    pub resources: ResourcesConfig,
    pub storage: StorageConfig,
    /// Files that secrets were read from.
    #[serde(skip)]
    pub secret_files: Vec<PathBuf>,
    pub log: LogConfig,
    pub trace: TraceConfig,
}

/// Ports and names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// Address that the ports bind to.
    #[serde(deserialize_with = "retail_security::deserialize_host")]
    pub host: IpAddr,
    /// Name under which others reach this executor; empty = found out when it starts.
    pub advertise_host: String,
    /// Arrow Flight; 0 = any free port.
    pub flight_port: u16,
    /// Tasks; 0 = any free port.
    pub grpc_port: u16,
    /// HTTP for health and metrics; 0 = any free port.
    pub admin_port: u16,
}

/// The scheduler, and how it knows that this executor lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SchedulerConfig {
    /// `http://host:port`
    pub url: String,
    /// Time between two signs of life.
    pub heartbeat_s: u64,
}

/// What tasks may use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResourcesConfig {
    /// Tasks at once; 0 = cores.
    pub slots: usize,
    /// Memory of operators over all slots; 0 = 70 % of what there is.
    pub memory_bytes: u64,
    /// Folder of shuffle and spill files; none = in the system's temporary folder.
    pub work_dir: Option<PathBuf>,
    /// How long a stopping executor may finish its tasks.
    pub drain_grace_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            scheduler: SchedulerConfig::default(),
            resources: ResourcesConfig::default(),
            storage: StorageConfig::default(),
            secret_files: vec![],
            log: LogConfig::default(),
            trace: TraceConfig::of("retail-executor"),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::from([127, 0, 0, 1]),
            advertise_host: String::new(),
            flight_port: 50051,
            grpc_port: 50052,
            admin_port: 50081,
        }
    }
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:50050".to_owned(),
            heartbeat_s: 5,
        }
    }
}

impl Default for ResourcesConfig {
    fn default() -> Self {
        Self {
            slots: 0,
            memory_bytes: 0,
            work_dir: None,
            drain_grace_s: 60,
        }
    }
}

impl Config {
    /// Reads all layers and checks them as a whole; also returns the layers, for `--print-config`.
    ///
    /// # Errors
    /// The first setting that cannot be used, with where it was set.
    pub(crate) fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Layers), SettingError> {
        let mut layers = Layers::with_defaults(DEFAULTS);
        let environment: Vec<_> = environment.into_iter().collect();
        layers.standard_env(&STANDARD_ENV, &environment)?;
        if let Some(path) = &flags.config {
            layers.file(path)?;
        }
        layers.env(environment)?;
        flags.lay_over(&mut layers)?;
        let mut config: Self = layers.read()?;
        config.secret_files = layers.secret_files();
        config
            .check()
            .map_err(|(key, reason)| layers.refuse(key, reason))?;
        Ok((config, layers))
    }

    /// Checks across values: the key at fault and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let url = &self.scheduler.url;
        if self.scheduler_addr().is_none() {
            return Err((
                "scheduler.url",
                format!("{url} is no address of a scheduler; expected http://host:port"),
            ));
        }
        if self.scheduler.heartbeat_s == 0 {
            return Err(("scheduler.heartbeat_s", "must be at least 1".to_owned()));
        }
        let ports = [
            ("server.flight_port", self.server.flight_port),
            ("server.grpc_port", self.server.grpc_port),
            ("server.admin_port", self.server.admin_port),
        ];
        for (at, (key, port)) in ports.iter().enumerate() {
            if let Some((other, _)) = ports[..at].iter().find(|(_, p)| p == port && *port != 0) {
                return Err((key, format!("{port} is {other} already")));
            }
        }
        retail_telemetry::log::filter(&self.log.level).map_err(|e| ("log.level", e.to_string()))?;
        self.trace.check()?;
        Ok(())
    }

    /// What the executor is started with: all that was left open is found out here.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            host: self.server.host,
            advertise_host: self.advertise_host(),
            flight_port: self.server.flight_port,
            grpc_port: self.server.grpc_port,
            scheduler_url: self.scheduler.url.clone(),
            slots: self.slots(),
            memory_bytes: self.memory_bytes(),
            work_dir: self.work_dir(),
            heartbeat_s: self.scheduler.heartbeat_s,
            storage: self.storage.clone(),
            secret_files: self.secret_files.clone(),
        }
    }

    /// Tasks at once.
    pub(crate) fn slots(&self) -> usize {
        match self.resources.slots {
            0 => resources::cores(),
            slots => slots,
        }
    }

    /// Memory that operators may use over all slots.
    pub(crate) fn memory_bytes(&self) -> u64 {
        match self.resources.memory_bytes {
            0 => resources::memory_bytes(),
            bytes => bytes,
        }
    }

    /// Folder of shuffle and spill files.
    pub(crate) fn work_dir(&self) -> PathBuf {
        self.resources
            .work_dir
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("retail-executor"))
    }

    /// Where the admin port binds.
    pub(crate) fn admin_addr(&self) -> SocketAddr {
        SocketAddr::new(self.server.host, self.server.admin_port)
    }

    /// How long a stopping executor may finish its tasks.
    pub(crate) fn drain_grace(&self) -> Duration {
        Duration::from_secs(self.resources.drain_grace_s)
    }

    /// The name under which others reach this executor.
    pub(crate) fn advertise_host(&self) -> String {
        if !self.server.advertise_host.is_empty() {
            return self.server.advertise_host.clone();
        }
        if !self.server.host.is_unspecified() {
            return self.server.host.to_string();
        }
        self.address_towards_scheduler()
            .map_or_else(host_name, |ip| ip.to_string())
    }

    /// The address of the interface that leads to the scheduler. A datagram socket finds it without sending anything.
    fn address_towards_scheduler(&self) -> Option<IpAddr> {
        let (host, port) = self.scheduler_addr()?;
        // An address that binds to all of IPv6 takes IPv4 too, where the scheduler has no other.
        let mut scheduler: Vec<_> = (host.as_str(), port).to_socket_addrs().ok()?.collect();
        scheduler.sort_by_key(|addr| addr.is_ipv4() != self.server.host.is_ipv4());
        let scheduler = scheduler
            .into_iter()
            .find(|addr| addr.is_ipv4() || self.server.host.is_ipv6())?;
        let any: IpAddr = match scheduler {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(scheduler).ok()?;
        Some(socket.local_addr().ok()?.ip())
    }

    /// Host, without brackets, and port of the scheduler's URL.
    fn scheduler_addr(&self) -> Option<(String, u16)> {
        let url: Uri = self.scheduler.url.parse().ok()?;
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        if !is_http || !matches!(url.path(), "" | "/") || url.query().is_some() {
            return None;
        }
        let host = url.host()?;
        let host = parse_host(host).map_or_else(|_| host.to_owned(), |ip| ip.to_string());
        (!host.is_empty()).then_some((host, url.port_u16()?))
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

/// Runs tasks of a retail-scheduler: reads, joins, shuffles, writes data files.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "retail-executor", version, after_help = EXAMPLES)]
pub(crate) struct Flags {
    /// Settings as TOML; see --print-config for all of them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the scheduler is
    #[arg(long, value_name = "URL")]
    pub scheduler: Option<String>,
    /// Tasks at once; 0 takes the cores
    #[arg(long, value_name = "N")]
    pub slots: Option<String>,
    /// Memory of operators over all slots, such as 4GiB; 0 takes 70 % of what there is
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Folder of shuffle and spill files
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<String>,
    /// Address that the ports bind to; 0.0.0.0 lets other machines in
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Name under which others reach this executor
    #[arg(long, value_name = "NAME")]
    pub advertise_host: Option<String>,
    /// Arrow Flight port; 0 takes any free one
    #[arg(long, visible_alias = "flight-port", value_name = "PORT")]
    pub port: Option<String>,
    /// Port for tasks; 0 takes any free one
    #[arg(long, value_name = "PORT")]
    pub grpc_port: Option<String>,
    /// HTTP port for health and metrics; 0 takes any free one
    #[arg(long, value_name = "PORT")]
    pub admin_port: Option<String>,
    /// A level such as info, or directives such as info,ballista_executor=debug
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
  retail-executor --scheduler http://localhost:50050 --slots 4 --memory 4GiB
  retail-executor --port 0 --grpc-port 0 --admin-port 0    (a second one on the same machine)";

impl Flags {
    fn lay_over(&self, layers: &mut Layers) -> Result<(), SettingError> {
        let texts = [
            ("--scheduler", "scheduler.url", &self.scheduler),
            ("--slots", "resources.slots", &self.slots),
            ("--work-dir", "resources.work_dir", &self.work_dir),
            ("--host", "server.host", &self.host),
            (
                "--advertise-host",
                "server.advertise_host",
                &self.advertise_host,
            ),
            ("--port", "server.flight_port", &self.port),
            ("--grpc-port", "server.grpc_port", &self.grpc_port),
            ("--admin-port", "server.admin_port", &self.admin_port),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
        ];
        for (flag, key, text) in texts {
            if let Some(text) = text {
                layers.flag(flag, key, text)?;
            }
        }
        if let Some(text) = &self.memory {
            // What is no size is left as it is, and refused as any other text would be.
            let bytes = resources::parse_bytes(text)
                .map_or_else(|| text.clone(), |bytes| bytes.to_string());
            layers.flag("--memory", "resources.memory_bytes", &bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
