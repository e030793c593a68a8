//! Events of one job to lines, purely. The moving part of a terminal is drawn from the same state by [`super::live`].

use std::collections::HashMap;

use retail_api::events::{EventKind, JobEvent, PlannedModel, PublishedTable, StageProgress};
use retail_api::job::{JobState, TestCounts, TestResult, TestState};
use retail_api::{Failure, FailureKind, Unpublished};

use super::summary::what_changed;
use crate::format;
use crate::term::Paint;

/// Who has to see a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Only under `-v`.
    Detail,
    /// Progress that the moving part shows by itself: only where nothing moves.
    Still,
    /// Progress: stderr, unless `-q`.
    Fact,
    /// The result: stdout.
    Result,
}

/// One line that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub level: Level,
    pub text: String,
}

/// What a job came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub state: JobState,
    /// Failures of models first, then the job's own, each once.
    pub failures: Vec<Failure>,
    pub tables: Vec<PublishedTable>,
    pub elapsed_ms: u64,
}

/// Where a model of the job is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Waiting,
    Running {
        since_us: i64,
        progress: StageProgress,
        stage_since_us: i64,
        rows_at_stage_start: u64,
        rows_per_second: f64,
    },
    Done,
    Failed,
    Skipped,
}

/// A model of the job.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub planned: PlannedModel,
    pub phase: Phase,
}

/// The state of one watched job.
#[derive(Debug)]
pub(crate) struct View {
    pub(super) job_id: String,
    pub(super) paint: Paint,
    pub(super) width: usize,
    /// How a person calls this program for the same cluster: `retail-submit sql --local --dir x`.
    sql_command: String,
    pub(super) rows: Vec<Row>,
    index: HashMap<String, usize>,
    pub(super) name_width: usize,
    /// Why nothing happens, and since when.
    pub(super) waiting: Option<(String, i64)>,
    /// None where nobody traces.
    trace_id: Option<String>,
    failures: Vec<Failure>,
    published: Option<(Vec<PublishedTable>, i64)>,
    /// How many tests are being held, and since when.
    pub(super) testing: Option<(u32, i64)>,
    tests: TestCounts,
    outcome: Option<Outcome>,
}

impl View {
    /// A view that has seen nothing yet; `sql_command` is what its last line advises, up to the statement.
    pub(crate) fn new(job_id: &str, paint: Paint, width: usize, sql_command: &str) -> Self {
        Self {
            job_id: job_id.into(),
            paint,
            width,
            sql_command: sql_command.into(),
            rows: vec![],
            index: HashMap::new(),
            name_width: 28,
            waiting: None,
            trace_id: None,
            failures: vec![],
            published: None,
            testing: None,
            tests: TestCounts::default(),
            outcome: None,
        }
    }

