//! `generate`.
use crate::{cli::GenerateArgs, error::SubmitError, session::App};
pub fn generate(_app: &App, _args: &GenerateArgs) -> Result<(), SubmitError> { Err(SubmitError::config("not there")) }
