//! Conditions, with subqueries where they are allowed.

use super::{Generator, Select};
use crate::fuzz::features::Feature;
use crate::fuzz::tables::{Kind, TABLES};
use crate::fuzz::text;

/// What a subquery of another table gives.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    One,
    Rows,
    /// A function of an expression of a kind.
    Of(&'static str, Kind),
}

impl Generator<'_> {
    /// A condition. `subqueries`: whether it may hold some; joins and CASE take none.
    pub(super) fn predicate(&mut self, depth: u32, subqueries: bool) -> String {
        if depth > 0 && self.choices.chance(35) {
            let (a, b) = (
                self.predicate(depth - 1, subqueries),
                self.predicate(depth - 1, false),
            );
            return match self.choices.below(4) {
                0 => format!("({a} and {b})"),
                1 => format!("({a} or {b})"),
                2 => format!("not ({a})"),
                _ => format!("({a} and not ({b}))"),
            };
        }
        if subqueries && self.subqueries_left > 0 && self.choices.chance(28) {
            self.subqueries_left -= 1;
            let made = self.with_subquery(depth);
            self.subqueries_left += 1;
            if let Some(made) = made {
                return made;
            }
        }
        self.comparison(depth)
    }

    fn comparison(&mut self, depth: u32) -> String {
        let kind = self.kind();
        match self.choices.below(10) {
            0 => {
                let value = self.plain(kind);
                let is = self.pick(&["is null", "is not null"]);
                format!("{value} {is}")
            }
            1 => {
                let (value, a, b, c) = (
                    self.plain(kind),
                    self.constant(kind),
                    self.constant(kind),
                    self.constant(kind),
                );
                let within = self.pick(&["in", "not in"]);
                format!("{value} {within} ({a}, {b}, {c})")
            }
            2 if kind != Kind::Bool => {
                let (value, a, b) = (self.plain(kind), self.constant(kind), self.constant(kind));
                let between = self.pick(&["between", "not between"]);
                format!("{value} {between} {a} and {b}")
            }
            3 => {
                let (a, b) = (self.plain(kind), self.plain(kind));
                let distinct = self.pick(&["is distinct from", "is not distinct from"]);
                format!("({a} {distinct} {b})")
            }
            4 => {
                let value = self.expression(Kind::Text, depth.min(1));
                let like = self.pick(&["like", "not like"]);
                let pattern = self.pick(&["%o%", "w%", "_o%", "%", "Ana", "%e"]);
                format!("{value} {like} '{pattern}'")
            }
            5 if kind == Kind::Bool => self.column(kind).unwrap_or_else(|| "true".to_owned()),
            _ => {
                let operator = self.pick(&["=", "<", ">", "<=", ">=", "<>"]);
                let (a, b) = (
                    self.expression(kind, depth.min(1)),
                    self.expression(kind, depth.min(1)),
                );
                format!("{a} {operator} {b}")
            }
        }
    }

    /// A condition that asks another table; `None` where the columns in scope do not allow for one.
    pub(super) fn with_subquery(&mut self, depth: u32) -> Option<String> {
        let of = [
            (self.weight(4, Feature::InSubquery), "in"),
            (self.weight(3, Feature::NotInSubquery), "not in"),
            (self.weight(4, Feature::Exists), "exists"),
            (self.weight(3, Feature::Exists), "not exists"),
            (self.weight(3, Feature::ScalarSubquery), "scalar"),
            (self.weight(3, Feature::CorrelatedScalar), "correlated"),
            (self.weight(1, Feature::Quantified), "quantified"),
        ];
        match self.choices.weighted(&of)? {
            "in" => Some(self.membership("in", depth)),
            "not in" => Some(self.membership("not in", depth)),
            "exists" => Some(format!("exists ({})", self.correlated(What::One, 15)?)),
            "not exists" => Some(format!("not exists ({})", self.correlated(What::One, 15)?)),
            "scalar" => {
                let kind = self.comparable();
                let (value, operator) = (
                    self.plain(kind),
                    self.pick(&["=", "<", ">", "<=", ">=", "<>"]),
                );
                Some(format!("{value} {operator} ({})", self.scalar(kind)))
            }
            "correlated" => {
                let kind = self.comparable();
                let (value, operator) = (
                    self.plain(kind),
                    self.pick(&["=", "<", ">", "<=", ">=", "<>"]),
                );
                Some(format!(
                    "{value} {operator} ({})",
                    self.correlated_scalar(kind)?
                ))
            }
            _ => {
                let kind = self.comparable();
                let (value, operator) = (
                    self.plain(kind),
                    self.pick(&["<", ">", "<=", ">=", "=", "<>"]),
                );
                let of = self.pick(&["all", "any"]);
                let inner = self.one_column(kind);
                Some(format!("{value} {operator} {of} ({})", inner.sql))
            }
        }
    }

    fn comparable(&mut self) -> Kind {
        self.choices
            .one_of(&[Kind::Int, Kind::Money, Kind::Date, Kind::Text])
            .unwrap_or(Kind::Int)
    }

    fn membership(&mut self, within: &str, depth: u32) -> String {
        let kind = self
            .choices
            .one_of(&[Kind::Int, Kind::Int, Kind::Text, Kind::Date, Kind::Money])
            .unwrap_or(Kind::Int);
        let value = self.expression(kind, depth.min(1));
        let inner = self.one_column(kind);
        format!("{value} {within} ({})", inner.sql)
    }

    /// A query of one column that knows nothing of what is around it.
    fn one_column(&mut self, kind: Kind) -> Select {
        let around = std::mem::take(&mut self.scope);
        let select = self.select(0, &[kind]);
        self.scope = around;
        select
    }

    /// A query of one value, over the whole of a FROM.
    pub(super) fn scalar(&mut self, kind: Kind) -> String {
        let around = std::mem::take(&mut self.scope);
        let from = self.from(0);
        self.scope.push(from.columns.clone());
        let value = self.one_value(kind);
        let filter = if self.choices.chance(50) {
            format!(" where {}", self.predicate(1, false))
        } else {
            String::new()
        };
        self.scope = around;
        format!("select {value} from {}{filter}", from.sql)
    }

    fn one_value(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Int => match self.choices.below(3) {
                0 => "count(*)".to_owned(),
                1 => format!("max({})", self.expression(kind, 1)),
                _ => format!("min({})", self.expression(kind, 1)),
            },
            Kind::Money if self.choices.chance(30) => format!("sum({})", self.plain(kind)),
            _ => {
                let function = self.pick(&["max", "min"]);
                format!("{function}({})", self.expression(kind, 1))
            }
        }
    }

    /// The value of a group of another table that belongs to the row.
    pub(super) fn correlated_scalar(&mut self, kind: Kind) -> Option<String> {
        let function = match kind {
            Kind::Int => self.pick(&["count", "max", "min", "sum"]),
            Kind::Money => self.pick(&["sum", "max", "min"]),
            _ => self.pick(&["max", "min"]),
        };
        let what = if function == "count" {
            What::Rows
        } else {
            What::Of(function, kind)
        };
        self.correlated(what, 0)
    }

    /// `select what from table where table.key = outer.key …`. `other`: how often in a hundred the tables meet in
    /// another way than by equality.
    pub(super) fn correlated(&mut self, what: What, other: u32) -> Option<String> {
        let outer = self.named(Kind::Int);
        let tables: Vec<_> = TABLES
            .iter()
            .filter(|t| !t.is_view() || self.on(Feature::View))
            .collect();
        let table = *tables.get(self.choices.below(tables.len() as u32) as usize)?;
        let alias = self.name('t');
        let keys: Vec<_> = table
            .columns
            .iter()
            .filter(|c| c.1 == Kind::Int)
            .map(|c| c.0)
            .collect();
        // Columns of the same name on both sides are what people correlate by.
        let pairs: Vec<(&str, &String)> = keys
            .iter()
            .flat_map(|key| outer.iter().map(move |o| (*key, o)))
            .filter(|(key, o)| o.rsplit('.').next() == Some(*key))
            .collect();
        let (inner, outer) = if pairs.is_empty() || self.choices.chance(20) {
            if outer.is_empty() {
                return None;
            }
            let inner = self.choices.one_of(&keys)?;
            (
                inner,
                outer.get(self.choices.below(outer.len() as u32) as usize)?,
            )
        } else {
            *pairs.get(self.choices.below(pairs.len() as u32) as usize)?
        };
        let operator = if self.choices.chance(other) {
            self.pick(&["<", ">", "<>"])
        } else {
            "="
        };
        let own = table
            .columns
            .iter()
            .map(|(name, kind, _)| super::Column {
                name: format!("{alias}.{name}"),
                kind: *kind,
            })
            .collect();
        self.scope.push(own);
        let what = match what {
            What::One => "1".to_owned(),
            What::Rows => "count(*)".to_owned(),
            What::Of(function, kind) => format!("{function}({})", self.plain(kind)),
        };
        let filter = if self.choices.chance(40) {
            format!(" and {}", self.predicate(1, false))
        } else {
            String::new()
        };
        self.scope.pop();
        Some(format!(
            "select {what} from {} as {alias} where {alias}.{inner} {operator} {outer}{filter}",
            text::table(table.name)
        ))
    }
}
