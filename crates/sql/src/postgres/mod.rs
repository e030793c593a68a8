//! PostgreSQL's meaning of SQL, where the engine's own differs.
//!
//! ```text
//! text ── dialect ──> statement ── rewrite, using ──> statement ── Relations, TimePlanner ──> plan ── Subqueries, TimeCasts
//! ```
//!
//! What can be said in other words of SQL is rewritten in the statement; what needs types or columns is planned by planners of
//! the session or changed by analyzer rules; what is left are functions that executors know by name (`retail_functions`).

mod ast;
mod bind;
mod casts;
mod check;
mod clauses;
mod dialect;
mod grouping;
mod intervals;
mod keys;
mod lone;
mod named_windows;
mod names;
mod order;
mod patterns;
mod planner;
mod relations;
mod rewrite;
mod rows;
mod scope;
mod sets;
mod subqueries;
mod tables;
#[cfg(test)]
mod tests;
mod using;
mod windows;

use std::sync::Arc;

use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::optimizer::AnalyzerRule;

use casts::{TimeCasts, TimeKinds};
use subqueries::Subqueries;

pub(crate) use check::check;
pub(crate) use dialect::parse;
pub(crate) use intervals::check_intervals;
pub(crate) use planner::{TimePlanner, type_of};
pub(crate) use relations::Relations;
pub(crate) use rewrite::rewrite;
pub(crate) use using::merge_keys;

/// Puts the analyzer rules of this module around the engine's: those that choose forms and types before types are coerced,
/// casts after.
pub(crate) fn install(rules: &mut Vec<Arc<dyn AnalyzerRule + Send + Sync>>) {
    let row_number = retail_functions::window()
        .into_iter()
        .find(|f| f.name() == "row_number")
        .unwrap_or_else(row_number_udwf);
    rules.insert(0, Arc::new(Subqueries { row_number }));
    rules.insert(1, Arc::new(windows::Windows));
    rules.insert(2, Arc::new(TimeKinds));
    rules.push(Arc::new(TimeCasts));
    rules.push(Arc::new(keys::Keys));
}
