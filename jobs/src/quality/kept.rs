//! Tables that keep the failing rows of tests (`store_failures`).
//!
//! They are published before the run's own tables and apart from them: a test that stops the run is why somebody wants
//! to see its rows. Every run replaces them, with no rows where the test passes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use retail_api::{Failure, TableName, Unpublished};
use retail_lakehouse::{
    LakehouseError, PUBLISH_ID, Publish, Relation, Staged, StagedTable, WriteMode, WriteOptions,
    data_files, write_plan,
};

use super::run::{Tested, unplanned};
use super::verdict;
use crate::failures;
use crate::job::{CONFLICT_PAUSE, MAX_ATTEMPTS};
use retail_project::DataTest;

/// Tables of failing rows that a job has replaced, over all its attempts. Readers see them whatever becomes of the job.
#[derive(Debug, Default)]
pub(crate) struct StoredRows(Mutex<BTreeMap<TableName, Stored>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stored {
    /// The answer to the commit was lost.
    Perhaps,
    Surely,
}

impl StoredRows {
    fn add(&self, kept: &[Keep<'_>], stored: Stored) {
        let mut tables = self.0.lock();
        for keep in kept {
            let known = tables.entry(keep.table.clone()).or_insert(stored);
            *known = stored.max(*known);
        }
    }

    fn named(&self, stored: Stored) -> Vec<String> {
        let tables = self.0.lock();
        let named = tables.iter().filter(|(_, how)| **how == stored);
        named.map(|(table, _)| table.to_string()).collect()
    }

    /// A failure with the tables that were replaced; what is unpublished are the run's own tables only.
    pub(crate) fn added_to(&self, mut failure: Failure) -> Failure {
        let (surely, perhaps) = (self.named(Stored::Surely), self.named(Stored::Perhaps));
        if surely.is_empty() && perhaps.is_empty() {
            return failure;
        }
        failure.unpublished = failure.unpublished.map(|_| Unpublished::RunTables);
        if !surely.is_empty() {
            let verb = if surely.len() == 1 { "was" } else { "were" };
            failure = failure.note(format!(
                "the failing rows of its tests were stored: {} {verb} replaced",
                surely.join(", ")
            ));
        }
        if !perhaps.is_empty() {
            failure = failure.note(format!(
                "whether the failing rows of its tests were stored is not known: look at {}",
                perhaps.join(", ")
            ));
        }
        failure
    }
}

/// Failing rows of one test, to be written.
pub(super) struct Keep<'a> {
    pub test: &'a DataTest,
    pub table: &'a TableName,
    pub sql: String,
}

impl Keep<'_> {
    fn cannot(&self) -> String {
        format!("cannot store the failing rows of test {}", self.test.name)
    }

    fn lake(&self, error: &LakehouseError) -> Failure {
        let mut failure = error.to_failure(&self.cannot());
        let place = verdict::at(self.test, String::new());
        failure.file = place.file;
        failure.line = place.line;
        failure.snippet = place.snippet;
        failure
    }
}

