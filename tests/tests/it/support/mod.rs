//! What the scenarios are written with: processes, addresses, data, and sums of what a lake holds.

pub mod checksum;
pub mod needs;
pub mod program;
pub mod repository;
pub mod wait;
