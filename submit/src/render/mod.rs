//! Facts to text, purely: what is printed is decided here and written elsewhere.

pub mod checks;
pub mod error;
pub mod failure;
pub mod lists;
pub mod next;
pub mod plan;
pub mod table;
