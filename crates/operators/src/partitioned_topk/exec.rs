//! The plan node.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_datafusion_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
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

use super::spec::{Mode, Spec, Tuning};
use super::stream::{TopKTask, run};

/// Keeps the first rows of each key by an order, with a hash table of the keys.
///
/// ```text
/// HashTopKExec: mode=Final, limit=1, keys=[order_id@0], order_by=[updated_at@3 DESC]
///   RepartitionExec: partitioning=Hash([order_id@0], 8)
///     HashTopKExec: mode=Partial, limit=1, keys=[order_id@0], order_by=[updated_at@3 DESC]
/// ```
#[derive(Debug, Clone)]
pub(crate) struct HashTopKExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Spec,
    mode: Mode,
    tuning: Tuning,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    order_by: Vec<PhysicalSortExpr>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl HashTopKExec {
    /// A pass over `input`.
    ///
    /// # Errors
    /// The spec does not fit the input, see [`Spec::check`].
    pub(crate) fn try_new(input: Arc<dyn ExecutionPlan>, spec: Spec, mode: Mode) -> Result<Self> {
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
    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether this pass is exact.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
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

impl DisplayAs for HashTopKExec {
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
                    "HashTopKExec: mode={mode:?}, limit={limit}, keys=[{keys}], order_by=[{order_by}]"
                )
            }
        }
    }
}

impl ExecutionPlan for HashTopKExec {
    fn name(&self) -> &'static str {
        "HashTopKExec"
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
            .ok_or_else(|| internal_datafusion_err!("HashTopKExec needs an input"))?;
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
        let task = TopKTask {
            spec: self.spec.clone(),
            mode: self.mode,
            tuning: self.tuning,
            schema,
            batch_size: context.session_config().batch_size(),
            // A partial pass gives its memory back by emitting: for a fair pool that is as good as a spill.
            reservation: MemoryConsumer::new(format!("HashTopK{:?}[{partition}]", self.mode))
                .with_can_spill(true)
                .register(context.memory_pool()),
            spills,
            metrics: BaselineMetrics::new(&self.metrics, partition),
            duplicates_dropped: MetricBuilder::new(&self.metrics)
                .counter("duplicates_dropped", partition),
        };
        Ok(run(task, input))
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
