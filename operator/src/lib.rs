//! The operator: a `RetailCluster` becomes executors, as many as the work needs.
//!
//! `crd` says what a person can ask for, `scale` decides how many executors that makes, `render` what they look like;
//! all three are pure. `reconcile` looks at one cluster and acts, `leave` takes one down, `controller` runs them for
//! all clusters while `leader` says so. `remove` asks for a cluster's end and waits for it.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod apply;
pub mod conditions;
pub mod config;
pub mod context;
pub mod controller;
pub mod crd;
pub mod error;
pub mod leader;
mod leave;
pub mod metrics;
mod observe;
pub mod program;
pub mod quantity;
mod reconcile;
mod remove;
pub mod render;
pub mod scale;
pub mod trouble;
pub mod work;

pub use controller::{client, run};
pub use error::{Error, Result};
pub use remove::remove;
