//! What a write returns: one row per data file.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result as DfResult;
use iceberg::spec::{
    DataFile, FormatVersion, deserialize_data_file_from_json, serialize_data_file_to_json,
};

use super::target::{WriteSpec, WriteTarget};
use crate::error::{LakehouseError, Result};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("file", DataType::Utf8, false),
        Field::new("rows", DataType::Int64, false),
        Field::new("bytes", DataType::Int64, false),
    ]))
});

/// `file`: the data file in Iceberg's JSON form; `rows`; `bytes`.
pub fn write_result_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// The data files that a write made: [`data_files`] returns them, [`crate::Lakehouse::stage`] takes them.
#[derive(Debug, Clone, Default)]
pub struct DataFiles(pub(crate) Vec<DataFile>);

impl DataFiles {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rows in all of them.
    pub fn rows(&self) -> u64 {
        self.0.iter().map(DataFile::record_count).sum()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(DataFile::file_size_in_bytes).sum()
    }
}

/// One finished file.
#[derive(Debug)]
pub(super) struct WrittenFile {
    pub(super) json: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl WrittenFile {
    pub(super) fn new(spec: &WriteSpec, file: DataFile) -> Result<Self> {
        let (rows, bytes) = (file.record_count(), file.file_size_in_bytes());
        let types = spec.partition.partition_type(&spec.schema);
        let types = types.map_err(LakehouseError::metadata(
            &spec.table,
            "name the partition types",
        ))?;
        let json = serialize_data_file_to_json(file, &types, FormatVersion::V2);
        let json = json.map_err(LakehouseError::metadata(
            &spec.table,
            "describe a data file",
        ))?;
        Ok(Self { json, rows, bytes })
    }
}

pub(super) fn file_rows(files: &[WrittenFile]) -> DfResult<RecordBatch> {
    let json = StringArray::from_iter_values(files.iter().map(|f| f.json.as_str()));
    let rows = Int64Array::from_iter_values(files.iter().map(|f| f.rows as i64));
    let bytes = Int64Array::from_iter_values(files.iter().map(|f| f.bytes as i64));
    Ok(RecordBatch::try_new(
        write_result_schema(),
        vec![Arc::new(json), Arc::new(rows), Arc::new(bytes)],
    )?)
}

/// The files that the rows of a finished write describe.
///
/// # Errors
/// The rows are not those of a write, or not of this target.
pub fn data_files(target: &WriteTarget, rows: &[RecordBatch]) -> Result<DataFiles> {
    let spec = target.write_spec();
    let bad = |reason: &str| LakehouseError::DataFiles {
        table: spec.table.clone(),
        reason: reason.to_owned(),
    };
    let types = spec.partition.partition_type(&spec.schema);
    let types = types.map_err(LakehouseError::metadata(
        &spec.table,
        "name the partition types",
    ))?;
    let mut files = vec![];
    for batch in rows {
        let json = batch
            .column_by_name("file")
            .and_then(|c| c.as_string_opt::<i32>());
        let json = json.ok_or_else(|| bad("the write returned rows without a file column"))?;
        for text in json.iter().flatten() {
            if !text.contains(&spec.write_id) {
                return Err(bad("the write returned a file of another write"));
            }
            let file = deserialize_data_file_from_json(
                text,
                spec.partition.spec_id(),
                &types,
                &spec.schema,
            );
            files.push(file.map_err(LakehouseError::metadata(
                &spec.table,
                "read the description of a data file",
            ))?);
        }
    }
    Ok(DataFiles(files))
}
