//! A lakehouse in a temporary folder, a session that plans as the engine does, and a codec of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::Session;
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{QueryPlanner, SessionState};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use futures::FutureExt;
use futures::future::BoxFuture;
use iceberg::spec::{DataFile, TableMetadata, deserialize_data_file_from_json};
use prost::Message;
use retail_api::TableName;
use retail_lakehouse::{
    CatalogConfig, LakeTable, Lakehouse, LakehouseError, Relation, WriteMode, WriteOptions,
    WritePlanner, data_files, plan_codec, scan_rule, write_plan,
};
use retail_storage::{ObjectStores, StorageConfig};
use tempfile::TempDir;

pub(crate) struct Harness {
    pub folder: PathBuf,
    pub lakehouse: Lakehouse,
    _temporary: Option<TempDir>,
}

/// What a write made.
pub(crate) struct Written {
    pub table: LakeTable,
    pub metadata: TableMetadata,
    pub files: Vec<DataFile>,
}

impl Harness {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let harness = Self::at(folder.path()).await;
        Self {
            _temporary: Some(folder),
            ..harness
        }
    }

    /// The lakehouse of a folder, which stays.
    pub(crate) async fn at(folder: &Path) -> Self {
        let root = folder.display();
        let config = CatalogConfig {
            uri: format!("sqlite://{root}/catalog.db"),
            name: "retail".to_owned(),
            warehouse: format!("file://{root}/warehouse"),
        };
        let stores = ObjectStores::new(StorageConfig::default());
        let lakehouse = Lakehouse::open(&config, stores).await.unwrap();
        Self {
            folder: folder.to_owned(),
            lakehouse,
            _temporary: None,
        }
    }

    pub(crate) fn session(&self) -> SessionContext {
        self.session_with(SessionConfig::new().with_target_partitions(4))
    }

    pub(crate) fn session_with(&self, config: SessionConfig) -> SessionContext {
        let registry = self.lakehouse.stores().registry();
        let runtime = RuntimeEnvBuilder::new()
            .with_object_store_registry(registry)
            .build()
            .unwrap();
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_config(config)
            .with_runtime_env(Arc::new(runtime))
            .with_query_planner(Arc::new(Planner))
            .build();
        SessionContext::new_with_state(state)
    }

    /// Writes a query's rows as the next version of a table and publishes it.
    pub(crate) async fn write(&self, name: &str, sql: &str, partition_by: &[&str]) -> Written {
        self.write_with(name, sql, options(partition_by), WriteMode::Overwrite)
            .await
    }

    pub(crate) async fn append(&self, name: &str, sql: &str) -> Written {
        self.write_with(name, sql, options(&[]), WriteMode::Append)
            .await
    }

    pub(crate) async fn write_with(
        &self,
        name: &str,
        sql: &str,
        options: WriteOptions,
        mode: WriteMode,
    ) -> Written {
        let session = self.session();
        let plan = session.state().create_logical_plan(sql).await.unwrap();
        self.write_plan(&session, name, plan, options, mode).await
    }

    pub(crate) async fn write_batch(
        &self,
        name: &str,
        batch: RecordBatch,
        partition_by: &[&str],
    ) -> Written {
        let session = self.session();
        let plan = session.read_batch(batch).unwrap().into_unoptimized_plan();
        self.write_plan(
            &session,
            name,
            plan,
            options(partition_by),
            WriteMode::Overwrite,
        )
        .await
    }

    async fn write_plan(
        &self,
        session: &SessionContext,
        name: &str,
        plan: LogicalPlan,
        options: WriteOptions,
        mode: WriteMode,
    ) -> Written {
        let base = self.load(name).await;
        let columns: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        let target = self
            .lakehouse
            .begin_write(&named(name), base.as_ref(), &columns, &options)
            .unwrap();
        let plan = write_plan(&target, plan).unwrap();
        let rows = run(session, &plan).await.unwrap();
        let files = data_files(&target, &rows).unwrap();
        let summary = HashMap::from([("retail.publish-id".to_owned(), "p".to_owned())]);
        let staged = self
            .lakehouse
            .stage(&target, mode, files, summary)
            .await
            .unwrap();
        self.lakehouse.publish("p", &[staged.into()]).await.unwrap();
        let table = self.load(name).await.unwrap();
        let metadata = metadata(&table);
        Written {
            files: described(&metadata, &rows),
            metadata,
            table,
        }
    }

    pub(crate) async fn load(&self, name: &str) -> Option<LakeTable> {
        let pin = self.lakehouse.pin().await.unwrap();
        match self.lakehouse.load(&pin, &named(name)).await.unwrap()? {
            Relation::Table(table) => Some(table),
            Relation::View(_) => panic!("{name} is a view"),
        }
    }

    /// A session in which `t` is the table as it is now.
    pub(crate) async fn reading(&self, name: &str) -> SessionContext {
        let session = self.session();
        self.register(&session, name).await;
        session
    }

    pub(crate) async fn register(&self, session: &SessionContext, name: &str) {
        let table = self.load(name).await.unwrap();
        let provider = self.lakehouse.scan(&table).await.unwrap();
        session.register_table("t", provider).unwrap();
    }

    /// The rows of a query on `t`, as text.
    pub(crate) async fn query(&self, name: &str, sql: &str) -> Vec<String> {
        query(&self.reading(name).await, sql).await
    }

    /// Why a query on `t` is refused, when it is planned or run.
    pub(crate) async fn refusal(&self, name: &str, sql: &str) -> String {
        let table = self.load(name).await.unwrap();
        let provider = match self.lakehouse.scan(&table).await {
            Ok(provider) => provider,
            Err(error) => return error.to_string(),
        };
        let session = self.session();
        session.register_table("t", provider).unwrap();
        let plan = session.state().create_logical_plan(sql).await.unwrap();
        match run(&session, &plan).await {
            Ok(batches) => panic!("it should have been refused: {:?}", rows(&batches)),
            Err(error) => error.to_string(),
        }
    }

    /// Makes another engine's metadata the table's, by way of the catalog.
    pub(crate) async fn commit_metadata(&self, name: &str, metadata: &serde_json::Value) {
        let table = self.load(name).await.unwrap();
        let location = format!(
            "{}/metadata/00009-{}.metadata.json",
            table.location(),
            uuid::Uuid::new_v4()
        );
        let path = location.strip_prefix("file://").unwrap();
        std::fs::write(path, serde_json::to_vec(metadata).unwrap()).unwrap();
        let name = named(name);
        sqlx::query("UPDATE iceberg_tables SET metadata_location = $1 WHERE table_namespace = $2 AND table_name = $3")
            .bind(location)
            .bind(name.namespace)
            .bind(name.name)
            .execute(self.lakehouse.pool())
            .await
            .unwrap();
    }
}

