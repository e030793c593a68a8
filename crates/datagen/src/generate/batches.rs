//! Rows as Arrow batches, with the columns and types that `models/sources.yml` declares.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Decimal128Builder, Int32Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;

use super::rows::{
    CATEGORIES, ItemRow, Moment, OrderRow, PartyRow, ProductRow, SIZES, STATES, write_address,
    write_id, write_name, write_zip,
};

/// UTC, as Iceberg's timestamptz wants it.
const UTC: &str = "+00:00";
/// Digits of DECIMAL(12,2).
const MONEY: (u8, i8) = (12, 2);

/// A source that can be written: its name, columns and batches.
pub(crate) trait SourceRow: Sized {
    fn schema(table: &str) -> SchemaRef;
    fn batch(schema: &SchemaRef, rows: &[Self]) -> Result<RecordBatch, ArrowError>;
}

impl SourceRow for PartyRow {
    /// `customers` or `sellers`.
    fn schema(table: &str) -> SchemaRef {
        let of = table.trim_end_matches('s');
        let text = |name: &str| Field::new(format!("{of}_{name}"), DataType::Utf8, true);
        let date = |name: &str| Field::new(format!("{of}_{name}"), timestamp(), true);
        Arc::new(Schema::new(vec![
            text("id"),
            text("address"),
            text("zip_code"),
            text("state"),
            date("created_date"),
            date("updated_date"),
        ]))
    }

    fn batch(schema: &SchemaRef, rows: &[Self]) -> Result<RecordBatch, ArrowError> {
        let letter = if schema.field(0).name().starts_with('c') {
            'C'
        } else {
            'S'
        };
        let columns = vec![
            ids(letter, rows.iter().map(|r| r.id)),
            texts(rows, |r, t| write_address(t, r.place.address)),
            texts(rows, |r, t| write_zip(t, &r.place)),
            texts(rows, |r, t| t.push_str(STATES[usize::from(r.place.state)])),
            moments(rows.iter().map(|r| r.created)),
            moments(rows.iter().map(|r| r.updated)),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

impl SourceRow for ProductRow {
    fn schema(_: &str) -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("product_id", DataType::Utf8, true),
            Field::new("product_category", DataType::Utf8, true),
            Field::new("product_name", DataType::Utf8, true),
            Field::new("product_size_label", DataType::Utf8, true),
            Field::new("product_width_cm", DataType::Int32, true),
            Field::new("product_length_cm", DataType::Int32, true),
            Field::new("product_height_cm", DataType::Int32, true),
            Field::new("product_price", decimal(), true),
            Field::new("product_created_date", timestamp(), true),
            Field::new("product_updated_date", timestamp(), true),
        ]))
    }

    fn batch(schema: &SchemaRef, rows: &[Self]) -> Result<RecordBatch, ArrowError> {
        let columns = vec![
            ids('P', rows.iter().map(|r| r.id)),
            texts(rows, |r, t| t.push_str(CATEGORIES[usize::from(r.category)])),
            texts(rows, |r, t| write_name(t, r.name)),
            texts(rows, |r, t| t.push_str(SIZES[usize::from(r.size)])),
            integers(rows.iter().map(|r| i32::from(r.width_cm))),
            integers(rows.iter().map(|r| i32::from(r.length_cm))),
            integers(rows.iter().map(|r| i32::from(r.height_cm))),
            amounts(rows.iter().map(|r| Some(r.price_cents)))?,
            moments(rows.iter().map(|r| r.created)),
            moments(rows.iter().map(|r| r.updated)),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

impl SourceRow for OrderRow {
    fn schema(_: &str) -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("order_id", DataType::Utf8, true),
            Field::new("customer_id", DataType::Utf8, true),
            Field::new("order_status", DataType::Utf8, true),
            Field::new("order_purchase_date", timestamp(), true),
            Field::new("order_approved_at", timestamp(), true),
            Field::new("order_delivered_carrier_date", timestamp(), true),
            Field::new("order_delivered_customer_date", timestamp(), true),
            Field::new("order_estimated_delivery_date", timestamp(), true),
        ]))
    }

    fn batch(schema: &SchemaRef, rows: &[Self]) -> Result<RecordBatch, ArrowError> {
        let mut status = StringBuilder::with_capacity(rows.len(), rows.len() * 9);
        rows.iter().for_each(|r| status.append_option(r.status));
        let columns = vec![
            ids('O', rows.iter().map(|r| r.id)),
            ids('C', rows.iter().map(|r| r.customer)),
            Arc::new(status.finish()) as ArrayRef,
            moments(rows.iter().map(|r| r.purchase)),
            moments(rows.iter().map(|r| r.approved)),
            moments(rows.iter().map(|r| r.carrier)),
            moments(rows.iter().map(|r| r.delivered)),
            moments(rows.iter().map(|r| r.estimated)),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

impl SourceRow for ItemRow {
    fn schema(_: &str) -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("order_id", DataType::Utf8, true),
            Field::new("order_item_id", DataType::Utf8, true),
            Field::new("product_id", DataType::Utf8, true),
            Field::new("seller_id", DataType::Utf8, true),
            Field::new("shipping_limit_date", timestamp(), true),
            Field::new("price", decimal(), true),
            Field::new("freight_value", decimal(), true),
        ]))
    }

    fn batch(schema: &SchemaRef, rows: &[Self]) -> Result<RecordBatch, ArrowError> {
        let columns = vec![
            ids('O', rows.iter().map(|r| Some(r.order))),
            texts(rows, |r, t| {
                let _ = write!(t, "{}", r.number);
            }),
            ids('P', rows.iter().map(|r| r.product)),
            ids('S', rows.iter().map(|r| r.seller)),
            moments(rows.iter().map(|r| r.shipping_limit)),
            amounts(rows.iter().map(|r| r.price_cents))?,
            amounts(rows.iter().map(|r| r.freight_cents))?,
        ];
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

fn decimal() -> DataType {
    DataType::Decimal128(MONEY.0, MONEY.1)
}

fn ids(letter: char, ids: impl ExactSizeIterator<Item = Option<u64>>) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(ids.len(), ids.len() * 10);
    let mut text = String::new();
    for id in ids {
        text.clear();
        match id {
            Some(id) => {
                write_id(&mut text, letter, id);
                builder.append_value(&text);
            }
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn texts<R>(rows: &[R], write: impl Fn(&R, &mut String)) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * 16);
    let mut text = String::new();
    for row in rows {
        text.clear();
        write(row, &mut text);
        builder.append_value(&text);
    }
    Arc::new(builder.finish())
}

fn integers(values: impl ExactSizeIterator<Item = i32>) -> ArrayRef {
    let mut builder = Int32Builder::with_capacity(values.len());
    values.for_each(|value| builder.append_value(value));
    Arc::new(builder.finish())
}

fn moments(values: impl ExactSizeIterator<Item = Option<Moment>>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::with_capacity(values.len()).with_timezone(UTC);
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn amounts(cents: impl ExactSizeIterator<Item = Option<i64>>) -> Result<ArrayRef, ArrowError> {
    let mut builder =
        Decimal128Builder::with_capacity(cents.len()).with_precision_and_scale(MONEY.0, MONEY.1)?;
    cents.for_each(|cents| builder.append_option(cents.map(i128::from)));
    Ok(Arc::new(builder.finish()))
}
