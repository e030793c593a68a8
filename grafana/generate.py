#!/usr/bin/env python3
"""Writes the dashboards: `grafana/generate.py`. With --check it writes nothing and fails where a file differs.

Each panel describes what it shows and what to do when it is red, and links onward. Metrics are listed in
docs/metrics.md. $namespace chooses a cluster; outside Kubernetes it is empty and everything is shown.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from panels import bars, dashboard, lines, query, row, stat, table

OUT = Path(__file__).resolve().parent / "dashboards"
HERE = 'namespace=~"$namespace"'
RATE = "$__rate_interval"


def m(name, *labels):
    """A metric of the chosen clusters."""
    return f"{name}{{{', '.join([HERE, *labels])}}}"


def rate(name, *labels):
    return f"rate({m(name, *labels)}[{RATE}])"


def quantile(q, name, by="", *labels):
    """A quantile of a histogram, for each value of the label `by`."""
    groups = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({groups}) ({rate(name + '_bucket', *labels)}))"


def p50_p95(name, by="", *labels):
    legend = f"{{{{{by}}}}} " if by else ""
    return [
        query(quantile(0.5, name, by, *labels), legend + "p50"),
        query(quantile(0.95, name, by, *labels), legend + "p95"),
    ]


def of_scheduler(expr):
    """Ballista's names are common ones: only those that a scheduler of ours serves."""
    return f"{expr} and on (instance) {m('retail_jobs_running')}"


def by_process(expr):
    """Metrics that every process has, with the name of ours."""
    return f"{expr} * on (instance) group_left (process) {m('retail_build_info')}"


ACTIVE, LOST = 'state="active"', 'state="lost"'
ERROR, NOT_OK, OOM = 'outcome="error"', 'code!="ok"', 'reason="OOMKilled"'
UNREACHABLE = 'outcome="unreachable"'
FAILED = 'state=~"failed|interrupted"'
NOT_PASSED = 'outcome=~"failed|warned"'
AGE = f"time() - {m('retail_table_published_timestamp_seconds')}"
BUSY = f"sum({m('retail_slots')}) - sum({m('retail_slots_free')})"

OVERVIEW = [
    stat("Schedulers", "none", "Schedulers that Prometheus reaches. Red: none. Look at the scheduler's pod and its log; "
         "docs/runbooks/scheduler-down.md.", "platform",
         query(f"count({m('retail_jobs_running')}) or vector(0)"), red=(1, "below")),
    stat("Active executors", "none", "Executors that take tasks. Red: none; jobs wait until one comes. "
         "docs/runbooks/no-executors.md.", "executors",
         query(f"sum({m('retail_executors', ACTIVE)})"), red=(1, "below")),
    stat("Jobs failed, 1 h", "none", "Jobs that failed or were interrupted in the last hour. Red: one or more. "
         "`retail-submit jobs` names them, `retail-submit watch JOB` prints why; docs/runbooks/job-failing.md.", "jobs",
         query(f"sum(increase({m('retail_jobs_total', FAILED)}[1h]))"), red=(1, "above")),
    stat("Oldest table", "s", "Age of the table that was published longest ago. Red: more than 26 hours, so a daily run was "
         "missed; docs/runbooks/freshness-missed.md.", "lakehouse",
         query(f"max({AGE})"), red=(93600, "above")),
    row("Is it keeping up?"),
    lines("Jobs", "none", "Jobs that run, and jobs that wait for them. When the queue only grows, raise jobs.max_concurrent or "
          "add executors.", "jobs",
          query(f"sum({m('retail_jobs_running')})", "running"), query(f"sum({m('retail_jobs_queued')})", "queued")),
    lines("Slots", "none", "Tasks that can run at once, those that do, and what waits for a slot. Busy at the limit and much waiting: "
          "more executors make jobs faster.", "executors",
          query(f"sum({m('retail_slots')})", "all"), query(BUSY, "busy"), query(f"sum({m('retail_tasks_queued')})", "waiting")),
    lines("Job time", "s", "From a job's begin to its end, without its wait. A step up after a release or a larger delivery: look "
          "at the slowest models.", "jobs", *p50_p95("retail_job_seconds")),
    lines("Rows", "rowsps", "Rows that tasks read from files and models wrote to tables. Zero while a job runs: see whether tasks "
          "run at all.", "executors",
          query(f"sum({rate('retail_rows_read_total')})", "read"), query(f"sum({rate('retail_rows_written_total')})", "written")),
    lines("Jobs ended", "none", "Jobs that ended in each interval, by state. Failed or interrupted ones: "
          "docs/runbooks/job-failing.md.", "jobs",
          query(f"sum by (state) (increase({m('retail_jobs_total')}[{RATE}]))", "{{state}}")),
    lines("Tests that did not pass", "none", "Declared tests with failing rows. Failed ones stopped their job before it published; "
          "`retail-submit job JOB` shows the rows.", "jobs",
          query(f"sum by (outcome) (increase({m('retail_tests_total', NOT_PASSED)}[{RATE}]))", "{{outcome}}")),
    lines("Tasks ended", "ops", "Tasks per second by outcome. Failed ones run again, up to cluster.task_max_failures; a steady "
          "rate means a bad node or store.", "executors",
          query(f"sum by (outcome) ({rate('retail_tasks_total')})", "{{outcome}}")),
    table("Versions", "none", "What runs where. More than one version for longer than a rolling upgrade takes: look at the rollout.",
          "platform", query(m("retail_build_info"))),
]

