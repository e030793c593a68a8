//! Whole SELECTs: of rows, of sets, of constants; ordered and cut; with CTEs before them.

use super::{Column, From, Generator, Select};
use crate::fuzz::features::Feature;
use crate::fuzz::tables::Kind;
use crate::fuzz::text::either;

/// How deep subqueries in FROM may go from a statement's own FROM on.
const OUTERMOST: u32 = 2;

/// A statement, and the positions of the columns that its rows are ordered by.
pub(super) struct Statement {
    pub sql: String,
    pub order: Vec<usize>,
}

impl Generator<'_> {
    /// A statement as a person would ask it.
    pub(super) fn statement(&mut self) -> Statement {
        let with = self.with();
        let kinds = self.kinds(1, 5);
        let select = self.select(OUTERMOST, &kinds);
        let mut sql = format!("{with}{}", select.sql);
        let mut order = vec![];
        match self.choices.below(10) {
            0..3 => {}
            3..7 => order = self.order(&mut sql, kinds.len(), false),
            _ if self.on(Feature::Limit) => {
                order = self.order(&mut sql, kinds.len(), true);
                sql += &self.cut();
            }
            _ => {}
        }
        Statement { sql, order }
    }

    /// CTEs, which later relations may name.
    fn with(&mut self) -> String {
        if !self.chance(22, Feature::Cte) {
            return String::new();
        }
        let count = 1 + self.choices.below(2);
        let mut parts = vec![];
        for _ in 0..count {
            let kinds = self.kinds(1, 4);
            let select = self.limited(1, &kinds);
            let name = self.name('q');
            parts.push(format!("{name} as ({})", select.sql));
            self.ctes.push((name, select));
        }
        let mut word = "with";
        if self.chance(15, Feature::RecursiveCte) {
            word = "with recursive";
            let name = self.name('q');
            let columns = [self.name('c'), self.name('c'), self.name('c')];
            let [n, label, sum] = &columns;
            let most = 2 + self.choices.below(6);
            // What a step does not read of the step before is not requested of it.
            let label_then = if self.choices.below(2) == 0 {
                label.as_str()
            } else {
                "'then'"
            };
            let sum_then = match self.choices.below(3) {
                0 => format!("{sum} + {n}"),
                1 => n.clone(),
                _ => "cast(7 as bigint)".to_owned(),
            };
            parts.push(format!(
                "{name}({}) as (select cast(1 as bigint), 'first', cast(100 as bigint) \
                 union all select {n} + 1, {label_then}, {sum_then} from {name} where {n} < {most})",
                columns.join(", ")
            ));
            let select = Select {
                sql: String::new(),
                names: columns.to_vec(),
                kinds: vec![Kind::Int, Kind::Text, Kind::Int],
                rows: u64::from(most),
            };
            self.ctes.push((name, select));
        }
        format!("{word} {} ", parts.join(", "))
    }

    /// A query of columns of these kinds, with subqueries in it as deep as `depth`.
    pub(super) fn select(&mut self, depth: u32, kinds: &[Kind]) -> Select {
        let deep = if depth > 0 { 1 } else { 0 };
        let of = [
            (40, "rows"),
            (24, "groups"),
            (self.weight(22, Feature::Window) * deep, "windows"),
            (12 * deep, "set"),
            (self.weight(3, Feature::DistinctOn) * deep, "distinct on"),
            (self.weight(2, Feature::Constants), "constants"),
        ];
        match self.choices.weighted(&of).unwrap_or("rows") {
            "groups" => self.groups(depth, kinds),
            "windows" => self.windows(depth, kinds),
            "set" => self.set(depth - 1, kinds),
            "distinct on" => self.distinct_on(kinds),
            "constants" => self.constants(kinds),
            _ => self.rows(depth, kinds),
        }
    }

    /// The same, or sorted by all columns and cut.
    pub(super) fn limited(&mut self, depth: u32, kinds: &[Kind]) -> Select {
        let mut select = self.select(depth, kinds);
        if self.chance(12, Feature::Limit) {
            self.order(&mut select.sql, kinds.len(), true);
            select.sql += &self.cut();
        }
        select
    }

    fn rows(&mut self, depth: u32, kinds: &[Kind]) -> Select {
        let from = self.from(depth);
        self.scope.push(from.columns.clone());
        let values: Vec<String> = kinds.iter().map(|kind| self.value(*kind, depth)).collect();
        let filter = self.filter(depth);
        self.scope.pop();
        let distinct = if self.choices.chance(14) {
            "distinct "
        } else {
            ""
        };
        self.select_of(
            &values,
            kinds,
            distinct,
            &format!("{}{filter}", from.sql),
            from.rows,
        )
    }

    /// One column of the outermost columns: an expression, or a subquery.
    fn value(&mut self, kind: Kind, depth: u32) -> String {
        if depth > 0 && self.chance(7, Feature::SubqueryValue) {
            let correlated = self.on(Feature::CorrelatedScalar) && self.choices.chance(50);
            let made = match (kind, correlated) {
                (Kind::Bool, _) => self.with_subquery(0).map(|made| format!("({made})")),
                (Kind::Float, _) => None,
                (kind, true) => self.correlated_scalar(kind).map(|made| format!("({made})")),
                (kind, false) => Some(format!("({})", self.scalar(kind))),
            };
            if let Some(made) = made {
                return made;
            }
        }
        // Only where nothing is made of it: a quotient's digits end elsewhere in each engine.
        if depth == OUTERMOST && self.chance(8, Feature::Division) {
            match kind {
                Kind::Int => {
                    return format!(
                        "({} / {})",
                        self.plain(kind),
                        self.pick(&["2", "3", "-2", "7"])
                    );
                }
                Kind::Money => {
                    let (a, b) = (self.plain(kind), self.plain(kind));
                    return format!("{a} / nullif({b}, 0)");
                }
                _ => {}
            }
        }
        self.expression(kind, 2)
    }

    /// ` where …`, or nothing.
    pub(super) fn filter(&mut self, depth: u32) -> String {
        if self.choices.chance(45) {
            format!(" where {}", self.predicate(2, depth > 0))
        } else {
            String::new()
        }
    }

    pub(super) fn select_of(
        &mut self,
        values: &[String],
        kinds: &[Kind],
        distinct: &str,
        from: &str,
        rows: u64,
    ) -> Select {
        let names: Vec<String> = values.iter().map(|_| self.name('c')).collect();
        let items: Vec<String> = values
            .iter()
            .zip(&names)
            .map(|(value, name)| format!("{value} as {name}"))
            .collect();
        Select {
            sql: format!("select {distinct}{} from {from}", items.join(", ")),
            names,
            kinds: kinds.to_vec(),
            rows,
        }
    }

    fn set(&mut self, depth: u32, kinds: &[Kind]) -> Select {
        let all = self.weight(5, Feature::IntersectExceptAll);
        let plain = self.weight(6, Feature::IntersectExcept);
        let of = [
            (12, "union all"),
            (self.weight(8, Feature::Union), "union"),
            (plain, "intersect"),
            (plain, "except"),
            (all, "intersect all"),
            (all, "except all"),
        ];
        let operator = self.choices.weighted(&of).unwrap_or("union all");
        let (left, right) = (self.limited(depth, kinds), self.limited(depth, kinds));
        Select {
            sql: format!("({}) {operator} ({})", left.sql, right.sql),
            names: left.names,
            kinds: left.kinds,
            rows: left.rows + right.rows,
        }
    }

    fn distinct_on(&mut self, kinds: &[Kind]) -> Select {
        let from = self.from(0);
        self.scope.push(from.columns.clone());
        let on = self.kind();
        let Some(on) = self.column(on) else {
            self.scope.pop();
            return self.rows(0, kinds);
        };
        let values: Vec<String> = kinds.iter().map(|kind| self.plain(*kind)).collect();
        let down = self.direction();
        self.scope.pop();
        let order: Vec<String> = from
            .key
            .iter()
            .map(|key| format!("{key} nulls last"))
            .collect();
        let tail = format!("{} order by {on}{down}, {}", from.sql, order.join(", "));
        let select = self.select_of(
            &values,
            kinds,
            &format!("distinct on ({on}) "),
            &tail,
            from.rows,
        );
        // What is ordered here stays inside.
        let inner = self.derived(&format!("({})", select.sql), &select);
        let values: Vec<String> = inner.columns.iter().map(|c| c.name.clone()).collect();
        self.select_of(&values, kinds, "", &inner.sql, inner.rows)
    }

    fn constants(&mut self, kinds: &[Kind]) -> Select {
        let names: Vec<String> = kinds.iter().map(|_| self.name('c')).collect();
        let items: Vec<String> = kinds
            .iter()
            .zip(&names)
            .map(|(kind, name)| format!("{} as {name}", self.constant(*kind)))
            .collect();
        let mut sql = format!("select {}", items.join(", "));
        if self.choices.chance(20) {
            sql += " where false";
        }
        Select {
            sql,
            names,
            kinds: kinds.to_vec(),
            rows: 1,
        }
    }

    /// Adds an ORDER BY over columns by their position: some of them, or all. Returns their positions.
    pub(super) fn order(&mut self, sql: &mut String, columns: usize, all: bool) -> Vec<usize> {
        let mut positions: Vec<usize> = (0..columns).collect();
        if columns > 1 && self.choices.chance(50) {
            positions.rotate_left(1 + self.choices.below(columns as u32 - 1) as usize);
        }
        if !all {
            positions.truncate(1 + self.choices.below(columns as u32) as usize);
        }
        let keys: Vec<String> = positions
            .iter()
            .map(|position| format!("{}{}", position + 1, self.direction()))
            .collect();
        // A set's order belongs to the whole of it; its columns have names, too, but they are the first side's.
        sql.push_str(&format!(" order by {}", keys.join(", ")));
        positions
    }

    /// A direction with its place for NULLs; without one both engines do as PostgreSQL.
    pub(super) fn direction(&mut self) -> &'static str {
        self.pick(&[
            "",
            " desc",
            " asc nulls first",
            " desc nulls last",
            " nulls last",
            " desc nulls first",
        ])
    }

    fn cut(&mut self) -> String {
        let limit = self.pick(&["5", "1", "3", "20", "0", "1000"]);
        let offset = self.pick(&["", "", "", " offset 1", " offset 4", " offset 2000"]);
        format!(" limit {limit}{offset}")
    }

    /// The keys that put the rows of a FROM into one order: some that are requested, then what makes rows unique.
    pub(super) fn total_order(&mut self, from: &From) -> String {
        let mut keys = vec![];
        for _ in 0..self.choices.below(3) {
            let kind = self.kind();
            if let Some(column) = self.column(kind) {
                let direction = self.direction();
                keys.push(format!("{column}{direction}"));
            }
        }
        keys.extend(from.key.iter().cloned());
        keys.join(", ")
    }

    /// The columns of a FROM, a few of them.
    pub(super) fn some_columns(&mut self, from: &From, most: u32) -> Vec<Column> {
        let count = 1 + self.choices.below(most) as usize;
        let mut columns: Vec<Column> = vec![];
        for _ in 0..count {
            let at = self.choices.below(from.columns.len() as u32) as usize;
            if let Some(column) = from.columns.get(at)
                && !columns.contains(column)
            {
                columns.push(column.clone());
            }
        }
        columns
    }

    /// `function(x, …) ignore nulls`, as each engine spells it.
    pub(super) fn ignoring_nulls(function: &str, arguments: &str) -> String {
        either(
            &format!("{function}({arguments}) ignore nulls"),
            &format!("{function}({arguments} ignore nulls)"),
        )
    }
}