    /// How the job ended, once it has.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Takes in one event, at `now_us` on this machine's clock; returns the lines that stay.
    pub(crate) fn on(&mut self, event: &JobEvent, now_us: i64) -> Vec<Line> {
        let waited = self.waiting.take();
        match &event.kind {
            EventKind::Queued {
                project, trace_id, ..
            } => {
                self.trace_id.clone_from(trace_id);
                // A job that has to wait its turn has an event of its own.
                vec![line(
                    Level::Detail,
                    format!("job {}  {project}  queued", self.job_id),
                )]
            }
            EventKind::Planned {
                project,
                models,
                executors,
                slots,
            } => self.planned(project, models, *executors, *slots),
            EventKind::Waiting { reason } => {
                let repeated = waited.as_ref().is_some_and(|(old, _)| old == reason);
                self.waiting = Some((
                    reason.clone(),
                    waited
                        .filter(|_| repeated)
                        .map_or(now_us, |(_, since)| since),
                ));
                if repeated {
                    vec![]
                } else {
                    vec![line(
                        Level::Still,
                        format!("{} {reason}", self.paint.yellow("waiting:")),
                    )]
                }
            }
            EventKind::AttemptStarted { attempt } => {
                // What earlier attempts failed of is history: this one may succeed.
                self.failures.clear();
                (self.tests, self.testing) = (TestCounts::default(), None);
                self.rows
                    .iter_mut()
                    .for_each(|row| row.phase = Phase::Waiting);
                // Why there is another attempt is shown already, as what it waited for.
                match attempt {
                    0 | 1 => vec![],
                    _ => vec![line(
                        Level::Fact,
                        format!("  {} attempt {attempt}", self.paint.yellow("↻")),
                    )],
                }
            }
            EventKind::ModelStarted { model, .. } => {
                let progress = StageProgress {
                    model: model.clone(),
                    ..Default::default()
                };
                self.set(
                    model,
                    Phase::Running {
                        since_us: now_us,
                        progress,
                        stage_since_us: event.time_us,
                        rows_at_stage_start: 0,
                        rows_per_second: 0.0,
                    },
                );
                vec![line(
                    Level::Detail,
                    format!("  {} {}  started", self.paint.dim("·"), self.name(model)),
                )]
            }
            EventKind::StageProgress(progress) => {
                self.progressed(progress, event.time_us, now_us);
                vec![]
            }
            EventKind::ModelStaged {
                model,
                rows,
                bytes,
                stages,
                elapsed_ms,
                ..
            } => {
                let text = self.staged(model, *rows, *bytes, *stages, *elapsed_ms);
                self.set(model, Phase::Done);
                // Ephemeral models are part of those that read them, selected or not.
                let level = if self.kind(model) == "ephemeral" {
                    Level::Detail
                } else {
                    Level::Fact
                };
                vec![line(level, text)]
            }
            EventKind::ModelFailed { model, failure } => {
                self.set(model, Phase::Failed);
                self.add_failure(failure);
                vec![line(
                    Level::Fact,
                    format!("  {} {}  failed", self.paint.red("✗"), self.name(model)),
                )]
            }
            EventKind::ModelSkipped { model, because } => {
                self.set(model, Phase::Skipped);
                vec![line(
                    Level::Fact,
                    format!(
                        "  {} {}  skipped: {because}",
                        self.paint.dim("-"),
                        self.name(model)
                    ),
                )]
            }
            EventKind::TestsStarted { tests, queries } => {
                self.testing = Some((*tests, now_us));
                vec![line(
                    Level::Still,
                    format!(
                        "  {} {} in {}",
                        self.paint.dim("·"),
                        format::plural(u64::from(*tests), "test"),
                        if *queries == 1 {
                            "1 query".to_string()
                        } else {
                            format!("{queries} queries")
                        }
                    ),
                )]
            }
            EventKind::Tested { results, .. } => self.tested(results),
            EventKind::Published { tables, .. } => {
                self.published = Some((tables.clone(), event.time_us));
                vec![]
            }
            EventKind::QueryRestarted { model, reason, .. } => {
                vec![line(
                    Level::Fact,
                    format!(
                        "  {} {}  runs again: {reason}",
                        self.paint.yellow("!"),
                        self.name(model)
                    ),
                )]
            }
            EventKind::Warning {
                text,
                path,
                line: at,
            } => {
                vec![line(Level::Fact, self.warning(text, path, *at))]
            }
            EventKind::ExecutorLost {
                executor_id,
                reason,
            } => {
                vec![line(
                    Level::Fact,
                    format!(
                        "  {} executor {executor_id} lost: {reason}",
                        self.paint.yellow("!")
                    ),
                )]
            }
            EventKind::Finished {
                state,
                failure,
                elapsed_ms,
            } => self.finished(*state, failure.as_deref(), *elapsed_ms),
        }
    }

    fn planned(
        &mut self,
        project: &str,
        models: &[PlannedModel],
        executors: u32,
        slots: u32,
    ) -> Vec<Line> {
        self.index = models
            .iter()
            .enumerate()
            .map(|(i, model)| (model.model.clone(), i))
            .collect();
        self.rows = models
            .iter()
            .map(|planned| Row {
                planned: planned.clone(),
                phase: Phase::Waiting,
            })
            .collect();
        let longest = models
            .iter()
            .map(|model| model.model.chars().count())
            .max()
            .unwrap_or(0);
        self.name_width = longest.clamp(20, 34);
        // Enough to find it; `job` and --json show all of it.
        let trace = match self.trace_id.as_ref().and_then(|id| id.get(..8)) {
            Some(begin) => format!("   trace {begin}…"),
            None => String::new(),
        };
        let what = match models.len() {
            // A job of tests alone.
            0 => "tests".to_string(),
            n => format::plural(n as u64, "model"),
        };
        let text = format!(
            "job {}  {project}  {what}  {} ({}){trace}",
            self.job_id,
            format::plural(u64::from(executors), "executor"),
            format::plural(u64::from(slots), "slot"),
        );
        vec![line(Level::Fact, self.paint.bold(&text))]
    }

