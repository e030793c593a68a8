//! Checks that a run holds before it publishes: declared data tests, and the constraints of contracts.
//!
//! ```text
//!  select    which tests belong to the selected models                              pure
//!  statement what a test counts, and which rows are its failures, as SQL            pure
//!  plan      tests of one relation share a pass; the others have a query each       pure
//!  verdict   a number of failures and a test's thresholds: passed, warned, failed   pure
//!  run       the one performer: plans, queries, collects, tells
//! ```
//!
//! Tests read what the run staged; nothing is visible to readers yet (write, audit, publish). `contract` compares the
//! columns of a model with those that its YAML promises, when the model is planned.

pub mod contract;
mod literal;
mod plan;
pub(crate) mod run;
mod select;
mod statement;
#[cfg(test)]
mod tests;
mod verdict;

pub use select::chosen;
pub use statement::plain;
