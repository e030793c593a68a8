//! What the scenarios are written with: processes, addresses, data, and sums of what a lake holds.

pub mod checksum;
pub mod cluster;
pub mod collector;
pub mod fixtures;
pub mod lake;
pub mod metrics;
pub mod prerequisites;
pub mod program;
pub mod proxy;
pub mod repository;
pub mod submit;
pub mod wait;
