//! Reads a table's metadata and manifests, also where the `iceberg` crate does not know a column's type.
//!
//! A column of a type that it does not know stands in the schema as bytes that nobody may read; the others are read.
//! What it would ignore is refused: another format version, an initial default that it cannot parse.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use iceberg::io::FileIO;
use iceberg::spec::{Manifest, ManifestFile, Schema, TableMetadata};
use iceberg::{Error, ErrorKind};
use serde_json::Value;

use crate::error::{LakehouseError, Result};
use retail_api::TableName;

/// What stands in a schema for a type that is not known.
const STAND_IN: &str = "binary";
/// Types of one name; `fixed[…]` and `decimal(…)` have parameters.
const PRIMITIVES: [&str; 14] = [
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "timestamp_ns",
    "timestamptz_ns",
    "string",
    "uuid",
    "binary",
];

/// Columns that are in a table's schema and cannot be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unreadable {
    /// Why, by the column's name.
    pub(crate) columns: BTreeMap<String, String>,
    /// A schema, of now or before, holds stand-ins: it must not be written.
    pub(crate) stand_ins: bool,
}

/// Reads a metadata file.
///
/// # Errors
/// The file cannot be read or is no metadata, or has another format version.
pub(crate) async fn read(
    file_io: &FileIO,
    table: &TableName,
    location: &str,
) -> Result<(TableMetadata, Unreadable)> {
    let failed = || LakehouseError::metadata(table, "read the metadata");
    let file = file_io.new_input(location).map_err(failed())?;
    let bytes = file.read().await.map_err(failed())?;
    let parsed = json(&bytes).map_err(|reason| {
        let text = format!("{location} is no table metadata: {reason}");
        failed()(Error::new(ErrorKind::DataInvalid, text))
    });
    let mut json = parsed?;
    let version = json["format-version"].as_u64();
    if let Some(version) = version.filter(|version| !(1..=3).contains(version)) {
        return Err(LakehouseError::UnsupportedTable {
            table: table.clone(),
            feature: format!("its format version {version} (1 to 3 are)"),
        });
    }
    if let Some(transform) = unknown_transform(&json) {
        return Err(LakehouseError::UnsupportedTable {
            table: table.clone(),
            feature: format!(
                "its transform {transform} of a partition or sort order; have the engine that wrote it replace it"
            ),
        });
    }
    let mut unreadable = Unreadable::default();
    let current = json["current-schema-id"].as_i64();
    let schemas = json["schemas"].as_array_mut();
    for schema in schemas.into_iter().flatten() {
        let columns = stand_in(schema);
        unreadable.stand_ins |= !columns.is_empty();
        if schema["schema-id"].as_i64() == current {
            unreadable.columns = columns;
        }
    }
    // Version 1 repeats the current schema here, or has no other.
    let columns = stand_in(&mut json["schema"]);
    unreadable.stand_ins |= !columns.is_empty();
    unreadable.columns.extend(columns);
    let current = json["schemas"].as_array().and_then(|schemas| {
        let mut schemas = schemas.iter();
        schemas.find(|schema| schema["schema-id"].as_i64() == current)
    });
    let current = current.unwrap_or(&json["schema"]).clone();
    let metadata: TableMetadata = serde_json::from_value(json).map_err(|e| {
        let text = format!("{location} is no table metadata: {e}");
        failed()(Error::new(ErrorKind::DataInvalid, text))
    })?;
    let lost = lost_defaults(&current, metadata.current_schema());
    unreadable.columns.extend(lost);
    Ok((metadata, unreadable))
}

/// The first transform of a partition spec or sort order that is not known: the crate takes the whole file for damaged.
fn unknown_transform(json: &Value) -> Option<&str> {
    const KNOWN: [&str; 7] = [
        "identity", "void", "unknown", "year", "month", "day", "hour",
    ];
    let list = |name| json[name].as_array().into_iter().flatten();
    let fields = list("partition-specs").chain(list("sort-orders"));
    let fields = fields.flat_map(|spec| spec["fields"].as_array().into_iter().flatten());
    let mut transforms = fields
        .chain(list("partition-spec"))
        .filter_map(|field| field["transform"].as_str());
    transforms
        .find(|t| !KNOWN.contains(t) && !t.starts_with("bucket[") && !t.starts_with("truncate["))
}

