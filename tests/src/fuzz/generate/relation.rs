//! What stands after FROM: tables, views, subqueries, VALUES, CTEs, and joins of every kind between them.

use super::{Column, From, Generator, Select};
use crate::fuzz::features::Feature;
use crate::fuzz::tables::{Kind, TABLES};
use crate::fuzz::text::{self, either};

/// More rows than this are not joined further.
const MANY: u64 = 1_500;
/// More pairs than this need an equality between them.
const PAIRS: u64 = 3_000;

impl Generator<'_> {
    /// A FROM. With `depth` 0 of tables alone.
    pub(super) fn from(&mut self, depth: u32) -> From {
        let mut from = self.relation(depth);
        let joins = self
            .choices
            .weighted(&[(50, 0), (36, 1), (12, 2), (2, 3)])
            .unwrap_or(0);
        for _ in 0..joins {
            if from.rows > MANY {
                break;
            }
            if self.chance(5, Feature::Lateral)
                && let Some(joined) = self.lateral(&from)
            {
                from = joined;
                continue;
            }
            let right = self.relation(depth.saturating_sub(1));
            from = self.join(from, right);
            if from.table.as_ref().is_some_and(|(name, _)| *name == USED) {
                // A name that USING merged would be ambiguous beside a third table's.
                break;
            }
        }
        from
    }

    /// One relation with its alias.
    pub(super) fn relation(&mut self, depth: u32) -> From {
        let ctes = if self.ctes.is_empty() { 0 } else { 30 };
        let deep = if depth > 0 { 1 } else { 0 };
        let of = [
            (70, "table"),
            (self.weight(10, Feature::View), "view"),
            (ctes, "cte"),
            (22 * deep, "subquery"),
            (self.weight(6, Feature::Values), "values"),
        ];
        match self.choices.weighted(&of).unwrap_or("table") {
            "view" => self.table(true),
            "cte" => {
                let at = self.choices.below(self.ctes.len() as u32) as usize;
                match self.ctes.get(at).cloned() {
                    Some((name, select)) => self.derived(&name, &select),
                    None => self.table(false),
                }
            }
            "subquery" => {
                let kinds = self.kinds(1, 4);
                let select = self.limited(depth - 1, &kinds);
                self.derived(&format!("({})", select.sql), &select)
            }
            "values" => self.values(),
            _ => self.table(false),
        }
    }

    /// A join with what a subquery gives for each row.
    fn lateral(&mut self, left: &From) -> Option<From> {
        self.scope.push(left.columns.clone());
        let kind = self
            .choices
            .one_of(&[Kind::Int, Kind::Money, Kind::Date])
            .unwrap_or(Kind::Int);
        let made = self.correlated_scalar(kind);
        self.scope.pop();
        let (alias, column) = (self.name('t'), self.name('c'));
        let (from, made) = (&left.sql, made?);
        let join = match self.choices.below(2) {
            0 => format!("{from} cross join lateral ({made}) as {alias}({column})"),
            _ => format!("{from} left join lateral ({made}) as {alias}({column}) on true"),
        };
        let mut columns = left.columns.clone();
        columns.push(Column {
            name: format!("{alias}.{column}"),
            kind,
        });
        Some(From {
            sql: join,
            columns,
            table: None,
            ..left.clone()
        })
    }

    fn table(&mut self, view: bool) -> From {
        let tables: Vec<_> = TABLES.iter().filter(|t| t.is_view() == view).collect();
        // Products first: it has one file. Sales have many.
        let weights = [30, 40, 15, 12, 18, 8];
        let of: Vec<_> = weights.into_iter().zip(tables).collect();
        let Some(table) = self.choices.weighted(&of) else {
            return self.values();
        };
        let alias = self.name('t');
        let column = |(name, kind, _): &(&str, Kind, &str)| Column {
            name: format!("{alias}.{name}"),
            kind: *kind,
        };
        let columns: Vec<Column> = table.columns.iter().map(column).collect();
        let key = match table.key {
            "" => columns.iter().map(|c| c.name.clone()).collect(),
            key => vec![format!("{alias}.{key}")],
        };
        From {
            sql: format!("{} as {alias}", text::table(table.name)),
            unique: !table.key.is_empty(),
            columns,
            key,
            rows: table.rows,
            table: Some((table.name, alias)),
        }
    }

    /// A query or a CTE, under an alias.
    pub(super) fn derived(&mut self, sql: &str, select: &Select) -> From {
        let alias = self.name('t');
        let columns: Vec<Column> = select
            .names
            .iter()
            .zip(&select.kinds)
            .map(|(name, kind)| Column {
                name: format!("{alias}.{name}"),
                kind: *kind,
            })
            .collect();
        From {
            sql: format!("{sql} as {alias}"),
            key: columns.iter().map(|c| c.name.clone()).collect(),
            unique: false,
            columns,
            rows: select.rows,
            table: None,
        }
    }

    fn values(&mut self) -> From {
        let alias = self.name('t');
        let kinds = self.kinds(1, 3);
        let count = 1 + self.choices.below(3);
        let mut rows = vec![];
        for _ in 0..count {
            let cells: Vec<String> = kinds
                .iter()
                .map(|kind| {
                    let value = self.constant(*kind);
                    // The first row must not leave a column's type open.
                    format!("cast({value} as {})", super::expression::type_of(*kind))
                })
                .collect();
            rows.push(format!("({})", cells.join(", ")));
        }
        let names: Vec<String> = kinds.iter().map(|_| self.name('c')).collect();
        let columns: Vec<Column> = names
            .iter()
            .zip(&kinds)
            .map(|(name, kind)| Column {
                name: format!("{alias}.{name}"),
                kind: *kind,
            })
            .collect();
        From {
            sql: format!(
                "(values {}) as {alias}({})",
                rows.join(", "),
                names.join(", ")
            ),
            key: columns.iter().map(|c| c.name.clone()).collect(),
            unique: false,
            columns,
            rows: u64::from(count),
            table: None,
        }
    }

    pub(super) fn kinds(&mut self, least: u32, most: u32) -> Vec<Kind> {
        let count = least + self.choices.below(most - least + 1);
        (0..count).map(|_| self.kind()).collect()
    }

    fn join(&mut self, left: From, right: From) -> From {
        let pairs = left.rows.max(1) * right.rows.max(1);
        let cross = if pairs <= PAIRS {
            self.weight(5, Feature::CrossJoin)
        } else {
            0
        };
        let semi = self.weight(6, Feature::SemiJoin);
        let of = [
            (30, "join"),
            (self.weight(20, Feature::OuterJoin), "left join"),
            (self.weight(14, Feature::OuterJoin), "right join"),
            (self.weight(14, Feature::FullJoin), "full join"),
            (cross, "cross join"),
            (semi, "semi"),
            (semi, "anti"),
        ];
        let kind = self.choices.weighted(&of).unwrap_or("join");
        if kind == "cross join" {
            let sql = format!("{} cross join {}", left.sql, right.sql);
            return both(left, right, sql, pairs);
        }
        if let Some(joined) = self.join_using(kind, &left, &right) {
            return joined;
        }
        let (on, equal) = self.condition(&left, &right, pairs <= PAIRS);
        let rows = if equal {
            left.rows.max(right.rows) * 3
        } else {
            pairs
        };
        match kind {
            "semi" | "anti" => From {
                sql: format!(
                    "{} {} {} on {on}",
                    left.sql,
                    either(&format!("left {kind} join"), &format!("{kind} join")),
                    right.sql
                ),
                ..left
            },
            _ => {
                let sql = format!("{} {kind} {} on {on}", left.sql, right.sql);
                both(left, right, sql, rows)
            }
        }
    }

    /// A join of two tables by the name of a column of both.
    fn join_using(&mut self, kind: &str, left: &From, right: &From) -> Option<From> {
        let of_one_table = |from: &From| match &from.table {
            Some((name, alias)) if *name != USED => Some(alias.clone()),
            _ => None,
        };
        let (a, b) = (of_one_table(left)?, of_one_table(right)?);
        let outer = matches!(kind, "right join" | "full join");
        let feature = if outer {
            Feature::OuterUsing
        } else {
            Feature::Using
        };
        if matches!(kind, "semi" | "anti") || !self.chance(30, feature) {
            return None;
        }
        let shared: Vec<Column> = left
            .columns
            .iter()
            .filter_map(|column| {
                let bare = column.name.strip_prefix(&format!("{a}."))?;
                let other = format!("{b}.{bare}");
                let same = right
                    .columns
                    .iter()
                    .any(|c| c.name == other && c.kind == column.kind);
                (same && column.kind == Kind::Int).then(|| Column {
                    name: bare.to_owned(),
                    kind: column.kind,
                })
            })
            .collect();
        let merged = shared
            .get(self.choices.below(shared.len() as u32) as usize)?
            .clone();
        let sql = format!("{} {kind} {} using ({})", left.sql, right.sql, merged.name);
        let rows = left.rows.max(right.rows) * 3;
        let mut joined = both(left.clone(), right.clone(), sql, rows);
        // Named alone, so that it is used often.
        let merged_from = [
            format!("{a}.{}", merged.name),
            format!("{b}.{}", merged.name),
        ];
        if self.choices.chance(70) {
            joined.columns.retain(|c| !merged_from.contains(&c.name));
        }
        joined.columns.insert(0, merged);
        joined.table = Some((USED, String::new()));
        Some(joined)
    }

    /// A condition between two sides, and whether it holds an equality between them.
    fn condition(&mut self, left: &From, right: &From, may_be_wide: bool) -> (String, bool) {
        if may_be_wide && self.chance(14, Feature::NonEquiJoin) {
            for kind in [Kind::Int, Kind::Money, Kind::Date, Kind::Time] {
                let (a, b) = (of_kind(left, kind), of_kind(right, kind));
                if !a.is_empty() && !b.is_empty() && self.choices.chance(70) {
                    let operator = self.pick(&["<", ">=", "<>"]);
                    let (a, b) = (self.any(&a), self.any(&b));
                    return (
                        self.further(format!("{a} {operator} {b}"), left, right),
                        false,
                    );
                }
            }
        }
        let mut pairs = vec![];
        for kind in [
            Kind::Int,
            Kind::Text,
            Kind::Date,
            Kind::Money,
            Kind::Time,
            Kind::Bool,
        ] {
            let (a, b) = (of_kind(left, kind), of_kind(right, kind));
            for one in &a {
                for other in &b {
                    let same = one.rsplit('.').next() == other.rsplit('.').next();
                    // Keys are what people join by.
                    let weight = match (same, kind) {
                        (true, Kind::Int) => 40,
                        (_, Kind::Int) => 4,
                        (true, _) => 4,
                        _ => 1,
                    };
                    pairs.push((weight, one.clone(), other.clone()));
                }
            }
        }
        let weights: Vec<(u32, usize)> =
            pairs.iter().enumerate().map(|(at, p)| (p.0, at)).collect();
        let Some((_, a, b)) = self.choices.weighted(&weights).and_then(|at| pairs.get(at)) else {
            return ("1 = 1".to_owned(), false);
        };
        let on = if self.choices.chance(6) {
            format!("({a} is not distinct from {b})")
        } else {
            format!("{a} = {b}")
        };
        (self.further(on, left, right), true)
    }

    /// Sometimes one condition more.
    fn further(&mut self, on: String, left: &From, right: &From) -> String {
        if !self.choices.chance(28) {
            return on;
        }
        let mut columns = match self.choices.below(3) {
            0 => right.columns.clone(),
            1 => left.columns.clone(),
            _ => left.columns.clone(),
        };
        if self.choices.chance(40) {
            columns.extend(right.columns.iter().cloned());
        }
        self.scope.push(columns);
        let more = self.predicate(1, false);
        self.scope.pop();
        format!("{on} and {more}")
    }

    fn any(&mut self, names: &[String]) -> String {
        let at = self.choices.below(names.len() as u32) as usize;
        names.get(at).cloned().unwrap_or_default()
    }
}

/// Stands for the table of a join by USING.
const USED: &str = "using";

fn of_kind(from: &From, kind: Kind) -> Vec<String> {
    let columns = from.columns.iter().filter(|c| c.kind == kind);
    columns.map(|c| c.name.clone()).collect()
}

fn both(left: From, right: From, sql: String, rows: u64) -> From {
    From {
        unique: left.unique && right.unique,
        sql,
        columns: left.columns.into_iter().chain(right.columns).collect(),
        key: left.key.into_iter().chain(right.key).collect(),
        rows,
        table: None,
    }
}
