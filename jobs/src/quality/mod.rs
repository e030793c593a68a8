//! Checks that a run holds before it publishes: declared data tests, and the constraints of contracts.
//!
//! ```text
//!  select    which tests belong to the selected models                              pure
//!  statement what a test counts, and which rows are its failures, as SQL            pure
//!  plan      tests of one relation share a pass; the others have a query each       pure
//!  verdict   a number of failures and a test's thresholds: passed, warned, failed   pure
//!  answer    a number of failures, failing rows as lines                            pure
//!  run       plans, queries, collects, reports
//!  kept      writes failing rows to tables of their own, and publishes those
//! ```
//!
//! Tests read what the run staged; nothing of that is visible to readers yet (write, audit, publish). `contract` compares the
//! columns of a model with those that its YAML promises, when the model is planned.

mod answer;
pub mod contract;
mod kept;
mod literal;
mod plan;
pub(crate) mod run;
mod select;
mod statement;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use kept::StoredRows;
pub use select::chosen;
pub use statement::plain;

use retail_api::source::Source;

use crate::job::JobSpec;

/// The sources that tests of the job read.
pub(crate) fn sources(spec: &JobSpec) -> Vec<&Source> {
    run::of(spec, &spec.built())
        .into_iter()
        .flat_map(|test| &test.sources)
        .filter_map(|name| spec.project.source(name))
        .collect()
}
