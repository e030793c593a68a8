//! The operator's own metrics, in the same registry as every process's.

use std::sync::LazyLock;

use prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, register_histogram,
    register_int_counter_vec, register_int_gauge,
};

/// Names, help texts and label values of what the operator counts.
pub struct Metrics {
    /// By `outcome`: ok, blocked, error, timeout.
    pub reconciles_total: IntCounterVec,
    pub reconcile_seconds: Histogram,
    /// By `direction`: up, down; and `reason`, see `scale::Reason`.
    pub scaling_decisions_total: IntCounterVec,
    /// By `outcome`: ok, unreachable.
    pub work_polls_total: IntCounterVec,
    pub leader: IntGauge,
    pub clusters: IntGauge,
    pub executors_desired: IntGauge,
    pub executors: IntGauge,
    pub executors_ready: IntGauge,
}

const NAMES: &str = "each metric is registered once and under a valid name";

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let counters = |name: &str, help: &str, labels: &[&str]| {
        register_int_counter_vec!(Opts::new(name, help), labels).expect(NAMES)
    };
    let gauge = |name: &str, help: &str| register_int_gauge!(name, help).expect(NAMES);
    Metrics {
        reconciles_total: counters(
            "retail_operator_reconciles_total",
            "Looks at a RetailCluster, by outcome.",
            &["outcome"],
        ),
        reconcile_seconds: register_histogram!(
            HistogramOpts::new(
                "retail_operator_reconcile_seconds",
                "Seconds that one look at a RetailCluster took.",
            )
            .buckets(vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0
            ])
        )
        .expect(NAMES),
        scaling_decisions_total: counters(
            "retail_operator_scaling_decisions_total",
            "Changes of the number of executors, by direction and reason.",
            &["direction", "reason"],
        ),
        work_polls_total: counters(
            "retail_operator_work_polls_total",
            "Questions to schedulers for their work, by outcome.",
            &["outcome"],
        ),
        leader: gauge(
            "retail_operator_leader",
            "1 while this operator leads, else 0.",
        ),
        clusters: gauge(
            "retail_operator_clusters",
            "RetailClusters that this operator looks after.",
        ),
        executors_desired: gauge(
            "retail_operator_executors_desired",
            "Executors that there should be, over all clusters.",
        ),
        executors: gauge(
            "retail_operator_executors",
            "Executors that exist, over all clusters.",
        ),
        executors_ready: gauge(
            "retail_operator_executors_ready",
            "Executors that take tasks, over all clusters.",
        ),
    }
});

/// The operator's metrics; the first call registers them.
pub fn metrics() -> &'static Metrics {
    &METRICS
}
