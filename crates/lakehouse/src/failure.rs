//! A lakehouse error as the failure that a person reads.

use retail_api::{Failure, FailureKind, Unpublished};

use crate::LakehouseError;

impl LakehouseError {
    /// The failure of `doing`, with the error and its root as cause.
    pub fn to_failure(&self, doing: &str) -> Failure {
        let kind = match self {
            Self::PublishConflict { .. }
            | Self::PublishUnknown { .. }
            | Self::PublishAbandoned { .. }
            | Self::OwnershipLost => FailureKind::Publish,
            Self::InvalidPartition { .. } | Self::UnsupportedType { .. } | Self::InvalidName(_) => {
                FailureKind::Project
            }
            _ => FailureKind::Storage,
        };
        let cause = match retail_api::error_chain(self).skip(1).last() {
            Some(root) => format!("{self}: {root}"),
            None => self.to_string(),
        };
        let mut failure = Failure::new(kind, doing.to_string())
            .cause(cause)
            .caused_by(self)
            .retryable(self.retryable());
        failure.unpublished = self.unpublished();
        failure
    }

    /// What is as it was after a publish that ended so.
    fn unpublished(&self) -> Option<Unpublished> {
        match self {
            Self::CatalogGone { .. }
            | Self::CatalogLocked { .. }
            | Self::PublishConflict { .. }
            | Self::PublishAbandoned { .. }
            | Self::PublishCancelled { .. }
            | Self::OwnershipLost
            | Self::WrongKind { .. }
            | Self::StagedTwice { .. } => Some(Unpublished::Everything),
            _ => None,
        }
    }
}
