//! Lines of JSON as columns: a line is one object, and every value that is wanted follows its column's rule.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, StructArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::common::Result;

use super::BadRow;
use super::cell::{CellBuilder, CellRule};
use super::json::{Json, parse};
use super::names;

/// What is read of the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFormat {
    /// The keys of the table; another one is refused, unless it is null.
    pub names: Vec<String>,
    /// Other keys are left out.
    pub ignore_others: bool,
    /// Texts that mean null.
    pub null_values: Vec<String>,
}

/// Reads lines as they come, part by part.
#[derive(Debug)]
pub(super) struct JsonDecoder {
    format: JsonFormat,
    /// Place among the names, and what becomes of the value.
    wanted: Vec<(usize, Values)>,
    /// Where a key of the line before was found, by its place in the line.
    hints: Vec<usize>,
    seen: Vec<bool>,
    line: Vec<u8>,
    start: bool,
    lines: u64,
    row: u64,
    rows: usize,
}

impl JsonDecoder {
    /// `start`: the input begins with the file.
    pub(super) fn new(format: &JsonFormat, wanted: Vec<(usize, Values)>, start: bool) -> Self {
        Self {
            seen: vec![false; format.names.len()],
            format: format.clone(),
            wanted,
            hints: vec![],
            line: vec![],
            start,
            lines: 0,
            row: 0,
            rows: 0,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        self.rows = 0;
        self.wanted.iter_mut().map(|(_, v)| v.finish()).collect()
    }

    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<(), BadRow> {
        while let Some(end) = input.iter().position(|b| *b == b'\n') {
            if self.line.is_empty() {
                self.object(&input[..end])?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&input[..end]);
                self.object(&line)?;
                line.clear();
                self.line = line;
            }
            input = &input[end + 1..];
        }
        self.line.extend_from_slice(input);
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), BadRow> {
        let line = std::mem::take(&mut self.line);
        self.object(&line)
    }

    fn object(&mut self, mut line: &[u8]) -> Result<(), BadRow> {
        self.lines += 1;
        if std::mem::take(&mut self.start) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        self.row += 1;
        let (row, line_number) = (self.row, self.lines);
        let bad = |column: Option<String>, what: String| BadRow {
            row,
            line: line_number,
            column,
            what,
        };
        let text = std::str::from_utf8(line).map_err(|error| {
            let byte = line[error.valid_up_to()];
            let what =
                format!("the line is not UTF-8 text (byte 0x{byte:02X}); save the file as UTF-8");
            bad(None, what)
        })?;
        let fields = match parse(text) {
            Ok(Json::Object(fields)) => fields,
            Ok(_) => return Err(bad(None, "the line is no JSON object".into())),
            Err(what) => return Err(bad(None, format!("the line is not JSON: {what}"))),
        };
        self.seen.fill(false);
        self.hints.resize(self.hints.len().max(fields.len()), 0);
        for (place, (key, value)) in fields.iter().enumerate() {
            let hint = self.hints[place];
            let found = if self.format.names.get(hint).is_some_and(|n| n == key) {
                Some(hint)
            } else {
                let exact = self.format.names.iter().position(|n| n == key);
                exact.or_else(|| self.format.names.iter().position(|n| names::same(n, key)))
            };
            let Some(index) = found else {
                if self.format.ignore_others || *value == Json::Null {
                    continue;
                }
                let what = format!(
                    "the key {key} was in no row that the columns were taken from (the first 1,000 of each file)"
                );
                return Err(bad(Some(key.to_string()), what));
            };
            self.hints[place] = index;
            let name = &self.format.names[index];
            if std::mem::replace(&mut self.seen[index], true) {
                let what = format!("it has {name} twice, in different case");
                return Err(bad(Some(name.clone()), what));
            }
            if let Some((_, values)) = self.wanted.iter_mut().find(|(i, _)| *i == index) {
                values
                    .push(name, value, &self.format.null_values)
                    .map_err(|what| bad(Some(name.clone()), what))?;
            }
        }
        for (index, values) in &mut self.wanted {
            if !self.seen[*index] {
                values.null();
            }
        }
        self.rows += 1;
        Ok(())
    }
}

/// A column under construction, with the columns inside it.
#[derive(Debug)]
pub(super) enum Values {
    Cells(CellBuilder),
    Struct {
        fields: Fields,
        inner: Vec<Values>,
        valid: Vec<bool>,
        /// Nobody declared the fields, so one that is not among them is refused.
        guessed: bool,
    },
    List {
        item: datafusion::arrow::datatypes::FieldRef,
        inner: Box<Values>,
        lengths: Vec<usize>,
        valid: Vec<bool>,
    },
}

impl Values {
    pub(super) fn new(rule: &CellRule) -> Result<Self> {
        let of = |data_type: &DataType| {
            Values::new(&CellRule {
                data_type: data_type.clone(),
                guessed: rule.guessed,
                max_chars: None,
            })
        };
        Ok(match &rule.data_type {
            DataType::Struct(fields) => Values::Struct {
                inner: fields
                    .iter()
                    .map(|f| of(f.data_type()))
                    .collect::<Result<_>>()?,
                fields: fields.clone(),
                valid: vec![],
                guessed: rule.guessed,
            },
            DataType::List(item) => Values::List {
                inner: Box::new(of(item.data_type())?),
                item: Arc::clone(item),
                lengths: vec![],
                valid: vec![],
            },
            _ => Values::Cells(CellBuilder::new(rule)?),
        })
    }