JOBS = [
    stat("Running", "none", "Jobs that run, or wait for an executor.", "overview", query(f"sum({m('retail_jobs_running')})")),
    stat("Queued", "none", "Jobs that wait because jobs.max_concurrent others run. Red: more than ten; raise it, or find the job "
         "that holds the others up with `retail-submit jobs`.", "executors", query(f"sum({m('retail_jobs_queued')})"),
         red=(11, "above")),
    stat("Failed, 24 h", "none", "Jobs that failed or were interrupted in a day. Red: one or more; docs/runbooks/job-failing.md.",
         "overview", query(f"sum(increase({m('retail_jobs_total', FAILED)}[24h]))"), red=(1, "above")),
    stat("Failing share, 24 h", "percentunit", "Share of the day's jobs that failed. Red: more than a tenth; look for one cause in "
         "`retail-submit jobs`.", "overview",
         query(f"sum(increase({m('retail_jobs_total', FAILED)}[24h])) / clamp_min(sum(increase({m('retail_jobs_total')}[24h])), 1)"),
         red=(0.1, "above")),
    row("Jobs"),
    lines("Job time by final state", "s", "Begin to end. Failed jobs that take long fail late: checks first find most mistakes before "
          "anything runs.", "executors", *p50_p95("retail_job_seconds", "state")),
    lines("Wait before the begin", "s", "Time in the queue. Minutes: raise jobs.max_concurrent, or spread the schedules.", "overview",
          *p50_p95("retail_job_queue_seconds")),
    lines("Begun again", "none", "Tasks after a failure or a lost executor, attempts after a publish conflict. Attempts: "
          "docs/runbooks/publish-conflicts.md. Tasks: see executors and the store's errors.", "lakehouse",
          query(f"sum by (what) (increase({m('retail_retries_total')}[{RATE}]))", "{{what}}")),
    row("Models"),
    bars("Slowest models", "s", "What each model took the last time. Start here to make a job faster: `retail-submit explain MODEL` "
         "shows what it reads and how many stages it has.", "executors",
         query(f"topk(15, {m('retail_model_last_seconds')})", "{{model}}")),
    lines("Model time", "s", "From a model's begin to its staged table.", "executors", *p50_p95("retail_model_seconds")),
    lines("Models ended", "none", "By outcome. One failed model skips those after it, and nothing of its job is published.", "lakehouse",
          query(f"sum by (outcome) (increase({m('retail_models_total')}[{RATE}]))", "{{outcome}}")),
    lines("Tests", "none", "Declared tests by what they came to. Failed ones stop their job, and nothing of it is published; warnings are "
          "published: `retail-submit job JOB` names both.", "lakehouse",
          query(f"sum by (outcome) (increase({m('retail_tests_total')}[{RATE}]))", "{{outcome}}")),
    lines("Test time", "s", "What the tests of a job took, between its last model and its publish.", "lakehouse",
          *p50_p95("retail_test_seconds")),
    lines("Stages", "ops", "Stages of models that ended well, per second.", "executors", query(f"sum({rate('retail_stages_total')})", "stages")),
    row("Statements"),
    lines("Statements", "none", "Statements of people and tools that run on executors, and those that wait for them. When the queue only "
          "grows, raise statements.max_concurrent or add executors.", "executors",
          query(f"sum({m('retail_statements_running')})", "running"), query(f"sum({m('retail_statements_queued')})", "queued")),
    lines("Wait of statements", "s", "Time in the queue. Seconds: raise statements.max_concurrent.", "executors",
          *p50_p95("retail_statement_queue_seconds")),
    lines("Statements ended", "none", "By outcome. Refused ones are no questions or cannot be planned, and ran nothing; failed ones "
          "are in the scheduler's log.", "platform",
          query(f"sum by (outcome) (increase({m('retail_statements_total')}[{RATE}]))", "{{outcome}}")),
    row("Queries"),
    lines("Queries", "ops", "Models and ad-hoc SQL, as Ballista sees them. Failed ones of people are seen here and in no job.", "executors",
          query(of_scheduler(rate("job_submitted_total")), "submitted"), query(of_scheduler(rate("job_completed_total")), "completed"),
          query(of_scheduler(rate("job_failed_total")), "failed"), query(of_scheduler(rate("job_cancelled_total")), "cancelled")),
    lines("Query time", "s", "Queries that ended well, on average.", "executors",
          query(of_scheduler(f"{rate('job_exec_time_seconds_sum')} / {rate('job_exec_time_seconds_count')}"), "mean")),
    lines("Planning", "ms", "From a query to its first stage, on average. Hundreds of milliseconds: a table with very many files, or a slow "
          "store.", "lakehouse", query(of_scheduler(f"{rate('planning_time_ms_sum')} / {rate('planning_time_ms_count')}"), "mean")),
]

