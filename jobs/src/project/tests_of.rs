//! Declared tests, constraints and the files below `tests/`, brought to queries.

use std::collections::BTreeMap;

use retail_lakehouse::TableName;
use serde_json::{Map, Value};

use crate::failure::{Failure, FailureKind};

use super::data_test::{DataTest, Subject, TestConfig, TestKind};
use super::model::{Materialized, Model, ModelName, Place, Project, SourceRef, Warning};
use super::properties::Description;
use super::render::{Rendered, Renderer, Scope};
use super::suggest::did_you_mean;
use super::test_blocks;
use super::test_yaml::{Constraint, ConstraintKind, Declared, DescribedFile};

/// What the tests of a project are made with.
pub struct Maker<'a> {
    pub renderer: &'a Renderer,
    pub scope: &'a Scope,
    /// Generic tests of the project, with the file that defines each.
    pub generic: &'a BTreeMap<String, String>,
    /// Settings of `dbt_project.yml` for tests declared in a file, in the order in which they are laid over each other.
    pub defaults: &'a dyn Fn(&str) -> Vec<(String, Value)>,
    pub project: &'a str,
}

/// The files that tests come from.
pub struct Files<'a> {
    pub texts: &'a BTreeMap<String, String>,
    /// Path and text.
    pub singular: &'a [(String, String)],
}

impl Files<'_> {
    fn line(&self, at: &Place) -> String {
        let text = self.texts.get(&at.file).map_or("", String::as_str);
        let line = text.lines().nth((at.line as usize).saturating_sub(1));
        line.unwrap_or_default().to_string()
    }
}

/// Adds all tests of a project, and the edges of the graph that foreign keys are.
pub fn add(
    project: &mut Project,
    make: &Maker<'_>,
    files: &Files<'_>,
    models: &[Description],
    sources: &[(SourceRef, Declared)],
    described: &[DescribedFile],
) -> Result<(), Failure> {
    let mut tests = vec![];
    for description in models {
        let Some(model) = project
            .models
            .iter_mut()
            .find(|m| m.name.as_str() == description.name)
        else {
            continue;
        };
        let subject = Subject::Model {
            name: model.name.clone(),
            table: model.table.clone(),
        };
        for test in &description.tests {
            tests.extend(declared(make, test, &subject, &files.line(&test.at))?);
        }
        if let Some(first) = description.constraints.first() {
            let unheld = match (model.config.contract_enforced, model.materialized) {
                (Some(true), Materialized::Table) => {
                    let line = |at: &Place| files.line(at);
                    let held = constraints(make, model, &description.constraints, &line)?;
                    let needed = held
                        .iter()
                        .filter(|t| matches!(t.kind, TestKind::Relationships { .. }))
                        .flat_map(|t| t.models.clone());
                    for needed in needed.collect::<Vec<_>>() {
                        if needed != model.name && !model.depends_on.contains(&needed) {
                            model.depends_on.push(needed);
                        }
                    }
                    tests.extend(held);
                    None
                }
                (Some(true), kind) => Some(format!(
                    "constraints of {} are not held: it is {kind}, and only tables have them",
                    model.name
                )),
                _ => Some(format!(
                    "constraints of {} are not held without contract: {{enforced: true}}",
                    model.name
                )),
            };
            if let Some(text) = unheld {
                project.warnings.push(Warning::new(text, first.at.clone()));
            }
        }
    }
    for (source, test) in sources {
        let Some(found) = project.source(source) else {
            continue;
        };
        let subject = Subject::Source {
            source: source.clone(),
            table: found.table.clone(),
        };
        tests.extend(declared(make, test, &subject, &files.line(&test.at))?);
    }
    let name_of_file = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or(path);
        file.strip_suffix(".sql").unwrap_or(file).to_string()
    };
    for stray in described {
        let names: Vec<String> = files
            .singular
            .iter()
            .map(|(p, _)| name_of_file(p))
            .collect();
        if !names.contains(&stray.name) {
            let near = did_you_mean(&stray.name, names.iter().map(String::as_str));
            let cause = format!("there is no file {}.sql among the tests{near}", stray.name);
            return Err(stray.stray.clone().cause(cause));
        }
    }
    for (path, text) in files.singular {
        let name = name_of_file(path);
        let about = described.iter().filter(|d| d.name == name);
        let settings: Vec<(String, Value)> = about.flat_map(|d| d.settings.clone()).collect();
        tests.extend(singular(make, path, text, &settings)?);
    }
    project.tests = tests;
    Ok(())
}

