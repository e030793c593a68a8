//! PostgreSQL's meaning of SQL, where the engine's own differs.
//!
//! ```text
//! text ── dialect ──> statement ── rewrite, using ──> statement ── Relations, TimePlanner ──> plan ── Subqueries, TimeCasts
//! ```
//!
//! What can be said in other words of SQL is rewritten in the statement; what needs types or columns is planned by planners of
//! the session or changed by analyzer rules; what is left are functions that executors know by name ([`functions`]).

mod ast;
mod bind;
mod casts;
mod check;
mod clauses;
mod dialect;
mod function;
mod grouping;
mod intervals;
mod keys;
mod lone;
mod named_windows;
mod names;
mod now;
mod only_row;
mod order;
mod patterns;
mod planner;
mod relations;
mod rewrite;
mod rows;
mod scope;
mod series;
mod sets;
mod subqueries;
mod tables;
#[cfg(test)]
mod tests;
mod time;
mod typed;
mod using;
mod windows;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::common::Result;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::ScalarUDF;
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
    let row_number = super::ranks::functions()
        .into_iter()
        .find(|f| f.name() == "row_number")
        .unwrap_or_else(row_number_udwf);
    rules.insert(0, Arc::new(Subqueries { row_number }));
    rules.insert(1, Arc::new(windows::Windows));
    rules.insert(2, Arc::new(TimeKinds));
    rules.push(Arc::new(TimeCasts));
    rules.push(Arc::new(keys::Keys));
}

/// The functions that plans of this module name.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = time::functions();
    functions.push(Arc::clone(only_row::only_row()));
    functions.push(series::series());
    functions.push(typed::typed());
    functions.extend(now::functions());
    functions
}

/// The texts of intervals and of times between two moments, as a cast to text gives them.
///
/// # Errors
/// The column has another type.
pub fn interval_texts(column: &ArrayRef) -> Result<ArrayRef> {
    let spans = time::interval::spans(column)?.into_iter();
    let texts: StringArray = spans.map(|span| span.map(|s| s.to_string())).collect();
    Ok(Arc::new(texts))
}
