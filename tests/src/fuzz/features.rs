//! What a generated query may contain, each of which can be left out.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

macro_rules! features {
    ($($variant:ident $name:literal,)*) => {
        /// A construct of SQL.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Feature { $($variant,)* }

        impl Feature {
            /// All of them.
            pub const ALL: &[Feature] = &[$(Feature::$variant,)*];

            /// As it is written on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Feature::$variant => $name,)* }
            }
        }
    };
}

features! {
    OuterJoin "outer-join",
    FullJoin "full-join",
    SemiJoin "semi-join",
    CrossJoin "cross-join",
    NonEquiJoin "non-equi-join",
    Using "using",
    OuterUsing "outer-using",
    ScalarSubquery "scalar-subquery",
    CorrelatedScalar "correlated-scalar",
    InSubquery "in-subquery",
    NotInSubquery "not-in-subquery",
    Exists "exists",
    SubqueryValue "subquery-value",
    Quantified "quantified",
    Union "union",
    IntersectExcept "intersect-except",
    IntersectExceptAll "intersect-except-all",
    Values "values",
    Constants "constants",
    View "view",
    Cte "cte",
    RecursiveCte "recursive-cte",
    Lateral "lateral",
    Limit "limit",
    DistinctOn "distinct-on",
    Window "window",
    Frame "frame",
    RangeInterval "range-interval",
    GroupsFrame "groups-frame",
    WindowFilter "window-filter",
    IgnoreNulls "ignore-nulls",
    NamedWindow "named-window",
    Qualify "qualify",
    WindowOverAggregate "window-over-aggregate",
    Filter "filter",
    DistinctAggregate "distinct-aggregate",
    GroupingSets "grouping-sets",
    StringAgg "string-agg",
    FirstValue "first-value",
    Average "average",
    MoneyLiteral "money-literal",
    CastRounds "cast-rounds",
    DateDifference "date-difference",
    Interval "interval",
    Division "division",
}

/// Constructs that are left out unless requested, each with its reason.
pub const LEFT_OUT: &[(Feature, &str)] = &[];

/// What queries may contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features(BTreeSet<Feature>);

impl Default for Features {
    fn default() -> Self {
        let left_out = |feature: &Feature| LEFT_OUT.iter().any(|(out, _)| out == feature);
        Self(
            Feature::ALL
                .iter()
                .copied()
                .filter(|f| !left_out(f))
                .collect(),
        )
    }
}

impl Features {
    /// Whether queries may contain it.
    pub fn on(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }

    /// Adds one by its name, or `all`.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn with(&mut self, name: &str) -> Result<()> {
        if name == "all" {
            self.0.extend(Feature::ALL);
        } else {
            self.0.insert(named(name)?);
        }
        Ok(())
    }

    /// Leaves one out, or `all`.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn without(&mut self, name: &str) -> Result<()> {
        if name == "all" {
            self.0.clear();
        } else {
            self.0.remove(&named(name)?);
        }
        Ok(())
    }
}

fn named(name: &str) -> Result<Feature> {
    match Feature::ALL.iter().find(|f| f.name() == name) {
        Some(feature) => Ok(*feature),
        None => {
            let names: Vec<_> = Feature::ALL.iter().map(|f| f.name()).collect();
            bail!(
                "no feature is called {name}; there are all, {}",
                names.join(", ")
            )
        }
    }
}
