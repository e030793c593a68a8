//! Declared tests, constraints and the files below `tests/`, brought to queries.

use std::collections::BTreeMap;

use retail_api::TableName;
use serde_json::{Map, Value};

use retail_api::{Failure, FailureKind};

use super::constraints;
use super::data_test::{DataTest, Subject, TestKind};
use super::model::{Materialized, Model, ModelName};
use super::project::{Project, Warning};
use super::properties::Description;
use super::render::{GenericTest, Rendered};
use super::sql_text::{is_blank, without_end};
use super::stored;
use super::test_blocks;
use super::test_maker::{Maker, target};
use super::test_names::names_of;
use super::test_settings::{Block, Settled, settings};
use super::test_yaml::{Declared, DescribedFile, Setting};
use retail_api::source::{Location, SourceRef};
use retail_api::suggest::did_you_mean;

/// The files that tests come from.
pub(crate) struct Files<'a> {
    pub texts: &'a BTreeMap<String, String>,
    /// Path and text.
    pub singular: &'a [(String, String)],
}

impl Files<'_> {
    fn line(&self, at: &Location) -> String {
        let text = self.texts.get(&at.file).map_or("", String::as_str);
        let line = text.lines().nth((at.line as usize).saturating_sub(1));
        line.unwrap_or_default().to_string()
    }
}

