//! The outside world's one door: files that a source names, read and typed by rules that `docs/files.md` writes down.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

pub mod checked_cast;
pub mod files;
pub mod text_scan;
