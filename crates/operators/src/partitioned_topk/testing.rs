//! Top-k nodes of every kind, for the test of the codec.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::physical_plan::ExecutionPlan;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::exec::HashTopKExec;
use super::spec::{LIMIT_MAX, Mode, OrderColumn, Spec};

/// Any top-k that `input` has the columns for; the input itself if none of them can be a key.
pub fn topk(input: Arc<dyn ExecutionPlan>) -> impl Strategy<Value = Arc<dyn ExecutionPlan>> {
    let order_column = (any::<Index>(), any::<[bool; 2]>());
    let spec = (
        vec(any::<Index>(), 1..4),
        vec(order_column, 0..4),
        1..=LIMIT_MAX,
    );
    let mode = prop_oneof![Just(Mode::Partial), Just(Mode::Final)];
    (spec, mode).prop_map(move |((keys, order_by, limit), mode)| {
        let width = input.schema().fields().len();
        let order_column = |(column, [descending, nulls_first]): (Index, [bool; 2])| OrderColumn {
            column: column.index(width),
            options: SortOptions {
                descending,
                nulls_first,
            },
        };
        let spec = Spec {
            keys: keys.iter().map(|key| key.index(width)).collect(),
            order_by: order_by.into_iter().map(order_column).collect(),
            limit,
        };
        match HashTopKExec::try_new(Arc::clone(&input), spec, mode) {
            Ok(node) => Arc::new(node) as Arc<dyn ExecutionPlan>,
            Err(_) => Arc::clone(&input),
        }
    })
}

/// What a top-k keeps; nothing of other nodes.
pub fn described(node: &Arc<dyn ExecutionPlan>) -> String {
    let node = node.downcast_ref::<HashTopKExec>();
    node.map(|node| format!("{:?} {:?}", node.mode(), node.spec()))
        .unwrap_or_default()
}