/// Adds all tests of a project, and the edges of the graph that foreign keys are.
pub(crate) fn add(
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
                    let line = |at: &Location| files.line(at);
                    let held = constraints::tests(make, model, &description.constraints, &line)?;
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
                    "constraints of {} are not held: it is materialized as {kind}, and only tables have them",
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
        let settings: Vec<Setting> = about.flat_map(|d| d.settings.clone()).collect();
        tests.extend(singular(make, path, text, &settings)?);
    }
    stored::name(&mut tests, project, make.renderer)?;
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
    let Settled { config, said } = settings(make, &test.at.file, None, &test.settings)?;
    if config.enabled == Some(false) {
        return Ok(None);
    }
    let (name, short_name) = match &test.name {
        Some(name) => (name.clone(), name.clone()),
        None => names_of(test, subject),
    };
    let mut found = DataTest {
        name,
        short_name,
        subject: subject.clone(),
        column: test.column.clone(),
        kind: TestKind::NotNull,
        config,
        at: test.at.clone(),
        line: line.to_string(),
        is_constraint: false,
        stored_in: None,
        relation: None,
        models: vec![],
        sources: vec![],
    };
    match subject {
        Subject::Model { name, .. } => found.models.push(name.clone()),
        Subject::Source { source, .. } => found.sources.push(source.clone()),
        Subject::Singular => {}
    }
    let built_in = test_blocks::built_in_names();
    let name = test
        .test
        .strip_prefix(&format!("{}.", make.project))
        .or_else(|| test.test.strip_prefix("dbt."))
        .unwrap_or(&test.test);
    let macro_name = test_blocks::macro_of(name);
    let over = make.renderer.own_over(&macro_name);
    let own = over.is_some();
    if !own && let Some(table) = subject.table() {
        let what = format!("cannot render test {}", found.name);
        let relation = make
            .renderer
            .where_subquery(table, &said, make.scope, &what);
        found.relation = relation.map_err(|failure| at_test(failure, test))?;
    }
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
            let values = match make.rendered(argument("values")?, &fail(String::new()))? {
                Value::Array(values) if !values.is_empty() => values,
                Value::Array(_) => return Err(fail("values is an empty list".into())),
                other => {
                    let cause =
                        format!("values is a list of what the column may hold, not {other}");
                    return Err(fail(cause));
                }
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
                Some(quote) => match make.rendered(quote, &fail(String::new()))? {
                    Value::Bool(quote) => quote,
                    other => return Err(fail(format!("quote must be true or false, not {other}"))),
                },
            };
            TestKind::AcceptedValues { values, quote }
        }
        "relationships" if !own => {
            only(&["to", "field"])?;
            let to = argument("to")?.as_str().unwrap_or_default();
            let field = match make.rendered(argument("field")?, &fail(String::new()))? {
                Value::String(field) => field,
                other => return Err(fail(format!("field is the name of a column, not {other}"))),
            };
            let to = target(make, to, &mut found).map_err(&fail)?;
            TestKind::Relationships { to, field }
        }
        _ if own || built_in.iter().any(|n| n == name) => {
            let Some(query) = template(
                make,
                test,
                over.as_deref().unwrap_or(&macro_name),
                subject,
                &mut found,
            )?
            else {
                return Ok(None);
            };
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

/// The rendered query of a generic test, or nothing when its template switches it off.
fn template(
    make: &Maker<'_>,
    test: &Declared,
    macro_name: &str,
    subject: &Subject,
    found: &mut DataTest,
) -> Result<Option<Model>, Failure> {
    let Some(table) = subject.table() else {
        let cause = format!("{} needs a model", test.test);
        return Err(test.stray.clone().cause(cause));
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
    let render = |settled: &Settled| {
        let config = &settled.said;
        let relation = make
            .renderer
            .where_subquery(table, config, make.scope, &what);
        let relation = relation.map_err(|failure| at_test(failure, test))?;
        let generic = GenericTest {
            macro_name,
            table,
            filter: settled.config.filter.as_deref(),
            relation: relation.as_deref(),
            arguments: &arguments,
            config,
        };
        let rendered = make.renderer.generic_test(&generic, make.scope, &what);
        rendered.map_err(|failure| at_test(failure, test))
    };
    let mut settled = settings(make, &test.at.file, None, &test.settings)?;
    let mut rendered = render(&settled)?;
    if !rendered.config.is_empty() {
        // The template has settings of its own: its query is rendered with them.
        let block = Block {
            config: &rendered.config,
            stray: test.stray.clone(),
            file: make
                .generic
                .get(&test.test)
                .map_or("its macro", String::as_str),
        };
        settled = settings(make, &test.at.file, Some(block), &test.settings)?;
        if settled.config.enabled == Some(false) {
            return Ok(None);
        }
        rendered = render(&settled)?;
    }
    found.config = settled.config;
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
    // The template has put them in.
    found.config.filter = None;
    found.relation = None;
    Ok(Some(query(
        &found.name,
        &test.at.file,
        String::new(),
        rendered,
    )))
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
        sql: without_end(&rendered.sql).to_string(),
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

/// A file below `tests/`, or nothing when it is switched off. `described` is what YAML declares of it.
fn singular(
    make: &Maker<'_>,
    path: &str,
    text: &str,
    described: &[Setting],
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
    let in_file = first.config.iter().map(|(key, value)| Setting {
        key: key.clone(),
        value: value.clone(),
        stray: fail(String::new()),
    });
    let all: Vec<Setting> = described.iter().cloned().chain(in_file).collect();
    let Settled { config, said } = settings(make, path, None, &all)?;
    if config.enabled == Some(false) {
        return Ok(None);
    }
    if config.filter.is_some() {
        return Err(fail(
            "where is for tests under a model; a file has its own condition".into(),
        ));
    }
    let node = Map::from_iter([
        ("name".to_string(), Value::from(name.clone())),
        ("config".to_string(), Value::Object(said)),
    ]);
    let rendered = make
        .renderer
        .node(path, text, &own, Some(make.scope), &node, &what)?;
    if is_blank(&rendered.sql) {
        return Err(fail("the test has no SQL".into()));
    }
    let (models, sources) = (rendered.refs.clone(), rendered.sources.clone());
    Ok(Some(DataTest {
        short_name: name.clone(),
        subject: Subject::Singular,
        column: None,
        kind: TestKind::Query {
            test: "singular".into(),
            query: Box::new(query(&name, path, text.to_string(), rendered)),
        },
        config,
        at: Location {
            file: path.to_string(),
            line: 1,
        },
        line: text.lines().next().unwrap_or_default().to_string(),
        is_constraint: false,
        stored_in: None,
        relation: None,
        models,
        sources,
        name,
    }))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
