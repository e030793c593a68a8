//! What tests of this crate share: a lakehouse in a temporary folder, and data files that exist on paper only.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, Literal, Struct};
use tempfile::TempDir;
use uuid::Uuid;

use crate::catalog::database::Patience;
use crate::{
    CatalogConfig, DataFiles, LakeTable, Lakehouse, PublishedTable, Relation, Result, Staged,
    StagedTable, WriteMode, WriteOptions, WriteTarget,
};
use retail_api::TableName;
use retail_storage::ObjectStores;

/// A catalog and a warehouse that vanish with this value.
///
/// With `RETAIL_TEST_POSTGRES=postgresql://…` the catalog is a new one in that database, else an SQLite file.
pub(crate) struct Harness {
    pub(crate) folder: TempDir,
    pub(crate) lakehouse: Lakehouse,
}

impl Harness {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        if let Ok(uri) = std::env::var("RETAIL_TEST_POSTGRES") {
            config.uri = uri;
            config.name = Uuid::new_v4().to_string();
        }
        let lakehouse = open(&config, Patience::default()).await.unwrap();
        Self { folder, lakehouse }
    }

    /// For what only a catalog in a file can show.
    pub(crate) async fn in_a_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let lakehouse = open(&config, Patience::default()).await.unwrap();
        Self { folder, lakehouse }
    }

    /// Another process's handle on the same lakehouse, as far as anything but memory goes.
    pub(crate) async fn another(&self) -> Lakehouse {
        open(self.lakehouse.config(), Patience::default())
            .await
            .unwrap()
    }

    /// A handle that waits for nobody.
    pub(crate) async fn impatient(&self) -> Lakehouse {
        let patience = Patience {
            busy_timeout_ms: 1,
            attempts: 2,
            settle: std::time::Duration::from_millis(200),
        };
        open(self.lakehouse.config(), patience).await.unwrap()
    }

    pub(crate) async fn load(&self, name: &str) -> LakeTable {
        load(&self.lakehouse, name).await.expect("the table exists")
    }

    /// Stages one file of `rows` rows and publishes it alone.
    pub(crate) async fn commit(&self, name: &str, mode: WriteMode, rows: u64) -> PublishedTable {
        let staged = stage(&self.lakehouse, name, mode, rows).await;
        let published = self.lakehouse.publish("p", &[staged.into()]).await;
        published.unwrap().remove(0)
    }

    /// Runs SQL on the catalog as another engine would.
    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::query(sql)
            .execute(self.lakehouse.pool())
            .await
            .unwrap();
    }

    /// Every row of the catalog: name and metadata location.
    pub(crate) async fn rows(&self) -> Vec<(String, String)> {
        let pin = self.lakehouse.pin().await.unwrap();
        let row = |name: &TableName| {
            let location = pin.metadata_location(name).unwrap();
            (name.to_string(), location.to_owned())
        };
        pin.names().map(row).collect()
    }
}

pub(crate) fn config(folder: &std::path::Path) -> CatalogConfig {
    let folder = folder.display();
    CatalogConfig {
        uri: format!("sqlite://{folder}/catalog/catalog.db"),
        name: "retail".to_owned(),
        warehouse: format!("file://{folder}/warehouse"),
    }
}

pub(crate) async fn open(config: &CatalogConfig, patience: Patience) -> Result<Lakehouse> {
    Lakehouse::open_with(config, ObjectStores::default(), None, patience).await
}

pub(crate) async fn load(lakehouse: &Lakehouse, name: &str) -> Option<LakeTable> {
    let pin = lakehouse.pin().await.unwrap();
    match lakehouse.load(&pin, &named(name)).await.unwrap()? {
        Relation::Table(table) => Some(table),
        Relation::View(view) => panic!("{} is a view", view.name()),
    }
}

/// Stages one file of `rows` rows, of columns `id` and `day`.
pub(crate) async fn stage(
    lakehouse: &Lakehouse,
    name: &str,
    mode: WriteMode,
    rows: u64,
) -> StagedTable {
    let base = load(lakehouse, name).await;
    let target = target(lakehouse, name, base.as_ref(), &two_columns(), &[]);
    let files = vec![file(&target, rows, &[])];
    stage_files(lakehouse, &target, mode, files).await.unwrap()
}

pub(crate) async fn stage_all(lakehouse: &Lakehouse, names: &[&str], rows: u64) -> Vec<Staged> {
    let mut staged = Vec::new();
    for name in names {
        staged.push(
            stage(lakehouse, name, WriteMode::Overwrite, rows)
                .await
                .into(),
        );
    }
    staged
}

pub(crate) async fn stage_files(
    lakehouse: &Lakehouse,
    target: &WriteTarget,
    mode: WriteMode,
    files: Vec<DataFile>,
) -> Result<StagedTable> {
    let id = HashMap::from([("retail.publish-id".to_owned(), "p".to_owned())]);
    lakehouse.stage(target, mode, DataFiles(files), id).await
}

pub(crate) fn target(
    lakehouse: &Lakehouse,
    name: &str,
    base: Option<&LakeTable>,
    columns: &SchemaRef,
    partition_by: &[&str],
) -> WriteTarget {
    let options = WriteOptions {
        partition_by: partition_by.iter().map(|&field| field.to_owned()).collect(),
        ..WriteOptions::default()
    };
    lakehouse
        .begin_write(&named(name), base, columns, &options)
        .unwrap()
}

pub(crate) fn named(name: &str) -> TableName {
    name.parse().unwrap()
}

pub(crate) fn two_columns() -> SchemaRef {
    columns(&[("id", DataType::Int64), ("day", DataType::Int32)])
}

pub(crate) fn columns(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// A file of a table partitioned by integers, described but not written; 10 bytes a row.
pub(crate) fn file(target: &WriteTarget, rows: u64, partition: &[i32]) -> DataFile {
    let values = partition.iter().map(|value| Some(Literal::int(*value)));
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(format!(
            "{}/data/{}.parquet",
            target.location(),
            Uuid::new_v4()
        ))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter(values))
        .partition_spec_id(target.spec().spec_id())
        .record_count(rows)
        .file_size_in_bytes(rows * 10)
        .build()
        .unwrap()
}

/// Rows of every live file, sorted, read from the manifests.
pub(crate) async fn live_rows(table: &LakeTable) -> Vec<u64> {
    let iceberg = table.iceberg();
    let Some(snapshot) = iceberg.metadata().current_snapshot() else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    let list = iceberg.manifest_list_reader(snapshot).load().await.unwrap();
    for manifest in list.entries() {
        let manifest = manifest.load_manifest(iceberg.file_io()).await.unwrap();
        let live = manifest.entries().iter().filter(|entry| entry.is_alive());
        rows.extend(live.map(|entry| entry.record_count()));
    }
    rows.sort_unstable();
    rows
}
