//! The YAML beside the models: what they mean, their columns and tests.

use crate::failure::Failure;

use super::config::Settings;
use super::model::{
    Column, DataTest, ModelName, Place, RelationshipTarget, Severity, SourceRef, TestKind,
};
use super::suggest::did_you_mean;
use super::yaml::{Doc, Node};

/// What YAML says about one model.
#[derive(Debug)]
pub struct Description {
    pub name: String,
    pub at: Place,
    pub text: String,
    pub settings: Settings,
    pub columns: Vec<Column>,
    pub tests: Vec<DataTest>,
    /// If no model has this name; the cause is left to say.
    pub stray: Failure,
}

const KNOWN: [&str; 3] = ["version", "models", "sources"];
const IGNORED: [&str; 5] = ["exposures", "macros", "analyses", "groups", "anchors"];
const UNSUPPORTED: [&str; 7] = [
    "seeds",
    "snapshots",
    "unit_tests",
    "metrics",
    "semantic_models",
    "saved_queries",
    "data_tests",
];

/// Checks the keys of a file and gives its `models` and `sources`.
pub fn sections(doc: &Doc) -> Result<(Vec<Node<'_>>, Vec<Node<'_>>), Failure> {
    let (mut models, mut sources) = (vec![], vec![]);
    for (key, node) in doc.root().entries()? {
        match key.as_str() {
            "models" => models = node.items()?,
            "sources" => sources = node.items()?,
            k if KNOWN.contains(&k) || IGNORED.contains(&k) => {}
            k if UNSUPPORTED.contains(&k) => {
                return Err(node.fail(format!("{k} are not supported yet")));
            }
            k => return Err(node.fail(format!("there is no key {k}{}", did_you_mean(k, KNOWN)))),
        }
    }
    Ok((models, sources))
}

/// Reads one entry of `models:`.
pub fn model(node: &Node<'_>, warnings: &mut Vec<String>) -> Result<Description, Failure> {
    let name_node = node
        .get("name")
        .ok_or_else(|| node.fail("a model needs a name"))?;
    let name = name_node.text()?;
    let mut description = Description {
        at: Place {
            file: node.file().to_string(),
            line: name_node.line(),
        },
        text: String::new(),
        settings: Settings::default(),
        columns: vec![],
        tests: vec![],
        stray: name_node.fail(String::new()),
        name,
    };
    for (key, value) in node.entries()? {
        match key.as_str() {
            "name" | "docs" | "access" | "group" | "latest_version" | "deprecation_date" => {}
            "description" => description.text = value.text()?.trim().to_string(),
            "config" => {
                for (key, value) in value.entries()? {
                    let key = key.trim_start_matches('+').to_string();
                    description
                        .settings
                        .set(&key, &value.json())
                        .map_err(|cause| value.fail(cause))?;
                }
            }
            "meta" | "tags" => {
                description
                    .settings
                    .set(&key, &value.json())
                    .map_err(|cause| value.fail(cause))?;
            }
            "columns" => description.columns = columns(&value, &mut description.tests, warnings)?,
            "tests" | "data_tests" => {
                for test in value.items()? {
                    description.tests.extend(data_test(&test, None, warnings)?);
                }
            }
            "versions" | "constraints" | "time_spine" => {
                return Err(value.fail(format!("{key} of a model are not supported yet")));
            }
            k => {
                let known = [
                    "name",
                    "description",
                    "config",
                    "meta",
                    "tags",
                    "columns",
                    "tests",
                    "data_tests",
                ];
                return Err(value.fail(format!("a model has no key {k}{}", did_you_mean(k, known))));
            }
        }
    }
    Ok(description)
}

