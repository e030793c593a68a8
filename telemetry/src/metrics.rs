//! Every metric of ours, in one place. Ballista adds its own to the same registry.

use std::sync::LazyLock;

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    TextEncoder,
};

/// Names, help texts and label values of what we count. Labels come from small closed sets, never from ids.
pub struct Metrics {
    /// Jobs that ended, by `state`: succeeded, failed, cancelled, interrupted.
    pub jobs_total: IntCounterVec,
    pub jobs_running: IntGauge,
    pub jobs_queued: IntGauge,
    /// Models that ended, by `outcome`: staged, failed, skipped.
    pub models_total: IntCounterVec,
    pub rows_written_total: IntCounter,
    pub bytes_written_total: IntCounter,
    pub publish_seconds: Histogram,
    pub publish_conflicts_total: IntCounter,
    pub executors: IntGauge,
    pub slots: IntGauge,
    pub slots_free: IntGauge,
    /// Tasks that ended, by `outcome`: executors count those that succeeded, the scheduler those that failed and ran
    /// again.
    pub tasks_total: IntCounterVec,
    pub build_info: IntGaugeVec,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    jobs_total: counters(
        "retail_jobs_total",
        "Jobs that ended, by final state.",
        "state",
    ),
    jobs_running: gauge("retail_jobs_running", "Jobs that run now."),
    jobs_queued: gauge("retail_jobs_queued", "Jobs that wait for others to end."),
    models_total: counters(
        "retail_models_total",
        "Models that ended, by outcome.",
        "outcome",
    ),
    rows_written_total: counter(
        "retail_rows_written_total",
        "Rows that models wrote to data files.",
    ),
    bytes_written_total: counter(
        "retail_bytes_written_total",
        "Bytes of data files that models wrote.",
    ),
    publish_seconds: publish_seconds(),
    publish_conflicts_total: counter(
        "retail_publish_conflicts_total",
        "Publishes refused because another run had changed a table first.",
    ),
    executors: gauge("retail_executors", "Executors that take tasks."),
    slots: gauge("retail_slots", "Tasks that can run at once."),
    slots_free: gauge("retail_slots_free", "Tasks that could start now."),
    tasks_total: counters(
        "retail_tasks_total",
        "Tasks that ended, by outcome.",
        "outcome",
    ),
    build_info: {
        let info = gauges(
            "retail_build_info",
            "Always 1; the label says which version runs.",
            "version",
        );
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        info
    },
});

/// The process's metrics; the first call registers them.
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// All metrics of the process in Prometheus' text format.
pub fn render() -> String {
    LazyLock::force(&METRICS);
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&prometheus::gather(), &mut text) {
        tracing::warn!(%error, "some metrics could not be written");
    }
    String::from_utf8(text).unwrap_or_default()
}

const NAMES: &str = "each metric is registered once and under a valid name";

fn register<C: prometheus::core::Collector + Clone + 'static>(
    metric: Result<C, prometheus::Error>,
) -> C {
    let metric = metric.expect(NAMES);
    prometheus::register(Box::new(metric.clone())).expect(NAMES);
    metric
}

fn counter(name: &str, help: &str) -> IntCounter {
    register(IntCounter::new(name, help))
}

fn counters(name: &str, help: &str, label: &str) -> IntCounterVec {
    register(IntCounterVec::new(Opts::new(name, help), &[label]))
}

fn gauge(name: &str, help: &str) -> IntGauge {
    register(IntGauge::new(name, help))
}

fn gauges(name: &str, help: &str, label: &str) -> IntGaugeVec {
    register(IntGaugeVec::new(Opts::new(name, help), &[label]))
}

fn publish_seconds() -> Histogram {
    let help = "Seconds from the last staged model to visible tables.";
    let buckets = vec![
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ];
    register(Histogram::with_opts(
        HistogramOpts::new("retail_publish_seconds", help).buckets(buckets),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_shown_with_its_help() {
        let m = metrics();
        m.jobs_total.with_label_values(&["succeeded"]).inc();
        m.models_total.with_label_values(&["staged"]).inc();
        m.tasks_total.with_label_values(&["succeeded"]).inc();
        let text = render();
        for name in [
            "retail_jobs_total",
            "retail_jobs_running",
            "retail_jobs_queued",
            "retail_models_total",
            "retail_rows_written_total",
            "retail_bytes_written_total",
            "retail_publish_seconds",
            "retail_publish_conflicts_total",
            "retail_executors",
            "retail_slots",
            "retail_slots_free",
            "retail_tasks_total",
            "retail_build_info",
        ] {
            assert!(
                text.contains(&format!("# HELP {name} ")),
                "{name} is missing"
            );
        }
        assert!(text.contains(&format!(
            "retail_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        )));
    }
}
