//! One statement, or several that must give the same rows however each is planned.
//!
//! The second kind needs no other engine to know the right answer: a condition splits rows into those for which it is true,
//! false and unknown; IN, EXISTS and joins are equivalent; a CTE is equivalent to its subquery.

use super::{Column, Generator};
use crate::fuzz::features::Feature;
use crate::fuzz::tables::{Kind, TABLES};
use crate::fuzz::text;

/// One way to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// In a few words, for a person.
    pub what: &'static str,
    /// With the marks of [`text`].
    pub sql: String,
    /// Positions of the columns that its rows are ordered by.
    pub order: Vec<usize>,
}

/// What must hold between the forms of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The same rows.
    Same,
    /// The second gives the first rows of the first.
    Prefix,
}

/// A statement, or a family of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub kind: &'static str,
    pub forms: Vec<Form>,
    pub relation: Relation,
}

/// Makes a case.
pub(super) fn case(generator: &mut Generator<'_>) -> Case {
    let of: &[(u32, &str)] = &[
        (76, "statement"),
        (6, "split"),
        (3, "split sum"),
        (4, "membership"),
        (3, "absence"),
        (3, "distinct"),
        (3, "cte"),
        (3, "prefix"),
        (3, "outer"),
        (2, "filter"),
        (2, "grouping sets"),
    ];
    let kind = generator.choices.weighted(of).unwrap_or("statement");
    let made = match kind {
        "split" => Some(split(generator)),
        "split sum" => Some(split_sum(generator)),
        "membership" => membership(generator),
        "absence" => absence(generator),
        "distinct" => Some(distinct(generator)),
        "cte" => Some(cte(generator)),
        "prefix" => Some(prefix(generator)),
        "outer" => outer(generator),
        "filter" => Some(filter(generator)),
        "grouping sets" => grouping_sets(generator),
        _ => None,
    };
    let (forms, relation) = match made {
        Some(forms) if kind == "prefix" => (forms, Relation::Prefix),
        Some(forms) => (forms, Relation::Same),
        None => {
            let statement = generator.statement();
            let form = Form {
                what: "as generated",
                sql: statement.sql,
                order: statement.order,
            };
            let kind = "statement";
            return Case {
                kind,
                forms: vec![form],
                relation: Relation::Same,
            };
        }
    };
    let forms = forms
        .into_iter()
        .map(|(what, sql)| Form {
            what,
            sql,
            order: vec![],
        })
        .collect();
    Case {
        kind,
        forms,
        relation,
    }
}

