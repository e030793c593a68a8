//! What an attempt reads: the catalog at one moment, and the files of its sources as they are listed after it.
//!
//! The listing is never older than the pin. A run that lists files and then reads a catalog in which another run has
//! published newer ones would put its tables back to an earlier day, and nothing would conflict.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use retail_api::source::{Source, SourceLocation};
use retail_api::{Failure, FailureKind, TableName, Unpublished};
use retail_connect::files;
use retail_engine::PinnedCatalog;
use retail_lakehouse::{LakeTable, Pin, Relation, SourceFiles};
use retail_project::{Materialized, Model, ModelName};

use crate::job::{JobContext, JobSpec};
use crate::quality;

/// The catalog at one moment, and the sources listed after it.
pub(super) struct Inputs {
    pub pin: Pin,
    pub sources: HashMap<TableName, OpenSource>,
}

/// A source that is files, as it was listed.
pub(super) struct OpenSource {
    pub definition: Source,
    pub table: Arc<dyn TableProvider>,
    pub files: Arc<BTreeSet<String>>,
}

impl Inputs {
    /// The names that SQL can use: the pinned tables, with the sources over them.
    pub(super) fn catalog(&self, context: &JobContext) -> Arc<PinnedCatalog> {
        let (lake, cluster) = (context.lake.clone(), Arc::clone(&context.cluster));
        let catalog = PinnedCatalog::new(lake, self.pin.clone(), cluster);
        for source in self.sources.values() {
            catalog.put_source(&source.definition, &source.table);
        }
        catalog
    }
}

/// Pins the catalog, then lists the sources of the selected models.
///
/// # Errors
/// The catalog cannot be read; the first source that cannot be.
pub(super) async fn open(spec: &JobSpec, context: &JobContext) -> Result<Inputs, Failure> {
    let pin = context
        .lake
        .pin()
        .await
        .map_err(|e| e.to_failure("cannot read the catalog"))?;
    let catalog = PinnedCatalog::new(
        context.lake.clone(),
        pin.clone(),
        Arc::clone(&context.cluster),
    );
    let session = catalog.open_session()?;
    let mut open = HashMap::new();
    let models = spec.models_in_order();
    // Also those behind views that this run does not build: they are read as of the same moment.
    let read = models
        .iter()
        .flat_map(|model| spec.project.sources_behind(model));
    for source in read.chain(quality::sources(spec)) {
        if source.is_files() && !open.contains_key(&source.table) {
            let table = files::provider(source, &session, context.lake.stores()).await?;
            let files = Arc::new(files::files_of(table.as_ref()));
            let definition = source.clone();
            open.insert(
                source.table.clone(),
                OpenSource {
                    definition,
                    table,
                    files,
                },
            );
        }
    }
    Ok(Inputs { pin, sources: open })
}

/// The source files that each model of the run will be made of.
pub(super) struct Lineage {
    of: HashMap<TableName, SourceFiles>,
}

impl Lineage {
    /// Follows every model to its sources; for a published table that the run does not build, its own metadata names
    /// the files.
    ///
    /// # Errors
    /// The metadata of a published table cannot be read.
    pub(super) async fn new(
        spec: &JobSpec,
        context: &JobContext,
        inputs: &Inputs,
    ) -> Result<Self, Failure> {
        let mut of: HashMap<TableName, SourceFiles> = HashMap::new();
        for model in spec.models_in_order() {
            let files = of_model(spec, context, inputs, &of, model).await?;
            of.insert(model.table.clone(), files);
        }
        Ok(Self { of })
    }

    pub(super) fn of(&self, model: &Model) -> Option<&SourceFiles> {
        self.of.get(&model.table)
    }
}

async fn of_model(
    spec: &JobSpec,
    context: &JobContext,
    inputs: &Inputs,
    known: &HashMap<TableName, SourceFiles>,
    model: &Model,
) -> Result<SourceFiles, Failure> {
    let mut files = SourceFiles::default();
    // Views that this run does not build hold no rows: what they read is what counts.
    let mut todo: Vec<&Model> = vec![model];
    let mut seen: BTreeSet<&ModelName> = BTreeSet::new();
    while let Some(model) = todo.pop() {
        let sources = model.sources.iter();
        for source in sources.filter_map(|name| spec.project.source(name)) {
            if let Some(open) = inputs.sources.get(&source.table) {
                files.add(&source.source_ref().to_string(), &open.files);
            }
        }
        for name in &model.depends_on {
            let Some(upstream) = spec.project.model(name).filter(|_| seen.insert(name)) else {
                continue;
            };
            if let Some(built) = known.get(&upstream.table) {
                files.extend(built);
            } else if let Some(table) = pinned(context, inputs, &upstream.table).await? {
                files.extend(&remembered(context, &table).await?.unwrap_or_default());
            } else {
                todo.push(upstream);
            }
        }
    }
    Ok(files)
}

