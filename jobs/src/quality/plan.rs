//! Which queries a run's tests take: those of one relation share a pass, the others have a query each.

use super::statement::{SchemaOf, condition, counting, failing, key, relation};
use retail_api::Failure;
use retail_project::DataTest;

/// A query that answers tests. Indices are those of the tests that were planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CheckQuery {
    /// One pass over a relation. Bit `i` of its first column is set where a row fails `tests[i]`; its second column is
    /// the number of keys that are there more than once. What fails is counted by a query of its own.
    Pass {
        tests: Vec<usize>,
        unique: Option<usize>,
        sql: String,
    },
    /// The number of failures of one test.
    One { test: usize, sql: String },
}

/// Bits of a pass: all of a positive BIGINT.
const BITS: usize = 62;

/// The tests of one relation, while they are gathered.
struct Pass {
    relation: String,
    conditions: Vec<(usize, String)>,
    /// The test of the first key, and its columns.
    unique: Option<(usize, Vec<String>)>,
}

/// Plans the tests.
///
/// ```text
///  not_null, accepted_values, check and the first unique of a relation    one pass
///    select bit_or(failed), sum(repeated) from (select bit_or(…) as failed, count(*) … from t group by key)
///  a second unique                      select count(*) from (… group by key having count(*) > 1)
///  relationships                        select count(*) from (… not exists …)
///  templates, files below tests/        select count(*) from (their query)
/// ```
///
/// A pass carries one number per key beside the key itself, however many tests share it: bits, which only say that a
/// test fails. Few do, and those are counted in a second query. A test with a `fail_calc` whose failing rows are kept is
/// not among them: it is counted over the table that keeps them.
///
/// # Errors
/// The first test that cannot be run: its column is not there.
pub(super) fn plan(
    tests: &[&DataTest],
    schema_of: SchemaOf<'_>,
) -> Result<Vec<CheckQuery>, Failure> {
    let mut passes: Vec<Pass> = vec![];
    let mut alone = vec![];
    for (index, test) in tests.iter().enumerate() {
        let from = relation(test);
        if test.stored_in.is_some() && test.config.fail_calc.is_some() {
            // It is counted over the rows that are kept.
            continue;
        }
        if let Some(condition) = condition(test, schema_of)? {
            let mut of_relation = passes.iter_mut().filter(|p| p.relation == from);
            match of_relation.find(|p| p.conditions.len() < BITS) {
                Some(pass) => pass.conditions.push((index, condition)),
                None => passes.push(Pass {
                    relation: from,
                    conditions: vec![(index, condition)],
                    unique: None,
                }),
            }
        } else if let Some(key) = key(test, schema_of)? {
            let mut of_relation = passes.iter_mut().filter(|p| p.relation == from).peekable();
            let is_first = of_relation.peek().is_none();
            match of_relation.find(|p| p.unique.is_none()) {
                Some(pass) => pass.unique = Some((index, key)),
                None if !is_first => alone.push(one(test, index, schema_of)?),
                None => passes.push(Pass {
                    relation: from,
                    conditions: vec![],
                    unique: Some((index, key)),
                }),
            }
        } else {
            alone.push(one(test, index, schema_of)?);
        }
    }
    Ok(passes.into_iter().map(Pass::query).chain(alone).collect())
}

fn one(test: &DataTest, index: usize, schema_of: SchemaOf<'_>) -> Result<CheckQuery, Failure> {
    Ok(CheckQuery::One {
        test: index,
        sql: counting(test, &failing(test, schema_of)?),
    })
}

/// The terms added up. As a tree: a chain of sixty is deeper than a plan may be that is sent to executors.
fn sum(terms: &[String]) -> String {
    match terms {
        [] => "0".to_string(),
        [term] => term.clone(),
        terms => {
            let (left, right) = terms.split_at(terms.len() / 2);
            format!("({}\n  + {})", sum(left), sum(right))
        }
    }
}

impl Pass {
    fn query(self) -> CheckQuery {
        let bits: Vec<String> = self
            .conditions
            .iter()
            .enumerate()
            .map(|(bit, (_, condition))| {
                format!("case when {condition} then {} else 0 end", 1_u64 << bit)
            })
            .collect();
        let bits = sum(&bits);
        let from = &self.relation;
        let sql = match &self.unique {
            None => {
                format!("select coalesce(bit_or({bits}), 0) as failed, 0 as repeated\nfrom {from}")
            }
            Some((_, key)) => {
                let there: Vec<String> = key.iter().map(|k| format!("{k} is not null")).collect();
                let named: Vec<String> = key
                    .iter()
                    .enumerate()
                    .map(|(i, k)| format!("{k} as k{i}"))
                    .collect();
                let there_named: Vec<String> = (0..there.len())
                    .map(|i| format!("k{i} is not null"))
                    .collect();
                format!(
                    "select coalesce(bit_or(failed), 0) as failed, coalesce(sum(case when n > 1 and {} then 1 else 0 \
                     end), 0) as repeated\nfrom (\nselect {}, count(*) as n, bit_or({bits}) as failed\nfrom {from}\n\
                     group by {}\n) dbt_keys",
                    there_named.join(" and "),
                    named.join(", "),
                    key.join(", ")
                )
            }
        };
        CheckQuery::Pass {
            tests: self
                .conditions
                .into_iter()
                .map(|(index, _)| index)
                .collect(),
            unique: self.unique.map(|(index, _)| index),
            sql,
        }
    }
}
