//! Reads CSV and JSON lines by the rules of `docs/files.md`, the same on every executor and in every part of a file.
//!
//! DataFusion's own readers cut decimals, drop fractions of JSON numbers and take the texts of times loosely; and
//! datafusion-proto forgets that files are compressed. So a stock scan only names the files a task reads (Ballista
//! and datafusion-proto know it), and the node above it reads them:
//!
//! ```text
//! TextScanExec        csv or json, gzip or zstd, columns and their rules
//!   DataSourceExec    never run: its file groups are what a task reads
//! ```

mod cell;
mod csv;
mod files;
mod json;
mod jsonl;
pub mod names;
mod wire;

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use retail_values::delegate_unary;

pub use cell::{CellBuilder, CellRule, Misfit, guess, scalar};
pub use csv::CsvFormat;
pub use json::{Json, parse as parse_json};
pub use jsonl::{JsonFormat, guess_number};
pub use wire::{decode, encode};

/// What the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextFormat {
    Csv(CsvFormat),
    Json(JsonFormat),
}

impl TextFormat {
    fn names(&self) -> &[String] {
        match self {
            TextFormat::Csv(csv) => &csv.names,
            TextFormat::Json(json) => &json.names,
        }
    }
}

/// A column of the scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumn {
    pub name: String,
    pub rule: CellRule,
    pub from: Origin,
}

/// Where a column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Place among the names of the format.
    File(usize),
    /// Place among the partition values of the file.
    Path(usize),
    /// These files do not have it: null.
    Missing,
}

/// What is read of the files, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct TextScan {
    pub format: TextFormat,
    pub compression: FileCompressionType,
    pub columns: Vec<TextColumn>,
}

impl TextScan {
    fn schema(&self) -> SchemaRef {
        let field = |c: &TextColumn| Field::new(&c.name, c.rule.data_type.clone(), true);
        Arc::new(Schema::new(
            self.columns.iter().map(field).collect::<Vec<_>>(),
        ))
    }

    /// Whether a file may be read in parts by several tasks.
    pub fn splits(&self) -> bool {
        let by_line = match &self.format {
            TextFormat::Csv(csv) => !csv.newlines_in_values,
            TextFormat::Json(_) => true,
        };
        by_line && self.compression == FileCompressionType::UNCOMPRESSED
    }
}

/// The first row that is not what its columns ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// From 1, without the header; of the part of the file that was read.
    pub row: u64,
    /// From 1; of the part of the file that was read.
    pub line: u64,
    /// As the table calls it; none if the row as a whole is wrong.
    pub column: Option<String>,
    pub what: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} cannot be parsed: {}", self.row, self.what)
    }
}

impl std::error::Error for BadRow {}

/// Reads a whole file, already uncompressed, and gives its first bad row.
///
/// # Errors
/// The file cannot be read to its end.
pub fn first_bad_row(
    mut input: impl Read,
    format: &TextFormat,
    rules: &[(usize, CellRule)],
) -> std::io::Result<Option<BadRow>> {
    let mut decoder = Decoder::new(format, rules, true).map_err(std::io::Error::other)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = input.read(&mut buffer)?;
        let fed = match read {
            0 => decoder.end(true),
            _ => decoder.feed(&buffer[..read]),
        };
        if let Err(bad) = fed {
            return Ok(Some(bad));
        }
        if read == 0 {
            return Ok(None);
        }
        decoder.take().map_err(std::io::Error::other)?;
    }
}

/// Rows of one format as they come.
#[derive(Debug)]
enum Decoder {
    Csv(Box<csv::CsvDecoder>),
    Json(jsonl::JsonDecoder),
}

impl Decoder {
    fn new(format: &TextFormat, rules: &[(usize, CellRule)], start: bool) -> Result<Self> {
        Ok(match format {
            TextFormat::Csv(csv) => {
                let wanted = rules.iter().map(|(i, r)| Ok((*i, CellBuilder::new(r)?)));
                let wanted = wanted.collect::<Result<Vec<_>>>()?;
                Decoder::Csv(Box::new(csv::CsvDecoder::new(csv, wanted, start)))
            }
            TextFormat::Json(json) => {
                let wanted = rules
                    .iter()
                    .map(|(i, r)| Ok((*i, jsonl::Values::new(r)?)))
                    .collect::<Result<Vec<_>>>()?;
                Decoder::Json(jsonl::JsonDecoder::new(json, wanted, start))
            }
        })
    }

    fn feed(&mut self, input: &[u8]) -> Result<(), BadRow> {
        match self {
            Decoder::Csv(csv) => csv.feed(input),
            Decoder::Json(json) => json.feed(input),
        }
    }

    fn end(&mut self, whole: bool) -> Result<(), BadRow> {
        match self {
            Decoder::Csv(csv) => csv.end(whole),
            Decoder::Json(json) => json.end(),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Decoder::Csv(csv) => csv.rows(),
            Decoder::Json(json) => json.rows(),
        }
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        match self {
            Decoder::Csv(csv) => Ok(csv.take()),
            Decoder::Json(json) => json.take(),
        }
    }
}

