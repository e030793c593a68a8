//! Rows of any engine, made comparable.

use std::cmp::Ordering;
use std::fmt;

use anyhow::{Context, Result, bail};
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value as Json;

/// What separates two decimals that stand for the same number at different scales, a quotient or an average.
const ROUNDED: f64 = 2e-5;
/// What separates two sums of the same floats in another order.
const FLOAT: f64 = 1e-9;

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// A whole number or a decimal: digits and how many of them follow the point, without zeros at the end.
    Exact(i128, u32),
    Float(f64),
    /// Text, dates, and whatever else, as text.
    Text(String),
}

/// What a query gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub types: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    /// Of our engine.
    ///
    /// # Errors
    /// A type has no text.
    pub fn from_batches(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let types = schema
            .fields()
            .iter()
            .map(|f| type_name(f.data_type()))
            .collect();
        let mut rows = vec![];
        for batch in batches {
            let options = FormatOptions::default();
            let columns = batch
                .columns()
                .iter()
                .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)))
                .collect::<Result<Vec<_>>>()?;
            for row in 0..batch.num_rows() {
                let cells = columns
                    .iter()
                    .map(|(column, format)| cell(column.as_ref(), format, row))
                    .collect::<Result<Vec<_>>>()?;
                rows.push(cells);
            }
        }
        Ok(Self { types, rows })
    }

    /// Of DuckDB, as `tests/interop/duckdb_answers.py` writes them.
    ///
    /// # Errors
    /// It is not that.
    pub fn from_json(answer: &Json) -> Result<Self> {
        let list = |value: &Json| value.as_array().cloned().context("the answer is no list");
        let types = list(&answer["types"])?
            .iter()
            .map(|t| t.as_str().unwrap_or_default().to_owned())
            .collect();
        let rows = list(&answer["rows"])?
            .iter()
            .map(|row| list(row)?.iter().map(of_json).collect())
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { types, rows })
    }

    /// Whether two results hold the same rows, each as often.
    pub fn same_as(&self, other: &Self) -> bool {
        let (one, two) = (self.sorted(other), other.sorted(self));
        one.len() == two.len() && one.iter().zip(&two).all(|(a, b)| same_row(a, b))
    }

    /// Whether two results agree on the columns that both are ordered by.
    pub fn same_order_as(&self, other: &Self, order: &[usize]) -> bool {
        let agree = |(a, b): (&Vec<Value>, &Vec<Value>)| {
            order.iter().all(|at| match (a.get(*at), b.get(*at)) {
                (Some(a), Some(b)) => same(a, b),
                _ => false,
            })
        };
        self.rows.len() == other.rows.len() && self.rows.iter().zip(&other.rows).all(agree)
    }

    /// The first rows, as many as the other has.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self {
            types: self.types.clone(),
            rows: self.rows.iter().take(count).cloned().collect(),
        }
    }

    /// A few rows that only one of two has.
    pub fn only_here(&self, other: &Self, most: usize) -> Vec<String> {
        let mut left: Vec<_> = other.rows.iter().collect();
        let mut only = vec![];
        for row in &self.rows {
            match left.iter().position(|o| same_row(row, o)) {
                Some(at) => {
                    left.swap_remove(at);
                }
                None => only.push(shown(row)),
            }
        }
        only.truncate(most);
        only
    }

    /// Sorted so that rows that are alike stand at the same place: by what is exact first.
    fn sorted(&self, other: &Self) -> Vec<Vec<Value>> {
        let rough = |at: usize| {
            let float = |row: &Vec<Value>| matches!(row.get(at), Some(Value::Float(_)));
            self.rows.iter().any(float) || other.rows.iter().any(float)
        };
        let (last, first): (Vec<usize>, Vec<usize>) =
            (0..self.types.len()).partition(|at| rough(*at));
        let mut rows = self.rows.clone();
        rows.sort_by(|a, b| {
            let by = |at: &usize| match (a.get(*at), b.get(*at)) {
                (Some(a), Some(b)) => order(a, b),
                _ => Ordering::Equal,
            };
            first
                .iter()
                .chain(&last)
                .map(by)
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        rows
    }
}

/// A row as a person reads it.
pub fn shown(row: &[Value]) -> String {
    let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
    format!("({})", cells.join(", "))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Exact(digits, 0) => digits.fmt(f),
            Self::Exact(digits, scale) => {
                let sign = if *digits < 0 { "-" } else { "" };
                let text = format!(
                    "{:0>width$}",
                    digits.unsigned_abs(),
                    width = *scale as usize + 1
                );
                let (whole, part) = text.split_at(text.len() - *scale as usize);
                write!(f, "{sign}{whole}.{part}")
            }
            Self::Float(value) => write!(f, "{value}e0"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// The name of a type; how text is held in memory makes no difference.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "Utf8".to_owned(),
        DataType::Dictionary(_, value) => type_name(value),
        other => other.to_string(),
    }
}

fn cell(column: &dyn Array, format: &ArrayFormatter<'_>, row: usize) -> Result<Value> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    let text = format.value(row).try_to_string()?;
    let kind = match column.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    Ok(match kind {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(text == "true"),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Value::Float(text.parse()?),
        kind if kind.is_numeric() => exact(&text)?,
        DataType::Timestamp(..) => Value::Text(time(&text)),
        _ => Value::Text(text),
    })
}

fn of_json(cell: &Json) -> Result<Value> {
    let text = |key: &str| cell[key].as_str();
    Ok(match cell {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::Text(text.clone()),
        _ => match (text("exact"), text("float"), text("time")) {
            (Some(number), _, _) => exact(number)?,
            (_, Some(number), _) => Value::Float(number.parse()?),
            (_, _, Some(at)) => Value::Text(time(at)),
            _ => bail!("no such cell: {cell}"),
        },
    })
}

/// `2024-03-01 12:00:00`, without a `T`, a zone or fractions that are zero.
fn time(text: &str) -> String {
    let text = text.replace('T', " ");
    let text = text.trim_end_matches('Z').trim_end_matches("+00:00");
    let text = text.split_once('.').map_or(text, |(whole, part)| {
        if part.trim_end_matches('0').is_empty() {
            whole
        } else {
            text
        }
    });
    text.to_owned()
}

fn exact(text: &str) -> Result<Value> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    match format!("{whole}{part}").parse() {
        Ok(digits) => Ok(Value::Exact(digits, part.len() as u32)),
        // More digits than fit, or an exponent.
        Err(_) => Ok(Value::Float(
            text.parse().with_context(|| format!("no number: {text}"))?,
        )),
    }
}

