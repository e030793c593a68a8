//! Makes queries that are valid, whose rows are the same in every engine, and that touch what engines get wrong.
//!
//! ```text
//!  query ─ [with …] ─ select ─┬─ rows        from, where
//!                             ├─ groups      from, where, group by, having
//!                             ├─ windows     from, where, over (…)
//!                             ├─ set         select union | intersect | except select
//!                             └─ constants
//! ```
//!
//! Every expression has a [`Kind`], so that types fit. What would differ between two right engines is avoided: whatever
//! numbers rows or cuts them is ordered down to keys; floats are sums of powers of two; texts are aggregated in order.

mod aggregate;
mod expression;
mod forms;
mod predicate;
mod query;
mod relation;
mod window;

use super::choices::Choices;
use super::features::{Feature, Features};
use super::tables::Kind;

pub use forms::{Case, Form, Relation as Expected};

/// A column that expressions may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// As expressions spell it.
    name: String,
    kind: Kind,
}

/// What stands after FROM.
#[derive(Debug, Clone)]
pub(super) struct From {
    sql: String,
    columns: Vec<Column>,
    /// Columns that make a row unique, or all of them.
    key: Vec<String>,
    /// Whether no two rows are equal in all columns.
    unique: bool,
    /// About so many rows at most.
    rows: u64,
    /// The table, where it is one alone.
    table: Option<(&'static str, String)>,
}

/// A whole SELECT whose columns are called `c1`, `c2` and so on.
#[derive(Debug, Clone)]
pub(super) struct Select {
    sql: String,
    names: Vec<String>,
    kinds: Vec<Kind>,
    rows: u64,
}

/// Makes one case.
pub(super) struct Generator<'a> {
    choices: &'a mut Choices,
    features: &'a Features,
    /// What expressions may name: the innermost FROM last.
    scope: Vec<Vec<Column>>,
    ctes: Vec<(String, Select)>,
    numbers: u32,
    /// Deeper than this no subqueries are made.
    subqueries_left: u32,
}

/// The case of a seed, or of a list of decisions.
pub fn case(choices: &mut Choices, features: &Features) -> Case {
    forms::case(&mut Generator {
        choices,
        features,
        scope: vec![],
        ctes: vec![],
        numbers: 0,
        subqueries_left: 2,
    })
}

impl Generator<'_> {
    fn on(&self, feature: Feature) -> bool {
        self.features.on(feature)
    }

    /// The weight of a choice that needs a feature.
    fn weight(&self, weight: u32, feature: Feature) -> u32 {
        if self.on(feature) { weight } else { 0 }
    }

    /// True in so many of a hundred cases, if the feature is on.
    fn chance(&mut self, percent: u32, feature: Feature) -> bool {
        self.on(feature) && self.choices.chance(percent)
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        self.choices.one_of(of).unwrap_or_default()
    }

    /// `t1`, `t2`, `c3` and so on.
    fn name(&mut self, letter: char) -> String {
        self.numbers += 1;
        format!("{letter}{}", self.numbers)
    }

    fn kind(&mut self) -> Kind {
        let kinds = [
            (30, Kind::Int),
            (20, Kind::Money),
            (16, Kind::Text),
            (12, Kind::Date),
            (6, Kind::Time),
            (6, Kind::Bool),
            (5, Kind::Float),
        ];
        self.choices.weighted(&kinds).unwrap_or(Kind::Int)
    }

    /// Columns of the innermost FROM.
    fn columns(&self) -> &[Column] {
        self.scope.last().map_or(&[], Vec::as_slice)
    }

    /// The names of the innermost FROM's columns of a kind.
    fn named(&self, kind: Kind) -> Vec<String> {
        let of_kind = self.columns().iter().filter(|c| c.kind == kind);
        of_kind.map(|c| c.name.clone()).collect()
    }

    /// A column of a kind, if there is one.
    fn column(&mut self, kind: Kind) -> Option<String> {
        let names = self.named(kind);
        if names.is_empty() {
            return None;
        }
        let at = self.choices.below(names.len() as u32) as usize;
        names.get(at).cloned()
    }
}
