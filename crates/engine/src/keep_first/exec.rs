//! The plan node.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_datafusion_err, plan_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, SpillMetrics,
};
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan,
    ExecutionPlanProperties, InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
    SpillManager, StatisticsArgs, apply_expression_roots,
};

use super::stream::{Work, run};
use super::{LIMIT_MAX, is_key_type, is_order_type};

/// Whether a pass is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sees any part of the rows and may keep losers: thins out what a shuffle has to move.
    Partial,
    /// Sees all rows of a key, which its required distribution ensures.
    Final,
}

/// A column that rows of a key are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderColumn {
    /// Index in the input's schema.
    pub column: usize,
    /// Direction, and the place of nulls.
    pub options: SortOptions,
}

/// Which rows stay: the first `limit` of each key by `order_by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Indexes of the key's columns in the input's schema.
    pub keys: Vec<usize>,
    /// Empty when any row of a key will do.
    pub order_by: Vec<OrderColumn>,
    /// Rows kept per key, 1 to [`LIMIT_MAX`].
    pub limit: usize,
}

impl Spec {
    /// Checks the columns against the input's schema.
    ///
    /// # Errors
    /// A column is missing or of a type the operator cannot compare exactly, there is no key, or the limit is out of
    /// range.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        if self.keys.is_empty() || !(1..=LIMIT_MAX).contains(&self.limit) {
            return plan_err!(
                "keep-first needs a key and a limit of 1 to {LIMIT_MAX}, got limit {}",
                self.limit
            );
        }
        let columns = self
            .keys
            .iter()
            .map(|key| (*key, is_key_type as fn(&_) -> bool));
        let order = self
            .order_by
            .iter()
            .map(|order| (order.column, is_order_type as fn(&_) -> bool));
        for (column, is_supported) in columns.chain(order) {
            match schema.fields().get(column) {
                Some(field) if is_supported(field.data_type()) => {}
                Some(field) => {
                    return plan_err!(
                        "keep-first cannot compare {}: {}",
                        field.name(),
                        field.data_type()
                    );
                }
                None => return plan_err!("keep-first has no column {column} in its input"),
            }
        }
        Ok(())
    }

    fn key_columns(&self, schema: &Schema) -> Vec<Arc<dyn PhysicalExpr>> {
        self.keys.iter().map(|key| column(schema, *key)).collect()
    }

    fn sort_columns(&self, schema: &Schema) -> Vec<PhysicalSortExpr> {
        let sort = |order: &OrderColumn| {
            PhysicalSortExpr::new(column(schema, order.column), order.options)
        };
        self.order_by.iter().map(sort).collect()
    }
}

fn column(schema: &Schema, index: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(schema.field(index).name(), index))
}

/// What tests change to reach paths that real data rarely takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    /// Bits of the key's hash that count.
    pub(super) hash_mask: u64,
    /// Rows after which a partial pass decides whether it pays.
    pub(super) probe_rows: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            hash_mask: u64::MAX,
            probe_rows: 100_000,
        }
    }
}

/// Keeps the first rows of each key, as a hash operator.
///
/// ```text
/// KeepFirstExec: mode=Final, limit=1, keys=[order_id@0], order_by=[updated_at@3 DESC]
///   RepartitionExec: partitioning=Hash([order_id@0], 8)
///     KeepFirstExec: mode=Partial, limit=1, keys=[order_id@0], order_by=[updated_at@3 DESC]
/// ```
#[derive(Debug, Clone)]
pub struct KeepFirstExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Spec,
    mode: Mode,
    tuning: Tuning,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    order_by: Vec<PhysicalSortExpr>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl KeepFirstExec {
    /// A pass over `input`.
    ///
    /// # Errors
    /// The spec does not fit the input, see [`Spec::check`].
    pub fn try_new(input: Arc<dyn ExecutionPlan>, spec: Spec, mode: Mode) -> Result<Self> {
        let schema = input.schema();
        spec.check(&schema)?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            input.output_partitioning().clone(),
            EmissionType::Final,
            input.boundedness(),
        );
        Ok(Self {
            keys: spec.key_columns(&schema),
            order_by: spec.sort_columns(&schema),
            input,
            spec,
            mode,
            tuning: Tuning::default(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// Which rows stay.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether this pass is exact.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Where rows come from.
    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    #[cfg(test)]
    pub(super) fn with_tuning(&self, tuning: Tuning) -> Self {
        Self {
            tuning,
            metrics: ExecutionPlanMetricsSet::new(),
            ..self.clone()
        }
    }
}

impl DisplayAs for KeepFirstExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let join = |parts: Vec<String>| parts.join(", ");
        let keys = join(self.keys.iter().map(ToString::to_string).collect());
        let order_by = join(self.order_by.iter().map(ToString::to_string).collect());
        let (mode, limit) = (self.mode, self.spec.limit);
        match format {
            DisplayFormatType::TreeRender => {
                writeln!(
                    f,
                    "mode={mode:?}\nlimit={limit}\nkeys={keys}\norder_by={order_by}"
                )
            }
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(
                    f,
                    "KeepFirstExec: mode={mode:?}, limit={limit}, keys=[{keys}], order_by=[{order_by}]"
                )
            }
        }
    }
}

impl ExecutionPlan for KeepFirstExec {
    fn name(&self) -> &'static str {
        "KeepFirstExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![match self.mode {
            Mode::Partial => Distribution::UnspecifiedDistribution,
            Mode::Final => Distribution::KeyPartitioned(self.keys.clone()),
        }])
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(
            self.keys
                .iter()
                .chain(self.order_by.iter().map(|order| &order.expr)),
            f,
        )
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children
            .pop()
            .ok_or_else(|| internal_datafusion_err!("KeepFirstExec needs an input"))?;
        let tuning = self.tuning;
        Ok(Arc::new(Self {
            tuning,
            ..Self::try_new(input, self.spec.clone(), self.mode)?
        }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let runtime = context.runtime_env();
        let schema: SchemaRef = self.schema();
        let spill_metrics = SpillMetrics::new(&self.metrics, partition);
        let can_spill = self.mode == Mode::Final && runtime.disk_manager.tmp_files_enabled();
        let spills = can_spill.then(|| {
            SpillManager::new(Arc::clone(&runtime), spill_metrics, Arc::clone(&schema))
                .with_compression_type(context.session_config().spill_compression())
        });
        let work = Work {
            spec: self.spec.clone(),
            mode: self.mode,
            tuning: self.tuning,
            schema,
            batch_size: context.session_config().batch_size(),
            // A partial pass gives its memory back by emitting: for a fair pool that is as good as a spill.
            reservation: MemoryConsumer::new(format!("KeepFirst{:?}[{partition}]", self.mode))
                .with_can_spill(true)
                .register(context.memory_pool()),
            spills,
            metrics: BaselineMetrics::new(&self.metrics, partition),
            duplicates_dropped: MetricBuilder::new(&self.metrics)
                .counter("duplicates_dropped", partition),
        };
        Ok(run(work, input))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    /// The input's: how many keys it has is not known, and a guess too low would make joins broadcast large tables.
    fn statistics_from_inputs(
        &self,
        input: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let statistics = Statistics::clone(&input[0]);
        // Nothing in stays nothing out; every other count is an upper bound.
        if statistics.num_rows.get_value() == Some(&0) {
            return Ok(Arc::new(statistics));
        }
        Ok(Arc::new(statistics.to_inexact()))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::LowerEqual
    }
}
