//! Whether the answers to a case agree.

use anyhow::Result;

use super::generate::{Case, Expected, Form};
use super::rows::Rows;
use super::systems::{Answer, DuckDb, System};
use super::text::{self, Dialect, render};

/// Rows that are shown of a difference.
const SHOWN: usize = 5;

/// The engines that a case runs on.
pub struct Engines<'a> {
    /// In one process: what the others are compared with.
    pub reference: &'a System,
    pub clusters: Vec<&'a System>,
    pub duckdb: Option<&'a DuckDb>,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// All agree; how many of them answered with rows.
    Same {
        rows: usize,
    },
    /// Refused at plan time, everywhere the same: in words.
    Refused(String),
    Finding(Finding),
}

/// Answers that should agree and do not.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Two findings of the same sort are shrunk alike.
    pub sort: Sort,
    /// Who disagrees.
    pub between: [String; 2],
    /// The statement that each of the two ran.
    pub statements: [String; 2],
    pub difference: String,
}

/// The sort of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Other rows.
    Rows,
    /// The same rows in an order other than the requested one.
    Order,
    /// Other types of columns.
    Types,
    /// One gives rows and the other refuses or fails.
    OneFails,
    /// Every shape of ours fails while it runs, and DuckDB does not.
    WeFail,
}

/// Runs a case everywhere and compares.
///
/// # Errors
/// An engine cannot be queried at all.
pub async fn check(case: &Case, rows: &text::Rows, engines: &Engines<'_>) -> Result<Verdict> {
    let mut answered = 0;
    let mut first: Option<(String, Rows)> = None;
    let mut refused = None;
    for form in &case.forms {
        let ours = render(&form.sql, Dialect::Ours, rows);
        let reference = engines.reference.ask(&ours).await?;
        for cluster in &engines.clusters {
            let answer = cluster.ask(&ours).await?;
            let who = [engines.reference.name, cluster.name];
            if let Some(finding) = compare(form, who, [&ours, &ours], [&reference, &answer], true) {
                return Ok(Verdict::Finding(finding));
            }
        }
        if let Some(duckdb) = engines.duckdb
            && !matches!(reference, Answer::Refused(_))
        {
            let theirs = render(&form.sql, Dialect::DuckDb, rows);
            let answer = duckdb.ask(&theirs).await?;
            let who = [engines.reference.name, "duckdb"];
            if let Some(finding) =
                compare(form, who, [&ours, &theirs], [&reference, &answer], false)
            {
                return Ok(Verdict::Finding(finding));
            }
        }
        let rows = match reference {
            Answer::Rows(rows) => rows,
            Answer::Refused(why) => {
                refused.get_or_insert(why);
                continue;
            }
            // All fail alike: a division by zero, for example.
            Answer::Failed(_) => continue,
        };
        answered += 1;
        let Some((sql, expected)) = &first else {
            first = Some((ours, rows));
            continue;
        };
        if let Some(finding) = between_forms(case, form, (sql, expected), (&ours, &rows)) {
            return Ok(Verdict::Finding(finding));
        }
    }
    Ok(match refused {
        Some(why) if answered == 0 => Verdict::Refused(why),
        _ => Verdict::Same {
            rows: first.map_or(0, |(_, rows)| rows.rows.len()),
        },
    })
}

fn between_forms(
    case: &Case,
    form: &Form,
    first: (&String, &Rows),
    this: (&String, &Rows),
) -> Option<Finding> {
    let (expected, same) = match case.relation {
        Expected::Same => (first.1.clone(), first.1.same_as(this.1)),
        Expected::Prefix => {
            let expected = first.1.first(this.1.rows.len());
            let same = expected.same_as(this.1);
            (expected, same)
        }
    };
    let what = case.forms.first().map_or("", |f| f.what);
    (!same).then(|| Finding {
        sort: Sort::Rows,
        between: [what.to_owned(), form.what.to_owned()],
        statements: [first.0.clone(), this.0.clone()],
        difference: difference(&expected, this.1),
    })
}

fn compare(
    form: &Form,
    who: [&str; 2],
    statements: [&String; 2],
    answers: [&Answer; 2],
    both_ours: bool,
) -> Option<Finding> {
    let finding = |sort, difference| {
        Some(Finding {
            sort,
            between: who.map(ToOwned::to_owned),
            statements: statements.map(Clone::clone),
            difference,
        })
    };
    match answers {
        [Answer::Rows(one), Answer::Rows(two)] => {
            if both_ours && one.types != two.types {
                let difference = format!(
                    "{} has {}\n{} has {}",
                    who[0],
                    one.types.join(", "),
                    who[1],
                    two.types.join(", ")
                );
                return finding(Sort::Types, difference);
            }
            if !one.same_as(two) {
                return finding(Sort::Rows, difference(one, two));
            }
            if !one.same_order_as(two, &form.order) {
                let order: Vec<_> = form.order.iter().map(|at| (at + 1).to_string()).collect();
                return finding(
                    Sort::Order,
                    format!(
                        "the rows are not in the order of column {}",
                        order.join(", ")
                    ),
                );
            }
            None
        }
        [
            Answer::Rows(rows),
            Answer::Refused(why) | Answer::Failed(why),
        ] => finding(
            Sort::OneFails,
            format!(
                "{} gives {} rows, {}: {why}",
                who[0],
                rows.rows.len(),
                who[1]
            ),
        ),
        [Answer::Refused(_), Answer::Refused(_)] => None,
        [Answer::Failed(_), Answer::Failed(_)] => None,
        [
            Answer::Refused(why) | Answer::Failed(why),
            Answer::Rows(rows),
        ] => {
            let sort = if both_ours {
                Sort::OneFails
            } else {
                Sort::WeFail
            };
            finding(
                sort,
                format!(
                    "{} gives {} rows, {}: {why}",
                    who[1],
                    rows.rows.len(),
                    who[0]
                ),
            )
        }
        [Answer::Refused(one), Answer::Failed(two)]
        | [Answer::Failed(one), Answer::Refused(two)] => finding(
            Sort::OneFails,
            format!("{}: {one}\n{}: {two}", who[0], who[1]),
        ),
    }
}

fn difference(one: &Rows, two: &Rows) -> String {
    let (only_one, only_two) = (one.only_here(two, SHOWN), two.only_here(one, SHOWN));
    let list = |rows: &[String]| {
        if rows.is_empty() {
            "none".to_owned()
        } else {
            rows.join(" ")
        }
    };
    format!(
        "{} rows and {}; only in the first: {}; only in the second: {}",
        one.rows.len(),
        two.rows.len(),
        list(&only_one),
        list(&only_two)
    )
}
