//! Data tests: conditions on tables and sources that a run holds before it publishes.

use std::fmt;

use retail_api::TableName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::identifier;
use super::model::{Model, ModelName};
use retail_api::source::{Location, SourceRef};

/// A declared test, with everything that its query needs.
#[derive(Debug, Clone)]
pub struct DataTest {
    /// As dbt names it (`not_null_orders_order_id`), or as the YAML does.
    /// As the YAML names it, or as dbt does (`not_null_orders_order_id`).
    pub name: String,
    /// The same, short enough for a table: as in dbt, long names end in their digest.
    pub short_name: String,
    pub subject: Subject,
    /// A column, or the expression that stands in its place; `None` for a test of whole rows.
    pub column: Option<String>,
    pub kind: TestKind,
    pub config: TestConfig,
    /// Where it is declared.
    pub at: Location,
    /// The text of that line, for messages.
    pub line: String,
    /// Declared as a constraint of a contract.
    pub is_constraint: bool,
    /// What stands for the relation that it reads, where the project's `get_where_subquery` has it.
    pub relation: Option<String>,
    /// The table that keeps its failing rows (`store_failures`).
    pub stored_in: Option<TableName>,
    /// Models that its query reads, its subject among them.
    pub models: Vec<ModelName>,
    /// Sources that its query reads, its subject among them.
    pub sources: Vec<SourceRef>,
}

/// What a test is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Model {
        name: ModelName,
        table: TableName,
    },
    Source {
        source: SourceRef,
        table: TableName,
    },
    /// A file of its own below `tests/`.
    Singular,
}

impl Subject {
    /// The relation that the test reads; none for a file of its own.
    pub fn table(&self) -> Option<&TableName> {
        match self {
            Self::Model { table, .. } | Self::Source { table, .. } => Some(table),
            Self::Singular => None,
        }
    }
}

/// `marts.orders`, `raw.orders`, or nothing for a file of its own.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model { table, .. } => write!(f, "{table}"),
            Self::Source { source, .. } => write!(f, "{source}"),
            Self::Singular => Ok(()),
        }
    }
}

/// What a test asks.
#[derive(Debug, Clone)]
pub enum TestKind {
    NotNull,
    /// Nulls are left out.
    Unique,
    /// As `Unique`, of several columns together; rows where one is null are left out.
    UniqueTogether {
        columns: Vec<String>,
    },
    /// Nulls are left out. `quote` false: the values are numbers or booleans.
    AcceptedValues {
        values: Vec<Value>,
        quote: bool,
    },
    /// Nulls are left out.
    Relationships {
        to: TableName,
        field: String,
    },
    /// No row for which it is false; null passes, as in SQL's CHECK.
    Check {
        expression: String,
    },
    /// The rendered query of a generic test with a template, or of a file below `tests/`: its rows are the failures.
    Query {
        /// The test's name in YAML, such as `dbt_utils.accepted_range`; `singular` for a file.
        test: String,
        query: Box<Model>,
    },
}

impl TestKind {
    /// The name in YAML.
    pub fn as_str(&self) -> &str {
        match self {
            Self::NotNull => "not_null",
            Self::Unique => "unique",
            Self::UniqueTogether { .. } => "unique together",
            Self::AcceptedValues { .. } => "accepted_values",
            Self::Relationships { .. } => "relationships",
            Self::Check { .. } => "check",
            Self::Query { test, .. } => test,
        }
    }
}

/// Whether a failing test stops the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    #[default]
    Error,
    Warn,
}

/// Settings of a test.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TestConfig {
    pub severity: Severity,
    /// Only rows for which this SQL condition holds are tested.
    pub filter: Option<String>,
    /// At most so many failing rows are counted.
    pub limit: Option<u64>,
    pub error_if: Threshold,
    pub warn_if: Threshold,
    /// What is counted over the failing rows; `count(*)` without it.
    pub fail_calc: Option<String>,
    pub enabled: Option<bool>,
    pub tags: Vec<String>,
    /// `store_failures`: failing rows go to a table.
    pub store_failures: Option<bool>,
    /// `store_failures_as`: `table`, or not at all; goes over `store_failures` wherever either is set.
    pub store_failures_as: Option<bool>,
    /// Names of that table; without them it has the test's name and a schema of its own.
    pub alias: Option<String>,
    pub schema: Option<String>,
}

