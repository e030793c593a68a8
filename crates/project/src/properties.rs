//! The YAML beside the models: what they mean, their columns and tests.

use retail_api::Failure;

use super::config::ModelSettings;
use super::project::Warning;
use super::render::Renderer;
use super::test_yaml::{self, Constraint, Declared};
use super::yaml::{Doc, Node};
use retail_api::source::{Column, Location};
use retail_api::suggest::did_you_mean;

/// What YAML states about one model.
#[derive(Debug)]
pub(crate) struct Description {
    pub name: String,
    pub at: Location,
    pub text: String,
    pub settings: ModelSettings,
    pub columns: Vec<Column>,
    pub tests: Vec<Declared>,
    /// Of the model and of its columns.
    pub constraints: Vec<Constraint>,
    /// If no model has this name; the cause is left to say.
    pub stray: Failure,
}

const KNOWN: [&str; 3] = ["version", "models", "sources"];
const IGNORED: [&str; 5] = ["exposures", "macros", "analyses", "groups", "anchors"];
/// Sections of dbt for what we do not have, reported.
const WITHOUT_EFFECT: [&str; 6] = [
    "seeds",
    "unit_tests",
    "metrics",
    "semantic_models",
    "saved_queries",
    "functions",
];

/// The lists of a YAML file that say something to us.
#[derive(Debug, Default)]
pub(crate) struct Sections<'a> {
    pub models: Vec<Node<'a>>,
    pub sources: Vec<Node<'a>>,
    /// What is said of the files below `tests/`.
    pub data_tests: Vec<Node<'a>>,
}

/// Checks the keys of a file and gives its lists.
pub(crate) fn sections<'a>(
    doc: &'a Doc,
    warnings: &mut Vec<Warning>,
) -> Result<Sections<'a>, Failure> {
    let mut found = Sections::default();
    for (key, node) in doc.root().entries()? {
        match key.as_str() {
            "models" => found.models = node.items()?,
            "sources" => found.sources = node.items()?,
            "data_tests" | "tests" => found.data_tests = node.items()?,
            k if KNOWN.contains(&k) || IGNORED.contains(&k) => {}
            k if WITHOUT_EFFECT.contains(&k) => {
                if !node.is_empty() {
                    warnings.push(Warning::new(
                        format!("{k} are not supported and have no effect"),
                        node.at(),
                    ));
                }
            }
            "snapshots" => {
                return Err(node
                    .fail("snapshots are not supported yet")
                    .note("write the versions as a model"));
            }
            k => match did_you_mean(k, KNOWN) {
                near if near.is_empty() => {
                    warnings.push(Warning::new(
                        format!("there is no key {k}; it has no effect"),
                        node.at(),
                    ));
                }
                near => return Err(node.fail(format!("there is no key {k}{near}"))),
            },
        }
    }
    Ok(found)
}

/// Reads one entry of `models:`. Jinja in settings and types is rendered, as in dbt.
pub(crate) fn model(
    node: &Node<'_>,
    renderer: &Renderer,
    warnings: &mut Vec<Warning>,
) -> Result<Description, Failure> {
    let name_node = node
        .get("name")
        .ok_or_else(|| node.fail("a model needs a name"))?;
    let name = name_node.text()?;
    let mut description = Description {
        at: Location {
            file: node.file().to_string(),
            line: name_node.line(),
        },
        text: String::new(),
        settings: ModelSettings::default(),
        columns: vec![],
        tests: vec![],
        constraints: vec![],
        stray: name_node.fail(String::new()),
        name,
    };
    for (key, value) in node.entries()? {
        match key.as_str() {
            "name" | "docs" | "latest_version" => {}
            "access" | "group" | "deprecation_date" | "time_spine" => {
                warnings.push(Warning::new(
                    format!("{key} of a model has no effect"),
                    value.at(),
                ));
            }
            "description" => description.text = value.text()?.trim().to_string(),
            "config" => {
                for (key, value) in value.entries()? {
                    let key = key.trim_start_matches('+').to_string();
                    let json = rendered(&value, renderer)?;
                    description
                        .settings
                        .set(&key, &json)
                        .map_err(|cause| value.fail(cause))?;
                }
            }
            "meta" | "tags" => {
                let json = rendered(&value, renderer)?;
                description
                    .settings
                    .set(&key, &json)
                    .map_err(|cause| value.fail(cause))?;
            }
            "columns" => {
                description.columns = columns(
                    &value,
                    renderer,
                    &mut description.tests,
                    Some(&mut description.constraints),
                    warnings,
                )?;
            }
            "tests" | "data_tests" => {
                for test in value.items()? {
                    description.tests.push(test_yaml::test(&test, None)?);
                }
            }
            "constraints" => {
                for constraint in value.items()? {
                    description
                        .constraints
                        .push(test_yaml::constraint(&constraint, None)?);
                }
            }
            "versions" => {
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
                    "constraints",
                ];
                match did_you_mean(k, known) {
                    near if near.is_empty() => {
                        let text = format!("a model has no key {k}; it has no effect");
                        warnings.push(Warning::new(text, value.at()));
                    }
                    near => return Err(value.fail(format!("a model has no key {k}{near}"))),
                }
            }
        }
    }
    Ok(description)
}

/// Reads `columns:` of a model or of a source's table; their tests go to `tests`, their constraints to `constraints`:
/// a source has none, since nobody here writes it.
pub(crate) fn columns(
    node: &Node<'_>,
    renderer: &Renderer,
    tests: &mut Vec<Declared>,
    mut constraints: Option<&mut Vec<Constraint>>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Column>, Failure> {
    let mut columns: Vec<Column> = vec![];
    for item in node.items()? {
        let name_node = item
            .get("name")
            .ok_or_else(|| item.fail("a column needs a name"))?;
        let mut column = Column {
            name: name_node.text()?,
            at: Location {
                file: item.file().to_string(),
                line: name_node.line(),
            },
            ..Column::default()
        };
        if columns.iter().any(|c| c.name == column.name) {
            return Err(name_node.fail(format!("column {} is declared twice", column.name)));
        }
        let quote = item.get("quote").map_or(Ok(false), |q| q.boolean())?;
        for (key, value) in item.entries()? {
            match key.as_str() {
                "name" | "tags" | "quote" | "policy_tags" | "granularity" | "docs" => {}
                "description" => column.description = value.text()?.trim().to_string(),
                "data_type" => {
                    let written = renderer.value(&value.text()?);
                    let written = written.map_err(|cause| value.fail(cause))?;
                    column.at.line = value.line();
                    column.optional |= written.trim_end().ends_with('?');
                    column.data_type =
                        Some(written.trim().trim_end_matches('?').trim_end().to_string());
                }
                "optional" => column.optional |= value.boolean()?,
                "meta" | "config" => column.optional |= optional(&value)?,
                "tests" | "data_tests" => {
                    for test in value.items()? {
                        let mut test = test_yaml::test(&test, Some(&column.name))?;
                        test.quote_column = quote;
                        tests.push(test);
                    }
                }
                "constraints" => {
                    for constraint in value.items()? {
                        let found = test_yaml::constraint(&constraint, Some(&column.name))?;
                        match &mut constraints {
                            Some(constraints) => constraints.push(found),
                            None => warnings.push(Warning::new(
                                "constraints of a source are not held; declare a test",
                                found.at,
                            )),
                        }
                    }
                }
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

fn rendered(node: &Node<'_>, renderer: &Renderer) -> Result<serde_json::Value, Failure> {
    let rendered = renderer.json(&node.json());
    rendered.map_err(|cause| node.fail(cause))
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
