//! `demo`.
use crate::{cli::DemoArgs, error::SubmitError, session::App};
pub async fn demo(_app: &App, _args: &DemoArgs) -> Result<(), SubmitError> { Err(SubmitError::config("not there")) }
