//! Makes a file's column one of the table's: nested fields by id, promotions, defaults.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, RecordBatch, StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{CastOptions, cast_with_options, nullif};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::columns::{Child, Step};
use crate::error::LakehouseError;
use retail_api::TableName;
use retail_values::canonical_floats;

/// Where a column comes from, for messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) table: TableName,
    pub(super) column: String,
    pub(super) file: String,
}

impl Origin {
    pub(super) fn unreadable(&self, reason: impl Into<String>) -> DataFusionError {
        let error = LakehouseError::UnreadableColumn {
            table: self.table.clone(),
            column: self.column.clone(),
            file: self.file.clone(),
            reason: reason.into(),
        };
        error.into()
    }
}

/// The values of a file's column as the table has them.
///
/// DataFusion's pruning looks through columns and casts, and does not look through this: Parquet's statistics
/// of the file's column may not hold for the table's.
#[derive(Debug, Clone)]
pub(super) struct Reshape {
    input: Arc<dyn PhysicalExpr>,
    step: Arc<Step>,
    field: FieldRef,
    origin: Arc<Origin>,
}

impl Reshape {
    pub(super) fn new(
        input: Arc<dyn PhysicalExpr>,
        step: Step,
        field: FieldRef,
        origin: Origin,
    ) -> Self {
        Self {
            input,
            step: Arc::new(step),
            field,
            origin: Arc::new(origin),
        }
    }
}

impl PartialEq for Reshape {
    fn eq(&self, other: &Self) -> bool {
        self.input.eq(&other.input)
            && self.step == other.step
            && self.field == other.field
            && self.origin == other.origin
    }
}

impl Eq for Reshape {}

impl Hash for Reshape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.field.hash(state);
        self.origin.hash(state);
    }
}

impl fmt::Display for Reshape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field_{}({})", self.field.name(), self.input)
    }
}

impl PhysicalExpr for Reshape {
    fn return_field(&self, _schema: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(self.field.is_nullable())
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.input.evaluate(batch)?.into_array(batch.num_rows())?;
        let column = apply(&self.step, &column).and_then(|column| canonical_floats(&column));
        let column = column.map_err(|e| match e {
            ArrowError::MemoryError(_) => DataFusionError::from(e),
            other => self.origin.unreadable(other.to_string()),
        })?;
        Ok(ColumnarValue::Array(column))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let input = children.pop().ok_or_else(|| {
            DataFusionError::Internal("a reshaped column has one input".to_owned())
        })?;
        Ok(Arc::new(Self {
            input,
            ..self.as_ref().clone()
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn apply(step: &Step, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match step {
        Step::Same => Ok(Arc::clone(array)),
        Step::Cast(to) => cast_strictly(array, to),
        Step::CastWholeUnits(to) => {
            let cast = cast_strictly(array, to)?;
            // Back again it is the same, unless digits were lost.
            let back = cast_strictly(&cast, array.data_type())?;
            if back.to_data() != array.to_data() {
                let text = format!("a value has digits below the unit of {to}");
                return Err(ArrowError::CastError(text));
            }
            Ok(cast)
        }
        Step::Struct(fields, children) => {
            let rows = array.as_struct();
            let children = children.iter().map(|child| match child {
                Child::From(position, step) => apply(step, rows.column(*position)),
                Child::Constant(value) => constant(value, rows),
            });
            let children = children.collect::<Result<Vec<_>, _>>()?;
            let (fields, nulls) = (fields.clone(), rows.nulls().cloned());
            let rows = StructArray::try_new_with_length(fields, children, nulls, rows.len())?;
            Ok(Arc::new(rows))
        }
        Step::List(field, inner) => {
            let lists = match array.data_type() {
                DataType::List(_) => Arc::clone(array),
                DataType::LargeList(f) | DataType::FixedSizeList(f, _) => {
                    cast_strictly(array, &DataType::List(Arc::clone(f)))?
                }
                other => {
                    let text = format!("a list cannot be made of {other}");
                    return Err(ArrowError::CastError(text));
                }
            };
            let lists = lists.as_list::<i32>();
            let items = apply(inner, lists.values())?;
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            let lists = ListArray::try_new(Arc::clone(field), offsets, items, nulls)?;
            Ok(Arc::new(lists))
        }
        Step::Map(entries, keys, values) => {
            let maps = array.as_map();
            let pair = vec![apply(keys, maps.keys())?, apply(values, maps.values())?];
            let DataType::Struct(fields) = entries.data_type() else {
                let text = "a map's entries are no struct".to_owned();
                return Err(ArrowError::CastError(text));
            };
            let pair = StructArray::try_new(fields.clone(), pair, None)?;
            let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
            let maps = MapArray::try_new(Arc::clone(entries), offsets, pair, nulls, false)?;
            Ok(Arc::new(maps))
        }
    }
}

/// A value in every row of a struct, and null where the struct is.
fn constant(value: &ScalarValue, rows: &StructArray) -> Result<ArrayRef, ArrowError> {
    let values = value
        .to_array_of_size(rows.len())
        .map_err(|e| ArrowError::CastError(e.to_string()))?;
    match rows.nulls() {
        Some(nulls) if nulls.null_count() > 0 => masked(&values, nulls),
        _ => Ok(values),
    }
}

/// The values, null also where `nulls` is: at every depth, since a struct's field is read without its struct.
fn masked(values: &ArrayRef, nulls: &NullBuffer) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = values.data_type() else {
        return nullif(values, &BooleanArray::new(!nulls.inner(), None));
    };
    let rows = values.as_struct();
    let all = NullBuffer::union(rows.nulls(), Some(nulls));
    let children = rows.columns().iter().map(|child| masked(child, nulls));
    let children = children.collect::<Result<Vec<_>, _>>()?;
    let rows = StructArray::try_new_with_length(fields.clone(), children, all, rows.len())?;
    Ok(Arc::new(rows))
}

fn cast_strictly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &options)
}
