//! What a run does to what is published: files that came, files that went, and rows that others wrote.

use std::path::Path;

use futures::TryStreamExt;
use retail_api::events::EventKind;
use retail_api::{Failure, FailureKind};
use retail_engine::{Cluster, EngineConfig, InProcess, Query, QueryProgress};
use retail_jobs::{JobSummary, run_job};
use retail_lakehouse::{
    CatalogConfig, LakeTable, Lakehouse, LakehouseError, Relation, Staged, WriteMode, WriteOptions,
    data_files, write_plan,
};
use retail_project::ProjectFile;
use retail_storage::ObjectStores;
use tokio::sync::mpsc;

use super::tests::Held;
use super::*;

/// A catalog, a folder of files and a project that counts their rows.
pub(super) struct Shop {
    pub(super) dir: tempfile::TempDir,
    lake: Lakehouse,
    pub(super) stores: ObjectStores,
}

/// How a run is to be.
#[derive(Default)]
pub(super) struct Run<'a> {
    pub(super) id: &'a str,
    pub(super) select: &'a [&'a str],
    /// Of the files, below the folder.
    pub(super) pattern: &'a str,
    /// Tests of the models.
    pub(super) yaml: &'a str,
    /// Further files of the project.
    pub(super) more: &'a [(&'a str, &'a str)],
    pub(super) tests_only: bool,
    pub(super) allow_removed_files: bool,
    pub(super) keep_foreign_rows: bool,
}

pub(super) fn run(id: &str) -> Run<'_> {
    Run {
        id,
        pattern: "day=*/orders.csv",
        ..Run::default()
    }
}