/// A test under a model or source, or nothing when it is switched off.
fn declared(
    make: &Maker<'_>,
    test: &Declared,
    subject: &Subject,
    line: &str,
) -> Result<Option<DataTest>, Failure> {
    let about = subject.to_string();
    let fail = |cause: String| {
        let failure = test.stray.clone().cause(cause);
        match subject {
            Subject::Model { .. } => failure.model(about.clone()),
            _ => failure,
        }
    };
    let mut config = settings(make, &test.at.file, &test.settings).map_err(&fail)?;
    if config.enabled == Some(false) {
        return Ok(None);
    }
    if let Some(filter) = &mut config.filter {
        *filter = make.renderer.value(filter).map_err(&fail)?;
    }
    let mut found = DataTest {
        name: test.name.clone().unwrap_or_else(|| name_of(test, subject)),
        subject: subject.clone(),
        column: test.column.clone(),
        kind: TestKind::NotNull,
        config,
        at: test.at.clone(),
        line: line.to_string(),
        is_constraint: false,
        models: vec![],
        sources: vec![],
    };
    match subject {
        Subject::Model { name, .. } => found.models.push(name.clone()),
        Subject::Source { source, .. } => found.sources.push(source.clone()),
        Subject::Singular => {}
    }
    let own = make.generic.contains_key(&test.test);
    let built_in = test_blocks::built_in_names();
    let name = test
        .test
        .strip_prefix(&format!("{}.", make.project))
        .or_else(|| test.test.strip_prefix("dbt."))
        .unwrap_or(&test.test);
    let argument = |key: &str| {
        let known: Vec<&str> = test.arguments.keys().map(String::as_str).collect();
        test.arguments.get(key).ok_or_else(|| {
            fail(format!(
                "{name} needs {key}{}",
                did_you_mean(key, known.iter().copied())
            ))
        })
    };
    let only = |keys: &[&str]| match test.arguments.keys().find(|k| !keys.contains(&k.as_str())) {
        None => Ok(()),
        Some(key) => Err(fail(format!(
            "{name} has no argument {key}{}",
            did_you_mean(key, keys.iter().copied())
        ))),
    };
    let known = ["not_null", "unique", "accepted_values", "relationships"];
    if known.contains(&name) && !own && test.column.is_none() {
        return Err(fail(format!(
            "{name} belongs under a column, or names one with column_name"
        )));
    }
    found.kind = match name {
        "not_null" if !own => {
            only(&[])?;
            TestKind::NotNull
        }
        "unique" if !own => {
            only(&[])?;
            TestKind::Unique
        }
        "accepted_values" if !own => {
            only(&["values", "quote"])?;
            let values = match argument("values")? {
                Value::Array(values) if !values.is_empty() => values.clone(),
                _ => return Err(fail("values is a list of what the column may hold".into())),
            };
            if let Some(odd) = values
                .iter()
                .find(|v| v.is_null() || v.is_array() || v.is_object())
            {
                return Err(fail(format!(
                    "{odd} cannot be a value of accepted_values; nulls pass it anyway"
                )));
            }
            let quote = match test.arguments.get("quote") {
                None => true,
                Some(Value::Bool(quote)) => *quote,
                Some(_) => return Err(fail("quote must be true or false".into())),
            };
            TestKind::AcceptedValues { values, quote }
        }
        "relationships" if !own => {
            only(&["to", "field"])?;
            let to = argument("to")?.as_str().unwrap_or_default();
            let field = argument("field")?.as_str().unwrap_or_default().to_string();
            let to = target(make, to, &mut found).map_err(&fail)?;
            TestKind::Relationships { to, field }
        }
        _ if own || built_in.iter().any(|n| n == name) => {
            let query = template(make, test, name, subject, &mut found)?;
            TestKind::Query {
                test: name.to_string(),
                query: Box::new(query),
            }
        }
        _ => {
            let names = known
                .into_iter()
                .chain(make.generic.keys().map(String::as_str))
                .chain(built_in.iter().map(String::as_str));
            let near = did_you_mean(name, names);
            let failure = fail(format!("there is no test {name}{near}"));
            return Err(match name.split_once('.') {
                Some((package, _)) => failure.note(format!(
                    "of the packages' tests these are built in: {}",
                    of_package(&built_in, package)
                )),
                None => failure.note(format!(
                    "define it with {{% test {name}(model, column_name) %}} in tests/generic or macros"
                )),
            });
        }
    };
    Ok(Some(found))
}

