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
        let mut schema = crate::schema::new_schema(name, columns)?;
        if let Some(base) = base {
            use iceberg::spec::{NestedField, PrimitiveType, Type};
            let mut last = base.metadata().last_column_id();
            let old = base.metadata().current_schema();
            let fields: Vec<_> = schema.as_struct().fields().iter().map(|f| {
                let same = old.field_by_name(&f.name).filter(|o| {
                    o.field_type == f.field_type
                        || (*o.field_type == Type::Primitive(PrimitiveType::Int) && *f.field_type == Type::Primitive(PrimitiveType::Long))
                });
                let id = same.map_or_else(|| { last += 1; last }, |o| o.id);
                std::sync::Arc::new(NestedField::new(id, &f.name, (*f.field_type).clone(), f.required))
            }).collect();
            schema = iceberg::spec::Schema::builder().with_fields(fields).build().map_err(crate::LakehouseError::metadata(name, "x"))?;
        }
        let mut b = PartitionSpec::builder(schema.clone()).with_spec_id(base.map_or(0, |b| b.metadata().default_partition_spec_id()));
        for p in &options.partition_by {
            b = b.add_partition_field(p, p, iceberg::spec::Transform::Identity).map_err(crate::LakehouseError::metadata(name, "x"))?;
        }
        let mut spec = b.build().map_err(crate::LakehouseError::metadata(name, "x"))?;
        if let Some(base) = base && let Some(same) = base.metadata().partition_specs_iter().find(|s| s.is_compatible_with(&spec)) {
            spec = same.as_ref().clone();
        }
        Ok(Self {
            name: name.clone(),
            base: base.cloned(),
            uuid,
            location,
            schema: schema.into(),
            spec: spec.into(),
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
