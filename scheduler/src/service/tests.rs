use std::path::Path;
use std::time::Duration;

use crate::store::JobStore;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use prost::Message;
use retail_engine::{EngineConfig, InProcess};
use retail_jobs::JobContext;
use retail_lakehouse::CatalogConfig;
use retail_proto::v1;
use retail_proto::v1::cluster_client::ClusterClient;
use retail_proto::v1::jobs_client::JobsClient;
use retail_proto::v1::query_client::QueryClient;
use retail_storage::ObjectStores;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Server};

use super::*;
use crate::admission::Limits;
use crate::config::JobsConfig;
use crate::jobs::tests::Held;
use crate::owner::Ownership;

struct Served {
    channel: Channel,
    jobs: Arc<JobManager>,
}

/// All services on a port of their own, with queries in this process.
async fn served(dir: &Path) -> Served {
    let stores = ObjectStores::default();
    let cluster = Arc::new(InProcess::new(EngineConfig::default(), 2, &stores).unwrap());
    served_on(dir, &stores, cluster).await
}

async fn served_on(dir: &Path, stores: &ObjectStores, cluster: Arc<dyn Cluster>) -> Served {
    let config = CatalogConfig {
        uri: format!("sqlite://{}/catalog.db", dir.display()),
        name: "retail".to_owned(),
        warehouse: format!("file://{}/warehouse", dir.display()),
    };
    let lake = Lakehouse::open(&config, stores.clone()).await.unwrap();
    let store = JobStore::open(lake.pool()).await.unwrap();
    let lease = crate::jobs::tests::lease(&lake).await;
    let context = JobContext {
        lake: lake.clone(),
        cluster: cluster.clone(),
        lease: Some(lease),
    };
    let (ours, lost) = (Ownership::Ours(lease), CancellationToken::new());
    let gate = Gate::new(Limits {
        jobs: 2,
        statements: 1,
    });
    let jobs = JobManager::start(
        store,
        context,
        ours,
        lost,
        gate.clone(),
        &JobsConfig::default(),
    )
    .await
    .unwrap();
    let mut routes = RoutesBuilder::default();
    mount(
        &mut routes,
        &jobs,
        &lake,
        &cluster,
        &gate,
        retail_storage::Locations::default(),
    )
    .await
    .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(
        Server::builder()
            .add_routes(routes.routes())
            .serve_with_incoming(incoming),
    );
    let channel = Endpoint::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    Served { channel, jobs }
}

fn file(path: &str, text: &str) -> v1::ProjectFile {
    v1::ProjectFile {
        path: path.to_owned(),
        content: text.as_bytes().to_vec(),
    }
}

fn shop(model: &str) -> Vec<v1::ProjectFile> {
    let table = "{{ config(materialized='table', schema='marts') }}\n";
    vec![
        file(
            "dbt_project.yml",
            "name: shop\nversion: '1.0'\nmodel-paths: [models]\n",
        ),
        file(
            "models/a.sql",
            &format!("{table}SELECT 1 AS id, 'x' AS name UNION ALL SELECT 2, 'y'"),
        ),
        file("models/b.sql", &format!("{table}{model}")),
    ]
}

const TOTALS: &str = "SELECT SUM(id) AS total FROM {{ ref('a') }}";

async fn run(served: &Served) -> Vec<v1::JobEvent> {
    let mut client = JobsClient::new(served.channel.clone());
    let request = v1::SubmitRequest {
        files: shop(TOTALS),
        submitted_by: "etl".to_owned(),
        ..Default::default()
    };
    let job_id = client.submit(request).await.unwrap().into_inner().job_id;
    let events = client
        .watch(v1::WatchRequest {
            job_id,
            after_seq: 0,
        })
        .await
        .unwrap()
        .into_inner();
    tokio::time::timeout(Duration::from_secs(60), events.try_collect())
        .await
        .unwrap()
        .unwrap()
}

