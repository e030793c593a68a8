//! Every metric of ours: its name, its meaning, its labels, and where people see it.
//!
//! `list` is the one list; docs/metrics.md is made from it. A process shows the metrics of the roles it has
//! ([`expose`]); each series of a closed label set is there from the start, at 0, so that "nothing failed" and
//! "nothing is counted" look different. Ballista's and the process's own metrics are in the same registry.

mod capped;
mod family;
mod list;
mod page;

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Encoder, TextEncoder};

pub use capped::Capped;
pub use list::{GRPC_CODES, GRPC_METHODS, LIST, Metrics, OTHERS, SCALING};
pub use page::page;

/// What a process is; one that embeds others has several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Scheduler,
    Executor,
    Operator,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Executor => "executor",
            Self::Operator => "operator",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub name: &'static str,
    pub help: &'static str,
    /// What one of it is: a second, a byte, a job.
    pub unit: &'static str,
    pub kind: Kind,
    /// Whose processes have it.
    pub roles: &'static [Role],
    pub labels: &'static [Label],
    /// Upper bounds, of a histogram.
    pub buckets: &'static [f64],
    pub shown: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A label and the values it can have.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    pub name: &'static str,
    pub values: Values,
}

#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// These, and each has a series from the start.
    Closed(&'static [&'static str]),
    /// These; a series begins when something happens.
    Sparse(&'static [&'static str]),
    /// Names of the project, such as its tables: so many at most, the rest share `other`.
    Capped(usize),
    /// One value per build.
    Build,
}

/// Where people meet a metric.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    /// On these dashboards, or in the alerts.
    On(&'static [&'static str]),
    /// Nowhere, because of this.
    Nowhere(&'static str),
}

struct Registered {
    metrics: Metrics,
    collectors: Vec<(&'static Spec, Box<dyn Collector>)>,
    exposed: Mutex<HashSet<&'static str>>,
}

static REGISTERED: LazyLock<Registered> = LazyLock::new(|| {
    let (metrics, collectors) = Metrics::new();
    Registered {
        metrics,
        collectors,
        exposed: Mutex::default(),
    }
});

/// The process's metrics. They count from the first call on, and are shown from [`expose`] on.
pub fn metrics() -> &'static Metrics {
    &REGISTERED.metrics
}

/// Shows the metrics of a role at `/metrics`. A second call changes nothing.
pub fn expose(role: Role) {
    let registered = &*REGISTERED;
    let mut exposed = registered
        .exposed
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    for (spec, collector) in &registered.collectors {
        if spec.roles.contains(&role) && exposed.insert(spec.name) {
            let collector = Box::new(Shared(collector.as_ref()));
            prometheus::register(collector).expect(family::NAMES);
        }
    }
    registered
        .metrics
        .build_info
        .with_label_values(&[
            env!("CARGO_PKG_VERSION"),
            option_env!("RETAIL_REVISION").unwrap_or("unknown"),
            role.as_str(),
        ])
        .set(1);
}

/// A collector that lives as long as the process.
struct Shared(&'static dyn Collector);

impl Collector for Shared {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.0.collect()
    }
}

/// All exposed metrics of the process in Prometheus' text format.
pub fn render() -> String {
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&prometheus::gather(), &mut text) {
        tracing::warn!(%error, "some metrics could not be written");
    }
    String::from_utf8(text).unwrap_or_default()
}

impl Metrics {
    /// A request to an object store that ended.
    pub fn object_store_request(
        &self,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        self.object_store_requests_total
            .with_label_values(&[operation, outcome])
            .inc();
        self.object_store_seconds
            .with_label_values(&[operation])
            .observe(took.as_secs_f64());
    }

    /// Bytes that came from or went to an object store.
    pub fn object_store_bytes(&self, direction: &'static str, bytes: u64) {
        self.object_store_bytes_total
            .with_label_values(&[direction])
            .inc_by(bytes);
    }
}

#[cfg(test)]
mod tests;
