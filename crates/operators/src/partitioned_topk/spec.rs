//! What a top-k per key keeps.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, plan_err};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

/// Most rows per key that the operator keeps; above that a sort is the better plan.
pub(super) const LIMIT_MAX: usize = 256;

/// Whether a pass is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sees any part of the rows and may keep losers: thins out what a shuffle has to move.
    Partial,
    /// Sees all rows of a key, which its required distribution ensures.
    Final,
}

/// A column that rows of a key are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrderColumn {
    /// Index in the input's schema.
    pub(crate) column: usize,
    /// Direction, and the place of nulls.
    pub(crate) options: SortOptions,
}

/// Which rows stay: the first `limit` of each key by `order_by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    /// Indexes of the key's columns in the input's schema.
    pub(crate) keys: Vec<usize>,
    /// Empty when any row of a key will do.
    pub(crate) order_by: Vec<OrderColumn>,
    /// Rows kept per key, 1 to [`LIMIT_MAX`].
    pub(crate) limit: usize,
}

impl Spec {
    /// Checks the columns against the input's schema.
    ///
    /// # Errors
    /// A column is missing or of a type the operator cannot compare exactly, there is no key, or the limit is out of
    /// range.
    pub(crate) fn check(&self, schema: &Schema) -> Result<()> {
        if self.keys.is_empty() || !(1..=LIMIT_MAX).contains(&self.limit) {
            return plan_err!(
                "a top-k per key needs a key and a limit of 1 to {LIMIT_MAX}, got limit {}",
                self.limit
            );
        }
        let columns = self
            .keys
            .iter()
            .map(|key| (*key, is_key_type as fn(&_) -> bool));
        let order = self
            .order_by
            .iter()
            .map(|order| (order.column, is_order_type as fn(&_) -> bool));
        for (column, is_supported) in columns.chain(order) {
            match schema.fields().get(column) {
                Some(field) if is_supported(field.data_type()) => {}
                Some(field) => {
                    return plan_err!(
                        "a top-k per key cannot compare {}: {}",
                        field.name(),
                        field.data_type()
                    );
                }
                None => return plan_err!("a top-k per key has no column {column} in its input"),
            }
        }
        Ok(())
    }

    pub(super) fn key_columns(&self, schema: &Schema) -> Vec<Arc<dyn PhysicalExpr>> {
        self.keys.iter().map(|key| column(schema, *key)).collect()
    }

    pub(super) fn sort_columns(&self, schema: &Schema) -> Vec<PhysicalSortExpr> {
        let sort = |order: &OrderColumn| {
            PhysicalSortExpr::new(column(schema, order.column), order.options)
        };
        self.order_by.iter().map(sort).collect()
    }
}

fn column(schema: &Schema, index: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(schema.field(index).name(), index))
}

/// What tests change to reach paths that real data rarely takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    /// Bits of the key's hash that count.
    pub(super) hash_mask: u64,
    /// Rows after which a partial pass decides whether it pays.
    pub(super) probe_rows: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            hash_mask: u64::MAX,
            probe_rows: 100_000,
        }
    }
}

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