/// Reads `columns:` of a model or of a source's table; their tests go to `tests`.
pub fn columns(
    node: &Node<'_>,
    tests: &mut Vec<DataTest>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Column>, Failure> {
    let mut columns: Vec<Column> = vec![];
    for item in node.items()? {
        let name_node = item
            .get("name")
            .ok_or_else(|| item.fail("a column needs a name"))?;
        let mut column = Column {
            name: name_node.text()?,
            at: Place {
                file: item.file().to_string(),
                line: name_node.line(),
            },
            ..Column::default()
        };
        if columns.iter().any(|c| c.name == column.name) {
            return Err(name_node.fail(format!("column {} is declared twice", column.name)));
        }
        for (key, value) in item.entries()? {
            match key.as_str() {
                "name" | "tags" | "quote" | "policy_tags" | "granularity" | "docs" => {}
                "description" => column.description = value.text()?.trim().to_string(),
                "data_type" => {
                    let written = value.text()?;
                    column.at.line = value.line();
                    column.optional |= written.trim_end().ends_with('?');
                    column.data_type =
                        Some(written.trim().trim_end_matches('?').trim_end().to_string());
                }
                "optional" => column.optional |= value.boolean()?,
                "meta" | "config" => column.optional |= optional(&value)?,
                "tests" | "data_tests" => {
                    for test in value.items()? {
                        tests.extend(data_test(&test, Some(&column.name), warnings)?);
                    }
                }
                "constraints" => warnings.push(format!(
                    "{}:{}: constraints of column {} are not checked",
                    value.file(),
                    value.line(),
                    column.name
                )),
                k => {
                    let known = [
                        "name",
                        "description",
                        "data_type",
                        "tests",
                        "data_tests",
                        "meta",
                        "optional",
                    ];
                    return Err(
                        value.fail(format!("a column has no key {k}{}", did_you_mean(k, known)))
                    );
                }
            }
        }
        columns.push(column);
    }
    Ok(columns)
}

fn optional(node: &Node<'_>) -> Result<bool, Failure> {
    match node
        .get("optional")
        .or_else(|| node.get("meta").and_then(|m| m.get("optional")))
    {
        Some(value) => value.boolean(),
        None => Ok(false),
    }
}

/// A test we know, or nothing and a warning.
fn data_test(
    node: &Node<'_>,
    column: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Option<DataTest>, Failure> {
    let at = Place {
        file: node.file().to_string(),
        line: node.line(),
    };
    let (name, arguments) = if node.is_mapping() {
        let entries = node.entries()?;
        // `- name: my_test` with `test_name: unique`, or `- unique: {…}`.
        match node.get("test_name") {
            Some(name) => (name.text()?, node.clone()),
            None => {
                let first = entries
                    .into_iter()
                    .next()
                    .ok_or_else(|| node.fail("a test needs a name"))?;
                (first.0, first.1)
            }
        }
    } else {
        (node.text()?, node.clone())
    };
    // dbt 1.10 nests the arguments.
    let argument = |key: &str| {
        arguments
            .get(key)
            .or_else(|| arguments.get("arguments").and_then(|a| a.get(key)))
    };
    let setting = |key: &str| {
        arguments
            .get(key)
            .or_else(|| arguments.get("config").and_then(|c| c.get(key)))
    };
    let needs = |key: &str| argument(key).ok_or_else(|| node.fail(format!("{name} needs {key}")));
    let kind = match name.as_str() {
        "not_null" => TestKind::NotNull,
        "unique" => TestKind::Unique,
        "accepted_values" => TestKind::AcceptedValues {
            values: needs("values")?.texts()?,
            quote: argument("quote").map_or(Ok(true), |q| q.boolean())?,
        },
        "relationships" => {
            let to = needs("to")?;
            TestKind::Relationships {
                to: target(&to.text()?).ok_or_else(|| {
                    to.fail("write to: ref('model') or source('source', 'table')")
                })?,
                field: needs("field")?.text()?,
            }
        }
        _ => {
            warnings.push(format!("{at}: test {name} is not known and was left out"));
            return Ok(None);
        }
    };
    if column.is_none() && argument("column_name").is_none() {
        return Err(node.fail(format!("{name} belongs under a column")));
    }
    let column = match column {
        Some(column) => Some(column.to_string()),
        None => argument("column_name").map(|c| c.text()).transpose()?,
    };
    let severity = match setting("severity")
        .map(|s| s.text())
        .transpose()?
        .map(|s| s.to_lowercase())
        .as_deref()
    {
        None | Some("error") => Severity::Error,
        Some("warn") => Severity::Warn,
        Some(other) => return Err(node.fail(format!("severity is error or warn, not {other}"))),
    };
    let filter = setting("where").map(|w| w.text()).transpose()?;
    Ok(Some(DataTest {
        column,
        kind,
        severity,
        filter,
        at,
    }))
}

/// `ref('x')`, `source('s', 't')`, with or without `{{ }}`.
fn target(text: &str) -> Option<RelationshipTarget> {
    let text = text
        .trim()
        .trim_start_matches("{{")
        .trim_end_matches("}}")
        .trim();
    let (function, arguments) = text.strip_suffix(')')?.split_once('(')?;
    let arguments: Vec<&str> = arguments
        .split(',')
        .map(|a| a.trim().trim_matches(['\'', '"']))
        .collect();
    match (function.trim(), arguments.as_slice()) {
        ("ref", [name]) | ("ref", [_, name]) => {
            Some(RelationshipTarget::Model(ModelName::from(*name)))
        }
        ("source", [source, name]) => Some(RelationshipTarget::Source(SourceRef {
            source_name: (*source).to_string(),
            name: (*name).to_string(),
        })),
        _ => None,
    }
}
