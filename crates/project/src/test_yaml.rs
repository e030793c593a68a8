//! Tests and constraints as YAML declares them, before names are known.

use serde_json::{Map, Value};

use retail_api::Failure;

use super::data_test::{SETTINGS, TestConfig};
use super::yaml::Node;
use retail_api::source::Location;
use retail_api::suggest::did_you_mean;

/// A setting of a test as it is written: Jinja in its value is rendered when the test is made.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub key: String,
    pub value: Value,
    /// If it is wrong; the cause is left to say.
    pub stray: Failure,
}

impl Setting {
    /// Reads `key: value`; `+key` is the same.
    ///
    /// # Errors
    /// The value is wrong, or the key is nearly one of ours.
    pub(crate) fn read(key: &str, value: &Node<'_>) -> Result<Self, Failure> {
        let setting = Self {
            key: key.trim_start_matches('+').to_string(),
            value: value.json(),
            stray: value.fail(String::new()),
        };
        match has_jinja(&setting.value) {
            true => Ok(setting),
            false => setting.put(&mut TestConfig::default()).map(|_| setting),
        }
    }

    /// Puts the setting over `config`; `false` when a test has none of this name.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub(crate) fn put(&self, config: &mut TestConfig) -> Result<bool, Failure> {
        let known = config.set(&self.key, &self.value);
        let known = known.map_err(|cause| self.stray.clone().cause(cause))?;
        let near = did_you_mean(&self.key, SETTINGS);
        match known || near.is_empty() {
            true => Ok(known),
            // dbt lets a test have settings of its own; what is nearly ours is a slip of the pen.
            false => {
                let cause = format!("a test has no setting {}{near}", self.key);
                Err(self.stray.clone().cause(cause))
            }
        }
    }
}

/// Whether a value holds a template.
pub(crate) fn has_jinja(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{") || text.contains("{%"),
        Value::Array(list) => list.iter().any(has_jinja),
        Value::Object(map) => map.values().any(has_jinja),
        _ => false,
    }
}

/// One entry of `data_tests:` (or `tests:`).
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    /// `not_null`, `dbt_utils.accepted_range`.
    pub test: String,
    /// The name it is given; without one it is made of the test and its arguments.
    pub name: Option<String>,
    pub column: Option<String>,
    /// Whether the column's name must be quoted (`quote: true`).
    pub quote_column: bool,
    pub arguments: Map<String, Value>,
    /// In the order they stand.
    pub settings: Vec<Setting>,
    pub at: Location,
    /// A failure at its place; the cause is left to say.
    pub stray: Failure,
}

/// Settings that dbt lets stand beside the arguments.
const BESIDE: [&str; 12] = [
    "severity",
    "tags",
    "enabled",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    "store_failures",
    "store_failures_as",
    "meta",
    "alias",
];

/// Reads one entry. `column` is the column that it stands under.
pub(crate) fn test(node: &Node<'_>, column: Option<&str>) -> Result<Declared, Failure> {
    let mut declared = Declared {
        test: String::new(),
        name: None,
        column: column.map(str::to_string),
        quote_column: false,
        arguments: Map::new(),
        settings: vec![],
        at: Location {
            file: node.file().to_string(),
            line: node.line(),
        },
        stray: node.fail(String::new()),
    };
    if !node.is_mapping() {
        declared.test = node.text()?;
        return Ok(declared);
    }
    // `- name: my_test` with `test_name: unique`, or `- unique: {…}`.
    let body = match node.get("test_name") {
        Some(name) => {
            declared.test = name.text()?;
            node.entries()?
        }
        None => {
            let mut entries = node.entries()?;
            if entries.len() != 1 {
                let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
                return Err(node
                    .fail(format!(
                        "a test is one name with what belongs to it below; these stand side by side: {}",
                        keys.join(", ")
                    ))
                    .note("indent the arguments and config: of a test two steps deeper than its name"));
            }
            let (name, value) = entries.remove(0);
            declared.test = name;
            value.entries()?
        }
    };
    for (key, value) in body {
        match key.as_str() {
            "test_name" | "description" => {}
            "name" => declared.name = Some(value.text()?),
            "arguments" if value.is_mapping() => {
                for (key, value) in value.entries()? {
                    declared.argument(&key, &value)?;
                }
            }
            "config" => {
                for (key, value) in value.entries()? {
                    declared.setting(&key, &value)?;
                }
            }
            key if BESIDE.contains(&key) => declared.setting(key, &value)?,
            key => declared.argument(key, &value)?,
        }
    }
    Ok(declared)
}

