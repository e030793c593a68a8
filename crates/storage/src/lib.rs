//! Object stores: local files and S3 behind one registry, their requests traced and counted.
//!
//! ```text
//!   ObjectStores ── resolve(uri), DataFusion's registry ──▶ InstrumentedStore ──▶ ConfinedStore ──▶ local files, S3
//!                                                            a span and an         refuses what is not in `Locations`
//!                                                            observation each
//! ```
//!
//! Everything that reads or writes files gets its stores here; no other crate makes a client of one.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod config;
mod confined;
mod error;
mod instrumented;
mod locations;
mod observe;
mod redact;
mod stores;
mod transient;
mod uri;
mod within;

pub use config::{S3Config, SourcesConfig, StorageConfig};
pub use error::StorageError;
pub use locations::Locations;
pub use observe::{StoreObservation, StoreObserver, StoreOperation, StoreOutcome};
pub use redact::{passwords, redact_uri};
pub use stores::ObjectStores;
pub use transient::{ErrorClass, classify, innermost, is_transient, transient_as_io};
pub use uri::locate;
pub use within::stores_within;
