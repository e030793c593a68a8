//! Settings of the operator: `default.toml` < a file < `RETAIL__SECTION__KEY` < flags.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use retail_telemetry::{LogConfig, SettingError, Settings as Layers};
use serde::Deserialize;

/// Every key with its default and a comment.
pub(crate) const DEFAULTS: &str = include_str!("default.toml");

/// What the operator needs to know.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: ServerConfig,
    pub kubernetes: KubernetesConfig,
    pub leader: LeaderConfig,
    pub scaling: ScalingConfig,
    pub log: LogConfig,
}

/// The admin port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    pub host: IpAddr,
    /// HTTP for health and metrics; 0 = any free port.
    pub admin_port: u16,
}

/// Which clusters are reconciled, and how.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesConfig {
    /// Empty = all namespaces.
    pub namespace: String,
    /// How long one reconcile of a cluster may take.
    pub timeout_s: f64,
    /// Longest wait before a failed reconcile is retried.
    pub retry_max_s: f64,
    /// Clusters that are reconciled at the same time.
    pub concurrency: u16,
}

/// Who of several operators acts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaderConfig {
    pub enabled: bool,
    /// Namespace of the Lease; empty = the operator's own.
    pub namespace: String,
    pub lease: String,
    /// Empty = the host's name and a random part.
    pub identity: String,
    pub lease_s: f64,
    pub renew_s: f64,
}

/// How the demand at schedulers is read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScalingConfig {
    pub poll_s: f64,
    pub timeout_s: f64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::from([127, 0, 0, 1]),
            admin_port: 50082,
        }
    }
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            timeout_s: 20.0,
            retry_max_s: 30.0,
            concurrency: 32,
        }
    }
}

impl Default for LeaderConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            namespace: String::new(),
            lease: "retail-operator".to_owned(),
            identity: String::new(),
            lease_s: 15.0,
            renew_s: 3.0,
        }
    }
}

impl Default for ScalingConfig {
    fn default() -> Self {
        Self {
            poll_s: 5.0,
            timeout_s: 3.0,
        }
    }
}

impl Config {
    /// Reads all layers and checks the settings together; also returns the layers, for `--print-config`.
    ///
    /// # Errors
    /// The first setting that cannot be used, with where it was set.
    pub(crate) fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Layers), SettingError> {
        let mut layers = Layers::with_defaults(DEFAULTS);
        if let Some(path) = &flags.config {
            layers.file(path)?;
        }
        layers.env(environment)?;
        flags.lay_over(&mut layers)?;
        let config: Self = layers.read()?;
        config
            .check()
            .map_err(|(key, reason)| layers.refuse(key, reason))?;
        Ok((config, layers))
    }

    /// Checks of several values together: the key at fault and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let times = [
            ("kubernetes.timeout_s", self.kubernetes.timeout_s),
            ("kubernetes.retry_max_s", self.kubernetes.retry_max_s),
            ("leader.lease_s", self.leader.lease_s),
            ("leader.renew_s", self.leader.renew_s),
            ("scaling.poll_s", self.scaling.poll_s),
            ("scaling.timeout_s", self.scaling.timeout_s),
        ];
        for (key, seconds) in times {
            if !(0.01..=86_400.0).contains(&seconds) {
                return Err((key, "must be between 0.01 and 86400".to_owned()));
            }
        }
        if self.leader.renew_s * 2.0 > self.leader.lease_s {
            let reason = format!(
                "must be at most half of leader.lease_s, {}: one late renewal would lose the lease",
                self.leader.lease_s
            );
            return Err(("leader.renew_s", reason));
        }
        if self.leader.lease.is_empty() {
            return Err(("leader.lease", "must not be empty".to_owned()));
        }
        if self.kubernetes.concurrency == 0 {
            return Err(("kubernetes.concurrency", "must be at least 1".to_owned()));
        }
        retail_telemetry::log::filter(&self.log.level).map_err(|e| ("log.level", e.to_string()))?;
        Ok(())
    }

    /// Where the admin port binds.
    pub(crate) fn admin_addr(&self) -> SocketAddr {
        SocketAddr::new(self.server.host, self.server.admin_port)
    }
}

/// Keeps the executors of every RetailCluster as many and as they should be.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "retail-operator", version, after_help = EXAMPLES)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Settings as TOML; see --print-config for all of them
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Namespace whose RetailClusters are reconciled; all of them by default
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Address that the admin port binds to; 0.0.0.0 lets probes and Prometheus in
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    /// HTTP port for health and metrics; 0 takes any free one
    #[arg(long, value_name = "PORT")]
    pub(crate) admin_port: Option<String>,
    /// A level such as info, or directives such as info,kube=debug
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// Print the settings in force, with where each was set, and end
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// What else the program can do.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the definition of RetailCluster as YAML, for kubectl apply
    Crd,
    /// Delete a RetailCluster, and end when its executors have drained and gone
    Remove {
        /// Its name
        name: String,
    },
}

const EXAMPLES: &str = "Examples:
  retail-operator crd | kubectl apply --server-side -f -
  retail-operator --namespace retail remove shop
  retail-operator --namespace retail    (with the cluster that KUBECONFIG points at)";

impl Flags {
    fn lay_over(&self, layers: &mut Layers) -> Result<(), SettingError> {
        let texts = [
            ("--namespace", "kubernetes.namespace", &self.namespace),
            ("--host", "server.host", &self.host),
            ("--admin-port", "server.admin_port", &self.admin_port),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
        ];
        for (flag, key, text) in texts {
            if let Some(text) = text {
                layers.flag(flag, key, text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
