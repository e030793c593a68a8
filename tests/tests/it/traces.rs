//! One trace from the client to the stores, whole; log lines that name it; and nothing that waits for a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, Setup};
use crate::support::collector::{Collector, Span};
use crate::support::fixtures::{self, Project};
use crate::support::program::Program;
use crate::support::submit::Submit;
use crate::support::wait;

const LIMIT: Duration = Duration::from_secs(60);
const ROWS: u32 = 300;

async fn traced_cluster(endpoint: &str) -> Cluster {
    Cluster::start(Setup {
        executors: 2,
        more: format!(
            "\n[trace]\nendpoint = \"{endpoint}\"\n\n[log]\nformat = \"json\"\nlevel = \"info,retail_executor=debug\"\n"
        ),
        ..Setup::default()
    })
    .await
}

/// The client as somebody uses it who has set OpenTelemetry's variables.
fn traced(cluster: &Cluster, endpoint: &str, ratio: &str) -> Submit {
    cluster
        .submit()
        .with_env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .with_env("OTEL_TRACES_SAMPLER_ARG", ratio)
}

fn a_shop(cluster: &Cluster) -> Project {
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, ROWS);
    Project::over(&orders)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_one_tree_from_the_client_to_the_stores() {
    let collector = Collector::start().await;
    let mut cluster = traced_cluster(&collector.endpoint).await;
    let project = a_shop(&cluster).write(cluster.dir());

    // A client that records nothing is followed by everybody else.
    let silent = traced(&cluster, &collector.endpoint, "0").project(&project, &[]);
    let silent = silent.succeeded();
    assert!(!silent.stderr.contains("trace "), "{}", silent.stderr);

    let client = traced(&cluster, &collector.endpoint, "1");
    let ran = client.project(&project, &[]).succeeded();
    let job = newest_job(&cluster);
    let id = job["trace_id"].as_str().expect("it is traced").to_owned();
    let head = format!("trace {}…", &id[..8]);
    assert!(ran.stderr.contains(&head), "{}", ran.stderr);
    let failed = a_job_that_fails(&cluster, &collector);

    // A process that ends sends what it has: afterwards everything is there.
    for program in cluster.executors.iter_mut().chain([&mut cluster.scheduler]) {
        program.terminate();
        assert!(program.wait(LIMIT).await.success());
    }
    assert_eq!(
        collector.traces().len(),
        2,
        "what was not to be recorded was not: {:?}",
        collector.traces()
    );
    let spans = collector.trace(&id);
    let tree = Tree::of(&spans);
    tree.is_whole();
    assert_eq!(tree.count("submit"), 1);
    assert_eq!(tree.count("job"), 1);
    assert_eq!(tree.count("model"), 3);
    assert_eq!(
        tree.count("query"),
        2,
        "two tables, and a view without a query"
    );
    assert_eq!(tree.count("commit"), 3);
    assert_eq!(tree.count("publish"), 1);
    assert!(tree.count("stage") >= 3, "the totals shuffle:\n{tree}");
    assert!(tree.count("task") >= tree.count("stage"), "{tree}");
    for (child, parents) in [
        ("submit", &[][..]),
        ("job", &["submit"]),
        ("model", &["job"]),
        ("query", &["model"]),
        ("stage", &["query"]),
        ("task", &["stage"]),
        ("commit", &["model"]),
        ("publish", &["job"]),
        (
            "object_store",
            &["task", "commit", "job", "model", "query", "publish"],
        ),
    ] {
        for span in tree.named(child) {
            let parent = tree.parent(span).map(|p| p.name.as_str());
            assert_eq!(parent.is_none(), parents.is_empty(), "{child}:\n{tree}");
            assert!(
                parent.is_none_or(|p| parents.contains(&p)),
                "{child}:\n{tree}"
            );
        }
    }
    for (name, service) in [
        ("submit", "retail-submit"),
        ("stage", "retail-scheduler"),
        ("task", "retail-executor"),
    ] {
        assert!(tree.named(name).all(|s| s.service == service), "{tree}");
    }

    // Each task is under its own stage, and each stage has its tasks and what they produced.
    for stage in tree.named("stage") {
        let tasks: Vec<_> = tree.children(stage).collect();
        assert_eq!(stage.attributes["tasks"], tasks.len().to_string(), "{tree}");
        let rows: u64 = tasks.iter().map(|t| number(t, "rows")).sum();
        assert_eq!(number(stage, "rows"), rows, "{tree}");
        for task in tasks {
            assert_eq!(
                task.attributes["stage"], stage.attributes["stage"],
                "{tree}"
            );
            assert_eq!(task.attributes["job"], job["id"].as_str().unwrap());
            let query = tree.parent(stage).unwrap();
            assert_eq!(task.attributes["query"], query.attributes["query"]);
            let model = tree.parent(query).unwrap();
            assert_eq!(task.attributes["model"], model.attributes["model"]);
        }
    }
    let requests = tree.named("object_store");
    let of_tasks: BTreeSet<_> = requests
        .filter(|s| tree.parent(s).is_some_and(|p| p.name == "task"))
        .map(|s| s.attributes["operation"].as_str())
        .collect();
    assert!(
        of_tasks.contains("get"),
        "tasks read a file: {of_tasks:?}\n{tree}"
    );
    assert!(
        of_tasks.iter().any(|o| o.starts_with("put")),
        "tasks write files: {of_tasks:?}"
    );
    let orders = tree
        .named("model")
        .find(|m| m.attributes["model"] == "staging.stg_orders");
    assert_eq!(number(orders.unwrap(), "rows"), u64::from(ROWS));
    nothing_is_quoted(&spans);
    assert!(spans.iter().all(|s| !s.is_error), "{tree}");

    let line = json_line(&cluster.scheduler, "job succeeded", &id);
    assert_eq!(line["job"], job["id"]);
    let line = cluster
        .executors
        .iter()
        .find_map(|e| find_line(e, "task ended", &id))
        .expect("executors log their tasks");
    assert_eq!(line["job"], job["id"]);
    for field in ["model", "query", "stage", "task", "span_id"] {
        assert!(!line[field].is_null(), "{field} is missing: {line}");
    }

    failure_is_an_error_without_quotes(&collector.trace(&failed));
}

