use std::path::Path;

use retail_lakehouse::{CatalogConfig, Lakehouse};
use retail_storage::ObjectStores;

use super::*;
use retail_api::events::{PlannedModel, PublishedTable, StageProgress};
use retail_api::job::{JobState, ModelState, TestCounts, TestResult, TestState};
use retail_api::{Failure, FailureKind, SnapshotId, Unpublished};

pub(crate) async fn lake(dir: &Path) -> Lakehouse {
    let config = CatalogConfig {
        uri: format!("sqlite://{}/catalog.db", dir.display()),
        name: "retail".to_owned(),
        warehouse: format!("file://{}/warehouse", dir.display()),
    };
    Lakehouse::open(&config, ObjectStores::default())
        .await
        .unwrap()
}

fn new_job() -> NewJob {
    NewJob {
        project: "retail".to_owned(),
        submitted_by: "etl".to_owned(),
        models_total: 2,
    }
}

fn planned(names: &[&str]) -> EventKind {
    let model = |name: &&str| PlannedModel {
        model: (*name).to_owned(),
        materialized: "table".to_owned(),
        path: format!("models/{name}.sql"),
        depends_on: vec![],
    };
    EventKind::Planned {
        project: "retail".to_owned(),
        models: names.iter().map(model).collect(),
        executors: 1,
        slots: 4,
    }
}

fn staged(model: &str, rows: u64) -> EventKind {
    EventKind::ModelStaged {
        model: model.to_owned(),
        rows,
        bytes: rows * 10,
        files: 2,
        stages: 3,
        elapsed_ms: 5,
    }
}

fn tested(failures: i64) -> EventKind {
    let result = |test: &str, state, failure: Option<Failure>| TestResult {
        test: test.to_owned(),
        about: "staging.a".to_owned(),
        column: Some("id".to_owned()),
        path: "models/s.yml".to_owned(),
        line: 7,
        state,
        failures,
        elapsed_ms: 3,
        failure: failure.map(Box::new),
    };
    let failure =
        Failure::new(FailureKind::Test, "test unique_a_id warns").at("models/s.yml", 7, 0);
    EventKind::Tested {
        results: vec![
            result("not_null_a_id", TestState::Passed, None),
            result("unique_a_id", TestState::Warned, Some(failure)),
        ],
        elapsed_ms: 9,
    }
}

async fn append(store: &JobStore, job: &JobId, kinds: Vec<EventKind>) {
    let mut seq = store
        .events(job, 0)
        .await
        .unwrap()
        .last()
        .map_or(0, |e| e.seq);
    for kind in kinds {
        seq += 1;
        let event = JobEvent {
            job_id: job.clone(),
            seq,
            time_us: 1_000 + seq as i64,
            kind,
        };
        store.append(&event).await.unwrap();
    }
}

