//! Rows of a query as they come: decoded from Arrow IPC, written as CSV, JSON or Arrow, or kept for a table.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::csv::WriterBuilder as CsvWriterBuilder;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::json::writer::{LineDelimited, WriterBuilder as JsonWriterBuilder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use retail_functions::interval_texts;

use crate::error::SubmitError;
use crate::format;
use crate::render::table::{self, Align};
use crate::term::Paint;

/// Puts the chunks of one Arrow IPC stream together again.
#[derive(Debug, Default)]
pub(crate) struct Decoder(StreamDecoder);

impl Decoder {
    /// The batches that `chunk` completes.
    pub(crate) fn push(&mut self, chunk: Vec<u8>) -> Result<Vec<RecordBatch>, SubmitError> {
        let mut buffer = Buffer::from_vec(chunk);
        let mut out = vec![];
        while !buffer.is_empty() {
            match self.0.decode(&mut buffer).map_err(unreadable)? {
                Some(batch) => out.push(batch),
                None => break,
            }
        }
        Ok(out)
    }

    /// The columns, once the first chunk has come.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.0.schema()
    }

    /// Fails if the stream broke off within a batch.
    pub(crate) fn finish(&mut self) -> Result<(), SubmitError> {
        self.0.finish().map_err(unreadable)
    }
}

fn unreadable(error: ArrowError) -> SubmitError {
    SubmitError::Answer {
        reason: error.to_string(),
    }
}

fn unwritable(error: ArrowError) -> SubmitError {
    match error {
        ArrowError::IoError(_, source) => SubmitError::stdout(source),
        other => match find_io(&other) {
            Some(kind) => SubmitError::stdout(kind.into()),
            None => unreadable(other),
        },
    }
}

/// The CSV writer hides a closed pipe in an external error or in text.
fn find_io(error: &ArrowError) -> Option<std::io::ErrorKind> {
    if error.to_string().contains("Broken pipe") {
        return Some(std::io::ErrorKind::BrokenPipe);
    }
    retail_api::error_chain(error)
        .find_map(|error| error.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
}

/// Writes one batch as CSV, with a heading if it is the first. Lists, structs and maps are JSON in their cell.
pub(crate) fn write_csv(
    out: &mut impl Write,
    batch: &RecordBatch,
    heading: bool,
) -> Result<(), SubmitError> {
    let mut writer = CsvWriterBuilder::new()
        .with_header(heading)
        .build(&mut *out);
    let batch = with_nested_as_json(&readable(batch)?).map_err(unwritable)?;
    writer.write(&batch).map_err(unwritable)?;
    drop(writer);
    out.flush().map_err(SubmitError::stdout)
}

/// The batch with its intervals as text, `5 days 21:07:00`; Arrow's own form of them is ISO 8601's `PT508020S`.
fn readable(batch: &RecordBatch) -> Result<RecordBatch, SubmitError> {
    let is_interval = |t: &DataType| matches!(t, DataType::Interval(_) | DataType::Duration(_));
    let mut fields = batch.schema_ref().fields().iter();
    if !fields.any(|field| is_interval(field.data_type())) {
        return Ok(batch.clone());
    }
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| {
        let column = match is_interval(field.data_type()) {
            true => interval_texts(column)?,
            false => Arc::clone(column),
        };
        Ok((field.name(), column, true))
    });
    let columns = columns.collect::<datafusion::error::Result<Vec<_>>>();
    let columns = columns.map_err(|e| unreadable(ArrowError::from_external_error(Box::new(e))))?;
    RecordBatch::try_from_iter_with_nullable(columns).map_err(unreadable)
}

fn with_nested_as_json(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| {
        let column = match field.data_type().is_nested() {
            true => json_texts(column)?,
            false => Arc::clone(column),
        };
        Ok((field.name(), column, true))
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Result<Vec<_>, ArrowError>>()?)
}

