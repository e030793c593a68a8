//! The table's metadata with the columns and partition fields of a write, before its snapshot.

use std::collections::HashMap;

use iceberg::spec::{
    FormatVersion, PartitionSpec, Schema, SortOrder, TableMetadata, TableMetadataBuilder,
};
use iceberg::{Result, TableCreation};

use crate::table::LakeTable;
use crate::write::WriteTarget;

/// Properties a new table gets unless the write sets them.
const DEFAULTS: [(&str, &str); 1] = [("write.parquet.compression-codec", "zstd")];
const TARGET_FILE_BYTES: &str = "write.target-file-size-bytes";

/// A builder on the base's metadata, or on that of a new table.
pub(super) fn evolve(target: &WriteTarget) -> Result<TableMetadataBuilder> {
    let schema: Schema = target.schema().as_ref().clone();
    let spec: PartitionSpec = target.spec().as_ref().clone();
    match target.base() {
        Some(base) => existing(base, schema, spec, target),
        None => new(schema, spec, target),
    }
}

fn new(schema: Schema, spec: PartitionSpec, target: &WriteTarget) -> Result<TableMetadataBuilder> {
    let defaults = DEFAULTS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut properties = HashMap::from(defaults);
    let options = target.options();
    let bytes = options.target_file_bytes.to_string();
    properties.insert(TARGET_FILE_BYTES.to_owned(), bytes);
    properties.extend(options.properties.clone());
    let creation = TableCreation::builder()
        .name(target.name().name.clone())
        .location(target.location().to_owned())
        .schema(schema)
        .partition_spec(spec.into_unbound())
        .properties(properties)
        .format_version(FormatVersion::V2)
        .build();
    Ok(TableMetadataBuilder::from_table_creation(creation)?.assign_uuid(target.uuid()))
}

fn existing(
    base: &LakeTable,
    schema: Schema,
    spec: PartitionSpec,
    target: &WriteTarget,
) -> Result<TableMetadataBuilder> {
    let metadata = base.metadata();
    let unsorted = !sort_order_fits(metadata, &schema);
    let location = base.metadata_location().to_owned();
    let mut builder = metadata.clone().into_builder(Some(location));
    builder = builder
        .add_current_schema(schema)?
        .add_default_partition_spec(spec.into_unbound())?;
    if unsorted {
        builder = builder
            .add_sort_order(SortOrder::unsorted_order())?
            .set_default_sort_order(i64::from(TableMetadataBuilder::LAST_ADDED))?;
    }
    let changed = target.options().properties.iter();
    let changed = changed.filter(|(key, value)| metadata.properties().get(*key) != Some(*value));
    builder.set_properties(changed.map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// Whether every column another engine sorts the table by is still there.
fn sort_order_fits(metadata: &TableMetadata, schema: &Schema) -> bool {
    let fields = &metadata.default_sort_order().fields;
    let mut sources = fields.iter().map(|field| field.source_id);
    sources.all(|id| schema.field_by_id(id).is_some())
}
