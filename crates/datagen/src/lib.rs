//! The retail project that ships with the cluster: its generator, its truth and its verification.
//!
//! `generate` makes up deliveries, `truth` states what the tables must show after them, `verify` compares. The project
//! itself is `jobs/retail/`; [`project_files`] carries it inside the binary.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

mod dataset;
mod generate;
mod project;
#[cfg(test)]
mod tests;
mod truth;
mod verify;

pub use dataset::{Progress, Summary, generate, generate_day};
pub use generate::{DaySummary, Format, GenerateOptions};
pub use project::project_files;
pub use truth::Truth;
pub use verify::{Check, CheckQuery, checks, compare};
