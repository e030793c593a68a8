//! Top-k per key: `row_number() over (partition by k order by o) <= n` without a sort.
//!
//! Deduplication is what a retail pipeline does most: the latest version of each order, the first delivery of each
//! event. DataFusion plans it as a shuffle, a sort of every row, a window and a filter that throws most of that work
//! away. One pass with a hash table of the keys gives the same rows:
//!
//! ```text
//! FilterExec: rn = 1                          ProjectionExec: …, 1 as rn
//!   BoundedWindowAggExec: row_number()   =>     HashTopKExec: mode=Final
//!     SortExec: k, o                              RepartitionExec: Hash(k)
//!       RepartitionExec: Hash(k)                    HashTopKExec: mode=Partial
//! ```
//!
//! [`partitioned_topk_rule`] rewrites the plan. It must see it *before* requirements are enforced (before
//! `EnsureRequirements`): the operator declares that it needs its keys together, and enforcement adds the shuffle.
//! After enforcement a parent may already rely on the sort that the rewrite removes.
//!
//! The operator stores the rows it has seen, marks those that lost, and spills by hash of the key when the memory pool
//! refuses more. Ties go to the row seen first. DataFusion has an operator for the same queries, which the decision
//! record `docs/decisions/0020-own-top-k-per-key.md` compares.

mod codec;
mod exec;
mod key_hash;
mod order_key;
mod row_store;
mod rule;
mod spec;
mod spill;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use codec::{decode, encode};
pub use rule::partitioned_topk_rule;