/// A statement's rows as a table of text, or its refusal.
async fn sql(served: &Served, text: &str, max_rows: u64) -> Result<String, Status> {
    let request = v1::SqlRequest {
        sql: text.to_owned(),
        max_rows,
        executor_timeout_ms: 0,
    };
    let answers = QueryClient::new(served.channel.clone())
        .sql(request)
        .await?
        .into_inner();
    let answers: Vec<_> = answers.try_collect().await?;
    let mut ipc = vec![];
    for answer in answers {
        if let Some(v1::sql_response::Response::ArrowIpc(bytes)) = answer.response {
            ipc.extend(bytes);
        }
    }
    let batches: Vec<_> = StreamReader::try_new(ipc.as_slice(), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

fn failure(status: &Status) -> v1::Failure {
    v1::Failure::decode(status.details()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_submitted_watched_and_queried() {
    let dir = tempfile::tempdir().unwrap();
    let served = served(dir.path()).await;
    let events = run(&served).await;
    let Some(v1::job_event::Event::Finished(end)) = &events.last().unwrap().event else {
        panic!("{events:?}")
    };
    assert_eq!(end.state(), v1::JobState::Succeeded, "{end:?}");

    let mut jobs = JobsClient::new(served.channel.clone());
    let listed = jobs
        .list(v1::ListJobsRequest { limit: 0 })
        .await
        .unwrap()
        .into_inner()
        .jobs;
    assert_eq!(
        (
            listed.len(),
            listed[0].project.as_str(),
            listed[0].submitted_by.as_str()
        ),
        (1, "shop", "etl")
    );
    let job = jobs
        .get(v1::GetJobRequest {
            // The beginning of its short form, as people type it.
            job_id: listed[0].id[24..28].to_owned(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((job.models.len(), job.rows_written), (2, 3));
    assert!(
        job.models
            .iter()
            .all(|m| m.state() == v1::ModelState::Published && m.snapshot_id != 0),
        "{job:?}"
    );

    let rows = sql(&served, "SELECT id, name FROM marts.a ORDER BY id", 0)
        .await
        .unwrap();
    assert!(
        rows.contains("| 1  | x    |") && rows.contains("| 2  | y    |"),
        "{rows}"
    );
    let one = sql(&served, "SELECT id FROM marts.a ORDER BY id", 1)
        .await
        .unwrap();
    assert!(one.contains("| 1  |") && !one.contains("| 2  |"), "{one}");
    let none = sql(&served, "SELECT id FROM marts.a WHERE id > 5", 0)
        .await
        .unwrap();
    assert!(none.contains("id") || none.contains("++"), "{none}");

    let mut query = QueryClient::new(served.channel.clone());
    let tables = query
        .list_tables(v1::ListTablesRequest {
            namespace: "marts".to_owned(),
        })
        .await
        .unwrap()
        .into_inner();
    let a = &tables.tables[0];
    assert_eq!(
        (a.name.as_str(), a.kind.as_str(), a.rows, a.columns.len()),
        ("marts.a", "table", 2, 2)
    );
    assert!(
        a.updated_at_us > 0 && a.columns[0].r#type == "long",
        "{a:?}"
    );
    let request = v1::ListSnapshotsRequest {
        table: "marts.a".to_owned(),
    };
    let snapshots = query
        .list_snapshots(request)
        .await
        .unwrap()
        .into_inner()
        .snapshots;
    assert_eq!((snapshots.len(), snapshots[0].id), (1, a.snapshot_id));
    let typo = query
        .list_snapshots(v1::ListSnapshotsRequest {
            table: "marts.aa".to_owned(),
        })
        .await
        .unwrap_err();
    assert_eq!(typo.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_change_something_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let served = served(dir.path()).await;
    run(&served).await;
    let refused = || {
        let counts = &retail_telemetry::metrics().statements_total;
        counts.with_label_values(&["refused"]).get()
    };
    let before = refused();
    for text in [
        "DROP TABLE marts.a",
        "INSERT INTO marts.a VALUES (3, 'z')",
        "DELETE FROM marts.a",
        "UPDATE marts.a SET id = 1",
        "CREATE TABLE marts.c AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY marts.a TO '/tmp/stolen.csv'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE DELETE FROM marts.a",
    ] {
        let status = sql(&served, text, 0).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{text}: {status:?}");
        let failure = failure(&status);
        assert_eq!(
            failure.notes,
            [retail_engine::statement::ONLY_QUESTIONS],
            "{text}: {failure:?}"
        );
    }
    let two = sql(&served, "SELECT 1; SELECT 2", 0).await.unwrap_err();
    assert_eq!(two.code(), Code::InvalidArgument);
    assert!(refused() >= before + 10, "each is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_client_goes_away_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let stores = ObjectStores::default();
    let held = Held::new(&stores, false);
    let served = served_on(dir.path(), &stores, held.clone()).await;
    let request = v1::SqlRequest {
        sql: "SELECT 1".to_owned(),
        ..Default::default()
    };
    let answers = QueryClient::new(served.channel.clone())
        .sql(request)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!held.stopped.is_cancelled());
    drop(answers);
    tokio::time::timeout(Duration::from_secs(10), held.stopped.cancelled())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_beyond_the_limit_waits_for_its_turn() {
    use v1::sql_response::Response;
    let dir = tempfile::tempdir().unwrap();
    let stores = ObjectStores::default();
    let held = Held::new(&stores, false);
    let served = served_on(dir.path(), &stores, held.clone()).await;
    let mut client = QueryClient::new(served.channel.clone());
    let request = || v1::SqlRequest {
        sql: "SELECT 1".to_owned(),
        ..Default::default()
    };
    let first = client.sql(request()).await.unwrap().into_inner();
    let mut begun = held.begun.subscribe();
    begun.wait_for(|begun| *begun == 1).await.unwrap();
    let mut second = client.sql(request()).await.unwrap().into_inner();
    let Some(Response::Waiting(waiting)) = second.message().await.unwrap().unwrap().response else {
        panic!("it did not wait");
    };
    assert_eq!(
        waiting.reason,
        "1 statement is running, as many as may (statements.max_concurrent); this one is next"
    );
    held.open.send_replace(true);
    for answers in [first, second] {
        let answers: Vec<_> = answers.try_collect().await.unwrap();
        let has_rows =
            |answer: &v1::SqlResponse| matches!(answer.response, Some(Response::ArrowIpc(_)));
        assert!(answers.iter().any(has_rows), "{answers:?}");
    }
    let m = retail_telemetry::metrics();
    let waits = &m.statement_queue_seconds;
    let succeeded = m.statements_total.with_label_values(&["succeeded"]);
    assert!(waits.get_sample_count() >= 2 && succeeded.get() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_tables_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let served = served(dir.path()).await;
    run(&served).await;
    for (text, expected) in [
        ("SHOW TABLES", "marts"),
        ("DESCRIBE marts.a", "bigint"),
        ("SHOW COLUMNS FROM marts.a", "name"),
        ("EXPLAIN SELECT * FROM marts.a", "logical_plan"),
        (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts'",
            "| b ",
        ),
        (
            "WITH t AS (SELECT id FROM marts.a) SELECT COUNT(*) AS n FROM t",
            "| 2 |",
        ),
    ] {
        let rows = sql(&served, text, 0).await.unwrap();
        assert!(rows.contains(expected), "{text}:\n{rows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_statement_names_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let served = served(dir.path()).await;
    run(&served).await;
    let status = sql(&served, "SELECT id,\n  nam\nFROM marts.a", 0)
        .await
        .unwrap_err();
    let failure = failure(&status);
    assert_eq!(
        (status.code(), failure.line, failure.column),
        (Code::InvalidArgument, 2, 3),
        "{failure:?}"
    );
    assert!(failure.cause.contains("name"), "{failure:?}");
    let status = sql(&served, "SELECT * FROM marts.nothing", 0)
        .await
        .unwrap_err();
    assert!(status.message().contains("nothing"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_project_is_refused_before_anything_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let served = served(dir.path()).await;
    let mut client = JobsClient::new(served.channel.clone());
    let vars = |vars: &str| v1::SubmitRequest {
        files: shop(TOTALS),
        vars_json: vars.to_owned(),
        ..Default::default()
    };
    let selecting = v1::SubmitRequest {
        files: shop(TOTALS),
        select: vec!["c".to_owned()],
        ..Default::default()
    };
    let cycle = v1::SubmitRequest {
        files: shop("SELECT * FROM {{ ref('b') }}"),
        ..Default::default()
    };
    let unknown = v1::SubmitRequest {
        files: shop("SELECT * FROM {{ ref('aa') }}"),
        ..Default::default()
    };
    for request in [
        v1::SubmitRequest::default(),
        vars("[1]"),
        vars("{"),
        selecting,
        cycle,
        unknown,
    ] {
        let status = client.submit(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(failure(&status).kind(), v1::FailureKind::Project);
    }
    assert_eq!(
        client
            .list(v1::ListJobsRequest { limit: 0 })
            .await
            .unwrap()
            .into_inner()
            .jobs,
        []
    );
    let status = client
        .watch(v1::WatchRequest {
            job_id: "nope".to_owned(),
            after_seq: 0,
        })
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_explained_without_running() {
    let dir = tempfile::tempdir().unwrap();
    let served = served(dir.path()).await;
    let mut client = JobsClient::new(served.channel.clone());
    let request = v1::ExplainRequest {
        files: shop(TOTALS),
        select: vec!["b".to_owned()],
        ..Default::default()
    };
    let explained = client.explain(request).await.unwrap().into_inner().models;
    assert_eq!(
        (explained.len(), explained[0].model.as_str()),
        (1, "marts.b")
    );
    assert_eq!(explained[0].reads, ["marts.a   made by a model before it"]);
    assert!(
        explained[0].rendered_sql.contains("SUM(id)")
            && explained[0].logical_plan.contains("Aggregate")
    );
    assert_eq!(explained[0].writes, "marts.b   replaces all rows");
    assert!(
        explained[0].physical_plan.contains("AggregateExec"),
        "{}",
        explained[0].physical_plan
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_a_run_refuses_is_not_explained() {
    let dir = tempfile::tempdir().unwrap();
    let served = served(dir.path()).await;
    let mut client = JobsClient::new(served.channel.clone());
    let contract = "models:\n  - name: b\n    config: {contract: {enforced: true}}\n    columns: [{name: sum, data_type: numeric}]\n";
    for (model, yaml, message) in [
        (TOTALS, contract, "model marts.b breaks its contract"),
        ("SHOW TABLES", "", "cannot plan model marts.b"),
    ] {
        let mut files = shop(model);
        files.push(file("models/b.yml", yaml));
        let request = v1::ExplainRequest {
            files,
            select: vec!["b".to_owned()],
            ..Default::default()
        };
        let status = client.explain(request).await.unwrap_err();
        assert_eq!(failure(&status).message, message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reflection_and_status_are_served_until_the_scheduler_stops() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    let dir = tempfile::tempdir().unwrap();
    let served = served(dir.path()).await;
    let status = ClusterClient::new(served.channel.clone())
        .get_status(v1::GetStatusRequest {})
        .await
        .unwrap();
    let status = status.into_inner();
    assert_eq!(
        (
            status.executors.len(),
            status.slots,
            status.version.as_str()
        ),
        (1, 2, env!("CARGO_PKG_VERSION"))
    );
    assert!(status.started_at_us > 0);

    let mut health = HealthClient::new(served.channel.clone());
    let mut check = async |service: &str| {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        health.check(request).await.unwrap().into_inner().status()
    };
    assert_eq!(check("retail.v1.Jobs").await, ServingStatus::Serving);
    served.jobs.shutdown(Duration::ZERO).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(check("retail.v1.Jobs").await, ServingStatus::NotServing);
    let mut client = JobsClient::new(served.channel.clone());
    let refused = client
        .submit(v1::SubmitRequest {
            files: shop(TOTALS),
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unavailable, "scheduler is stopping")
    );
}
