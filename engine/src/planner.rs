//! Plans our own nodes beside DataFusion's.

use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::extension::SessionConfigExt;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{QueryPlanner, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use retail_lakehouse::WritePlanner;

use crate::gather::gather_unions;
use crate::keep_first::keep_first_rule;
use crate::panics::or_refuse_async;

/// Turns logical plans into physical ones, in three steps:
///
/// 1. the initial plan, with table writes planned by the lakehouse;
/// 2. our rules that need a plan no exchange has been put into (gathered unions, keep-first);
/// 3. the session's optimizer rules, then the marker that carries field-id scans to executors.
///
/// The steps live here and not among the session's rules because Ballista's adaptive planner replaces
/// those with its own lists, and keeps the query planner.
#[derive(Debug)]
pub struct RetailPlanner {
    keep_first: bool,
}

impl RetailPlanner {
    /// `keep_first`: whether `row_number() … = 1` becomes a hash operator.
    pub fn new(keep_first: bool) -> Self {
        Self { keep_first }
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
        let bare = SessionStateBuilder::new_from_existing(state.clone())
            .with_physical_optimizer_rules(vec![])
            .build();
        let options = state.config_options();
        let mut physical = planner.create_physical_plan(plan, &bare).await?;
        physical = gather_unions(
            physical,
            state.config().ballista_adaptive_query_planner_enabled(),
        )?;
        if self.keep_first {
            physical = keep_first_rule().optimize(physical, options)?;
        }
        physical = planner.optimize_physical_plan(physical, state, |_, _| {})?;
        retail_lakehouse::scan_rule().optimize(physical, options)
    }
}