type Forms = Vec<(&'static str, String)>;

/// Rows where a condition is true, false and unknown are all rows.
fn split(g: &mut Generator<'_>) -> Forms {
    let from = g.from(1);
    let columns = names(&g.some_columns(&from, 3));
    g.scope.push(from.columns.clone());
    let condition = g.predicate(2, true);
    g.scope.pop();
    let all = format!("select {columns} from {}", from.sql);
    let parts = format!(
        "{all} where {condition} union all {all} where not ({condition}) union all {all} where ({condition}) is null"
    );
    vec![("all rows", all), ("true, false and unknown", parts)]
}

/// The same of sums.
fn split_sum(g: &mut Generator<'_>) -> Forms {
    let from = g.from(1);
    g.scope.push(from.columns.clone());
    let (condition, sum, least) = (
        g.predicate(2, false),
        g.plain(Kind::Money),
        g.plain(Kind::Date),
    );
    g.scope.pop();
    let items = format!("count(*) as n, sum({sum}) as s, min({least}) as m");
    let all = format!("select {items} from {}", from.sql);
    let parts = ["(C)", "not (C)", "(C) is null"]
        .map(|part| format!("{all} where {}", part.replace('C', &condition)))
        .join(" union all ");
    let parts = format!(
        "select cast(sum(n) as bigint) as n, sum(s) as s, min(m) as m from ({parts}) as parts"
    );
    vec![("one sum", all), ("the sum of three", parts)]
}

/// A table, its alias, another one, its alias, and a column of both.
struct Pair {
    left: String,
    left_columns: Vec<Column>,
    right: String,
    right_columns: Vec<Column>,
    key: &'static str,
}

const PAIRS: &[(&str, &str, &str)] = &[
    ("sales", "products", "product_id"),
    ("products", "sales", "product_id"),
    ("customers", "sales", "customer_id"),
    ("sales", "customers", "customer_id"),
    ("sales", "stores", "store_id"),
    ("stores", "sales", "store_id"),
    ("sales", "returns", "sale_id"),
    ("returns", "sales", "sale_id"),
    ("sales", "promotions", "product_id"),
    ("promotions", "sales", "product_id"),
];

fn pair(g: &mut Generator<'_>) -> Option<Pair> {
    let (left, right, key) = g.choices.one_of(PAIRS)?;
    let columns = |name: &str, alias: &str| -> Option<Vec<Column>> {
        let table = TABLES.iter().find(|t| t.name == name)?;
        let column = |(name, kind, _): &(&str, Kind, &str)| Column {
            name: format!("{alias}.{name}"),
            kind: *kind,
        };
        Some(table.columns.iter().map(column).collect())
    };
    Some(Pair {
        left: text::table(left),
        left_columns: columns(left, "a")?,
        right: text::table(right),
        right_columns: columns(right, "b")?,
        key,
    })
}

impl Pair {
    /// A condition over the second table alone.
    fn condition(&self, g: &mut Generator<'_>) -> String {
        if !g.choices.chance(60) {
            return String::new();
        }
        g.scope.push(self.right_columns.clone());
        let condition = g.predicate(1, false);
        g.scope.pop();
        format!(" and {condition}")
    }

    fn items(&self, g: &mut Generator<'_>) -> String {
        let at = g.choices.below(self.left_columns.len() as u32) as usize;
        let other = self.left_columns.get(at).map_or("", |c| c.name.as_str());
        format!("a.{} as k, {other} as v", self.key)
    }
}

/// IN, EXISTS, ANY, a semi join and a join with distinct keys say the same.
fn membership(g: &mut Generator<'_>) -> Option<Forms> {
    let pair = pair(g)?;
    let (condition, items) = (pair.condition(g), pair.items(g));
    let Pair {
        left, right, key, ..
    } = &pair;
    let mut forms = vec![
        (
            "in",
            format!(
                "select {items} from {left} as a where a.{key} in (select b.{key} from {right} as b where 1 = 1{condition})"
            ),
        ),
        (
            "exists",
            format!(
                "select {items} from {left} as a where exists (select 1 from {right} as b where b.{key} = a.{key}{condition})"
            ),
        ),
        (
            "join of distinct keys",
            format!(
                "select {items} from {left} as a join (select distinct b.{key} from {right} as b where 1 = 1{condition}) as b on b.{key} = a.{key}"
            ),
        ),
        (
            "count above zero",
            format!(
                "select {items} from {left} as a where (select count(*) from {right} as b where b.{key} = a.{key}{condition}) > 0"
            ),
        ),
    ];
    if g.on(Feature::SemiJoin) {
        let semi = text::either("left semi join", "semi join");
        forms.push((
            "semi join",
            format!("select {items} from {left} as a {semi} {right} as b on b.{key} = a.{key}{condition}"),
        ));
    }
    Some(forms)
}

/// NOT IN of keys that are there, NOT EXISTS, and an outer join without a match say the same.
fn absence(g: &mut Generator<'_>) -> Option<Forms> {
    let pair = pair(g)?;
    let (condition, items) = (pair.condition(g), pair.items(g));
    let Pair {
        left, right, key, ..
    } = &pair;
    let mut forms = vec![
        (
            "not exists",
            format!(
                "select {items} from {left} as a where not exists (select 1 from {right} as b where b.{key} = a.{key}{condition})"
            ),
        ),
        (
            "left join without a match",
            format!(
                "select {items} from {left} as a left join {right} as b on b.{key} = a.{key}{condition} where b.{key} is null"
            ),
        ),
        (
            "all but those with",
            format!(
                "select {items} from {left} as a except all select {items} from {left} as a \
                 where exists (select 1 from {right} as b where b.{key} = a.{key}{condition})"
            ),
        ),
    ];
    if !g.on(Feature::IntersectExceptAll) {
        forms.pop();
    }
    if g.on(Feature::NotInSubquery) {
        forms.push((
            "not in",
            format!(
                "select {items} from {left} as a where a.{key} is null or a.{key} not in \
                 (select b.{key} from {right} as b where b.{key} is not null{condition})"
            ),
        ));
    }
    Some(forms)
}

/// DISTINCT, GROUP BY, a union with itself, and the first of each say the same.
fn distinct(g: &mut Generator<'_>) -> Forms {
    let from = g.from(1);
    let columns = g.some_columns(&from, 3);
    g.scope.push(from.columns.clone());
    let filter = g.filter(0);
    g.scope.pop();
    let items: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("{} as v{at}", column.name))
        .collect();
    let (items, names) = (items.join(", "), names(&columns));
    let out: Vec<String> = (0..columns.len()).map(|at| format!("v{at}")).collect();
    let out = out.join(", ");
    let plain = format!("select {items} from {}{filter}", from.sql);
    let mut forms = vec![
        (
            "distinct",
            format!("select distinct {items} from {}{filter}", from.sql),
        ),
        ("group by", format!("{plain} group by {names}")),
        ("union with itself", format!("{plain} union {plain}")),
    ];
    if g.on(Feature::Window) {
        forms.push((
            "first of each",
            format!(
                "select {out} from (select {out}, row_number() over (partition by {out} order by {out}) as place \
                 from ({plain}) as plain) as placed where place = 1"
            ),
        ));
    }
    forms
}

