//! Plans relations of FROM clauses: arrays' elements, expressions over the columns to the left, counted set operations.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, Result, TableReference, UnnestOptions, not_impl_err, plan_err};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, when};
use datafusion::sql::sqlparser::ast::{
    self, GroupByExpr, Join, JoinConstraint, JoinOperator, SelectItem, SetExpr, TableAlias,
    TableFactor, TableWithJoins,
};

use super::{sets, tables};

/// Plans what the engine would not, and refuses what it would leave out.
#[derive(Debug)]
pub(crate) struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        refuse(&relation)?;
        let planned = match &relation {
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                ..
            } => {
                sets::plan(subquery, context)?.map(|plan| PlannedRelation::new(plan, alias.clone()))
            }
            TableFactor::UNNEST { .. } => {
                let nothing = LogicalPlanBuilder::empty(true).build()?;
                elements(nothing, &relation, false, context)?
                    .map(|plan| PlannedRelation::new(plan, None))
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => over_left(table_with_joins, context)?
                .map(|plan| PlannedRelation::new(plan, alias.clone())),
            _ => None,
        };
        Ok(match planned {
            Some(planned) => RelationPlanning::Planned(Box::new(planned)),
            None => RelationPlanning::Original(Box::new(relation)),
        })
    }
}

/// Clauses that the engine reads and leaves out.
fn refuse(relation: &TableFactor) -> Result<()> {
    match relation {
        TableFactor::Table {
            name,
            sample: Some(_),
            ..
        } => not_impl_err!(
            "TABLESAMPLE of {name} is not supported; filter on a hash of a key, such as left(md5(id::text), 1) = '0', \
             which gives the same rows each time"
        ),
        TableFactor::Derived {
            sample: Some(_), ..
        } => not_impl_err!("TABLESAMPLE of a subquery is not supported; filter on a hash of a key"),
        TableFactor::Derived {
            lateral: true,
            subquery,
            ..
        } if has_having_alone(&subquery.body) => not_impl_err!(
            "HAVING without GROUP BY in a LATERAL subquery is not supported; select the aggregate under a name, and filter on \
             it in the WHERE around"
        ),
        TableFactor::Table {
            name,
            version: Some(_),
            ..
        } => not_impl_err!("reading {name} as of another time is not supported in SQL"),
        TableFactor::Table {
            name,
            with_ordinality: true,
            ..
        } => not_impl_err!("WITH ORDINALITY of {name} is not supported; use row_number()"),
        _ => Ok(()),
    }
}

fn has_having_alone(body: &SetExpr) -> bool {
    let SetExpr::Select(select) = body else {
        return false;
    };
    select.having.is_some()
        && matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty())
}

/// A join whose last relation reads the columns before it.
fn over_left(
    joined: &TableWithJoins,
    context: &mut dyn RelationPlannerContext,
) -> Result<Option<LogicalPlan>> {
    let Some((last, before)) = joined.joins.split_last() else {
        return Ok(None);
    };
    if !tables::reads_left(&last.relation) {
        return Ok(None);
    }
    let (keeps_left, condition) = kind(last)?;
    let left = context.plan(TableFactor::NestedJoin {
        table_with_joins: Box::new(TableWithJoins {
            relation: joined.relation.clone(),
            joins: before.to_vec(),
        }),
        alias: None,
    })?;
    let plan = match &last.relation {
        TableFactor::UNNEST { .. } => elements(left, &last.relation, keeps_left, context)?,
        TableFactor::Derived {
            subquery, alias, ..
        } => Some(expressions(left, subquery, alias.as_ref(), context)?),
        _ => None,
    };
    let (Some(plan), Some(condition)) = (plan.clone(), condition) else {
        return Ok(plan);
    };
    let condition = context.sql_to_expr(condition.clone(), plan.schema())?;
    LogicalPlanBuilder::from(plan)
        .filter(condition)?
        .build()
        .map(Some)
}

/// Whether rows of the left side without a partner stay, and the condition of an inner join.
fn kind(join: &Join) -> Result<(bool, Option<&ast::Expr>)> {
    let is_true = |condition: &ast::Expr| matches!(condition, ast::Expr::Value(v) if v.value == ast::Value::Boolean(true));
    match &join.join_operator {
        JoinOperator::CrossJoin(_) => Ok((false, None)),
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => match constraint {
            JoinConstraint::None => Ok((false, None)),
            JoinConstraint::On(condition) if is_true(condition) => Ok((false, None)),
            JoinConstraint::On(condition) => Ok((false, Some(condition))),
            _ => not_impl_err!("a join with unnest(…) or LATERAL takes ON"),
        },
        JoinOperator::Left(JoinConstraint::On(condition))
        | JoinOperator::LeftOuter(JoinConstraint::On(condition))
            if is_true(condition) =>
        {
            Ok((true, None))
        }
        _ => not_impl_err!(
            "a join with unnest(…) or LATERAL is CROSS JOIN, or JOIN … ON, or LEFT JOIN … ON true; filter in a subquery"
        ),
    }
}

