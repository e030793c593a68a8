//! Which columns a source has: what YAML declares against what its files hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checked_cast::Fit;
use crate::text_scan::{CellRule, names};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::file::metadata::ParquetMetaData;
use object_store::ObjectMeta;

use retail_api::source::{Column, FileFormat, FileOptions, Source};
use retail_api::suggest::did_you_mean;
use retail_api::{Failure, FailureKind};

use super::{inside, paths, types};

/// A file and what it holds.
#[derive(Debug, Clone)]
pub(super) struct FileShape {
    pub meta: ObjectMeta,
    /// For messages.
    pub shown: String,
    /// Its columns under the names that the table gives them.
    pub schema: Schema,
    /// The same columns as the file spells them.
    pub spelled: Vec<String>,
    /// The header, for messages.
    pub first_line: String,
    /// The footer of a Parquet file.
    pub footer: Option<Arc<ParquetMetaData>>,
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TableColumn {
    pub name: String,
    pub rule: CellRule,
    /// The path (`day=2`) has it, not the file.
    pub from_path: bool,
}

/// The columns of a source's table and its files.
#[derive(Debug)]
pub(super) struct Shape {
    pub columns: Vec<TableColumn>,
    pub files: Vec<FileShape>,
}

impl Shape {
    /// The columns that are in files, not in their paths.
    pub(super) fn of_files(&self) -> impl Iterator<Item = &TableColumn> {
        self.columns.iter().filter(|c| !c.from_path)
    }