impl Shop {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stores = ObjectStores::default();
        let config = CatalogConfig {
            uri: format!("sqlite://{}/catalog.db", dir.path().display()),
            name: "retail".to_owned(),
            warehouse: format!("file://{}/warehouse", dir.path().display()),
        };
        let lake = Lakehouse::open(&config, stores.clone()).await.unwrap();
        Self { dir, lake, stores }
    }

    pub(super) fn deliver(&self, path: &str, rows: usize) {
        let file = self.dir.path().join("in").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let rows = (0..rows).map(|id| format!("{id}\n")).collect::<String>();
        std::fs::write(file, format!("id\n{rows}")).unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.dir.path().join("in").join(path)).unwrap();
    }

    fn spec(&self, run: &Run<'_>) -> JobSpec {
        let location = self.dir.path().join("in").join(run.pattern);
        let sources = format!(
            "sources:\n  - name: raw\n    tables:\n      - name: orders\n        external_location: \"{}\"\n",
            location.display()
        );
        let table = "{{ config(materialized='table', schema='marts') }}\n";
        let project_yml = "name: shop\nversion: '1.0'\nmodel-paths: [models]\n";
        let files = [
            ("dbt_project.yml", project_yml.to_owned()),
            ("models/sources.yml", sources),
            ("models/tests.yml", run.yaml.to_owned()),
            (
                "models/a.sql",
                format!("{table}SELECT id FROM {{{{ source('raw', 'orders') }}}}"),
            ),
            (
                "models/b.sql",
                format!("{table}SELECT count(*) AS n FROM {{{{ ref('a') }}}}"),
            ),
        ];
        let file = |(path, text): (&str, String)| ProjectFile {
            path: path.to_owned(),
            content: text.into_bytes(),
        };
        let more = run
            .more
            .iter()
            .map(|(path, text)| (*path, (*text).to_owned()));
        let files: Vec<_> = files.into_iter().chain(more).map(file).collect();
        let project = retail_project::load(&files, &serde_json::Map::new()).unwrap();
        let select: Vec<_> = run.select.iter().map(|&s| s.to_owned()).collect();
        JobSpec {
            id: run.id.into(),
            selected: retail_project::select::select(&project, &select, &[]).unwrap(),
            project: Arc::new(project),
            executor_timeout: None,
            tests_only: run.tests_only,
            allow_removed_files: run.allow_removed_files,
            keep_foreign_rows: run.keep_foreign_rows,
        }
    }

    /// Runs the project on a cluster; also what it warned of.
    pub(super) async fn run_on(
        &self,
        cluster: Arc<dyn Cluster>,
        run: Run<'_>,
    ) -> (Result<JobSummary, Failure>, Vec<EventKind>) {
        let (events, mut received) = mpsc::unbounded_channel();
        let lake = self.lake.clone();
        let context = JobContext {
            lake,
            cluster,
            lease: None,
        };
        let spec = self.spec(&run);
        let outcome = run_job(&spec, &context, &events, &CancellationToken::new()).await;
        drop(events);
        let mut seen = vec![];
        while let Some(event) = received.recv().await {
            seen.push(event);
        }
        (outcome, seen)
    }

    pub(super) async fn run(&self, run: Run<'_>) -> Result<JobSummary, Failure> {
        let cluster = InProcess::new(EngineConfig::default(), 2, &self.stores).unwrap();
        self.run_on(Arc::new(cluster), run).await.0
    }

    pub(super) async fn table(&self, name: &str) -> LakeTable {
        let pin = self.lake.pin().await.unwrap();
        match self.lake.load(&pin, &name.parse().unwrap()).await.unwrap() {
            Some(Relation::Table(table)) => table,
            other => panic!("{other:?}"),
        }
    }

    async fn rows(&self) -> u64 {
        self.table("marts.a").await.row_count()
    }

    /// Adds two rows as another engine does: without a publish id.
    async fn append(&self) {
        let rows = "SELECT CAST(1 AS BIGINT) AS id UNION ALL SELECT 2";
        self.append_to("marts.a", rows).await;
    }

    /// Adds a query's rows to a table as another engine does.
    pub(super) async fn append_to(&self, name: &str, rows: &str) {
        let table = self.table(name).await;
        let (columns, options) = (table.arrow_schema(), WriteOptions::default());
        let target = self
            .lake
            .begin_write(table.name(), Some(&table), &columns, &options);
        let target = target.unwrap();
        let cluster = InProcess::new(EngineConfig::default(), 2, &self.stores).unwrap();
        let session = cluster.session().unwrap();
        let plan = session.state().create_logical_plan(rows).await.unwrap();
        let query = Query {
            label: "append".to_owned(),
            plan: write_plan(&target, plan).unwrap(),
            session: Arc::new(session),
            cancel: CancellationToken::new(),
            progress: watch::Sender::new(QueryProgress::default()),
        };
        let written = cluster.execute(query).await.unwrap().rows;
        let written: Vec<_> = written.try_collect().await.unwrap();
        let files = data_files(&target, &written).unwrap();
        let stage = self
            .lake
            .stage(&target, WriteMode::Append, files, HashMap::new());
        let staged: Staged = stage.await.unwrap().into();
        // A run may be first: the writer retries in its next round.
        match self.lake.publish("foreign", &[staged]).await {
            Ok(_) | Err(LakehouseError::PublishConflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub(super) fn shown(failure: &Failure) -> String {
    format!(
        "{failure} {}",
        failure.all_notes().collect::<Vec<_>>().join("; ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lost_a_conflict_lists_its_sources_again() {
    let shop = Shop::new().await;
    shop.deliver("day=1/orders.csv", 3);
    shop.run(run("first")).await.unwrap();
    let held = Held::new(&shop.stores, false);
    let mut begun = held.begun.subscribe();
    let slow = shop.run_on(held.clone(), run("slow"));
    let meanwhile = async {
        begun.wait_for(|begun| *begun > 0).await.unwrap();
        shop.deliver("day=2/orders.csv", 5);
        shop.run(run("fast")).await.unwrap();
        assert_eq!(shop.rows().await, 8);
        held.open.send_replace(true);
    };
    let ((outcome, _), ()) = tokio::join!(slow, meanwhile);
    assert_eq!(outcome.unwrap().attempts, 2);
    assert_eq!(shop.rows().await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waited_for_an_executor_reads_what_has_landed_meanwhile() {
    let shop = Shop::new().await;
    shop.deliver("day=1/orders.csv", 3);
    let held = Held::new(&shop.stores, true);
    held.there.send_replace(false);
    let (events, mut received) = mpsc::unbounded_channel();
    let lake = shop.lake.clone();
    let context = JobContext {
        lake,
        cluster: held.clone(),
        lease: None,
    };
    let (spec, cancel) = (shop.spec(&run("waits")), CancellationToken::new());
    let meanwhile = async {
        while !matches!(received.recv().await.unwrap(), EventKind::Waiting { .. }) {}
        shop.deliver("day=2/orders.csv", 5);
        held.there.send_replace(true);
    };
    let (outcome, ()) = tokio::join!(run_job(&spec, &context, &events, &cancel), meanwhile);
    outcome.unwrap();
    assert_eq!(shop.rows().await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_source_files_are_gone_stops_and_names_them() {
    let shop = Shop::new().await;
    for day in 1..=5 {
        shop.deliver(&format!("day={day}/orders.csv"), 3);
    }
    shop.run(run("first")).await.unwrap();
    for day in 1..=4 {
        shop.remove(&format!("day={day}/orders.csv"));
    }
    // New content under an old name is no loss.
    shop.deliver("day=5/orders.csv", 4);
    for select in [&[][..], &["b"], &["a"]] {
        let refused = shop
            .run(Run {
                select,
                ..run("later")
            })
            .await;
        let Err(failure) = refused else {
            // A model that reads the published table loses nothing.
            assert_eq!(select, ["b"]);
            continue;
        };
        let text = shown(&failure);
        for part in [
            "source raw.orders: 4 files are gone",
            "/in/day=1/orders.csv",
            "/in/day=3/orders.csv and 1 more",
            "marts.a",
            "--allow-removed-files",
        ] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        assert_eq!(shop.rows().await, 15);
    }
    let reported = Run {
        allow_removed_files: true,
        ..run("reported")
    };
    shop.run(reported).await.unwrap();
    assert_eq!(shop.rows().await, 4);
    // Now the table was made of what is there.
    shop.run(run("next")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_chooses_fewer_files_is_no_loss() {
    let shop = Shop::new().await;
    shop.deliver("day=1/orders.csv", 3);
    shop.deliver("day=2/orders.csv", 5);
    shop.run(run("first")).await.unwrap();
    let narrow = Run {
        pattern: "day=2/orders.csv",
        ..run("narrow")
    };
    shop.run(narrow).await.unwrap();
    assert_eq!(shop.rows().await, 5);
    shop.run(run("wide")).await.unwrap();
    assert_eq!(shop.rows().await, 8);
    // Another spelling that would still list the file that is gone.
    shop.remove("day=1/orders.csv");
    let other = Run {
        pattern: "*/orders.csv",
        ..run("other")
    };
    let failure = shop.run(other).await.unwrap_err();
    assert!(shown(&failure).contains("day=1/orders.csv"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_another_engine_are_named_before_they_go_and_stay_where_requested() {
    let shop = Shop::new().await;
    shop.deliver("day=1/orders.csv", 3);
    shop.run(run("first")).await.unwrap();
    shop.append().await;
    assert_eq!(shop.rows().await, 5);
    let kept = Run {
        keep_foreign_rows: true,
        ..run("later")
    };
    let failure = shop.run(kept).await.unwrap_err();
    let text = shown(&failure);
    for part in [
        "marts.a",
        "another engine appended 2 rows",
        "--keep-foreign-rows",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!((failure.kind, shop.rows().await), (FailureKind::Publish, 5));

    let cluster = InProcess::new(EngineConfig::default(), 2, &shop.stores).unwrap();
    let (outcome, events) = shop.run_on(Arc::new(cluster), run("reported")).await;
    outcome.unwrap();
    let warned = events.iter().any(|event| {
        matches!(event, EventKind::Warning { text, .. }
            if text.contains("marts.a is rebuilt: another engine appended 2 rows"))
    });
    assert!(warned, "{events:?}");
    assert_eq!(shop.rows().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_appends_all_the_time_does_not_starve_a_run() {
    let shop = Shop::new().await;
    shop.deliver("day=1/orders.csv", 3);
    shop.run(run("first")).await.unwrap();
    shop.deliver("day=2/orders.csv", 5);
    let stop = CancellationToken::new();
    let writer = async {
        let mut appended = 0;
        while !stop.is_cancelled() {
            shop.append().await;
            appended += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        appended
    };
    let reader = async {
        // A query that takes several of the writer's rounds.
        let held = Held::new(&shop.stores, false);
        let mut begun = held.begun.subscribe();
        let runs = shop.run_on(held.clone(), run("reported"));
        let lets_go = async {
            begun.wait_for(|begun| *begun > 0).await.unwrap();
            let mut seen = shop.table("marts.a").await.snapshot_id();
            for _ in 0..2 {
                while shop.table("marts.a").await.snapshot_id() == seen {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                seen = shop.table("marts.a").await.snapshot_id();
            }
            held.open.send_replace(true);
        };
        let ((outcome, _), ()) = tokio::join!(runs, lets_go);
        stop.cancel();
        outcome
    };
    let (appended, outcome) = tokio::join!(writer, reader);
    assert!(appended > 1, "the writer wrote {appended} times");
    assert_eq!(outcome.unwrap().attempts, 1, "computed once");
    let published = shop.table("marts.a").await;
    let last = published.snapshots().into_iter().rev();
    let mut ours = last.filter(|s| s.summary.contains_key(retail_lakehouse::PUBLISH_ID));
    assert_eq!(ours.next().unwrap().summary["total-records"], "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_where_the_folder_is_another_one() {
    let shop = Shop::new().await;
    shop.deliver("old/day=1/orders.csv", 3);
    shop.deliver("new/day=1/orders.csv", 4);
    let of = |id, pattern| Run { pattern, ..run(id) };
    shop.run(of("old", "old/day=*/orders.csv")).await.unwrap();
    std::fs::remove_dir_all(Path::new(&shop.dir.path().join("in/old"))).unwrap();
    shop.run(of("new", "new/day=*/orders.csv")).await.unwrap();
    assert_eq!(shop.rows().await, 4);
}

/// A view over the files, a table over the view.
const VIEW: [(&str, &str); 2] = [
    (
        "models/v.sql",
        "{{ config(materialized='view', schema='marts') }}\nSELECT id FROM {{ source('raw', 'orders') }}",
    ),
    (
        "models/c.sql",
        "{{ config(materialized='table', schema='marts') }}\nSELECT id FROM {{ ref('v') }}",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn files_behind_a_view_are_missed_by_a_run_of_its_readers_alone() {
    let shop = Shop::new().await;
    shop.deliver("day=1/orders.csv", 3);
    shop.deliver("day=2/orders.csv", 5);
    let with_view = |id, select| Run {
        more: &VIEW,
        select,
        ..run(id)
    };
    shop.run(with_view("first", &[])).await.unwrap();
    shop.deliver("day=3/orders.csv", 2);
    shop.run(with_view("reader", &["c"])).await.unwrap();
    assert_eq!(shop.table("marts.c").await.row_count(), 10);
    shop.remove("day=1/orders.csv");
    let failure = shop.run(with_view("later", &["c"])).await.unwrap_err();
    let text = shown(&failure);
    for part in ["1 file is gone", "/in/day=1/orders.csv", "marts.c"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(shop.table("marts.c").await.row_count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_becomes_a_table_and_a_table_that_becomes_a_view_are_replaced() {
    let shop = Shop::new().await;
    shop.deliver("day=1/orders.csv", 3);
    let kind = |name: &str| {
        let (lake, name) = (shop.lake.clone(), name.parse().unwrap());
        async move {
            let pin = lake.pin().await.unwrap();
            match lake.load(&pin, &name).await.unwrap() {
                Some(Relation::Table(table)) => format!("table of {}", table.row_count()),
                Some(Relation::View(_)) => "view".to_owned(),
                None => "nothing".to_owned(),
            }
        }
    };
    let swapped = VIEW.map(|(path, text)| {
        let text = match text.contains("'view'") {
            true => text.replace("'view'", "'table'"),
            false => text.replace("'table'", "'view'"),
        };
        (path, text)
    });
    let swapped: Vec<_> = swapped
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let of = |id, more| Run { more, ..run(id) };
    for (round, id) in ["one", "two", "three"].into_iter().enumerate() {
        let is_swapped = round == 1;
        let more = if is_swapped { &swapped[..] } else { &VIEW[..] };
        shop.run(of(id, more)).await.unwrap();
        let kinds = [kind("marts.v").await, kind("marts.c").await];
        let expected = match is_swapped {
            false => ["view", "table of 3"],
            true => ["table of 3", "view"],
        };
        assert_eq!(kinds, expected, "{id}");
    }
}
