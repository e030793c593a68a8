//! Errors of a model's SQL at their place in the model's file.

use datafusion::error::DataFusionError;
use retail_api::{Failure, FailureKind};
use retail_engine::sql_diagnostics::{SqlDiagnostic, at_places, suspects};
use retail_project::Model;

/// A model's SQL could not be parsed or planned.
pub fn plan_failure(model: &Model, error: &DataFusionError) -> Failure {
    let what = if model.is_analysis {
        "analysis"
    } else {
        "model"
    };
    let found = SqlDiagnostic::of(&model.sql, error);
    let mut failure = Failure::new(
        FailureKind::Project,
        format!("cannot plan {what} {}", model.table),
    )
    .model(model.table.to_string())
    .at(&model.path, 0, 0)
    .cause(found.cause);
    if let Some(place) = found.place {
        let spot = model.spot(place.line, place.column, &place.token);
        failure = failure
            .at(&model.path, spot.line, spot.column)
            .snippet_of(&model.raw_sql, spot.span);
    }
    failure.notes.extend(found.note);
    if found.is_unknown_table {
        failure =
            failure.note("name models with {{ ref('…') }} and sources with {{ source('…', '…') }}");
    }
    failure.chain = found.chain;
    failure
}

/// A model's failure while it ran, at the place of its SQL that it comes from, as far as the SQL shows it.
pub fn at_suspects(failure: Failure, model: &Model, message: &str) -> Failure {
    let places = suspects(&model.sql, message);
    let spots = places.iter().map(|place| {
        let spot = model.spot(place.line, place.column, &place.token);
        (spot.line, spot.column, spot.span)
    });
    at_places(
        failure,
        &model.path,
        &model.raw_sql,
        &spots.collect::<Vec<_>>(),
    )
}

#[cfg(test)]
mod tests;