/// A job's whole life, on whichever database.
async fn a_life(lake: &Lakehouse) {
    let store = JobStore::open(lake.pool()).await.unwrap();
    let job = store.create(&new_job(), 500).await.unwrap();
    assert!(job.id.is_unique());
    assert_eq!(store.get(&job.id).await.unwrap(), Some(job.clone()));
    assert_eq!(store.get(&"nope".into()).await.unwrap(), None);

    let attempt = |attempt| EventKind::AttemptStarted { attempt };
    let started = |model: &str| EventKind::ModelStarted {
        model: model.to_owned(),
        attempt: 1,
    };
    append(
        &store,
        &job.id,
        vec![
            EventKind::Queued {
                project: "retail".to_owned(),
                position: 1,
                trace_id: None,
            },
            planned(&["staging.a", "marts.b"]),
            attempt(1),
            started("staging.a"),
            staged("staging.a", 7),
            tested(3),
            attempt(2),
            started("staging.a"),
            staged("staging.a", 5),
            // Ephemeral: it runs, and no row counts it.
            staged("main.hidden", 0),
            started("marts.b"),
            tested(1),
        ],
    )
    .await;
    let running = store.get(&job.id).await.unwrap().unwrap();
    assert_eq!(
        (running.state, running.attempts, running.started_at_us),
        (JobState::Running, 2, Some(1_002))
    );
    assert_eq!(
        (
            running.models_done,
            running.models_total,
            running.rows_written
        ),
        (1, 2, 5)
    );
    assert_eq!(
        running.models.iter().map(|m| m.state).collect::<Vec<_>>(),
        [ModelState::Staged, ModelState::Running]
    );
    // Of the second attempt alone.
    let EventKind::Tested { results, .. } = tested(1) else {
        panic!("an event of tests")
    };
    let counts = TestCounts {
        passed: 1,
        warned: 1,
        ..TestCounts::default()
    };
    assert_eq!((&running.tests, running.test_counts), (&results, counts));
    assert_eq!(store.list(1).await.unwrap()[0].test_counts, counts);
    assert!(!running.is_published());

    let table = PublishedTable {
        table: "staging.a".to_owned(),
        materialized: "table".to_owned(),
        rows: 5,
        rows_before: None,
        snapshot_id: Some(SnapshotId(i64::MAX)),
        elapsed_ms: 5,
    };
    let end = EventKind::Finished {
        state: JobState::Succeeded,
        failure: None,
        elapsed_ms: 9,
    };
    let publish = EventKind::Published {
        tables: vec![table],
        elapsed_ms: 1,
    };
    append(&store, &job.id, vec![staged("marts.b", 3), publish, end]).await;
    let done = store.get(&job.id).await.unwrap().unwrap();
    assert_eq!(
        (
            done.state,
            done.models_done,
            done.rows_written,
            done.bytes_written
        ),
        (JobState::Succeeded, 2, 8, 80)
    );
    assert_eq!(
        (
            done.models[0].snapshot_id,
            done.models[0].files,
            done.models[0].stages
        ),
        (Some(SnapshotId(i64::MAX)), 2, 3)
    );
    assert!(done.is_published() && done.models.iter().all(|m| m.state == ModelState::Published));
    assert!(done.finished_at_us > done.started_at_us && done.failure.is_none());

    let since = store.events(&job.id, 12).await.unwrap();
    assert_eq!(
        since.iter().map(|e| e.seq).collect::<Vec<_>>(),
        [13, 14, 15]
    );
    assert_eq!(store.events(&job.id, u64::MAX).await.unwrap(), []);
    let all = store.events(&job.id, 0).await.unwrap();
    assert_eq!(
        (all.len(), &all[1].kind),
        (15, &planned(&["staging.a", "marts.b"]))
    );
    assert_eq!(store.list(1).await.unwrap()[0].id, job.id);

    assert_eq!(store.prune(0, 2_000_000_000_000_000).await.unwrap(), 1);
    assert_eq!(store.get(&job.id).await.unwrap(), None);
    assert_eq!(store.events(&job.id, 0).await.unwrap(), []);
}

#[tokio::test]
async fn a_job_is_what_its_events_made_of_it() {
    let dir = tempfile::tempdir().unwrap();
    a_life(&lake(dir.path()).await).await;
}

#[tokio::test]
async fn a_job_is_what_its_events_made_of_it_on_postgresql() {
    let Ok(url) = std::env::var("RETAIL_TEST_POSTGRES_URL") else {
        skipped("job store on PostgreSQL: RETAIL_TEST_POSTGRES_URL is not set");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    // A schema of its own, so that tests do not meet in one database.
    let schema = format!("store_{}", uuid::Uuid::new_v4().simple());
    sqlx::any::install_default_drivers();
    let admin = AnyPool::connect(&url).await.unwrap();
    sqlx::query(&format!("CREATE SCHEMA {schema}"))
        .execute(&admin)
        .await
        .unwrap();
    let mark = if url.contains('?') { '&' } else { '?' };
    let config = CatalogConfig {
        uri: format!("{url}{mark}options=-csearch_path%3D{schema}"),
        name: "retail".to_owned(),
        warehouse: format!("file://{}", dir.path().display()),
    };
    let lake = Lakehouse::open(&config, ObjectStores::default())
        .await
        .unwrap();
    a_life(&lake).await;
    ends_once(&lake).await;
    sqlx::query(&format!("DROP SCHEMA {schema} CASCADE"))
        .execute(&admin)
        .await
        .unwrap();
}

/// Reports what was not tested, and in the file that the test run sums up.
fn skipped(what: &str) {
    use std::io::Write;
    eprintln!("skipped: {what}");
    if let Some(path) = std::env::var_os("RETAIL_TEST_SKIPS")
        && let Ok(mut file) = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
    {
        let _ = writeln!(file, "{what}");
    }
}

/// What a scheduler does at its start.
async fn interrupt_all(store: &JobStore, now_us: i64) -> Vec<JobEvent> {
    let mut events = vec![];
    for job in store.unfinished().await.unwrap() {
        let ended = store.interrupt(&job, job.is_published(), now_us).await;
        events.extend(ended.unwrap());
    }
    events
}

#[tokio::test]
async fn a_restart_shows_unfinished_jobs_as_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let (queued, running, ended) = {
        let store = JobStore::open(lake(dir.path()).await.pool()).await.unwrap();
        let queued = store.create(&new_job(), 1).await.unwrap().id;
        let running = store.create(&new_job(), 2).await.unwrap().id;
        append(&store, &running, vec![planned(&["a.x"]), staged("a.x", 9)]).await;
        let ended = store.create(&new_job(), 3).await.unwrap().id;
        let failure = Failure::new(FailureKind::Source, "cannot read raw.orders").at(
            "models/sources.yml",
            3,
            1,
        );
        let finished = EventKind::Finished {
            state: JobState::Failed,
            failure: Some(Box::new(failure)),
            elapsed_ms: 1,
        };
        append(&store, &ended, vec![planned(&["a.x"]), finished]).await;
        (queued, running, ended)
    };
    let store = JobStore::open(lake(dir.path()).await.pool()).await.unwrap();
    let events = interrupt_all(&store, 5_000_000).await;
    assert_eq!(
        events.iter().map(|e| &e.job_id).collect::<Vec<_>>(),
        [&queued, &running]
    );
    for (id, seq) in [(&queued, 1), (&running, 3)] {
        let job = store.get(id).await.unwrap().unwrap();
        assert_eq!(
            (job.state, job.rows_written, job.finished_at_us),
            (JobState::Interrupted, 0, Some(5_000_000))
        );
        let unpublished = job.failure.unwrap().unpublished;
        assert_eq!(unpublished, Some(Unpublished::RunTables));
        let last = store.events(id, 0).await.unwrap().pop().unwrap();
        assert_eq!(last.seq, seq);
        assert!(matches!(
            last.kind,
            EventKind::Finished {
                state: JobState::Interrupted,
                ..
            }
        ));
    }
    let failed = store.get(&ended).await.unwrap().unwrap();
    assert_eq!(
        (failed.state, failed.failure.unwrap().line),
        (JobState::Failed, 3)
    );
    assert_eq!(interrupt_all(&store, 6_000_000).await, []);
}

