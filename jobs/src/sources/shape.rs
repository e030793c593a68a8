//! Which columns a source has: what YAML declares against what its files hold.

use std::collections::BTreeMap;

use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Schema};
use object_store::ObjectMeta;

use crate::failure::{Failure, FailureKind};
use crate::project::{Column, FileFormat, FileOptions, Source, did_you_mean};

use super::types;

/// A file and what it holds.
#[derive(Debug, Clone)]
pub struct FileShape {
    pub meta: ObjectMeta,
    /// For messages.
    pub shown: String,
    pub schema: Schema,
    /// The header, for messages.
    pub first_line: String,
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    pub name: String,
    pub data_type: DataType,
    /// Says the path (`day=2`), not the file.
    pub from_path: bool,
}

/// Files with the same columns in the same order. JSON and Parquet are read by name and have one layout.
#[derive(Debug)]
pub struct FileLayout {
    pub names: Vec<String>,
    pub files: Vec<FileShape>,
}

/// The columns of a source's table and the layouts of its files.
#[derive(Debug)]
pub struct Shape {
    pub columns: Vec<TableColumn>,
    pub layouts: Vec<FileLayout>,
}

impl Shape {
    /// The type of a column, if the table has it.
    pub fn data_type(&self, name: &str) -> Option<&DataType> {
        self.columns
            .iter()
            .find(|c| c.name == name)
            .map(|c| &c.data_type)
    }
}

/// Compares what is declared with what is there.
///
/// Declared columns come first, in the YAML's order; others follow unless the source is strict; path columns come last.
pub fn shape(
    source: &Source,
    format: FileFormat,
    options: &FileOptions,
    keys: &[String],
    mut files: Vec<FileShape>,
    views: bool,
) -> Result<Shape, Failure> {
    let mut declared: BTreeMap<&str, DataType> = BTreeMap::new();
    for column in &source.columns {
        if let Some(text) = &column.data_type {
            declared.insert(
                &column.name,
                declared_type(source, column, text, format, views)?,
            );
        }
    }
    if format == FileFormat::Csv && !options.header {
        name_columns(source, &mut files)?;
    }
    for column in source
        .columns
        .iter()
        .filter(|c| !c.optional && !keys.contains(&c.name))
    {
        if let Some(file) = files
            .iter()
            .find(|f| f.schema.index_of(&column.name).is_err())
        {
            return Err(missing(source, column, file));
        }
    }
    check_casts(source, &files, &declared, format)?;

    let is_declared = |name: &str| source.columns.iter().any(|c| c.name == name);
    let mut names: Vec<&str> = source.columns.iter().map(|c| c.name.as_str()).collect();
    if !source.strict_columns {
        for field in files.iter().flat_map(|f| f.schema.fields()) {
            if !names.contains(&field.name().as_str()) {
                names.push(field.name());
            }
        }
    }
    let from_path = |name: &str| {
        keys.iter().any(|k| k == name) && !files.iter().any(|f| f.schema.index_of(name).is_ok())
    };
    let extra_keys: Vec<&str> = keys
        .iter()
        .map(String::as_str)
        .filter(|k| !names.contains(k) && from_path(k) && !source.strict_columns)
        .collect();
    let (of_path, of_files): (Vec<&str>, Vec<&str>) = names
        .into_iter()
        .chain(extra_keys)
        .partition(|n| from_path(n));
    let mut columns = vec![];
    for name in of_files {
        let data_type = match declared.get(name) {
            Some(declared) => declared.clone(),
            None => found_type(source, name, is_declared(name), &files, format, views)?,
        };
        columns.push(TableColumn {
            name: name.to_string(),
            data_type,
            from_path: false,
        });
    }
    for name in of_path {
        let data_type = declared
            .get(name)
            .cloned()
            .unwrap_or_else(|| types::string(views));
        columns.push(TableColumn {
            name: name.to_string(),
            data_type,
            from_path: true,
        });
    }
    Ok(Shape {
        columns,
        layouts: layouts(files, format),
    })
}

fn layouts(files: Vec<FileShape>, format: FileFormat) -> Vec<FileLayout> {
    let mut layouts: Vec<FileLayout> = vec![];
    for file in files {
        let names: Vec<String> = match format {
            FileFormat::Csv => file
                .schema
                .fields()
                .iter()
                .map(|f| f.name().clone())
                .collect(),
            FileFormat::Json | FileFormat::Parquet => vec![],
        };
        match layouts.iter_mut().find(|l| l.names == names) {
            Some(layout) => layout.files.push(file),
            None => layouts.push(FileLayout {
                names,
                files: vec![file],
            }),
        }
    }
    layouts
}

fn declared_type(
    source: &Source,
    column: &Column,
    text: &str,
    format: FileFormat,
    views: bool,
) -> Result<DataType, Failure> {
    let cannot = |cause: String| {
        Failure::new(
            FailureKind::Project,
            format!(
                "source {}: cannot read column {}",
                source.source_ref(),
                column.name
            ),
        )
        .at(&column.at.file, column.at.line, 0)
        .cause(cause)
    };
    let parsed = types::parse(text, views).map_err(cannot)?;
    if format == FileFormat::Csv && parsed.is_nested() {
        return Err(cannot(format!("a CSV file cannot hold {text}"))
            .note("declare it VARCHAR and take it apart in SQL"));
    }
    Ok(parsed)
}

