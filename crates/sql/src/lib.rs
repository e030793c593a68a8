//! What a number means in SQL text: PostgreSQL's rules, where the engine's own would lose digits in silence.
//!
//! ```text
//! text ── exact_numbers ──> statement ── NumericPlanner ──> plan ── NumericCoercion ──> typed plan ── guard ──> physical plan
//!         1.5 is decimal                 a + b checks        casts round, decimal and           a / b behind an AND
//!         1e3 is double                  for overflow        double meet as double              is evaluated after it
//! ```
//!
//! | what | rule |
//! |---|---|
//! | `129.99` | decimal(5,2): a decimal of its own digits, at most 38 |
//! | `1e3`, `double`, `float` | double, 8 bytes; `real` has 4 |
//! | integer `+ - *`, `abs`, negation | an error when the result does not fit |
//! | integer `/` | truncates toward zero; by zero is an error |
//! | decimal `+ - *` | exact, or an error beyond 38 digits |
//! | decimal `/`, `avg` | rounds half away from zero at the scale of `retail_functions::decimal::quotient_type` |
//! | `sum` | integer gives bigint, bigint gives decimal(38,0), decimal gets 10 more digits |
//! | decimal with double | compares and computes as double |
//! | float | one NaN, equal to itself and above all numbers; one zero (`floats`) |
//! | casts to integer | round: decimals half away from zero, doubles half to even |
//! | `row_number`, `rank`, `dense_rank`, `ntile` | bigint |
//!
//! All of it hangs on the session: [`plan`] is how a text becomes a plan, [`install`] puts the rules into a session, and
//! `retail_functions` has what an executor must know to run the plan.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod coercion;
mod constant_filters;
mod empty_branches;
mod flat;
mod floats;
mod guard;
mod join_guard;
mod literals;
mod planner;
mod postgres;
#[cfg(test)]
pub(crate) mod tests;
mod texts;
mod trees;
mod walk;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::optimizer::Analyzer;
use datafusion::prelude::col;
use datafusion::sql::parser::Statement;

pub use constant_filters::optimizer_rules;
pub use flat::{flat_arithmetic, flat_projections};
pub use guard::guard_plan;

use std::sync::Arc;

/// Parses one statement; its numbers have the types that PostgreSQL gives them.
///
/// # Errors
/// The text does not parse, or a number has more digits than a decimal holds.
pub fn parse(state: &SessionState, sql: &str) -> Result<Statement> {
    let mut statement = postgres::parse(state, sql)?;
    postgres::rewrite(&mut statement)?;
    literals::exact_numbers(&mut statement)?;
    Ok(statement)
}

/// Plans one statement. The plan's columns have the types that its rows will have: types are coerced here, not later.
///
/// # Errors
/// The text does not parse or plan, or types do not fit.
pub async fn plan(state: &SessionState, sql: &str) -> Result<LogicalPlan> {
    plan_statement(state, parse(state, sql)?).await
}

/// Plans a parsed statement, as [`plan`] does.
///
/// # Errors
/// The statement does not plan, or types do not fit.
pub async fn plan_statement(state: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let statement = postgres::merge_keys(state, statement).await?;
    let plan = state.statement_to_plan(statement).await?;
    match plan {
        // EXPLAIN shows what each rule does, and has to run them itself.
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => Ok(plan),
        LogicalPlan::DescribeTable(table) => columns_of(&table.schema),
        plan => {
            postgres::check_intervals(&plan)?;
            let plan =
                state
                    .analyzer()
                    .execute_and_check(plan, state.config_options(), |_, _| {})?;
            postgres::check(state, &plan)?;
            Ok(plan)
        }
    }
}

/// The answer of DESCRIBE: `(column_name, data_type, is_nullable)`, a row per column, with the types' names in SQL.
fn columns_of(schema: &Schema) -> Result<LogicalPlan> {
    if schema.fields().is_empty() {
        return plan_err!("a table without columns has nothing to describe");
    }
    let rows = schema.fields().iter().map(|field| {
        let nullable = if field.is_nullable() { "YES" } else { "NO" };
        vec![
            lit(field.name()),
            lit(retail_functions::type_name(field.data_type())),
            lit(nullable),
        ]
    });
    LogicalPlanBuilder::values(rows.collect())?
        .project([
            col("column1").alias("column_name"),
            col("column2").alias("data_type"),
            col("column3").alias("is_nullable"),
        ])?
        .build()
}

/// Puts the rules of this module into a session that has the engine's own.
pub fn install(builder: SessionStateBuilder) -> SessionStateBuilder {
    let mut rules = Analyzer::new().rules;
    for rule in &mut rules {
        if rule.name() == coercion::NAME {
            *rule = Arc::new(coercion::NumericCoercion);
        }
    }
    postgres::install(&mut rules);
    rules.push(Arc::new(floats::CanonicalFloats));
    let mut builder = builder
        .with_analyzer_rules(rules)
        .with_type_planner(Arc::new(planner::NumericTypes))
        .with_relation_planners(vec![Arc::new(postgres::Relations)]);
    let planners = builder.expr_planners().get_or_insert_default();
    planners.insert(0, Arc::new(planner::NumericPlanner));
    planners.insert(0, Arc::new(postgres::TimePlanner));
    builder
}
