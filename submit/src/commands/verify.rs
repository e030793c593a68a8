//! `verify`.
use crate::{cli::VerifyArgs, error::SubmitError, session::App};
pub async fn verify(_app: &App, _args: &VerifyArgs) -> Result<(), SubmitError> { Err(SubmitError::config("not there")) }
