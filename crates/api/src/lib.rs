//! The vocabulary that clients, scheduler, operator and jobs share: ids, failures, jobs and their events, sources, tables,
//! executors; and how it travels ([`codec`]).
//!
//! Plain types: no engine and no store stands behind them.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

mod absent;
pub mod cause;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod demand;
mod error_chain;
pub mod events;
mod failure;
mod ids;
pub mod job;
pub mod source;
pub mod suggest;
pub mod table;
mod table_name;

pub use error_chain::{error_chain, root_cause};
pub use failure::*;
pub use ids::{ExecutorId, JobId, JobIdText, SnapshotId};
pub use table_name::{InvalidName, TableName};
