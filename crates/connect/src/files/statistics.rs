//! What the footer of a Parquet file states about its rows, as far as it is sure to be true.
//!
//! DataFusion answers `max(x)` and `count(x)` from exact statistics without reading a row, so that a bound that is
//! only nearly right is a wrong number. Bounds are never exact: a writer may say that its bounds are not, and the reader
//! of footers forgets it for numbers. They are kept, for plans, where the file's type is the table's, is stored as a
//! number, and every row group has both; a count of nulls, which answers, where every row group has one. Floats have
//! none: NaN lies outside of their bounds. Texts have none: theirs may be shortened.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::parquet::basic::Type as Physical;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::statistics::Statistics as Chunk;

use retail_values::may_hide_rows;

use super::shape::FileShape;

/// Whether row groups may be left out by their bounds.
pub(super) fn prunes(footer: &ParquetMetaData) -> bool {
    let mut chunks = footer.row_groups().iter().flat_map(|g| g.columns());
    !chunks.any(may_hide_rows)
}

/// The file with what is known about it; `schema` is what it is read with.
pub(super) fn known(
    file: PartitionedFile,
    footer: &ParquetMetaData,
    schema: &SchemaRef,
    shape: &FileShape,
) -> PartitionedFile {
    let Ok(mut known) = DFParquetMetadata::statistics_from_parquet_metadata(footer, schema) else {
        return file;
    };
    let rows = footer
        .row_groups()
        .iter()
        .map(|g| g.num_rows())
        .sum::<i64>();
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    for (field, column) in schema.fields().iter().zip(&mut known.column_statistics) {
        let of_file = shape.spelled.iter().position(|n| n == field.name());
        let of_file = of_file.map(|index| shape.schema.field(index).data_type());
        restrict(
            column,
            footer,
            field.name(),
            field.data_type(),
            of_file,
            rows,
        );
    }
    let columns = known.column_statistics.len();
    let mut file = file.with_statistics(Arc::new(known));
    if let Some(known) = file.statistics.take() {
        file.statistics = Some(Arc::new(of_path(known, columns, &file, rows)));
    }
    file
}

fn restrict(
    column: &mut ColumnStatistics,
    footer: &ParquetMetaData,
    name: &str,
    wanted: &DataType,
    of_file: Option<&DataType>,
    rows: usize,
) {
    let mut keep = ColumnStatistics::new_unknown();
    keep.byte_size = column.byte_size.to_inexact();
    let Some(of_file) = of_file else {
        keep.null_count = Precision::Exact(rows);
        *column = keep;
        return;
    };
    let groups = footer.row_groups();
    let chunks = groups.iter().map(|group| {
        let mut chunks = group.columns().iter();
        chunks.find(|c| matches!(c.column_path().parts(), [only] if only == name))
    });
    let Some(chunks) = chunks.collect::<Option<Vec<_>>>() else {
        // Nested, or repeated.
        *column = keep;
        return;
    };
    let nulls = chunks
        .iter()
        .map(|c| c.statistics().and_then(Chunk::null_count_opt));
    keep.null_count = match nulls.sum::<Option<u64>>() {
        Some(nulls) => Precision::Exact(usize::try_from(nulls).unwrap_or(usize::MAX)),
        None => Precision::Absent,
    };
    let bounded = chunks.iter().all(|chunk| {
        let number = matches!(chunk.column_type(), Physical::INT32 | Physical::INT64);
        number
            && !may_hide_rows(chunk)
            && chunk.statistics().is_some_and(|s| {
                let only_nulls = s.null_count_opt() == u64::try_from(chunk.num_values()).ok();
                only_nulls || (s.min_bytes_opt().is_some() && s.max_bytes_opt().is_some())
            })
    });
    if bounded && of_file == wanted && !wanted.is_floating() {
        keep.min_value = column.min_value.clone().to_inexact();
        keep.max_value = column.max_value.clone().to_inexact();
    }
    *column = keep;
}

/// DataFusion counts no nulls in a column that the path has; `__HIVE_DEFAULT_PARTITION__` is null in every row.
fn of_path(
    known: Arc<Statistics>,
    columns: usize,
    file: &PartitionedFile,
    rows: usize,
) -> Statistics {
    let mut known = Arc::unwrap_or_clone(known);
    let path = known.column_statistics.iter_mut().skip(columns);
    for (column, value) in path.zip(&file.partition_values) {
        if value.is_null() {
            *column = ColumnStatistics::new_unknown();
            column.null_count = Precision::Exact(rows);
        }
    }
    known
}
