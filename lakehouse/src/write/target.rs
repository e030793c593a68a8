//! Where and as what rows of a table are written.

use datafusion::arrow::datatypes::SchemaRef;
use iceberg::spec::{PartitionSpec, PartitionSpecRef};
use uuid::Uuid;

use crate::config::WriteOptions;
use crate::error::Result;
use crate::name::TableName;
use crate::table::LakeTable;

/// Where and as what rows of a table are written.
#[derive(Debug, Clone)]
pub struct WriteTarget {
    name: TableName,
    base: Option<LakeTable>,
    uuid: Uuid,
    location: String,
    schema: iceberg::spec::SchemaRef,
    spec: PartitionSpecRef,
    options: WriteOptions,
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
        Ok(Self {
            name: name.clone(),
            base: base.cloned(),
            uuid,
            location,
            schema: crate::schema::new_schema(name, columns)?.into(),
            spec: PartitionSpec::unpartition_spec().into(),
            options: options.clone(),
        })
    }

    pub(crate) fn name(&self) -> &TableName {
        &self.name
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
        &self.schema
    }

    pub(crate) fn spec(&self) -> &PartitionSpecRef {
        &self.spec
    }

    pub(crate) fn options(&self) -> &WriteOptions {
        &self.options
    }
}
