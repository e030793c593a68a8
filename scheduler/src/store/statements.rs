//! The store's statements. `$1` placeholders, BIGINT and TEXT mean the same to SQLite and PostgreSQL.

use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

/// One statement with its arguments, so that a transaction can be begun again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    text: &'static str,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Int(i64),
    Text(String),
}

pub(super) fn statement(text: &'static str) -> Statement {
    Statement {
        text,
        arguments: vec![],
    }
}

impl Statement {
    pub(super) fn int(mut self, value: i64) -> Self {
        self.arguments.push(Argument::Int(value));
        self
    }

    pub(super) fn text(mut self, value: &str) -> Self {
        // PostgreSQL's text holds no NUL.
        self.arguments
            .push(Argument::Text(value.replace('\0', "\u{fffd}")));
        self
    }

    pub(super) fn query(&self) -> Query<'_, Any, AnyArguments<'_>> {
        self.arguments
            .iter()
            .fold(sqlx::query(self.text), |query, argument| match argument {
                Argument::Int(value) => query.bind(*value),
                Argument::Text(value) => query.bind(value.as_str()),
            })
    }
}

pub(super) const CREATE: [&str; 6] = [
    "CREATE TABLE IF NOT EXISTS retail_store_version (version BIGINT NOT NULL)",
    "INSERT INTO retail_store_version (version) SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM retail_store_version)",
    "CREATE TABLE IF NOT EXISTS retail_jobs (
        id TEXT NOT NULL PRIMARY KEY,
        project TEXT NOT NULL,
        state TEXT NOT NULL,
        submitted_by TEXT NOT NULL,
        submitted_at_us BIGINT NOT NULL,
        started_at_us BIGINT NOT NULL,
        finished_at_us BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        models_total BIGINT NOT NULL,
        models_done BIGINT NOT NULL,
        row_count BIGINT NOT NULL,
        byte_count BIGINT NOT NULL,
        failure TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS retail_job_models (
        job_id TEXT NOT NULL,
        model TEXT NOT NULL,
        position BIGINT NOT NULL,
        state TEXT NOT NULL,
        row_count BIGINT NOT NULL,
        byte_count BIGINT NOT NULL,
        file_count BIGINT NOT NULL,
        stage_count BIGINT NOT NULL,
        started_at_us BIGINT NOT NULL,
        finished_at_us BIGINT NOT NULL,
        snapshot_id BIGINT NOT NULL,
        PRIMARY KEY (job_id, model))",
    "CREATE TABLE IF NOT EXISTS retail_job_tests (
        job_id TEXT NOT NULL,
        position BIGINT NOT NULL,
        test TEXT NOT NULL,
        about TEXT NOT NULL,
        tested_column TEXT NOT NULL,
        path TEXT NOT NULL,
        line BIGINT NOT NULL,
        state TEXT NOT NULL,
        failures BIGINT NOT NULL,
        elapsed_ms BIGINT NOT NULL,
        failure TEXT NOT NULL,
        PRIMARY KEY (job_id, position))",
    "CREATE TABLE IF NOT EXISTS retail_job_events (
        job_id TEXT NOT NULL,
        seq BIGINT NOT NULL,
        time_us BIGINT NOT NULL,
        event TEXT NOT NULL,
        PRIMARY KEY (job_id, seq))",
];
pub(super) const VERSION: &str = "SELECT version FROM retail_store_version";

pub(super) const INSERT_JOB: &str = "INSERT INTO retail_jobs (id, project, state, submitted_by, submitted_at_us, \
     models_total, started_at_us, finished_at_us, attempts, models_done, row_count, byte_count, failure) \
     VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, 0, '')";
/// None after the last one: an owner that was replaced may go on with a job that the next owner has ended.
pub(super) const INSERT_EVENT: &str = "INSERT INTO retail_job_events (job_id, seq, time_us, event) \
     SELECT $1, CAST($2 AS BIGINT), CAST($3 AS BIGINT), $4 \
     WHERE EXISTS (SELECT 1 FROM retail_jobs WHERE id = $1 AND state IN ('queued', 'running')) \
     ON CONFLICT DO NOTHING";
pub(super) const INSERT_MODEL: &str = "INSERT INTO retail_job_models (job_id, model, position, state, row_count, \
     byte_count, file_count, stage_count, started_at_us, finished_at_us, snapshot_id) \
     VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING";
pub(super) const INSERT_TEST: &str = "INSERT INTO retail_job_tests (job_id, position, test, about, tested_column, path, \
     line, state, failures, elapsed_ms, failure) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
     ON CONFLICT DO NOTHING";
pub(super) const RESET_TESTS: &str = "DELETE FROM retail_job_tests WHERE job_id = $1";

pub(super) const START_JOB: &str =
    "UPDATE retail_jobs SET state = $2, started_at_us = $3, models_total = $4 WHERE id = $1";
pub(super) const SET_ATTEMPTS: &str = "UPDATE retail_jobs SET attempts = $2 WHERE id = $1";
pub(super) const RESET_MODELS: &str = "UPDATE retail_job_models SET state = $2, row_count = 0, byte_count = 0, \
     file_count = 0, stage_count = 0, started_at_us = 0, finished_at_us = 0, snapshot_id = 0 WHERE job_id = $1";
pub(super) const START_MODEL: &str =
    "UPDATE retail_job_models SET state = $3, started_at_us = $4 WHERE job_id = $1 AND model = $2";
