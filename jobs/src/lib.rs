//! Runs of a project: its models, one after another as they refer to each other, to the tables that are published at once.
//!
//! `driver` runs a project's models, `quality` holds their tests, `sql_errors` says what is wrong with a model's SQL
//! and where. The project itself is read by `retail_project`, its files by `retail_connect`; events go to whoever runs the
//! job, and the scheduler stores them. What a person reads when something could not be done is a
//! [`retail_api::Failure`]; what happens is a [`retail_api::events::JobEvent`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

pub mod driver;
pub mod quality;
pub mod sql_errors;