fn of_package(names: &[String], package: &str) -> String {
    let prefix = format!("{package}.");
    let own: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|n| n.starts_with(&prefix))
        .collect();
    match own.is_empty() {
        true => names.join(", "),
        false => own.join(", "),
    }
}

/// The settings of `dbt_project.yml` with those of the test over them.
fn settings(make: &Maker<'_>, file: &str, own: &[(String, Value)]) -> Result<TestConfig, String> {
    let mut config = TestConfig::default();
    let defaults = (make.defaults)(file);
    for (key, value) in defaults.iter().chain(own) {
        config.set(key, value)?;
    }
    Ok(config)
}

/// The rendered query of a generic test.
fn template(
    make: &Maker<'_>,
    test: &Declared,
    name: &str,
    subject: &Subject,
    found: &mut DataTest,
) -> Result<Model, Failure> {
    let Some(table) = subject.table() else {
        return Err(test.stray.clone().cause(format!("{name} needs a model")));
    };
    let mut arguments: Vec<(String, Value)> = test
        .arguments
        .iter()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if let Some(column) = &test.column {
        let column = match test.quote_column {
            true => quoted(column),
            false => column.clone(),
        };
        arguments.push(("column_name".into(), Value::String(column)));
    }
    let what = format!("cannot render test {}", found.name);
    let rendered = make
        .renderer
        .generic_test(
            &test_blocks::macro_of(name),
            table,
            found.config.filter.as_deref(),
            &arguments,
            make.scope,
            &what,
        )
        .map_err(|failure| at_test(failure, test))?;
    for model in &rendered.refs {
        if !found.models.contains(model) {
            found.models.push(model.clone());
        }
    }
    for source in &rendered.sources {
        if !found.sources.contains(source) {
            found.sources.push(source.clone());
        }
    }
    // The template has put the filter in.
    found.config.filter = None;
    Ok(query(&found.name, &test.at.file, String::new(), rendered))
}

/// A failure of a test's template without a place stands where the test is declared.
fn at_test(mut failure: Failure, test: &Declared) -> Failure {
    let nowhere = failure
        .file
        .as_deref()
        .is_none_or(|f| f.starts_with('(') || f.is_empty());
    if nowhere {
        failure.file.clone_from(&test.stray.file);
        failure.line = test.stray.line;
        failure.column = test.stray.column;
        failure.snippet.clone_from(&test.stray.snippet);
        failure.span = test.stray.span;
        return failure;
    }
    failure.note(format!("the test is declared in {}", test.at))
}

/// A query as the planner's messages know it.
fn query(name: &str, path: &str, raw_sql: String, rendered: Rendered) -> Model {
    Model {
        name: ModelName::from(name),
        table: TableName {
            namespace: "test".into(),
            name: name.to_string(),
        },
        path: path.to_string(),
        raw_sql,
        sql: rendered.sql.trim().trim_end_matches(';').to_string(),
        materialized: Materialized::Ephemeral,
        is_analysis: true,
        depends_on: rendered.refs,
        sources: rendered.sources,
        tags: vec![],
        description: String::new(),
        config: Default::default(),
        columns: vec![],
        described_at: None,
        map: rendered.map,
    }
}

