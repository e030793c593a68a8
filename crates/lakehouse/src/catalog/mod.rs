//! The catalog: which metadata file each table and view has now.
//!
//! Its tables are those of Java's JdbcCatalog (schema version 1), which PyIceberg's SqlCatalog reads too:
//!
//! ```text
//! iceberg_tables                 catalog_name, table_namespace, table_name  -> metadata_location, …, iceberg_type
//! iceberg_namespace_properties   catalog_name, namespace, property_key      -> property_value
//! retail_publishes, retail_owner   ours alone: what became of a publish, and who may publish
//! ```
//!
//! The catalog's name is part of every key. `iceberg_type` is `TABLE`, `VIEW`, or NULL for a table that an older
//! engine wrote. A namespace exists when a table or a property names it.

pub(crate) mod database;
pub(crate) mod ledger;
pub(crate) mod owner;
pub(crate) mod statements;
mod uri;
