//! Leaves out files whose metrics say that no row can match.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use iceberg::spec::{DataFile, Datum, PrimitiveLiteral, Schema};

/// The metrics of a table's files as DataFusion's pruning reads them. What is unknown is null, which keeps a file.
pub(super) struct FileMetrics<'a> {
    pub(super) files: Vec<&'a DataFile>,
    pub(super) schema: &'a Schema,
    pub(super) arrow: SchemaRef,
}

impl FileMetrics<'_> {
    fn bounds(
        &self,
        column: &Column,
        of: impl Fn(&DataFile, i32) -> Option<Datum>,
    ) -> Option<ArrayRef> {
        let id = self.schema.field_by_name(&column.name)?.id;
        let data_type = self
            .arrow
            .field_with_name(&column.name)
            .ok()?
            .data_type()
            .clone();
        if data_type.is_floating() {
            // NaN lies outside of every bound.
            return None;
        }
        let unknown = ScalarValue::try_from(&data_type).ok()?;
        let bounds = self.files.iter().map(|file| {
            of(file, id)
                .and_then(|bound| scalar(&bound, &data_type))
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
        let id = self.schema.field_by_name(&column.name)?.id;
        let counts = self
            .files
            .iter()
            .map(|file| file.null_value_counts().get(&id).copied());
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(
            self.files
                .iter()
                .map(|file| Some(file.record_count()))
                .collect::<UInt64Array>(),
        ))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// A bound as a value of the column's arrow type; none where the two do not fit.
pub(super) fn scalar(bound: &Datum, data_type: &DataType) -> Option<ScalarValue> {
    use PrimitiveLiteral as L;
    Some(match (bound.literal(), data_type) {
        (L::Boolean(v), DataType::Boolean) => ScalarValue::Boolean(Some(*v)),
        (L::Int(v), DataType::Int32) => ScalarValue::Int32(Some(*v)),
        (L::Int(v), DataType::Date32) => ScalarValue::Date32(Some(*v)),
        // A bound from before the column was widened.
        (L::Int(v), DataType::Int64) => ScalarValue::Int64(Some(i64::from(*v))),
        (L::Long(v), DataType::Int64) => ScalarValue::Int64(Some(*v)),
        (L::Long(v), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            ScalarValue::TimestampMicrosecond(Some(*v), zone.clone())
        }
        (L::Long(v), DataType::Timestamp(TimeUnit::Nanosecond, zone)) => {
            ScalarValue::TimestampNanosecond(Some(*v), zone.clone())
        }
        (L::Float(v), DataType::Float32) => ScalarValue::Float32(Some(v.0)),
        (L::Double(v), DataType::Float64) => ScalarValue::Float64(Some(v.0)),
        (L::String(v), DataType::Utf8) => ScalarValue::Utf8(Some(v.clone())),
        (L::Int128(v), DataType::Decimal128(p, s)) => ScalarValue::Decimal128(Some(*v), *p, *s),
        _ => return None,
    })
}
