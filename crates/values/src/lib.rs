//! What values and their bounds mean to everybody who reads columns: scans of tables, of files, and SQL.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod bounds;
mod floats;

pub use bounds::may_hide_rows;
pub use floats::{canonical_floats, canonical_scalar, has_float};
