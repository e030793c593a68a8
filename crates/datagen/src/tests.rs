//! The shipped project's SQL through the engine's own session, without a cluster, against the truth.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::prelude::SessionContext;
use retail_api::TableName;
use retail_engine::{EngineConfig, session};
use retail_storage::{ObjectStores, StorageConfig};

use retail_api::source::Column;
use retail_project::graph;
use retail_project::{Materialized, Project, load};

use super::*;

/// Runs every model on what has landed in `input`, in a fresh session that then holds the tables.
async fn run(input: &Path, format: Format, slots: usize) -> (Project, SessionContext) {
    let vars = serde_json::json!({"input": input.to_str().unwrap(), "format": format.extension()});
    let project = load(&project_files(), vars.as_object().unwrap()).unwrap();
    let stores = ObjectStores::new(StorageConfig::default());
    let session = session(&EngineConfig::default(), slots, &stores).unwrap();
    for source in &project.sources {
        let table = retail_connect::files::provider(source, &session, &stores)
            .await
            .unwrap();
        register(&session, &source.table, table);
    }
    for name in graph::order(&project).unwrap() {
        // The graph holds the analyses too.
        let Some(model) = project.models.iter().find(|m| m.name == name) else {
            continue;
        };
        let plan = retail_sql::plan(&session.state(), &model.sql)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", model.table));
        let frame = session.execute_logical_plan(plan).await.unwrap();
        let table: Arc<dyn TableProvider> = match model.materialized {
            Materialized::Table => {
                let schema = Arc::new(frame.schema().as_arrow().clone());
                declared(&model.table.to_string(), &model.columns, &schema);
                let rows = frame
                    .collect()
                    .await
                    .unwrap_or_else(|error| panic!("{}: {error}", model.table));
                Arc::new(in_memory(&schema, &rows))
            }
            _ => Arc::new(ViewTable::new(
                frame.logical_plan().clone(),
                Some(model.sql.clone()),
            )),
        };
        register(&session, &model.table, table);
    }
    (project, session)
}

/// The rows as a table whose columns may be null, as those of a catalog may.
fn in_memory(schema: &Schema, rows: &[RecordBatch]) -> MemTable {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_nullable(true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batches = rows.iter().map(|batch| {
        let columns = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(c, f)| cast(c, f.data_type()).unwrap());
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    });
    let batches = batches.collect();
    MemTable::try_new(Arc::clone(&schema), vec![batches]).unwrap()
}

fn register(session: &SessionContext, name: &TableName, table: Arc<dyn TableProvider>) {
    let catalog = session.catalog(&session.catalog_names()[0]).unwrap();
    if catalog.schema(&name.namespace).is_none() {
        let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
        catalog.register_schema(&name.namespace, schema).unwrap();
    }
    let reference = TableReference::partial(name.namespace.as_str(), name.name.as_str());
    session.register_table(reference, table).unwrap();
}

/// The YAML declares the columns that the SQL makes: same names, same order, same types.
fn declared(model: &str, columns: &[Column], schema: &Schema) {
    let written: Vec<(String, String)> = columns
        .iter()
        .map(|c| {
            (
                c.name.clone(),
                c.data_type.clone().unwrap_or_default().to_lowercase(),
            )
        })
        .collect();
    let made: Vec<(String, String)> = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = match field.data_type() {
                DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "varchar".to_string(),
                DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
                DataType::Date32 => "date".into(),
                DataType::Int32 => "integer".into(),
                DataType::Int64 => "bigint".into(),
                DataType::Boolean => "boolean".into(),
                DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
                other => other.to_string(),
            };
            (field.name().clone(), kind)
        })
        .collect();
    assert_eq!(written, made, "{model}");
}

async fn rows(session: &SessionContext, sql: &str) -> Vec<Vec<Option<String>>> {
    let batches = session
        .sql(sql)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut rows = vec![];
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|c| cast(c, &DataType::Utf8).unwrap())
            .collect();
        let text = |column: &Arc<dyn Array>, row| {
            let column = column.as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_string())
        };
        rows.extend(
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|c| text(c, row)).collect::<Vec<_>>()),
        );
    }
    rows
}

async fn assert_true_to(truth: &Truth, session: &SessionContext) {
    let mut wrong = vec![];
    let mut compared = 0;
    for query in checks(truth) {
        let found = compare(&query, &rows(session, &query.sql).await);
        compared += found.len();
        wrong.extend(found.into_iter().filter(|check| !check.ok));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 150, "{compared}");
}

fn options(out: &Path, format: Format) -> GenerateOptions {
    GenerateOptions {
        orders: 1_500,
        days: 2,
        seed: 42,
        format,
        out: out.to_path_buf(),
        only_day: None,
    }
}

#[tokio::test]
async fn every_number_is_true_after_each_delivery() {
    for format in [Format::Parquet, Format::Csv] {
        let folder = tempfile::tempdir().unwrap();
        let all = options(folder.path(), format);
        let first = generate(
            &GenerateOptions {
                only_day: Some(1),
                ..all.clone()
            },
            &mut |_| {},
        )
        .unwrap();
        let (_, session) = run(folder.path(), format, 3).await;
        assert_true_to(&first.truths[0], &session).await;
        generate_day(&all, 2, &mut |_| {}).unwrap();
        let (_, session) = run(folder.path(), format, 2).await;
        assert_true_to(&first.truth, &session).await;
    }
}

#[tokio::test]
async fn the_order_in_which_days_land_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let truth = generate(&options(folder.path(), Format::Parquet), &mut |_| {})
        .unwrap()
        .truth;
    let day = |name: &str| folder.path().join(name);
    std::fs::rename(day("day=1"), day("day=9")).unwrap();
    let (_, session) = run(folder.path(), Format::Parquet, 2).await;
    assert_true_to(&truth, &session).await;
}

#[tokio::test]
async fn every_analysis_gives_rows() {
    let folder = tempfile::tempdir().unwrap();
    generate(&options(folder.path(), Format::Parquet), &mut |_| {}).unwrap();
    let (project, session) = run(folder.path(), Format::Parquet, 2).await;
    for analysis in &project.analyses {
        assert!(
            !rows(&session, &analysis.sql).await.is_empty(),
            "{}",
            analysis.path
        );
    }
    let growth = project
        .analyses
        .iter()
        .find(|a| a.name.as_str() == "monthly_sales_growth")
        .unwrap();
    let months = rows(&session, &growth.sql).await;
    assert_eq!(months[0][4], None, "the first month has none before it");
    assert!(months[1..].iter().all(|month| month[4].is_some()));
}
