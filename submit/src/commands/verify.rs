//! `verify`: the published tables beside the truth that the generator counted.

use retail_datagen::Truth;

use crate::cli::VerifyArgs;
use crate::error::SubmitError;
use crate::session::{App, Session};
use crate::steps::{delivery, truth};

/// `retail-submit verify`: exit code 1 if any number differs.
pub(crate) async fn verify(app: &App, args: &VerifyArgs) -> Result<(), SubmitError> {
    let truth = Truth::read(&args.truth).map_err(delivery::failed)?;
    let session = Session::open(app, &args.local, true).await?;
    let checks = truth::check(app, &session, &truth).await;
    session.close().await;
    truth::show(app, &checks?, false)
}
