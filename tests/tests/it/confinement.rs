//! What a project or a statement may read and write: the places that the scheduler's settings allow, whoever asks and
//! however the place is written. Nothing of what lies elsewhere comes back, in rows or in messages.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::submit::{Answer, Submit};

use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

/// What no answer may hold.
const SECRET: &str = "hunter2";

/// A cluster that may read `landing`, with orders in it, and beside it a folder that it may not.
struct Walled {
    cluster: Cluster,
    // Dropped after the cluster.
    _place: tempfile::TempDir,
    landing: PathBuf,
    secrets: PathBuf,
}

impl Walled {
    async fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let (landing, secrets) = (root.join("landing"), root.join("secrets"));
        for folder in [&landing, &secrets] {
            std::fs::create_dir(folder).unwrap();
        }
        fixtures::orders(&landing.join("orders.csv"), 50);
        std::fs::write(
            secrets.join("uri.csv"),
            format!("order_id,customer,amount,order_date\n1,{SECRET},1.00,2024-01-01\n"),
        )
        .unwrap();
        let setup = Setup {
            allow: Some(vec![landing.display().to_string()]),
            ..Setup::default()
        };
        Self {
            cluster: Cluster::start(setup).await,
            _place: place,
            landing,
            secrets,
        }
    }

    /// Runs and explains a project whose source lies at `location`.
    fn read(&self, location: &str) -> [Answer; 2] {
        let sources = format!(
            "version: 2\nsources:\n  - name: raw\n    tables:\n      - name: orders\n        meta: {{external_location: \"{location}\", format: csv}}\n"
        );
        let project = Project::over(Path::new(location)).with("models/sources.yml", &sources);
        let folder = project.write(self.cluster.dir());
        let folder = folder.display().to_string();
        let submit = self.cluster.submit();
        [
            submit.run(["run", "--project", &folder]),
            submit.run(["explain", "--project", &folder, "staging.stg_orders"]),
        ]
    }

    fn refuses(&self, location: &str, texts: &[&str]) {
        for answer in self.read(location) {
            let answer = answer.failed(1, texts);
            let all = format!("{}{}", answer.stdout, answer.stderr);
            assert!(!all.contains(SECRET), "{location}: {all}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_read_only_where_it_is_allowed_however_its_place_is_written() {
    let walled = Walled::start().await;
    let landing = walled.landing.display();
    let (run, explained) = walled.read(&format!("{landing}/orders.csv")).into();
    run.succeeded();
    explained.succeeded();

    let secrets = walled.secrets.display();
    let file = format!("{secrets}/uri.csv");
    let not_allowed = [
        "source raw.orders: cannot read",
        "models/sources.yml",
        "it lies outside of what may be read and written here; allowed: ",
        "sources.allow",
    ];
    for location in [
        file.clone(),
        format!("file://{file}"),
        format!("file://localhost{file}"),
        format!("{secrets}/*.csv"),
        format!("{secrets}/**/*.csv"),
        format!("{landing}/../*/uri.csv"),
        "/etc/passwd".to_owned(),
        "/*/passwd".to_owned(),
    ] {
        let texts = match location.contains("..") {
            true => &["source raw.orders: cannot read", "models/sources.yml"][..],
            false => &not_allowed,
        };
        walled.refuses(&location, texts);
    }
    let never = ["it is never read or written for a job or a statement"];
    walled.refuses("/proc/self/environ", &never);

    // Links lead nowhere: to a file, to a folder, through a pattern and below one.
    symlink(&walled.secrets, walled.landing.join("more")).unwrap();
    symlink(
        walled.secrets.join("uri.csv"),
        walled.landing.join("day.csv"),
    )
    .unwrap();
    for location in [
        "day.csv",
        "more/uri.csv",
        "mor*/uri.csv",
        "more/*.csv",
        "d*.csv",
        "**/*.csv",
    ] {
        walled.refuses(
            &format!("{landing}/{location}"),
            &["it leads to ", "sources.allow"],
        );
    }
    // What an escape in a URL would mean is taken literally.
    walled.refuses(
        &format!("{landing}/%2e%2e/secrets/uri.csv"),
        &["no file matches"],
    );
    walled.refuses("s3://bucket/orders.csv", &not_allowed);
    // As Java writes it, which a project may not.
    walled.refuses(&format!("file:{file}"), &["models/sources.yml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_stops_reading_a_place_that_became_a_link_out_of_what_is_allowed() {
    let walled = Walled::start().await;
    let orders = walled.landing.join("orders.csv");
    let project = Project::over(&orders).with(
        "models/staging/stg_orders.sql",
        "{{ config(materialized='view') }}\nSELECT customer FROM {{ source('raw', 'orders') }}\n",
    );
    let project = project
        .with(
            "models/marts/totals.sql",
            "SELECT 1 AS customer, 200 AS total\n",
        )
        .write(walled.cluster.dir());
    let submit = walled.cluster.submit();
    submit.project(&project, &[]).succeeded();
    let ask = || submit.run(["sql", "select * from staging.stg_orders"]);
    ask().succeeded();
    std::fs::remove_file(&orders).unwrap();
    symlink(walled.secrets.join("uri.csv"), &orders).unwrap();
    let answer = ask().failed(1, &["it leads to "]);
    assert!(!format!("{}{}", answer.stdout, answer.stderr).contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_one_query_and_writes_and_reads_no_file() {
    let walled = Walled::start().await;
    let out = walled.landing.join("out.csv");
    let submit = walled.cluster.submit();
    let file = walled.secrets.join("uri.csv");
    for statement in [
        format!("copy (select 1 as x) to '{}'", out.display()),
        format!("explain copy (select 1 as x) to '{}'", out.display()),
        format!("/* a */ -- b\n copy (values (1)) to '{}'", out.display()),
        format!("select 1; copy (select 1 as x) to '{}'", out.display()),
        format!(
            "create external table t stored as csv location '{}'",
            file.display()
        ),
        "create table t as select 1 as x".to_owned(),
        "insert into staging.stg_orders select 1".to_owned(),
        "with a as (select 1 as x) insert into b select * from a".to_owned(),
        "set datafusion.execution.batch_size = 1".to_owned(),
        "prepare p as select 1".to_owned(),
        "execute p".to_owned(),
        format!("select * from '{}'", file.display()),
        format!("select * from read_csv('{}')", file.display()),
    ] {
        let answer = submit.run(["sql", &statement]);
        let all = format!("{}{}", answer.stdout, answer.stderr);
        assert_eq!(answer.code, 1, "{statement}: {all}");
        assert!(
            !all.contains(SECRET) && !all.contains("panicked"),
            "{statement}: {all}"
        );
    }
    assert!(!out.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_process_a_project_reads_its_own_folder_and_what_the_command_names() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    let at = |name: &str| root.join(name);
    for folder in ["input", "secrets", "project"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    fixtures::orders(&at("input/orders.csv"), 20);
    std::fs::write(at("secrets/uri.csv"), format!("order_id\n{SECRET}\n")).unwrap();
    let submit = Submit::new("http://127.0.0.1:1", &root);
    let submit = submit.with_env("DBT_SECRETS", at("secrets").to_str().unwrap());
    let local = |submit: &Submit, project: &Path, more: &[&str]| {
        let mut arguments = vec!["run", "--local", "--project", project.to_str().unwrap()];
        arguments.extend(more);
        submit.run(arguments)
    };
    let dir = at("project");
    let own = Project::over(&at("project/shop/orders.csv")).write(&dir);
    fixtures::orders(&own.join("orders.csv"), 20);
    local(&submit, &own, &[]).succeeded();

    let view = "{{ config(materialized='view') }}\nSELECT order_id, customer, amount, order_date FROM {{ source('raw', 'orders') }}\n";
    let given = Project::over(Path::new("{{ var('input') }}/orders.csv"));
    let given = given
        .with("models/staging/stg_orders.sql", view)
        .write(&dir);
    let input = format!("input={}", at("input").display());
    local(&submit, &given, &["--vars", &input]).succeeded();
    // A view reads its source later, when no command names its place.
    submit
        .run(["sql", "--local", "select count(*) from staging.stg_orders"])
        .succeeded();

    let outside = "it lies outside of what may be read and written here";
    let refused = [outside, "RETAIL__SOURCES__ALLOW"];
    for location in [
        at("secrets/uri.csv").display().to_string(),
        "{{ env_var('DBT_SECRETS') }}/uri.csv".to_owned(),
    ] {
        let project = Project::over(Path::new(&location)).write(&dir);
        let answer = local(&submit, &project, &["--vars", &input]).failed(1, &refused);
        assert!(!format!("{}{}", answer.stdout, answer.stderr).contains(SECRET));
        // Whoever wants it lists it.
        let secrets = at("secrets").display().to_string();
        let allowed = submit.clone().with_env("RETAIL__SOURCES__ALLOW", &secrets);
        let answer = local(&allowed, &project, &["--vars", &input]);
        assert!(!answer.stderr.contains(outside), "{}", answer.stderr);
    }
    // The catalog's own file lies in the folder that is allowed, and is none of a source's, whatever it is called.
    let catalog = at("retail-data/catalog.db");
    assert!(catalog.exists());
    symlink(&catalog, at("input/catalog.csv")).unwrap();
    let project = Project::over(&at("input/catalog.csv")).write(&dir);
    local(&submit, &project, &[]).failed(1, &["it is never read or written"]);
}

/// How an empty message to a method is answered.
async fn call(url: &str, method: &'static str) -> Code {
    let channel = Channel::from_shared(url.to_owned()).unwrap();
    let mut grpc = Grpc::new(channel.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(method);
    let codec = ProstCodec::<(), ()>::default();
    match grpc.unary(Request::new(()), path, codec).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_answers_ballistas_executors_and_none_of_its_clients() {
    let cluster = Cluster::start(Setup::default()).await;
    for method in [
        "/ballista.protobuf.SchedulerGrpc/PollWork",
        "/ballista.protobuf.SchedulerGrpc/CreateUpdateSession",
        "/ballista.protobuf.SchedulerGrpc/RemoveSession",
        "/ballista.protobuf.SchedulerGrpc/ExecuteQueryPush",
        "/ballista.protobuf.SchedulerGrpc/ExecuteQuery",
        "/ballista.protobuf.SchedulerGrpc/GetJobStatus",
        "/ballista.protobuf.SchedulerGrpc/GetJobMetrics",
        "/ballista.protobuf.SchedulerGrpc/CancelJob",
        "/ballista.protobuf.SchedulerGrpc/CleanJobData",
        "/arrow.flight.protocol.FlightService/DoGet",
        "/arrow.flight.protocol.FlightService/DoAction",
    ] {
        let code = call(&cluster.url, method).await;
        assert_eq!(code, Code::Unimplemented, "{method}");
    }
    // The method is there, and takes no heartbeat without an executor.
    let heartbeat = "/ballista.protobuf.SchedulerGrpc/HeartBeatFromExecutor";
    assert_ne!(call(&cluster.url, heartbeat).await, Code::Unimplemented);
}
