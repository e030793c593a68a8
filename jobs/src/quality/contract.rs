//! Contracts: the columns of a model are those that its YAML promises, in names and types, or the model is not run.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::Column;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use retail_api::{Failure, FailureKind};
use retail_connect::files::types;
use retail_project::{Materialized, Model};

/// Whether the model has a contract that is enforced.
pub fn is_enforced(model: &Model) -> bool {
    model.config.contract_enforced == Some(true)
}

/// Holds a model's planned columns against its contract.
///
/// Names are compared as they are written, types as the table would have them: `text` is `varchar`, microseconds are
/// timestamps, and a decimal without digits (`numeric`) is a decimal of any.
///
/// # Errors
/// All columns that differ, at the place where the YAML describes the model.
pub fn hold(model: &Model, planned: &Schema) -> Result<(), Failure> {
    if !is_enforced(model) {
        return Ok(());
    }
    let place = model.described_at.clone().unwrap_or_default();
    let broken = |cause: &str| {
        let message = format!("model {} breaks its contract", model.table);
        let failure = Failure::new(FailureKind::Project, message).model(model.table.to_string());
        let failure = match place.file.is_empty() {
            true => failure.at(model.path.clone(), 0, 0),
            false => failure.at(place.file.clone(), place.line, 0),
        };
        failure.cause(cause)
    };
    if model.materialized == Materialized::Ephemeral {
        return Err(
            broken("an ephemeral model is no table whose columns could be promised")
                .note("make it a table or a view, or set contract: {enforced: false}"),
        );
    }
    if model.columns.is_empty() {
        return Err(broken("its contract is enforced and names no columns")
            .note("declare every column with its data_type, or set contract: {enforced: false}"));
    }
    let mut untyped = vec![];
    let mut differences = vec![];
    for column in &model.columns {
        let Some(written) = &column.data_type else {
            untyped.push(format!("{} ({})", column.name, column.at));
            continue;
        };
        let promised = types::parse(written, false).map_err(|cause| {
            broken(&format!("column {}: {cause}", column.name)).note(format!("in {}", column.at))
        })?;
        match planned.column_with_name(&column.name) {
            None => {
                let near = retail_api::suggest::did_you_mean(
                    &column.name,
                    planned.fields().iter().map(|f| f.name().as_str()),
                );
                differences.push(format!(
                    "{} {} ({}): the model has no such column{near}",
                    column.name,
                    types::sql(&promised).to_lowercase(),
                    column.at
                ));
            }
            Some((_, field)) => {
                let is = types::normal(field.data_type(), false);
                if !same(&promised, &is, written) {
                    differences.push(format!(
                        "{} {} ({}): the model has {}",
                        column.name,
                        types::sql(&promised).to_lowercase(),
                        column.at,
                        types::sql(&is).to_lowercase()
                    ));
                }
            }
        }
    }
    if !untyped.is_empty() {
        return Err(broken(&format!(
            "an enforced contract needs the data_type of every column; missing: {}",
            untyped.join(", ")
        )));
    }
    for field in planned.fields() {
        if !model.columns.iter().any(|c| c.name == *field.name()) {
            differences.push(format!(
                "{} {}: the contract has no such column",
                field.name(),
                types::sql(&types::normal(field.data_type(), false)).to_lowercase()
            ));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    let count = match differences.len() {
        1 => "1 column is".to_string(),
        n => format!("{n} columns are"),
    };
    Err(broken(&format!(
        "{count} not as promised:\n{}",
        differences.join("\n")
    ))
    .note("cast in the model, or change the contract; the model was not run"))
}

fn same(promised: &DataType, is: &DataType, written: &str) -> bool {
    let is = match is {
        // Tables have no smaller integers.
        DataType::UInt8 | DataType::UInt16 => &DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => &DataType::Int64,
        other => other,
    };
    match (promised, is) {
        (DataType::Decimal128(..), DataType::Decimal128(..) | DataType::Decimal256(..))
            if !written.contains('(') =>
        {
            true
        }
        _ => types::normal(promised, false) == *is,
    }
}

/// The plan with the columns in the order of the contract; without one as it is.
///
/// # Errors
/// A column is not there: [`hold`] has said so before.
pub fn in_order(model: &Model, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    if !is_enforced(model) {
        return Ok(plan);
    }
    let as_promised = plan
        .schema()
        .fields()
        .iter()
        .map(|f| f.name())
        .eq(model.columns.iter().map(|c| &c.name));
    if as_promised {
        return Ok(plan);
    }
    let columns: Result<Vec<Expr>, DataFusionError> = model
        .columns
        .iter()
        .map(|column| {
            let (qualifier, field) = plan
                .schema()
                .qualified_field_with_unqualified_name(&column.name)?;
            Ok(Expr::Column(Column::new(qualifier.cloned(), field.name())))
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns?)?.build()
}