/// Each value as JSON; NULL stays NULL.
fn json_texts(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let alone = RecordBatch::try_from_iter([("v", Arc::clone(column))])?;
    let mut lines = vec![];
    let builder = JsonWriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, LineDelimited>(&mut lines);
    writer.write(&alone)?;
    writer.finish()?;
    drop(writer);
    let lines = String::from_utf8_lossy(&lines);
    let value = |line| {
        let value = str::strip_prefix(line, "{\"v\":")?.strip_suffix('}')?;
        (value != "null").then_some(value)
    };
    Ok(Arc::new(lines.lines().map(value).collect::<StringArray>()))
}

/// Writes one batch as JSON, an object per line, nulls included.
pub(crate) fn write_json(out: &mut impl Write, batch: &RecordBatch) -> Result<(), SubmitError> {
    let mut writer = JsonWriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(&mut *out);
    writer.write(&readable(batch)?).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    drop(writer);
    out.flush().map_err(SubmitError::stdout)
}

/// Rows as text, and what their columns are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub columns: Vec<(String, Align)>,
    pub rows: Vec<Vec<String>>,
}

impl Page {
    /// An empty page with the columns of `schema`.
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        let align = |kind: &DataType| {
            if kind.is_numeric() {
                Align::Right
            } else {
                Align::Left
            }
        };
        let columns = schema
            .fields()
            .iter()
            .map(|field| (field.name().clone(), align(field.data_type())))
            .collect();
        Self {
            columns,
            rows: vec![],
        }
    }

    /// Adds the batch's rows, up to `limit` in all; returns whether there were more.
    pub(crate) fn add(&mut self, batch: &RecordBatch, limit: usize) -> Result<bool, SubmitError> {
        let batch = &readable(batch)?;
        let options = FormatOptions::default()
            .with_null("null")
            .with_display_error(true);
        let formatters: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).map_err(unreadable))
            .collect::<Result<_, _>>()?;
        let room = limit.saturating_sub(self.rows.len());
        for row in 0..batch.num_rows().min(room) {
            let cells = formatters.iter().zip(batch.columns());
            self.rows.push(
                cells
                    .map(|(formatter, column)| cell(formatter, column.as_ref(), row))
                    .collect(),
            );
        }
        Ok(batch.num_rows() > room)
    }

    /// The page as a table; `width` of a terminal, or none in a pipe. Returns how many columns are shown.
    pub(crate) fn lines(&self, width: Option<usize>, paint: Paint) -> (Vec<String>, usize) {
        let columns: Vec<table::Column<'_>> = self
            .columns
            .iter()
            .map(|(name, align)| (name.as_str(), *align))
            .collect();
        match width {
            Some(width) => table::fitted(&columns, &self.rows, width, paint),
            None => (table::lines(&columns, &self.rows, paint), columns.len()),
        }
    }
}

/// One value on one line.
fn cell(formatter: &ArrayFormatter<'_>, column: &dyn Array, row: usize) -> String {
    let text = formatter.value(row).to_string();
    // Midnight is a day, and the T of a timestamp hides where the time begins.
    let text = match column.data_type() {
        DataType::Timestamp(..) => text.replacen('T', " ", 1),
        _ => text,
    };
    if text.contains(['\n', '\r', '\t']) {
        text.replace(['\n', '\r', '\t'], " ")
    } else {
        text
    }
}

