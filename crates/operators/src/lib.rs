//! Physical operators that DataFusion lacks, each with the rule that puts it into a plan and its message on the wire.
//!
//! An operator declares what it needs of its input and leaves exchanges and sorts to DataFusion's enforcement. Rows pass through all
//! of this crate, so that every build but the one for tests optimizes it; nodes that only wrap another one are `retail-engine`'s.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod partitioned_topk;
