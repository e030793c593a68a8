//! Constraints of contracts, as the tests that hold them.

use super::data_test::{DataTest, Subject, TestConfig, TestKind};
use super::model::Model;
use super::test_maker::{Maker, target};
use super::test_yaml::{Constraint, ConstraintKind};
use retail_api::Failure;
use retail_api::source::Location;
use retail_api::suggest::did_you_mean;

/// Tests that the constraints of a model with an enforced contract are held by, and models that it then depends on.
pub(super) fn tests(
    make: &Maker<'_>,
    model: &Model,
    constraints: &[Constraint],
    line: &dyn Fn(&Location) -> String,
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
            short_name: String::new(),
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
            stored_in: None,
            relation: None,
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