/// `left` with a row per element of arrays.
fn elements(
    left: LogicalPlan,
    unnest: &TableFactor,
    keeps_left: bool,
    context: &mut dyn RelationPlannerContext,
) -> Result<Option<LogicalPlan>> {
    let TableFactor::UNNEST {
        alias,
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality,
    } = unnest
    else {
        return Ok(None);
    };
    let name = alias.as_ref().map_or_else(
        || "unnest".to_owned(),
        |alias| context.normalize_ident(alias.name.clone()),
    );
    let given = alias.iter().flat_map(|alias| &alias.columns);
    let mut names: Vec<String> = given
        .map(|column| context.normalize_ident(column.name.clone()))
        .collect();
    let all = array_exprs.len() + usize::from(*with_ordinality);
    if names.len() > all {
        return plan_err!("unnest has {all} columns, and {} are named", names.len());
    }
    for i in names.len()..all {
        let ordinality = i == array_exprs.len();
        names.push(if ordinality {
            "ordinality".to_owned()
        } else {
            name.clone()
        });
    }
    let schema = Arc::clone(left.schema());
    let relation = TableReference::bare(name);
    let mut columns: Vec<Expr> = schema.iter().map(Expr::from).collect();
    let mut unnested = vec![];
    let mut lists = vec![];
    for expr in array_exprs {
        let list = context.sql_to_expr(expr.clone(), &schema)?;
        let t = list.get_type(&schema)?;
        if !matches!(
            t,
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
        ) {
            return plan_err!(
                "unnest takes an array, and {expr} is {}",
                retail_functions::type_name(&t)
            );
        }
        lists.push(list);
    }
    if *with_ordinality && let Some(first) = lists.first().cloned() {
        let length = datafusion::functions_nested::expr_fn::array_length(first);
        let Some(range) = context.context_provider().get_function_meta("range") else {
            return plan_err!("there is no function range");
        };
        let one = datafusion::prelude::lit(1_i64);
        let length = datafusion::logical_expr::cast(length, DataType::Int64);
        lists.push(range.call(vec![one.clone(), length + one]));
    }
    let mut shown: Vec<Expr> = columns.clone();
    for (i, (list, name)) in lists.into_iter().zip(names).enumerate() {
        let list = if keeps_left {
            let has_some = datafusion::functions_nested::expr_fn::array_length(list.clone())
                .gt(datafusion::prelude::lit(0_u64));
            when(has_some, list).end()?
        } else {
            list
        };
        let element = Column::new_unqualified(format!("__element_{i}"));
        columns.push(list.alias(&element.name));
        shown.push(Expr::Column(element.clone()).alias_qualified(Some(relation.clone()), name));
        unnested.push(element);
    }
    let options = UnnestOptions::new().with_preserve_nulls(keeps_left);
    LogicalPlanBuilder::from(left)
        .project(columns)?
        .unnest_columns_with_options(unnested, options)?
        .project(shown)?
        .build()
        .map(Some)
}

/// `left` with the columns of `LATERAL (SELECT expressions)`.
fn expressions(
    left: LogicalPlan,
    subquery: &ast::Query,
    alias: Option<&TableAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let SetExpr::Select(select) = subquery.body.as_ref() else {
        return plan_err!("LATERAL takes a SELECT");
    };
    let schema = Arc::clone(left.schema());
    let relation = alias.map(|a| TableReference::bare(context.normalize_ident(a.name.clone())));
    let mut columns: Vec<Expr> = schema.iter().map(Expr::from).collect();
    for (i, item) in select.projection.iter().enumerate() {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.clone())),
            _ => return plan_err!("LATERAL without FROM takes expressions"),
        };
        let planned = context.sql_to_expr(expr.clone(), &schema)?;
        let renamed = alias.and_then(|a| a.columns.get(i)).map(|c| c.name.clone());
        let name = renamed.or(name).map_or_else(
            || match &planned {
                Expr::Column(column) => column.name.clone(),
                other => other.schema_name().to_string(),
            },
            |name| context.normalize_ident(name),
        );
        columns.push(planned.alias_qualified(relation.clone(), name));
    }
    LogicalPlanBuilder::from(left).project(columns)?.build()
}
