//! The tables of a project that are files: found, typed and read by stock DataFusion scans.
//!
//! CSV: an empty field is null, for text too; so are the `null_values` of the source. Files whose headers differ in
//! order, or that lack an optional column, are read each in its own way. Types come from the YAML, else from the first
//! rows of each file. Timestamps count microseconds; with a time zone they are UTC.

mod diagnose;
mod head;
mod listing;
mod shape;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod types;

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::datasource::file_format::FileFormat as Format;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::context::SessionState;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use retail_lakehouse::ObjectStores;

use crate::failure::{Failure, FailureKind};
use crate::project::{Compression, FileFormat, FileOptions, Source, SourceLocation};

pub use diagnose::{diagnose, diagnose_csv, diagnose_json};
pub use listing::would_list;

use head::HeadError;
use listing::Listing;
use shape::{FileShape, Shape, TableColumn};
use table::{FilesTable, From, Layout};

/// Files whose beginning or footer is read at once.
const CONCURRENT_READS: usize = 16;

/// The table of a source that is files, over exactly the files that are there now.
///
/// Fails if no file matches, if one cannot be read, or if a file does not have the columns that are declared. For a
/// source that is an Iceberg table there is nothing to make: the catalog has it.
pub async fn provider(
    source: &Source,
    session: &SessionContext,
    stores: &ObjectStores,
) -> Result<Arc<dyn TableProvider>, Failure> {
    let SourceLocation::Files {
        pattern,
        format,
        options,
    } = &source.location
    else {
        return Err(Failure::new(
            FailureKind::Internal,
            format!(
                "source {} is an Iceberg table, not files",
                source.source_ref()
            ),
        ));
    };
    let state = session.state();
    let views = state
        .config_options()
        .sql_parser
        .map_string_types_to_utf8view;
    let listing = listing::list(source, pattern, stores).await?;
    let files = file_shapes(source, &listing, *format, options, Some(&state)).await?;
    let shape = shape::shape(source, *format, options, &listing.keys, files, views)?;
    let table = table(source, &listing, *format, options, shape, &state).await?;
    tracing::debug!(source = %source.source_ref(), files = listing.files.len(), layouts = table.groups.len(), "source opened");
    Ok(Arc::new(table))
}

/// The files of a table that [`provider`] made, as a person writes their paths.
pub fn files_of(table: &dyn TableProvider) -> BTreeSet<String> {
    match (table as &dyn Any).downcast_ref::<FilesTable>() {
        Some(table) => table.files(),
        None => BTreeSet::new(),
    }
}

/// What each file holds, read 16 at a time.
async fn file_shapes(
    source: &Source,
    listing: &Listing,
    format: FileFormat,
    options: &FileOptions,
    state: Option<&SessionState>,
) -> Result<Vec<FileShape>, Failure> {
    // Owned, since a future over a borrowed item is not Send for every lifetime.
    stream::iter(listing.files.clone())
        .map(|meta| async move {
            let shown = listing.shown(&meta.location);
            let bad = |cause: String, line: u32| {
                Failure::new(
                    FailureKind::Source,
                    format!("source {}: cannot read {shown}", source.source_ref()),
                )
                .at(&shown, line, 0)
                .cause(cause)
            };
            let (schema, first_line) = match (format, state) {
                (FileFormat::Parquet, Some(state)) => (
                    footer(&meta, listing, state).await.map_err(|e| match e {
                        FooterError::Store(e) => {
                            listing::unreadable(source, &shown, &listing.root, &e)
                        }
                        FooterError::Content(cause) => bad(cause, 0),
                    })?,
                    String::new(),
                ),
                _ => match head::read(&listing.store, &meta, format, options).await {
                    Ok(head) => (
                        head.schema,
                        if options.header {
                            head.first_line
                        } else {
                            String::new()
                        },
                    ),
                    Err(HeadError::Store(error)) => {
                        return Err(listing::unreadable(source, &shown, &listing.root, &error));
                    }
                    Err(HeadError::Content { cause, line }) => return Err(bad(cause, line)),
                },
            };
            let first_line = if format == FileFormat::Csv {
                first_line
            } else {
                String::new()
            };
            Ok(FileShape {
                meta,
                shown,
                schema,
                first_line,
            })
        })
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await
}

enum FooterError {
    Store(object_store::Error),
    Content(String),
}

async fn footer(
    meta: &ObjectMeta,
    listing: &Listing,
    state: &SessionState,
) -> Result<Schema, FooterError> {
    use datafusion::error::DataFusionError;
    let schema = ParquetFormat::default()
        .infer_schema(state, &listing.store, std::slice::from_ref(meta))
        .await;
    match schema {
        Ok(schema) => Ok(schema.as_ref().clone()),
        Err(error) => Err(match error {
            DataFusionError::ObjectStore(error) => FooterError::Store(*error),
            DataFusionError::ParquetError(error) => FooterError::Content(format!(
                "the file is no Parquet file: {}",
                bare(&error.to_string())
            )),
            other => FooterError::Content(bare(&other.strip_backtrace()).to_string()),
        }),
    }
}

/// Parquet's words without the name of its error in front.
fn bare(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    ["Parquet error: ", "EOF: ", "Parquet error: "]
        .iter()
        .fold(line, |line, lead| line.strip_prefix(lead).unwrap_or(line))
}