fn json(bytes: &[u8]) -> std::result::Result<Value, String> {
    let parsed = match bytes {
        [0x1f, 0x8b, ..] => {
            let mut text = Vec::new();
            let mut gzip = GzDecoder::new(bytes);
            gzip.read_to_end(&mut text).map_err(|e| e.to_string())?;
            serde_json::from_slice(&text)
        }
        _ => serde_json::from_slice(bytes),
    };
    parsed.map_err(|e| e.to_string())
}

/// Puts stand-ins into a schema's JSON form; why, by the column's name.
fn stand_in(schema: &mut Value) -> BTreeMap<String, String> {
    let mut unreadable = BTreeMap::new();
    let fields = schema.get_mut("fields").and_then(Value::as_array_mut);
    for field in fields.into_iter().flatten() {
        let name = field["name"].as_str().unwrap_or_default().to_owned();
        if let Some(unknown) = field.get_mut("type").and_then(replace_unknown) {
            unreadable.insert(name, format!("its type {unknown} is not supported"));
        }
    }
    unreadable
}

/// Replaces every unknown type at any depth; the first of them.
fn replace_unknown(data_type: &mut Value) -> Option<String> {
    match data_type {
        Value::String(name) => {
            let known = PRIMITIVES.contains(&name.as_str())
                || name.starts_with("fixed[")
                || name.starts_with("decimal(");
            (!known).then(|| std::mem::replace(name, STAND_IN.to_owned()))
        }
        Value::Object(nested) => {
            let mut first = None;
            for part in ["element", "key", "value"] {
                if let Some(inner) = nested.get_mut(part) {
                    first = first.or(replace_unknown(inner));
                }
            }
            let fields = nested.get_mut("fields").and_then(Value::as_array_mut);
            for field in fields.into_iter().flatten() {
                if let Some(inner) = field.get_mut("type") {
                    first = first.or(replace_unknown(inner));
                }
            }
            first
        }
        _ => None,
    }
}

/// Columns with an initial default, at any depth, that the crate dropped because it could not parse it.
fn lost_defaults(json: &Value, schema: &Schema) -> BTreeMap<String, String> {
    fn lost(json: &Value, schema: &Schema) -> Option<String> {
        let default = json.get("initial-default").filter(|d| !d.is_null());
        let id = json["id"].as_i64().and_then(|id| i32::try_from(id).ok());
        let field = id.and_then(|id| schema.field_by_id(id));
        if let (Some(default), Some(field)) = (default, field)
            && field.initial_default.is_none()
        {
            let text = format!(
                "the initial default {default} of {} is not understood",
                field.name
            );
            return Some(text);
        }
        inside(&json["type"], schema)
    }
    fn inside(data_type: &Value, schema: &Schema) -> Option<String> {
        let fields = data_type["fields"].as_array().into_iter().flatten();
        let mut fields = fields.filter_map(|field| lost(field, schema));
        fields.next().or_else(|| {
            let mut parts = ["element", "key", "value"].into_iter();
            parts.find_map(|part| inside(data_type.get(part)?, schema))
        })
    }
    let fields = json["fields"].as_array().into_iter().flatten();
    let lost = fields.filter_map(|field| {
        let name = field["name"].as_str()?.to_owned();
        Some((name, lost(field, schema)?))
    });
    lost.collect()
}

/// Reads a manifest of a table whose schemas hold stand-ins: the manifest's own schema gets them too.
///
/// The entries' sequence numbers are not filled in from the manifest's.
pub(crate) async fn manifest(file_io: &FileIO, file: &ManifestFile) -> iceberg::Result<Manifest> {
    let bytes = file_io.new_input(&file.manifest_path)?.read().await?;
    let patched = patch_header(&bytes, |schema| {
        let mut schema: Value = serde_json::from_slice(schema).ok()?;
        stand_in(&mut schema);
        serde_json::to_vec(&schema).ok()
    });
    let patched = patched.ok_or_else(|| {
        let text = format!("{} is no manifest", file.manifest_path);
        Error::new(ErrorKind::DataInvalid, text)
    })?;
    Manifest::parse_avro(&patched)
}