/// `price is not a DECIMAL(12,2) (too large): "1e99"`.
pub(crate) fn misfit(name: &str, rule: &CellRule, shown: &str, why: &str) -> String {
    let mut wanted = match why {
        "too large" => called(rule),
        _ if rule.data_type.is_integer() => "an integer".into(),
        _ => called(rule),
    };
    if rule.guessed && !matches!(rule.data_type, DataType::Utf8 | DataType::Utf8View) {
        wanted.push_str(" as in the first rows");
    }
    match why {
        "" => format!("{name} is not {wanted}: {shown}"),
        why => format!("{name} is not {wanted} ({why}): {shown}"),
    }
}

/// `an integer`, `a DECIMAL(12,2)`: what a value should have been.
pub fn called(rule: &CellRule) -> String {
    match &rule.data_type {
        DataType::Boolean => "true or false".into(),
        DataType::Int8 => "a TINYINT".into(),
        DataType::Int16 => "a SMALLINT".into(),
        DataType::Int32 => "an INTEGER".into(),
        DataType::Int64 => "a BIGINT".into(),
        DataType::Float32 => "a REAL".into(),
        DataType::Float64 => "a number".into(),
        DataType::Decimal128(p, s) => format!("a DECIMAL({p},{s})"),
        DataType::Date32 => "a date".into(),
        DataType::Timestamp(..) => "a timestamp".into(),
        DataType::Time64(_) => "a time".into(),
        DataType::Struct(_) => "an object".into(),
        DataType::List(_) => "a list".into(),
        _ => match rule.max_chars {
            Some(n) => format!("a VARCHAR({n})"),
            None => "text".into(),
        },
    }
}

/// A scan of CSV or JSON files by our rules.
#[derive(Debug)]
pub struct TextScanExec {
    scan: Arc<dyn ExecutionPlan>,
    read: Arc<TextScan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TextScanExec {
    /// Reads the files of `scan`, a stock scan of files.
    ///
    /// # Errors
    /// `scan` is none, or no text can be of a column's type.
    pub fn try_new(scan: Arc<dyn ExecutionPlan>, read: Arc<TextScan>) -> Result<Self> {
        if scan.children().is_empty() && scan.downcast_ref::<DataSourceExec>().is_none() {
            return Err(DataFusionError::Internal(format!(
                "a text scan stands over {}, not files",
                scan.name()
            )));
        }
        Decoder::new(&read.format, &rules(&read), true)?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(read.schema()),
            Partitioning::UnknownPartitioning(
                scan.properties().output_partitioning().partition_count(),
            ),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            scan,
            read,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// What is read, and how.
    pub fn read(&self) -> &Arc<TextScan> {
        &self.read
    }

    fn over(&self, scan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::try_new(scan, Arc::clone(&self.read))?))
    }
}

/// The columns that the files hold, each once: place among the names, and rule.
fn rules(read: &TextScan) -> Vec<(usize, CellRule)> {
    let of_files = read.columns.iter().filter_map(|column| match column.from {
        Origin::File(index) => Some((index, column.rule.clone())),
        _ => None,
    });
    of_files.collect()
}

/// The files of a stock scan.
fn config(scan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    scan.downcast_ref::<DataSourceExec>()?
        .data_source()
        .downcast_ref::<FileScanConfig>()
}

impl DisplayAs for TextScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let format = match &self.read.format {
            TextFormat::Csv(_) => "csv",
            TextFormat::Json(_) => "json",
        };
        let columns: Vec<&str> = self.read.columns.iter().map(|c| c.name.as_str()).collect();
        write!(
            f,
            "TextScanExec: {format}, columns=[{}]",
            columns.join(", ")
        )?;
        match self.read.compression {
            FileCompressionType::UNCOMPRESSED => Ok(()),
            packed => write!(f, ", compression={}", wire::compression_name(packed)),
        }
    }
}

impl ExecutionPlan for TextScanExec {
    fn name(&self) -> &'static str {
        "TextScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    delegate_unary!(scan);

    /// A sort must not be pushed between this node and the scan that is never run.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    /// Splits the files by bytes, where lines are rows.
    fn repartitioned(
        &self,
        partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if !self.read.splits() {
            return Ok(None);
        }
        let scan = self.scan.repartitioned(partitions, config)?;
        scan.map(|scan| self.over(scan)).transpose()
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let Some(config) = config(&self.scan) else {
            // A task that reads no file of this scan.
            let empty = datafusion::physical_plan::EmptyRecordBatchStream::new(self.schema());
            return Ok(Box::pin(empty));
        };
        files::read(
            config,
            &self.read,
            self.schema(),
            partition,
            &context,
            &self.metrics,
        )
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        _args: &datafusion::physical_plan::statistics::StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if let Some(config) = config(&self.scan) {
            statistics.total_byte_size = config.statistics().total_byte_size;
        }
        Ok(Arc::new(statistics))
    }
}

/// Puts the columns that were read in order, with those of the path and those that are missing.
fn batch(
    read: &TextScan,
    schema: &SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
    path: &[datafusion::common::ScalarValue],
) -> Result<RecordBatch> {
    let mut arrays = arrays.into_iter();
    let columns = read.columns.iter().map(|column| match column.from {
        Origin::File(_) => arrays
            .next()
            .ok_or_else(|| DataFusionError::Internal("a column was not read".into())),
        Origin::Path(index) => {
            let value = path.get(index).ok_or_else(|| {
                DataFusionError::Internal(format!("the path has no {}", column.name))
            })?;
            value.to_array_of_size(rows)
        }
        Origin::Missing => Ok(new_null_array(&column.rule.data_type, rows)),
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}