/// The table of this name at the pin; `None` for a view, and where there is no such table.
async fn pinned(
    context: &JobContext,
    inputs: &Inputs,
    name: &TableName,
) -> Result<Option<LakeTable>, Failure> {
    match context.lake.load(&inputs.pin, name).await {
        Ok(Some(Relation::Table(table))) => Ok(Some(table)),
        Ok(_) => Ok(None),
        Err(e) => Err(e.to_failure(&format!("cannot read table {name}"))),
    }
}

async fn remembered(
    context: &JobContext,
    table: &LakeTable,
) -> Result<Option<SourceFiles>, Failure> {
    let found = context.lake.sources_of(table).await;
    found.map_err(|e| e.to_failure(&format!("cannot read table {}", table.name())))
}

/// The models of the run that have a published table, with that table.
pub(super) async fn published<'a>(
    spec: &'a JobSpec,
    context: &JobContext,
    inputs: &Inputs,
) -> Result<Vec<(&'a Model, LakeTable)>, Failure> {
    let mut found = vec![];
    for model in spec.models_in_order() {
        if model.materialized == Materialized::Table
            && let Some(table) = pinned(context, inputs, &model.table).await?
        {
            found.push((model, table));
        }
    }
    Ok(found)
}

/// Refuses a run that would take rows out of its tables because files are gone that the tables were made of.
///
/// A file counts when its source's pattern would still list it. A pattern that was changed, by `--vars day=2` or
/// another folder, chose other files on purpose. New content under an old name is no loss either.
///
/// # Errors
/// The first source that lost files, with the first of them and the tables that were made of them.
pub(super) async fn refuse_lost_files(
    spec: &JobSpec,
    context: &JobContext,
    inputs: &Inputs,
    lineage: &Lineage,
    published: &[(&Model, LakeTable)],
) -> Result<(), Failure> {
    if spec.allow_removed_files {
        return Ok(());
    }
    let mut lost: HashMap<&TableName, (BTreeSet<String>, Vec<String>)> = HashMap::new();
    for (model, table) in published {
        let (Some(new), Some(old)) = (lineage.of(model), remembered(context, table).await?) else {
            continue;
        };
        for source in inputs.sources.keys().filter_map(|name| source(spec, name)) {
            let name = source.source_ref().to_string();
            let (Some(old), Some(_), SourceLocation::Files { pattern, .. }) =
                (old.of(&name), new.of(&name), &source.location)
            else {
                continue;
            };
            let listed = &inputs.sources[&source.table].files;
            let gone = old.difference(listed);
            let gone: Vec<_> = gone.filter(|f| files::would_list(pattern, f)).collect();
            if !gone.is_empty() {
                let (files, tables) = lost.entry(&source.table).or_default();
                files.extend(gone.into_iter().cloned());
                tables.push(model.table.to_string());
            }
        }
    }
    let first = lost.into_iter().min_by_key(|(source, _)| *source);
    match first.and_then(|(name, lost)| Some((source(spec, name)?, lost))) {
        Some((source, (files, tables))) => Err(files_are_gone(source, &files, &tables)),
        None => Ok(()),
    }
}

fn source<'a>(spec: &'a JobSpec, table: &TableName) -> Option<&'a Source> {
    spec.project
        .sources
        .iter()
        .find(|source| source.table == *table)
}

fn files_are_gone(source: &Source, files: &BTreeSet<String>, tables: &[String]) -> Failure {
    let few = |names: Vec<&str>| {
        let shown = names
            .iter()
            .take(FEW)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        match names.len() {
            0..=FEW => shown,
            n => format!("{shown} and {} more", n - FEW),
        }
    };
    let what = match files.len() {
        1 => "file is",
        _ => "files are",
    };
    let shown = few(files.iter().map(String::as_str).collect());
    let tables = few(tables.iter().map(String::as_str).collect());
    Failure::new(
        FailureKind::Source,
        format!(
            "source {}: {} {what} gone that the published tables were made of",
            source.source_ref(),
            files.len()
        ),
    )
    .at(&source.defined_at.file, source.defined_at.line, 0)
    .cause(format!("not found any more: {shown}"))
    .note(format!("their rows would go from {tables}"))
    .unpublished(Unpublished::Everything)
    .note("put the files back, or let their rows go: run again with --allow-removed-files")
}

/// Names that a message lists before it counts.
const FEW: usize = 3;
