//! Keys of JOIN … USING and NATURAL JOIN: one column, which has the value of the side that has a row.
//!
//! The engine takes the left side's column, which is NULL where a RIGHT or FULL join has no left row, and orders `SELECT *` by
//! its own rule. So the statement is rewritten: USING becomes ON, and the key what it stands for.
//!
//! ```text
//! SELECT k, x FROM a FULL JOIN b USING (k)
//! SELECT coalesce(a.k, b.k) AS k, x FROM a FULL JOIN b ON a.k = b.k
//! ```
//!
//! That needs the columns of each relation in FROM; they are planned first, with the WITH clauses that they see.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;

use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::execution::context::SessionState;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Cte, ExcludeSelectItem, Expr, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem,
    SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, Value, VisitorMut, With,
};

use crate::walk;

use super::ast::{normal, written_columns};
use super::scope::{Names, Scope};
use super::sets;

/// The columns of relations, by their text.
type Columns = HashMap<String, Vec<String>>;

/// Rewrites all joins of these kinds in a statement.
///
/// # Errors
/// A key is not in both sides, or more than once in one.
pub(crate) async fn merge_keys(state: &SessionState, mut parsed: Parsed) -> Result<Parsed> {
    loop {
        let Parsed::Statement(statement) = &mut parsed else {
            return Ok(parsed);
        };
        let mut next = Next::default();
        if let ControlFlow::Break(()) = walk::visit_mut(statement, &mut next) {
            let mut columns = Columns::new();
            for relation in next.relations {
                let key = relation.to_string();
                if let Entry::Vacant(unknown) = columns.entry(key) {
                    unknown.insert(columns_of(state, relation, &next.seen).await?);
                }
            }
            let mut merge = Merge { columns };
            match walk::visit_mut(statement, &mut merge) {
                ControlFlow::Break(Ok(())) => {}
                ControlFlow::Break(Err(error)) => return Err(error),
                ControlFlow::Continue(()) => return Ok(parsed),
            }
        } else {
            return Ok(parsed);
        }
    }
}

async fn columns_of(
    state: &SessionState,
    relation: TableFactor,
    seen: &[Cte],
) -> Result<Vec<String>> {
    let mut query = sets::query(SetExpr::Select(Box::new(sets::all_of(relation))));
    if !seen.is_empty() {
        query.with = Some(With {
            with_token:
                datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
            recursive: true,
            cte_tables: seen.to_vec(),
        });
    }
    let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
    let plan = Box::pin(state.statement_to_plan(statement)).await?;
    Ok(plan
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect())
}

/// Finds the innermost query that has such a join, and the relations whose columns it needs.
#[derive(Default)]
struct Next {
    with: Vec<Vec<Cte>>,
    seen: Vec<Cte>,
    relations: Vec<TableFactor>,
}

impl VisitorMut for Next {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let own = query.with.as_ref().map(|w| w.cte_tables.clone());
        self.with.push(own.unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if has_keys(&query.body) {
            let mut finder = Leaves(&mut self.relations);
            let _ = walk::visit_mut(&mut query.body, &mut finder);
            if let Some(order) = &mut query.order_by {
                let _ = walk::visit_mut(order, &mut finder);
            }
            for cte in self.with.iter().flatten() {
                self.seen.retain(|known| known.alias.name != cte.alias.name);
                self.seen.push(cte.clone());
            }
            return ControlFlow::Break(());
        }
        self.with.pop();
        ControlFlow::Continue(())
    }
}

/// Collects the relations of all FROM clauses, also in subqueries.
struct Leaves<'a>(&'a mut Vec<TableFactor>);

impl VisitorMut for Leaves<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if needs_planning(factor) {
            self.0.push(factor.clone());
        }
        ControlFlow::Continue(())
    }
}

/// Relations whose columns are not written in the statement.
fn needs_planning(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::NestedJoin { .. } | TableFactor::UNNEST { .. } => false,
        TableFactor::Derived { lateral, .. } => !lateral,
        _ => true,
    }
}

fn has_keys(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.from.iter().any(joins_by_key),
        SetExpr::SetOperation { left, right, .. } => has_keys(left) || has_keys(right),
        _ => false,
    }
}

