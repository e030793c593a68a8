//! Where failing rows are kept: a table per test that has `store_failures`, as dbt names it.

use std::collections::BTreeMap;

use retail_api::TableName;
use serde_json::{Map, Value};

use retail_api::{Failure, FailureKind};

use super::config::identifier;
use super::data_test::DataTest;
use super::project::Project;
use super::render::Renderer;

/// The schema of tests that set none.
const SCHEMA: &str = "dbt_test__audit";

/// Names the table of every test whose failing rows are kept.
///
/// # Errors
/// A name that a table cannot have, or that a model, a source or another test has.
pub(super) fn name(
    tests: &mut [DataTest],
    project: &Project,
    renderer: &Renderer,
) -> Result<(), Failure> {
    let mut taken: BTreeMap<TableName, String> = BTreeMap::new();
    for model in &project.models {
        taken.insert(model.table.clone(), format!("model {}", model.name));
    }
    for source in &project.sources {
        taken.insert(
            source.table.clone(),
            format!("source {}", source.source_ref()),
        );
    }
    for test in tests.iter_mut().filter(|t| t.config.is_stored()) {
        let table = table(test, project, renderer)?;
        if let Some(other) =
            taken.insert(table.clone(), format!("test {} ({})", test.name, test.at))
        {
            return Err(refused(test)
                .cause(format!("its table {table} is that of {other}"))
                .note("give the test an alias of its own: config: {alias: …}"));
        }
        test.stored_in = Some(table);
    }
    Ok(())
}

fn refused(test: &DataTest) -> Failure {
    let message = format!("cannot store the failing rows of test {}", test.name);
    let mut failure =
        Failure::new(FailureKind::Project, message).at(test.at.file.clone(), test.at.line, 0);
    failure.snippet.clone_from(&test.line);
    failure
}

fn table(test: &DataTest, project: &Project, renderer: &Renderer) -> Result<TableName, Failure> {
    let wrong = |cause: String| {
        refused(test)
            .cause(cause)
            .note("give it an alias: config: {alias: …}")
    };
    let own = TableName {
        namespace: test.config.schema.clone().unwrap_or_else(|| SCHEMA.into()),
        name: match &test.config.alias {
            Some(alias) => alias.clone(),
            None => test.short_name.clone(),
        },
    };
    let node = Map::from_iter([
        ("name".to_string(), Value::from(test.name.clone())),
        ("alias".to_string(), Value::from(own.name.clone())),
        ("schema".to_string(), Value::from(own.namespace.clone())),
        ("resource_type".to_string(), Value::from("test")),
        (
            "package_name".to_string(),
            Value::from(project.name.clone()),
        ),
        (
            "original_file_path".to_string(),
            Value::from(test.at.file.clone()),
        ),
    ]);
    let what = refused(test).message;
    let said = |name: &str, custom: Value| {
        let node = Value::Object(node.clone());
        let given = renderer.own_macro(name, vec![custom, node], &what)?;
        let checked = given.map(|given| identifier(name, &given).map_err(wrong));
        checked.transpose()
    };
    let namespace = said("generate_schema_name", own.namespace.clone().into())?;
    let custom = match test.config.alias.is_some() || own.name != test.name {
        true => own.name.clone().into(),
        false => Value::Null,
    };
    let name = said("generate_alias_name", custom)?;
    let name = name.unwrap_or(own.name);
    Ok(TableName {
        namespace: namespace.unwrap_or(own.namespace),
        name: identifier("the name of a test", &name).map_err(wrong)?,
    })
}
