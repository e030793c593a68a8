//! Rewrites FROM clauses: series of numbers and dates, and relations that read the columns of those before them.
//!
//! `FROM a, unnest(a.xs) x` becomes `FROM (a CROSS JOIN unnest(a.xs) x)`: a relation planner gets a nested join as a whole,
//! and can plan the list of its left side ([`super::relations`]).

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator,
    ObjectName, SelectItem, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, UnaryOperator, Value, Visitor,
};

use crate::walk;

use super::ast::call;

/// Whether a statement names a column `value`: the engine's series have one, PostgreSQL's have the name of the series.
pub(super) fn names_value(statement: &Statement) -> bool {
    struct Finder(bool);
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let last = match expr {
                Expr::Identifier(name) => Some(name),
                Expr::CompoundIdentifier(names) => names.last(),
                _ => None,
            };
            self.0 |= last.is_some_and(|n| n.value.eq_ignore_ascii_case("value"));
            ControlFlow::Continue(())
        }
    }
    let mut finder = Finder(false);
    let _ = walk::visit(statement, &mut finder);
    finder.0
}

/// Rewrites one FROM clause.
pub(super) fn from(from: &mut Vec<TableWithJoins>, uses_value: bool) -> Result<()> {
    let mut out: Vec<TableWithJoins> = vec![];
    for item in std::mem::take(from) {
        let item = folded(item, uses_value);
        if !reads_left(&item.relation) || out.is_empty() {
            out.push(item);
            continue;
        }
        let mut before = out.drain(..);
        let Some(mut left) = before.next() else {
            continue;
        };
        left.joins
            .extend(before.map(|next| cross(nested_unless_plain(next))));
        left.joins.push(cross(item.relation));
        out = vec![TableWithJoins {
            relation: nested(left),
            joins: item.joins,
        }];
    }
    *from = out;
    Ok(())
}

/// Whether a relation is one of ours: an array's elements, or expressions over the columns to its left.
pub(super) fn reads_left(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::UNNEST { .. } => true,
        TableFactor::Derived {
            lateral: true,
            subquery,
            ..
        } => {
            subquery.with.is_none()
                && subquery.order_by.is_none()
                && subquery.limit_clause.is_none()
                && matches!(subquery.body.as_ref(), SetExpr::Select(select)
                if select.from.is_empty()
                    && select.selection.is_none()
                    && select.having.is_none()
                    && select.distinct.is_none()
                    && select.qualify.is_none()
                    && matches!(&select.group_by, GroupByExpr::Expressions(e, _) if e.is_empty())
                    && select.projection.iter().all(|item| {
                        matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
                    }))
        }
        _ => false,
    }
}

fn folded(item: TableWithJoins, uses_value: bool) -> TableWithJoins {
    let mut out = TableWithJoins {
        relation: factor(item.relation, uses_value),
        joins: vec![],
    };
    for mut join in item.joins {
        join.relation = factor(join.relation, uses_value);
        join.join_operator = match join.join_operator {
            JoinOperator::Semi(on) => JoinOperator::LeftSemi(on),
            JoinOperator::Anti(on) => JoinOperator::LeftAnti(on),
            other => other,
        };
        let ours = reads_left(&join.relation);
        out.joins.push(join);
        if ours {
            out = TableWithJoins {
                relation: nested(out),
                joins: vec![],
            };
        }
    }
    out
}

fn factor(factor: TableFactor, uses_value: bool) -> TableFactor {
    match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } => TableFactor::NestedJoin {
            table_with_joins: Box::new(folded(*table_with_joins, uses_value)),
            alias,
        },
        TableFactor::Table {
            name,
            alias,
            args: Some(args),
            with_ordinality,
            ..
        } if is_series(&name)
            && !(alias.is_none() && uses_value && !with_ordinality && literals(&args.args)) =>
        {
            series(name, args.args, alias, with_ordinality, uses_value)
        }
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality,
            ..
        } if is_series(&name) => series(name, args, alias, with_ordinality, uses_value),
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality,
            ..
        } if name.to_string().eq_ignore_ascii_case("unnest") => TableFactor::UNNEST {
            alias,
            array_exprs: exprs(&args),
            with_offset: false,
            with_offset_alias: None,
            with_ordinality,
        },
        other => other,
    }
}

fn is_series(name: &ObjectName) -> bool {
    name.to_string().eq_ignore_ascii_case("generate_series")
}

/// A series with PostgreSQL's names: the column is called as the series is.
fn series(
    name: ObjectName,
    args: Vec<FunctionArg>,
    alias: Option<TableAlias>,
    with_ordinality: bool,
    uses_value: bool,
) -> TableFactor {
    let exprs = exprs(&args);
    let mut alias = alias.unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new("generate_series"),
        columns: vec![],
        at: None,
    });
    if alias.columns.is_empty() {
        let column = if uses_value {
            Ident::new("value")
        } else {
            alias.name.clone()
        };
        alias.columns.push(TableAliasColumnDef {
            name: column,
            data_type: None,
        });
        if with_ordinality {
            alias
                .columns
                .push(TableAliasColumnDef::from_name("ordinality"));
        }
    }
    // A series of written-out numbers is made row by row, without a list.
    if exprs.iter().all(is_number) && !with_ordinality {
        let args = datafusion::sql::sqlparser::ast::TableFunctionArgs {
            args,
            settings: None,
        };
        return TableFactor::Table {
            name,
            alias: Some(alias),
            args: Some(args),
            with_hints: vec![],
            version: None,
            with_ordinality: false,
            partitions: vec![],
            json_path: None,
            sample: None,
            index_hints: vec![],
        };
    }
    TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: vec![call("generate_series", exprs)],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality,
    }
}

fn exprs(args: &[FunctionArg]) -> Vec<Expr> {
    args.iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

fn literals(args: &[FunctionArg]) -> bool {
    args.iter().all(
        |arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if is_number(expr)),
    )
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => is_number(expr),
        _ => false,
    }
}

fn nested(of: TableWithJoins) -> TableFactor {
    TableFactor::NestedJoin {
        table_with_joins: Box::new(of),
        alias: None,
    }
}

fn nested_unless_plain(of: TableWithJoins) -> TableFactor {
    if of.joins.is_empty() {
        of.relation
    } else {
        nested(of)
    }
}

fn cross(relation: TableFactor) -> Join {
    Join {
        relation,
        global: false,
        join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
    }
}
