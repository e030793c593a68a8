//! Columns of Parquet files as a table wants them: cast only where every value stays what it is.
//!
//! A scan casts by itself where a type only widens. Where a value may not fit (an INTEGER from BIGINTs, fewer decimal
//! places, a number from a text) this node casts and refuses, by name and value. Filters pass it only where a file's
//! bounds are true about them: not on columns that are cast here, and not on floats, whose NaN lies outside of
//! every bound. Floats become canonical here: one NaN, one zero.
//!
//! ```text
//! CheckedCastExec     columns in the table's order, under its names, of its types
//!   DataSourceExec    columns as the files have them
//! ```

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, PrimitiveArray, new_null_array,
};
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Schema, SchemaRef, TimeUnit,
};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, FilterDescription, FilterPushdownPhase,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use datafusion_proto::protobuf;
use futures::StreamExt;
use prost::Message;
use retail_proto::v1;
use retail_values::{canonical_floats, delegate_unary, has_float};

use crate::text_scan::{CellBuilder, CellRule, called, misfit, names};

/// How a file's type relates to the table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The scan may cast by itself: every value has its place, and bounds and comparisons stay right.
    Widens,
    /// A value may not fit: each one is looked at.
    Checked,
    /// No value of one is meant by the other.
    Never,
}

/// How values of a file's type become those of a table's.
pub fn fit(found: &DataType, wanted: &DataType) -> Fit {
    use DataType as T;
    let text = |t: &T| matches!(t, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let bytes = |t: &T| matches!(t, T::Binary | T::LargeBinary | T::BinaryView);
    let time = |t: &T| matches!(t, T::Date32 | T::Date64 | T::Timestamp(..));
    let clock = |t: &T| matches!(t, T::Time32(_) | T::Time64(_));
    let number = |t: &T| t.is_numeric();
    match (found, wanted) {
        (a, b) if a == b => Fit::Widens,
        (T::Dictionary(_, value), _) => fit(value, wanted),
        (a, b) if (text(a) && text(b)) || (bytes(a) && bytes(b)) => Fit::Widens,
        (a, b) if a.is_signed_integer() && b.is_signed_integer() => {
            match a.primitive_width() <= b.primitive_width() {
                true => Fit::Widens,
                false => Fit::Checked,
            }
        }
        (T::Float32, T::Float64) => Fit::Widens,
        (T::FixedSizeList(a, _) | T::LargeListView(a), T::List(b)) => {
            nested(fit(a.data_type(), b.data_type()))
        }
        (T::Decimal128(p, s), T::Decimal128(q, t)) => {
            match t >= s && *q as i8 - t >= *p as i8 - s {
                true => Fit::Widens,
                false => Fit::Checked,
            }
        }
        (T::Timestamp(from, a), T::Timestamp(TimeUnit::Microsecond, b)) => {
            match from == &TimeUnit::Microsecond && a.is_some() == b.is_some() {
                true => Fit::Widens,
                false => Fit::Checked,
            }
        }
        (T::List(a) | T::LargeList(a) | T::ListView(a), T::List(b)) => {
            nested(fit(a.data_type(), b.data_type()))
        }
        (T::Struct(a), T::Struct(b)) => {
            // A scan finds fields by their exact names: `Price` would read as null where `price` is wanted.
            let all = b.iter().all(|wanted| {
                let found = a.iter().find(|f| f.name() == wanted.name());
                match found {
                    Some(f) => fit(f.data_type(), wanted.data_type()) == Fit::Widens,
                    None => !a.iter().any(|f| names::same(f.name(), wanted.name())),
                }
            });
            let some = b
                .iter()
                .any(|wanted| a.iter().any(|f| f.name() == wanted.name()));
            nested(if all && some { Fit::Widens } else { Fit::Never })
        }
        (a, b) if a.is_nested() || b.is_nested() => Fit::Never,
        (a, b) if (number(a) || *a == T::Boolean) && (time(b) || clock(b)) => Fit::Never,
        (a, b) if (time(a) || clock(a)) && (number(b) || *b == T::Boolean) => Fit::Never,
        (a, b) if time(a) != time(b) && (clock(a) || clock(b)) => Fit::Never,
        (a, b) if (*a == T::Boolean && number(b)) || (number(a) && *b == T::Boolean) => Fit::Never,
        (a, b) if can_cast_types(a, b) => Fit::Checked,
        _ => Fit::Never,
    }
}

/// Values within lists and objects are not looked at one by one.
fn nested(inner: Fit) -> Fit {
    match inner {
        Fit::Widens => Fit::Widens,
        _ => Fit::Never,
    }
}

/// A column of the node.
#[derive(Debug, Clone, PartialEq)]
pub struct CastColumn {
    pub name: String,
    pub rule: CellRule,
    /// Place in the input; none reads as null.
    pub from: Option<usize>,
    /// Values are looked at one by one; else the input has the column's type.
    pub checked: bool,
}

/// Casts columns and refuses what does not fit.
#[derive(Debug)]
pub struct CheckedCastExec {
    input: Arc<dyn ExecutionPlan>,
    columns: Arc<Vec<CastColumn>>,
    properties: Arc<PlanProperties>,
}

impl CheckedCastExec {
    /// # Errors
    /// A column is not in the input.
    pub fn try_new(input: Arc<dyn ExecutionPlan>, columns: Arc<Vec<CastColumn>>) -> Result<Self> {
        let there = input.schema().fields().len();
        if let Some(column) = columns.iter().find(|c| c.from.is_some_and(|i| i >= there)) {
            return Err(DataFusionError::Internal(format!(
                "column {} is cast from nothing",
                column.name
            )));
        }
        let field = |c: &CastColumn| Field::new(&c.name, c.rule.data_type.clone(), true);
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        let partitions = input.properties().output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            input,
            columns,
            properties: Arc::new(properties),
        })
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::try_new(input, Arc::clone(&self.columns))?))
    }

    /// Columns about which a file's bounds are true.
    fn prunable(&self) -> HashSet<usize> {
        let input = self.input.schema();
        let columns = self.columns.iter().enumerate().filter(|(_, column)| {
            let same_name = column
                .from
                .is_some_and(|from| *input.field(from).name() == column.name);
            same_name && !column.checked && !has_float(&column.rule.data_type)
        });
        columns.map(|(index, _)| index).collect()
    }
}

