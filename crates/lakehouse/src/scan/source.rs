//! A Parquet source that gives each file an adapter of its own.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{
    FileOpener, FileScanConfig, FileSource, ParquetSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource::morsel::{MorselPlanner, Morselizer};
use object_store::ObjectStore;

use super::adapter::{FieldIds, FileColumns};
use super::columns::TableColumns;
use super::damage;
use super::footer::BelievableFooters;

/// Reads as `parquet` does, with each file's columns found by its manifest entry.
///
/// It stands only where a scan runs: planning and the wire see the source inside.
#[derive(Clone)]
pub(super) struct PerFile {
    parquet: Arc<dyn FileSource>,
    files: Arc<FileAdapters>,
}

/// The adapters of a scan's files.
#[derive(Debug)]
pub(super) struct FileAdapters {
    pub(super) table: Arc<TableColumns>,
    /// By path in the object store; a file that is not here has no constants.
    pub(super) files: HashMap<String, FileColumns>,
}

impl FileAdapters {
    fn of(&self, path: &str) -> FieldIds {
        let file = self.files.get(path).cloned();
        let file = file.unwrap_or_else(|| FileColumns {
            path: path.to_owned(),
            constants: vec![],
        });
        FieldIds::new(Arc::clone(&self.table), file)
    }
}

impl PerFile {
    pub(super) fn new(parquet: &ParquetSource, files: Arc<FileAdapters>) -> Self {
        // A file whose columns are called as the table's, and that has no ids, is given to no adapter unless there is
        // a predicate.
        let parquet = match parquet.filter() {
            Some(_) => parquet.clone(),
            None => parquet.with_predicate(lit(true)),
        };
        Self {
            parquet: Arc::new(parquet),
            files,
        }
    }
}

impl FileSource for PerFile {
    fn create_file_opener(
        &self,
        _store: Arc<dyn ObjectStore>,
        _config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Err(DataFusionError::Internal(
            "a field-id scan is read by morsels".to_owned(),
        ))
    }

    fn create_morselizer(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let mut template = config.clone();
        template.file_groups = vec![];
        let parquet = (self.parquet.as_ref() as &dyn Any).downcast_ref::<ParquetSource>();
        let parquet = parquet.ok_or_else(|| {
            DataFusionError::Internal("a field-id scan reads no Parquet".to_owned())
        })?;
        let inner = parquet.parquet_file_reader_factory().cloned();
        let inner = inner
            .unwrap_or_else(|| Arc::new(DefaultParquetFileReaderFactory::new(Arc::clone(&store))));
        let footers = Arc::new(BelievableFooters { inner });
        let parquet = parquet.clone().with_parquet_file_reader_factory(footers);
        Ok(Box::new(Opener {
            source: Self {
                parquet: Arc::new(parquet),
                files: Arc::clone(&self.files),
            },
            store,
            template,
            partition,
        }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.parquet.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self {
            parquet: self.parquet.with_batch_size(batch_size),
            files: Arc::clone(&self.files),
        })
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.parquet.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.parquet.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.parquet.metrics()
    }

    fn file_type(&self) -> &str {
        self.parquet.file_type()
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.parquet.fmt_extra(t, f)
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.parquet.reorder_files(files)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.parquet.apply_expressions(f)
    }
}

/// Opens each file of one partition with its own adapter.
struct Opener {
    source: PerFile,
    store: Arc<dyn ObjectStore>,
    /// The scan without its files.
    template: FileScanConfig,
    partition: usize,
}

impl Morselizer for Opener {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let adapter = self.source.files.of(file.object_meta.location.as_ref());
        let mut config = self.template.clone();
        config.expr_adapter_factory = Some(Arc::new(adapter));
        let store = Arc::clone(&self.store);
        let parquet = &self.source.parquet;
        let path = format!(
            "{}{}",
            config.object_store_url.as_str(),
            file.object_meta.location
        );
        let planner = parquet
            .create_morselizer(store, &config, self.partition)?
            .plan_file(file)?;
        Ok(damage::named(path, planner))
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}
