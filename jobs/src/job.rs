//! What a job is: what to run, what to run it with, and what it produced.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use retail_api::JobId;
use retail_api::events::{EventKind, PublishedTable};
use retail_api::job::TestCounts;
use retail_engine::Cluster;
use retail_lakehouse::{Lakehouse, Lease};
use retail_project::{Materialized, Model, ModelName, Project, graph};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Where a job's events go, in order.
pub type EventSink = mpsc::UnboundedSender<EventKind>;

/// Attempts before a job gives up on tables that others keep changing.
pub(crate) const MAX_ATTEMPTS: u32 = 3;
/// Before the second attempt; twice that before the third.
pub(crate) const CONFLICT_PAUSE: Duration = Duration::from_millis(100);

/// What to run.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// The job's id, which is also the publish id of its snapshots.
    pub id: JobId,
    pub project: Arc<Project>,
    /// The models to run, in the order of the graph.
    pub selected: Vec<ModelName>,
    /// Fail when no executor is there after this long; `None` waits without end.
    pub executor_timeout: Option<Duration>,
    /// Only hold the tests of the selected models against what is published; nothing is written.
    pub tests_only: bool,
    /// Publish although source files are gone that the published tables were made of.
    pub allow_removed_files: bool,
    /// Stop instead of rebuilding tables that other engines changed; else they are named and what they wrote is replaced.
    pub keep_foreign_rows: bool,
}

impl JobSpec {
    /// The selected models.
    pub(crate) fn selected_models(&self) -> impl Iterator<Item = &Model> {
        self.selected
            .iter()
            .filter_map(|name| self.project.model(name))
    }

    /// The selected models and the ephemeral ones they read, in the order of the graph.
    pub(crate) fn models_in_order(&self) -> Vec<&Model> {
        let project = &self.project;
        let mut needed: HashSet<&ModelName> = self.selected.iter().collect();
        let mut todo: Vec<&ModelName> = self.selected.iter().collect();
        while let Some(name) = todo.pop() {
            let Some(model) = project.model(name) else {
                continue;
            };
            for dependency in &model.depends_on {
                let ephemeral = project
                    .model(dependency)
                    .is_some_and(|m| m.materialized == Materialized::Ephemeral);
                if ephemeral && needed.insert(dependency) {
                    todo.push(dependency);
                }
            }
        }
        graph::models_in_order(project)
            .into_iter()
            .filter(|m| needed.contains(&m.name))
            .collect()
    }

    /// The names of the models that the job builds: [`Self::models_in_order`].
    pub(crate) fn built(&self) -> HashSet<&ModelName> {
        let models = self.models_in_order().into_iter();
        models.map(|model| &model.name).collect()
    }
}

/// What to run it with.
#[derive(Clone)]
pub struct JobContext {
    pub lake: Lakehouse,
    pub cluster: Arc<dyn Cluster>,
    /// What its publishes must still hold at their commit; `None` where nobody else runs jobs on the catalog.
    pub lease: Option<Lease>,
}

/// What a job did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobSummary {
    pub tables: Vec<PublishedTable>,
    pub tests: TestCounts,
    pub rows_written: u64,
    pub bytes_written: u64,
    pub attempts: u32,
}

/// One attempt at a job.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub spec: &'a JobSpec,
    pub context: &'a JobContext,
    /// 1 for the first.
    pub number: u32,
    pub events: &'a EventSink,
    pub cancel: &'a CancellationToken,
}

impl Attempt<'_> {
    pub(crate) fn send(&self, event: EventKind) {
        send(self.events, event);
    }
}

/// Nobody listening is no reason to stop a job.
pub(crate) fn send(events: &EventSink, event: EventKind) {
    let _ = events.send(event);
}
