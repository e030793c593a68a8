//! Tables of jobs, models, tables, snapshots and executors, and what a model would do.

use retail_api::cluster::ClusterStatus;
use retail_api::job::{Job, ModelExplanation, TestState};
use retail_api::table::{Snapshot, Table, TableKind};

use crate::format;
use crate::render::plan;
use crate::render::table::{self, Align::Left, Align::Right};
use crate::term::Paint;

/// `retail-submit jobs`, newest first as the server sends them.
pub(crate) fn jobs(jobs: &[Job], now_us: i64, paint: Paint) -> Vec<String> {
    if jobs.is_empty() {
        return vec!["no jobs yet; run one with: retail-submit run --project DIR".into()];
    }
    let rows: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            vec![
                job.id.short().into(),
                job.project.clone(),
                job.state.to_string(),
                format!("{}/{}", job.models_done, job.models_total),
                format::age(now_us, job.started_at_us.or(Some(job.submitted_at_us))),
                took(job, now_us),
                format::count(job.rows_written),
                job.submitted_by.clone(),
            ]
        })
        .collect();
    let columns = [
        ("ID", Left),
        ("PROJECT", Left),
        ("STATE", Left),
        ("MODELS", Left),
        ("STARTED", Left),
        ("TOOK", Left),
        ("ROWS WRITTEN", Left),
        ("BY", Left),
    ];
    table::lines(&columns, &rows, paint)
}

fn took(job: &Job, now_us: i64) -> String {
    let end = job.finished_at_us.unwrap_or(now_us);
    took_us(job.started_at_us.map(|start| end - start))
}

/// A time in microseconds, or `-` for what has not been.
fn took_us(us: Option<i64>) -> String {
    match us {
        Some(us) => format::duration(u64::try_from(us / 1000).unwrap_or(0)),
        None => "-".into(),
    }
}