fn same_row(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => near(*a, *b, FLOAT),
        (Value::Float(float), exact @ Value::Exact(..))
        | (exact @ Value::Exact(..), Value::Float(float)) => near(*float, number(exact), ROUNDED),
        (a, b) => a == b,
    }
}

fn near(a: f64, b: f64, by: f64) -> bool {
    a.total_cmp(&b).is_eq() || (a - b).abs() <= by * a.abs().max(b.abs()).max(1.0)
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Exact(digits, scale) => *digits as f64 / 10f64.powi(*scale as i32),
        Value::Float(float) => *float,
        _ => f64::NAN,
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Exact(..) | Value::Float(_) => 2,
        Value::Text(_) => 3,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Exact(a, x), Value::Exact(b, y)) if x == y => a.cmp(b),
        (a, b) if rank(a) == 2 && rank(b) == 2 => number(a).total_cmp(&number(b)),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[Value]]) -> Rows {
        Rows {
            types: vec![String::new(); rows.first().map_or(0, |r| r.len())],
            rows: rows.iter().map(|r| r.to_vec()).collect(),
        }
    }

    #[test]
    fn rows_are_compared_as_often_as_they_are_there() {
        let one = rows(&[&[exact("1.50").unwrap()], &[Value::Null], &[Value::Null]]);
        let two = rows(&[&[Value::Null], &[exact("1.5").unwrap()], &[Value::Null]]);
        assert!(one.same_as(&two));
        let once = rows(&[
            &[Value::Null],
            &[exact("1.5").unwrap()],
            &[exact("1.5").unwrap()],
        ]);
        assert!(!one.same_as(&once));
        assert_eq!(once.only_here(&one, 9), ["(1.5)"]);
        assert!(!one.same_as(&two.first(2)));
    }

    #[test]
    fn an_exact_number_is_near_a_float_and_equal_to_an_exact_one() {
        assert!(same(&exact("0.666667").unwrap(), &Value::Float(2.0 / 3.0)));
        assert!(!same(
            &exact("0.666667").unwrap(),
            &exact("0.666666").unwrap()
        ));
        assert!(!same(&exact("0.66").unwrap(), &Value::Float(2.0 / 3.0)));
        assert_eq!(exact("-0.05").unwrap().to_string(), "-0.05");
    }

    #[test]
    fn order_counts_only_in_the_columns_of_the_order() {
        let text = |t: &str| Value::Text(t.to_owned());
        let one = rows(&[
            &[text("a"), text("x")],
            &[text("a"), text("y")],
            &[text("b"), text("z")],
        ]);
        let two = rows(&[
            &[text("a"), text("y")],
            &[text("a"), text("x")],
            &[text("b"), text("z")],
        ]);
        assert!(one.same_order_as(&two, &[0]));
        assert!(!one.same_order_as(&two, &[0, 1]));
    }
}
