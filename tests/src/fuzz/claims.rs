//! Whether what a plan claims of its rows is true of them: orders, constants, columns that are equal, hash partitions. A
//! false claim takes a sort or an exchange away, and wrong rows show only where the data happen to expose them.
//!
//! Every node of a plan is executed by itself, and its rows are held against its claims.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::{LexicographicalComparator, SortColumn, concat_batches};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::ScalarValue;
use datafusion::physical_expr::expressions::UnKnownColumn;
use datafusion::physical_expr::{AcrossPartitions, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use retail_engine::{EngineConfig, Execution, believed_plan, session_config, session_state};
use retail_lakehouse::{Lakehouse, Relation};
use retail_scheduler::Config;
use retail_storage::ObjectStores;

use super::choices::Choices;
use super::generate;
use super::run::Plan;
use super::systems::Lake;
use super::text::{Dialect, Rows, render};

/// Partitions of a plan.
const PARTITIONS: usize = 4;

/// Sessions over the tables of a lake, without any cluster.
pub struct Claims {
    sessions: Vec<SessionContext>,
}

impl Claims {
    /// Opens the tables; views are not among them.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn open(lake: &Lake) -> Result<Self> {
        let config = Config::in_dir(&lake.dir().join("data"));
        let mut catalog = config.catalog.clone();
        catalog.warehouse = format!("file://{}", lake.dir().join("warehouse").display());
        let lakehouse = Lakehouse::open(&catalog, ObjectStores::new(config.storage)).await?;
        let base = EngineConfig::default();
        let small = EngineConfig {
            batch_size: 16,
            broadcast_bytes: 0,
            ..base.clone()
        };
        let mut sessions = vec![];
        for engine in [base, small] {
            let runtime = retail_engine::runtime_env(lakehouse.stores(), None)?;
            let mut config = session_config(&engine, PARTITIONS);
            // They take rows away from a scan while it runs, long after its claims were used.
            config
                .options_mut()
                .optimizer
                .enable_dynamic_filter_pushdown = false;
            let state = session_state(
                config,
                runtime,
                engine.partitioned_topk,
                Execution::InStages,
            );
            let session = SessionContext::new_with_state(state);
            register(&session, &lakehouse).await?;
            sessions.push(session);
        }
        Ok(Self { sessions })
    }

    /// What is claimed falsely of the rows of a statement's plan; none where it cannot be planned or run.
    ///
    /// # Errors
    /// A claim cannot be looked into.
    pub async fn false_claims(&self, sql: &str) -> Result<Option<Vec<String>>> {
        let mut found = vec![];
        for session in &self.sessions {
            let Ok(logical) = retail_sql::plan(&session.state(), sql).await else {
                return Ok(None);
            };
            let Ok(plan) = session.state().create_physical_plan(&logical).await else {
                return Ok(None);
            };
            let plan = believed_plan(plan)?;
            let whole = displayable(plan.as_ref()).indent(false).to_string();
            let mut nodes = vec![(&plan, true)];
            while let Some((node, is_believed)) = nodes.pop() {
                // The one row of a placeholder has no values, whatever its columns are.
                if is_believed && !node.is::<PlaceholderRowExec>() {
                    let rows = run(node, session).await;
                    let rows = rows.with_context(|| format!("{} of\n{whole}", node.name()))?;
                    let Some(partitions) = rows else {
                        return Ok(None);
                    };
                    let wrong = wrong_claims(node, &partitions)?;
                    let line = displayable(node.as_ref()).one_line().to_string();
                    found.extend(wrong.map(|wrong| format!("{wrong} of {line}in\n{whole}")));
                }
                // A scan claims what its filter requests, of all of its rows; a filter stands above it.
                let is_filtered =
                    node.is::<FilterExec>() || (node.name() == "FieldIdScanExec" && !is_believed);
                let believed = node.name() != "UnclaimedExec" && !is_filtered;
                nodes.extend(node.children().into_iter().map(|child| (child, believed)));
            }
        }
        Ok(Some(found))
    }
}

