//! Queries of groups: GROUP BY, GROUPING SETS, HAVING, aggregates with DISTINCT and FILTER.

use super::{Generator, Select};
use crate::fuzz::features::Feature;
use crate::fuzz::tables::Kind;

impl Generator<'_> {
    pub(super) fn groups(&mut self, depth: u32, kinds: &[Kind]) -> Select {
        let from = self.from(depth);
        self.scope.push(from.columns.clone());
        if self.chance(15, Feature::GroupingSets) && !from.columns.is_empty() {
            let (values, group) = self.grouping_sets(&from, kinds);
            let filter = self.filter(depth);
            self.scope.pop();
            let tail = format!("{}{filter}{group}", from.sql);
            return self.select_of(&values, kinds, "", &tail, from.rows);
        }
        let mut keys: Vec<(usize, String)> = vec![];
        let mut values = vec![];
        for (at, kind) in kinds.iter().enumerate() {
            let column = self.column(*kind);
            // Two columns at most are keys, and a kind that cannot be summed up is one more readily.
            let key = keys.len() < 2
                && self
                    .choices
                    .chance(if *kind == Kind::Bool { 70 } else { 45 });
            match column {
                Some(column) if key => {
                    let value = self.key(*kind, column);
                    keys.push((at, value.clone()));
                    values.push(value);
                }
                _ => values.push(self.aggregate(*kind)),
            }
        }
        let mut group = String::new();
        if !keys.is_empty() {
            let by_position = self.choices.chance(30);
            let spelt: Vec<String> = keys
                .iter()
                .map(|(at, key)| {
                    if by_position {
                        (at + 1).to_string()
                    } else {
                        key.clone()
                    }
                })
                .collect();
            group = format!(" group by {}", spelt.join(", "));
        }
        if self.on(Feature::WindowOverAggregate) && !keys.is_empty() && self.choices.chance(12) {
            self.over_groups(&mut values, kinds, &keys);
        }
        if self.choices.chance(25) {
            let kind = self
                .choices
                .one_of(&[Kind::Int, Kind::Money, Kind::Date])
                .unwrap_or(Kind::Int);
            let operator = self.pick(&[">", "<", ">=", "<>"]);
            group += &format!(
                " having {} {operator} {}",
                self.aggregate(kind),
                self.constant(kind)
            );
        }
        let filter = self.filter(depth);
        self.scope.pop();
        self.select_of(
            &values,
            kinds,
            "",
            &format!("{}{filter}{group}", from.sql),
            from.rows,
        )
    }

    /// A key of groups: a column, or something made of it.
    fn key(&mut self, kind: Kind, column: String) -> String {
        match kind {
            Kind::Date if self.choices.chance(35) => {
                format!("cast(date_trunc('month', {column}) as date)")
            }
            Kind::Int if self.choices.chance(20) => format!("({column} % 3)"),
            Kind::Text if self.choices.chance(25) => format!("coalesce({column}, 'none')"),
            Kind::Money if self.choices.chance(25) => {
                format!("case when {column} > 9.99 then {column} end")
            }
            _ => column,
        }
    }

    /// An aggregate of a kind over the columns in scope.
    pub(super) fn aggregate(&mut self, kind: Kind) -> String {
        let average = self.weight(2, Feature::Average);
        let first = self.weight(1, Feature::FirstValue);
        let of: &[(u32, &str)] = match kind {
            Kind::Int => &[
                (6, "count(*)"),
                (5, "sum"),
                (4, "count"),
                (3, "max"),
                (3, "min"),
                (first, "first_value"),
            ],
            Kind::Money => &[
                (6, "sum"),
                (3, "max"),
                (3, "min"),
                (average, "whole average"),
                (first, "first_value"),
            ],
            Kind::Text => &[
                (4, "max"),
                (4, "min"),
                (self.weight(4, Feature::StringAgg), "string_agg"),
                (first, "first_value"),
            ],
            Kind::Bool => &[(1, "bool_and"), (1, "bool_or")],
            Kind::Float => &[(3, "sum"), (1, "max"), (1, "min")],
            Kind::Date | Kind::Time => &[(3, "max"), (3, "min"), (first, "first_value")],
        };
        let function = self.choices.weighted(of).unwrap_or("max");
        let filter = if self.chance(16, Feature::Filter) {
            format!(" filter (where {})", self.predicate(1, false))
        } else {
            String::new()
        };
        let distinct = if self.chance(18, Feature::DistinctAggregate) {
            "distinct "
        } else {
            ""
        };
        let call = match function {
            "count(*)" => "count(*)".to_owned(),
            "count" => {
                let of = self.kind();
                format!("count({distinct}{})", self.expression(of, 1))
            }
            "string_agg" => {
                let Some(value) = self.column(kind) else {
                    return "max('none')".to_owned();
                };
                let down = self.pick(&["", " desc"]);
                format!("string_agg({distinct}{value}, ',' order by {value}{down})")
            }
            "first_value" => {
                let Some(value) = self.column(kind) else {
                    return format!("min({})", self.constant(kind));
                };
                let (function, down) = (
                    self.pick(&["first_value", "last_value"]),
                    self.pick(&["", " desc"]),
                );
                let duckdb = if function == "first_value" {
                    "first"
                } else {
                    "last"
                };
                let function = crate::fuzz::text::either(function, duckdb);
                format!("{function}({value} order by {value}{down} nulls last)")
            }
            // DuckDB's is a double and ours a decimal: they differ by less than a cent only.
            "whole average" => {
                let sum = self.plain(kind);
                // DuckDB takes digits after the point away from what may have 38 before it.
                return format!("cast(round(sum({sum}){filter} * 2, 1) as decimal(18, 1))");
            }
            "sum" => format!("sum({distinct}{})", self.expression(kind, 1)),
            function => format!("{function}({})", self.expression(kind, 1)),
        };
        if kind == Kind::Int && function.starts_with("count") && self.choices.chance(15) {
            return format!("({call}{filter} * 2)");
        }
        format!("{call}{filter}")
    }

    /// Puts a window over the groups in the place of an aggregate.
    fn over_groups(&mut self, values: &mut [String], kinds: &[Kind], keys: &[(usize, String)]) {
        let order: Vec<&str> = keys.iter().map(|(_, key)| key.as_str()).collect();
        let order = order.join(", ");
        for (at, kind) in kinds.iter().enumerate() {
            if keys.iter().any(|(key, _)| *key == at) {
                continue;
            }
            match kind {
                Kind::Int => {
                    let inner = self.aggregate(Kind::Money);
                    let down = self.direction();
                    values[at] = match self.choices.below(3) {
                        0 => format!("rank() over (order by {inner}{down})"),
                        1 => format!("row_number() over (order by {inner}{down}, {order})"),
                        _ => format!("count(*) over (order by {order})"),
                    };
                }
                Kind::Money => {
                    values[at] = format!("sum(sum({})) over (order by {order})", self.plain(*kind))
                }
                _ => {}
            }
            return;
        }
    }

    /// The columns and the GROUP BY of a query over several sets of keys.
    fn grouping_sets(&mut self, from: &super::From, kinds: &[Kind]) -> (Vec<String>, String) {
        let mut keys = vec![];
        let mut values: Vec<String> = vec![];
        let mut open = vec![];
        for (at, kind) in kinds.iter().enumerate() {
            values.push(String::new());
            match self.column(*kind) {
                Some(column)
                    if keys.len() < 3 && !keys.contains(&column) && self.choices.chance(60) =>
                {
                    values[at].clone_from(&column);
                    keys.push(column);
                }
                _ => open.push(at),
            }
        }
        if keys.is_empty() {
            keys.extend(self.some_columns(from, 2).into_iter().map(|c| c.name));
        }
        for at in open {
            values[at] = if kinds[at] == Kind::Int && self.choices.chance(35) {
                let key = keys[self.choices.below(keys.len() as u32) as usize].clone();
                format!("cast(grouping({key}) as bigint)")
            } else {
                self.aggregate(kinds[at])
            };
        }
        let all = keys.join(", ");
        let group = match self.choices.below(4) {
            0 => format!(" group by rollup ({all})"),
            1 => format!(" group by cube ({all})"),
            2 => {
                let single: Vec<String> = keys.iter().map(|key| format!("({key})")).collect();
                format!(" group by grouping sets ({}, ())", single.join(", "))
            }
            _ => format!(" group by grouping sets (({all}), ({}))", keys[0]),
        };
        (values, group)
    }
}