pub(crate) fn options(partition_by: &[&str]) -> WriteOptions {
    WriteOptions {
        partition_by: partition_by.iter().map(|&f| f.to_owned()).collect(),
        ..WriteOptions::default()
    }
}

pub(crate) fn named(name: &str) -> TableName {
    name.parse().unwrap()
}

/// A table's metadata as its file has them.
pub(crate) fn metadata(table: &LakeTable) -> TableMetadata {
    serde_json::from_value(metadata_json(table)).unwrap()
}

pub(crate) fn metadata_json(table: &LakeTable) -> serde_json::Value {
    let path = table.metadata_location().strip_prefix("file://").unwrap();
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The files that a write's rows describe, with their metrics.
fn described(metadata: &TableMetadata, rows: &[RecordBatch]) -> Vec<DataFile> {
    let (spec, schema) = (metadata.default_partition_spec(), metadata.current_schema());
    let types = spec.partition_type(schema).unwrap();
    let texts = rows
        .iter()
        .flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
    texts
        .map(|text| deserialize_data_file_from_json(text, spec.spec_id(), &types, schema).unwrap())
        .collect()
}

/// Every Parquet file below a folder, by its path in it.
pub(crate) fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.to_string_lossy().contains(".parquet") {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = vec![];
    walk(folder, folder, &mut found);
    found.sort();
    found
}

/// Rows as text, header first.
pub(crate) async fn query(session: &SessionContext, sql: &str) -> Vec<String> {
    let plan = session.state().create_logical_plan(sql).await.unwrap();
    rows(&run(session, &plan).await.unwrap())
}

pub(crate) fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let cells = |line: &str| {
        let cells = line
            .trim_matches('|')
            .split('|')
            .map(|c| c.trim().to_owned());
        cells.collect::<Vec<_>>().join(" ")
    };
    text.lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(cells)
        .collect()
}

pub(crate) async fn physical(session: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    let plan = session.state().create_logical_plan(sql).await.unwrap();
    session.state().create_physical_plan(&plan).await.unwrap()
}

/// Plans, sends the plan over the wire and back, and runs it.
async fn run(session: &SessionContext, plan: &LogicalPlan) -> DfResult<Vec<RecordBatch>> {
    let plan = session.state().create_physical_plan(plan).await?;
    collect(over_the_wire(session, plan)?, session.task_ctx()).await
}

pub(crate) fn over_the_wire(
    session: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
) -> DfResult<Arc<dyn ExecutionPlan>> {
    let bytes = physical_plan_to_bytes_with_extension_codec(plan, &Codec)?;
    physical_plan_from_bytes_with_extension_codec(&bytes, &session.task_ctx(), &Codec)
}

#[derive(Debug)]
struct Codec;

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let node = retail_proto::v1::PlanNode::decode(buf)
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        let plan = plan_codec::decode(&node, inputs)?;
        plan.ok_or_else(|| DataFusionError::Internal("not a node of the lakehouse".to_owned()))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> DfResult<()> {
        let encoded = plan_codec::encode(&node)?;
        let encoded = encoded
            .ok_or_else(|| DataFusionError::Internal(format!("no wire form of {}", node.name())))?;
        encoded
            .encode(buf)
            .map_err(|e| DataFusionError::External(Box::new(e)))
    }
}

/// As the engine plans: writes by the lakehouse, the session's rules, the scan rule last.
#[derive(Debug)]
struct Planner;

// Boxed by hand, not by `async_trait`: see docs/decisions/0025-first-build.md.
impl QueryPlanner for Planner {
    fn create_physical_plan<'planner, 'plan, 'session, 'all>(
        &'planner self,
        plan: &'plan LogicalPlan,
        session: &'session dyn Session,
    ) -> BoxFuture<'all, DfResult<Arc<dyn ExecutionPlan>>>
    where
        'planner: 'all,
        'plan: 'all,
        'session: 'all,
        Self: 'all,
    {
        planned(plan, session)
    }
}

fn planned<'a>(
    plan: &'a LogicalPlan,
    session: &'a dyn Session,
) -> BoxFuture<'a, DfResult<Arc<dyn ExecutionPlan>>> {
    async move {
        let state = session.as_any().downcast_ref::<SessionState>().unwrap();
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(WritePlanner)]);
        let plan = planner.create_physical_plan(plan, state).await?;
        scan_rule().optimize(plan, state.config_options())
    }
    .boxed()
}

pub(crate) fn error_of<T>(result: Result<T, LakehouseError>) -> LakehouseError {
    match result {
        Ok(_) => panic!("it should have been refused"),
        Err(error) => error,
    }
}
