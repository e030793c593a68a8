//! Finds the next wrong answer before a user does: makes queries from a seed, asks them in one process, on clusters of
//! several shapes and in DuckDB, and compares the rows.
//!
//! ```text
//!  seed ─▶ choices ─▶ generate ─▶ text ─┬─ one process ─┐
//!                                       ├─ a cluster   ─┼─ check ─▶ the same, refused, or a finding ─▶ shrink
//!                                       └─ DuckDB      ─┘
//! ```
//!
//! `tests/fuzz_sql` is the program for people; `./test` runs a fixed list of seeds.

pub mod check;
pub mod choices;
pub mod claims;
pub mod features;
pub mod generate;
pub mod rows;
pub mod run;
pub mod shrink;
pub mod systems;
pub mod tables;
pub mod text;
