//! Retail jobs: a project of SQL models in dbt's layout, from its files to the tables it publishes.
//!
//! `project` reads and renders the files, `graph` orders the models, `select` picks some of them, `sources` makes
//! the tables they read, `driver` runs them, `quality` holds their tests,
//! `store` remembers what happened. What a person reads when something
//! could not be done is a [`retail_api::Failure`]; what happens is an [`retail_api::events::JobEvent`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

pub mod driver;
pub mod quality;
pub mod sql_errors;
