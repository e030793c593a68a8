//! The vocabulary that clients, scheduler and jobs share: failures, events of a job, sources, names of tables.
//!
//! Plain types: no engine, no store and no protocol stands behind them.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod cause;
pub mod events;
mod failure;
pub mod source;
pub mod suggest;
mod table_name;

pub use failure::*;
pub use table_name::{InvalidName, TableName};
