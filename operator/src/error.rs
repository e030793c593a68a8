//! What could not be done.

use crate::diagnosis::Diagnosis;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to the API server failed.
    #[error("cannot {action} {what}")]
    Api {
        action: &'static str,
        what: String,
        #[source]
        source: kube::Error,
    },
    /// Something that a person has to change stands in the way.
    #[error("{}", diagnosis.message)]
    Blocked { diagnosis: Diagnosis },
    /// An object has to be gone before it can be created anew.
    #[error("{what} is being deleted; it is created anew when it is gone")]
    Terminating { what: String },
    /// One reconcile of a cluster took too long.
    #[error("reconciling the cluster took longer than {seconds} s")]
    Timeout { seconds: f64 },
    /// The API server did not answer in time.
    #[error("no answer about {what} within {seconds:.1} s")]
    NoAnswer { what: String, seconds: f64 },
    /// Another operator leads now.
    #[error("lost the lease {lease}")]
    LeaseLost { lease: String },
    /// A cluster that was deleted did not go.
    #[error(
        "{what} was deleted and is still there after {seconds} s; `kubectl describe` shows what it waits for"
    )]
    StillThere { what: String, seconds: u64 },
    /// Watching ended, which it never should.
    #[error("the watches ended")]
    WatchEnded,
}

impl Error {
    /// A failed request, with what was tried.
    pub(crate) fn api(
        action: &'static str,
        what: impl Into<String>,
    ) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api {
            action,
            what,
            source,
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error).skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// The cause at the bottom: `connection refused` names more than `client error (Connect)`.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

fn causes(error: &dyn std::error::Error) -> impl Iterator<Item = &dyn std::error::Error> {
    std::iter::successors(Some(error), |error| error.source())
}