pub(super) const STAGE_MODEL: &str = "UPDATE retail_job_models SET state = $3, row_count = $4, byte_count = $5, \
     file_count = $6, stage_count = $7, finished_at_us = $8 WHERE job_id = $1 AND model = $2";
pub(super) const END_MODEL: &str =
    "UPDATE retail_job_models SET state = $3, finished_at_us = $4 WHERE job_id = $1 AND model = $2";
pub(super) const PUBLISH_MODEL: &str =
    "UPDATE retail_job_models SET state = $3, snapshot_id = $4 WHERE job_id = $1 AND model = $2";
pub(super) const MOVE_MODELS: &str =
    "UPDATE retail_job_models SET state = $3 WHERE job_id = $1 AND state = $2";
/// A model that was not selected, such as an ephemeral one, has no row and does not count.
pub(super) const COUNT_MODELS: &str = "UPDATE retail_jobs SET \
     models_done = (SELECT COUNT(*) FROM retail_job_models WHERE job_id = $1 AND state IN ('staged', 'published')), \
     row_count = (SELECT COALESCE(SUM(m.row_count), 0) FROM retail_job_models m WHERE m.job_id = $1), \
     byte_count = (SELECT COALESCE(SUM(m.byte_count), 0) FROM retail_job_models m WHERE m.job_id = $1) \
     WHERE id = $1";
pub(super) const FINISH_JOB: &str =
    "UPDATE retail_jobs SET state = $2, finished_at_us = $3, failure = $4 WHERE id = $1";
/// Files that no table refers to are not rows that a job wrote.
pub(super) const NOTHING_WRITTEN: &str =
    "UPDATE retail_jobs SET row_count = 0, byte_count = 0 WHERE id = $1";

/// A job's row, and how many of its tests came to what.
macro_rules! job_columns {
    () => {
        "SELECT id, project, state, submitted_by, submitted_at_us, started_at_us, finished_at_us, attempts, \
         models_total, models_done, row_count, byte_count, failure, \
         (SELECT COUNT(*) FROM retail_job_tests t WHERE t.job_id = retail_jobs.id AND t.state = 'passed'), \
         (SELECT COUNT(*) FROM retail_job_tests t WHERE t.job_id = retail_jobs.id AND t.state = 'warned'), \
         (SELECT COUNT(*) FROM retail_job_tests t WHERE t.job_id = retail_jobs.id AND t.state = 'failed'), \
         (SELECT COUNT(*) FROM retail_job_tests t WHERE t.job_id = retail_jobs.id AND t.state = 'skipped') \
         FROM retail_jobs "
    };
}

/// Matches the first four groups of a UUID.
pub(super) const BEFORE_LAST_GROUP: &str = "________-____-____-____-";
pub(super) const FIND: &str = "SELECT id FROM retail_jobs WHERE id = $1 OR id LIKE $2 \
     ORDER BY CASE WHEN id = $1 THEN 0 ELSE 1 END, submitted_at_us DESC, id LIMIT 5";
pub(super) const JOB: &str = concat!(job_columns!(), "WHERE id = $1");
pub(super) const JOBS: &str = concat!(job_columns!(), "ORDER BY submitted_at_us DESC, id LIMIT $1");
pub(super) const UNFINISHED: &str = concat!(
    job_columns!(),
    "WHERE state IN ('queued', 'running') ORDER BY submitted_at_us, id"
);
pub(super) const TESTS: &str = "SELECT test, about, tested_column, path, line, state, failures, elapsed_ms, failure \
     FROM retail_job_tests WHERE job_id = $1 ORDER BY position";
pub(super) const MODELS: &str = "SELECT model, state, row_count, byte_count, file_count, stage_count, started_at_us, \
     finished_at_us, snapshot_id FROM retail_job_models WHERE job_id = $1 ORDER BY position";
pub(super) const EVENTS: &str =
    "SELECT seq, time_us, event FROM retail_job_events WHERE job_id = $1 AND seq > $2 ORDER BY seq";
pub(super) const FIRST_EVENT: &str =
    "SELECT seq, time_us, event FROM retail_job_events WHERE job_id = $1 AND seq = 1";
pub(super) const LAST_SEQ: &str =
    "SELECT seq FROM retail_job_events WHERE job_id = $1 ORDER BY seq DESC LIMIT 1";

pub(super) const PRUNE_JOBS: &str = "DELETE FROM retail_jobs WHERE state NOT IN ('queued', 'running') \
     AND id NOT IN (SELECT id FROM retail_jobs ORDER BY submitted_at_us DESC, id LIMIT $1)";
pub(super) const PRUNE_REST: [&str; 3] = [
    "DELETE FROM retail_job_tests WHERE job_id NOT IN (SELECT id FROM retail_jobs)",
    "DELETE FROM retail_job_models WHERE job_id NOT IN (SELECT id FROM retail_jobs)",
    "DELETE FROM retail_job_events WHERE job_id NOT IN (SELECT id FROM retail_jobs)",
];
/// What became of publishes of jobs that nobody remembers. Not of the last day: they may be settled still.
pub(super) const PRUNE_PUBLISHES: &str = "DELETE FROM retail_publishes \
     WHERE decided_at_us < $1 AND publish_id NOT IN (SELECT id FROM retail_jobs)";
