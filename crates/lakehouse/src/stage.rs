//! Staging: new metadata files at their final places, which nobody reads until a publish points at them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::datatypes::SchemaRef;
use iceberg::spec::DataFile;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug};
use uuid::Uuid;

use crate::catalog::statements::{Entry, Kind};
use crate::commit;
use crate::commit::WriteMode;
use crate::config::WriteOptions;
use crate::error::{LakehouseError, Result};
use crate::lakehouse::{Lakehouse, Pin};
use crate::observe::{Observation, record_failure};
use crate::table::view;
use crate::table::view::LakeView;
use crate::table::{LakeTable, Relation};
use crate::write::{DataFiles, WriteTarget};
use retail_api::TableName;

/// A new version of a table, written and not yet visible.
#[derive(Debug, Clone)]
pub struct StagedTable {
    table: LakeTable,
    base: Option<LakeTable>,
    /// The metadata location of the view that this takes the place of.
    replaces: Option<String>,
    /// What it was staged from, so that it can be staged once more on another base.
    written: Arc<Written>,
}

/// What a run wrote for one table.
#[derive(Debug)]
struct Written {
    target: WriteTarget,
    mode: WriteMode,
    files: Vec<DataFile>,
    summary: HashMap<String, String>,
}

/// A new version of a view, written and not yet visible.
#[derive(Debug, Clone)]
pub struct StagedView {
    view: LakeView,
    base_location: Option<String>,
    /// The metadata location of the table that this takes the place of.
    replaces: Option<String>,
}

/// One of the things a publish makes visible.
#[derive(Debug, Clone)]
pub enum Staged {
    Table(StagedTable),
    View(StagedView),
}

impl StagedTable {
    /// The table as later models of the run read it.
    pub fn table(&self) -> &LakeTable {
        &self.table
    }

    /// The table it was staged from; none for a new one.
    pub fn base(&self) -> Option<&LakeTable> {
        self.base.as_ref()
    }

    /// A table that takes the place of a view in the same publish.
    pub fn replacing(mut self, view: &LakeView) -> Self {
        self.replaces = Some(view.metadata_location().to_owned());
        self
    }

    /// Rows before; none for a new table.
    pub(crate) fn rows_before(&self) -> Option<u64> {
        self.base.as_ref().map(LakeTable::row_count)
    }
}

impl StagedView {
    /// A view that takes the place of a table in the same publish. The table's files stay where they are.
    pub fn replacing(mut self, table: &LakeTable) -> Self {
        self.replaces = Some(table.metadata_location().to_owned());
        self
    }

    /// The view as later models of the run read it.
    pub fn view(&self) -> &LakeView {
        &self.view
    }
}

impl Staged {
    pub fn name(&self) -> &TableName {
        match self {
            Self::Table(staged) => staged.table.name(),
            Self::View(staged) => staged.view.name(),
        }
    }

    /// Whether `pin` still has what this was staged from.
    pub fn is_based_on(&self, pin: &Pin) -> bool {
        pin.metadata_location(self.name()) == self.base_location()
    }

    /// Whether the catalog did not have it before.
    pub fn is_new(&self) -> bool {
        self.base_location().is_none()
    }

    /// The metadata location this was made from; none for something new.
    pub(crate) fn base_location(&self) -> Option<&str> {
        match self {
            Self::Table(staged) => staged
                .base
                .as_ref()
                .map(LakeTable::metadata_location)
                .or(staged.replaces.as_deref()),
            Self::View(staged) => staged
                .base_location
                .as_deref()
                .or(staged.replaces.as_deref()),
        }
    }

    /// The catalog's row that this was made from; none for something new.
    pub(crate) fn base_entry(&self) -> Option<Entry> {
        let (replaces, own, other) = match self {
            Self::Table(staged) => (&staged.replaces, Kind::Table, Kind::View),
            Self::View(staged) => (&staged.replaces, Kind::View, Kind::Table),
        };
        self.base_location().map(|location| Entry {
            metadata_location: location.to_owned(),
            kind: if replaces.is_some() { other } else { own },
        })
    }

    /// The catalog's row once this is published.
    pub(crate) fn entry(&self) -> Entry {
        let (location, kind) = match self {
            Self::Table(staged) => (staged.table.metadata_location(), Kind::Table),
            Self::View(staged) => (staged.view.metadata_location(), Kind::View),
        };
        Entry {
            metadata_location: location.to_owned(),
            kind,
        }
    }
}

impl From<StagedTable> for Staged {
    fn from(staged: StagedTable) -> Self {
        Self::Table(staged)
    }
}

impl From<StagedView> for Staged {
    fn from(staged: StagedView) -> Self {
        Self::View(staged)
    }
}

