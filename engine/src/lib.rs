//! The one query session that every process uses, and how its queries run on a cluster.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod keep_first;
