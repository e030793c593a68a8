//! Runs jobs: the models of a project, from their SQL to the tables that are published together.
//!
//! ```text
//!  driver       check, pin, run models side by side, hold tests, publish; again where another run published first
//!  materialize  one model: table, view, ephemeral                                     to staged metadata
//!  quality      declared tests and contracts                                          before the publish
//!  job          what is run, with what, and what it produced
//! ```
//!
//! The project itself is `retail-project`'s. What a person reads when something could not be done is a
//! [`retail_api::Failure`]; what happens is a [`retail_api::events::JobEvent`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

mod check_model;
mod driver;
mod failures;
mod job;
mod materialize;
mod one_query;
pub mod quality;
pub mod sql_errors;

pub use check_model::{CheckedModel, check_model};
pub use driver::run_job;
pub use job::{EventSink, JobContext, JobSpec, JobSummary};
