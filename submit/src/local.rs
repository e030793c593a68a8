//! A cluster inside this process: the scheduler and executors of the binaries, on loopback ports of the system's choice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use retail_executor::Executor;
use retail_scheduler::Scheduler;

use crate::error::SubmitError;
use crate::project::absolute;

/// Where an in-process cluster keeps its catalog and tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Absolute.
    pub dir: PathBuf,
}

impl Layout {
    /// The layout below `dir`, which need not exist.
    pub(crate) fn new(dir: &Path) -> Result<Self, SubmitError> {
        Ok(Self {
            dir: absolute(dir)?,
        })
    }

    /// The database of the catalog, a file.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.dir.join("catalog.db")
    }

    /// `file:///abs/warehouse`.
    pub(crate) fn warehouse(&self) -> String {
        format!("file://{}", self.dir.join("warehouse").display())
    }

    /// Shuffle and spill files, beside the tables because that disk is meant for data.
    fn work(&self) -> PathBuf {
        self.dir.join(".work")
    }

    /// The places outside that commands on this folder were given to read, with those that are new. Views that were
    /// published read them later.
    fn remember(&self, read: &[String]) -> Result<Vec<String>, SubmitError> {
        let file = self.dir.join("places");
        let known = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(SubmitError::file("read", &file, error)),
        };
        let mut places: Vec<_> = known.lines().map(str::to_owned).collect();
        let new = read
            .iter()
            .filter(|place| !known.lines().any(|line| line == *place));
        let new: Vec<_> = new.cloned().collect();
        if !new.is_empty() {
            places.extend(new);
            std::fs::write(&file, places.join("\n") + "\n")
                .map_err(|error| SubmitError::file("write", &file, error))?;
        }
        Ok(places)
    }

    /// The daily files of the demo.
    pub(crate) fn input(&self) -> PathBuf {
        self.dir.join("input")
    }
}

/// How long running tasks may go on when the process wants to end.
const GRACE: Duration = Duration::from_secs(2);
/// Fewest slots of an executor: one may wait for files while the other computes.
const FEWEST_SLOTS: usize = 2;
/// Least memory that an executor's operators may reserve, in bytes; beyond it they spill.
const LEAST_MEMORY: u64 = 512 << 20;

/// A running in-process cluster.
pub(crate) struct LocalCluster {
    scheduler: Scheduler,
    executors: Vec<Executor>,
}

impl LocalCluster {
    /// Starts a scheduler and `executors` executors on `layout`.
    ///
    /// Settings of the environment (`RETAIL__STORAGE__S3__ENDPOINT`) hold; ports, catalog and warehouse are ours. Files are
    /// read from the layout's folder, from `read`, and from what earlier commands on this folder were given to read.
    pub(crate) async fn start(
        layout: &Layout,
        executors: u16,
        read: &[String],
    ) -> Result<Self, SubmitError> {
        std::fs::create_dir_all(&layout.dir)
            .map_err(|error| SubmitError::file("create", &layout.dir, error))?;
        let flags = retail_scheduler::config::Flags {
            data_dir: Some(layout.dir.clone()),
            ..Default::default()
        };
        let (mut config, _) = retail_scheduler::Config::load(&flags, std::env::vars())
            .map_err(|error| SubmitError::config(error.to_string()))?;
        let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
        config.server.host = loopback;
        config.server.advertise_host = loopback.to_string();
        config.server.port = 0;
        config.server.admin_port = 0;
        config.sources.allow.extend(layout.remember(read)?);
        config.sources.allow.push(layout.dir.display().to_string());
        let storage = config.storage.clone();
        let heartbeat_s = 5;
        let scheduler = retail_scheduler::start(config, retail_scheduler::WithoutCatalog::Fail)
            .await
            .map_err(not_started)?;
        let mut cluster = Self {
            scheduler,
            executors: vec![],
        };
        for _ in 0..executors {
            let settings = retail_executor::Settings {
                host: loopback,
                advertise_host: loopback.to_string(),
                flight_port: 0,
                grpc_port: 0,
                scheduler_url: cluster.url(),
                slots: slots(cores(), executors),
                memory_bytes: memory(machine_memory(), executors),
                work_dir: layout.work(),
                heartbeat_s,
                storage: storage.clone(),
                secret_files: vec![],
            };
            match retail_executor::start(settings).await {
                Ok(executor) => cluster.executors.push(executor),
                Err(error) => {
                    cluster.shutdown().await;
                    return Err(not_started(error));
                }
            }
        }
        Ok(cluster)
    }

    /// Where its scheduler listens.
    pub(crate) fn url(&self) -> String {
        self.scheduler.url()
    }

    /// Ends it in order, executors first.
    pub(crate) async fn shutdown(self) {
        futures::future::join_all(
            self.executors
                .into_iter()
                .map(|executor| executor.stop(GRACE)),
        )
        .await;
        self.scheduler.shutdown(GRACE).await;
    }
}

fn not_started(error: anyhow::Error) -> SubmitError {
    let chain = error.chain().map(ToString::to_string).collect();
    SubmitError::LocalStart {
        chain,
        notes: vec!["-vv shows the log of this process".into()],
    }
}

/// Slots of each executor: together about the machine's cores.
fn slots(cores: usize, executors: u16) -> usize {
    cores
        .div_ceil(usize::from(executors.max(1)))
        .max(FEWEST_SLOTS)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Memory of each executor: together half of the machine's.
fn memory(machine_bytes: u64, executors: u16) -> u64 {
    (machine_bytes / 2 / u64::from(executors.max(1))).max(LEAST_MEMORY)
}

/// The machine's memory in bytes; 4 GiB where it does not say.
fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.map_or(4 << 30, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executors_share_the_machine() {
        assert_eq!(
            [slots(8, 2), slots(2, 2), slots(3, 2), slots(8, 0)],
            [4, 2, 2, 8]
        );
        assert_eq!(memory(16 << 30, 2), 4 << 30);
        assert_eq!(memory(1 << 30, 4), LEAST_MEMORY);
    }

    #[test]
    fn a_layout_is_absolute_and_without_dots() {
        let layout = Layout::new(Path::new("/data/./x/../shop")).unwrap();
        assert_eq!(layout.catalog(), Path::new("/data/shop/catalog.db"));
        assert_eq!(layout.warehouse(), "file:///data/shop/warehouse");
    }
}
