//! What the scenarios are written with: an API server, an operator in it, a scheduler's numbers, and waiting.

pub mod faults;
pub mod kubernetes;
pub mod operator;
pub mod prerequisites;
pub mod scheduler;
pub mod wait;
