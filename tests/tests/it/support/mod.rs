//! What the scenarios are written with: processes, addresses, data, and sums of what a lake holds.

pub(crate) mod checksum;
pub(crate) mod cluster;
pub(crate) mod collector;
pub(crate) mod fixtures;
pub(crate) mod lake;
pub(crate) mod metrics;
pub(crate) mod prerequisites;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod repository;
pub(crate) mod submit;
pub(crate) mod wait;
