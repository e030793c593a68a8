//! What a query of tests answers: a number of failures, or some failing rows.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// Failing rows that are shown of a test, columns of a row, and characters of a cell.
pub(super) const ROWS: u64 = 5;
const COLUMNS: usize = 8;
const CELL: usize = 32;

/// The whole number that a query of one row gives in a column. The error names what it gives instead.
pub(super) fn number(rows: &[RecordBatch], column: usize) -> Result<i64, String> {
    let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
    let batch = match (count, rows.iter().find(|batch| batch.num_rows() > 0)) {
        (1, Some(batch)) => batch,
        _ => return Err(format!("{count} rows, not one")),
    };
    let column = batch.column(column);
    if !column.data_type().is_numeric() {
        return Err(format!("{}, not a number", column.data_type()));
    }
    if column.is_null(0) {
        return Err("null: there is nothing to add up where no row fails".into());
    }
    let shown = ArrayFormatter::try_new(column, &FormatOptions::default())
        .and_then(|f| f.value(0).try_to_string())
        .map_err(|error| error.to_string())?;
    let (whole, fraction) = shown.split_once('.').unwrap_or((&shown, ""));
    match whole.parse() {
        Ok(number) if fraction.bytes().all(|b| b == b'0') => Ok(number),
        _ => Err(format!("{shown}, not a whole number")),
    }
}

/// Rows as aligned lines, the names first, the tested column before the others.
pub(super) fn lines(batches: &[RecordBatch], first: Option<&str>) -> Vec<String> {
    let Some(batch) = batches.iter().find(|b| b.num_rows() > 0) else {
        return vec![];
    };
    let schema = batch.schema();
    let mut columns: Vec<usize> = (0..schema.fields().len()).collect();
    columns.sort_by_key(|i| first.is_none_or(|f| !schema.field(*i).name().eq_ignore_ascii_case(f)));
    columns.truncate(COLUMNS);
    let cut = |text: String| {
        let text = text.replace(['\n', '\r', '\t'], " ");
        match text.char_indices().nth(CELL) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    };
    let mut table: Vec<Vec<String>> = vec![
        columns
            .iter()
            .map(|i| cut(schema.field(*i).name().clone()))
            .collect(),
    ];
    let options = FormatOptions::default().with_null("null");
    for batch in batches {
        for row in 0..batch.num_rows() {
            if table.len() as u64 > ROWS {
                break;
            }
            let cell = |i: &usize| {
                let shown = ArrayFormatter::try_new(batch.column(*i), &options)
                    .and_then(|f| f.value(row).try_to_string());
                cut(shown.unwrap_or_else(|_| "?".into()))
            };
            table.push(columns.iter().map(cell).collect());
        }
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|c| {
            table
                .iter()
                .map(|r| r[c].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    table.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray,
    };

    use super::*;

    fn of(column: ArrayRef) -> Result<i64, String> {
        number(
            &[RecordBatch::try_from_iter([("failures", column)]).unwrap()],
            0,
        )
    }

    #[test]
    fn a_number_of_failures_is_one_whole_number() {
        let decimal = |n| {
            Decimal128Array::from(vec![n])
                .with_precision_and_scale(12, 2)
                .unwrap()
        };
        assert_eq!(of(Arc::new(Int64Array::from(vec![-3]))), Ok(-3));
        assert_eq!(of(Arc::new(decimal(300))), Ok(3));
        assert_eq!(of(Arc::new(Float64Array::from(vec![3.0]))), Ok(3));
        // Cut to a whole number, these would be no failure.
        assert!(of(Arc::new(decimal(40))).is_err());
        assert!(of(Arc::new(Float64Array::from(vec![0.4]))).is_err());
        assert!(of(Arc::new(Float64Array::from(vec![f64::NAN]))).is_err());
        assert!(of(Arc::new(Int64Array::from(vec![None]))).is_err());
        assert!(of(Arc::new(Int64Array::from(vec![1, 2]))).is_err());
        assert!(of(Arc::new(Int64Array::from(Vec::<i64>::new()))).is_err());
        assert!(of(Arc::new(StringArray::from(vec!["3"]))).is_err());
    }
}
