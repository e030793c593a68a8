//! Keeps the first rows of each key: `row_number() over (partition by k order by o) <= n` without a sort.
//!
//! Deduplication is what a retail pipeline does most: the latest version of each order, the first delivery of each
//! event. DataFusion plans it as a shuffle, a sort of every row, a window and a filter that throws most of that work
//! away. One pass with a hash table of the keys gives the same rows:
//!
//! ```text
//! FilterExec: rn = 1                          ProjectionExec: …, 1 as rn
//!   BoundedWindowAggExec: row_number()   =>     KeepFirstExec: mode=Final
//!     SortExec: k, o                              RepartitionExec: Hash(k)
//!       RepartitionExec: Hash(k)                    KeepFirstExec: mode=Partial
//! ```
//!
//! [`keep_first_rule`] rewrites the plan. It must see it *before* requirements are enforced (before
//! `EnsureRequirements`): the operator declares that it needs its keys together, and enforcement adds the shuffle.
//! After enforcement a parent may already rely on the sort that the rewrite removes.
//!
//! The operator holds the rows it has seen, marks those that lost, and spills by hash of the key when the memory pool
//! refuses more. Ties go to the row seen first.

mod codec;
mod exec;
mod held;
mod keys;
mod rank;
mod rule;
mod spill;
mod stream;
#[cfg(test)]
mod tests;

pub use codec::{decode, encode};
pub use exec::{KeepFirstExec, Mode, OrderColumn, Spec};
pub use rule::keep_first_rule;

use datafusion::arrow::datatypes::DataType;

/// Most rows per key that the operator keeps; above that a sort is the better plan.
pub const LIMIT_MAX: usize = 256;

/// Whether hash equality and window partitioning agree on a key of this type.
///
/// Floats have several zeros and NaNs on which they do not; nested and encoded types have no use as keys here.
fn is_key_type(data_type: &DataType) -> bool {
    !data_type.is_floating() && is_order_type(data_type)
}

/// Whether the row format orders this type as a sort does.
fn is_order_type(data_type: &DataType) -> bool {
    !data_type.is_nested()
        && !matches!(
            data_type,
            DataType::Dictionary(..)
                | DataType::RunEndEncoded(..)
                | DataType::Interval(_)
                | DataType::Null
        )
}
