//! The operator: a `RetailCluster` becomes executors, as many as the work needs.
//!
//! `crd` says what a person can ask for, `scale` decides how many executors that makes, `render` what they look like;
//! all three are pure. `reconcile` looks at one cluster and acts, `leave` takes one down, `controller` runs them for
//! all clusters while `leader` says so. `remove` asks for a cluster's end and waits for it.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod apply;
mod conditions;
mod config;
mod context;
mod controller;
pub mod crd;
mod demand;
mod demand_client;
mod error;
mod finalizer;
mod leader;
mod leave;
mod observe;
pub mod program;
mod quantity;
mod reconcile;
mod remove;
mod render;
mod scale;
mod trouble;

pub use config::Config;
pub use context::Memories;
pub use controller::run;
pub use error::{Error, Result};
pub use remove::remove;
