//! The scheduler: accepts retail jobs, runs their models on executors, commits their tables.
//!
//! ```text
//!  one gRPC port:  retail.v1 Jobs, Query, Cluster · health · reflection · Ballista's calls of executors
//!  admin port:     /healthz /readyz /metrics
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod admin;
mod admission;
mod ballista;
mod calls;
mod catalog;
mod clock;
pub mod config;
mod jobs;
mod observe;
mod owner;
pub mod program;
mod service;
mod start;
mod store;
mod tables;

pub use catalog::WithoutCatalog;
pub use config::Config;
pub use start::{Scheduler, start};