/// Runs a job whose second model divides by zero, and returns its trace's id.
fn a_job_that_fails(cluster: &Cluster, collector: &Collector) -> String {
    let broken = "SELECT customer, sum(100 / (order_id - 5)) AS orders, sum(amount) AS total\n\
                  FROM {{ ref('stg_orders') }} GROUP BY customer\n";
    let project: PathBuf = a_shop(cluster)
        .with("models/marts/totals.sql", broken)
        .write(cluster.dir());
    let answer = traced(cluster, &collector.endpoint, "1").project(&project, &[]);
    assert_ne!(answer.code, 0, "{}", answer.stdout);
    let job = newest_job(cluster);
    job["trace_id"].as_str().expect("it is traced").to_owned()
}

/// A job that fails is an error from the query up to the client, and its trace does not say what it read.
fn failure_is_an_error_without_quotes(spans: &[Span]) {
    let tree = Tree::of(spans);
    tree.is_whole();
    let wrong: BTreeSet<_> = spans
        .iter()
        .filter(|s| s.is_error)
        .map(|s| s.name.as_str())
        .collect();
    for name in ["task", "query", "model", "job", "submit"] {
        assert!(wrong.contains(name), "{name} is no error:\n{tree}");
    }
    assert_eq!(tree.count("publish"), 0);
    nothing_is_quoted(spans);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_hangs_delays_nothing() {
    // It takes connections and never answers: the worst of collectors.
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}", hangs.local_addr().unwrap());
    let away = format!("http://127.0.0.1:{}", wait::free_port());
    let cluster = traced_cluster(&hangs).await;
    let project = a_shop(&cluster).write(cluster.dir());
    for endpoint in [&away, &hangs] {
        let ran = traced(&cluster, endpoint, "1").project(&project, &[]);
        let ran = ran.succeeded();
        assert!(ran.stderr.contains("could not be sent"), "{}", ran.stderr);
    }
    // The scheduler dropped spans, logs it once, and counts on.
    let warning = "spans are dropped";
    let dropped = dropped_spans(&cluster, 0).await;
    cluster.submit().project(&project, &[]).succeeded();
    dropped_spans(&cluster, dropped).await;
    for program in cluster.executors.iter().chain([&cluster.scheduler]) {
        let log = program.log();
        let warnings = log.lines().filter(|line| line.contains(warning)).count();
        assert!(warnings <= 1, "{warnings} warnings:\n{log}");
    }
    assert!(cluster.scheduler.log().contains(warning));

    log_level_is_changed_while_it_runs(&cluster);
}

/// Spans that the scheduler counts as dropped, when they are more than `known`.
async fn dropped_spans(cluster: &Cluster, known: u64) -> u64 {
    wait::until("dropped spans", LIMIT, async || {
        let (_, page) = wait::http(cluster.admin_port(), "GET", "/metrics", "")?;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix("retail_spans_dropped_total "))?;
        let dropped: u64 = line.parse().expect("a whole number");
        (dropped > known).then_some(dropped)
    })
    .await
}