EXECUTORS = [
    stat("Active", "none", "Executors that take tasks. Red: none; docs/runbooks/no-executors.md.", "platform",
         query(f"sum({m('retail_executors', ACTIVE)})"), red=(1, "below")),
    stat("Lost", "none", "Executors without a heartbeat. Red: one or more for longer than a minute; look at the pod's last state and "
         "docs/runbooks/executor-crash-loop.md.", "platform",
         query(f"sum({m('retail_executors', LOST)})"), red=(1, "above")),
    stat("Free slots", "none", "Tasks that could start now.", "jobs", query(f"sum({m('retail_slots_free')})")),
    stat("Least free disk", "percentunit", "Free share of the fullest disk of shuffle and spill files. Red: below a tenth; "
         "docs/runbooks/disk-nearly-full.md.", "platform",
         query(f"min({m('retail_disk_free_bytes')} / {m('retail_disk_size_bytes')})"), red=(0.1, "below")),
    row("Slots and tasks"),
    lines("Executors by state", "none", "Draining ones finish their tasks and leave. Lost ones were killed, or cannot reach the scheduler.",
          "platform", query(f"sum by (state) ({m('retail_executors')})", "{{state}}")),
    lines("Slots", "none", "Busy at the limit and much waiting: more executors, or more slots each, make jobs faster.", "jobs",
          query(f"sum({m('retail_slots')})", "all"), query(BUSY, "busy"), query(f"sum({m('retail_tasks_queued')})", "waiting")),
    lines("Waiting for an executor", "none", "Jobs and queries that wait because no executor is there. Red: some do; "
          "docs/runbooks/no-executors.md.", "platform",
          query(f"sum({m('retail_queries_waiting')})", "waiting"), red=(1, "above")),
    lines("Tasks running", "none", "On each executor. Uneven for long: a stage with fewer tasks than slots, or skewed data.", "jobs",
          query(f"sum by (instance) ({m('retail_tasks_running')})", "{{instance}}")),
    lines("Tasks ended", "ops", "By outcome. A steady rate of failed ones on one executor: look at its log, then remove it.", "jobs",
          query(f"sum by (outcome) ({rate('retail_tasks_total')})", "{{outcome}}")),
    lines("Task time", "s", "A p95 far above the p50 is skew: one partition has most of the rows.", "jobs", *p50_p95("retail_task_seconds")),
    row("Memory and disk"),
    lines("Memory pool in use", "percentunit", "Reserved by operators, of what they may reserve. Red: above 0.9; they spill from there on, "
          "which is slow and safe. Give executors more memory, or fewer slots.", "platform",
          query(f"{m('retail_memory_pool_used_bytes')} / {m('retail_memory_pool_limit_bytes')}", "{{instance}}"), red=(0.9, "above")),
    lines("Free disk", "percentunit", "Of the disk of shuffle and spill files. Red: below a tenth; docs/runbooks/disk-nearly-full.md.", "platform",
          query(f"{m('retail_disk_free_bytes')} / {m('retail_disk_size_bytes')}", "{{instance}}"), red=(0.1, "below")),
    lines("Spilled", "Bps", "Bytes that sorts and aggregates spilled for want of memory. Much of it: more memory per slot makes jobs faster.",
          "jobs", query(f"sum by (instance) ({rate('retail_bytes_spilled_total')})", "{{instance}}")),
    lines("Spilled rows and files", "ops", "The same in rows and files per second.", "jobs",
          query(f"sum({rate('retail_rows_spilled_total')})", "rows"), query(f"sum({rate('retail_spills_total')})", "files")),
    row("Data"),
    lines("Read", "Bps", "Bytes that tasks read from object stores. Flat at the network's or store's limit: more executors do not help.",
          "lakehouse", query(f"sum by (instance) ({rate('retail_bytes_read_total')})", "{{instance}}")),
    lines("Shuffled", "Bps", "Bytes that tasks produced for the next stage or the client. Far above what is read: a join that multiplies rows.",
          "jobs", query(f"sum by (instance) ({rate('retail_bytes_shuffled_total')})", "{{instance}}")),
    lines("Rows", "rowsps", "Rows that tasks read from files, and produced for the next stage or the client.", "jobs",
          query(f"sum({rate('retail_rows_read_total')})", "read"), query(f"sum({rate('retail_rows_shuffled_total')})", "shuffled")),
]

