//! EXCEPT ALL and INTERSECT ALL count duplicates: three equal rows less one are two.
//!
//! Each side's rows get the number of their copy, and the set operation compares it too.

use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{
    Expr as Planned, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition,
    WindowUDF,
};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, Select, SelectFlavor, SelectItem, SetExpr, SetOperator,
    SetQuantifier, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Values,
    WildcardAdditionalOptions,
};
use std::sync::Arc;

use super::ast::all_equal;

/// The column that numbers copies.
const COPY: &str = "__copy";

/// Makes each such operation of a query a relation of its own, which [`plan`] plans.
pub(super) fn count_duplicates(query: &mut Query) {
    count_in(&mut query.body);
}

fn count_in(set: &mut SetExpr) {
    let SetExpr::SetOperation {
        op,
        set_quantifier,
        left,
        right,
    } = set
    else {
        return;
    };
    count_in(left);
    count_in(right);
    if counts(*op, *set_quantifier) {
        let inner = std::mem::replace(set, nothing());
        *set = SetExpr::Select(Box::new(all_of(derived(inner))));
    }
}

fn counts(op: SetOperator, quantifier: SetQuantifier) -> bool {
    matches!(
        op,
        SetOperator::Except | SetOperator::Minus | SetOperator::Intersect
    ) && matches!(quantifier, SetQuantifier::All)
}

fn derived(body: SetExpr) -> TableFactor {
    TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query(body)),
        alias: None,
        sample: None,
    }
}

/// A query that has nothing but its body.
pub(super) fn query(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    }
}

/// A body that is about to be replaced.
pub(super) fn nothing() -> SetExpr {
    SetExpr::Values(Values {
        explicit_row: false,
        value_keyword: false,
        rows: vec![],
    })
}

/// `EXISTS (SELECT * FROM query WHERE its columns equal the values)`; negated, no row may equal them or be unknown to.
pub(super) fn has_row(query_of: Box<Query>, values: Vec<Expr>, negated: bool) -> Expr {
    let column = |i: usize| Ident::new(format!("__column_{i}"));
    let relation = Ident::new("__row");
    let columns = (0..values.len()).map(|i| TableAliasColumnDef {
        name: column(i),
        data_type: None,
    });
    let alias = TableAlias {
        explicit: true,
        name: relation.clone(),
        columns: columns.collect(),
        at: None,
    };
    let pairs = values.into_iter().enumerate().map(|(i, value)| {
        let own = Expr::CompoundIdentifier(vec![relation.clone(), column(i)]);
        (own, Expr::Nested(Box::new(value)))
    });
    let mut select = all_of(TableFactor::Derived {
        lateral: false,
        subquery: query_of,
        alias: Some(alias),
        sample: None,
    });
    let equal = all_equal(pairs.collect());
    select.selection = if negated {
        equal.map(|equal| Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(equal)))))
    } else {
        equal
    };
    Expr::Exists {
        subquery: Box::new(query(SetExpr::Select(Box::new(select)))),
        negated,
    }
}

/// `SELECT * FROM relation`.
pub(super) fn all_of(relation: TableFactor) -> Select {
    Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: vec![],
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        exclude: None,
        into: None,
        from: vec![TableWithJoins {
            relation,
            joins: vec![],
        }],
        lateral_views: vec![],
        prewhere: None,
        selection: None,
        connect_by: vec![],
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        cluster_by: vec![],
        distribute_by: vec![],
        sort_by: vec![],
        having: None,
        named_window: vec![],
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}

/// Plans a relation that [`count_duplicates`] made; `None` for any other.
pub(super) fn plan(
    subquery: &Query,
    context: &mut dyn RelationPlannerContext,
) -> Result<Option<LogicalPlan>> {
    let SetExpr::SetOperation {
        op,
        set_quantifier,
        left,
        right,
    } = subquery.body.as_ref()
    else {
        return Ok(None);
    };
    if !counts(*op, *set_quantifier) || subquery.with.is_some() {
        return Ok(None);
    }
    let left = context.plan(derived(left.as_ref().clone()))?;
    let right = context.plan(derived(right.as_ref().clone()))?;
    if left.schema().fields().len() != right.schema().fields().len() {
        return plan_err!(
            "{op} ALL has {} columns on its left and {} on its right",
            left.schema().fields().len(),
            right.schema().fields().len()
        );
    }
    let Some(row_number) = context.context_provider().get_window_meta("row_number") else {
        return plan_err!("there is no function row_number");
    };
    let shown = Arc::clone(left.schema());
    let left = numbered(left, &row_number)?;
    let right = numbered(right, &row_number)?;
    let combined = if matches!(op, SetOperator::Intersect) {
        LogicalPlanBuilder::intersect(left, right, true)?
    } else {
        LogicalPlanBuilder::except(left, right, true)?
    };
    let columns: Vec<Planned> = combined
        .schema()
        .iter()
        .zip(shown.iter())
        .map(|(inner, (qualifier, field))| {
            Planned::from(inner).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    LogicalPlanBuilder::from(combined)
        .project(columns)?
        .build()
        .map(Some)
}

fn numbered(plan: LogicalPlan, row_number: &Arc<WindowUDF>) -> Result<LogicalPlan> {
    let columns: Vec<Planned> = plan.schema().iter().map(Planned::from).collect();
    let copy = Planned::from(WindowFunction::new(
        WindowFunctionDefinition::WindowUDF(Arc::clone(row_number)),
        vec![],
    ))
    .partition_by(columns.clone())
    .build()?;
    let name = copy.schema_name().to_string();
    let mut kept = columns;
    kept.push(Planned::Column(datafusion::common::Column::new_unqualified(name)).alias(COPY));
    LogicalPlanBuilder::from(plan)
        .window([copy])?
        .project(kept)?
        .build()
}
