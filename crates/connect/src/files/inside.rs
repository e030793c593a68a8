//! Fields that are declared inside of objects, against those that the files have there.

use std::collections::BTreeMap;

use crate::text_scan::{CellRule, names};
use datafusion::arrow::datatypes::{DataType, Fields};

use retail_api::source::{Column, Source};
use retail_api::suggest::did_you_mean;
use retail_api::{Failure, FailureKind};

use super::shape::FileShape;

/// A field that is declared and that no file has: it would be null in every row.
///
/// Files without any object in the column say nothing about its fields, and a column that is optional may lack them.
///
/// # Errors
/// A field of a declared object is in none of the files that have the object.
pub(super) fn check(
    source: &Source,
    files: &[FileShape],
    declared: &BTreeMap<&str, CellRule>,
) -> Result<(), Failure> {
    for column in source.columns.iter().filter(|c| !c.optional) {
        let Some(rule) = declared.get(column.name.as_str()) else {
            continue;
        };
        let found = files.iter().filter_map(|file| {
            let field = file.schema.field_with_name(&column.name).ok()?;
            Some(field.data_type())
        });
        let found: Vec<&DataType> = found.collect();
        if let Some((path, there)) = lacking(&column.name, &rule.data_type, &found) {
            return Err(refused(source, column, files, &path, &there));
        }
    }
    Ok(())
}

/// The path of a field that is wanted and in none of `found`, with the names that are beside it.
fn lacking(path: &str, wanted: &DataType, found: &[&DataType]) -> Option<(String, Vec<String>)> {
    match wanted {
        DataType::List(item) => {
            let found: Vec<&DataType> = found.iter().filter_map(|f| item_of(f)).collect();
            lacking(path, item.data_type(), &found)
        }
        DataType::Struct(fields) => {
            let found: Vec<&Fields> = found
                .iter()
                .filter_map(|f| match f {
                    DataType::Struct(fields) if !fields.is_empty() => Some(fields),
                    _ => None,
                })
                .collect();
            if found.is_empty() {
                return None;
            }
            fields.iter().find_map(|field| {
                let path = format!("{path}.{}", field.name());
                let same = found.iter().flat_map(|f| f.iter());
                let same = same.filter(|f| names::same(f.name(), field.name()));
                let same: Vec<&DataType> = same.map(|f| f.data_type()).collect();
                if same.is_empty() {
                    let mut there: Vec<String> = vec![];
                    for name in found.iter().flat_map(|f| f.iter()).map(|f| f.name()) {
                        if !there.contains(name) {
                            there.push(name.clone());
                        }
                    }
                    return Some((path, there));
                }
                lacking(&path, field.data_type(), &same)
            })
        }
        _ => None,
    }
}

fn item_of(found: &DataType) -> Option<&DataType> {
    match found {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    }
}

fn refused(
    source: &Source,
    column: &Column,
    files: &[FileShape],
    path: &str,
    there: &[String],
) -> Failure {
    let name = path.rsplit('.').next().unwrap_or(path);
    let beside = match did_you_mean(name, there.iter().map(String::as_str)) {
        near if near.is_empty() => format!("beside it there is {}", there.join(", ")),
        near => near.trim_start_matches("; ").to_string(),
    };
    let shown = files.first().map(|f| f.shown.clone()).unwrap_or_default();
    Failure::new(
        FailureKind::Source,
        format!("source {}: no file has {path}", source.source_ref()),
    )
    .at(shown, 0, 0)
    .cause(beside)
    .note(format!(
        "correct data_type in {}, or let files lack it with meta: {{optional: true}}",
        column.at
    ))
}
