//! Records of CSV as columns: every record has as many fields as the header, is UTF-8, and every cell that is wanted
//! follows its rule.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;

use super::BadRow;
use super::cell::CellBuilder;
use super::names;

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    pub delimiter: u8,
    pub quote: u8,
    /// The first record names the columns.
    pub header: bool,
    /// Quoted fields may hold line ends. Where they may not, one is refused, so that files can be read in parts.
    pub newlines_in_values: bool,
    /// Texts that mean null, beside the empty one.
    pub null_values: Vec<String>,
    /// The columns of the files, in their order.
    pub names: Vec<String>,
}

/// Reads records as they come, part by part.
#[derive(Debug)]
pub(super) struct CsvDecoder {
    core: Reader,
    quotes: Quotes,
    format: CsvFormat,
    /// Position among the fields of a record, and what becomes of it.
    wanted: Vec<(usize, CellBuilder)>,
    /// The header is still to come.
    header: bool,
    fields: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
    ended: usize,
    /// Of the last record, from 1, without the header.
    row: u64,
    rows: usize,
}

impl CsvDecoder {
    /// `start`: the input begins with the file.
    pub(super) fn new(format: &CsvFormat, wanted: Vec<(usize, CellBuilder)>, start: bool) -> Self {
        Self {
            core: ReaderBuilder::new()
                .delimiter(format.delimiter)
                .quote(format.quote)
                .build(),
            quotes: Quotes::new(format, start),
            header: format.header && start,
            wanted,
            fields: vec![0; 4096],
            filled: 0,
            ends: vec![0; format.names.len() + 8],
            ended: 0,
            row: 0,
            rows: 0,
            format: format.clone(),
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        self.wanted.iter_mut().map(|(_, b)| b.finish()).collect()
    }

    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<(), BadRow> {
        while !input.is_empty() {
            let before = input;
            let read = self.step(&mut input);
            if read == ReadRecordResult::Record {
                let used = &before[..before.len() - input.len()];
                self.record(used.last() == Some(&b'\n'))?;
            }
        }
        Ok(())
    }

    /// `whole`: the input ends with the file, not with a part of it.
    pub(super) fn end(&mut self, whole: bool) -> Result<(), BadRow> {
        loop {
            match self.step(&mut &[][..]) {
                ReadRecordResult::Record if !whole => {
                    // A part ends with a line; a record that is still open has that line's end in quotes.
                    let bad = self.bad(false, None, LINE_END.to_string());
                    return Err(bad);
                }
                ReadRecordResult::Record if self.quotes.is_open() => {
                    self.row += u64::from(!self.header);
                    let what = "a quote is opened and never closed; what follows it is one value to the file's end";
                    return Err(self.bad(false, None, what.to_string()));
                }
                ReadRecordResult::Record => self.record(false)?,
                ReadRecordResult::End => return Ok(()),
                _ => {}
            }
        }
    }

    fn step(&mut self, input: &mut &[u8]) -> ReadRecordResult {
        let (result, used, written, ended) = self.core.read_record(
            input,
            &mut self.fields[self.filled..],
            &mut self.ends[self.ended..],
        );
        self.quotes.follow(&input[..used]);
        *input = &input[used..];
        self.filled += written;
        self.ended += ended;
        match result {
            ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            _ => {}
        }
        result
    }

    fn record(&mut self, terminated: bool) -> Result<(), BadRow> {
        let header = std::mem::take(&mut self.header);
        self.row += u64::from(!header);
        if self.quotes.broken {
            let what = "text follows the quote that ends a value; quotes inside of a quoted value are written twice";
            return Err(self.bad(terminated, None, what.to_string()));
        }
        if header {
            self.check_header(terminated)?;
        } else {
            self.cells(terminated)?;
            self.rows += 1;
        }
        self.filled = 0;
        self.ended = 0;
        Ok(())
    }

    fn check_header(&self, terminated: bool) -> Result<(), BadRow> {
        let ends = &self.ends[..self.ended];
        let cells = (0..ends.len()).map(|i| &self.fields[start(ends, i)..ends[i]]);
        let there = names::of_header(cells).map_err(|what| self.bad(terminated, None, what))?;
        let same = there.len() == self.format.names.len()
            && there
                .iter()
                .zip(&self.format.names)
                .all(|(a, b)| names::same(a, b));
        if !same {
            let what = "the header is not the one that was there when the run began".to_string();
            return Err(self.bad(terminated, None, what));
        }
        Ok(())
    }

    fn cells(&mut self, terminated: bool) -> Result<(), BadRow> {
        let (there, columns) = (self.ended, self.format.names.len());
        let bytes = &self.fields[..self.filled];
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(self.not_text(terminated));
        };
        if there != columns {
            let what = format!("{there} fields, the file has {columns} columns");
            return Err(self.bad(terminated, None, what));
        }
        if memchr(0, bytes) {
            let what = "it holds a NUL byte; the file is no text or UTF-16".to_string();
            return Err(self.bad(terminated, None, what));
        }
        if !self.format.newlines_in_values && memchr(b'\n', bytes) {
            return Err(self.bad(terminated, None, LINE_END.to_string()));
        }
        let ends = &self.ends[..self.ended];
        let mut misfit = None;
        for (index, cells) in &mut self.wanted {
            // A character never goes on in the next field, unless the bytes of both are wrong.
            let Some(cell) = text.get(start(ends, *index)..ends[*index]) else {
                return Err(self.not_text(terminated));
            };
            if cell.is_empty() || self.format.null_values.iter().any(|n| n == cell) {
                cells.null();
            } else if let Err(why) = cells.push(cell) {
                let what = super::misfit(
                    &self.format.names[*index],
                    cells.rule(),
                    &quoted(cell),
                    &why,
                );
                misfit = Some((*index, what));
                break;
            }
        }
        match misfit {
            None => Ok(()),
            Some((index, what)) => {
                let name = self.format.names[index].clone();
                Err(self.bad(terminated, Some(name), what))
            }
        }
    }

