//! Writes tables: the write target, the write node and the data files it returns.

mod target;

pub use target::WriteTarget;