    /// `  warning: models/schema.yml:17: test dbt_utils.at_least_one is not known and was left out`
    fn warning(&self, text: &str, path: &str, at: u32) -> String {
        let mark = self.paint.yellow("warning:");
        match (path, at) {
            ("", _) => format!("  {mark} {text}"),
            (path, 0) => format!("  {mark} {path}: {text}"),
            (path, at) => format!("  {mark} {path}:{at}: {text}"),
        }
    }

    /// The model's name, padded to the column.
    pub(super) fn name(&self, model: &str) -> String {
        let width = self.name_width;
        format!("{model:<width$}")
    }

    /// How the model is materialised; what was not planned was pulled in by those that were.
    fn kind(&self, model: &str) -> &str {
        self.index
            .get(model)
            .map_or("ephemeral", |i| self.rows[*i].planned.materialized.as_str())
    }

    fn set(&mut self, model: &str, phase: Phase) {
        if let Some(i) = self.index.get(model) {
            self.rows[*i].phase = phase;
        }
    }

    fn progressed(&mut self, seen: &StageProgress, time_us: i64, now_us: i64) {
        let Some(row) = self.index.get(&seen.model).map(|i| &mut self.rows[*i]) else {
            return;
        };
        // Progress may come behind the event that ended its model.
        if !matches!(row.phase, Phase::Waiting | Phase::Running { .. }) {
            return;
        }
        let Phase::Running {
            progress,
            stage_since_us,
            rows_at_stage_start,
            rows_per_second,
            ..
        } = &mut row.phase
        else {
            row.phase = Phase::Running {
                since_us: now_us,
                progress: seen.clone(),
                stage_since_us: time_us,
                rows_at_stage_start: seen.rows,
                rows_per_second: 0.0,
            };
            return;
        };
        if seen.stage != progress.stage || seen.rows < *rows_at_stage_start {
            (*stage_since_us, *rows_at_stage_start, *rows_per_second) = (time_us, seen.rows, 0.0);
        }
        let seconds = (time_us - *stage_since_us) as f64 / 1e6;
        if seconds >= 0.2 {
            *rows_per_second = (seen.rows - *rows_at_stage_start) as f64 / seconds;
        }
        *progress = seen.clone();
    }

    /// `  ✓ staging.stg_orders  1,000,000 rows   118 MB    1.2 s   2 stages`
    fn staged(&self, model: &str, rows: u64, bytes: u64, stages: u32, elapsed_ms: u64) -> String {
        // Views and ephemeral models write nothing.
        let what = match self.kind(model) {
            kind @ ("view" | "ephemeral") => format!("{kind:>14}   {:>7}", ""),
            _ => format!(
                "{:>14}   {:>7}",
                format::plural(rows, "row"),
                format::size(bytes)
            ),
        };
        let mut text = format!(
            "  {} {}  {what}   {:>6}",
            self.paint.green("✓"),
            self.name(model),
            format::duration(elapsed_ms)
        );
        if stages > 0 {
            text.push_str(&format!(
                "   {}",
                format::plural(u64::from(stages), "stage")
            ));
        }
        text
    }

    /// The job's own failure usually is a model's with more notes: the later one replaces the earlier.
    fn add_failure(&mut self, failure: &Failure) {
        match self
            .failures
            .iter_mut()
            .find(|old| old.message == failure.message)
        {
            Some(old) => *old = failure.clone(),
            None => self.failures.push(failure.clone()),
        }
    }