impl Declared {
    fn argument(&mut self, key: &str, value: &Node<'_>) -> Result<(), Failure> {
        if key == "column_name" {
            self.column = Some(value.text()?);
        } else {
            self.arguments.insert(key.to_string(), value.json());
        }
        Ok(())
    }

    fn setting(&mut self, key: &str, value: &Node<'_>) -> Result<(), Failure> {
        self.settings.push(Setting::read(key, value)?);
        Ok(())
    }
}

/// One entry of `constraints:`.
#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    pub kind: ConstraintKind,
    pub name: Option<String>,
    /// The column that it stands under, or the columns it names.
    pub columns: Vec<String>,
    pub at: Location,
    pub stray: Failure,
}

/// What a constraint holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConstraintKind {
    NotNull,
    Unique,
    PrimaryKey,
    Check {
        expression: String,
    },
    /// `to` as written: `ref('customers')`.
    ForeignKey {
        to: String,
        to_columns: Vec<String>,
    },
}

/// Reads one entry of `constraints:`; `column` is the column that it stands under.
pub(crate) fn constraint(node: &Node<'_>, column: Option<&str>) -> Result<Constraint, Failure> {
    let known = [
        "type",
        "name",
        "expression",
        "columns",
        "to",
        "to_columns",
        "warn_unenforced",
        "warn_unsupported",
    ];
    for (key, value) in node.entries()? {
        if !known.contains(&key.as_str()) {
            let near = did_you_mean(&key, known);
            return Err(value.fail(format!("a constraint has no key {key}{near}")));
        }
    }
    let kind = node
        .get("type")
        .ok_or_else(|| node.fail("a constraint needs a type"))?;
    let text = |key: &str| node.get(key).map(|n| n.text()).transpose();
    let columns = match (column, node.get("columns")) {
        (Some(column), _) => vec![column.to_string()],
        (None, Some(columns)) => columns.texts()?,
        (None, None) => vec![],
    };
    let expression = text("expression")?;
    let needs_columns = || match columns.is_empty() {
        true => Err(node.fail("a constraint of a model needs columns: [a, b]")),
        false => Ok(()),
    };
    let kind = match kind.text()?.as_str() {
        "not_null" => ConstraintKind::NotNull,
        "unique" => ConstraintKind::Unique,
        "primary_key" => ConstraintKind::PrimaryKey,
        "check" => ConstraintKind::Check {
            expression: expression
                .ok_or_else(|| node.fail("a check constraint needs an expression"))?,
        },
        "foreign_key" => ConstraintKind::ForeignKey {
            to: text("to")?.ok_or_else(|| {
                node.fail("a foreign key is held where it has to: ref('model') and to_columns: [column]; an \
                           expression is not read")
            })?,
            to_columns: node
                .get("to_columns")
                .ok_or_else(|| node.fail("a foreign key needs to_columns: [column]"))?
                .texts()?,
        },
        other => {
            let near = did_you_mean(
                other,
                ["not_null", "unique", "primary_key", "check", "foreign_key"],
            );
            return Err(kind.fail(format!(
                "constraints of type {other} are not held here{near}"
            )));
        }
    };
    if !matches!(kind, ConstraintKind::Check { .. }) {
        needs_columns()?;
        if let Some(node) = node.get("expression").filter(|n| !n.is_empty()) {
            return Err(node.fail(
                "the expression of a constraint is held for checks only; take it out, or declare a test",
            ));
        }
    }
    Ok(Constraint {
        kind,
        name: text("name")?,
        columns,
        at: Location {
            file: node.file().to_string(),
            line: node.line(),
        },
        stray: node.fail(String::new()),
    })
}

/// What YAML states of a file below `tests/`.
#[derive(Debug, Clone)]
pub(crate) struct DescribedFile {
    pub name: String,
    pub settings: Vec<Setting>,
    /// If no file has this name; the cause is left to say.
    pub stray: Failure,
}

/// Reads one entry of `data_tests:` at the top of a file.
pub(crate) fn described_file(node: &Node<'_>) -> Result<DescribedFile, Failure> {
    let name = node
        .get("name")
        .ok_or_else(|| node.fail("a test needs the name of its file"))?;
    let mut described = DescribedFile {
        name: name.text()?,
        settings: vec![],
        stray: name.fail(String::new()),
    };
    for (key, value) in node.entries()? {
        match key.as_str() {
            "name" | "description" | "docs" | "meta" => {}
            "config" => {
                for (key, value) in value.entries()? {
                    described.settings.push(Setting::read(&key, &value)?);
                }
            }
            key => {
                let near = did_you_mean(key, ["name", "description", "config"]);
                return Err(value.fail(format!("a test's file has no key {key}{near}")));
            }
        }
    }
    Ok(described)
}
