//! The tables of a project that are files: found, typed and read by rules that `docs/files.md` writes down.
//!
//! Types come from the YAML, else from the first rows of each file. Files whose columns differ in order, case or number
//! are read each in its own way. Timestamps count microseconds; with a time zone they are UTC.

mod diagnose;
mod head;
mod inside;
mod listing;
#[cfg(test)]
mod page;
mod paths;
mod shape;
mod statistics;
mod table;
#[cfg(test)]
mod tests;
pub mod types;
#[cfg(test)]
mod wire;

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::checked_cast::{CastColumn, Fit};
use crate::text_scan::{self, CsvFormat, JsonFormat, Origin, TextColumn, TextFormat, TextScan};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::FileFormat as Format;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::context::SessionState;
use datafusion::parquet::basic::LogicalType;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::prelude::SessionContext;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use retail_storage::ObjectStores;

use retail_api::source::{Compression, FileFormat, FileOptions, Source, SourceLocation};
use retail_api::{Failure, FailureKind};

pub use diagnose::{diagnose, diagnose_csv, diagnose_json};
pub use listing::would_list;

use head::HeadError;
use listing::Listing;
use paths::path_values;
use shape::{FileShape, Shape, TableColumn};
use table::{FilesTable, Layout, ParquetLayout, TextLayout};

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
    let table = table(source, &listing, *format, options, &shape, &state)?;
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

/// What each file holds, read 16 at a time; CSV and JSON files without a header and rows are left out.
async fn file_shapes(
    source: &Source,
    listing: &Listing,
    format: FileFormat,
    options: &FileOptions,
    state: Option<&SessionState>,
) -> Result<Vec<FileShape>, Failure> {
    // Owned, since a future over a borrowed item is not Send for every lifetime.
    let shapes: Vec<Option<FileShape>> = stream::iter(listing.files.clone())
        .map(|meta| async move { file_shape(source, listing, meta, format, options, state).await })
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let shapes: Vec<FileShape> = shapes.into_iter().flatten().collect();
    if shapes.is_empty() && source.columns.iter().any(|c| c.data_type.is_none())
        || shapes.is_empty() && source.columns.is_empty()
    {
        let shown = listing.files.first().map(|f| listing.shown(&f.location));
        return Err(Failure::new(
            FailureKind::Source,
            format!("source {}: its files are empty", source.source_ref()),
        )
        .at(shown.unwrap_or_default(), 0, 0)
        .cause("not even a header names its columns")
        .note(format!(
            "declare its columns with their data_type in {}",
            source.defined_at
        )));
    }
    Ok(shapes)
}

async fn file_shape(
    source: &Source,
    listing: &Listing,
    meta: ObjectMeta,
    format: FileFormat,
    options: &FileOptions,
    state: Option<&SessionState>,
) -> Result<Option<FileShape>, Failure> {
    let shown = listing.shown(&meta.location);
    let bad = |cause: String, line: u32| {
        Failure::new(
            FailureKind::Source,
            format!("source {}: cannot read {shown}", source.source_ref()),
        )
        .at(&shown, line, 0)
        .cause(cause)
    };
    let unreadable =
        |e: &object_store::Error| listing::unreadable(source, &shown, &listing.root, e);
    let (schema, first_line, footer) = match (format, state) {
        (FileFormat::Parquet, Some(state)) => {
            // Some bytes make the reader panic.
            let found = AssertUnwindSafe(footer(&meta, listing, state)).catch_unwind();
            let found = found
                .await
                .unwrap_or_else(|_| Err(FooterError::Content(UNDECODABLE.to_string())));
            let (schema, footer) = found.map_err(|e| match e {
                FooterError::Store(e) => unreadable(&e),
                FooterError::Content(cause) => bad(cause, 0),
            })?;
            (schema, String::new(), Some(footer))
        }
        _ => match head::read(&listing.store, &meta, format, options).await {
            Ok(None) => return Ok(None),
            Ok(Some(head)) => {
                let named = format == FileFormat::Csv && options.header;
                let line = if named {
                    head.first_line
                } else {
                    String::new()
                };
                (head.schema, line, None)
            }
            Err(HeadError::Store(error)) => return Err(unreadable(&error)),
            Err(HeadError::Content { cause, line }) => return Err(bad(cause, line)),
        },
    };
    Ok(Some(FileShape {
        spelled: schema.fields().iter().map(|f| f.name().clone()).collect(),
        meta,
        shown,
        schema,
        first_line,
        footer,
    }))
}

