//! The list. A line here is a metric, its place in [`Metrics`], and a row of docs/metrics.md.

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};

use super::family::Family;
use super::{Capped, Kind, Label, Role, Shown, Spec, Values};

macro_rules! list {
    ($($field:ident: $type:ty = $spec:expr;)*) => {
        /// Our metrics, registered. The list describes each.
        #[allow(missing_docs, reason = "each field's help text is in the list")]
        pub struct Metrics {
            $(pub $field: $type,)*
        }

        /// Every metric of ours, in the order of docs/metrics.md.
        pub static LIST: &[Spec] = &[$(of_kind($spec, <$type as Family>::KIND)),*];

        impl Metrics {
            pub(super) fn new() -> (Self, Vec<(&'static Spec, Box<dyn Collector>)>) {
                let mut specs = LIST.iter();
                let mut next = || specs.next().expect("a line for every field");
                let metrics = Self {
                    $($field: <$type as Family>::new(next()),)*
                };
                let mut specs = LIST.iter();
                let mut next = || specs.next().expect("a line for every field");
                let collectors = vec![$((next(), Family::collector(&metrics.$field))),*];
                (metrics, collectors)
            }
        }
    };
}

list! {
    // ---- jobs
    jobs_total: IntCounterVec = scheduler("retail_jobs_total", "job", "Jobs that ended, by final state.")
        .labels(&[closed("state", &["succeeded", "failed", "cancelled", "interrupted"])])
        .on(&["overview", "jobs", "alerts"]);
    jobs_running: IntGauge = scheduler("retail_jobs_running", "job", "Jobs that run now, or wait for an executor.")
        .on(&["overview", "jobs", "platform", "alerts"]);
    jobs_queued: IntGauge = scheduler("retail_jobs_queued", "job", "Jobs that wait for others to end.")
        .on(&["overview", "jobs"]);
    job_queue_seconds: Histogram = scheduler("retail_job_queue_seconds", "second", "Seconds that a job waited for others before it began.")
        .buckets(LONG).on(&["jobs"]);
    job_seconds: HistogramVec = scheduler("retail_job_seconds", "second", "Seconds from a job's begin to its end, by final state.")
        .labels(&[closed("state", &["succeeded", "failed", "cancelled", "interrupted"])])
        .buckets(LONG).on(&["overview", "jobs"]);
    models_total: IntCounterVec = scheduler("retail_models_total", "model", "Models that ended, by outcome.")
        .labels(&[closed("outcome", &["staged", "failed", "skipped"])]).on(&["jobs"]);
    model_seconds: Histogram = scheduler("retail_model_seconds", "second", "Seconds from a model's begin to its staged table.")
        .buckets(LONG).on(&["jobs"]);
    model_last_seconds: Capped = scheduler("retail_model_last_seconds", "second", "Seconds that a model took the last time.")
        .labels(&[names("model")]).on(&["jobs"]);
    tests_total: IntCounterVec = scheduler("retail_tests_total", "test",
        "Declared tests that were held before a publish or alone, by what they came to.")
        .labels(&[closed("outcome", &["passed", "warned", "failed", "skipped"])]).on(&["overview", "jobs"]);
    test_seconds: Histogram = scheduler("retail_test_seconds", "second", "Seconds that a job took to hold its tests.")
        .buckets(LONG).on(&["jobs"]);
    stages_total: IntCounter = scheduler("retail_stages_total", "stage", "Stages of models that ended well.").on(&["jobs"]);
    retries_total: IntCounterVec = scheduler("retail_retries_total", "retry",
        "Retries: of a task after a failure or a lost executor, of a model's query after its rows were lost with one, of a job's attempt after a publish conflict.")
        .labels(&[closed("what", &["task", "query", "attempt"])]).on(&["jobs"]);

    // ---- statements
    statements_total: IntCounterVec = scheduler("retail_statements_total", "statement",
        "Statements that ended, by outcome; a refused one is no question, or cannot be planned.")
        .labels(&[closed("outcome", &["succeeded", "failed", "cancelled", "refused"])]).on(&["jobs"]);
    statements_running: IntGauge = scheduler("retail_statements_running", "statement", "Statements that run on executors now, or wait for one.")
        .on(&["jobs"]);
    statements_queued: IntGauge = scheduler("retail_statements_queued", "statement", "Statements that wait for others to end.")
        .on(&["jobs"]);
    statement_queue_seconds: Histogram = scheduler("retail_statement_queue_seconds", "second", "Seconds that a statement waited for others before it began.")
        .buckets(LONG).on(&["jobs"]);

    // ---- executors and tasks, as the scheduler sees them
    executors: IntGaugeVec = scheduler("retail_executors", "executor", "Executors that are registered, by state.")
        .labels(&[closed("state", &["active", "draining", "lost"])]).on(&["overview", "executors", "alerts"]);
    slots: IntGauge = scheduler("retail_slots", "slot", "Tasks that can run at once on active executors.")
        .on(&["overview", "executors"]);
    tasks_queued: IntGauge = scheduler("retail_tasks_queued", "task", "Partitions of running stages that no task has been made of yet.")
        .on(&["overview", "executors"]);
    queries_waiting: IntGauge = scheduler("retail_queries_waiting", "query", "Jobs and queries that wait because there is no executor.")
        .on(&["executors", "alerts"]);
    slots_free: IntGauge = scheduler("retail_slots_free", "slot", "Tasks that could start now.").on(&["overview", "executors"]);

    // ---- tables
    rows_written_total: IntCounter = scheduler("retail_rows_written_total", "row", "Rows that models wrote to data files.")
        .on(&["overview", "lakehouse"]);
    bytes_written_total: IntCounter = scheduler("retail_bytes_written_total", "byte", "Bytes of data files that models wrote.")
        .on(&["lakehouse"]);
    data_file_bytes: Histogram = scheduler("retail_data_file_bytes", "byte", "Sizes of the data files that models wrote.")
        .buckets(SIZES).on(&["lakehouse"]);
    commit_seconds: HistogramVec = scheduler("retail_commit_seconds", "second",
        "Seconds of writing a table's metadata (stage) and of making a run's tables visible (publish).")
        .labels(&[closed("step", &["stage", "publish"])]).buckets(SHORT).on(&["lakehouse"]);
    snapshots_total: IntCounter = scheduler("retail_snapshots_total", "snapshot", "Snapshots of tables that became visible.")
        .on(&["lakehouse"]);
    publish_conflicts_total: IntCounter = scheduler("retail_publish_conflicts_total", "publish",
        "Publishes refused because another run had changed a table first.").on(&["lakehouse", "alerts"]);
    tables: IntGauge = scheduler("retail_tables", "table", "Tables and views in the catalog.").on(&["lakehouse"]);
    table_published_timestamp_seconds: Capped = scheduler("retail_table_published_timestamp_seconds", "second",
        "When the table's current snapshot was committed, in seconds since 1970. Now less this is its age.")
        .labels(&[names("table")]).on(&["overview", "lakehouse", "alerts"]);
    table_rows: Capped = scheduler("retail_table_rows", "row", "Rows of the table's current snapshot.")
        .labels(&[names("table")]).on(&["lakehouse"]);
    table_files: Capped = scheduler("retail_table_files", "file", "Data files of the table's current snapshot.")
        .labels(&[names("table")]).on(&["lakehouse"]);
    table_bytes: Capped = scheduler("retail_table_bytes", "byte", "Bytes of the table's current snapshot.")
        .labels(&[names("table")]).on(&["lakehouse"]);
    table_snapshots: Capped = scheduler("retail_table_snapshots", "snapshot", "Snapshots that the table's metadata still holds.")
        .labels(&[names("table")]).on(&["lakehouse"]);
    catalog_seconds: HistogramVec = scheduler("retail_catalog_seconds", "second", "Seconds of requests to the catalog's database.")
        .labels(&[closed("operation", CATALOG)]).buckets(SHORT).on(&["lakehouse"]);
    catalog_errors_total: IntCounterVec = scheduler("retail_catalog_errors_total", "request",
        "Requests to the catalog's database that failed; a conflict is none.")
        .labels(&[closed("operation", CATALOG)]).on(&["lakehouse"]);

    // ---- the scheduler's gRPC port
    grpc_requests_total: IntCounterVec = scheduler("retail_grpc_requests_total", "call", "gRPC calls that ended, by method and status.")
        .labels(&[sparse("method", GRPC_METHODS), sparse("code", GRPC_CODES)]).on(&["platform"]);
    grpc_seconds: HistogramVec = scheduler("retail_grpc_seconds", "second",
        "Seconds of gRPC calls to their last byte; a Watch lasts as long as somebody watches.")
        .labels(&[sparse("method", GRPC_METHODS)]).buckets(SHORT).on(&["platform"]);

    // ---- tasks, as executors run them
    tasks_total: IntCounterVec = executor("retail_tasks_total", "task", "Tasks that ended, by outcome.")
        .labels(&[closed("outcome", &["succeeded", "failed", "cancelled"])]).on(&["overview", "executors"]);
    tasks_running: IntGauge = executor("retail_tasks_running", "task", "Tasks that run now.").on(&["executors"]);
    task_seconds: Histogram = executor("retail_task_seconds", "second", "Seconds that a task ran.").buckets(LONG).on(&["executors"]);
    rows_read_total: IntCounter = executor("retail_rows_read_total", "row", "Rows that tasks read from files.")
        .on(&["overview", "executors"]);
    bytes_read_total: IntCounter = executor("retail_bytes_read_total", "byte", "Bytes that tasks read from object stores.").on(&["executors"]);
    rows_shuffled_total: IntCounter = executor("retail_rows_shuffled_total", "row", "Rows that tasks produced for the next stage or the client.")
        .on(&["executors"]);
    bytes_shuffled_total: IntCounter = executor("retail_bytes_shuffled_total", "byte", "Bytes that tasks produced for the next stage or the client.")
        .on(&["executors"]);
    spills_total: IntCounter = executor("retail_spills_total", "file", "Files that operators spilled for want of memory.").on(&["executors"]);
    rows_spilled_total: IntCounter = executor("retail_rows_spilled_total", "row", "Rows that operators spilled.").on(&["executors"]);
    bytes_spilled_total: IntCounter = executor("retail_bytes_spilled_total", "byte", "Bytes that operators spilled.").on(&["executors"]);
    memory_pool_used_bytes: Gauge = executor("retail_memory_pool_used_bytes", "byte", "Memory that operators have reserved.").on(&["executors"]);
    memory_pool_limit_bytes: Gauge = executor("retail_memory_pool_limit_bytes", "byte", "Memory that operators may reserve before they spill.")
        .on(&["executors", "alerts"]);
    disk_free_bytes: Gauge = executor("retail_disk_free_bytes", "byte", "Free space of the disk of shuffle and spill files.")
        .on(&["executors", "alerts"]);
    disk_size_bytes: Gauge = executor("retail_disk_size_bytes", "byte", "Size of the disk of shuffle and spill files.")
        .on(&["executors", "alerts"]);

    // ---- schedulers and executors
    object_store_requests_total: IntCounterVec = both("retail_object_store_requests_total", "request", "Requests to object stores, by outcome.")
        .labels(&[closed("operation", STORE), closed("outcome", &["ok", "not_found", "error"])]).on(&["lakehouse"]);
    object_store_seconds: HistogramVec = both("retail_object_store_seconds", "second", "Seconds of requests to object stores, to the answer's first byte.")
        .labels(&[closed("operation", STORE)]).buckets(SHORT).on(&["lakehouse"]);
    object_store_bytes_total: IntCounterVec = both("retail_object_store_bytes_total", "byte", "Bytes from and to object stores.")
        .labels(&[closed("direction", &["read", "written"])]).on(&["lakehouse"]);
    spans_dropped_total: IntCounter = both("retail_spans_dropped_total", "span", "Spans of traces that no collector took.")
        .on(&["platform"]);
    build_info: IntGaugeVec = all("retail_build_info", "1", "Always 1; the labels name the process and its version.")
        .labels(&[build("version"), build("revision"), sparse("process", &["scheduler", "executor", "operator"])])
        .on(&["overview", "platform"]);

    // ---- the operator
    operator_reconciles_total: IntCounterVec = operator("retail_operator_reconciles_total", "reconcile", "Reconciles of RetailClusters, by outcome.")
        .labels(&[closed("outcome", &["ok", "blocked", "error", "timeout"])]).on(&["platform"]);
    operator_reconcile_seconds: Histogram = operator("retail_operator_reconcile_seconds", "second", "Seconds that one reconcile of a RetailCluster took.")
        .buckets(SHORT).on(&["platform"]);
    operator_scaling_decisions_total: IntCounterVec = operator("retail_operator_scaling_decisions_total", "decision", "Changes of the number of executors, by direction and reason.")
        .labels(&[closed("direction", &["up", "down"]), sparse("reason", SCALING)]).on(&["platform"]);
    operator_work_polls_total: IntCounterVec = operator("retail_operator_work_polls_total", "request", "Requests to schedulers for their demand, by outcome.")
        .labels(&[closed("outcome", &["ok", "unreachable"])]).on(&["platform"]);
    operator_leader: IntGauge = operator("retail_operator_leader", "1", "1 while this operator is the one that acts.").on(&["platform"]);
    operator_clusters: IntGauge = operator("retail_operator_clusters", "cluster", "RetailClusters that this operator reconciles.").on(&["platform"]);
    operator_desired_executors: IntGauge = operator("retail_operator_desired_executors", "executor", "Executors that all RetailClusters should have.")
        .on(&["platform"]);
    operator_executors: IntGauge = operator("retail_operator_executors", "executor", "Executors that exist, over all RetailClusters.")
        .on(&["platform"]);
    operator_ready_executors: IntGauge = operator("retail_operator_ready_executors", "executor", "Executors that take tasks, over all RetailClusters.")
        .on(&["platform"]);
}

/// Metrics of others in the same registry: Ballista's and the process's, each with where people see it.
pub const OTHERS: &[(&str, &str, Shown)] = &[
    (
        "job_submitted_total",
        "Queries that Ballista got: models and ad-hoc SQL.",
        Shown::On(&["jobs"]),
    ),
    (
        "job_completed_total",
        "Queries that ended well.",
        Shown::On(&["jobs"]),
    ),
    (
        "job_failed_total",
        "Queries that failed.",
        Shown::On(&["jobs"]),
    ),
    (
        "job_cancelled_total",
        "Queries that were cancelled.",
        Shown::On(&["jobs"]),
    ),
    (
        "job_exec_time_seconds",
        "Seconds of queries that ended well.",
        Shown::On(&["jobs"]),
    ),
    (
        "planning_time_ms",
        "Milliseconds from a query to its first stage.",
        Shown::On(&["jobs"]),
    ),
    (
        "pending_task_queue_size",
        "Always 0.",
        Shown::Nowhere("Ballista sets it only where executors pull; ours are pushed to"),
    ),
    (
        "process_cpu_seconds_total",
        "CPU seconds of the process.",
        Shown::On(&["platform"]),
    ),
    (
        "process_resident_memory_bytes",
        "Memory of the process.",
        Shown::On(&["platform"]),
    ),
    ("process_open_fds", "Open files.", Shown::On(&["platform"])),
    (
        "process_max_fds",
        "Files that may be open.",
        Shown::On(&["platform"]),
    ),
    (
        "process_start_time_seconds",
        "When the process started.",
        Shown::On(&["platform", "alerts"]),
    ),
    (
        "process_threads",
        "Threads.",
        Shown::Nowhere("fixed by the number of cores; a leak shows in memory first"),
    ),
    (
        "process_virtual_memory_bytes",
        "Address space.",
        Shown::Nowhere("does not show memory in use"),
    ),
];

/// Methods of the scheduler's gRPC port.
pub const GRPC_METHODS: &[&str] = &[
    "retail.v1.Jobs/Submit",
    "retail.v1.Jobs/Watch",
    "retail.v1.Jobs/Get",
    "retail.v1.Jobs/List",
    "retail.v1.Jobs/Cancel",
    "retail.v1.Jobs/Explain",
    "retail.v1.Query/Sql",
    "retail.v1.Query/ListTables",
    "retail.v1.Query/ListSnapshots",
    "retail.v1.Cluster/GetStatus",
    "retail.v1.Cluster/GetLocations",
    "retail.v1.Cluster/RequestRemoval",
    "ballista.protobuf.SchedulerGrpc/RegisterExecutor",
    "ballista.protobuf.SchedulerGrpc/HeartBeatFromExecutor",
    "ballista.protobuf.SchedulerGrpc/UpdateTaskStatus",
    "ballista.protobuf.SchedulerGrpc/ExecutorStopped",
    "arrow.flight.protocol.FlightService/DoGet",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "other",
];

/// gRPC's status codes, in the order of their numbers.
pub const GRPC_CODES: &[&str] = &[
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

const CATALOG: &[&str] = &["pin", "publish", "drop"];
const STORE: &[&str] = &["get", "head", "put", "list", "delete", "copy"];

/// Requests and commits: a millisecond to half a minute.
const SHORT: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// Tasks, models and jobs: a blink to two hours.
const LONG: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
    7200.0,
];
/// Files: 64 KiB to 1 GiB.
const SIZES: &[f64] = &[
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
    1_073_741_824.0,
];
/// Why an operator changes the number of executors; its own tests hold that these are all.
pub const SCALING: &[&str] = &[
    "ByHand",
    "FollowsWork",
    "AtMinimum",
    "AtMaximum",
    "Stabilizing",
    "IdleSoon",
    "Idle",
    "SchedulerUnreachable",
];
/// Distinct values that a capped label keeps.
const NAMES_MAX: usize = 200;

const fn scheduler(name: &'static str, unit: &'static str, help: &'static str) -> Spec {
    spec(&[Role::Scheduler], name, unit, help)
}

const fn executor(name: &'static str, unit: &'static str, help: &'static str) -> Spec {
    spec(&[Role::Executor], name, unit, help)
}

const fn operator(name: &'static str, unit: &'static str, help: &'static str) -> Spec {
    spec(&[Role::Operator], name, unit, help)
}

const fn both(name: &'static str, unit: &'static str, help: &'static str) -> Spec {
    spec(&[Role::Scheduler, Role::Executor], name, unit, help)
}

const fn all(name: &'static str, unit: &'static str, help: &'static str) -> Spec {
    spec(
        &[Role::Scheduler, Role::Executor, Role::Operator],
        name,
        unit,
        help,
    )
}

const fn spec(
    roles: &'static [Role],
    name: &'static str,
    unit: &'static str,
    help: &'static str,
) -> Spec {
    Spec {
        name,
        help,
        unit,
        kind: Kind::Gauge,
        roles,
        labels: &[],
        buckets: &[],
        shown: Shown::Nowhere(""),
    }
}

impl Spec {
    const fn labels(mut self, labels: &'static [Label]) -> Self {
        self.labels = labels;
        self
    }

    const fn buckets(mut self, buckets: &'static [f64]) -> Self {
        self.buckets = buckets;
        self
    }

    const fn on(mut self, places: &'static [&'static str]) -> Self {
        self.shown = Shown::On(places);
        self
    }
}

const fn of_kind(mut spec: Spec, kind: Kind) -> Spec {
    spec.kind = kind;
    spec
}

const fn closed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label {
        name,
        values: Values::Closed(values),
    }
}

const fn sparse(name: &'static str, values: &'static [&'static str]) -> Label {
    Label {
        name,
        values: Values::Sparse(values),
    }
}

const fn names(name: &'static str) -> Label {
    Label {
        name,
        values: Values::Capped(NAMES_MAX),
    }
}

const fn build(name: &'static str) -> Label {
    Label {
        name,
        values: Values::Build,
    }
}
