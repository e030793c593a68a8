//! SQL functions with PostgreSQL's meaning: what they take, what they answer, column by column.
//!
//! A plan names them; a session and an executor find the same ones in [`scalar`], [`aggregate`] and [`window`]. When a plan calls
//! which of them is `retail-sql`'s to decide: nothing here sees a statement. Rows pass through all of this crate, so that every build
//! but the one for tests optimizes it.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod aggregates;
pub mod arithmetic;
pub mod canonical;
pub mod casts;
pub mod decimal;
mod function;
mod math;
mod now;
pub mod only_row;
mod ranks;
mod series;
pub mod time;
mod type_name;
pub mod typed;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub use function::is_text;
pub use type_name::type_name;

/// Functions of one row; some take the place of the engine's of the same name.
pub fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut functions = arithmetic::functions();
    functions.extend(casts::functions());
    functions.push(Arc::clone(canonical::canonical_float()));
    functions.extend(math::functions());
    functions.extend(time::functions());
    functions.push(Arc::clone(only_row::only_row()));
    functions.push(series::series());
    functions.push(typed::typed());
    functions.extend(now::functions());
    functions
}

/// `sum`, `avg`, `median` and `percentile_cont`, in place of the engine's.
pub fn aggregate() -> Vec<Arc<AggregateUDF>> {
    aggregates::functions()
}

/// Ranks, in place of the engine's.
pub fn window() -> Vec<Arc<WindowUDF>> {
    ranks::functions()
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