#[tokio::test]
async fn a_job_that_published_before_its_scheduler_stopped_succeeded() {
    let dir = tempfile::tempdir().unwrap();
    let store = JobStore::open(lake(dir.path()).await.pool()).await.unwrap();
    let job = store.create(&new_job(), 1).await.unwrap().id;
    let publish = EventKind::Published {
        tables: vec![],
        elapsed_ms: 1,
    };
    append(
        &store,
        &job,
        vec![planned(&["a.x"]), staged("a.x", 9), publish],
    )
    .await;
    interrupt_all(&store, 2).await;
    let job = store.get(&job).await.unwrap().unwrap();
    assert_eq!(
        (job.state, job.rows_written, job.failure),
        (JobState::Succeeded, 9, None)
    );
}

#[tokio::test]
async fn a_job_is_found_by_its_id_or_the_beginning_of_its_short_form() {
    let dir = tempfile::tempdir().unwrap();
    let store = JobStore::open(lake(dir.path()).await.pool()).await.unwrap();
    let id = store.create(&new_job(), 1).await.unwrap().id;
    let other = id_that_begins_as(&id);
    let insert = statement(statements::INSERT_JOB)
        .text(other.as_str())
        .text("retail")
        .text("queued")
        .text("etl")
        .int(2)
        .int(0);
    store.write("store a job", vec![insert]).await.unwrap();

    let find = async |typed: &str| store.find(&JobIdText::new(typed)).await.unwrap();
    assert_eq!(find(id.as_str()).await, *std::slice::from_ref(&id));
    assert_eq!(
        find(&id.as_str().to_uppercase()).await,
        *std::slice::from_ref(&id)
    );
    assert_eq!(find(id.short()).await, *std::slice::from_ref(&id));
    assert_eq!(find(&id.as_str()[24..]).await, *std::slice::from_ref(&id));
    assert_eq!(find(&id.short()[..4]).await, [other, id.clone()]);
    for typed in [&id.short()[..3], "%", "nope", "", &id.as_str()[..13]] {
        assert_eq!(find(typed).await, [], "{typed}");
    }
}

/// An id whose short form shares its first four digits and no more.
fn id_that_begins_as(id: &JobId) -> JobId {
    let mut text = id.as_str().to_owned();
    let fifth = match &text[28..29] {
        "0" => "1",
        _ => "0",
    };
    text.replace_range(28..29, fifth);
    text.into()
}