async fn table(
    source: &Source,
    listing: &Listing,
    format: FileFormat,
    options: &FileOptions,
    shape: Shape,
    state: &SessionState,
) -> Result<FilesTable, Failure> {
    let field = |c: &TableColumn| Field::new(&c.name, c.data_type.clone(), true);
    let schema: SchemaRef = Arc::new(Schema::new(
        shape.columns.iter().map(field).collect::<Vec<_>>(),
    ));
    let path_columns: Vec<TableColumn> = shape
        .columns
        .iter()
        .filter(|c| c.from_path)
        .cloned()
        .collect();
    let reader = reader(format, options, state);
    let mut groups = vec![];
    for layout in &shape.layouts {
        let (file_schema, columns) = columns(&shape, &layout.names, format, options, &path_columns);
        let mut files = vec![];
        for file in &layout.files {
            let values = path_values(source, &file.shown, &path_columns)?;
            files.push(
                PartitionedFile::new_from_meta(file.meta.clone()).with_partition_values(values),
            );
        }
        if format == FileFormat::Parquet && state.config().collect_statistics() {
            files = with_statistics(files, listing, &reader, &file_schema, state).await;
        }
        let packed = format != FileFormat::Parquet && options.compression != Compression::None;
        groups.push(Layout {
            format: Arc::clone(&reader),
            file_schema,
            files,
            columns,
            packed,
        });
    }
    let path_columns = path_columns.iter().map(|c| Arc::new(field(c))).collect();
    Ok(FilesTable {
        schema,
        url: listing.url.clone(),
        path_columns,
        groups,
    })
}

/// The schema to read a layout with, and where each of the table's columns is in it.
fn columns(
    shape: &Shape,
    names: &[String],
    format: FileFormat,
    options: &FileOptions,
    path_columns: &[TableColumn],
) -> (SchemaRef, Vec<From>) {
    let text = |c: Option<&DataType>| match c {
        Some(DataType::Utf8View) | None => DataType::Utf8View,
        Some(_) => DataType::Utf8,
    };
    let of_files: Vec<Field> = match format {
        // By position: columns that nobody wants are read as text and dropped.
        FileFormat::Csv => names
            .iter()
            .map(|name| match shape.data_type(name) {
                Some(data_type) if options.null_values.is_empty() => {
                    Field::new(name, data_type.clone(), true)
                }
                other => Field::new(name, text(other), true),
            })
            .collect(),
        FileFormat::Json | FileFormat::Parquet => {
            let own = shape.columns.iter().filter(|c| !c.from_path);
            own.map(|c| Field::new(&c.name, c.data_type.clone(), true))
                .collect()
        }
    };
    let from = shape.columns.iter().map(|column| {
        if let Some(index) = path_columns.iter().position(|p| p.name == column.name) {
            return From::Index(of_files.len() + index);
        }
        match of_files.iter().position(|f| *f.name() == column.name) {
            None => From::Missing,
            Some(index) if format == FileFormat::Csv && !options.null_values.is_empty() => {
                From::Text {
                    index,
                    nulls: options.null_values.clone(),
                }
            }
            Some(index) => From::Index(index),
        }
    });
    let from = from.collect();
    (Arc::new(Schema::new(of_files)), from)
}

fn reader(format: FileFormat, options: &FileOptions, state: &SessionState) -> Arc<dyn Format> {
    let compression = match options.compression {
        Compression::None => FileCompressionType::UNCOMPRESSED,
        Compression::Gzip => FileCompressionType::GZIP,
        Compression::Zstd => FileCompressionType::ZSTD,
    };
    match format {
        FileFormat::Parquet => Arc::new(
            ParquetFormat::default().with_options(state.default_table_options().parquet.clone()),
        ),
        FileFormat::Csv => Arc::new(
            CsvFormat::default()
                .with_has_header(options.header)
                .with_delimiter(options.delimiter)
                .with_quote(options.quote)
                .with_newlines_in_values(options.newlines_in_values)
                .with_file_compression_type(compression),
        ),
        FileFormat::Json => Arc::new(JsonFormat::default().with_file_compression_type(compression)),
    }
}

/// The values of `key=value` folders, as the types of their columns.
fn path_values(
    source: &Source,
    shown: &str,
    columns: &[TableColumn],
) -> Result<Vec<ScalarValue>, Failure> {
    columns
        .iter()
        .map(|column| {
            let value = shown
                .split('/')
                .find_map(|s| s.strip_prefix(column.name.as_str())?.strip_prefix('='));
            let value = value
                .filter(|v| *v != "__HIVE_DEFAULT_PARTITION__")
                .map(str::to_string);
            ScalarValue::Utf8(value.clone())
                .cast_to(&column.data_type)
                .map_err(|error| {
                    Failure::new(
                        FailureKind::Source,
                        format!(
                            "source {}: {} is not {}",
                            source.source_ref(),
                            column.name,
                            types::called(&column.data_type)
                        ),
                    )
                    .at(shown, 0, 0)
                    .cause(format!(
                        "the path says {}={}",
                        column.name,
                        value.unwrap_or_default()
                    ))
                    .note(format!("correct its data_type in {}", source.defined_at))
                    .caused_by(&error)
                })
        })
        .collect()
}

/// Row counts and bounds from the footers; a file without them is planned without them.
async fn with_statistics(
    files: Vec<PartitionedFile>,
    listing: &Listing,
    reader: &Arc<dyn Format>,
    schema: &SchemaRef,
    state: &SessionState,
) -> Vec<PartitionedFile> {
    stream::iter(files)
        .map(|file| async move {
            let found = reader
                .infer_stats(state, &listing.store, Arc::clone(schema), &file.object_meta)
                .await;
            match found {
                Ok(statistics) => file.with_statistics(Arc::new(statistics)),
                Err(_) => file,
            }
        })
        .buffered(CONCURRENT_READS)
        .collect()
        .await
}
