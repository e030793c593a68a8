//! Why files of a source cannot be listed, in a person's words.

use retail_api::source::Source;
use retail_api::{Failure, FailureKind, error_chain, root_cause};
use retail_storage::StorageError;

/// A path that is not there; a bucket that is not there is another matter.
pub(super) fn is_not_there(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        && !chain_text(error).contains("NoSuchBucket")
}

/// A place outside of what the scheduler's settings allow, or a location that is none.
pub(super) fn not_allowed(source: &Source, shown: &str, error: &StorageError) -> Failure {
    let failure = Failure::new(
        FailureKind::Source,
        format!("source {}: cannot read {shown}", source.source_ref()),
    )
    .at(&source.defined_at.file, source.defined_at.line, 0)
    .caused_by(error);
    match error {
        StorageError::NotAllowed {
            reason, allowed, ..
        } => failure
            .cause(format!("{reason}; allowed: {allowed}"))
            .note("list its folder or bucket in sources.allow of the scheduler; with --local: RETAIL__SOURCES__ALLOW=s3://,/its/folder"),
        other => failure.cause(other.to_string()),
    }
}

/// A store's refusal in a person's words.
pub(in crate::files) fn unreadable(
    source: &Source,
    shown: &str,
    root: &str,
    error: &object_store::Error,
) -> Failure {
    if let Some(refused) = error_chain(error).find_map(|e| e.downcast_ref::<StorageError>()) {
        return not_allowed(source, shown, refused);
    }
    let text = chain_text(error);
    let lower = text.to_lowercase();
    let failure = Failure::new(
        FailureKind::Storage,
        format!("source {}: cannot read {shown}", source.source_ref()),
    )
    .at(&source.defined_at.file, source.defined_at.line, 0)
    .caused_by(error);
    let bucket = root.trim_end_matches('/');
    let any = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    if any(&["nosuchbucket", "bucket does not exist"]) {
        failure.cause(format!("there is no bucket {bucket}"))
    } else if any(&["permission denied"]) {
        failure
            .cause("permission denied")
            .note("the scheduler and the executors must be allowed to read it")
    } else if any(&[
        "403",
        "accessdenied",
        "access denied",
        "forbidden",
        "invalidaccesskeyid",
        "signaturedoesnotmatch",
        "401",
    ]) {
        failure
            .cause(format!("the store refuses access to {bucket} (403)"))
            .note("check the keys in storage.s3 and the bucket's policy")
    } else if any(&[
        "connection refused",
        "dns error",
        "timed out",
        "connect error",
        "error sending request",
    ]) {
        failure
            .cause(format!(
                "the store of {bucket} cannot be reached: {}",
                last_cause(error)
            ))
            .note("check storage.s3.endpoint")
            .retryable(true)
    } else {
        failure.cause(last_cause(error))
    }
}

fn chain_text(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<_> = error_chain(error).map(ToString::to_string).collect();
    texts.join(": ")
}

/// The innermost cause, its first line, not endless.
fn last_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let text = root_cause(error);
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(200).collect()
}
