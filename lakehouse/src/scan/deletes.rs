//! Rows that other engines deleted by position.

use std::collections::HashMap;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use iceberg::spec::{DataContentType, DataFileFormat, ManifestContentType};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::error::{LakehouseError, Result};
use crate::stores::{ObjectStores, locate};
use crate::table::LakeTable;

/// Store and path of a data file: delete files may spell its URI unlike the table does.
pub(super) type Place = (String, Path);

/// Positions of dead rows by data file, with the sequence number of each delete file.
pub(super) type Deletes = HashMap<Place, Vec<(i64, Vec<u64>)>>;

pub(super) fn place(uri: &str) -> Result<Place> {
    let (store, path) = locate(uri)?;
    Ok((store.as_str().to_owned(), path))
}

/// Reads the position deletes of a table's current snapshot.
///
/// # Errors
/// The table has equality deletes or deletion vectors, which this version does not apply, or a file is unreadable.
pub(super) async fn read(table: &LakeTable, stores: &ObjectStores) -> Result<Deletes> {
    let mut deletes = Deletes::new();
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return Ok(deletes);
    };
    let unreadable = || LakehouseError::metadata(table.name(), "read the manifests");
    let list = table
        .iceberg()
        .manifest_list_reader(snapshot)
        .load()
        .await
        .map_err(unreadable())?;
    for manifest in list.entries() {
        if manifest.content != ManifestContentType::Deletes {
            continue;
        }
        let manifest = manifest
            .load_manifest(table.iceberg().file_io())
            .await
            .map_err(unreadable())?;
        for entry in manifest.entries().iter().filter(|e| e.is_alive()) {
            let unsupported = |feature: &str| LakehouseError::UnsupportedTable {
                table: table.name().clone(),
                feature: feature.to_owned(),
            };
            match (entry.content_type(), entry.data_file().file_format()) {
                (DataContentType::PositionDeletes, DataFileFormat::Parquet) => {}
                (DataContentType::EqualityDeletes, _) => {
                    return Err(unsupported("a table with equality deletes"));
                }
                _ => {
                    return Err(unsupported(
                        "a delete file that is not Parquet (deletion vectors)",
                    ));
                }
            }
            let sequence = entry.sequence_number().unwrap_or(i64::MAX);
            for (file, positions) in positions(table, stores, entry.file_path()).await? {
                deletes
                    .entry(place(&file)?)
                    .or_default()
                    .push((sequence, positions));
            }
        }
    }
    Ok(deletes)
}

async fn positions(
    table: &LakeTable,
    stores: &ObjectStores,
    uri: &str,
) -> Result<HashMap<String, Vec<u64>>> {
    let (_, path, store) = stores.resolve(uri)?;
    let storage = |source| LakehouseError::Storage {
        uri: uri.to_owned(),
        doing: "read",
        source,
    };
    let bytes = store
        .get(&path)
        .await
        .map_err(storage)?
        .bytes()
        .await
        .map_err(storage)?;
    let bad = |reason: String| LakehouseError::UnsupportedTable {
        table: table.name().clone(),
        feature: format!("delete file {uri} ({reason})"),
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|b| b.build())
        .map_err(|e| bad(e.to_string()))?;
    let mut found: HashMap<String, Vec<u64>> = HashMap::new();
    for batch in reader {
        let batch = batch.map_err(|e| bad(e.to_string()))?;
        // Some engines write large strings.
        let column = |name, data_type| {
            batch
                .column_by_name(name)
                .and_then(|c| cast(c, data_type).ok())
        };
        let (file, position) = (
            column("file_path", &DataType::Utf8),
            column("pos", &DataType::Int64),
        );
        let (Some(file), Some(position)) = (file, position) else {
            return Err(bad("it lacks file_path or pos".to_owned()));
        };
        let rows = file
            .as_string::<i32>()
            .iter()
            .zip(position.as_primitive::<Int64Type>());
        for (file, position) in rows.filter_map(|(f, p)| Some((f?, p?))) {
            found
                .entry(file.to_owned())
                .or_default()
                .push(position as u64);
        }
    }
    Ok(found)
}

/// The dead rows of one data file: those of delete files that are not older than it. Ascending, each once.
pub(super) fn dead_rows(deletes: &Deletes, file: &Place, sequence: i64) -> Vec<u64> {
    let of_file = deletes
        .get(file)
        .into_iter()
        .flatten()
        .filter(|(delete, _)| *delete >= sequence);
    let mut dead: Vec<u64> = of_file
        .flat_map(|(_, positions)| positions.iter().copied())
        .collect();
    dead.sort_unstable();
    dead.dedup();
    dead
}

/// The living rows of a file of `rows` rows.
pub(super) fn living(rows: u64, dead: &[u64]) -> RowSelection {
    let mut ranges = vec![];
    let mut start = 0;
    for dead in dead
        .iter()
        .map(|d| *d as usize)
        .filter(|d| *d < rows as usize)
    {
        if dead > start {
            ranges.push(start..dead);
        }
        start = dead + 1;
    }
    if start < rows as usize {
        ranges.push(start..rows as usize);
    }
    RowSelection::from_consecutive_ranges(ranges.into_iter(), rows as usize)
}