/// A store that the program before wrote, whose ids were four hexadecimal digits; one of its jobs was running.
#[tokio::test]
async fn a_store_with_ids_of_four_digits_opens_and_shows_its_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path()).await;
    sqlx::raw_sql(include_str!("tests/four_digit_ids.sql"))
        .execute(lake.pool())
        .await
        .unwrap();
    let store = JobStore::open(lake.pool()).await.unwrap();
    let listed = store.list(10).await.unwrap();
    let states: Vec<_> = listed.iter().map(|j| (j.id.short(), j.state)).collect();
    assert_eq!(
        states,
        [
            ("138a", JobState::Running),
            ("43b9", JobState::Failed),
            ("d8bf", JobState::Succeeded)
        ]
    );
    let find = async |typed: &str| store.find(&JobIdText::new(typed)).await.unwrap();
    for job in &listed {
        assert_eq!(find(job.id.as_str()).await, *std::slice::from_ref(&job.id));
    }
    assert_eq!(find("43b").await, []);

    let succeeded = store.get(&"d8bf".into()).await.unwrap().unwrap();
    assert!(succeeded.is_published() && succeeded.models[0].snapshot_id.is_some());
    assert_eq!(
        (succeeded.tests.len(), succeeded.test_counts.passed),
        (1, 1)
    );
    assert_eq!(store.events(&succeeded.id, 0).await.unwrap().len(), 11);
    let failed = store.get(&"43b9".into()).await.unwrap().unwrap();
    assert_eq!(failed.failure.unwrap().model.as_deref(), Some("main.bad"));

    // It takes new jobs, and ends and forgets the old ones as its own.
    let new = store
        .create(&new_job(), 1_795_747_055_000_000)
        .await
        .unwrap();
    let ended = interrupt_all(&store, 1_795_747_060_000_000).await;
    assert_eq!(ended.len(), 2);
    assert_eq!((ended[0].job_id.as_str(), ended[0].seq), ("138a", 5));
    let interrupted = store.get(&"138a".into()).await.unwrap().unwrap();
    assert_eq!(interrupted.state, JobState::Interrupted);
    assert_eq!(store.prune(1, 2_000_000_000_000_000).await.unwrap(), 3);
    let left = store.list(10).await.unwrap();
    assert_eq!(left.iter().map(|j| &j.id).collect::<Vec<_>>(), [&new.id]);
}

#[tokio::test]
async fn the_same_event_twice_counts_once_and_progress_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = JobStore::open(lake(dir.path()).await.pool()).await.unwrap();
    let job = store.create(&new_job(), 1).await.unwrap().id;
    append(&store, &job, vec![planned(&["a.x"]), staged("a.x", 4)]).await;
    let again = JobEvent {
        job_id: job.clone(),
        seq: 2,
        time_us: 9,
        kind: staged("a.x", 400),
    };
    store.append(&again).await.unwrap();
    let progress = EventKind::StageProgress(StageProgress::default());
    store
        .append(&JobEvent {
            job_id: job.clone(),
            seq: 3,
            time_us: 9,
            kind: progress,
        })
        .await
        .unwrap();
    assert_eq!(store.get(&job).await.unwrap().unwrap().rows_written, 4);
    assert_eq!(store.events(&job, 0).await.unwrap().len(), 2);
}

#[tokio::test]
async fn writers_of_two_processes_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [
        JobStore::open(lake(dir.path()).await.pool()).await.unwrap(),
        JobStore::open(lake(dir.path()).await.pool()).await.unwrap(),
    ];
    let mut writers = tokio::task::JoinSet::new();
    for at in 0..20 {
        let store = stores[at % 2].clone();
        writers.spawn(async move { store.create(&new_job(), at as i64).await.unwrap().id });
    }
    let mut ids = writers.join_all().await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    assert_eq!(stores[0].list(100).await.unwrap().len(), 20);
    assert_eq!(stores[0].prune(5, 2_000_000_000_000_000).await.unwrap(), 0);
}

#[tokio::test]
async fn a_job_ends_once_although_its_scheduler_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    ends_once(&lake(dir.path()).await).await;
}

/// A scheduler hangs, and goes on while the next one takes over; on whichever database.
async fn ends_once(lake: &Lakehouse) {
    let store = JobStore::open(lake.pool()).await.unwrap();
    for at in 1..=10 {
        let job = store.create(&new_job(), at).await.unwrap();
        let goes_on = async {
            for attempt in 1..=20 {
                append(&store, &job.id, vec![EventKind::AttemptStarted { attempt }]).await;
            }
            let finished = EventKind::Finished {
                state: JobState::Failed,
                failure: None,
                elapsed_ms: 1,
            };
            append(&store, &job.id, vec![planned(&["a.x"]), finished]).await;
        };
        let ends = async {
            tokio::task::yield_now().await;
            store.interrupt(&job, false, 2).await.unwrap()
        };
        let ((), last) = tokio::join!(goes_on, ends);
        let ended = store.events(&job.id, 0).await.unwrap().pop().unwrap();
        let EventKind::Finished { state, .. } = ended.kind else {
            panic!("an event after the end: {ended:?}");
        };
        let job = store.get(&job.id).await.unwrap().unwrap();
        assert_eq!(job.state, state);
        // The hung scheduler may be the first.
        assert!(last.is_none_or(|last| last == ended));
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path()).await;
    JobStore::open(lake.pool()).await.unwrap();
    sqlx::query("UPDATE retail_store_version SET version = 9")
        .execute(lake.pool())
        .await
        .unwrap();
    let error = JobStore::open(lake.pool()).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Newer {
                found: 9,
                known: VERSION
            }
        ),
        "{error}"
    );
}