/// The span around the writing of a table's or view's next metadata.
fn commit_span(name: &TableName, kind: &'static str) -> Span {
    tracing::info_span!(
        "commit",
        table = %name,
        kind,
        files = Empty,
        snapshot = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

impl Lakehouse {
    /// Where and as what rows of a table with `columns` are to be written. Writes nothing.
    ///
    /// Columns keep the field ids they have in `base`; see [`Lakehouse::stage`] for what becomes of the others.
    pub fn begin_write(
        &self,
        name: &TableName,
        base: Option<&LakeTable>,
        columns: &SchemaRef,
        options: &WriteOptions,
    ) -> Result<WriteTarget> {
        // What cannot be read would be lost in the metadata.
        let lossy = |base: &&LakeTable| {
            base.unreadable().stand_ins || !base.unreadable().columns.is_empty()
        };
        if let Some(base) = base.filter(lossy) {
            let columns = base.unreadable().columns.iter();
            let columns = columns.map(|(name, reason)| format!("{name}: {reason}"));
            let columns = columns.collect::<Vec<_>>().join("; ");
            return Err(LakehouseError::UnsupportedTable {
                table: name.clone(),
                feature: format!("writing again what has columns that cannot be read ({columns})"),
            });
        }
        let (uuid, location) = match base {
            Some(table) => (table.metadata().uuid(), table.location().to_owned()),
            None => {
                name.check_creatable()?;
                (Uuid::now_v7(), self.new_location(name))
            }
        };
        WriteTarget::new(name, base, uuid, location, columns, options)
    }

    /// Writes the manifests, the manifest list and the metadata of the table with one more snapshot.
    ///
    /// Columns and partition fields that differ from the base's become a new schema and a new partition spec of
    /// the table. The snapshot is made even when it adds and removes nothing: it records the run.
    /// Put the publish's id into `summary` as `retail.publish-id`, and whatever else belongs to this commit.
    pub async fn stage(
        &self,
        target: &WriteTarget,
        mode: WriteMode,
        files: DataFiles,
        summary: HashMap<String, String>,
    ) -> Result<StagedTable> {
        let DataFiles(files) = files;
        let span = commit_span(target.name(), "table");
        span.record("files", files.len() as u64);
        let began = Instant::now();
        let sizes: Vec<_> = files.iter().map(DataFile::file_size_in_bytes).collect();
        let written = Written {
            target: target.clone(),
            mode,
            files: files.clone(),
            summary: summary.clone(),
        };
        let stage = commit::stage(self, target, mode, files, summary);
        let staged = stage.instrument(span.clone()).await;
        let table = record_failure(&span, staged)?;
        span.record("snapshot", table.snapshot_id());
        if let Some(observer) = self.observer() {
            observer(Observation::Staged {
                file_bytes: &sizes,
                took: began.elapsed(),
            });
        }
        self.remember(Relation::Table(table.clone()));
        debug!(table = %table.name(), snapshot = table.snapshot_id(), location = table.metadata_location(), "table staged");
        Ok(StagedTable {
            table,
            base: target.base().cloned(),
            written: Arc::new(written),
            replaces: None,
        })
    }

    /// Stages the same data files once more, on a base that other engines have changed meanwhile. None when they do
    /// not fit it any more: it has other columns, partitions or another folder.
    pub async fn restage(
        &self,
        staged: &StagedTable,
        base: &LakeTable,
    ) -> Result<Option<StagedTable>> {
        let written = &staged.written;
        let Some(new) = written.target.rebased(base) else {
            return Ok(None);
        };
        let files = DataFiles(written.files.clone());
        let summary = written.summary.clone();
        self.stage(&new, written.mode, files, summary)
            .await
            .map(Some)
    }

    /// Writes the metadata of a view: its query, the columns it has, and what to remember beside the query
    /// ([`LakeView::remembered`]).
    pub async fn stage_view(
        &self,
        name: &TableName,
        base: Option<&LakeView>,
        schema: &SchemaRef,
        sql: &str,
        remember: HashMap<String, String>,
    ) -> Result<StagedView> {
        if base.is_none() {
            name.check_creatable()?;
        }
        let location = self.new_location(name);
        let schema = crate::table::schema::new_schema(name, schema)?;
        let span = commit_span(name, "view");
        let write = view::write(
            name,
            base,
            &location,
            schema,
            (sql, remember),
            self.file_io(),
        );
        let view = record_failure(&span, write.instrument(span.clone()).await)?;
        self.remember(Relation::View(view.clone()));
        debug!(view = %name, location = view.metadata_location(), "view staged");
        Ok(StagedView {
            view,
            base_location: base.map(|base| base.metadata_location().to_owned()),
            replaces: None,
        })
    }

    /// The folder of a new table or view: `{warehouse}/{namespace}/{name}-{8 random hexadecimal digits}`.
    ///
    /// Always with the suffix: a table that was dropped and made anew, or made by two runs at once, never shares
    /// a folder with its namesake, so that whoever removes one's files cannot touch the other's.
    fn new_location(&self, name: &TableName) -> String {
        let suffix = Uuid::new_v4().simple().to_string();
        format!(
            "{}/{}/{}-{}",
            self.config().warehouse,
            name.namespace,
            name.name,
            &suffix[..8]
        )
    }
}

#[cfg(test)]
mod tests;
