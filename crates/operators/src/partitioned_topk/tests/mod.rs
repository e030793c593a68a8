//! The rule on against the rule off, over generated rows.

mod operator;
mod order_key;
mod rows;
mod shapes;

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, StringViewArray, TimestampMillisecondArray,
};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::exec::HashTopKExec;
use super::partitioned_topk_rule;
use super::spec::{Mode, Tuning};

/// A session over table `t`, in as many partitions as the session has.
struct Setup {
    rule: bool,
    partitions: usize,
    batch_size: usize,
    rows: usize,
    runtime: Arc<RuntimeEnv>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            rule: true,
            partitions: 1,
            batch_size: 8192,
            rows: 600,
            runtime: Arc::default(),
        }
    }
}

impl Setup {
    fn session(&self) -> SessionContext {
        let mut rules = PhysicalOptimizer::new().rules;
        if self.rule {
            rules.insert(0, partitioned_topk_rule());
        }
        let config = SessionConfig::new()
            .with_target_partitions(self.partitions)
            .with_batch_size(self.batch_size);
        let mut builder = SessionStateBuilder::new().with_default_features();
        let functions = builder.window_functions().get_or_insert_default();
        functions.extend(retail_functions::window());
        let state = builder
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_physical_optimizer_rules(rules)
            .build();
        let session = SessionContext::new_with_state(state);
        let all = generate(self.rows, 7);
        let rows = self.rows.div_ceil(self.partitions);
        let partitions = (0..self.partitions)
            .map(|p| {
                let from = (p * rows).min(self.rows);
                let part = all.slice(from, rows.min(self.rows - from));
                let cuts = (0..part.num_rows()).step_by(self.batch_size);
                cuts.map(|at| part.slice(at, self.batch_size.min(part.num_rows() - at)))
                    .collect()
            })
            .collect();
        session
            .register_table(
                "t",
                Arc::new(MemTable::try_new(all.schema(), partitions).unwrap()),
            )
            .unwrap();
        session
    }
}

async fn plan(session: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    session
        .sql(sql)
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap()
}

fn tree(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(false).to_string()
}

fn is_rewritten(plan: &Arc<dyn ExecutionPlan>) -> bool {
    tree(plan).contains("HashTopKExec: mode=Final")
}

/// The plan's rows as a table.
async fn rows(session: &SessionContext, plan: &Arc<dyn ExecutionPlan>) -> String {
    let batches = collect(Arc::clone(plan), session.task_ctx()).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

fn tuned(plan: Arc<dyn ExecutionPlan>, tuning: Tuning) -> Arc<dyn ExecutionPlan> {
    plan.transform_up(|node| {
        Ok(match node.downcast_ref::<HashTopKExec>() {
            Some(topk) => {
                Transformed::yes(Arc::new(topk.with_tuning(tuning)) as Arc<dyn ExecutionPlan>)
            }
            None => Transformed::no(node),
        })
    })
    .data()
    .unwrap()
}

/// A metric summed over all operators of a mode.
fn metric(
    plan: &Arc<dyn ExecutionPlan>,
    mode: Mode,
    of: impl Fn(&MetricsSet) -> Option<usize>,
) -> usize {
    let mut sum = 0;
    let mut open = vec![Arc::clone(plan)];
    while let Some(node) = open.pop() {
        if node
            .downcast_ref::<HashTopKExec>()
            .is_some_and(|k| k.mode() == mode)
        {
            sum += of(&node.metrics().unwrap()).unwrap_or(0);
        }
        open.extend(node.children().into_iter().cloned());
    }
    sum
}

/// A sequence of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A number, or nothing one time in eight.
    fn some(&mut self, bound: u64) -> Option<u64> {
        (self.below(8) > 0).then(|| self.below(bound))
    }
}

/// `id` is unique; `k_` columns repeat; `o_` columns have ties and nulls.
fn generate(rows: usize, seed: u64) -> RecordBatch {
    let mut random = Random(seed);
    let keys = (rows as u64 / 6).max(2);
    let mut column =
        |bound: u64| -> Vec<Option<u64>> { (0..rows).map(|_| random.some(bound)).collect() };
    let floats = [f64::NAN, -0.0, 0.0, 1.5, -2.0, f64::NEG_INFINITY];
    let number = |v: Option<u64>| v.map(|v| v as i64 - 5);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
        (
            "k_int",
            Arc::new(
                column(keys)
                    .into_iter()
                    .map(|v| number(v).map(|v| v as i32))
                    .collect::<Int32Array>(),
            ),
        ),
        (
            "k_small",
            Arc::new(column(4).into_iter().map(number).collect::<Int64Array>()),
        ),
        (
            "k_str",
            Arc::new(
                column(keys)
                    .into_iter()
                    .map(|v| v.map(|v| format!("key {v}")))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "k_view",
            Arc::new(
                column(keys)
                    .into_iter()
                    .map(|v| v.map(|v| format!("a key too long for its view {v}")))
                    .collect::<StringViewArray>(),
            ),
        ),
        (
            "k_date",
            Arc::new(
                column(9)
                    .into_iter()
                    .map(|v| number(v).map(|v| v as i32))
                    .collect::<Date32Array>(),
            ),
        ),
        (
            "k_dec",
            Arc::new(
                column(9)
                    .into_iter()
                    .map(|v| number(v).map(i128::from))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
        (
            "o_int",
            Arc::new(
                column(5)
                    .into_iter()
                    .map(|v| number(v).map(|v| v as i32))
                    .collect::<Int32Array>(),
            ),
        ),
        (
            "o_time",
            Arc::new(
                column(7)
                    .into_iter()
                    .map(number)
                    .collect::<TimestampMillisecondArray>(),
            ),
        ),
        (
            "o_str",
            Arc::new(
                column(5)
                    .into_iter()
                    .map(|v| v.map(|v| "ab".repeat(v as usize)))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "o_float",
            Arc::new(
                column(6)
                    .into_iter()
                    .map(|v| v.map(|v| floats[v as usize]))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "payload",
            Arc::new(StringViewArray::from_iter_values(
                (0..rows).map(|i| format!("the payload of row number {i}")),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, name != "id")),
    )
    .unwrap()
}
