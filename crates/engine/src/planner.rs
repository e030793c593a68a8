//! Plans our own nodes beside DataFusion's.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{QueryPlanner, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use retail_lakehouse::WritePlanner;

use crate::filter_names::ByClearNames;
use crate::gather::gather_unions;
use crate::keep_first::keep_first_rule;
use crate::one_task::as_one_task;
use crate::order_claims::{WithoutFalseClaims, do_sorts};
use crate::panics::or_refuse_async;
use crate::planned_join::{JoinModes, seal_joins};
use crate::sort_keys::each_key_once;
use crate::values_limit::limits_above_values;
use crate::windows::{check_frames, seal_windows};
use retail_sql::{flat_arithmetic, flat_projections, guard_plan};

/// Where a plan is to run, which decides what its plan must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// In this process, as DataFusion has it.
    InProcess,
    /// In stages on executors: joins run as they were planned, whatever the sizes of their inputs turn out to be.
    InStages,
}

/// Turns logical plans into physical ones: what can fail is put behind what guards it ([`guard_plan`]), then, in four steps:
///
/// 1. the initial plan, with table writes planned by the lakehouse;
/// 2. our rules that need a plan no exchange has been put into (gathered unions, keep-first);
/// 3. the session's optimizer rules, then the marker that carries field-id scans to executors, and `order_claims::do_sorts`;
/// 4. for executors, joins are sealed: nothing changes them any more.
#[derive(Debug)]
pub struct RetailPlanner {
    keep_first: bool,
    execution: Execution,
}

impl RetailPlanner {
    /// `keep_first`: whether `row_number() … = 1` becomes a hash operator.
    pub fn new(keep_first: bool, execution: Execution) -> Self {
        Self {
            keep_first,
            execution,
        }
    }
}

#[async_trait]
impl QueryPlanner for RetailPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let state = session.as_any().downcast_ref::<SessionState>();
        let state = state.ok_or_else(|| {
            DataFusionError::Internal("the session is not a SessionState".to_string())
        })?;
        or_refuse_async("the query cannot be planned", self.plan(plan, state)).await
    }
}

impl RetailPlanner {
    async fn plan(
        &self,
        plan: &LogicalPlan,
        state: &SessionState,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(WritePlanner)]);
        let state = SessionStateBuilder::new_from_existing(state.clone())
            .with_physical_optimizer_rules(self.steps(state))
            .build();
        let plan = flat_arithmetic(each_key_once(guard_plan(plan.clone())?)?)?;
        planner.create_physical_plan(&plan, &state).await
    }

    /// Every step after the initial plan is a rule, so that EXPLAIN shows the plan that runs.
    fn steps(&self, state: &SessionState) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        let mut rules = vec![step("GatherUnions", gather_unions)];
        if self.keep_first {
            rules.push(keep_first_rule());
        }
        rules.extend(state.physical_optimizers().iter().cloned());
        rules.push(step("CheckFrames", check_frames));
        rules.push(step("FlatProjections", flat_projections));
        rules.push(retail_lakehouse::scan_rule());
        rules.push(step("DoSorts", do_sorts));
        if self.execution == Execution::InStages {
            rules.push(step("LimitsAboveValues", limits_above_values));
            rules.push(step("SealJoins", seal_joins));
            rules.push(step("SealWindows", seal_windows));
        }
        rules
    }
}

type Rewrite = fn(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>;

/// A rewrite as a rule of the optimizer.
fn step(name: &'static str, rewrite: Rewrite) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    Arc::new(Step { name, rewrite })
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    rewrite: Rewrite,
}

impl PhysicalOptimizerRule for Step {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        (self.rewrite)(plan)
    }

    fn name(&self) -> &str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The physical optimizer's rules, with ours that decides joins where they can still be planned around.
pub(crate) fn physical_rules(
    execution: Execution,
) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    // It tells a scan in which order rows are wanted, and the wire does not carry that.
    rules.retain(|rule| rule.name() != "PushdownSort");
    if execution == Execution::InStages {
        let selection = rules
            .iter()
            .position(|rule| rule.name() == "join_selection");
        rules.insert(selection.map_or(0, |at| at + 1), Arc::new(JoinModes));
    }
    for rule in &mut rules {
        if rule.name() == "EnsureRequirements" {
            *rule = Arc::new(WithoutFalseClaims(Arc::clone(rule)));
        } else if rule.name().starts_with("FilterPushdown") {
            *rule = Arc::new(ByClearNames(Arc::clone(rule)));
        }
    }
    rules
}

/// A plan that runs whole in one task of one executor: for plans that mean something else once they are cut into stages.
///
/// # Errors
/// The query cannot be planned.
pub async fn plan_one_task(
    plan: &LogicalPlan,
    state: &SessionState,
    keep_first: bool,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut config = state.config().clone();
    config.options_mut().execution.target_partitions = 1;
    // The catalogs are shared: a new default one would take the session's place.
    config
        .options_mut()
        .catalog
        .create_default_catalog_and_schema = false;
    let state = SessionStateBuilder::new_from_existing(state.clone())
        .with_config(config)
        .with_physical_optimizer_rules(physical_rules(Execution::InProcess))
        .with_query_planner(Arc::new(RetailPlanner::new(
            keep_first,
            Execution::InProcess,
        )))
        .build();
    as_one_task(seal_windows(state.create_physical_plan(plan).await?)?)
}