impl Tested<'_> {
    /// Whether a table can hold the rows: checked before anything runs.
    ///
    /// # Errors
    /// The query does not plan, or has a column that no table can have.
    pub(super) async fn can_keep(&self, keep: &Keep<'_>) -> Result<(), Failure> {
        let session = self.session()?;
        let plan = retail_sql::plan(&session.state(), &keep.sql).await;
        let plan = plan.map_err(|error| unplanned(keep.test, &keep.sql, &error))?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let mut names = HashSet::new();
        if let Some(twice) = schema.fields().iter().find(|f| !names.insert(f.name())) {
            return Err(verdict::at(keep.test, keep.cannot())
                .cause(format!("its rows have two columns {}", twice.name()))
                .note("give one of them another name, or name the columns instead of *"));
        }
        let options = WriteOptions::default();
        let target = self
            .context
            .lake
            .begin_write(keep.table, None, &schema, &options);
        target.map(|_| ()).map_err(|e| keep.lake(&e))
    }

    /// Writes the rows and puts their table where queries of the job find it. Nobody else sees it yet.
    ///
    /// # Errors
    /// The query, or a store.
    pub(super) async fn keep(&self, keep: &Keep<'_>) -> Result<(StagedTable, u64), Failure> {
        let lake = &self.context.lake;
        let wrong = |e: LakehouseError| keep.lake(&e);
        let session = self.session()?;
        let plan = retail_sql::plan(&session.state(), &keep.sql).await;
        let plan = plan.map_err(|error| unplanned(keep.test, &keep.sql, &error))?;
        // As it is now: these tables have nothing to do with what the job reads.
        let pin = lake.pin().await.map_err(wrong)?;
        let (base, replaced) = match lake.load(&pin, keep.table).await.map_err(wrong)? {
            Some(Relation::Table(table)) => (Some(table), None),
            Some(Relation::View(view)) => (None, Some(view)),
            None => (None, None),
        };
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let options = WriteOptions::default();
        let target = lake.begin_write(keep.table, base.as_ref(), &schema, &options);
        let target = target.map_err(wrong)?;
        let plan = write_plan(&target, plan).map_err(wrong)?;
        let written = self.execute(&[keep.test], &keep.sql, session, plan).await?;
        let files = data_files(&target, &written).map_err(wrong)?;
        let rows = files.rows();
        let summary = HashMap::from([
            (PUBLISH_ID.to_string(), self.spec.id.to_string()),
            ("retail.test".to_string(), keep.test.name.clone()),
            ("retail.project".to_string(), self.spec.project.name.clone()),
        ]);
        let staged = lake.stage(&target, WriteMode::Overwrite, files, summary);
        let staged = staged.await.map_err(wrong)?;
        let staged = match replaced {
            Some(view) => staged.replacing(&view),
            None => staged,
        };
        let provider = lake.scan(staged.table()).await.map_err(wrong)?;
        self.catalog.put(keep.table.clone(), provider);
        Ok((staged, rows))
    }

    /// Makes the tables visible, all at once. Where somebody else published one of them first, all are written again.
    ///
    /// # Errors
    /// A store or the catalog.
    pub(super) async fn publish_kept(
        &self,
        kept: &[Keep<'_>],
        mut staged: Vec<StagedTable>,
    ) -> Result<(), Failure> {
        let Some(first) = kept.first() else {
            return Ok(());
        };
        let mut attempt = 1;
        loop {
            // Not the job's own: that one states whether the tables of its models were published.
            let id = format!("{}-tests-{}", self.spec.id, uuid::Uuid::new_v4().simple());
            let is_cancelled = || self.cancel.is_cancelled();
            let waiting = |reason: String| {
                tracing::info!(job = %self.spec.id, reason, "failing rows wait to be published");
            };
            let publish = Publish {
                id: &id,
                lease: self.context.lease,
                is_cancelled: &is_cancelled,
                waiting: &waiting,
            };
            let all: Vec<Staged> = staged.into_iter().map(Staged::from).collect();
            match self.context.lake.publish_as(&publish, &all).await {
                Ok(_) => {
                    self.stored.add(kept, Stored::Surely);
                    return Ok(());
                }
                Err(LakehouseError::PublishCancelled { .. }) => return Err(failures::cancelled()),
                Err(LakehouseError::PublishConflict { .. }) if attempt < MAX_ATTEMPTS => {
                    tokio::time::sleep(CONFLICT_PAUSE * attempt).await;
                    attempt += 1;
                    staged = Vec::with_capacity(kept.len());
                    for keep in kept {
                        staged.push(self.keep(keep).await?.0);
                    }
                }
                Err(error) => {
                    if matches!(error, LakehouseError::PublishUnknown { .. }) {
                        self.stored.add(kept, Stored::Perhaps);
                    }
                    let failure = first.lake(&error);
                    return Err(match error {
                        LakehouseError::PublishConflict { .. } => failure.note(format!(
                            "somebody else changed it first in {attempt} attempts; run the job again"
                        )),
                        _ => failure,
                    });
                }
            }
        }
    }
}