/// `to: ref('stores')`: the relation, noted as read.
fn target(make: &Maker<'_>, text: &str, found: &mut DataTest) -> Result<TableName, String> {
    let inner = text
        .trim()
        .trim_start_matches("{{")
        .trim_end_matches("}}")
        .trim();
    let value = make
        .renderer
        .expression(inner, make.scope)
        .map_err(|cause| format!("to: {text}: {cause}"))?;
    let (table, refs, sources) = value;
    let table = table.ok_or_else(|| {
        format!("to: {text} is no relation; write to: ref('model') or source('source', 'table')")
    })?;
    found.models.extend(refs);
    found.sources.extend(sources);
    Ok(table)
}

/// Tests that the constraints of a model with an enforced contract are held by, and models that it then depends on.
fn constraints(
    make: &Maker<'_>,
    model: &Model,
    constraints: &[Constraint],
    line: &dyn Fn(&Place) -> String,
) -> Result<Vec<DataTest>, Failure> {
    let mut found = vec![];
    for constraint in constraints {
        let fail = |cause: String| {
            constraint
                .stray
                .clone()
                .model(model.table.to_string())
                .cause(cause)
        };
        for column in &constraint.columns {
            if !model.columns.iter().any(|c| c.name == *column) {
                let near = did_you_mean(column, model.columns.iter().map(|c| c.name.as_str()));
                return Err(fail(format!("the contract has no column {column}{near}")));
            }
        }
        let mut test = DataTest {
            name: String::new(),
            subject: Subject::Model {
                name: model.name.clone(),
                table: model.table.clone(),
            },
            column: None,
            kind: TestKind::NotNull,
            config: TestConfig::default(),
            at: constraint.at.clone(),
            line: line(&constraint.at),
            is_constraint: true,
            models: vec![model.name.clone()],
            sources: vec![],
        };
        let mut add = |word: &str, column: Option<&str>, kind: TestKind, test: &DataTest| {
            let mut test = test.clone();
            let on = column.map_or_else(|| constraint.columns.join("_"), str::to_string);
            test.name = match &constraint.name {
                Some(name) => name.clone(),
                None => format!("constraint_{word}_{}_{on}", model.name)
                    .trim_end_matches('_')
                    .to_string(),
            };
            test.column = column.map(str::to_string);
            test.kind = kind;
            found.push(test);
        };
        let unique = || match constraint.columns.as_slice() {
            [one] => (Some(one.as_str()), TestKind::Unique),
            many => {
                let columns = many.to_vec();
                (None, TestKind::UniqueTogether { columns })
            }
        };
        match &constraint.kind {
            ConstraintKind::NotNull => {
                for column in &constraint.columns {
                    add("not_null", Some(column), TestKind::NotNull, &test);
                }
            }
            ConstraintKind::Unique => {
                let (column, kind) = unique();
                add("unique", column, kind, &test);
            }
            ConstraintKind::PrimaryKey => {
                for column in &constraint.columns {
                    add("not_null", Some(column), TestKind::NotNull, &test);
                }
                let (column, kind) = unique();
                add("unique", column, kind, &test);
            }
            ConstraintKind::Check { expression } => {
                let expression = make.renderer.value(expression).map_err(&fail)?;
                add("check", None, TestKind::Check { expression }, &test);
            }
            ConstraintKind::ForeignKey { to, to_columns } => {
                let to = target(make, to, &mut test).map_err(&fail)?;
                let ([column], [field]) = (constraint.columns.as_slice(), to_columns.as_slice())
                else {
                    return Err(fail(
                        "a foreign key of several columns is not held; declare a test for it, such as \
                         tests/every_key_is_known.sql"
                            .into(),
                    ));
                };
                let field = field.clone();
                add(
                    "foreign_key",
                    Some(column),
                    TestKind::Relationships { to, field },
                    &test,
                );
            }
        }
    }
    Ok(found)
}