/// What is said of a file at which the reader panics; the process's log has its text.
const UNDECODABLE: &str = "its bytes cannot be decoded; have it written again";

enum FooterError {
    Store(object_store::Error),
    Content(String),
}

async fn footer(
    meta: &ObjectMeta,
    listing: &Listing,
    state: &SessionState,
) -> Result<(Schema, Arc<ParquetMetaData>), FooterError> {
    use datafusion::error::DataFusionError;
    let as_failure = |error: DataFusionError| match error {
        DataFusionError::ObjectStore(error) => FooterError::Store(*error),
        _ if meta.size == 0 => FooterError::Content(
            "the file has 0 bytes; it was not written whole; have it written again".into(),
        ),
        DataFusionError::ParquetError(error) => FooterError::Content(format!(
            "the file is no Parquet file: {}; have it written again",
            bare(&error.to_string())
        )),
        other => FooterError::Content(bare(&other.strip_backtrace()).to_string()),
    };
    let schema = ParquetFormat::default()
        .infer_schema(state, &listing.store, std::slice::from_ref(meta))
        .await
        .map_err(as_failure)?;
    // The footer was just read: it comes out of the cache.
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let metadata = DFParquetMetadata::new(listing.store.as_ref(), meta)
        .with_file_metadata_cache(Some(cache))
        .fetch_metadata()
        .await
        .map_err(as_failure)?;
    // The schema above has the first of two columns of one name.
    let columns = metadata.file_metadata().schema_descr().root_schema();
    let mut names = BTreeSet::new();
    if let Some(twice) = columns
        .get_fields()
        .iter()
        .find(|f| !names.insert(f.name()))
    {
        return Err(FooterError::Content(format!(
            "it has two columns {}; give one of them another name",
            twice.name()
        )));
    }
    let fields = schema.fields().iter().map(|field| {
        let of_file = columns
            .get_fields()
            .iter()
            .find(|c| c.name() == field.name());
        let is_uuid = of_file
            .is_some_and(|c| c.get_basic_info().logical_type_ref() == Some(&LogicalType::Uuid));
        match is_uuid {
            true => Arc::new(types::as_uuid(field)),
            false => Arc::clone(field),
        }
    });
    Ok((Schema::new(fields.collect::<Vec<_>>()), metadata))
}

/// Parquet's words without the name of its error in front.
fn bare(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    ["Parquet error: ", "EOF: ", "Parquet error: "]
        .iter()
        .fold(line, |line, lead| line.strip_prefix(lead).unwrap_or(line))
}

fn table(
    source: &Source,
    listing: &Listing,
    format: FileFormat,
    options: &FileOptions,
    shape: &Shape,
    state: &SessionState,
) -> Result<FilesTable, Failure> {
    let field = |c: &TableColumn| Field::new(&c.name, c.rule.data_type.clone(), true);
    let schema = Arc::new(Schema::new(
        shape.columns.iter().map(field).collect::<Vec<_>>(),
    ));
    let path_columns: Vec<&TableColumn> = shape.of_paths().collect();
    let mut groups: Vec<Layout> = vec![];
    for file in &shape.files {
        let values = path_values(source, &file.shown, &path_columns)?;
        let found = PartitionedFile::new_from_meta(file.meta.clone()).with_partition_values(values);
        match format {
            FileFormat::Parquet => {
                let (file_schema, columns) = parquet_columns(shape, file);
                let prunes = file.footer.as_deref().is_none_or(statistics::prunes);
                let found = match &file.footer {
                    Some(footer) if state.config().collect_statistics() => {
                        statistics::known(found, footer, &file_schema, file)
                    }
                    _ => found,
                };
                let same = groups.iter_mut().find_map(|g| match g {
                    Layout::Parquet(p)
                        if p.file_schema == file_schema
                            && p.columns == columns
                            && p.prunes == prunes =>
                    {
                        Some(p)
                    }
                    _ => None,
                });
                match same {
                    Some(layout) => layout.files.push(found),
                    None => groups.push(Layout::Parquet(ParquetLayout {
                        format: parquet(state, prunes),
                        file_schema,
                        columns,
                        prunes,
                        files: vec![found],
                    })),
                }
            }
            _ => {
                let read = text_scan(source, format, options, shape, file);
                let same = groups.iter_mut().find_map(|g| match g {
                    Layout::Text(t) if t.read == read => Some(t),
                    _ => None,
                });
                match same {
                    Some(layout) => layout.files.push(found),
                    None => groups.push(Layout::Text(TextLayout {
                        read,
                        files: vec![found],
                    })),
                }
            }
        }
    }
    Ok(FilesTable {
        schema,
        url: listing.url.clone(),
        path_columns: path_columns.iter().map(|c| Arc::new(field(c))).collect(),
        groups,
    })
}