    /// The columns that the paths say, in their order.
    pub(super) fn of_paths(&self) -> impl Iterator<Item = &TableColumn> {
        self.columns.iter().filter(|c| c.from_path)
    }
}

/// Compares what is declared with what is there.
///
/// Declared columns come first, in the YAML's order; others follow unless the source is strict; path columns come last.
pub(super) fn shape(
    source: &Source,
    format: FileFormat,
    options: &FileOptions,
    keys: &[String],
    mut files: Vec<FileShape>,
    views: bool,
) -> Result<Shape, Failure> {
    let keys = &paths::spelled(source, keys);
    let mut declared: BTreeMap<&str, CellRule> = BTreeMap::new();
    for column in &source.columns {
        if let Some(text) = &column.data_type {
            declared.insert(
                &column.name,
                declared_rule(source, column, text, format, views)?,
            );
        }
    }
    if format == FileFormat::Parquet && !options.null_values.is_empty() {
        return Err(Failure::new(
            FailureKind::Project,
            format!(
                "source {}: null_values is for CSV and JSON; Parquet has nulls of its own",
                source.source_ref()
            ),
        )
        .at(&source.defined_at.file, source.defined_at.line, 0));
    }
    if format == FileFormat::Csv && !options.header {
        name_columns(source, &mut files)?;
    }
    one_spelling(source, &mut files)?;
    if format == FileFormat::Csv && options.header {
        refuse_other_delimiters(source, &files, options.delimiter)?;
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
    inside::check(source, &files, &declared)?;
    check_casts(source, &files, &declared, format)?;
    for key in keys {
        paths::refuse_in_some(source, key, &files)?;
    }

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
        let fields = || files.iter().flat_map(|f| f.schema.fields());
        keys.iter().any(|k| k == name) && !fields().any(|f| names::same(f.name(), name))
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
        let rule = match declared.get(name) {
            Some(declared) => declared.clone(),
            None => CellRule {
                data_type: found_type(source, name, is_declared(name), &files, format, views)?,
                guessed: true,
                max_chars: None,
            },
        };
        columns.push(TableColumn {
            name: name.to_string(),
            rule,
            from_path: false,
        });
    }
    for name in of_path {
        let rule = declared.get(name).cloned().unwrap_or_else(|| CellRule {
            data_type: types::string(views),
            guessed: true,
            max_chars: None,
        });
        columns.push(TableColumn {
            name: name.to_string(),
            rule,
            from_path: true,
        });
    }
    if columns.is_empty() {
        return Err(no_columns(source, &files));
    }
    Ok(Shape { columns, files })
}

fn no_columns(source: &Source, files: &[FileShape]) -> Failure {
    let failure = Failure::new(
        FailureKind::Source,
        format!("source {}: its files have no columns", source.source_ref()),
    );
    let shown = files.first().map(|f| f.shown.clone());
    failure.at(shown.unwrap_or_default(), 0, 0).note(format!(
        "declare its columns with their data_type in {}",
        source.defined_at
    ))
}

/// A header that is one name with another delimiter in it is taken for several names, unless YAML has that name.
fn refuse_other_delimiters(
    source: &Source,
    files: &[FileShape],
    delimiter: u8,
) -> Result<(), Failure> {
    for file in files {
        let [only] = file.spelled.as_slice() else {
            continue;
        };
        let Some(delimiter) = other_delimiter(only)
            .filter(|d| source.columns.is_empty() && *d != char::from(delimiter))
        else {
            continue;
        };
        let mut failure = Failure::new(
            FailureKind::Source,
            format!("source {}: cannot read {}", source.source_ref(), file.shown),
        )
        .at(&file.shown, 1, 0)
        .cause(format!("the header is one name, {only}"))
        .note(format!(
            "if {delimiter:?} separates columns, say delimiter: {delimiter:?}"
        ))
        .note(format!(
            "if it is a name, declare it in {}",
            source.defined_at
        ));
        if !file.first_line.is_empty() {
            failure.snippet.clone_from(&file.first_line);
            failure.span = file.first_line.chars().count() as u32;
            failure.column = 1;
        }
        return Err(failure);
    }
    Ok(())
}

/// What may separate columns in what was read as one name.
fn other_delimiter(name: &str) -> Option<char> {
    [';', '\t', '|', ',']
        .into_iter()
        .find(|d| name.contains(*d))
}

/// Gives the columns of all files one spelling each: the declared one, else that of the first file.
///
/// `Amount` and `amount` are one column, on whichever day each stands in the files.
fn one_spelling(source: &Source, files: &mut [FileShape]) -> Result<(), Failure> {
    let mut spellings: Vec<String> = source.columns.iter().map(|c| c.name.clone()).collect();
    for file in files {
        let mut fields: Vec<Field> = vec![];
        for field in file.schema.fields() {
            let name = match spellings.iter().find(|s| names::same(s, field.name())) {
                Some(spelling) => spelling.clone(),
                None => {
                    spellings.push(field.name().clone());
                    field.name().clone()
                }
            };
            if let Some(index) = fields.iter().position(|f| *f.name() == name) {
                return Err(Failure::new(
                    FailureKind::Source,
                    format!(
                        "source {}: {} has columns {} and {}, which differ only in case",
                        source.source_ref(),
                        file.shown,
                        file.spelled[index],
                        field.name()
                    ),
                )
                .at(&file.shown, 0, 0)
                .cause("column names are matched whatever their case")
                .note("rename one of them in the file"));
            }
            fields.push(field.as_ref().clone().with_name(name));
        }
        file.schema = Schema::new(fields);
    }
    Ok(())
}

fn declared_rule(
    source: &Source,
    column: &Column,
    text: &str,
    format: FileFormat,
    views: bool,
) -> Result<CellRule, Failure> {
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
    let (data_type, max_chars) = types::of_cells(text, views).map_err(cannot)?;
    if format == FileFormat::Csv && data_type.is_nested() {
        return Err(cannot(format!("a CSV file cannot hold {text}"))
            .note("declare it VARCHAR and take it apart in SQL"));
    }
    if format != FileFormat::Parquet && types::has_bytes(&data_type) {
        return Err(cannot(format!("a {format} file cannot hold {text}"))
            .note("declare it VARCHAR and decode it in SQL: decode(column, 'hex')"));
    }
    Ok(CellRule {
        data_type,
        guessed: false,
        max_chars,
    })
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
            .cause("without a header, columns are found by their position")
            .note(format!(
                "declare all of them in {}, in the order of the files",
                source.defined_at
            )));
        }
        let fields = file.schema.fields().iter().zip(&source.columns);
        let fields = fields.map(|(f, c)| f.as_ref().clone().with_name(&c.name));
        file.schema = Schema::new(fields.collect::<Vec<_>>());
        file.spelled = source.columns.iter().map(|c| c.name.clone()).collect();
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
    if let [only] = file.spelled.as_slice()
        && let Some(delimiter) = other_delimiter(only)
    {
        failure = failure.note(format!(
            "the header is one name; if {delimiter:?} separates columns, say delimiter: {delimiter:?}"
        ));
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

/// Parquet files say their types; one that cannot become the declared one is reported before anything runs.
fn check_casts(
    source: &Source,
    files: &[FileShape],
    declared: &BTreeMap<&str, CellRule>,
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
            (types::fit_of(field, &wanted.data_type) == Fit::Never).then_some((file, field))
        });
        if let Some((file, field)) = found {
            return Err(Failure::new(
                FailureKind::Source,
                format!(
                    "source {}: {} cannot be read as {}",
                    source.source_ref(),
                    column.name,
                    types::sql(&wanted.data_type)
                ),
            )
            .at(&file.shown, 0, 0)
            .cause(format!("the file holds {}", types::sql(field.data_type())))
            .note(format!("correct data_type in {}", column.at)));
        }
    }
    Ok(())
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
        let here = match types::is_uuid(field) {
            true => types::string(views),
            false => types::of_column(field.data_type(), views),
        };
        found = Some(match found {
            None => (here, file),
            Some((before, first)) => match types::common(&before, &here) {
                Some(both) => (both, first),
                None if format == FileFormat::Csv => (types::string(views), first),
                None if format == FileFormat::Json && !before.is_nested() && !here.is_nested() => {
                    (types::string(views), first)
                }
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
    let first = found.as_ref().map(|(_, first)| first.shown.clone());
    let found = found.map_or(DataType::Null, |(data_type, _)| data_type);
    let settled = types::settled(&found, views);
    // A type that holds the values of all files may still not be read from each of them: not within lists and objects.
    let mut misfits = files.iter().filter_map(|file| {
        let field = file.schema.field_with_name(name).ok()?;
        let fits = format != FileFormat::Parquet || types::fit_of(field, &settled) != Fit::Never;
        (!fits).then_some((file, field))
    });
    match misfits.next() {
        None => Ok(settled),
        Some((file, field)) => Err(Failure::new(
            FailureKind::Source,
            format!("source {}: files disagree about column {name}", source.source_ref()),
        )
        .at(&file.shown, 0, 0)
        .cause(match types::sql(field.data_type()) {
            // Of times and bytes there are several that are called the same.
            here if here == types::sql(&settled) => format!(
                "here it is {here} with times that are not in microseconds; within lists and objects types are not adapted"
            ),
            here => format!(
                "here it is {here}, and with {} and the others {}; within lists and objects types are not adapted",
                first.unwrap_or_default(),
                types::sql(&settled)
            ),
        })
        .note("write the files with one type and times in microseconds, or make two sources of them")),
    }
}
