//! Iceberg tables on object stores: read, written and published atomically by an SQL catalog.
//!
//! A run pins every table once ([`Lakehouse::pin`]), reads them ([`Lakehouse::load`]), writes data files from
//! anywhere ([`Lakehouse::begin_write`], [`write_plan`]), stages new table metadata that nobody else sees
//! ([`Lakehouse::stage`]) and makes all of its tables visible in one transaction ([`Lakehouse::publish`]).
//!
//! ```text
//!   pin ──▶ load ──▶ begin_write ──▶ write_plan … data_files ──▶ stage ──▶ publish
//!  catalog  metadata  ids, location     executors write          metadata   one SQL
//!  rows     files     of the table      Parquet                  files      transaction
//! ```
//!
//! This is the only crate that names `iceberg`. No arrow type crosses between that crate and ours.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod catalog;
mod commit;
mod config;
mod error;
mod failpoint;
mod failure;
mod file_io;
mod lakehouse;
mod lineage;
mod observe;
mod ownership;
mod publish;
mod scan;
mod stage;
mod table;
#[cfg(test)]
mod testing;
mod write;

pub mod plan_codec;

pub use catalog::owner::{Claim, Lease, Owner};
pub use commit::WriteMode;
pub use config::{CatalogConfig, WriteOptions};
pub use error::{LakehouseError, MetadataError, Result};
pub use lakehouse::{Lakehouse, Pin};
pub use lineage::SourceFiles;
pub use observe::{CatalogOperation, CatalogOutcome, Observation, Observer};
pub use publish::{Publish, PublishedTable};
pub use scan::{DAMAGED_FILE, scan_rule};
pub use stage::{Staged, StagedTable, StagedView};
pub use table::view::LakeView;
pub use table::{ForeignChange, LakeTable, PUBLISH_ID, Relation, SnapshotInfo, TableColumn};
pub use write::{
    DataFiles, WritePlanner, WriteTarget, data_files, is_table_write, write_plan,
    write_result_schema,
};
