//! Which bounds of a Parquet footer may be believed.

use datafusion::parquet::basic::SortOrder;
use datafusion::parquet::file::metadata::ColumnChunkMetaData;
use datafusion::parquet::file::statistics::Statistics;

/// Whether the statistics of a column in a row group may leave out rows that are there: its nulls are not counted, its
/// bounds were compared in another order than the column's, or the lower one is above the upper one.
pub fn may_hide_rows(chunk: &ColumnChunkMetaData) -> bool {
    let Some(statistics) = chunk.statistics() else {
        return false;
    };
    let bytes = matches!(
        statistics,
        Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_)
    );
    let signed = chunk.column_descr().sort_order() == SortOrder::SIGNED;
    let deprecated = statistics.is_min_max_deprecated() && (bytes || !signed);
    let swapped = match statistics {
        Statistics::Int32(s) if signed => swapped(s.min_opt(), s.max_opt()),
        Statistics::Int64(s) if signed => swapped(s.min_opt(), s.max_opt()),
        Statistics::Int32(s) => swapped(
            s.min_opt().map(|v| *v as u32),
            s.max_opt().map(|v| *v as u32),
        ),
        Statistics::Int64(s) => swapped(
            s.min_opt().map(|v| *v as u64),
            s.max_opt().map(|v| *v as u64),
        ),
        _ => false,
    };
    statistics.null_count_opt().is_none() || deprecated || swapped
}

fn swapped<T: PartialOrd>(min: Option<T>, max: Option<T>) -> bool {
    min.zip(max).is_some_and(|(min, max)| min > max)
}
