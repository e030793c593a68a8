//! Where and as what rows of a table are written.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use iceberg::spec::PartitionSpecRef;
use uuid::Uuid;

use crate::config::WriteOptions;
use crate::error::Result;
use crate::table::LakeTable;
use crate::table::partition;
use crate::table::schema;
use retail_api::TableName;

/// Where and as what rows of a table are written, and the table it was decided from.
#[derive(Debug, Clone)]
pub struct WriteTarget {
    base: Option<LakeTable>,
    uuid: Uuid,
    location: String,
    options: WriteOptions,
    arrow: SchemaRef,
    spec: Arc<WriteSpec>,
}

/// What an executor needs to write a table's files.
#[derive(Debug)]
pub(crate) struct WriteSpec {
    pub(crate) table: TableName,
    /// URI of the folder that gets the files.
    pub(crate) data_location: String,
    pub(crate) schema: iceberg::spec::SchemaRef,
    pub(crate) partition: PartitionSpecRef,
    pub(crate) target_file_bytes: u64,
    /// Starts the name of every file of this write.
    pub(crate) write_id: String,
}

impl WriteTarget {
    pub(crate) fn new(
        name: &TableName,
        base: Option<&LakeTable>,
        uuid: Uuid,
        location: String,
        columns: &SchemaRef,
        options: &WriteOptions,
    ) -> Result<Self> {
        let schema = match base {
            Some(base) => {
                let metadata = base.metadata();
                schema::evolved_schema(
                    name,
                    metadata.current_schema(),
                    metadata.last_column_id(),
                    columns,
                )?
            }
            None => schema::new_schema(name, columns)?,
        };
        let partition = partition::spec(name, base, &schema, &options.partition_by)?;
        let arrow = schema::arrow_schema(&schema)?;
        let spec = WriteSpec {
            table: name.clone(),
            data_location: format!("{location}/data"),
            schema: schema.into(),
            partition: partition.into(),
            target_file_bytes: options.target_file_bytes,
            write_id: Uuid::now_v7().simple().to_string(),
        };
        Ok(Self {
            base: base.cloned(),
            uuid,
            location,
            options: options.clone(),
            arrow,
            spec: Arc::new(spec),
        })
    }

    /// The same write on another version of its table; none when that is laid out differently.
    pub(crate) fn rebased(&self, base: &LakeTable) -> Option<Self> {
        let (old, new) = (self.base.as_ref()?.metadata(), base.metadata());
        let same = old.uuid() == new.uuid()
            && old.location() == new.location()
            && old.last_column_id() == new.last_column_id()
            && old.current_schema().as_struct() == new.current_schema().as_struct()
            && old.default_partition_spec() == new.default_partition_spec();
        same.then(|| Self {
            base: Some(base.clone()),
            ..self.clone()
        })
    }

    /// Where to find files that this write made and no table refers to, as a pattern.
    pub fn orphans(&self) -> String {
        format!(
            "{}/**/{}-*.parquet",
            self.spec.data_location, self.spec.write_id
        )
    }

    /// The table's columns as they will be, with field ids.
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::clone(&self.arrow)
    }

    pub(crate) fn write_spec(&self) -> &Arc<WriteSpec> {
        &self.spec
    }

    pub(crate) fn name(&self) -> &TableName {
        &self.spec.table
    }

    pub(crate) fn base(&self) -> Option<&LakeTable> {
        self.base.as_ref()
    }

    pub(crate) fn uuid(&self) -> Uuid {
        self.uuid
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    pub(crate) fn schema(&self) -> &iceberg::spec::SchemaRef {
        &self.spec.schema
    }

    pub(crate) fn spec(&self) -> &PartitionSpecRef {
        &self.spec.partition
    }

    pub(crate) fn options(&self) -> &WriteOptions {
        &self.options
    }
}
