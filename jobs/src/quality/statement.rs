//! A test as SQL: the query whose rows are its failures, their number, and what a shared pass asks of each row.

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use retail_api::TableName;

use super::literal::literal;
use super::verdict;
use retail_api::Failure;
use retail_api::suggest::did_you_mean;
use retail_project::{DataTest, TestKind};

/// The columns of the relations that tests read.
pub(super) type SchemaOf<'a> = &'a (dyn Fn(&TableName) -> Option<SchemaRef> + Sync);

/// The query whose rows are the failures, without the test's `limit`.
///
/// Where a person goes on with the rows (`fail_calc`, `store_failures`) they have the columns that they have in dbt; else
/// those that say most.
///
/// # Errors
/// A column that is not there, or a value that is none of the column's type.
pub(super) fn failing(test: &DataTest, schema_of: SchemaOf<'_>) -> Result<String, Failure> {
    if let TestKind::Query { query, .. } = &test.kind {
        return Ok(query.sql.clone());
    }
    let from = relation(test);
    let as_dbt = test.config.fail_calc.is_some() || test.stored_in.is_some();
    Ok(match &test.kind {
        TestKind::NotNull | TestKind::Check { .. } => {
            format!("select * from {from} where {}", breaks(test, schema_of)?)
        }
        // An anti join: `not in` would have to prove that no key is null.
        TestKind::Relationships { to, field } => {
            let (column, kind) = tested(test, schema_of)?;
            let field = column_of(test, field, to, schema_of)?;
            let is_filtered = test.relation.is_some() || test.config.filter.is_some();
            let (from, column) = match (is_filtered, kind) {
                (_, None) => (
                    format!("(select *, {column} as from_field from {from}) dbt_subquery"),
                    "from_field".to_string(),
                ),
                (true, _) => (from, column),
                (false, _) => (format!("{from} dbt_subquery"), column),
            };
            let columns = match as_dbt {
                true => format!("{column} as from_field"),
                false => "*".to_string(),
            };
            format!(
                "select {columns} from {from} where {column} is not null and not exists (select 1 from {} parent where \
                 parent.{field} = dbt_subquery.{column})",
                quoted_table(to)
            )
        }
        TestKind::Unique => {
            let column = tested(test, schema_of)?.0;
            let name = match as_dbt {
                true => " as unique_field",
                false => "",
            };
            repeated(&from, &[column], name)
        }
        TestKind::UniqueTogether { columns } => {
            let columns = columns
                .iter()
                .map(|c| column_of(test, c, subject(test)?, schema_of));
            repeated(
                &from,
                &columns.collect::<Result<Vec<String>, Failure>>()?,
                "",
            )
        }
        TestKind::AcceptedValues { .. } => {
            let column = tested(test, schema_of)?.0;
            format!(
                "select {column} as value_field, count(*) as n_records from {from} where {} group by {column}",
                breaks(test, schema_of)?
            )
        }
        TestKind::Query { query, .. } => query.sql.clone(),
    })
}

/// The condition that a failing row fulfils; none where a test is not about single rows.
pub(super) fn condition(
    test: &DataTest,
    schema_of: SchemaOf<'_>,
) -> Result<Option<String>, Failure> {
    match &test.kind {
        // What `fail_calc` makes of no rows may be null, which is an error.
        _ if test.config.fail_calc.is_some() => Ok(None),
        TestKind::NotNull | TestKind::Check { .. } | TestKind::AcceptedValues { .. } => {
            breaks(test, schema_of).map(Some)
        }
        TestKind::Unique
        | TestKind::UniqueTogether { .. }
        | TestKind::Relationships { .. }
        | TestKind::Query { .. } => Ok(None),
    }
}

/// The columns of which no value may be there twice; none where a test is not about that.
pub(super) fn key(
    test: &DataTest,
    schema_of: SchemaOf<'_>,
) -> Result<Option<Vec<String>>, Failure> {
    match &test.kind {
        _ if test.config.fail_calc.is_some() => Ok(None),
        TestKind::Unique => Ok(Some(vec![tested(test, schema_of)?.0])),
        TestKind::UniqueTogether { columns } => {
            let columns = columns
                .iter()
                .map(|c| column_of(test, c, subject(test)?, schema_of));
            columns.collect::<Result<Vec<String>, Failure>>().map(Some)
        }
        _ => Ok(None),
    }
}

