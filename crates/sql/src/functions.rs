//! The functions that plans of this module name: a session and an executor need the same ones.

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use super::{aggregates, arithmetic, casts, floats, math, postgres, ranks};

/// Functions of one row; some take the place of the engine's of the same name.
pub fn scalar() -> Vec<Arc<ScalarUDF>> {
    [
        arithmetic::functions(),
        casts::functions(),
        floats::functions(),
        math::functions(),
        postgres::functions(),
    ]
    .concat()
}

/// `sum` and `avg`, in place of the engine's.
pub fn aggregate() -> Vec<Arc<AggregateUDF>> {
    aggregates::functions()
}

/// Ranks, in place of the engine's.
pub fn window() -> Vec<Arc<WindowUDF>> {
    ranks::functions()
}
