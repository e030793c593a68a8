//! Arrow types to Iceberg types and back.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};

use crate::error::{LakehouseError, Result};
use crate::name::TableName;

/// The columns of an Iceberg schema as arrow, each with its field id.
pub(crate) fn arrow_schema(schema: &Schema) -> Result<SchemaRef> {
    let fields = schema.as_struct().fields().iter().map(|f| {
        let data_type = match &*f.field_type {
            Type::Primitive(PrimitiveType::Int) => DataType::Int32,
            Type::Primitive(PrimitiveType::Long) => DataType::Int64,
            Type::Primitive(PrimitiveType::Double) => DataType::Float64,
            Type::Primitive(PrimitiveType::Date) => DataType::Date32,
            _ => DataType::Utf8,
        };
        let id = HashMap::from([("PARQUET:field_id".to_owned(), f.id.to_string())]);
        Field::new(&f.name, data_type, !f.required).with_metadata(id)
    });
    Ok(Arc::new(datafusion::arrow::datatypes::Schema::new(
        fields.collect::<Vec<_>>(),
    )))
}

/// Columns as an Iceberg schema of something new: field ids from 1, breadth first.
pub(crate) fn new_schema(table: &TableName, columns: &SchemaRef) -> Result<Schema> {
    let fields = columns.fields().iter().enumerate().map(|(i, f)| {
        let t = match f.data_type() {
            DataType::Int32 => PrimitiveType::Int,
            DataType::Int64 => PrimitiveType::Long,
            DataType::Float64 => PrimitiveType::Double,
            DataType::Date32 => PrimitiveType::Date,
            _ => PrimitiveType::String,
        };
        Arc::new(NestedField::new(i as i32 + 1, f.name(), Type::Primitive(t), !f.is_nullable()))
    });
    Schema::builder()
        .with_fields(fields.collect::<Vec<_>>())
        .build()
        .map_err(LakehouseError::metadata(table, "build the schema"))
}