    /// A line per test that did not pass. What failed is shown at the end, with its rows; a warning is shown here.
    fn tested(&mut self, results: &[TestResult]) -> Vec<Line> {
        self.tests = TestCounts::of(results);
        self.testing = None;
        let mut out = vec![];
        for result in results {
            let (mark, failure) = match (result.state, &result.failure) {
                (TestState::Failed, Some(failure)) => {
                    self.add_failure(failure);
                    (self.paint.red("✗"), failure)
                }
                (TestState::Warned, Some(failure)) => (self.paint.yellow("!"), failure),
                (TestState::Skipped, Some(failure)) => (self.paint.yellow("-"), failure),
                _ => continue,
            };
            let cause = match failure.cause.as_str() {
                "" => String::new(),
                cause => format!(": {cause}"),
            };
            let place = format!("{}:{}", result.path, result.line);
            out.push(line(
                Level::Fact,
                format!("  {mark} {}{cause}   {place}", failure.message),
            ));
            if result.state == TestState::Warned {
                let notes: Vec<String> = failure.all_notes().collect();
                for note in notes.iter().flat_map(|note| note.lines()) {
                    // A table that keeps the failing rows is a result of the run.
                    let level = match note.contains("retail-submit sql") {
                        true => Level::Fact,
                        false => Level::Detail,
                    };
                    out.push(line(level, format!("      {note}")));
                }
            }
        }
        out
    }

    fn finished(
        &mut self,
        state: JobState,
        failure: Option<&Failure>,
        elapsed_ms: u64,
    ) -> Vec<Line> {
        let (tables, published_us) = self.published.take().unwrap_or_default();
        if let Some(failure) = failure {
            self.add_failure(failure);
        }
        if self.failures.is_empty() {
            let job = &self.job_id;
            self.failures.extend(match state {
                JobState::Failed => Some(Failure::new(
                    FailureKind::Internal,
                    format!("job {job} failed"),
                )),
                JobState::Cancelled => Some(
                    Failure::new(FailureKind::Cancelled, format!("job {job} was cancelled"))
                        .unpublished(Unpublished::Everything),
                ),
                JobState::Interrupted => Some(
                    Failure::new(
                        FailureKind::Internal,
                        "the scheduler ended while the job ran",
                    )
                    .note("run it again")
                    .unpublished(Unpublished::RunTables)
                    .retryable(true),
                ),
                _ => None,
            });
        }
        let lines = if state == JobState::Succeeded {
            self.success(&tables, published_us, elapsed_ms)
        } else {
            vec![]
        };
        self.outcome = Some(Outcome {
            state,
            failures: std::mem::take(&mut self.failures),
            tables,
            elapsed_ms,
        });
        lines
    }

    fn success(&self, tables: &[PublishedTable], published_us: i64, elapsed_ms: u64) -> Vec<Line> {
        let took = format::duration(elapsed_ms);
        let tests = match self.tests.total() {
            0 => String::new(),
            _ => format!(" · {}", self.tests),
        };
        if tables.is_empty() {
            let text = match self.tests.total() {
                0 => format!("nothing to publish · {took}"),
                _ => self.paint.green(&format!("{} · {took}", self.tests)),
            };
            return vec![line(Level::Result, text)];
        }
        let head = format!(
            "published {} at once · snapshot set {} · {took}{tests}",
            format::plural(tables.len() as u64, "table"),
            format::instant(Some(published_us))
        );
        let mut out = vec![line(Level::Result, self.paint.green(&head))];
        out.extend(
            what_changed(tables, self.width)
                .into_iter()
                .map(|text| line(Level::Result, text)),
        );
        // Among the largest the last in the graph's order: what the run was for, rather than what it began with.
        let place = |table: &PublishedTable| self.index.get(&table.table).copied();
        if let Some(largest) = tables.iter().max_by_key(|table| (table.rows, place(table))) {
            let table = &largest.table;
            let advice = format!(
                "  look: {} \"select * from {table} limit 10\"",
                self.sql_command
            );
            out.push(line(Level::Result, self.paint.dim(&advice)));
        }
        out
    }
}

fn line(level: Level, text: String) -> Line {
    Line { level, text }
}

#[cfg(test)]
mod tests;