/// Without a header the YAML names the columns, by position.
fn name_columns(source: &Source, files: &mut [FileShape]) -> Result<(), Failure> {
    let wanted = source.columns.len();
    for file in files {
        let there = file.schema.fields().len();
        if there != wanted {
            return Err(Failure::new(
                FailureKind::Source,
                format!(
                    "source {}: {} has {there} columns, {wanted} are declared",
                    source.source_ref(),
                    file.shown
                ),
            )
            .at(&file.shown, 1, 0)
            .cause("without a header, columns are told by their position")
            .note(format!(
                "declare all of them in {}, in the order of the files",
                source.defined_at
            )));
        }
        let fields = file.schema.fields().iter().zip(&source.columns);
        file.schema = Schema::new(
            fields
                .map(|(f, c)| f.as_ref().clone().with_name(&c.name))
                .collect::<Vec<_>>(),
        );
    }
    Ok(())
}

fn missing(source: &Source, column: &Column, file: &FileShape) -> Failure {
    let declared: Vec<&str> = source.columns.iter().map(|c| c.name.as_str()).collect();
    let names = || file.schema.fields().iter().map(|f| f.name().as_str());
    // A column that is declared itself is not what was meant, unless there is no other.
    let near = match did_you_mean(&column.name, names().filter(|n| !declared.contains(n))) {
        near if near.is_empty() => did_you_mean(&column.name, names()),
        near => near,
    };
    let mut failure = Failure::new(
        FailureKind::Source,
        format!(
            "source {}: {} has no column {}",
            source.source_ref(),
            file.shown,
            column.name
        ),
    )
    .at(&file.shown, u32::from(!file.first_line.is_empty()), 0)
    .cause(match near.strip_prefix("; ") {
        Some(near) => near.to_string(),
        None => format!("it has {}", few(names())),
    });
    if !file.first_line.is_empty() {
        failure.snippet.clone_from(&file.first_line);
        failure.span = file.first_line.chars().count() as u32;
        failure.column = 1;
    }
    failure.note(format!(
        "correct {}, or let files lack it with meta: {{optional: true}}",
        column.at
    ))
}

fn few<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => "no columns".to_string(),
        1..=8 => names.join(", "),
        n => format!("{} and {} more", names[..8].join(", "), n - 8),
    }
}

/// Parquet files say their types; one that cannot become the declared one is told before anything runs.
fn check_casts(
    source: &Source,
    files: &[FileShape],
    declared: &BTreeMap<&str, DataType>,
    format: FileFormat,
) -> Result<(), Failure> {
    if format != FileFormat::Parquet {
        return Ok(());
    }
    for column in &source.columns {
        let Some(wanted) = declared.get(column.name.as_str()) else {
            continue;
        };
        let found = files.iter().find_map(|file| {
            let field = file.schema.field_with_name(&column.name).ok()?;
            (!castable(field.data_type(), wanted)).then_some((file, field))
        });
        if let Some((file, field)) = found {
            return Err(Failure::new(
                FailureKind::Source,
                format!(
                    "source {}: {} cannot be read as {}",
                    source.source_ref(),
                    column.name,
                    types::sql(wanted)
                ),
            )
            .at(&file.shown, 0, 0)
            .cause(format!("the file holds {}", types::sql(field.data_type())))
            .note(format!("correct data_type in {}", column.at)));
        }
    }
    Ok(())
}

/// Casts that keep a value or fail; a number does not become a date because both are stored alike.
fn castable(found: &DataType, wanted: &DataType) -> bool {
    let number = |t: &DataType| t.is_numeric() || t.is_decimal();
    let time = |t: &DataType| {
        matches!(
            t,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
        )
    };
    if (number(found) && time(wanted)) || (time(found) && number(wanted)) {
        return false;
    }
    can_cast_types(found, wanted)
}

/// The type that the files suggest for a column nobody gave a type.
fn found_type(
    source: &Source,
    name: &str,
    declared: bool,
    files: &[FileShape],
    format: FileFormat,
    views: bool,
) -> Result<DataType, Failure> {
    let mut found: Option<(DataType, &FileShape)> = None;
    for file in files {
        let Ok(field) = file.schema.field_with_name(name) else {
            continue;
        };
        if *field.data_type() == DataType::Null {
            continue;
        }
        let here = types::normal(field.data_type(), views);
        found = Some(match found {
            None => (here, file),
            Some((before, first)) => match types::common(&before, &here) {
                Some(both) => (both, first),
                None if format == FileFormat::Csv => (types::string(views), first),
                None => {
                    let action = if declared { "give" } else { "declare" };
                    return Err(Failure::new(
                        FailureKind::Source,
                        format!(
                            "source {}: files disagree about column {name}",
                            source.source_ref()
                        ),
                    )
                    .at(&file.shown, 0, 0)
                    .cause(format!(
                        "here it is {}, in {} it is {}",
                        types::sql(&here),
                        first.shown,
                        types::sql(&before)
                    ))
                    .note(format!(
                        "{action} {name} with its data_type in {}",
                        source.defined_at
                    )));
                }
            },
        });
    }
    Ok(found.map_or_else(|| types::string(views), |(data_type, _)| data_type))
}
