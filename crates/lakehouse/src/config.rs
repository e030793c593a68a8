//! Configuration of stores, of the catalog and of one table's writes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How to reach object stores. Local files need nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    pub s3: S3Config,
}

/// How to reach S3 or a store that speaks its protocol.
///
/// Keys left out come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
/// web identity, instance metadata), so that secrets need not be written into files.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// `http://localhost:9000` for a store of one's own; none for AWS.
    pub endpoint: Option<String>,
    pub region: String,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
    pub session_token: Option<String>,
    /// Allow an endpoint without TLS.
    pub allow_http: bool,
    /// `endpoint/bucket/key` rather than `bucket.endpoint/key`.
    pub path_style: bool,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            allow_http: false,
            path_style: true,
        }
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redacted = |value: &Option<String>| value.as_ref().map(|_| "***");
        f.debug_struct("S3Config")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &redacted(&self.access_key_id))
            .field("secret_access_key", &redacted(&self.secret_access_key))
            .field("session_token", &redacted(&self.session_token))
            .field("allow_http", &self.allow_http)
            .field("path_style", &self.path_style)
            .finish()
    }
}

/// Where tables are listed, and where new ones are put.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogConfig {
    /// `sqlite:///abs/catalog.db` or `postgresql://user:password@host/database`.
    pub uri: String,
    /// Part of every table's key: other engines must use the same name to see the same tables.
    #[serde(default = "default_catalog_name")]
    pub name: String,
    /// `file:///abs/folder` or `s3://bucket/prefix`.
    pub warehouse: String,
}

impl fmt::Debug for CatalogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogConfig")
            .field("uri", &crate::catalog::redact_uri(&self.uri))
            .field("name", &self.name)
            .field("warehouse", &self.warehouse)
            .finish()
    }
}

fn default_catalog_name() -> String {
    "retail".to_owned()
}

/// How one table is laid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WriteOptions {
    /// Partition fields in order: `order_date`, `day(ts)`, `month(d)`, `bucket(16, id)`, `truncate(4, code)`.
    pub partition_by: Vec<String>,
    /// Size at which a writer starts its next data file.
    pub target_file_bytes: u64,
    /// Table properties, set on every write that brings them.
    pub properties: BTreeMap<String, String>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            partition_by: Vec::new(),
            target_file_bytes: 128 * 1024 * 1024,
            properties: BTreeMap::new(),
        }
    }
}
