//! From a number of failing rows to what a person reads.

use retail_api::TableName;

use super::statement::plain;
use retail_api::job::TestState;
use retail_api::{Failure, FailureKind};
use retail_project::{DataTest, Severity, Subject, TestKind, Threshold};

/// What a test comes to: with severity error `error_if` stops the run, then `warn_if` warns; with severity warn only
/// `warn_if` counts.
pub(super) fn state(test: &DataTest, failures: i64) -> TestState {
    let config = &test.config;
    if config.severity == Severity::Error && config.error_if.holds(failures) {
        TestState::Failed
    } else if config.warn_if.holds(failures) {
        TestState::Warned
    } else {
        TestState::Passed
    }
}

/// `2 rows where store_id is null`.
pub(super) fn found(test: &DataTest, failures: i64) -> String {
    let column = test.column.as_deref().unwrap_or_default();
    let count = |one: &str, many: &str| match failures {
        1 => format!("1 {one}"),
        n => format!("{} {many}", grouped(n)),
    };
    if test.config.fail_calc.is_some() {
        return count("failure", "failures");
    }
    match &test.kind {
        TestKind::NotNull => format!("{} where {column} is null", count("row", "rows")),
        TestKind::Unique => count(
            &format!("value of {column} is there more than once"),
            &format!("values of {column} are there more than once"),
        ),
        TestKind::UniqueTogether { columns } => {
            let columns = columns.join(", ");
            count(
                &format!("value of ({columns}) is there more than once"),
                &format!("values of ({columns}) are there more than once"),
            )
        }
        TestKind::AcceptedValues { .. } => count(
            &format!("value of {column} is not accepted"),
            &format!("values of {column} are not accepted"),
        ),
        TestKind::Relationships { to, field } => {
            format!(
                "{} whose {column} is no {field} of {to}",
                count("row", "rows")
            )
        }
        TestKind::Check { expression } => {
            format!("{} for which {expression} is false", count("row", "rows"))
        }
        TestKind::Query { .. } => count("failing row", "failing rows"),
    }
}

fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    match n < 0 {
        true => format!("-{out}"),
        false => out,
    }
}

/// Where all failing rows of a test are to be seen.
pub(super) enum Look<'a> {
    /// In a table that readers see already.
    Kept(&'a TableName),
    Query {
        sql: &'a str,
        /// It reads what only this run sees.
        staged: bool,
        /// Why the rows are not in a table, where they should be.
        unkept: Option<&'a str>,
    },
}

/// What a person reads of a test that did not pass: where it is declared, some of the rows, the query for all.
///
/// `rows` are lines of a small table, none where they were not looked up.
pub(super) fn failure(
    test: &DataTest,
    state: TestState,
    failures: i64,
    rows: &[String],
    look: &Look<'_>,
) -> Failure {
    let warns = state == TestState::Warned;
    let mut failure = at(
        test,
        format!(
            "{} {} {}: {}",
            if test.is_constraint {
                "constraint"
            } else {
                "test"
            },
            test.name,
            if warns { "warns" } else { "failed" },
            found(test, failures)
        ),
    );
    let config = &test.config;
    let threshold = if warns {
        config.warn_if
    } else {
        config.error_if
    };
    if threshold != Threshold::default() {
        let word = if warns { "warns" } else { "fails" };
        failure = failure.note(format!(
            "it {word} if the number of failures is {threshold}"
        ));
    }
    if let Subject::Model { table, .. } = &test.subject {
        failure = failure.note(match &test.column {
            Some(column) => format!("model {table}, column {column}"),
            None => format!("model {table}"),
        });
    } else if let Subject::Source { source, .. } = &test.subject {
        failure = failure.note(match &test.column {
            Some(column) => format!("source {source}, column {column}"),
            None => format!("source {source}"),
        });
    }
    if !rows.is_empty() {
        let some = if (rows.len() as i64 - 1) < failures {
            "some of them:"
        } else {
            "they are:"
        };
        failure = failure.note(format!("{some}\n{}", rows.join("\n")));
    }
    failure = match look {
        Look::Kept(table) => failure.note(format!(
            "its failing rows are in {table}: retail-submit sql \"select * from {table}\""
        )),
        Look::Query {
            sql,
            staged,
            unkept,
        } => {
            let words = match staged {
                true => "the query, on what this run wrote",
                false => "see them",
            };
            let failure = failure.note(format!("{words}: {}", one_line(sql)));
            match unkept {
                Some(cause) => {
                    failure.note(format!("its failing rows could not be stored: {cause}"))
                }
                None => failure,
            }
        }
    };
    if warns {
        return failure;
    }
    failure.note(match (test.is_constraint, &test.subject) {
        (true, _) => "fix the rows, or the constraint".to_string(),
        (false, Subject::Singular) => {
            "fix the rows, or let it warn: {{ config(severity='warn') }}".to_string()
        }
        (false, _) => "fix the rows, or let it warn: config: {severity: warn}".to_string(),
    })
}

/// A failure at the line where a test is declared.
pub(super) fn at(test: &DataTest, message: String) -> Failure {
    let mut failure =
        Failure::new(FailureKind::Test, message).at(test.at.file.clone(), test.at.line, 0);
    failure.snippet.clone_from(&test.line);
    match &test.subject {
        Subject::Model { table, .. } => failure.model(table.to_string()),
        _ => failure,
    }
}

fn one_line(sql: &str) -> String {
    const LONGEST: usize = 400;
    let line = plain(sql);
    match line.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}