async fn register(session: &SessionContext, lakehouse: &Lakehouse) -> Result<()> {
    let pin = lakehouse.pin().await?;
    let state = session.state();
    let catalog = &state.config().options().catalog.default_catalog;
    let catalog = session.catalog(catalog).context("no default catalog")?;
    for name in pin.names() {
        let Some(Relation::Table(table)) = lakehouse.load(&pin, name).await? else {
            continue;
        };
        let name = name.to_string();
        let (schema, name) = name.split_once('.').context("a table without schema")?;
        if catalog.schema(schema).is_none() {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
        let provider = lakehouse.scan(&table).await?;
        let schema = catalog.schema(schema).context("no schema")?;
        schema.register_table(name.to_owned(), provider)?;
    }
    Ok(())
}

/// The rows of each partition of a node; none where they cannot be computed.
async fn run(
    node: &Arc<dyn ExecutionPlan>,
    session: &SessionContext,
) -> Result<Option<Vec<RecordBatch>>> {
    let node = reset_plan_states(Arc::clone(node))?;
    let run = (0..node.output_partitioning().partition_count()).map(|partition| {
        let rows = node.execute(partition, session.task_ctx());
        async move { rows?.try_collect::<Vec<_>>().await }
    });
    // All at once: an exchange waits for those who do not take their rows.
    match futures::future::try_join_all(run).await {
        Ok(batches) => {
            let batches = batches.iter();
            let whole = batches.map(|batches| concat_batches(&node.schema(), batches));
            Ok(Some(whole.collect::<Result<_, _>>()?))
        }
        Err(_) => Ok(None),
    }
}

fn wrong_claims(
    node: &Arc<dyn ExecutionPlan>,
    partitions: &[RecordBatch],
) -> Result<impl Iterator<Item = String> + use<>> {
    let mut wrong = vec![];
    let claims = node.equivalence_properties();
    for order in claims.oeq_class().iter() {
        for rows in partitions {
            if !is_ordered(order, rows)? {
                wrong.push(format!("the order {order} is claimed"));
            }
        }
    }
    for constant in claims.constants() {
        let values: Vec<_> = (partitions.iter())
            .map(|rows| distinct(&constant.expr, rows))
            .collect::<Result<_>>()?;
        let is_constant = values.iter().all(|of_partition| of_partition.len() <= 1);
        let all: Vec<_> = values.into_iter().flatten().collect();
        let is_right = match &constant.across_partitions {
            AcrossPartitions::Heterogeneous => true,
            AcrossPartitions::Uniform(None) => all.windows(2).all(|pair| pair[0] == pair[1]),
            AcrossPartitions::Uniform(Some(value)) => all.iter().all(|given| given == value),
        };
        if !is_constant || !is_right {
            wrong.push(format!("the constant {constant} is claimed"));
        }
    }
    for class in claims.eq_group().iter() {
        for rows in partitions {
            let columns = class.iter().map(|expr| values(expr, rows));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            if columns.windows(2).any(|pair| pair[0] != pair[1]) {
                wrong.push(format!("{class} are claimed to be equal"));
            }
        }
    }
    if let Partitioning::Hash(keys, _) = node.output_partitioning() {
        wrong.extend(misplaced(keys, partitions)?);
    }
    Ok(wrong.into_iter())
}

fn values(expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<Vec<ScalarValue>> {
    let column = array(expr, rows)?;
    let values = (0..column.len()).map(|row| ScalarValue::try_from_array(&column, row));
    Ok(values.collect::<Result<_, _>>()?)
}

fn array(expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<ArrayRef> {
    Ok(expr.evaluate(rows)?.into_array(rows.num_rows())?)
}

/// The first value, and the second if there is one.
fn distinct(expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<Vec<ScalarValue>> {
    let values = values(expr, rows)?;
    let mut found: Vec<ScalarValue> = vec![];
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    Ok(found)
}

fn is_ordered(order: &LexOrdering, rows: &RecordBatch) -> Result<bool> {
    if rows.num_rows() == 0 {
        return Ok(true);
    }
    let columns = order.iter().map(|by| {
        Ok(SortColumn {
            values: array(&by.expr, rows)?,
            options: Some(by.options),
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let rows = LexicographicalComparator::try_new(&columns)?;
    let count = columns[0].values.len();
    Ok((1..count).all(|row| rows.compare(row - 1, row).is_le()))
}

/// A key that is in two partitions.
fn misplaced(keys: &[Arc<dyn PhysicalExpr>], partitions: &[RecordBatch]) -> Result<Option<String>> {
    // A projection left the key out.
    if keys.iter().any(|key| key.is::<UnKnownColumn>()) {
        return Ok(None);
    }
    let mut homes = HashMap::new();
    for (partition, rows) in partitions.iter().enumerate() {
        let columns = keys.iter().map(|key| values(key, rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..rows.num_rows() {
            let key: Vec<_> = columns.iter().map(|column| column[row].clone()).collect();
            let home = *homes.entry(key.clone()).or_insert(partition);
            if home != partition {
                return Ok(Some(format!(
                    "one partition for the key {key:?} is claimed"
                )));
            }
        }
    }
    Ok(None)
}

/// What came of looking at the claims of many plans.
#[derive(Debug, Default)]
pub struct Summary {
    pub cases: u64,
    /// Statements whose plans ran.
    pub looked_at: usize,
    /// The seed and the claim of each finding.
    pub found: Vec<(u64, String)>,
}

impl Summary {
    /// In one line.
    pub fn line(&self) -> String {
        format!(
            "{} cases, {} statements looked at: {} false claims",
            self.cases,
            self.looked_at,
            self.found.len()
        )
    }
}

/// Looks at the claims of a plan's cases. `report` gets a line for each finding, and one now and then.
///
/// # Errors
/// The tables cannot be published or opened.
pub async fn run_claims(plan: &Plan, report: impl Fn(&str)) -> Result<Summary> {
    let lake = Lake::publish().await?;
    let claims = Claims::open(&lake).await?;
    let (started, mut reported) = (Instant::now(), Instant::now());
    let mut summary = Summary::default();
    for seed in plan.first.. {
        let is_over = match (plan.cases, plan.time) {
            (_, Some(time)) => started.elapsed() > time,
            (cases, None) => summary.cases >= cases.unwrap_or(u64::MAX),
        };
        if is_over || summary.found.len() >= plan.most_findings {
            break;
        }
        let case = generate::case(&mut Choices::seeded(seed), &plan.features);
        summary.cases += 1;
        for form in &case.forms {
            let sql = render(&form.sql, Dialect::Ours, &Rows::new());
            let found = claims.false_claims(&sql).await;
            let found = found.with_context(|| format!("seed {seed}: {sql}"))?;
            summary.looked_at += usize::from(found.is_some());
            if let Some(first) = found.unwrap_or_default().into_iter().next() {
                report(&format!("FALSE CLAIM seed {seed}: {sql}\n  {first}"));
                summary.found.push((seed, first));
            }
        }
        if reported.elapsed() > Duration::from_secs(10) {
            reported = Instant::now();
            report(&summary.line());
        }
    }
    Ok(summary)
}
