//! Facts to text, purely: what is printed is decided here and written elsewhere.

pub(crate) mod checks;
pub(crate) mod error;
pub(crate) mod failure;
pub(crate) mod lists;
pub(crate) mod next;
pub(crate) mod plan;
pub(crate) mod table;