impl DisplayAs for CheckedCastExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let columns = self.columns.iter().map(|c| match c.checked {
            true => format!("{}::{}", c.name, c.rule.data_type),
            false => c.name.clone(),
        });
        let columns: Vec<String> = columns.collect();
        write!(f, "CheckedCastExec: [{}]", columns.join(", "))
    }
}

impl ExecutionPlan for CheckedCastExec {
    fn name(&self) -> &'static str {
        "CheckedCastExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    delegate_unary!(input);

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn repartitioned(
        &self,
        partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let input = self.input.repartitioned(partitions, config)?;
        input.map(|input| self.over(input)).transpose()
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let child = ChildFilterDescription::from_child_with_allowed_indices(
            &parent_filters,
            self.prunable(),
            &self.input,
        )?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let [input] = inputs else {
            return Ok(Arc::new(Statistics::new_unknown(&self.schema())));
        };
        let of = |column: &CastColumn| match column.from {
            None => ColumnStatistics::new_unknown(),
            Some(from) if column.checked => ColumnStatistics {
                null_count: input.column_statistics[from].null_count,
                ..ColumnStatistics::new_unknown()
            },
            Some(from) => input.column_statistics[from].clone(),
        };
        Ok(Arc::new(Statistics {
            num_rows: input.num_rows,
            total_byte_size: input.total_byte_size.to_inexact(),
            column_statistics: self.columns.iter().map(of).collect(),
        }))
    }

    fn supports_limit_pushdown(&self) -> bool {
        self.input.supports_limit_pushdown()
    }

