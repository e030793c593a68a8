//! A shop of few rows: tables of a lakehouse and files, in a session as the scheduler has it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use retail_api::TableName;
use retail_api::source::{Column, FileFormat, FileOptions, Location, Source, SourceLocation};
use retail_connect::files;
use retail_lakehouse::{
    CatalogConfig, Lakehouse, PUBLISH_ID, Relation, WriteMode, WriteOptions, WriteTarget,
    data_files, write_plan,
};
use retail_storage::ObjectStores;
use tempfile::TempDir;

use crate::{EngineConfig, Execution, runtime_env, session_config, session_state};

/// Sales of three days, each in a file of its own.
const SALES: &str = "select * from (values
    (1, 10, 'north', 2, 9.50, date '2024-03-01'), (2, 11, 'south', 1, 3.00, date '2024-03-01'),
    (3, 10, 'north', 1, 9.75, date '2024-03-01'), (4, null, 'south', 4, null, date '2024-03-02'),
    (5, 12, 'north', 3, 1.25, date '2024-03-02'), (6, 11, 'south', 2, 3.10, date '2024-03-03')
) as t(sale_id, product_id, store, qty, price, day)";
const PRODUCTS: &str =
    "select * from (values (10, 'food'), (11, 'toys')) as t(product_id, category)";
/// Slots of the cluster: the partitions of an exchange.
const SLOTS: usize = 4;

pub(super) struct Shop {
    lake: Lakehouse,
    session: SessionContext,
    _folder: TempDir,
}

impl Shop {
    /// Tables `sales` and `products`, a CSV source `returns` and a Parquet source `prices`.
    pub(super) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        let catalog = CatalogConfig {
            uri: format!("sqlite://{root}/catalog.db"),
            name: "retail".to_owned(),
            warehouse: format!("file://{root}/warehouse"),
        };
        let stores = ObjectStores::default();
        let config = EngineConfig::default();
        let state = session_state(
            session_config(&config, SLOTS),
            runtime_env(&stores, None).unwrap(),
            config.partitioned_topk,
            Execution::InStages,
        );
        let shop = Self {
            lake: Lakehouse::open(&catalog, stores).await.unwrap(),
            session: SessionContext::new_with_state(state),
            _folder: folder,
        };
        shop.publish("sales", SALES, &["day"]).await;
        shop.publish("products", PRODUCTS, &[]).await;
        let returns = format!("{root}/returns.csv");
        std::fs::write(&returns, "sale_id,reason\n1,late\n3,broken\n").unwrap();
        let columns = [("sale_id", "bigint"), ("reason", "text")];
        shop.source("returns", returns, FileFormat::Csv, &columns)
            .await;
        let prices = format!("{root}/prices.parquet");
        let rows = "select 10 as product_id, 9.5 as amount union all select 11, 3.1";
        let rows = SessionContext::new().sql(rows).await.unwrap();
        rows.write_parquet(&prices, DataFrameWriteOptions::new(), None)
            .await
            .unwrap();
        let columns = [("product_id", "bigint"), ("amount", "decimal(12,2)")];
        shop.source("prices", prices, FileFormat::Parquet, &columns)
            .await;
        shop
    }

    pub(super) fn state(&self) -> SessionState {
        self.session.state()
    }

    pub(super) async fn logical(&self, sql: &str) -> LogicalPlan {
        retail_sql::plan(&self.state(), sql).await.unwrap()
    }

    pub(super) async fn physical(&self, plan: &LogicalPlan) -> Arc<dyn ExecutionPlan> {
        self.state().create_physical_plan(plan).await.unwrap()
    }

    /// A new table for the rows of `query`.
    pub(super) fn target(
        &self,
        table: &str,
        query: &LogicalPlan,
        options: &WriteOptions,
    ) -> WriteTarget {
        let columns = Arc::new(query.schema().as_arrow().clone());
        self.lake
            .begin_write(&table.parse().unwrap(), None, &columns, options)
            .unwrap()
    }

    async fn publish(&self, name: &str, rows: &str, partition_by: &[&str]) {
        let query = self.logical(rows).await;
        let options = WriteOptions {
            partition_by: partition_by.iter().map(ToString::to_string).collect(),
            ..WriteOptions::default()
        };
        let table = TableName::new("lake", name);
        let target = self.target(&table.to_string(), &query, &options);
        let write = write_plan(&target, query).unwrap();
        let written = self.session.execute_logical_plan(write).await.unwrap();
        let files = data_files(&target, &written.collect().await.unwrap()).unwrap();
        let summary = HashMap::from([(PUBLISH_ID.to_owned(), "p".to_owned())]);
        let staged = self
            .lake
            .stage(&target, WriteMode::Overwrite, files, summary)
            .await
            .unwrap();
        self.lake.publish("p", &[staged.into()]).await.unwrap();
        let pin = self.lake.pin().await.unwrap();
        let Some(Relation::Table(table)) = self.lake.load(&pin, &table).await.unwrap() else {
            panic!("{name} was published as a table");
        };
        let scan = self.lake.scan(&table).await.unwrap();
        self.session.register_table(name, scan).unwrap();
    }

    async fn source(
        &self,
        name: &str,
        pattern: String,
        format: FileFormat,
        columns: &[(&str, &str)],
    ) {
        let column = |(name, data_type): &(&str, &str)| Column {
            name: (*name).to_owned(),
            data_type: Some((*data_type).to_owned()),
            ..Column::default()
        };
        let source = Source {
            source_name: "raw".to_owned(),
            name: name.to_owned(),
            table: TableName::new("raw", name),
            description: String::new(),
            location: SourceLocation::Files {
                pattern,
                format,
                options: FileOptions::default(),
            },
            columns: columns.iter().map(column).collect(),
            strict_columns: false,
            defined_at: Location::default(),
        };
        let table = files::provider(&source, &self.session, self.lake.stores())
            .await
            .unwrap_or_else(|failure| panic!("{failure}"));
        self.session.register_table(name, table).unwrap();
    }
}