    fn null(&mut self) {
        match self {
            Values::Cells(cells) => cells.null(),
            Values::Struct { inner, valid, .. } => {
                inner.iter_mut().for_each(Values::null);
                valid.push(false);
            }
            Values::List { lengths, valid, .. } => {
                lengths.push(0);
                valid.push(false);
            }
        }
    }

    /// Appends a value; the error names it, with its path.
    fn push(&mut self, path: &str, value: &Json<'_>, nulls: &[String]) -> Result<(), String> {
        if *value == Json::Null {
            self.null();
            return Ok(());
        }
        match (self, value) {
            (Values::Cells(cells), value) => cell(cells, path, value, nulls),
            (
                Values::Struct {
                    fields,
                    inner,
                    valid,
                    guessed,
                },
                Json::Object(found),
            ) => {
                for (index, field) in fields.iter().enumerate() {
                    let exact = found.iter().find(|(key, _)| key == field.name());
                    let value = exact
                        .or_else(|| found.iter().find(|(key, _)| names::same(key, field.name())));
                    match value {
                        Some((_, value)) => {
                            inner[index].push(&format!("{path}.{}", field.name()), value, nulls)?;
                        }
                        None => inner[index].null(),
                    }
                }
                if let Some((key, field)) = twice(fields, found) {
                    return Err(format!(
                        "{path} has {field} twice, as {key} too, which differs only in case"
                    ));
                }
                if *guessed
                    && let Some((key, _)) = found.iter().find(|(key, value)| {
                        *value != Json::Null && !fields.iter().any(|f| names::same(f.name(), key))
                    })
                {
                    return Err(format!(
                        "the key {path}.{key} was in no row that the columns were taken from (the first 1,000 of each file)"
                    ));
                }
                valid.push(true);
                Ok(())
            }
            (
                Values::List {
                    inner,
                    lengths,
                    valid,
                    ..
                },
                Json::List(items),
            ) => {
                for (index, item) in items.iter().enumerate() {
                    inner.push(&format!("{path}[{index}]"), item, nulls)?;
                }
                lengths.push(items.len());
                valid.push(true);
                Ok(())
            }
            (Values::Struct { .. }, other) => {
                Err(format!("{path} is not an object: {}", other.shown()))
            }
            (Values::List { .. }, other) => Err(format!("{path} is not a list: {}", other.shown())),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Values::Cells(cells) => cells.finish(),
            Values::Struct {
                fields,
                inner,
                valid,
                ..
            } => {
                let arrays = inner
                    .iter_mut()
                    .map(Values::finish)
                    .collect::<Result<Vec<_>>>()?;
                let valid = std::mem::take(valid);
                let length = valid.len();
                Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    arrays,
                    Some(NullBuffer::from(valid)),
                    length,
                )?)
            }
            Values::List {
                item,
                inner,
                lengths,
                valid,
            } => {
                let offsets = OffsetBuffer::<i32>::from_lengths(std::mem::take(lengths));
                let nulls = NullBuffer::from(std::mem::take(valid));
                Arc::new(ListArray::try_new(
                    Arc::clone(item),
                    offsets,
                    inner.finish()?,
                    Some(nulls),
                )?)
            }
        })
    }
}

/// A key of an object that means a field whose value another key gives: `Price` beside `price`.
fn twice<'a>(
    fields: &'a Fields,
    found: &'a [(std::borrow::Cow<'_, str>, Json<'_>)],
) -> Option<(&'a str, &'a str)> {
    let other = found
        .iter()
        .filter(|(key, _)| !fields.iter().any(|f| f.name() == key));
    for (key, _) in other {
        let Some(field) = fields.iter().find(|f| names::same(f.name(), key)) else {
            continue;
        };
        let mut more = found.iter().filter(|(k, _)| k != key);
        if more.any(|(k, _)| names::same(k, field.name())) {
            return Some((key, field.name()));
        }
    }
    None
}

fn cell(
    cells: &mut CellBuilder,
    path: &str,
    value: &Json<'_>,
    nulls: &[String],
) -> Result<(), String> {
    let rule = cells.rule();
    let is_text = matches!(rule.data_type, DataType::Utf8 | DataType::Utf8View);
    let is_number = rule.data_type.is_numeric();
    let guessed = rule.guessed;
    let pushed = match value {
        Json::Text(text) if nulls.iter().any(|n| n == text) => {
            cells.null();
            Ok(())
        }
        // A column of numbers that was guessed has only seen numbers.
        Json::Text(_) if guessed && !is_text => Err("".into()),
        Json::Text(text) => cells.push(text),
        Json::Number(text) if guessed && rule.data_type == DataType::Float64 => {
            cells.push(&with_point(text))
        }
        Json::Number(text) if is_number || is_text || rule.data_type == DataType::Boolean => {
            cells.push(text)
        }
        Json::Number(_) => Err(
            "a number; seconds since 1970 are a BIGINT and to_timestamp_seconds(…) in SQL".into(),
        ),
        Json::Bool(value) if is_text || rule.data_type == DataType::Boolean => {
            cells.push(if *value { "true" } else { "false" })
        }
        _ => Err("".into()),
    };
    pushed.map_err(|why| super::misfit(path, cells.rule(), &value.shown(), &why))
}

/// The type that a number suggests. Other than in CSV, 12E4 is a number and no code.
pub fn guess_number(text: &str) -> DataType {
    super::cell::guess(&with_point(text)).unwrap_or(DataType::Utf8)
}

fn with_point(text: &str) -> std::borrow::Cow<'_, str> {
    match text.find(['e', 'E']) {
        Some(at) if !text.contains('.') => format!("{}.0{}", &text[..at], &text[at..]).into(),
        _ => text.into(),
    }
}