/// In the cluster above: its logs are at hand.
fn log_level_is_changed_while_it_runs(cluster: &Cluster) {
    let port = cluster.admin_port();
    let request = |method: &str, body: &str| {
        let (status, text) = wait::http(port, method, "/log-level", body).unwrap();
        (status, text.trim().to_owned())
    };
    let before = "info,retail_executor=debug";
    assert_eq!(request("GET", ""), (200, before.to_owned()));
    let (status, reason) = request("PUT", "inof");
    assert_eq!(status, 400, "{reason}");
    assert!(reason.contains("is no level"), "{reason}");
    assert_eq!(request("GET", "").1, before);
    let debug = |log: &str| log.matches("\"level\":\"DEBUG\"").count();
    assert_eq!(debug(&cluster.scheduler.log()), 0);
    assert_eq!(request("PUT", "info,retail_lakehouse=debug\n").0, 200);
    let project = cluster.dir().join("shop");
    cluster.submit().project(&project, &[]).succeeded();
    assert!(debug(&cluster.scheduler.log()) > 0);
}

fn newest_job(cluster: &Cluster) -> Value {
    let listed = cluster.submit().run(["jobs", "--json"]).succeeded().stdout;
    let newest = listed.lines().next().expect("there is a job");
    let newest: Value = serde_json::from_str(newest).unwrap_or_else(|e| panic!("{e}: {newest}"));
    let id = newest["id"].as_str().expect("a job has an id");
    cluster.submit().job(id)
}

fn number(span: &Span, attribute: &str) -> u64 {
    let text = span.attributes.get(attribute);
    let text = text.unwrap_or_else(|| panic!("{} has no {attribute}: {span:?}", span.name));
    text.parse().unwrap()
}

/// SQL text and data are for logs and errors, which fewer people see.
fn nothing_is_quoted(spans: &[Span]) {
    for span in spans {
        for text in span.attributes.values().chain([&span.status]) {
            let upper = text.to_uppercase();
            let quotes = ["SELECT", "GROUP BY", "DIVIDE", "ORDER_ID"];
            assert!(quotes.iter().all(|q| !upper.contains(q)), "{span:?}");
        }
    }
}

fn json_line(program: &Program, message: &str, trace: &str) -> Value {
    find_line(program, message, trace)
        .unwrap_or_else(|| panic!("no line {message:?} of trace {trace}:\n{}", program.log()))
}

fn find_line(program: &Program, message: &str, trace: &str) -> Option<Value> {
    let log = program.log();
    let mut lines = log.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("no JSON: {e}: {line}"))
    });
    lines.find(|line| line["message"] == message && line["trace_id"] == trace)
}

/// Spans and who is whose parent. Printed when an assertion fails.
struct Tree<'a> {
    by_id: BTreeMap<&'a str, &'a Span>,
}

impl<'a> Tree<'a> {
    fn of(spans: &'a [Span]) -> Self {
        let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
        assert_eq!(by_id.len(), spans.len(), "two spans have one id");
        Self { by_id }
    }

    fn is_whole(&self) {
        let roots: Vec<_> = self.roots().map(|s| s.name.as_str()).collect();
        assert_eq!(roots, ["submit"], "{self}");
        let orphans: Vec<_> = self.orphans().collect();
        assert!(orphans.is_empty(), "{orphans:?}\n{self}");
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &'a Span> {
        self.by_id.values().copied().filter(move |s| s.name == name)
    }

    fn count(&self, name: &str) -> usize {
        self.named(name).count()
    }

    fn parent(&self, span: &Span) -> Option<&'a Span> {
        self.by_id.get(span.parent.as_str()).copied()
    }

    fn children(&self, span: &Span) -> impl Iterator<Item = &'a Span> {
        self.by_id.values().copied().filter(|s| s.parent == span.id)
    }

    fn roots(&self) -> impl Iterator<Item = &'a Span> {
        self.by_id.values().copied().filter(|s| s.parent.is_empty())
    }

    fn orphans(&self) -> impl Iterator<Item = &'a Span> {
        let spans = self.by_id.values().copied();
        spans.filter(|s| !s.parent.is_empty() && self.parent(s).is_none())
    }

    fn write(
        &self,
        span: &Span,
        depth: usize,
        f: &mut std::fmt::Formatter<'_>,
    ) -> std::fmt::Result {
        let ms = (span.end_ns.saturating_sub(span.start_ns)) / 1_000_000;
        let error = if span.is_error { " ERROR " } else { "" };
        let (indent, name) = ("  ".repeat(depth), &span.name);
        writeln!(
            f,
            "{indent}{name} {ms} ms{error}{} {:?}",
            span.status, span.attributes
        )?;
        let mut children: Vec<_> = self.children(span).collect();
        children.sort_by_key(|span| span.start_ns);
        children
            .into_iter()
            .try_for_each(|child| self.write(child, depth + 1, f))
    }
}

impl std::fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for span in self.roots().chain(self.orphans()) {
            self.write(span, 0, f)?;
        }
        Ok(())
    }
}
