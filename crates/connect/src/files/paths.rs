//! Columns that the paths of files say: `day=2024-01-31/sales.csv`.

use crate::text_scan::{self, names};
use datafusion::common::ScalarValue;

use retail_api::source::Source;
use retail_api::{Failure, FailureKind};

use super::shape::{FileShape, TableColumn};

/// The keys of a pattern under the names that YAML gives them: `Day=*` is the column `day` where that one is declared.
pub(super) fn spelled(source: &Source, keys: &[String]) -> Vec<String> {
    let spelled = |key: &String| {
        let mut declared = source.columns.iter().map(|c| &c.name);
        declared
            .find(|name| names::same(name, key))
            .unwrap_or(key)
            .clone()
    };
    keys.iter().map(spelled).collect()
}

/// A folder's key that some files have as a column and others do not: those would read null, where their path has a value.
pub(super) fn refuse_in_some(
    source: &Source,
    key: &str,
    files: &[FileShape],
) -> Result<(), Failure> {
    let has = |file: &&FileShape| {
        let mut fields = file.schema.fields().iter();
        fields.any(|f| names::same(f.name(), key))
    };
    let (Some(with), Some(without)) =
        (files.iter().find(has), files.iter().find(|file| !has(file)))
    else {
        return Ok(());
    };
    Err(Failure::new(
        FailureKind::Source,
        format!(
            "source {}: {key} is a column of some files only",
            source.source_ref()
        ),
    )
    .at(&without.shown, 0, 0)
    .cause(format!(
        "{} has it as a column, this one has it in its path alone",
        with.shown
    ))
    .note("have the files written alike, or make two sources of them"))
}

/// The values of `key=value` folders, as the types of their columns.
pub(super) fn path_values(
    source: &Source,
    shown: &str,
    columns: &[&TableColumn],
) -> Result<Vec<ScalarValue>, Failure> {
    columns
        .iter()
        .map(|column| {
            let said = shown
                .split('/')
                .find_map(|s| {
                    let (key, value) = s.split_once('=')?;
                    names::same(key, &column.name).then_some(value)
                })
                .unwrap_or("__HIVE_DEFAULT_PARTITION__");
            let fail = |cause: String| {
                Failure::new(
                    FailureKind::Source,
                    format!(
                        "source {}: {} is not {}",
                        source.source_ref(),
                        column.name,
                        text_scan::called(&column.rule)
                    ),
                )
                .at(shown, 0, 0)
                .cause(cause)
                .note(format!("correct its data_type in {}", source.defined_at))
            };
            if said == "__HIVE_DEFAULT_PARTITION__" {
                return ScalarValue::try_from(&column.rule.data_type)
                    .map_err(|e| fail(e.to_string()));
            }
            let value = unescaped(said).ok_or_else(|| {
                fail(format!(
                    "the path has {}={said}, which is not UTF-8",
                    column.name
                ))
            })?;
            text_scan::scalar(&value, &column.rule).map_err(|why| {
                let why = if why.is_empty() {
                    String::new()
                } else {
                    format!(" ({why})")
                };
                fail(format!("the path has {}={said}{why}", column.name))
            })
        })
        .collect()
}

/// `North%20West` as `North West`, as Hive and Spark write the names of folders. A `%` that escapes nothing stays.
fn unescaped(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|h| bytes[at] == b'%' && h.iter().all(u8::is_ascii_hexdigit));
        let byte = hex
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}
