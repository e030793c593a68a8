//! Rows that other engines deleted by position: files of positions, and deletion vectors.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use flate2::Crc;
use iceberg::spec::{DataFile, DataFileFormat, ManifestEntryRef};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use roaring::RoaringTreemap;

use super::snapshot::unsupported;
use crate::error::{LakehouseError, Result};
use crate::table::LakeTable;
use retail_storage::{ObjectStores, locate};

/// Store and path of a data file: delete files may spell its URI unlike the table does.
pub(super) type Place = (String, Path);

/// Positions of deleted rows by data file, with the sequence number of each delete file.
pub(super) type Deletes = HashMap<Place, Vec<(i64, Vec<u64>)>>;

pub(super) fn place(uri: &str) -> Result<Place> {
    let (store, path) = locate(uri)?;
    Ok((store.as_str().to_owned(), path))
}

/// Reads delete files and deletion vectors.
///
/// # Errors
/// A file is unreadable or damaged.
pub(super) async fn read(
    table: &LakeTable,
    stores: &ObjectStores,
    entries: &[(i64, ManifestEntryRef)],
) -> Result<Deletes> {
    let mut deletes = Deletes::new();
    for (sequence, entry) in entries {
        let file = entry.data_file();
        let found = match file.file_format() {
            DataFileFormat::Puffin => vector(table, stores, file).await?,
            _ => positions(table, stores, file.file_path()).await?,
        };
        for (file, positions) in found {
            deletes
                .entry(place(&file)?)
                .or_default()
                .push((*sequence, positions));
        }
    }
    Ok(deletes)
}

fn damaged(table: &LakeTable, uri: &str, reason: impl std::fmt::Display) -> LakehouseError {
    unsupported(table, format!("delete file {uri} ({reason})"))
}

fn cannot_read(uri: &str) -> impl FnOnce(object_store::Error) -> LakehouseError {
    let uri = uri.to_owned();
    move |source| LakehouseError::Storage {
        uri,
        doing: "read",
        source,
    }
}

async fn positions(
    table: &LakeTable,
    stores: &ObjectStores,
    uri: &str,
) -> Result<HashMap<String, Vec<u64>>> {
    let (_, path, store) = stores.resolve(uri)?;
    let got = store.get(&path).await.map_err(cannot_read(uri))?;
    let bytes = got.bytes().await.map_err(cannot_read(uri))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|b| b.build())
        .map_err(|e| damaged(table, uri, e))?;
    let mut found: HashMap<String, Vec<u64>> = HashMap::new();
    for batch in reader {
        let batch = batch.map_err(|e| damaged(table, uri, e))?;
        // Some engines write large strings.
        let column = |name, data_type| {
            let column = batch.column_by_name(name)?;
            cast(column, data_type).ok().filter(|c| c.null_count() == 0)
        };
        let (file, position) = (
            column("file_path", &DataType::Utf8),
            column("pos", &DataType::Int64),
        );
        let (Some(file), Some(position)) = (file, position) else {
            let reason = "it lacks file_path or pos in some row";
            return Err(damaged(table, uri, reason));
        };
        let files = file.as_string::<i32>().iter().flatten();
        for (file, position) in files.zip(position.as_primitive::<Int64Type>().values()) {
            let position = u64::try_from(*position)
                .map_err(|_| damaged(table, uri, format!("position {position}")))?;
            match found.get_mut(file) {
                Some(positions) => positions.push(position),
                None => {
                    found.insert(file.to_owned(), vec![position]);
                }
            }
        }
    }
    Ok(found)
}