fn joins_by_key(from: &TableWithJoins) -> bool {
    let nested = |factor: &TableFactor| matches!(factor, TableFactor::NestedJoin { table_with_joins, .. } if joins_by_key(table_with_joins));
    nested(&from.relation)
        || from.joins.iter().any(|join| {
            nested(&join.relation)
                || matches!(
                    constraint_of(&join.join_operator),
                    Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
                )
        })
}

fn constraint_of(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as Op;
    match operator {
        Op::Join(c)
        | Op::Inner(c)
        | Op::Left(c)
        | Op::LeftOuter(c)
        | Op::Right(c)
        | Op::RightOuter(c)
        | Op::FullOuter(c)
        | Op::Semi(c)
        | Op::LeftSemi(c)
        | Op::RightSemi(c)
        | Op::Anti(c)
        | Op::LeftAnti(c)
        | Op::RightAnti(c) => Some(c),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator as Op;
    match operator {
        Op::Join(c)
        | Op::Inner(c)
        | Op::Left(c)
        | Op::LeftOuter(c)
        | Op::Right(c)
        | Op::RightOuter(c)
        | Op::FullOuter(c)
        | Op::Semi(c)
        | Op::LeftSemi(c)
        | Op::RightSemi(c)
        | Op::Anti(c)
        | Op::LeftAnti(c)
        | Op::RightAnti(c) => Some(c),
        _ => None,
    }
}

/// Rewrites the query that [`Next`] found, and stops there.
struct Merge {
    columns: Columns,
}

impl VisitorMut for Merge {
    type Break = Result<()>;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Result<()>> {
        if !has_keys(&query.body) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(self.query(query))
    }
}

impl Merge {
    fn query(&self, query: &mut Query) -> Result<()> {
        let scope = self.body(&mut query.body)?;
        let (Some(scope), SetExpr::Select(select)) = (scope, query.body.as_ref()) else {
            return Ok(());
        };
        let mut names = Names::new(&scope, &self.columns);
        if let Some(order) = &mut query.order_by
            && let datafusion::sql::sqlparser::ast::OrderByKind::Expressions(exprs) =
                &mut order.kind
        {
            for by in exprs {
                if let Expr::Identifier(name) = &by.expr
                    && let Some(position) = output(select, &name.value)
                {
                    by.expr = Expr::value(Value::Number(position.to_string(), false));
                    continue;
                }
                names.replace(&mut by.expr)?;
            }
        }
        Ok(())
    }

    /// The scope of the query's select, if it is one.
    fn body(&self, body: &mut SetExpr) -> Result<Option<Scope>> {
        match body {
            SetExpr::Select(select) if select.from.iter().any(joins_by_key) => {
                self.select(select).map(Some)
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left)?;
                self.body(right)?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn select(&self, select: &mut Select) -> Result<Scope> {
        let mut unnamed = 0;
        let mut scope = Scope::default();
        for from in &mut select.from {
            scope = scope.beside(self.joined(from, &mut unnamed)?);
        }
        let mut names = Names::new(&scope, &self.columns);
        let mut projection = vec![];
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(options) => {
                    let plain = options.opt_ilike.is_none()
                        && options.opt_except.is_none()
                        && options.opt_replace.is_none()
                        && options.opt_rename.is_none();
                    if !plain {
                        return plan_err!(
                            "with a join by USING, SELECT * takes no more than EXCLUDE; name the columns"
                        );
                    }
                    let left_out: Vec<String> = match options.opt_exclude {
                        None => vec![],
                        Some(ExcludeSelectItem::Single(name)) => vec![name.to_string()],
                        Some(ExcludeSelectItem::Multiple(names)) => {
                            names.iter().map(ToString::to_string).collect()
                        }
                    };
                    projection.extend(scope.all_but(&left_out)?);
                }
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                    let mut expr = Expr::Identifier(name.clone());
                    names.replace(&mut expr)?;
                    projection.push(match expr {
                        Expr::Identifier(_) => SelectItem::UnnamedExpr(expr),
                        expr => SelectItem::ExprWithAlias { expr, alias: name },
                    });
                }
                mut item => {
                    names.replace(&mut item)?;
                    projection.push(item);
                }
            }
        }
        select.projection = projection;
        names.replace(&mut select.selection)?;
        names.replace(&mut select.group_by)?;
        names.replace(&mut select.having)?;
        names.replace(&mut select.qualify)?;
        names.replace(&mut select.named_window)?;
        names.replace(&mut select.distinct)?;
        Ok(scope)
    }

    fn joined(&self, from: &mut TableWithJoins, unnamed: &mut usize) -> Result<Scope> {
        let mut scope = self.leaf(&mut from.relation, unnamed)?;
        for join in &mut from.joins {
            let right = self.leaf(&mut join.relation, unnamed)?;
            let operator = join.join_operator.clone();
            let Some(constraint) = constraint_mut(&mut join.join_operator) else {
                scope = scope.beside(right);
                continue;
            };
            let keys = match constraint {
                JoinConstraint::Using(keys) => keys
                    .iter()
                    .map(|key| match key.0.as_slice() {
                        [part] => part.as_ident().map(normal),
                        _ => None,
                    })
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| plan_datafusion_err!("USING takes names of columns"))?,
                JoinConstraint::Natural => scope.common(&right),
                JoinConstraint::On(condition) => {
                    let both = scope.clone().beside(right.clone());
                    Names::new(&both, &self.columns).replace(condition)?;
                    scope = scope.joined(right, &operator, &[])?.0;
                    continue;
                }
                JoinConstraint::None => {
                    scope = scope.joined(right, &operator, &[])?.0;
                    continue;
                }
            };
            let (merged, on) = scope.joined(right, &operator, &keys)?;
            *constraint = match on {
                Some(on) => JoinConstraint::On(on),
                // A natural join without common columns joins all rows.
                None => JoinConstraint::On(Expr::value(Value::Boolean(true))),
            };
            scope = merged;
        }
        Ok(scope)
    }

    fn leaf(&self, factor: &mut TableFactor, unnamed: &mut usize) -> Result<Scope> {
        if let TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } = factor
        {
            if alias.is_some() && joins_by_key(table_with_joins) {
                return plan_err!(
                    "a join by USING in parentheses has no name of its own; use a subquery"
                );
            }
            return self.joined(table_with_joins, unnamed);
        }
        let columns = self.names_of(factor)?;
        let qualifier = match factor {
            TableFactor::Table {
                name, alias: None, ..
            } => name
                .0
                .iter()
                .map(|part| part.as_ident().cloned())
                .collect::<Option<Vec<_>>>()
                .unwrap_or_default(),
            TableFactor::Table {
                alias: Some(alias), ..
            }
            | TableFactor::Function {
                alias: Some(alias), ..
            }
            | TableFactor::UNNEST {
                alias: Some(alias), ..
            }
            | TableFactor::Derived {
                alias: Some(alias), ..
            } => vec![alias.name.clone()],
            TableFactor::Derived { alias, .. } => {
                *unnamed += 1;
                let name = Ident::new(format!("__unnamed_{unnamed}"));
                *alias = Some(TableAlias {
                    explicit: true,
                    name: name.clone(),
                    columns: vec![],
                    at: None,
                });
                vec![name]
            }
            TableFactor::UNNEST { .. } => vec![Ident::new("unnest")],
            other => return plan_err!("{other} cannot be joined by USING; write ON"),
        };
        Ok(Scope::of(qualifier, columns))
    }

    fn names_of(&self, factor: &TableFactor) -> Result<Vec<String>> {
        if let Some(columns) = self.columns.get(&factor.to_string()) {
            return Ok(columns.clone());
        }
        written_columns(factor).ok_or_else(|| {
            plan_datafusion_err!(
                "the columns of {factor} are not known here; write ON in place of USING"
            )
        })
    }
}

/// The position, from 1, of a select's output of this name, if all before it are single columns.
fn output(select: &Select, name: &str) -> Option<usize> {
    let mut at = None;
    for (i, item) in select.projection.iter().enumerate() {
        let own = match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last(),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name),
            SelectItem::UnnamedExpr(_) => None,
            _ => return at,
        };
        if own.is_some_and(|own| normal(own).eq_ignore_ascii_case(name)) {
            at = at.or(Some(i + 1));
        }
    }
    at
}