/// `retail-submit job JOB`, without its failure.
pub(crate) fn job(job: &Job, now_us: i64, paint: Paint) -> Vec<String> {
    let mut head = format!(
        "job {}  {}  {}  {} of {} models  {}",
        job.id,
        job.project,
        job.state,
        job.models_done,
        job.models_total,
        took(job, now_us)
    );
    if !job.submitted_by.is_empty() {
        head.push_str(&format!("  by {}", job.submitted_by));
    }
    if job.attempts > 1 {
        head.push_str(&format!("  attempt {}", job.attempts));
    }
    let mut out = vec![paint.bold(&head)];
    let times = format!(
        "submitted {}, finished {}",
        format::instant(Some(job.submitted_at_us)),
        format::instant(job.finished_at_us)
    );
    out.push(format!("  {times}"));
    if let Some(trace) = &job.trace_id {
        out.push(format!("  trace {trace}"));
    }
    if !job.models.is_empty() {
        let rows: Vec<Vec<String>> = job
            .models
            .iter()
            .map(|model| {
                let ran = model.started_at_us.zip(model.finished_at_us);
                let ran = ran.filter(|(start, end)| end >= start);
                vec![
                    model.model.clone(),
                    model.state.to_string(),
                    format::count(model.rows),
                    format::size(model.bytes),
                    model.files.to_string(),
                    took_us(ran.map(|(start, end)| end - start)),
                    format::short_id(model.snapshot_id.map(i64::from)),
                ]
            })
            .collect();
        let columns = [
            ("MODEL", Left),
            ("STATE", Left),
            ("ROWS", Right),
            ("SIZE", Right),
            ("FILES", Right),
            ("TOOK", Right),
            ("SNAPSHOT", Left),
        ];
        out.extend(table::lines(&columns, &rows, paint));
    }
    if job.test_counts.total() > 0 {
        out.push(format!("  {}", job.test_counts));
    }
    let odd = job.tests.iter().filter(|t| t.state != TestState::Passed);
    let rows: Vec<Vec<String>> = odd
        .map(|test| {
            vec![
                test.test.clone(),
                test.state.to_string(),
                format::count(test.failures.unsigned_abs()),
                test.about.clone(),
                format!("{}:{}", test.path, test.line),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let columns = [
            ("TEST", Left),
            ("STATE", Left),
            ("FAILURES", Right),
            ("OF", Left),
            ("DECLARED IN", Left),
        ];
        out.extend(table::lines(&columns, &rows, paint));
    }
    out
}

/// `retail-submit tables`.
pub(crate) fn tables(tables: &[Table], now_us: i64, paint: Paint) -> Vec<String> {
    if tables.is_empty() {
        return vec!["no tables yet; a job publishes them: retail-submit run --project DIR".into()];
    }
    let rows: Vec<Vec<String>> = tables
        .iter()
        .map(|table| {
            let view = table.kind == TableKind::View;
            let number = |text: String| if view { "-".to_string() } else { text };
            vec![
                table.name.clone(),
                number(format::count(table.rows)),
                number(format::size(table.bytes)),
                number(format::count(table.files)),
                format::age(now_us, table.updated_at_us),
                if view {
                    "view".into()
                } else {
                    format::short_id(table.snapshot_id.map(i64::from))
                },
                table.partition_by.join(", "),
            ]
        })
        .collect();
    let columns = [
        ("TABLE", Left),
        ("ROWS", Right),
        ("SIZE", Right),
        ("FILES", Right),
        ("UPDATED", Left),
        ("SNAPSHOT", Left),
        ("PARTITIONS", Left),
    ];
    table::lines(&columns, &rows, paint)
}

/// `retail-submit snapshots TABLE`.
pub(crate) fn snapshots(snapshots: &[Snapshot], now_us: i64, paint: Paint) -> Vec<String> {
    if snapshots.is_empty() {
        return vec!["no snapshots: nothing was written yet, or it is a view".into()];
    }
    let rows: Vec<Vec<String>> = snapshots
        .iter()
        .map(|snapshot| {
            let number = |key: &str| {
                let parsed = snapshot
                    .summary
                    .get(key)
                    .and_then(|text| text.parse::<u64>().ok());
                parsed.map_or_else(|| "-".into(), format::count)
            };
            vec![
                snapshot.id.to_string(),
                snapshot.operation.clone(),
                format::instant(Some(snapshot.committed_at_us)),
                format::age(now_us, Some(snapshot.committed_at_us)),
                number("added-records"),
                number("deleted-records"),
                number("total-records"),
            ]
        })
        .collect();
    let columns = [
        ("SNAPSHOT", Left),
        ("OPERATION", Left),
        ("COMMITTED", Left),
        ("AGE", Left),
        ("ADDED", Right),
        ("DELETED", Right),
        ("ROWS", Right),
    ];
    table::lines(&columns, &rows, paint)
}

/// `retail-submit executors`.
pub(crate) fn executors(status: &ClusterStatus, now_us: i64, paint: Paint) -> Vec<String> {
    let mut out = vec![];
    if !status.executors.is_empty() {
        let rows: Vec<Vec<String>> = status
            .executors
            .iter()
            .map(|executor| {
                vec![
                    executor.id.to_string(),
                    executor.host.clone(),
                    executor.flight_port.to_string(),
                    format!("{} of {}", executor.slots_free, executor.slots),
                    executor.state.to_string(),
                    format::age(now_us, executor.last_heartbeat_us),
                ]
            })
            .collect();
        let columns = [
            ("EXECUTOR", Left),
            ("HOST", Left),
            ("FLIGHT", Left),
            ("FREE SLOTS", Left),
            ("STATE", Left),
            ("HEARTBEAT", Left),
        ];
        out.extend(table::lines(&columns, &rows, paint));
    }
    out.push(format!(
        "{}, {} of {} free · {} running, {} queued · scheduler {} up {}",
        format::plural(status.executors.len() as u64, "executor"),
        status.slots_free,
        format::plural(u64::from(status.slots), "slot"),
        format::plural(u64::from(status.jobs_running), "job"),
        status.jobs_queued,
        status.version,
        format::duration(u64::try_from((now_us - status.started_at_us) / 1000).unwrap_or(0)),
    ));
    if status.executors.is_empty() {
        out.push("jobs wait until an executor comes; start one with retail-executor".into());
    }
    out
}

/// `retail-submit explain MODEL`; `plans` adds the SQL and both plans.
pub(crate) fn explanation(model: &ModelExplanation, plans: bool, paint: Paint) -> Vec<String> {
    let mut out = vec![format!(
        "{}  {}  {}",
        paint.bold(&model.model),
        model.materialized,
        model.path
    )];
    let mut block = |head: &str, lines: &mut dyn Iterator<Item = &str>| {
        for (i, line) in lines.enumerate() {
            let head = if i == 0 { head } else { "" };
            out.push(format!("{}{line}", paint.cyan(&format!("{head:<8}"))));
        }
    };
    block("reads", &mut model.reads.iter().map(String::as_str));
    let does = plan::summary(&model.physical_plan);
    block("does", &mut does.lines());
    block("writes", &mut model.writes.lines());
    block("tests", &mut model.tests.iter().map(String::as_str));
    if plans {
        block("sql", &mut model.rendered_sql.trim_end().lines());
        block("logical", &mut model.logical_plan.trim_end().lines());
        block("plan", &mut model.physical_plan.trim_end().lines());
    }
    out
}

#[cfg(test)]
mod tests {
    use retail_api::job::JobState;

    use super::*;

    const NOW: i64 = 1_795_198_811_000_000;

    fn finished(
        id: &str,
        state: JobState,
        done: u32,
        started_s_ago: i64,
        took_ms: i64,
        rows: u64,
        by: &str,
    ) -> Job {
        let started_at_us = NOW - started_s_ago * 1_000_000;
        Job {
            id: id.into(),
            project: "retail".into(),
            state,
            submitted_by: by.into(),
            submitted_at_us: started_at_us,
            started_at_us: Some(started_at_us),
            finished_at_us: Some(started_at_us + took_ms * 1000),
            attempts: 1,
            models_total: 27,
            models_done: done,
            rows_written: rows,
            bytes_written: 0,
            failure: None,
            trace_id: None,
            models: vec![],
            test_counts: Default::default(),
            tests: vec![],
        }
    }

    #[test]
    fn jobs_are_listed_one_per_line() {
        let list = [
            finished(
                "7f3a",
                JobState::Succeeded,
                27,
                120,
                9_400,
                9_113_204,
                "etl",
            ),
            finished("6b11", JobState::Failed, 4, 3600, 2_100, 0, "airflow"),
        ];
        assert_eq!(
            jobs(&list, NOW, Paint::OFF),
            [
                "ID    PROJECT  STATE      MODELS  STARTED    TOOK   ROWS WRITTEN  BY",
                "7f3a  retail   succeeded  27/27   2 min ago  9.4 s  9,113,204     etl",
                "6b11  retail   failed     4/27    1 h ago    2.1 s  0             airflow",
            ]
        );
    }

    #[test]
    fn an_empty_cluster_shows_what_jobs_wait_for() {
        let status = ClusterStatus {
            executors: vec![],
            slots: 0,
            slots_free: 0,
            jobs_running: 0,
            jobs_queued: 1,
            version: "0.1.0".into(),
            started_at_us: NOW - 90_000_000,
        };
        assert_eq!(
            executors(&status, NOW, Paint::OFF),
            [
                "0 executors, 0 of 0 slots free · 0 jobs running, 1 queued · scheduler 0.1.0 up 1 min 30 s",
                "jobs wait until an executor comes; start one with retail-executor",
            ]
        );
    }

    #[test]
    fn a_model_is_explained_by_what_it_reads_does_and_writes() {
        let model = ModelExplanation {
            model: "marts.fact_order_items".into(),
            path: "models/marts/fact_order_items.sql".into(),
            materialized: "table".into(),
            rendered_sql: "SELECT 1".into(),
            reads: vec![
                "staging.stg_order_items @ 8127…   3 of 12 files".into(),
                "marts.dim_product @ 77…".into(),
            ],
            logical_plan: "Projection".into(),
            physical_plan: "DataSourceExec: x".into(),
            writes: "marts.fact_order_items   overwrite".into(),
            tests: vec![
                "not_null_fact_order_items_order_id   models/marts/fact_order_items.yml:12".into(),
            ],
        };
        assert_eq!(
            explanation(&model, false, Paint::OFF),
            [
                "marts.fact_order_items  table  models/marts/fact_order_items.sql",
                "reads   staging.stg_order_items @ 8127…   3 of 12 files",
                "        marts.dim_product @ 77…",
                "does    scan 1",
                "writes  marts.fact_order_items   overwrite",
                "tests   not_null_fact_order_items_order_id   models/marts/fact_order_items.yml:12",
            ]
        );
        assert!(explanation(&model, true, Paint::OFF).contains(&"sql     SELECT 1".to_string()));
    }
}
