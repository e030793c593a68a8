//! Rows to data files and back, through the plan codec as executors get their plans.

#![allow(clippy::unwrap_used, reason = "tests")]

mod damage;
mod deletes;
mod documents;
mod evolved;
mod footers;
mod harness;
mod layout;
mod pruning;
mod schema;
mod types;
