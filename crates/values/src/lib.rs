//! What scans of tables, scans of files and SQL share: the meaning of values and their bounds, and of a plan node over one input.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod bounds;
mod floats;
mod unary;

pub use bounds::may_hide_rows;
pub use floats::{canonical_floats, canonical_scalar, has_float};
