//! Views: a query's text and its columns under a name in the catalog.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use iceberg::io::FileIO;
use iceberg::spec::{
    Schema, ViewFormatVersion, ViewMetadata, ViewMetadataBuilder, ViewRepresentation,
    ViewRepresentations, ViewVersion,
};
use iceberg::{NamespaceIdent, Result as IcebergResult};
use serde_json::json;
use uuid::Uuid;

use crate::error::{LakehouseError, Result};
use retail_api::TableName;

/// The SQL dialect models are written in, as a view's metadata names it.
const DIALECT: &str = "postgres";
/// First bytes of a compressed metadata file.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// One view at one point in time.
#[derive(Debug, Clone)]
pub struct LakeView {
    name: TableName,
    metadata_location: Arc<str>,
    sql: Arc<str>,
    arrow_schema: SchemaRef,
    metadata: Arc<ViewMetadata>,
}

impl LakeView {
    fn new(name: TableName, metadata_location: &str, metadata: ViewMetadata) -> Result<Self> {
        let sql = sql_of(&metadata).ok_or_else(|| LakehouseError::UnsupportedTable {
            table: name.clone(),
            feature: "a view without an SQL representation".to_owned(),
        })?;
        Ok(Self {
            metadata_location: metadata_location.into(),
            sql: sql.into(),
            arrow_schema: crate::table::schema::arrow_schema(metadata.current_schema())?,
            metadata: Arc::new(metadata),
            name,
        })
    }

    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The query, in our dialect when the view has it, else in the first it has.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What was put beside the query when the view was staged.
    pub fn remembered(&self, key: &str) -> Option<&str> {
        let summary = self.metadata.current_version().summary();
        summary.get(key).map(String::as_str)
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.arrow_schema)
    }

    pub fn metadata_location(&self) -> &str {
        &self.metadata_location
    }
}

/// Reads a view's metadata file.
pub(crate) async fn read(name: &TableName, location: &str, file_io: &FileIO) -> Result<LakeView> {
    let parsed = read_metadata(location, file_io).await;
    let metadata = parsed.map_err(LakehouseError::metadata(name, "read the view metadata"))?;
    LakeView::new(name.clone(), location, metadata)
}

/// Writes a new metadata file: the next version of `base`, or the first of a view at `new_location`.
pub(crate) async fn write(
    name: &TableName,
    base: Option<&LakeView>,
    new_location: &str,
    schema: Schema,
    query: (&str, HashMap<String, String>),
    file_io: &FileIO,
) -> Result<LakeView> {
    let built = build(name, base, new_location, schema, query);
    let metadata = built.map_err(LakehouseError::metadata(name, "build the view metadata"))?;
    let number = base.map_or(0, |view| version_of(&view.metadata_location) + 1);
    let location = format!(
        "{}/metadata/{number:0>5}-{}.metadata.json",
        metadata.location(),
        Uuid::new_v4()
    );
    let written = write_metadata(&metadata, &location, file_io).await;
    written.map_err(LakehouseError::metadata(name, "write the view metadata"))?;
    LakeView::new(name.clone(), &location, metadata)
}

fn build(
    name: &TableName,
    base: Option<&LakeView>,
    new_location: &str,
    schema: Schema,
    query: (&str, HashMap<String, String>),
) -> IcebergResult<ViewMetadata> {
    let (sql, mut summary) = query;
    summary.insert("engine-name".to_owned(), "retail".to_owned());
    let namespace = name.namespace.split('.').map(str::to_owned).collect();
    let representations: ViewRepresentations =
        serde_json::from_value(json!([{ "type": "sql", "sql": sql, "dialect": DIALECT }]))?;
    let version = ViewVersion::builder()
        .with_schema_id(schema.schema_id())
        .with_timestamp_ms(chrono::Utc::now().timestamp_millis())
        .with_summary(summary)
        .with_representations(representations)
        .with_default_namespace(NamespaceIdent::from_vec(namespace)?)
        .build();
    let builder = match base {
        Some(view) => ViewMetadataBuilder::new_from_metadata((*view.metadata).clone())
            .set_current_version(version, schema)?,
        None => ViewMetadataBuilder::new(
            new_location.to_owned(),
            schema,
            version,
            ViewFormatVersion::V1,
            HashMap::new(),
        )?,
    };
    Ok(builder.build()?.metadata)
}

async fn read_metadata(location: &str, file_io: &FileIO) -> IcebergResult<ViewMetadata> {
    let mut bytes = file_io.new_input(location)?.read().await?;
    if bytes.starts_with(GZIP) {
        let mut json = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut json)?;
        bytes = json.into();
    }
    Ok(serde_json::from_slice(&bytes)?)
}

async fn write_metadata(
    metadata: &ViewMetadata,
    location: &str,
    file_io: &FileIO,
) -> IcebergResult<()> {
    let json = serde_json::to_vec(metadata)?;
    file_io.new_output(location)?.write(json.into()).await
}

fn sql_of(metadata: &ViewMetadata) -> Option<&str> {
    let representations = metadata.current_version().representations();
    let queries: Vec<_> = representations
        .iter()
        .map(|ViewRepresentation::Sql(query)| query)
        .collect();
    let ours = queries.iter().find(|query| query.dialect == DIALECT);
    ours.or(queries.first()).map(|query| query.sql.as_str())
}

/// The number a metadata file's name begins with: 3 of `…/metadata/00003-….metadata.json` and of
/// `…/metadata/v3.metadata.json`, 0 if there is none.
pub(crate) fn version_of(metadata_location: &str) -> u32 {
    let file = metadata_location.rsplit('/').next().unwrap_or_default();
    let file = file.strip_prefix('v').unwrap_or(file);
    let end = file.find(|c: char| !c.is_ascii_digit());
    file[..end.unwrap_or(file.len())].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::version_of;

    #[test]
    fn a_version_is_read_from_names_of_other_engines_too() {
        for (name, version) in [
            ("file:///w/t/metadata/00012-0a1b.metadata.json", 12),
            ("s3://b/t/metadata/00003-0a1b.gz.metadata.json", 3),
            ("/w/t/metadata/v7.metadata.json", 7),
            ("/w/t/metadata/current.json", 0),
        ] {
            assert_eq!(version_of(name), version, "{name}");
        }
    }
}
