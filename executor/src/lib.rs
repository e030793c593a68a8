//! The executor: runs tasks, serves shuffles over Arrow Flight, writes data files. It never commits.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod config;
mod engine;
pub mod metrics;
mod process;
pub mod program;
mod spans;

pub use config::Config;
pub use process::{Executor, Settings, start};