/// What stands below a page: `5 rows`, `first 100 rows, there are more: …`.
pub(crate) fn page_end(rows: usize, more: bool, columns_shown: usize, columns: usize) -> String {
    let mut out = match more {
        false => format::plural(rows as u64, "row"),
        true => format!(
            "first {}, there are more: --max-rows N or --format csv shows them",
            format::plural(rows as u64, "row")
        ),
    };
    if columns_shown < columns {
        out.push_str(&format!(" · {columns_shown} of {columns} columns fit"));
    }
    out
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        Decimal128Array, DurationMicrosecondArray, Int64Array, IntervalMonthDayNanoArray,
        ListArray, TimestampMicrosecondArray,
    };
    use datafusion::arrow::datatypes::{Field, Int64Type, IntervalMonthDayNano, Schema};
    use datafusion::arrow::ipc::writer::StreamWriter;

    use super::*;

    fn batch() -> RecordBatch {
        let money = Decimal128Array::from(vec![Some(1_050), None])
            .with_precision_and_scale(12, 2)
            .unwrap();
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true),
            Field::new("total", money.data_type().clone(), true),
        ]);
        let columns: Vec<Arc<dyn Array>> = vec![
            Arc::new(Int64Array::from(vec![1, 20])),
            Arc::new(StringArray::from(vec![Some("two\nlines"), None])),
            Arc::new(money),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    #[test]
    fn intervals_are_written_as_days_and_time() {
        let span = DurationMicrosecondArray::from(vec![Some(508_020_000_000), None]);
        let interval = IntervalMonthDayNano::new(14, 1, 1_500_000_000);
        let interval = IntervalMonthDayNanoArray::from(vec![Some(interval), None]);
        let columns: [(&str, ArrayRef, bool); 2] = [
            ("span", Arc::new(span), true),
            ("interval", Arc::new(interval), true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut csv = vec![];
        write_csv(&mut csv, &batch, true).unwrap();
        let csv = String::from_utf8(csv).unwrap();
        assert_eq!(
            csv,
            "span,interval\n5 days 21:07:00,1 year 2 mons 1 day 00:00:01.5\n,\n"
        );
        let mut json = vec![];
        write_json(&mut json, &batch).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(json.starts_with("{\"span\":\"5 days 21:07:00\","), "{json}");
        let mut page = Page::new(&batch.schema());
        page.add(&batch, 10).unwrap();
        assert_eq!(page.rows[0][0], "5 days 21:07:00");
    }

    #[test]
    fn chunks_cut_anywhere_come_to_the_same_batches() {
        let batch = batch();
        let mut bytes = vec![];
        let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        for size in [7, 64, bytes.len()] {
            let mut decoder = Decoder::default();
            let batches: Vec<_> = bytes
                .chunks(size)
                .flat_map(|chunk| decoder.push(chunk.to_vec()).unwrap())
                .collect();
            assert_eq!(batches, [batch.clone(), batch.clone()], "chunks of {size}");
            decoder.finish().unwrap();
        }
    }

    #[test]
    fn a_page_aligns_numbers_and_shows_nulls() {
        let batch = batch();
        let mut page = Page::new(&batch.schema());
        assert!(!page.add(&batch, 2).unwrap());
        let (lines, shown) = page.lines(Some(80), Paint::OFF);
        assert_eq!(
            lines,
            [
                "id  name       total",
                " 1  two lines  10.50",
                "20  null        null"
            ]
        );
        assert_eq!(page_end(2, false, shown, 3), "2 rows");
        assert!(page.add(&batch, 3).unwrap());
        assert_eq!(page.rows.len(), 3);
        assert_eq!(
            page_end(3, true, 2, 3),
            "first 3 rows, there are more: --max-rows N or --format csv shows them · 2 of 3 columns fit"
        );
    }

    #[test]
    fn timestamps_have_a_space_between_day_and_time() {
        let array: Arc<dyn Array> =
            Arc::new(TimestampMicrosecondArray::from(vec![1_795_198_811_000_000]));
        let mut page = Page::default();
        page.add(&RecordBatch::try_from_iter([("at", array)]).unwrap(), 1)
            .unwrap();
        assert_eq!(page.rows, [["2026-11-20 18:20:11"]]);
    }

    #[test]
    fn csv_and_json_are_written_batch_by_batch() {
        let (mut csv, mut json) = (vec![], vec![]);
        write_csv(&mut csv, &batch(), true).unwrap();
        write_csv(&mut csv, &batch(), false).unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "id,name,total\n1,\"two\nlines\",10.50\n20,,\n1,\"two\nlines\",10.50\n20,,\n"
        );
        write_json(&mut json, &batch()).unwrap();
        let lines = String::from_utf8(json).unwrap();
        assert_eq!(
            lines.lines().nth(1),
            Some(r#"{"id":20,"name":null,"total":null}"#)
        );
    }
    #[test]
    fn a_list_is_json_in_its_cell_of_csv() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ]);
        let list: Arc<dyn Array> = Arc::new(list);
        let mut csv = vec![];
        write_csv(
            &mut csv,
            &RecordBatch::try_from_iter([("l", list)]).unwrap(),
            true,
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "l\n\"[1,null]\"\n\"\"\n[]\n"
        );
    }
}
