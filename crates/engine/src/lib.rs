//! The one query session that every process uses, and how its queries run.
//!
//! A job's driver asks a [`Cluster`] for a session, registers the relations of its run in it, plans SQL
//! and hands the plan back. Two clusters exist: [`InProcess`] runs the plan with plain DataFusion in this
//! process and is the reference that tests and benchmarks compare with; the scheduler's runs it on executors.
//!
//! ```text
//! SQL ── session() ──> LogicalPlan ── RetailPlanner ──> ExecutionPlan ── codec ──> executors
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod again;
mod cluster;
mod codec;
mod config;
mod filter_names;
mod functions;
pub mod gather;
mod in_process;
pub mod keep_first;
mod one_task;
mod order_claims;
mod origin;
mod panics;
mod planned_join;
mod planner;
mod round_trip;
mod session;
mod sort_keys;
mod task_plan;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod values_limit;
mod windows;

pub use again::until_whole;
pub use cluster::{
    Blockers, Cluster, ClusterStatus, ExecutorLoss, ExecutorStatus, Query, QueryError,
    QueryErrorKind, QueryProgress, QueryRun, Work,
};
pub use codec::{RetailLogicalCodec, RetailPhysicalCodec};
pub use config::EngineConfig;
pub use functions::function_registry;
pub use in_process::InProcess;
pub use order_claims::believed_plan;
pub use origin::Origin;
pub use panics::or_refuse;
pub use planner::{Execution, RetailPlanner, plan_one_task};
pub use round_trip::lost_on_the_wire;
pub use session::{runtime_env, session, session_config, session_state};
pub use task_plan::TaskPlan;
