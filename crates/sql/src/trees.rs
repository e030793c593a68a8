//! Walks over plans and expressions, compiled once.
//!
//! DataFusion's walks are written out for each closure that they are given. Behind a trait object all closures share one.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;

/// A step of a walk that changes nodes, behind a trait object.
pub(crate) type Step<'a, T> = &'a mut (dyn FnMut(T) -> Result<Transformed<T>> + 'a);

/// The closure as every walk takes it: `plan.transform_up(step(&mut |node| …))`.
pub(crate) fn step<'a, T>(change: &'a mut dyn FnMut(T) -> Result<Transformed<T>>) -> Step<'a, T> {
    change
}
