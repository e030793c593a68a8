//! Errors of a model's SQL, told at their place in the model's file.
use crate::failure::Failure;
use crate::project::Model;
use datafusion::error::DataFusionError;
pub fn plan_failure(_model: &Model, _error: &DataFusionError) -> Failure { unreachable!() }