LAKEHOUSE = [
    stat("Tables and views", "none", "In the catalog.", "overview", query(f"sum({m('retail_tables')})")),
    stat("Oldest table", "s", "Red: a table was not published for more than 26 hours; docs/runbooks/freshness-missed.md.", "jobs",
         query(f"max({AGE})"), red=(93600, "above")),
    stat("Conflicts, 24 h", "none", "Publishes refused because another run was first. Red: more than ten; "
         "docs/runbooks/publish-conflicts.md.", "jobs",
         query(f"sum(increase({m('retail_publish_conflicts_total')}[24h]))"), red=(11, "above")),
    stat("Catalog errors, 1 h", "none", "Requests to the catalog's database that failed. Red: one or more; look at the database and at "
         "the scheduler's log.", "platform",
         query(f"sum(increase({m('retail_catalog_errors_total')}[1h]))"), red=(1, "above")),
    row("Freshness and commits"),
    bars("Age by table", "s", "Since the table's current snapshot was committed. Red: more than 26 hours. `retail-submit snapshots TABLE` "
         "has its history.", "jobs", query(f"topk(20, {AGE})", "{{table}}"), red=(93600, "above")),
    lines("Commit time", "s", "Writing a table's metadata (stage), and making a run's tables visible (publish). Seconds: a slow store for "
          "stage, a slow or locked database for publish.", "platform", *p50_p95("retail_commit_seconds", "step")),
    lines("Snapshots and conflicts", "none", "Snapshots that became visible, and publishes refused because another run was first.", "jobs",
          query(f"sum(increase({m('retail_snapshots_total')}[{RATE}]))", "snapshots"),
          query(f"sum(increase({m('retail_publish_conflicts_total')}[{RATE}]))", "conflicts")),
    lines("Written", "Bps", "Bytes of data files that models wrote.", "executors", query(f"sum({rate('retail_bytes_written_total')})", "written")),
    lines("Rows written", "rowsps", "Rows that models wrote.", "executors", query(f"sum({rate('retail_rows_written_total')})", "written")),
    row("Files"),
    bars("Smallest files by table", "bytes", "Mean size of a table's data files, smallest first. Below a few megabytes in a large table: every "
         "read opens many files. Fewer partitions, or engine.target_partitions, make them larger.", "executors",
         query(f"bottomk(20, {m('retail_table_bytes')} / ({m('retail_table_files')} > 0))", "{{table}}")),
    bars("Most files by table", "none", "Data files of the current snapshot. Thousands: see their size beside this.", "executors",
         query(f"topk(20, {m('retail_table_files')})", "{{table}}")),
    lines("Size of written files", "bytes", "Of the files that models wrote lately.", "executors", *p50_p95("retail_data_file_bytes")),
    bars("Largest tables", "bytes", "Bytes of the current snapshot.", "executors", query(f"topk(20, {m('retail_table_bytes')})", "{{table}}")),
    bars("Rows by table", "none", "Rows of the current snapshot. A table that shrank without reason: `retail-submit snapshots TABLE`.", "jobs",
         query(f"topk(20, {m('retail_table_rows')})", "{{table}}")),
    bars("Snapshots held", "none", "Snapshots in each table's metadata. Thousands make every commit slower.", "jobs",
         query(f"topk(20, {m('retail_table_snapshots')})", "{{table}}")),
    row("Catalog and object stores"),
    lines("Catalog requests", "s", "The catalog's database. Hundreds of milliseconds: look at its load and at long transactions. Each scrape of "
          "the scheduler is one pin.", "platform", *p50_p95("retail_catalog_seconds", "operation")),
    lines("Catalog errors", "none", "By operation; conflicts are not counted. Any: the database refuses or cannot be reached.", "platform",
          query(f"sum by (operation) (increase({m('retail_catalog_errors_total')}[{RATE}]))", "{{operation}}"), red=(1, "above")),
    lines("Store requests", "reqps", "Requests to object stores by operation. Many heads and lists and few gets: many small files.", "executors",
          query(f"sum by (operation) ({rate('retail_object_store_requests_total')})", "{{operation}}")),
    lines("Store errors", "reqps", "Requests that failed, after the client's own retries. Any for long: throttling, keys or the network.",
          "executors", query(f"sum by (operation) ({rate('retail_object_store_requests_total', ERROR)})", "{{operation}}"),
          red=(0.1, "above")),
    lines("Store latency", "s", "To the first byte of the answer, p95.", "executors",
          query(quantile(0.95, "retail_object_store_seconds", "operation"), "{{operation}}")),
    lines("Store traffic", "Bps", "Bytes from and to object stores, of all processes.", "executors",
          query(f"sum by (direction) ({rate('retail_object_store_bytes_total')})", "{{direction}}")),
]