/// A CTE, read once or twice, is the query that it names.
fn cte(g: &mut Generator<'_>) -> Forms {
    let kinds = g.kinds(1, 3);
    let select = g.select(1, &kinds);
    let names = select.names.join(", ");
    vec![
        ("as it is", select.sql.clone()),
        (
            "subquery",
            format!("select {names} from ({}) as q", select.sql),
        ),
        (
            "cte",
            format!("with q as ({}) select {names} from q", select.sql),
        ),
        (
            "half of a cte twice",
            format!(
                "with q as ({}), twice as (select 1 as half, {names} from q union all select 2, {names} from q) \
                 select {names} from twice where half = 2",
                select.sql
            ),
        ),
    ]
}

/// LIMIT gives the first rows.
fn prefix(g: &mut Generator<'_>) -> Forms {
    let kinds = g.kinds(1, 4);
    let mut select = g.select(1, &kinds);
    g.order(&mut select.sql, kinds.len(), true);
    let limit = g.pick(&["1", "2", "5", "17", "60"]);
    let cut = format!("{} limit {limit}", select.sql);
    vec![("all", select.sql), ("limited", cut)]
}

/// An outer join is the inner one and the rows without a match.
fn outer(g: &mut Generator<'_>) -> Option<Forms> {
    if !g.on(Feature::FullJoin) {
        return None;
    }
    let pair = pair(g)?;
    let condition = pair.condition(g);
    let Pair {
        left,
        right,
        key,
        right_columns,
        ..
    } = &pair;
    let at = g.choices.below(right_columns.len() as u32) as usize;
    let v = right_columns.get(at)?;
    let null = format!("cast(null as {})", super::expression::type_of(v.kind));
    let items = format!("a.{key} as x, b.{key} as y, {} as v", v.name);
    let on = format!("b.{key} = a.{key}{condition}");
    let rest = |from: &str, other: &str, columns: &str| {
        format!("select {columns} from {from} where not exists (select 1 from {other} where {on})")
    };
    let inner = format!("select {items} from {left} as a join {right} as b on {on}");
    let only_left = rest(
        &format!("{left} as a"),
        &format!("{right} as b"),
        &format!("a.{key} as x, null as y, {null} as v"),
    );
    let only_right = rest(
        &format!("{right} as b"),
        &format!("{left} as a"),
        &format!("null as x, b.{key} as y, {} as v", v.name),
    );
    let kinds = [
        ("full join", vec![only_left.clone(), only_right.clone()]),
        ("left join", vec![only_left]),
        ("right join", vec![only_right]),
    ];
    let (join, more) = kinds.get(g.choices.below(3) as usize)?;
    let sum = std::iter::once(inner)
        .chain(more.iter().cloned())
        .collect::<Vec<_>>()
        .join(" union all ");
    Some(vec![
        (
            "outer join",
            format!("select {items} from {left} as a {join} {right} as b on {on}"),
        ),
        ("matches and the rest", sum),
    ])
}

/// FILTER is a CASE inside.
fn filter(g: &mut Generator<'_>) -> Forms {
    let from = g.from(1);
    g.scope.push(from.columns.clone());
    let (condition, sum) = (g.predicate(1, false), g.plain(Kind::Money));
    let (key, count) = (g.column(Kind::Text), g.plain(Kind::Int));
    g.scope.pop();
    let (item, group) = match key {
        Some(key) => (format!("{key} as k, "), format!(" group by {key}")),
        None => (String::new(), String::new()),
    };
    vec![
        (
            "case",
            format!(
                "select {item}count(case when {condition} then 1 end) as n, sum(case when {condition} then {sum} end) as s, \
                 count(distinct case when {condition} then {count} end) as d from {}{group}",
                from.sql
            ),
        ),
        (
            "filter",
            format!(
                "select {item}count(*) filter (where {condition}) as n, sum({sum}) filter (where {condition}) as s, \
                 count(distinct {count}) filter (where {condition}) as d from {}{group}",
                from.sql
            ),
        ),
    ]
}

/// GROUPING SETS are the union of their groups.
fn grouping_sets(g: &mut Generator<'_>) -> Option<Forms> {
    if !g.on(Feature::GroupingSets) {
        return None;
    }
    let from = g.from(1);
    g.scope.push(from.columns.clone());
    let (sum, filter) = (g.plain(Kind::Money), g.filter(0));
    let keys = [g.column(Kind::Text), g.column(Kind::Int)];
    g.scope.pop();
    let [Some(a), Some(b)] = keys else {
        return None;
    };
    let rest = format!("count(*) as n, sum({sum}) as s from {}{filter}", from.sql);
    let union = [
        format!("select {a} as a, {b} as b, {rest} group by {a}, {b}"),
        format!("select {a} as a, cast(null as bigint) as b, {rest} group by {a}"),
        format!("select cast(null as varchar) as a, cast(null as bigint) as b, {rest}"),
    ];
    Some(vec![
        (
            "rollup",
            format!("select {a} as a, {b} as b, {rest} group by rollup ({a}, {b})"),
        ),
        (
            "grouping sets",
            format!(
                "select {a} as a, {b} as b, {rest} group by grouping sets (({a}, {b}), ({a}), ())"
            ),
        ),
        ("union of groups", union.join(" union all ")),
    ])
}

fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    names.join(", ")
}