/// One row with the number of failures.
pub(super) fn counting(test: &DataTest, failing: &str) -> String {
    let calc = test.config.fail_calc.as_deref().unwrap_or("count(*)");
    let limited = limited(test, failing);
    format!("select {calc} as failures from (\n{limited}\n) dbt_internal_test")
}

/// The failing rows that count: those within the test's `limit`.
pub(super) fn limited(test: &DataTest, failing: &str) -> String {
    // A query with a limit of its own takes no second one.
    let has_limit = || {
        let words = failing.split(|c: char| !c.is_alphanumeric() && c != '_');
        matches!(test.kind, TestKind::Query { .. })
            && words.into_iter().any(|w| w.eq_ignore_ascii_case("limit"))
    };
    match test.config.limit {
        Some(rows) if has_limit() => {
            format!("select * from (\n{failing}\n) dbt_internal_rows\nlimit {rows}")
        }
        Some(rows) => format!("{failing}\nlimit {rows}"),
        None => failing.to_string(),
    }
}

/// As [`counting`], over the table that keeps the failing rows.
pub(super) fn counting_kept(test: &DataTest, table: &TableName) -> String {
    let calc = test.config.fail_calc.as_deref().unwrap_or("count(*)");
    format!(
        "select {calc} as failures from {} dbt_internal_test",
        quoted_table(table)
    )
}

/// Some rows of the table that keeps the failing rows.
pub(super) fn sample_kept(table: &TableName, rows: u64) -> String {
    format!("select * from {} limit {rows}", quoted_table(table))
}

/// At most so many of the rows, the most frequent values first.
pub(super) fn sample(test: &DataTest, failing: &str, rows: u64) -> String {
    let rows = test.config.limit.map_or(rows, |limit| limit.min(rows));
    match &test.kind {
        TestKind::Unique | TestKind::UniqueTogether { .. } | TestKind::AcceptedValues { .. } => {
            format!("{failing} order by n_records desc limit {rows}")
        }
        TestKind::NotNull | TestKind::Check { .. } | TestKind::Relationships { .. } => {
            format!("{failing} limit {rows}")
        }
        TestKind::Query { .. } => {
            format!("select * from (\n{failing}\n) dbt_internal_test limit {rows}")
        }
    }
}

/// Whether the SQL holds text of a person, which must be planned to know whether it is right.
pub(super) fn is_written_by_hand(test: &DataTest) -> bool {
    let is_name = |text: &str| {
        text.chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == ' ')
    };
    test.config.filter.is_some()
        || test.relation.is_some()
        || test.stored_in.is_some()
        || test.config.fail_calc.is_some()
        || test.column.as_deref().is_some_and(|c| !is_name(c))
        || matches!(
            test.kind,
            TestKind::Query { .. }
                | TestKind::Check { .. }
                | TestKind::Relationships { .. }
                | TestKind::AcceptedValues { quote: false, .. }
        )
}

/// The condition that a failing row fulfils.
fn breaks(test: &DataTest, schema_of: SchemaOf<'_>) -> Result<String, Failure> {
    if let TestKind::Check { expression } = &test.kind {
        return Ok(format!("not ({expression})"));
    }
    let (column, kind) = tested(test, schema_of)?;
    let TestKind::AcceptedValues { values, quote } = &test.kind else {
        return Ok(format!("{column} is null"));
    };
    let mut accepted = vec![];
    for value in values {
        let found = literal(value, *quote, kind.as_ref());
        accepted.extend(found.map_err(|cause| cannot(test, cause))?);
    }
    Ok(match accepted.is_empty() {
        true => format!("{column} is not null"),
        false => format!("{column} not in ({})", accepted.join(", ")),
    })
}

/// `name` goes behind the columns that are selected.
fn repeated(from: &str, columns: &[String], name: &str) -> String {
    let there: Vec<String> = columns.iter().map(|c| format!("{c} is not null")).collect();
    let columns = columns.join(", ");
    format!(
        "select {columns}{name}, count(*) as n_records from {from} where {} group by {columns} having count(*) > 1",
        there.join(" and ")
    )
}

/// The relation with only the rows that are tested.
pub(super) fn relation(test: &DataTest) -> String {
    let table = test.subject.table().map_or_else(String::new, quoted_table);
    match (&test.relation, &test.config.filter) {
        (Some(relation), _) => format!("(select * from {relation}) dbt_subquery"),
        (None, Some(filter)) => format!("(select * from {table} where {filter}) dbt_subquery"),
        (None, None) => table,
    }
}

