//! Configuration of the catalog and of one table's writes.

use std::collections::BTreeMap;
use std::fmt;

use retail_storage::redact_uri;
use serde::{Deserialize, Serialize};

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
            .field("uri", &redact_uri(&self.uri))
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