/// An Avro file whose header's `schema` is another.
fn patch_header(file: &[u8], change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    const MAGIC: &[u8] = b"Obj\x01";
    let mut rest = file.strip_prefix(MAGIC)?;
    let mut entries: Vec<(&[u8], Vec<u8>)> = vec![];
    loop {
        let mut count = long(&mut rest)?;
        if count == 0 {
            break;
        }
        if count < 0 {
            count = count.checked_neg()?;
            long(&mut rest)?;
        }
        for _ in 0..count {
            let (key, value) = (chunk(&mut rest)?, chunk(&mut rest)?);
            let value = match key {
                b"schema" => change(value)?,
                _ => value.to_vec(),
            };
            entries.push((key, value));
        }
    }
    let mut patched = MAGIC.to_vec();
    put_long(&mut patched, entries.len());
    for (key, value) in &entries {
        put_long(&mut patched, key.len());
        patched.extend_from_slice(key);
        put_long(&mut patched, value.len());
        patched.extend_from_slice(value);
    }
    put_long(&mut patched, 0);
    patched.extend_from_slice(rest);
    Some(patched)
}

/// Avro's variable-length, zigzag-coded integer.
fn long(from: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

fn put_long(to: &mut Vec<u8>, value: usize) {
    let mut rest = (value as u64) << 1;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn chunk<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(long(from)?).ok()?;
    let (chunk, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_types_are_replaced_at_every_depth() {
        let list = json!({"type": "list", "element-id": 4, "element": "variant", "element-required": false});
        let inner = json!({"type": "struct", "fields": [{"id": 3, "name": "v", "required": false, "type": list}]});
        let mut schema = json!({"type": "struct", "fields": [
            {"id": 1, "name": "price", "required": false, "type": "decimal(9, 2)"},
            {"id": 2, "name": "payload", "required": false, "type": inner},
            {"id": 5, "name": "shape", "required": false, "type": "geometry(srid:4326)"},
        ]});
        let unreadable = stand_in(&mut schema);
        let columns: Vec<_> = unreadable.keys().collect();
        assert_eq!(columns, ["payload", "shape"]);
        assert!(unreadable["payload"].contains("variant"));
        assert!(unreadable["shape"].contains("geometry(srid:4326)"));
        assert!(!schema.to_string().contains("variant"), "{schema}");
    }

    #[test]
    fn a_transform_that_nobody_knows_is_named() {
        let spec = |transform: &str| {
            json!({"partition-specs": [{"spec-id": 0, "fields": [
                {"name": "p", "transform": transform, "source-id": 1, "field-id": 1000}]}]})
        };
        assert_eq!(unknown_transform(&spec("zorder[2]")), Some("zorder[2]"));
        for known in ["identity", "void", "bucket[16]", "truncate[4]", "hour"] {
            assert_eq!(unknown_transform(&spec(known)), None, "{known}");
        }
        let sorted =
            json!({"sort-orders": [{"order-id": 1, "fields": [{"transform": "hilbert"}]}]});
        assert_eq!(unknown_transform(&sorted), Some("hilbert"));
        assert_eq!(unknown_transform(&json!({})), None);
    }

    #[test]
    fn a_header_is_patched_and_the_rest_kept() {
        let mut file = b"Obj\x01".to_vec();
        // One block of one entry with its size, as some writers do, and one of two.
        file.extend([1, 24, 12]);
        file.extend(b"schema");
        file.extend([6]);
        file.extend(b"old");
        file.extend([4, 2, b'a', 2, b'b', 2, b'c', 0, 0]);
        file.extend([7; 16]);
        file.extend(b"rows");
        let patched = patch_header(&file, |old| {
            assert_eq!(old, b"old");
            Some(vec![b'n'; 100])
        });
        let patched = patched.unwrap();
        let again = patch_header(&patched, |new| {
            assert_eq!(new, [b'n'; 100]);
            Some(new.to_vec())
        });
        assert_eq!(again.unwrap(), patched);
        assert!(patched.ends_with(b"rows"));
        assert_eq!(patch_header(b"Obj\x01\x02", |s| Some(s.to_vec())), None);
        assert_eq!(patch_header(b"PAR1", |s| Some(s.to_vec())), None);
    }
}