RESTARTS = 'pod=~".+-(scheduler|executor|operator)-.+", container=~"(retail-)?(scheduler|executor|operator)"'
PLATFORM = [
    stat("Schedulers", "none", "Red: none is reached; docs/runbooks/scheduler-down.md.", "overview",
         query(f"count({m('retail_jobs_running')}) or vector(0)"), red=(1, "below")),
    stat("Acting operators", "none", "Exactly one should act. Red: none; RetailClusters are not reconciled, executors do not scale. See the "
         "operator's pods and its Lease.", "overview", query(f"sum({m('retail_operator_leader')})"), red=(1, "below")),
    stat("Restarts, 1 h", "none", "Of the pods' containers. Red: more than three; docs/runbooks/executor-crash-loop.md.", "executors",
         query(f"sum(increase({m('kube_pod_container_status_restarts_total', RESTARTS)}[1h]))"), red=(4, "above")),
    stat("Killed for memory", "none", "Containers whose last end was an OOM kill. Red: one or more; raise the limit or lower memoryFraction.",
         "executors", query(f"sum({m('kube_pod_container_status_last_terminated_reason', RESTARTS, OOM)}) or vector(0)"),
         red=(1, "above")),
    row("Operator"),
    lines("Desired and ready executors", "none", "Apart for more than a few minutes: pods that cannot be scheduled or do not become ready. "
          "`kubectl describe retailcluster NAME` names the cause.", "executors",
          query(f"sum({m('retail_operator_desired_executors')})", "desired"), query(f"sum({m('retail_operator_executors')})", "there are"),
          query(f"sum({m('retail_operator_ready_executors')})", "ready")),
    lines("Scaling decisions", "none", "Times the desired number changed. Up and down in turns: lengthen stabilizationSeconds.", "jobs",
          query(f"sum by (direction, reason) (increase({m('retail_operator_scaling_decisions_total')}[{RATE}]))", "{{direction}} {{reason}}")),
    lines("Reconciles", "ops", "By outcome. Errors for long: the operator's log, and `kubectl get retailclusters -o yaml` for the conditions.",
          "overview", query(f"sum by (outcome) ({rate('retail_operator_reconciles_total')})", "{{outcome}}")),
    lines("Clusters, and requests that schedulers did not answer", "none", "Without an answer the number of executors stays as it "
          "is: see the condition SchedulerReachable, then the scheduler.", "overview",
          query(f"sum({m('retail_operator_clusters')})", "clusters"),
          query(f"sum(increase({m('retail_operator_work_polls_total', UNREACHABLE)}[{RATE}]))", "unanswered")),
    lines("Reconcile time", "s", "Seconds: the API server is slow or throttles.", "overview", *p50_p95("retail_operator_reconcile_seconds")),
    row("Processes"),
    lines("CPU", "none", "Cores in use, by process and instance.", "executors",
          query(by_process(rate("process_cpu_seconds_total")), "{{process}} {{instance}}")),
    lines("Memory", "bytes", "Resident. An executor's should stay near its pool's limit and below its container's.", "executors",
          query(by_process(m("process_resident_memory_bytes")), "{{process}} {{instance}}")),
    lines("Open files", "percentunit", "Of those allowed. Red: above 0.8; raise the limit, then look for a leak.", "executors",
          query(by_process(f"{m('process_open_fds')} / {m('process_max_fds')}"), "{{process}} {{instance}}"), red=(0.8, "above")),
    lines("Up since", "s", "Age of each process. A saw's teeth are restarts.", "executors",
          query(by_process(f"(time() - {m('process_start_time_seconds')})"), "{{process}} {{instance}}")),
    lines("Spans dropped", "cps", "Parts of traces that no collector took; jobs do not wait for one. Red: above 0: is the collector at "
          "trace.endpoint up, and fast enough? Else lower trace.sample_ratio.", "executors",
          query(by_process(rate("retail_spans_dropped_total")), "{{process}} {{instance}}"), red=(0.001, "above")),
    row("gRPC of the scheduler"),
    lines("Calls", "reqps", "By method. Heartbeats grow with executors.", "jobs",
          query(f"sum by (method) ({rate('retail_grpc_requests_total')})", "{{method}}")),
    lines("Calls that did not end well", "reqps", "By method and status. Watch is cancelled whenever somebody stops looking; unavailable or internal "
          "ones are the scheduler's: see its log.", "jobs",
          query(f"sum by (method, code) ({rate('retail_grpc_requests_total', NOT_OK)})", "{{method}} {{code}}")),
    lines("Call time", "s", "p95 by method, without streams.", "jobs",
          query(quantile(0.95, "retail_grpc_seconds", "method", 'method!~".*/(Watch|Sql|DoGet)"'), "{{method}}")),
    table("Versions", "none", "What runs where.", "overview", query(m("retail_build_info"))),
]

DASHBOARDS = {
    "overview": dashboard("overview", "Is it healthy, and is it keeping up?", OVERVIEW),
    "jobs": dashboard("jobs", "How long jobs take, which fail, which models are slow.", JOBS),
    "executors": dashboard("executors", "Slots, memory, spills and shuffles.", EXECUTORS),
    "lakehouse": dashboard("lakehouse", "How fresh tables are, how commits go, how many small files there are.", LAKEHOUSE),
    "platform": dashboard("platform", "What the operator decides, who restarts, what processes use.", PLATFORM),
}


def main(arguments):
    check = arguments == ["--check"]
    if arguments and not check:
        print("usage: grafana/generate.py [--check]", file=sys.stderr)
        return 2
    wrong = []
    for name, board in DASHBOARDS.items():
        file = OUT / f"{name}.json"
        text = json.dumps(board, indent=2, ensure_ascii=False) + "\n"
        if not check:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            wrong.append(file.name)
    wrong += [f"{file.name} (nobody makes it)" for file in OUT.glob("*.json") if file.stem not in DASHBOARDS]
    for file in wrong:
        print(f"grafana/dashboards/{file} is not what grafana/generate.py makes; run it", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