    fn fetch(&self) -> Option<usize> {
        self.input.fetch()
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let input = self.input.with_fetch(limit)?;
        self.over(input).ok()
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let files = files_of(&self.input, partition);
        let input = self.input.execute(partition, context)?;
        let (columns, schema) = (Arc::clone(&self.columns), self.schema());
        let into = Arc::clone(&schema);
        let batches = input.map(move |batch| convert_batch(&batch?, &columns, &into, &files));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// The files that a partition of a scan reads, for messages.
fn files_of(scan: &Arc<dyn ExecutionPlan>, partition: usize) -> String {
    let Some(source) = scan.downcast_ref::<DataSourceExec>() else {
        let below = scan.children().into_iter().next();
        return below.map_or_else(String::new, |below| files_of(below, partition));
    };
    let config = (source.data_source().as_ref() as &dyn Any).downcast_ref::<FileScanConfig>();
    let files = config.and_then(|c| c.file_groups.get(partition));
    let files = files.map_or(&[][..], |group| group.files());
    match files {
        [] => String::new(),
        [file] => format!(" in {}", file.object_meta.location),
        [first, rest @ ..] => {
            let more = rest.len();
            format!(
                " in {} or one of {more} other files",
                first.object_meta.location
            )
        }
    }
}

fn convert_batch(
    batch: &RecordBatch,
    columns: &[CastColumn],
    schema: &SchemaRef,
    files: &str,
) -> Result<RecordBatch> {
    let arrays = columns.iter().map(|column| match column.from {
        None => Ok(new_null_array(&column.rule.data_type, batch.num_rows())),
        Some(from) if column.checked => checked(&column.name, batch.column(from), &column.rule)
            .map_err(|bad| {
                DataFusionError::Execution(format!("a cell cannot be cast{files}: {}", bad.what))
            }),
        Some(from) => Ok(Arc::clone(batch.column(from))),
    });
    // Arrow compares the bits of floats, SQL their values.
    let arrays = arrays.map(|array| Ok(canonical_floats(&array?)?));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        arrays.collect::<Result<_>>()?,
        &options,
    )?)
}

/// The first value that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// Of the array, from 0.
    pub row: usize,
    pub what: String,
}

/// Casts a column; every value stays what it is or is rounded by a rule of `docs/files.md`.
///
/// # Errors
/// A value does not fit.
pub fn checked(name: &str, array: &ArrayRef, rule: &CellRule) -> Result<ArrayRef, BadValue> {
    let broken = |error: datafusion::arrow::error::ArrowError| BadValue {
        row: 0,
        what: format!("{name} is not {}: {error}", called(rule)),
    };
    let found = array.data_type();
    if let DataType::Dictionary(_, value) = found {
        let plain = cast(array, value).map_err(broken)?;
        return checked(name, &plain, rule);
    }
    let wanted = &rule.data_type;
    if *found == DataType::Null {
        return Ok(new_null_array(wanted, array.len()));
    }
    let is_text =
        |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (found, wanted) {
        // Bytes become no text unless they are a UUID.
        (DataType::FixedSizeBinary(16), to) if is_text(to) => {
            let bytes = array.as_fixed_size_binary();
            from_texts(name, rule, array, |row| uuid(bytes.value(row)))
        }
        (from, to) if is_text(from) || is_text(to) => {
            let strict = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            let texts = cast_with_options(array, &DataType::Utf8, &strict).map_err(broken)?;
            let texts = texts.as_string::<i32>();
            from_texts(name, rule, array, |row| texts.value(row).to_string())
        }
        (DataType::Float32, DataType::Decimal128(..)) => {
            let values = array.as_primitive::<Float32Type>();
            from_texts(name, rule, array, |row| values.value(row).to_string())
        }
        (DataType::Float64, DataType::Decimal128(..)) => {
            let values = array.as_primitive::<Float64Type>();
            from_texts(name, rule, array, |row| values.value(row).to_string())
        }
        (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Timestamp(..)) => {
            let nanos = cast(array, &DataType::Int64).map_err(broken)?;
            let nanos: &Int64Array = nanos.as_primitive();
            let micros: PrimitiveArray<datafusion::arrow::datatypes::TimestampMicrosecondType> =
                nanos.unary(|n| n.div_euclid(1000));
            let DataType::Timestamp(_, zone) = wanted else {
                return Ok(Arc::new(micros));
            };
            Ok(Arc::new(micros.with_timezone_opt(zone.clone())))
        }
        (DataType::Time64(TimeUnit::Nanosecond), DataType::Time64(_)) => {
            let nanos = cast(array, &DataType::Int64).map_err(broken)?;
            let nanos: &Int64Array = nanos.as_primitive();
            let micros: PrimitiveArray<datafusion::arrow::datatypes::Time64MicrosecondType> =
                nanos.unary(|n| n.div_euclid(1000));
            Ok(Arc::new(micros))
        }
        // The nearest float is meant, unless there is none.
        (from, to) if to.is_floating() && !from.is_integer() => {
            let near = cast(array, to).map_err(broken)?;
            let wide = cast(&near, &DataType::Float64).map_err(broken)?;
            let before = cast(array, &DataType::Float64).map_err(broken)?;
            let (wide, before) = (
                wide.as_primitive::<Float64Type>(),
                before.as_primitive::<Float64Type>(),
            );
            let lost = (0..array.len()).find(|i| {
                array.is_valid(*i)
                    && (near.is_null(*i)
                        || (wide.value(*i).is_infinite() && before.value(*i).is_finite()))
            });
            lost.map_or(Ok(near), |row| {
                Err(bad(name, rule, array, row, "too large"))
            })
        }
        _ => exact(name, rule, array),
    }
}

