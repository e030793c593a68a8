//! The executor: runs tasks, serves shuffles over Arrow Flight, writes data files. It never commits.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod config;
mod drain;
mod engine;
mod flight;
mod memory;
mod metrics;
mod process;
pub mod program;
mod spans;
mod work_dir;

pub use process::{Executor, Settings, start};