fn subject(test: &DataTest) -> Result<&TableName, Failure> {
    test.subject
        .table()
        .ok_or_else(|| cannot(test, "it is about no table".into()))
}

/// The column (or the expression in its place) as SQL, and its type where it is a column.
fn tested(test: &DataTest, schema_of: SchemaOf<'_>) -> Result<(String, Option<DataType>), Failure> {
    let table = subject(test)?;
    let name = test.column.as_deref().unwrap_or_default();
    let schema = schema(test, table, schema_of)?;
    if let Some(found) = field(&schema, name) {
        return Ok((
            quoted(schema.field(found).name()),
            Some(schema.field(found).data_type().clone()),
        ));
    }
    // Model-level tests may name an expression: `unique: {column_name: "a || b"}`.
    if name
        .chars()
        .any(|c| !(c.is_alphanumeric() || c == '_' || c == ' '))
    {
        return Ok((format!("({name})"), None));
    }
    Err(no_column(test, name, table, &schema))
}

fn column_of(
    test: &DataTest,
    name: &str,
    table: &TableName,
    schema_of: SchemaOf<'_>,
) -> Result<String, Failure> {
    let schema = schema(test, table, schema_of)?;
    match field(&schema, name) {
        Some(found) => Ok(quoted(schema.field(found).name())),
        None => Err(no_column(test, name, table, &schema)),
    }
}

/// The column of this name; of another case where only one has it.
fn field(schema: &Schema, name: &str) -> Option<usize> {
    let name = name.trim().trim_matches('"');
    if let Ok(exact) = schema.index_of(name) {
        return Some(exact);
    }
    let mut alike = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, f)| f.name().eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some((found, _)), None) => Some(found),
        _ => None,
    }
}

fn schema(
    test: &DataTest,
    table: &TableName,
    schema_of: SchemaOf<'_>,
) -> Result<SchemaRef, Failure> {
    schema_of(table).ok_or_else(|| cannot(test, format!("there is no table {table}")))
}

fn no_column(test: &DataTest, name: &str, table: &TableName, schema: &Schema) -> Failure {
    let names = schema.fields().iter().map(|f| f.name().as_str());
    cannot(
        test,
        format!("{table} has no column {name}{}", did_you_mean(name, names)),
    )
}

/// A test that cannot be run; the project is wrong.
pub(super) fn cannot(test: &DataTest, cause: String) -> Failure {
    let mut failure = verdict::at(test, format!("cannot plan test {}", test.name)).cause(cause);
    failure.kind = retail_api::FailureKind::Project;
    failure
}

fn quoted_table(table: &TableName) -> String {
    format!("{}.{}", quoted(&table.namespace), quoted(&table.name))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// SQL as a person types it: names without quotes where they need none, no comments, on one line.
pub fn plain(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let text = match c {
            '\'' => &rest[..closing(rest, '\'')],
            '"' => {
                let text = &rest[..closing(rest, '"')];
                let name = text.trim_matches('"');
                rest = &rest[text.len()..];
                out.push_str(if is_plain(name) { name } else { text });
                continue;
            }
            '-' if rest.starts_with("--") => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
                continue;
            }
            c if c.is_whitespace() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
                rest = &rest[c.len_utf8()..];
                continue;
            }
            c => &rest[..c.len_utf8()],
        };
        out.push_str(text);
        rest = &rest[text.len()..];
    }
    out.trim_end().to_string()
}

/// The length of a quoted text at the start; a quote that is doubled does not end it.
fn closing(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            continue;
        }
        match chars.peek() {
            Some((_, next)) if *next == quote => {
                chars.next();
            }
            _ => return at + 1,
        }
    }
    text.len()
}

/// Words that a parser takes for something else than a name.
const RESERVED: [&str; 44] = [
    "all", "and", "any", "array", "as", "asc", "between", "by", "case", "cast", "cross", "date",
    "desc", "distinct", "else", "end", "except", "exists", "false", "from", "full", "group",
    "having", "in", "inner", "interval", "is", "join", "left", "like", "limit", "not", "null",
    "on", "or", "order", "right", "select", "table", "true", "union", "user", "when", "where",
];

fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&name)
}