/// `f79c3e09-677c-4bbd-a479-3f349cb785e7`, as PostgreSQL writes it.
fn uuid(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn from_texts(
    name: &str,
    rule: &CellRule,
    array: &ArrayRef,
    text: impl Fn(usize) -> String,
) -> Result<ArrayRef, BadValue> {
    let mut cells = CellBuilder::new(rule).map_err(|e| BadValue {
        row: 0,
        what: format!("{name}: {e}"),
    })?;
    for row in 0..array.len() {
        if array.is_null(row) {
            cells.null();
        } else {
            cells
                .push(&text(row))
                .map_err(|why| bad(name, rule, array, row, &why))?;
        }
    }
    Ok(cells.finish())
}

/// There and back again, every value must be the same.
fn exact(name: &str, rule: &CellRule, array: &ArrayRef) -> Result<ArrayRef, BadValue> {
    let broken = |error: datafusion::arrow::error::ArrowError| BadValue {
        row: 0,
        what: format!("{name} is not {}: {error}", called(rule)),
    };
    let there = cast(array, &rule.data_type).map_err(broken)?;
    let back = cast(&there, array.data_type()).map_err(broken)?;
    let same =
        datafusion::arrow::compute::kernels::cmp::not_distinct(array, &back).map_err(broken)?;
    let lost = (0..array.len()).find(|row| !same.value(*row));
    let why = match array.data_type().is_integer() && rule.data_type.is_integer() {
        true => "too large",
        false => "",
    };
    lost.map_or(Ok(there), |row| Err(bad(name, rule, array, row, why)))
}

fn bad(name: &str, rule: &CellRule, array: &ArrayRef, row: usize, why: &str) -> BadValue {
    let value = ScalarValue::try_from_array(array, row);
    let value: String = match value {
        Ok(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))) => {
            format!("\"{}\"", text.chars().take(80).collect::<String>())
        }
        Ok(value) => value.to_string().chars().take(80).collect(),
        Err(error) => error.to_string(),
    };
    let declared = CellRule {
        guessed: false,
        ..rule.clone()
    };
    BadValue {
        row,
        what: misfit(name, &declared, &value, why),
    }
}

/// The node as it travels; none for any other node.
///
/// # Errors
/// A column's type cannot be written.
pub fn encode(node: &Arc<dyn ExecutionPlan>) -> Result<Option<v1::CheckedCast>> {
    let Some(node) = node.downcast_ref::<CheckedCastExec>() else {
        return Ok(None);
    };
    let schema = protobuf::Schema::try_from(node.schema().as_ref())
        .map_err(|e| DataFusionError::Plan(format!("a cast's columns do not travel: {e}")))?;
    let columns = node.columns.iter().map(|column| v1::CastColumn {
        from: column.from.map(|from| from as u32),
        checked: column.checked,
        max_chars: column.rule.max_chars,
    });
    Ok(Some(v1::CheckedCast {
        schema: schema.encode_to_vec(),
        columns: columns.collect(),
    }))
}

/// The node over the input that travelled below it.
///
/// # Errors
/// The payload is damaged or comes from another version.
pub fn decode(node: &v1::CheckedCast, input: Arc<dyn ExecutionPlan>) -> Result<CheckedCastExec> {
    let damaged = |what: String| DataFusionError::Plan(format!("a cast is damaged: {what}"));
    let schema = protobuf::Schema::decode(node.schema.as_slice())
        .map_err(|e| damaged(e.to_string()))
        .and_then(|s| Schema::try_from(&s).map_err(|e| damaged(e.to_string())))?;
    if schema.fields().len() != node.columns.len() {
        return Err(damaged("it has columns without types".into()));
    }
    let columns = schema.fields().iter().zip(&node.columns);
    let columns = columns.map(|(field, column)| CastColumn {
        name: field.name().clone(),
        rule: CellRule {
            data_type: field.data_type().clone(),
            guessed: false,
            max_chars: column.max_chars,
        },
        from: column.from.map(|from| from as usize),
        checked: column.checked,
    });
    CheckedCastExec::try_new(input, Arc::new(columns.collect()))
}