/// Every setting of a test that we know.
pub(crate) const SETTINGS: [&str; 12] = [
    "severity",
    "where",
    "limit",
    "error_if",
    "warn_if",
    "fail_calc",
    "enabled",
    "tags",
    "store_failures",
    "store_failures_as",
    "alias",
    "schema",
];

/// Notes of people, and what dbt does nothing with in a test.
const IGNORED: [&str; 4] = ["meta", "docs", "group", "name"];

impl TestConfig {
    /// Whether failing rows are kept in a table.
    pub fn is_stored(&self) -> bool {
        self.store_failures_as
            .or(self.store_failures)
            .unwrap_or(false)
    }

    /// Takes one setting; `false` when dbt has none of this name. Null sets nothing, as in dbt: what was set before
    /// stays. The error is the cause.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<bool, String> {
        let text = || match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            _ => Err(format!("{key} must be text")),
        };
        if value.is_null() {
            return Ok(SETTINGS.contains(&key) || IGNORED.contains(&key) || key == "database");
        }
        match key {
            "severity" => {
                self.severity = match text()?.to_lowercase().as_str() {
                    "error" => Severity::Error,
                    "warn" => Severity::Warn,
                    other => return Err(format!("severity is error or warn, not {other}")),
                }
            }
            "where" => self.filter = Some(text()?).filter(|filter| !filter.trim().is_empty()),
            "limit" => {
                let limit = text()?;
                let rows = limit.trim().parse();
                self.limit =
                    Some(rows.map_err(|_| format!("limit is a number of rows, not {limit}"))?);
            }
            "error_if" => self.error_if = text()?.parse()?,
            "warn_if" => self.warn_if = text()?.parse()?,
            "fail_calc" => {
                let text = text()?;
                let plain = text.to_lowercase().replace(' ', "") == "count(*)";
                self.fail_calc = (!plain).then_some(text);
            }
            "enabled" => self.enabled = Some(flag(key, value)?),
            "tags" => match value {
                Value::Array(tags) => self
                    .tags
                    .extend(tags.iter().filter_map(|t| Some(t.as_str()?.to_string()))),
                _ => self.tags.push(text()?),
            },
            "store_failures" => self.store_failures = Some(flag(key, value)?),
            "store_failures_as" => {
                self.store_failures_as = Some(match text()?.to_lowercase().as_str() {
                    "table" => true,
                    "ephemeral" => false,
                    "view" => {
                        return Err("failing rows are kept as they were found, which a view cannot do: write \
                                    store_failures_as: table"
                            .into());
                    }
                    other => {
                        return Err(format!(
                            "store_failures_as is table or ephemeral, not {other}"
                        ));
                    }
                });
            }
            "alias" => self.alias = Some(identifier(key, &text()?)?),
            "schema" => self.schema = Some(identifier(key, &text()?)?),
            "database" => {
                return Err(
                    "database is not supported: there is one catalog; take this setting out".into(),
                );
            }
            _ if IGNORED.contains(&key) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn flag(key: &str, value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(s) if s.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(s) if s.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(format!("{key} must be true or false")),
    }
}

/// A condition on the number of failures: `!= 0`, `> 10`, `between 1 and 5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    Equal(i64),
    NotEqual(i64),
    Less(i64),
    LessOrEqual(i64),
    Greater(i64),
    GreaterOrEqual(i64),
    /// Both inclusive.
    Between(i64, i64),
}

impl Default for Threshold {
    fn default() -> Self {
        Self::NotEqual(0)
    }
}

