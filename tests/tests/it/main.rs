//! The cluster as its users meet it: real processes, real files, other engines. `../../README.md` maps promise to file.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

mod architecture;
mod bad_input;
mod cluster_matches_single_process;
mod confinement;
mod crate_edges;
mod days_in_any_order;
mod dbt_projects;
mod declared_tests;
mod dependencies;
mod exact_numbers;
mod executor_loss;
mod fuzz_sql;
mod graceful_stop;
mod interop_scripts;
mod ipv6_hosts;
mod metrics;
mod other_engines;
mod outages;
mod postgres_and_s3;
mod publish_faults;
mod publish_truth;
mod sql_shapes;
mod traces;
mod words;