/// Reads the deletion vector of one data file, which is a blob of a Puffin file.
async fn vector(
    table: &LakeTable,
    stores: &ObjectStores,
    file: &DataFile,
) -> Result<HashMap<String, Vec<u64>>> {
    let uri = file.file_path();
    let range = file.content_offset().zip(file.content_size_in_bytes());
    let range = range.and_then(|(offset, size)| {
        let start = u64::try_from(offset).ok()?;
        Some(start..start.checked_add(u64::try_from(size).ok()?)?)
    });
    let (Some(range), Some(data_file)) = (range, file.referenced_data_file()) else {
        let reason = "its manifest does not say where in it the deletion vector of which file is";
        return Err(damaged(table, uri, reason));
    };
    let (_, path, store) = stores.resolve(uri)?;
    let blob = store.get_range(&path, range).await;
    let positions = decode_vector(&blob.map_err(cannot_read(uri))?);
    let positions = positions.map_err(|reason| damaged(table, uri, reason))?;
    if positions.len() as u64 != file.record_count() {
        let reason = format!(
            "{} positions where its manifest has {}",
            positions.len(),
            file.record_count()
        );
        return Err(damaged(table, uri, reason));
    }
    Ok(HashMap::from([(data_file, positions)]))
}

/// `deletion-vector-v1` of the Puffin specification: length, magic, 64-bit Roaring bitmap, checksum.
fn decode_vector(blob: &[u8]) -> std::result::Result<Vec<u64>, String> {
    const MAGIC: [u8; 4] = [0xd1, 0xd3, 0x39, 0x64];
    let bytes = |at: usize| -> Option<[u8; 4]> { blob.get(at..at + 4)?.try_into().ok() };
    let length = bytes(0).map(|length| u32::from_be_bytes(length) as usize);
    let length = length.filter(|length| Some(length + 8) == Some(blob.len()) && *length >= 4);
    let (Some(length), Some(MAGIC)) = (length, bytes(4)) else {
        return Err("it is no deletion vector of version 1".to_owned());
    };
    let (content, checksum) = (&blob[4..4 + length], bytes(4 + length));
    let mut crc = Crc::new();
    crc.update(content);
    if checksum.map(u32::from_be_bytes) != Some(crc.sum()) {
        return Err("its checksum is wrong".to_owned());
    }
    let bitmap = RoaringTreemap::deserialize_from(&content[4..]).map_err(|e| e.to_string())?;
    Ok(bitmap.into_iter().collect())
}

/// The deleted rows of one data file of `rows` rows: those of delete files that are not older than it. Ascending, each
/// once.
pub(super) fn deleted_rows(deletes: &Deletes, file: &Place, sequence: i64, rows: u64) -> Vec<u64> {
    let of_file = deletes
        .get(file)
        .into_iter()
        .flatten()
        .filter(|(delete, _)| *delete >= sequence);
    let mut deleted: Vec<u64> = of_file
        .flat_map(|(_, positions)| positions.iter().copied())
        .filter(|position| *position < rows)
        .collect();
    deleted.sort_unstable();
    deleted.dedup();
    deleted
}

/// The live rows of a file of `rows` rows.
pub(super) fn live_rows(rows: u64, deleted: &[u64]) -> RowSelection {
    let mut ranges = vec![];
    let mut start = 0;
    for position in deleted
        .iter()
        .map(|d| *d as usize)
        .filter(|d| *d < rows as usize)
    {
        if position > start {
            ranges.push(start..position);
        }
        start = position + 1;
    }
    if start < rows as usize {
        ranges.push(start..rows as usize);
    }
    RowSelection::from_consecutive_ranges(ranges.into_iter(), rows as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(positions: &[u64]) -> Vec<u8> {
        let mut content = vec![0xd1, 0xd3, 0x39, 0x64];
        let bitmap: RoaringTreemap = positions.iter().copied().collect();
        bitmap.serialize_into(&mut content).unwrap();
        let mut crc = Crc::new();
        crc.update(&content);
        let mut blob = (content.len() as u32).to_be_bytes().to_vec();
        blob.extend(&content);
        blob.extend(crc.sum().to_be_bytes());
        blob
    }

    #[test]
    fn a_deletion_vector_is_read_whole_or_refused() {
        let positions = [0, 7, 65_536, 1 << 33];
        let blob = blob(&positions);
        assert_eq!(decode_vector(&blob).unwrap(), positions);
        for at in 0..blob.len() {
            let mut damaged = blob.clone();
            damaged[at] ^= 1;
            assert!(decode_vector(&damaged).is_err(), "byte {at}");
        }
        assert!(decode_vector(&blob[..blob.len() - 1]).is_err());
        assert!(decode_vector(&[]).is_err());
    }
}