    fn not_text(&self, terminated: bool) -> BadRow {
        let ends = &self.ends[..self.ended];
        let wrong = (0..ends.len()).find_map(|i| {
            let field = &self.fields[start(ends, i)..ends[i]];
            let error = std::str::from_utf8(field).err()?;
            Some((i, field[error.valid_up_to()]))
        });
        let name = wrong.and_then(|(i, _)| self.format.names.get(i));
        let what = format!(
            "{} is not UTF-8 text{}; save the file as UTF-8",
            name.map_or("the row", String::as_str),
            wrong.map_or(String::new(), |(_, byte)| format!(" (byte 0x{byte:02X})"))
        );
        self.bad(terminated, None, what)
    }

    /// `terminated`: the line feed behind the record has been read.
    fn bad(&self, terminated: bool, column: Option<String>, what: String) -> BadRow {
        let inner = self.fields[..self.filled].iter().filter(|b| **b == b'\n');
        let behind = u64::from(terminated) + inner.count() as u64;
        BadRow {
            row: self.row,
            line: self.core.line().saturating_sub(behind).max(1),
            column,
            what,
        }
    }
}

/// Follows the quotes of the input: the parser takes a quote that is never closed, and text behind one that is, for
/// granted.
#[derive(Debug)]
struct Quotes {
    quote: u8,
    delimiter: u8,
    at: At,
    /// Text stands behind a quoted value.
    broken: bool,
    /// What is still to come of a byte order mark.
    mark: &'static [u8],
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    /// A field begins.
    Start,
    Plain,
    Quoted,
    /// Behind a quote within a quoted value: its end, or the first of two.
    Behind,
}

impl Quotes {
    fn new(format: &CsvFormat, start: bool) -> Self {
        Self {
            mark: if start { b"\xef\xbb\xbf" } else { b"" },
            quote: format.quote,
            delimiter: format.delimiter,
            at: At::Start,
            broken: false,
        }
    }

    fn is_open(&self) -> bool {
        self.at == At::Quoted
    }

    fn follow(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match self.mark.split_first() {
                Some((first, rest)) if first == byte => {
                    self.mark = rest;
                    continue;
                }
                _ => self.mark = b"",
            }
            let ends = *byte == self.delimiter || matches!(byte, b'\n' | b'\r');
            self.at = match self.at {
                At::Quoted if *byte == self.quote => At::Behind,
                At::Quoted => At::Quoted,
                At::Behind if *byte == self.quote => At::Quoted,
                At::Start if *byte == self.quote => At::Quoted,
                _ if ends => At::Start,
                At::Behind => {
                    self.broken = true;
                    At::Plain
                }
                At::Start | At::Plain => At::Plain,
            };
        }
    }
}

const LINE_END: &str = "a quoted value holds a line end; say newlines_in_values: true";

fn start(ends: &[usize], index: usize) -> usize {
    index.checked_sub(1).map_or(0, |before| ends[before])
}

fn memchr(byte: u8, bytes: &[u8]) -> bool {
    bytes.contains(&byte)
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
