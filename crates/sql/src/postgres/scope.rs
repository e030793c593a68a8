//! What the names of a FROM clause stand for.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinOperator, Select, SelectItem, TableFactor, TableWithJoins, VisitMut,
    VisitorMut,
};

use crate::walk;

use super::ast::{all_equal, call, ended, normal, written_columns};

/// The columns that a FROM clause shows, in the order of `SELECT *`.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    columns: Vec<Column>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// A qualified column, or what a key of two sides stands for.
    stands_for: Expr,
    is_key: bool,
}

impl Scope {
    /// The columns of one relation.
    pub(super) fn of(qualifier: Vec<Ident>, columns: Vec<String>) -> Self {
        let columns = columns.into_iter().map(|name| {
            let mut parts = qualifier.clone();
            parts.push(Ident::with_quote('"', name.clone()));
            Column {
                name,
                stands_for: Expr::CompoundIdentifier(parts),
                is_key: false,
            }
        });
        Self {
            columns: columns.collect(),
        }
    }

    /// Both, one after the other.
    pub(super) fn beside(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    /// Names that both sides have, in the order of the left one.
    pub(super) fn common(&self, right: &Self) -> Vec<String> {
        let has = |name: &str| right.columns.iter().any(|c| c.name == name);
        let names = self.columns.iter().filter(|c| has(&c.name));
        names.map(|c| c.name.clone()).collect()
    }

    /// A join by keys, and the condition that it is.
    ///
    /// # Errors
    /// A key is missing in a side, or there more than once.
    pub(super) fn joined(
        self,
        right: Self,
        operator: &JoinOperator,
        keys: &[String],
    ) -> Result<(Self, Option<Expr>)> {
        use JoinOperator as Op;
        let mut pairs = vec![];
        let mut merged = vec![];
        for key in keys {
            let left_key = self.one(key, "left")?;
            let right_key = right.one(key, "right")?;
            pairs.push((left_key.clone(), right_key.clone()));
            let stands_for = match operator {
                Op::Right(_) | Op::RightOuter(_) | Op::RightSemi(_) | Op::RightAnti(_) => right_key,
                Op::FullOuter(_) => call("coalesce", vec![left_key, right_key]),
                _ => left_key,
            };
            merged.push(Column {
                name: key.clone(),
                stands_for,
                is_key: true,
            });
        }
        let others = |side: Self| {
            let others = side.columns.into_iter();
            others
                .filter(|c| !keys.contains(&c.name))
                .collect::<Vec<_>>()
        };
        let (keeps_left, keeps_right) = match operator {
            Op::Semi(_) | Op::LeftSemi(_) | Op::Anti(_) | Op::LeftAnti(_) => (true, false),
            Op::RightSemi(_) | Op::RightAnti(_) => (false, true),
            _ => (true, true),
        };
        let mut columns = merged;
        if keeps_left {
            columns.extend(others(self));
        }
        if keeps_right {
            columns.extend(others(right));
        }
        Ok((Self { columns }, all_equal(pairs)))
    }

    fn one(&self, key: &str, side: &str) -> Result<Expr> {
        let mut found = self.columns.iter().filter(|c| c.name == key);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column.stands_for.clone()),
            (None, _) => plan_err!(
                "the join is by column '{key}', which its {side} side does not have; it has {}",
                self.list()
            ),
            _ => plan_err!(
                "the join is by column '{key}', which its {side} side has more than once; join ON the one that is meant"
            ),
        }
    }

    fn list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
        names.join(", ")
    }

    /// `SELECT *` without some columns.
    ///
    /// # Errors
    /// There is no column of that name.
    pub(super) fn all_but(&self, left_out: &[String]) -> Result<Vec<SelectItem>> {
        let same = |column: &Column, name: &str| {
            name.trim_matches('"') == column.name || name.to_lowercase() == column.name
        };
        for name in left_out {
            if !self.columns.iter().any(|c| same(c, name)) {
                return plan_err!(
                    "EXCLUDE names '{name}', which is no column here; there are {}",
                    self.list()
                );
            }
        }
        let kept = self
            .columns
            .iter()
            .filter(|c| !left_out.iter().any(|name| same(c, name)));
        let items = kept.map(|column| match &column.stands_for {
            Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(column.stands_for.clone()),
            expr => SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::with_quote('"', column.name.clone()),
            },
        });
        Ok(items.collect())
    }
}

/// Puts what keys stand for in place of their names, also in subqueries that see them.
pub(super) struct Names<'a> {
    keys: HashMap<&'a str, &'a Expr>,
    columns: &'a HashMap<String, Vec<String>>,
    /// Names that subqueries around this place have of their own.
    hidden: Vec<Vec<String>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(scope: &'a Scope, columns: &'a HashMap<String, Vec<String>>) -> Self {
        let keys = scope.columns.iter().filter(|c| c.is_key);
        Self {
            keys: keys.map(|c| (c.name.as_str(), &c.stands_for)).collect(),
            columns,
            hidden: vec![],
        }
    }

    /// # Errors
    /// A subquery reads relations whose columns are not known.
    pub(super) fn replace(&mut self, part: &mut impl VisitMut) -> Result<()> {
        ended(walk::visit_mut(part, self))
    }

    fn columns_in(&self, from: &TableWithJoins, out: &mut Vec<String>) -> Result<()> {
        let factors = std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation));
        for factor in factors {
            match factor {
                TableFactor::NestedJoin {
                    table_with_joins, ..
                } => self.columns_in(table_with_joins, out)?,
                factor => {
                    let columns = self.columns.get(&factor.to_string()).cloned();
                    let columns = columns.or_else(|| written_columns(factor)).ok_or_else(|| {
                        plan_datafusion_err!(
                            "the columns of {factor} are not known here; write ON in place of USING"
                        )
                    })?;
                    out.extend(columns);
                }
            }
        }
        Ok(())
    }
}

impl VisitorMut for Names<'_> {
    type Break = DataFusionError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        let mut own = vec![];
        for from in &select.from {
            if let Err(error) = self.columns_in(from, &mut own) {
                return ControlFlow::Break(error);
            }
        }
        self.hidden.push(own);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<DataFusionError> {
        self.hidden.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        if let Expr::Identifier(name) = expr {
            let name = normal(name);
            let is_hidden = self.hidden.iter().any(|own| own.contains(&name));
            if let (false, Some(key)) = (is_hidden, self.keys.get(name.as_str())) {
                *expr = (*key).clone();
            }
        }
        ControlFlow::Continue(())
    }
}
