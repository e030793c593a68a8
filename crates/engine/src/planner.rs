//! Plans our own nodes beside DataFusion's.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{QueryPlanner, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use futures::FutureExt;
use futures::future::BoxFuture;
use retail_lakehouse::WritePlanner;

use crate::nodes::gather::gather_unions;
use crate::nodes::one_task::as_one_task;
use crate::nodes::planned_join::{JoinModes, seal_joins};
use crate::panics::catch_panic_async;
use crate::rewrites::filter_names::by_clear_names;
use crate::rewrites::order_claims::{do_sorts, without_false_claims};
use crate::rewrites::sort_keys::each_key_once;
use crate::rewrites::values_limit::limits_above_values;
use crate::rewrites::windows::{check_frames, seal_windows};
use crate::rewrites::{Rule, rule};
use retail_operators::partitioned_topk::partitioned_topk_rule;
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
/// 2. our rules that need a plan no exchange has been put into (gathered unions, top-k per key);
/// 3. the session's optimizer rules, then the marker that carries field-id scans to executors, and `order_claims::do_sorts`;
/// 4. for executors, joins are sealed: nothing changes them any more.
#[derive(Debug)]
pub(crate) struct RetailPlanner {
    partitioned_topk: bool,
    execution: Execution,
}

impl RetailPlanner {
    /// `partitioned_topk`: whether `row_number() … <= n` becomes a hash operator.
    pub(crate) fn new(partitioned_topk: bool, execution: Execution) -> Self {
        Self {
            partitioned_topk,
            execution,
        }
    }
}

// Boxed by hand, not by `async_trait`: see docs/decisions/0025-first-build.md.
impl QueryPlanner for RetailPlanner {
    fn create_physical_plan<'planner, 'plan, 'session, 'all>(
        &'planner self,
        plan: &'plan LogicalPlan,
        session: &'session dyn Session,
    ) -> BoxFuture<'all, Result<Arc<dyn ExecutionPlan>>>
    where
        'planner: 'all,
        'plan: 'all,
        'session: 'all,
        Self: 'all,
    {
        self.planned(plan, session)
    }
}

impl RetailPlanner {
    fn planned<'a>(
        &'a self,
        plan: &'a LogicalPlan,
        session: &'a dyn Session,
    ) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
        async move {
            let state = session.as_any().downcast_ref::<SessionState>();
            let state = state.ok_or_else(|| {
                DataFusionError::Internal("the session is not a SessionState".to_string())
            })?;
            catch_panic_async("the query cannot be planned", self.plan(plan, state)).await
        }
        .boxed()
    }

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
    fn steps(&self, state: &SessionState) -> Vec<Rule> {
        let mut rules = vec![rule("GatherUnions", gather_unions)];
        if self.partitioned_topk {
            rules.push(partitioned_topk_rule());
        }
        rules.extend(state.physical_optimizers().iter().cloned());
        rules.push(rule("CheckFrames", check_frames));
        rules.push(rule("FlatProjections", flat_projections));
        rules.push(retail_lakehouse::scan_rule());
        rules.push(rule("DoSorts", do_sorts));
        if self.execution == Execution::InStages {
            rules.push(rule("LimitsAboveValues", limits_above_values));
            rules.push(rule("SealJoins", seal_joins));
            rules.push(rule("SealWindows", seal_windows));
        }
        rules
    }
}

/// The physical optimizer's rules, with ours that decides joins where they can still be planned around.
pub(crate) fn physical_rules(execution: Execution) -> Vec<Rule> {
    let mut rules = PhysicalOptimizer::new().rules;
    // It sets in a scan which order is wanted, and the wire does not carry that.
    rules.retain(|rule| rule.name() != "PushdownSort");
    if execution == Execution::InStages {
        let selection = rules
            .iter()
            .position(|rule| rule.name() == "join_selection");
        rules.insert(selection.map_or(0, |at| at + 1), Arc::new(JoinModes));
    }
    for rule in &mut rules {
        if rule.name() == "EnsureRequirements" {
            *rule = without_false_claims(Arc::clone(rule));
        } else if rule.name().starts_with("FilterPushdown") {
            *rule = by_clear_names(Arc::clone(rule));
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
    partitioned_topk: bool,
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
            partitioned_topk,
            Execution::InProcess,
        )))
        .build();
    as_one_task(seal_windows(state.create_physical_plan(plan).await?)?)
}
