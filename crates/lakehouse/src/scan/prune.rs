//! Leaves out files in which no row can match by their metrics.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use iceberg::spec::{DataFile, Datum, Schema};

use super::snapshot::LiveFile;
use super::values;

/// The metrics of a table's files as DataFusion's pruning reads them. What is unknown is null, which keeps a file.
pub(super) struct FileMetrics<'a> {
    pub(super) files: &'a [LiveFile],
    pub(super) schema: &'a Schema,
    pub(super) arrow: SchemaRef,
}

impl FileMetrics<'_> {
    /// The id of a primitive column: what engines count in lists and structs differs.
    fn id(&self, column: &Column) -> Option<i32> {
        let field = self.schema.as_struct().field_by_name(&column.name)?;
        field.field_type.is_primitive().then_some(field.id)
    }

    fn bounds(
        &self,
        column: &Column,
        of: impl Fn(&DataFile, i32) -> Option<Datum>,
    ) -> Option<ArrayRef> {
        let id = self.id(column)?;
        let field = self.arrow.field_with_name(&column.name).ok()?;
        let data_type = field.data_type().clone();
        if data_type.is_floating() {
            // NaN lies outside of every bound.
            return None;
        }
        let unknown = ScalarValue::try_from(&data_type).ok()?;
        let bounds = self.files.iter().map(|live| {
            of(live.file(), id)
                .and_then(|bound| scalar(&bound, &data_type))
                .or_else(|| live.constant(id).cloned())
                .unwrap_or_else(|| unknown.clone())
        });
        ScalarValue::iter_to_array(bounds).ok()
    }
}

impl PruningStatistics for FileMetrics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |file, id| file.lower_bounds().get(&id).cloned())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |file, id| file.upper_bounds().get(&id).cloned())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let id = self.id(column)?;
        let counts = self.files.iter().map(|live| {
            let counted = live.file().null_value_counts().get(&id).copied();
            counted.or_else(|| match live.constant(id)?.is_null() {
                true => Some(live.file().record_count()),
                false => Some(0),
            })
        });
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(
            self.files
                .iter()
                .map(|live| Some(live.file().record_count()))
                .collect::<UInt64Array>(),
        ))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// A bound as a value of the column's arrow type; none where the two do not fit, and where engines disagree on order
/// (of UUIDs) or readers never compare (bytes).
pub(super) fn scalar(bound: &Datum, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::FixedSizeBinary(_) | DataType::Binary => None,
        _ => values::primitive(bound.literal(), data_type),
    }
}
