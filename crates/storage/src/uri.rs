//! Locations: a URI's store and the path inside it.

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::path::Path;
use url::Url;

use crate::error::StorageError;

/// A URI's store, as DataFusion looks it up, and the path inside it.
///
/// `file:///x`, `file:/x` and `/x` are the same file. Paths are taken literally, as Iceberg does: a percent sign in a
/// file's name is a percent sign.
///
/// # Errors
/// [`StorageError::InvalidUri`].
pub fn locate(uri: &str) -> Result<(ObjectStoreUrl, Path), StorageError> {
    let (root, key) = split(uri)?;
    let path = Path::parse(key.trim_matches('/')).map_err(|e| invalid(uri, e))?;
    let url = ObjectStoreUrl::parse(&root).map_err(|e| invalid(uri, e))?;
    Ok((url, path))
}

/// `s3a://bucket/a/b` is root `s3://bucket/` and key `a/b`; `/a/b` is root `file:///` and key `a/b`.
fn split(uri: &str) -> Result<(String, &str), StorageError> {
    if uri.starts_with('/') {
        return Ok(("file:///".to_owned(), uri));
    }
    let Some((scheme, rest)) = uri.split_once(':') else {
        return Err(invalid(uri, "expected an absolute path, file:// or s3://"));
    };
    match scheme {
        "file" => {
            let path = rest.strip_prefix("//localhost").unwrap_or(rest);
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err(invalid(uri, "a file location must be absolute"));
            }
            Ok(("file:///".to_owned(), path))
        }
        "s3" | "s3a" | "s3n" => {
            let rest = rest
                .strip_prefix("//")
                .ok_or_else(|| invalid(uri, "expected s3://bucket/key"))?;
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(invalid(uri, "it names no bucket"));
            }
            Ok((format!("s3://{bucket}/"), key))
        }
        _ => Err(invalid(uri, "expected an absolute path, file:// or s3://")),
    }
}

/// The root of a store that DataFusion names by a URL.
pub(crate) fn root_of(url: &Url) -> String {
    match url.scheme() {
        "file" => "file:///".to_owned(),
        "s3" | "s3a" | "s3n" => format!("s3://{}/", url.host_str().unwrap_or_default()),
        scheme => format!("{scheme}://{}/", url.authority()),
    }
}

pub(crate) fn invalid(uri: &str, reason: impl ToString) -> StorageError {
    StorageError::InvalidUri {
        uri: uri.to_owned(),
        reason: reason.to_string(),
    }
}