impl Threshold {
    /// Whether it holds for this many failures.
    pub fn holds(self, failures: i64) -> bool {
        match self {
            Self::Equal(n) => failures == n,
            Self::NotEqual(n) => failures != n,
            Self::Less(n) => failures < n,
            Self::LessOrEqual(n) => failures <= n,
            Self::Greater(n) => failures > n,
            Self::GreaterOrEqual(n) => failures >= n,
            Self::Between(low, high) => (low..=high).contains(&failures),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(n) => write!(f, "= {n}"),
            Self::NotEqual(n) => write!(f, "!= {n}"),
            Self::Less(n) => write!(f, "< {n}"),
            Self::LessOrEqual(n) => write!(f, "<= {n}"),
            Self::Greater(n) => write!(f, "> {n}"),
            Self::GreaterOrEqual(n) => write!(f, ">= {n}"),
            Self::Between(low, high) => write!(f, "between {low} and {high}"),
        }
    }
}

impl std::str::FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no condition on a number of failures; write it as > 10, != 0 or between 1 and 5"
            )
        };
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
        let lower = text.trim().to_lowercase();
        if let Some(rest) = lower.strip_prefix("between ") {
            let (low, high) = rest.split_once(" and ").ok_or_else(wrong)?;
            return Ok(Self::Between(number(low)?, number(high)?));
        }
        let end = lower
            .find(|c: char| !matches!(c, '=' | '!' | '<' | '>'))
            .ok_or_else(wrong)?;
        let value = number(&lower[end..])?;
        Ok(match &lower[..end] {
            "=" | "==" => Self::Equal(value),
            "!=" | "<>" => Self::NotEqual(value),
            "<" => Self::Less(value),
            "<=" => Self::LessOrEqual(value),
            ">" => Self::Greater(value),
            ">=" => Self::GreaterOrEqual(value),
            _ => return Err(wrong()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_threshold_is_a_comparison_or_a_range() {
        let holds = |text: &str, n| text.parse::<Threshold>().unwrap().holds(n);
        for (text, yes, no) in [
            ("!= 0", 1, 0),
            (">10", 11, 10),
            (">= 10", 10, 9),
            ("< 3", 2, 3),
            ("<=3", 3, 4),
            ("= 2", 2, 1),
            ("<> 5", 4, 5),
            ("between 2 and 4", 4, 5),
        ] {
            assert!(holds(text, yes) && !holds(text, no), "{text}");
        }
        for text in ["", ">", "10", "> ten", "between 1", "=> 3", "> 1 or true"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }

    fn of(settings: &[(&str, Value)]) -> TestConfig {
        let mut config = TestConfig::default();
        for (key, value) in settings {
            assert_eq!(config.set(key, value), Ok(true), "{key}");
        }
        config
    }

    #[test]
    fn how_failing_rows_are_kept_goes_over_whether_they_are() {
        let stored = |settings: &[(&str, Value)]| of(settings).is_stored();
        assert!(!stored(&[]));
        assert!(stored(&[("store_failures", json!(true))]));
        assert!(!stored(&[
            ("store_failures_as", json!("ephemeral")),
            ("store_failures", json!(true))
        ]));
        assert!(stored(&[
            ("store_failures_as", json!("table")),
            ("store_failures", json!(false))
        ]));
        for (key, value) in [
            ("store_failures_as", "view"),
            ("store_failures_as", "tabel"),
            ("schema", "not a name"),
            ("database", "elsewhere"),
        ] {
            assert!(TestConfig::default().set(key, &json!(value)).is_err());
        }
        assert_eq!(TestConfig::default().set("wehre", &json!("x")), Ok(false));
    }

    #[test]
    fn null_leaves_a_setting_as_it_was() {
        let config = of(&[("where", json!("a > 1")), ("where", Value::Null)]);
        assert_eq!(config.filter.as_deref(), Some("a > 1"));
        assert_eq!(
            of(&[("where", json!("a > 1")), ("where", json!(""))]).filter,
            None
        );
    }
}
