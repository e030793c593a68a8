//! What decides which row of a key comes first: order columns encoded as comparable keys.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::Result;

use super::key_hash::{is_narrow, ordered_bits};
use super::spec::OrderColumn;

/// Turns the order columns of a batch into [`OrderKeys`].
#[derive(Debug)]
pub(super) enum OrderKeyEncoder {
    /// No order: the row seen first is first.
    Unordered,
    /// One column of at most 64 bits.
    Narrow { column: usize, options: SortOptions },
    /// Any other order, as arrow's row format.
    Wide {
        columns: Vec<usize>,
        converter: RowConverter,
    },
}

/// One comparable key per row of a batch; less is earlier.
#[derive(Debug)]
pub(super) enum OrderKeys {
    Unordered,
    Narrow(Vec<u128>),
    Wide(Rows),
}

impl OrderKeyEncoder {
    pub(super) fn try_new(schema: &Schema, order_by: &[OrderColumn]) -> Result<Self> {
        match order_by {
            [] => Ok(Self::Unordered),
            [only] if is_narrow(schema.field(only.column).data_type()) => Ok(Self::Narrow {
                column: only.column,
                options: only.options,
            }),
            many => {
                let field = |o: &OrderColumn| {
                    SortField::new_with_options(
                        schema.field(o.column).data_type().clone(),
                        o.options,
                    )
                };
                Ok(Self::Wide {
                    columns: many.iter().map(|o| o.column).collect(),
                    converter: RowConverter::new(many.iter().map(field).collect())?,
                })
            }
        }
    }

    pub(super) fn encode(&self, columns: &[ArrayRef]) -> Result<OrderKeys> {
        match self {
            Self::Unordered => Ok(OrderKeys::Unordered),
            Self::Narrow { column, options } => {
                Ok(OrderKeys::Narrow(narrow(&columns[*column], *options)?))
            }
            Self::Wide {
                columns: order,
                converter,
            } => {
                let order: Vec<ArrayRef> = order
                    .iter()
                    .map(|i| ArrayRef::clone(&columns[*i]))
                    .collect();
                Ok(OrderKeys::Wide(converter.convert_columns(&order)?))
            }
        }
    }
}

/// The ordered bits of each value, with a bit above them that places nulls.
fn narrow(array: &ArrayRef, options: SortOptions) -> Result<Vec<u128>> {
    const ABOVE: u128 = 1 << 64;
    let flip = if options.descending { u64::MAX } else { 0 };
    let (null, value) = if options.nulls_first {
        (0, ABOVE)
    } else {
        (ABOVE, 0)
    };
    let bits = ordered_bits(array)?
        .into_iter()
        .map(|bits| value | u128::from(bits ^ flip));
    Ok(match array.nulls() {
        None => bits.collect(),
        Some(nulls) => bits
            .zip(nulls.iter())
            .map(|(bits, valid)| if valid { bits } else { null })
            .collect(),
    })
}

impl OrderKeys {
    /// Whether row `row` comes strictly before row `other_row` of `other`.
    pub(super) fn before(&self, row: u32, other: &Self, other_row: u32) -> bool {
        match (self, other) {
            (Self::Narrow(a), Self::Narrow(b)) => a[row as usize] < b[other_row as usize],
            (Self::Wide(a), Self::Wide(b)) => a.row(row as usize) < b.row(other_row as usize),
            _ => false,
        }
    }

    /// Heap bytes held.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Unordered => 0,
            Self::Narrow(order_keys) => order_keys.capacity() * size_of::<u128>(),
            Self::Wide(rows) => rows.size(),
        }
    }
}
