//! Failures, alone and in the details of a call's status.

use prost::Message;
use retail_proto::v1;
use tonic::{Code, Status};

use super::{Field, enumeration, message};
use crate::failure::{Failure, FailureKind, Unpublished};

enumeration!(FailureKind {
    Project,
    Source,
    Execution,
    Test,
    Publish,
    Storage,
    NoExecutor,
    Cancelled,
    Internal,
} else Internal);

impl Field<i32> for Option<Unpublished> {
    fn encode(self) -> i32 {
        let wire = match self {
            None => v1::Unpublished::Unspecified,
            Some(Unpublished::Everything) => v1::Unpublished::Everything,
            Some(Unpublished::RunTables) => v1::Unpublished::RunTables,
        };
        wire.into()
    }
    fn decode(wire: i32) -> Self {
        match v1::Unpublished::try_from(wire).unwrap_or_default() {
            v1::Unpublished::Unspecified => None,
            v1::Unpublished::Everything => Some(Unpublished::Everything),
            v1::Unpublished::RunTables => Some(Unpublished::RunTables),
        }
    }
}

// No `From`: a second one would leave the error of every `?` that ends in a `Failure` open.
message!(inner Failure {
    kind,
    message,
    model,
    file,
    line,
    column,
    snippet,
    cause,
    span,
    stage,
    notes,
    unpublished,
    chain,
    retryable,
});

/// Where there must be one.
impl Field<Option<v1::Failure>> for Failure {
    fn encode(self) -> Option<v1::Failure> {
        Some(self.encode())
    }
    fn decode(wire: Option<v1::Failure>) -> Self {
        wire.map_or_else(
            || Failure::new(FailureKind::Internal, "the scheduler gave no reason"),
            Field::<v1::Failure>::decode,
        )
    }
}

/// A failure as the status of a call, with the failure itself in the details.
pub fn status(code: Code, failure: Failure) -> Status {
    let text = failure.to_string();
    let wire: v1::Failure = failure.encode();
    Status::with_details(code, text, wire.encode_to_vec().into())
}

/// The status that fits a failure's kind.
pub fn status_of(failure: Failure) -> Status {
    let code = match failure.kind {
        FailureKind::Project => Code::InvalidArgument,
        FailureKind::Source | FailureKind::Test => Code::FailedPrecondition,
        FailureKind::Execution | FailureKind::Internal => Code::Internal,
        FailureKind::Publish => Code::Aborted,
        FailureKind::Storage | FailureKind::NoExecutor => Code::Unavailable,
        FailureKind::Cancelled => Code::Cancelled,
    };
    status(code, failure)
}

/// The failure that a status carries in its details; `None` when it carries none.
pub fn failure_of_status(status: &Status) -> Option<Failure> {
    if status.details().is_empty() {
        return None;
    }
    v1::Failure::decode(status.details())
        .ok()
        .filter(|failure| !failure.message.is_empty())
        .map(Field::<v1::Failure>::decode)
}