/// A file below `tests/`, or nothing when it is switched off. `described` is what YAML says about it.
fn singular(
    make: &Maker<'_>,
    path: &str,
    text: &str,
    described: &[(String, Value)],
) -> Result<Option<DataTest>, Failure> {
    let stem = path.rsplit('/').next().unwrap_or(path);
    let name = stem.strip_suffix(".sql").unwrap_or(stem).to_string();
    let own = TableName {
        namespace: "test".into(),
        name: name.clone(),
    };
    let what = format!("cannot render test {name}");
    let fail = |cause: String| {
        Failure::new(FailureKind::Project, what.clone())
            .at(path, 1, 1)
            .cause(cause)
    };
    // Which settings it has is known only when it is rendered; one that is switched off may name what is not there.
    let first = make.renderer.model(path, text, &own, None, &what)?;
    let mut all: Vec<(String, Value)> = described.to_vec();
    all.extend(first.config.iter().cloned());
    for (key, value) in &first.config {
        if !TestConfig::default().set(key, value).map_err(fail)? {
            let near = did_you_mean(key, super::data_test::SETTINGS);
            return Err(fail(format!("a test has no setting {key}{near}")));
        }
    }
    let config = settings(make, path, &all).map_err(fail)?;
    if config.enabled == Some(false) {
        return Ok(None);
    }
    if config.filter.is_some() {
        return Err(fail(
            "where is for tests under a model; a file says its own condition".into(),
        ));
    }
    let rendered = make
        .renderer
        .model(path, text, &own, Some(make.scope), &what)?;
    if rendered.sql.trim().is_empty() {
        return Err(fail("the test has no SQL".into()));
    }
    let (models, sources) = (rendered.refs.clone(), rendered.sources.clone());
    Ok(Some(DataTest {
        subject: Subject::Singular,
        column: None,
        kind: TestKind::Query {
            test: "singular".into(),
            query: Box::new(query(&name, path, text.to_string(), rendered)),
        },
        config,
        at: Place {
            file: path.to_string(),
            line: 1,
        },
        line: text.lines().next().unwrap_or_default().to_string(),
        is_constraint: false,
        models,
        sources,
        name,
    }))
}

/// The name that dbt gives a test: the test, what it is about, and its arguments.
fn name_of(test: &Declared, subject: &Subject) -> String {
    let (prefix, about) = match subject {
        Subject::Model { name, .. } => ("", name.to_string()),
        Subject::Source { source, .. } => {
            ("source_", format!("{}_{}", source.source_name, source.name))
        }
        Subject::Singular => ("", String::new()),
    };
    let mut arguments: Map<String, Value> = test.arguments.clone();
    if let Some(column) = &test.column {
        arguments.insert("column_name".into(), Value::String(column.clone()));
    }
    let mut keys: Vec<&String> = arguments.keys().collect();
    keys.sort();
    let flat: Vec<String> = keys
        .into_iter()
        .flat_map(|key| match &arguments[key] {
            Value::Array(list) => list.iter().map(written).collect(),
            Value::Object(map) => map.values().map(written).collect(),
            one => vec![written(one)],
        })
        .collect();
    let clean = |text: &String| {
        let mut out = String::new();
        for c in text.chars() {
            match c.is_ascii_alphanumeric() || c == '_' {
                true => out.push(c),
                false if out.ends_with('\u{1}') => {}
                false => out.push('\u{1}'),
            }
        }
        out.replace('\u{1}', "_")
    };
    let arguments = flat.iter().map(clean).collect::<Vec<_>>().join("__");
    format!(
        "{prefix}{}_{about}_{arguments}",
        test.test.replace('.', "_")
    )
}

/// As Python writes it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