/// How a CSV or JSON file is read.
fn text_scan(
    source: &Source,
    format: FileFormat,
    options: &FileOptions,
    shape: &Shape,
    file: &FileShape,
) -> TextScan {
    // A CSV file has the columns of its header; a line of JSON may have each of the table's.
    let names: Vec<String> = match format {
        FileFormat::Csv => file
            .schema
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect(),
        _ => shape.of_files().map(|c| c.name.clone()).collect(),
    };
    let mut paths = 0;
    let columns = shape.columns.iter().map(|column| {
        let from = if column.from_path {
            paths += 1;
            Origin::Path(paths - 1)
        } else {
            let place = names.iter().position(|n| *n == column.name);
            place.map_or(Origin::Missing, Origin::File)
        };
        TextColumn {
            name: column.name.clone(),
            rule: column.rule.clone(),
            from,
        }
    });
    TextScan {
        columns: columns.collect(),
        compression: match options.compression {
            Compression::None => FileCompressionType::UNCOMPRESSED,
            Compression::Gzip => FileCompressionType::GZIP,
            Compression::Zstd => FileCompressionType::ZSTD,
        },
        format: match format {
            FileFormat::Csv => TextFormat::Csv(CsvFormat {
                delimiter: options.delimiter,
                quote: options.quote,
                header: options.header,
                newlines_in_values: options.newlines_in_values,
                null_values: options.null_values.clone(),
                names,
            }),
            _ => TextFormat::Json(JsonFormat {
                names,
                ignore_others: source.strict_columns,
                null_values: options.null_values.clone(),
            }),
        },
    }
}

/// The schema to read a Parquet file with, and what becomes of its columns.
fn parquet_columns(shape: &Shape, file: &FileShape) -> (SchemaRef, Vec<CastColumn>) {
    let mut fields: Vec<Field> = vec![];
    let mut columns: Vec<CastColumn> = vec![];
    for column in shape.of_files() {
        let wanted = &column.rule.data_type;
        let (name, data_type, checked) = match file.schema.index_of(&column.name) {
            // A scan gives null for a column that a file does not have.
            Err(_) => (column.name.clone(), wanted.clone(), false),
            Ok(index) => {
                let field = file.schema.field(index);
                let found = field.data_type();
                let spelled = file.spelled[index].clone();
                let widens =
                    types::fit_of(field, wanted) == Fit::Widens && column.rule.max_chars.is_none();
                match widens {
                    true => (spelled, wanted.clone(), false),
                    false => (spelled, found.clone(), true),
                }
            }
        };
        columns.push(CastColumn {
            name: column.name.clone(),
            rule: column.rule.clone(),
            from: Some(fields.len()),
            checked,
        });
        fields.push(Field::new(name, data_type, true));
    }
    for (index, column) in shape.of_paths().enumerate() {
        columns.push(CastColumn {
            name: column.name.clone(),
            rule: column.rule.clone(),
            from: Some(fields.len() + index),
            checked: false,
        });
    }
    (Arc::new(Schema::new(fields)), columns)
}

/// Reads Parquet; without pruning where the bounds of row groups are not to be trusted.
fn parquet(state: &SessionState, prunes: bool) -> Arc<dyn Format> {
    let mut options = state.default_table_options().parquet.clone();
    if !prunes {
        options.global.pruning = false;
        options.global.enable_page_index = false;
    }
    Arc::new(ParquetFormat::default().with_options(options))
}
