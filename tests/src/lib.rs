//! What tests of the whole share with programs that a person runs by hand.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod fuzz;
