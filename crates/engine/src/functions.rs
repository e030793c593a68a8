//! The functions that SQL can call: one list for the session that plans and for the executors that run.
//!
//! A task's plan names its functions; an executor looks each name up. A function that only one side has is a query that
//! plans and cannot run, and two functions of one name are rows that depend on where they were made. So both sides are
//! built from [`Functions::all`].

use std::sync::Arc;

use ballista_core::registry::BallistaFunctionRegistry;
use datafusion::execution::{SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};

/// Every function, by kind. A later one replaces an earlier one of its name.
#[derive(Debug, Clone)]
struct Functions {
    scalar: Vec<Arc<ScalarUDF>>,
    aggregate: Vec<Arc<AggregateUDF>>,
    window: Vec<Arc<WindowUDF>>,
    higher_order: Vec<Arc<HigherOrderUDF>>,
}

impl Functions {
    /// DataFusion's functions, then ours, which may replace them.
    fn all() -> Self {
        let mut functions = Self {
            scalar: SessionStateDefaults::default_scalar_functions(),
            aggregate: SessionStateDefaults::default_aggregate_functions(),
            window: SessionStateDefaults::default_window_functions(),
            higher_order: SessionStateDefaults::default_higher_order_functions(),
        };
        functions.scalar.extend(our_scalar_functions());
        functions.aggregate.extend(our_aggregate_functions());
        functions.window.extend(our_window_functions());
        functions
    }
}

fn our_scalar_functions() -> Vec<Arc<ScalarUDF>> {
    retail_functions::scalar()
}

fn our_aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    retail_functions::aggregate()
}

fn our_window_functions() -> Vec<Arc<WindowUDF>> {
    [
        crate::rewrites::windows::flagged_windows(),
        retail_functions::window(),
    ]
    .concat()
}

/// Gives a session the functions that executors have too.
pub(crate) fn with_functions(builder: SessionStateBuilder) -> SessionStateBuilder {
    let functions = Functions::all();
    builder
        .with_scalar_functions(functions.scalar)
        .with_aggregate_functions(functions.aggregate)
        .with_window_functions(functions.window)
        .with_higher_order_functions(functions.higher_order)
}

/// What an executor finds functions in: the same ones, under their names and aliases as a session has them.
pub fn function_registry() -> BallistaFunctionRegistry {
    let state = with_functions(SessionStateBuilder::new().with_default_features()).build();
    BallistaFunctionRegistry::from(&state)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::execution::FunctionRegistry;

    use super::*;
    use crate::EngineConfig;

    #[test]
    fn an_executor_knows_each_function_that_a_session_plans_with() {
        let stores = retail_storage::ObjectStores::default();
        let session = crate::session(&EngineConfig::default(), 1, &stores).unwrap();
        let state = session.state();
        let executor = function_registry();
        let sorted =
            |names: std::collections::HashSet<String>| names.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(sorted(state.udfs()), sorted(executor.udfs()));
        assert_eq!(sorted(state.udafs()), sorted(executor.udafs()));
        assert_eq!(sorted(state.udwfs()), sorted(executor.udwfs()));
        assert_eq!(
            sorted(state.higher_order_function_names()),
            sorted(executor.higher_order_function_names())
        );
        for name in state.udfs() {
            assert_eq!(
                state.udf(&name).unwrap(),
                executor.udf(&name).unwrap(),
                "{name}"
            );
        }
        for name in state.udafs() {
            assert_eq!(
                state.udaf(&name).unwrap(),
                executor.udaf(&name).unwrap(),
                "{name}"
            );
        }
        for name in state.udwfs() {
            assert_eq!(
                state.udwf(&name).unwrap(),
                executor.udwf(&name).unwrap(),
                "{name}"
            );
        }
        assert!(executor.udf("array_length").is_ok(), "a nested function");
    }
}
