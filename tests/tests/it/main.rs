//! The cluster as its users meet it: real processes, real files, other engines. `../../README.md` maps promise to file.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

mod architecture;
mod crate_edges;
mod interop_scripts;
