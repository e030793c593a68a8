//! A node that claims less than its input does, where DataFusion's claims of order and uniqueness are false.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{Constraints, Statistics};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use retail_values::delegate_unary;

/// What is not believed of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forget {
    /// Which columns are unique.
    Keys,
    /// Which columns are constant within a partition only.
    OfPartitions,
    /// What a window claims besides what its input does.
    Windows,
    /// That, which orders the rows have, and which columns are constant or equal.
    All,
}

/// Its input, of which less is claimed.
#[derive(Debug)]
pub(crate) struct UnclaimedExec {
    input: Arc<dyn ExecutionPlan>,
    forget: Forget,
    properties: Arc<PlanProperties>,
}

impl UnclaimedExec {
    /// Claims less of `input`.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, forget: Forget) -> Self {
        let properties = PlanProperties::clone(input.properties());
        let properties = match forget {
            Forget::Keys => properties.with_constraints(Constraints::default()),
            Forget::OfPartitions => {
                let mut claims = input.equivalence_properties().clone();
                claims.clear_per_partition_constants();
                properties.with_eq_properties(claims)
            }
            Forget::Windows => properties.with_eq_properties(of_windows_input(&input)),
            Forget::All => {
                let claims = EquivalenceProperties::new(input.schema());
                let properties = properties.with_eq_properties(claims);
                // A key by which the input is partitioned is NULL in the rows of other sets, in every partition.
                match groups_sets(&input) {
                    true => {
                        let partitions = input.output_partitioning().partition_count();
                        properties.with_partitioning(Partitioning::UnknownPartitioning(partitions))
                    }
                    false => properties,
                }
            }
        };
        Self {
            input,
            forget,
            properties: Arc::new(properties),
        }
    }

    /// What is not believed of its input.
    pub(crate) fn forget(&self) -> Forget {
        self.forget
    }

    /// The node of which less is claimed.
    pub(crate) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(input, self.forget)))
    }
}

/// What a window's input claims; nothing, where its columns are not the first of the window's.
fn of_windows_input(window: &Arc<dyn ExecutionPlan>) -> EquivalenceProperties {
    if window.is::<UnclaimedExec>() {
        return window.equivalence_properties().clone();
    }
    let nothing = || EquivalenceProperties::new(window.schema());
    let Some(input) = window.children().first().copied() else {
        return nothing();
    };
    let claims = nothing().extend(input.equivalence_properties().clone());
    claims.unwrap_or_else(|_| nothing())
}

impl DisplayAs for UnclaimedExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "UnclaimedExec")
    }
}

impl ExecutionPlan for UnclaimedExec {
    fn name(&self) -> &'static str {
        "UnclaimedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    delegate_unary!(input);

    /// A sort that is put below would be made of what the input claims.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.forget == Forget::Keys]
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&inputs[0]))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

/// Whether a node aggregates by several sets of keys, of which each leaves columns NULL that another has.
pub(crate) fn groups_sets(node: &Arc<dyn ExecutionPlan>) -> bool {
    let aggregate = node.downcast_ref::<AggregateExec>();
    aggregate.is_some_and(|aggregate| !aggregate.group_expr().is_single())
}
