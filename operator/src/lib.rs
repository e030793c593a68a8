//! The operator: a `RetailCluster` becomes executors, as many as the work needs.
//!
//! `crd` is what a person can write, `scale` decides how many executors that makes, `plan` what is done about it, `render`
//! what they look like; all four are pure. `reconcile` inspects one cluster, applies its plan and reports, `teardown` takes
//! a deleted one down, `controller` runs them for all clusters while `leader` holds the Lease. `remove` deletes a cluster and
//! waits until it is gone.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod apply;
mod cluster_state;
mod conditions;
mod config;
mod context;
mod controller;
pub mod crd;
mod demand_client;
mod diagnosis;
mod error;
mod events;
mod finalizer;
mod inspect;
mod leader;
mod plan;
pub mod program;
mod quantity;
mod reconcile;
mod remove;
mod render;
mod report;
mod scale;
mod teardown;

pub use cluster_state::ClusterStates;
pub use config::Config;
pub use controller::run;
pub use error::{Error, Result};
pub use remove::remove;
