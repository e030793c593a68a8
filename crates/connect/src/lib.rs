//! The outside world's one door: files that a source names, read and typed by rules that `docs/files.md` writes down.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod checked_cast;
pub mod files;
pub mod text_scan;
