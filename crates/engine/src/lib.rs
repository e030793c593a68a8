//! The one query session that every process uses, and how its queries run.
//!
//! A job's driver gets a session from a [`Cluster`], registers the relations of its run in it, plans SQL
//! and hands the plan back. Two clusters exist: [`InProcess`] runs the plan with plain DataFusion in this
//! process and is the reference that tests and benchmarks compare with; the scheduler's runs it on executors.
//!
//! ```text
//! SQL ── session() ──> LogicalPlan ── RetailPlanner ──> ExecutionPlan ── codec ──> executors
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

mod cluster;
mod codec;
mod config;
mod functions;
mod in_process;
mod nodes;
mod panics;
mod pinned_catalog;
#[cfg(test)]
mod plan_snapshots;
mod planner;
mod query_context;
mod retry;
mod rewrites;
mod round_trip;
mod session;
pub mod sql_diagnostics;
pub mod statement;
mod task_plan;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod view_inputs;

pub use cluster::{
    Blockers, Cluster, ClusterStatus, ExecutorLoss, ExecutorStatus, ExecutorWait, Query,
    QueryError, QueryErrorKind, QueryProgress, QueryRun, Work, no_executor, wait_for_executor,
};
pub use codec::{RetailLogicalCodec, RetailPhysicalCodec};
pub use config::EngineConfig;
pub use functions::function_registry;
pub use in_process::InProcess;
pub use panics::catch_panic;
pub use pinned_catalog::{PinnedCatalog, catalog_session};
pub use planner::{Execution, plan_one_task};
pub use query_context::QueryContext;
pub use retry::retry_lost_results;
pub use rewrites::order_claims::believed_plan;
pub use round_trip::lost_on_the_wire;
pub use session::{runtime_env, session, session_config, session_state};
pub use task_plan::TaskPlan;
pub use view_inputs::{EphemeralModel, ViewInputs};
