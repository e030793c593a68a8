//! Arrow types to Iceberg types and back.
//!
//! | Arrow | Iceberg |
//! |---|---|
//! | Boolean, Float32, Float64, Date32, Binary | boolean, float, double, date, binary |
//! | Int8, Int16, Int32, UInt8, UInt16 | int |
//! | Int64, UInt32 | long |
//! | UInt64 | decimal(20, 0) |
//! | Utf8, LargeUtf8, Utf8View, dictionaries of them | string |
//! | Timestamp without / with zone | timestamp / timestamptz, microseconds |
//! | Struct, List, Map | struct, list, map |

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Schema as ArrowSchema, SchemaRef, TimeUnit,
};
use iceberg::spec::{
    ListType, Literal, MapType, NestedField, NestedFieldRef, PrimitiveLiteral, PrimitiveType,
    Schema, StructType, Type,
};

use crate::error::{LakehouseError, Result};
use retail_api::TableName;

/// Where Parquet readers and writers find a field's id.
pub(crate) const FIELD_ID: &str = "PARQUET:field_id";

/// What Arrow calls UTC in Parquet files that every engine reads alike.
pub(crate) const UTC: &str = "+00:00";

/// The columns of an Iceberg schema as arrow, each with its field id.
pub(crate) fn arrow_schema(schema: &Schema) -> Result<SchemaRef> {
    Ok(Arc::new(ArrowSchema::new(arrow_fields(schema.as_struct()))))
}

/// Columns as queries see them: without field ids. Plans compare the metadata of fields that have one name, and those
/// of a union's branches or a CASE's have different ids.
pub(crate) fn without_ids(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| strip(field));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

fn strip(field: &Field) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| strip(f)).collect()),
        DataType::List(element) => DataType::List(strip(element)),
        DataType::Map(entries, sorted) => DataType::Map(strip(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

/// Columns as an Iceberg schema of something new: field ids from 1, the columns first, then what is in them.
///
/// Every column is optional: whether a query's column can be null is an estimate that changes with the plan.
pub(crate) fn new_schema(table: &TableName, columns: &SchemaRef) -> Result<Schema> {
    let mut ids = Ids {
        next: columns.fields().len() as i32 + 1,
    };
    let mut fields = vec![];
    for (index, column) in columns.fields().iter().enumerate() {
        let data_type = iceberg_type(table, column.name(), column.data_type(), &mut ids)?;
        fields.push(Arc::new(NestedField::optional(
            index as i32 + 1,
            column.name(),
            data_type,
        )));
    }
    build(table, fields)
}

/// The schema of a table that is written again: a column that keeps its name keeps its field ids if one of its two
/// types can be widened to the other, and then has the wider one. A query whose type happens to be narrower must not
/// take the column from older rows.
pub(crate) fn evolved_schema(
    table: &TableName,
    base: &Schema,
    last_id: i32,
    columns: &SchemaRef,
) -> Result<Schema> {
    let mut ids = Ids { next: last_id + 1 };
    let mut fields = vec![];
    for column in columns.fields() {
        let mut probe = Ids { next: 0 };
        let wanted = iceberg_type(table, column.name(), column.data_type(), &mut probe)?;
        let old = base.as_struct().field_by_name(column.name());
        let kept = old.and_then(|old| Some((old, wider(&old.field_type, &wanted)?)));
        fields.push(match kept {
            Some((old, data_type)) => {
                let mut field = with_type(old, data_type);
                field.required = false;
                Arc::new(field)
            }
            None => {
                let id = ids.take();
                let data_type = iceberg_type(table, column.name(), column.data_type(), &mut ids)?;
                Arc::new(NestedField::optional(id, column.name(), data_type))
            }
        });
    }
    build(table, fields)
}

fn build(table: &TableName, fields: Vec<NestedFieldRef>) -> Result<Schema> {
    if let Some(name) = same_path(&fields) {
        return Err(LakehouseError::SamePath {
            table: table.clone(),
            name,
        });
    }
    let schema = Schema::builder().with_fields(fields).build();
    schema.map_err(LakehouseError::metadata(table, "build the schema"))
}

/// A column `a.b` beside a column `a` that has a field `b`: Iceberg finds both by one name.
fn same_path(fields: &[NestedFieldRef]) -> Option<String> {
    fn inside(path: &str, data_type: &Type, name: &str) -> bool {
        match data_type {
            Type::Struct(fields) => fields.fields().iter().any(|field| {
                let path = format!("{path}.{}", field.name);
                path == name || (name.starts_with(&path) && inside(&path, &field.field_type, name))
            }),
            _ => false,
        }
    }
    let dotted = fields.iter().filter(|field| field.name.contains('.'));
    let mut names = dotted.map(|field| &field.name);
    names
        .find(|name| {
            let mut others = fields.iter().filter(|other| other.name != **name);
            others.any(|other| inside(&other.name, &other.field_type, name))
        })
        .cloned()
}

/// The type that holds the values of both, with the ids of the old one; none where the two do not go together.
/// Old files can be read as it: it is the old type or one that Iceberg allows to promote it to.
fn wider(old: &Type, new: &Type) -> Option<Type> {
    use PrimitiveType as P;
    let field = |old: &NestedFieldRef, new: &NestedFieldRef| {
        let wider = wider(&old.field_type, &new.field_type)?;
        Some(Arc::new(with_type(old, wider)))
    };
    Some(match (old, new) {
        (Type::Primitive(old), Type::Primitive(new)) => Type::Primitive(match (old, new) {
            (P::Int, P::Long) | (P::Long, P::Int) => P::Long,
            (P::Float, P::Double) | (P::Double, P::Float) => P::Double,
            (
                P::Decimal {
                    precision: a,
                    scale: s,
                },
                P::Decimal {
                    precision: b,
                    scale: t,
                },
            ) if s == t => P::Decimal {
                precision: *a.max(b),
                scale: *s,
            },
            (old, new) if old == new => old.clone(),
            _ => return None,
        }),
        (Type::List(old), Type::List(new)) => Type::List(ListType::new(field(
            &old.element_field,
            &new.element_field,
        )?)),
        (Type::Map(old), Type::Map(new)) => Type::Map(MapType::new(
            field(&old.key_field, &new.key_field)?,
            field(&old.value_field, &new.value_field)?,
        )),
        (Type::Struct(old), Type::Struct(new)) if old.fields().len() == new.fields().len() => {
            let pairs = old.fields().iter().zip(new.fields());
            let fields =
                pairs.map(|(old, new)| (old.name == new.name).then(|| field(old, new)).flatten());
            Type::Struct(StructType::new(fields.collect::<Option<Vec<_>>>()?))
        }
        _ => return None,
    })
}

/// The field with a type that it can be promoted to. Its defaults stay: older files are read by them.
fn with_type(old: &NestedField, data_type: Type) -> NestedField {
    use PrimitiveLiteral as L;
    let promoted = |default: &Option<Literal>| {
        let default = default.clone()?;
        Some(match (default, &data_type) {
            (Literal::Primitive(L::Int(v)), Type::Primitive(PrimitiveType::Long)) => {
                Literal::long(v)
            }
            (Literal::Primitive(L::Float(v)), Type::Primitive(PrimitiveType::Double)) => {
                Literal::double(f64::from(v.0))
            }
            (default, _) => default,
        })
    };
    NestedField {
        initial_default: promoted(&old.initial_default),
        write_default: promoted(&old.write_default),
        field_type: Box::new(data_type),
        ..old.clone()
    }
}

struct Ids {
    next: i32,
}

impl Ids {
    fn take(&mut self) -> i32 {
        let id = self.next;
        self.next += 1;
        id
    }
}

fn iceberg_type(
    table: &TableName,
    column: &str,
    data_type: &DataType,
    ids: &mut Ids,
) -> Result<Type> {
    use PrimitiveType as P;
    let primitive = match data_type {
        DataType::Boolean => P::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            P::Int
        }
        DataType::Int64 | DataType::UInt32 => P::Long,
        DataType::UInt64 => P::Decimal {
            precision: 20,
            scale: 0,
        },
        DataType::Float16 | DataType::Float32 => P::Float,
        DataType::Float64 => P::Double,
        DataType::Date32 | DataType::Date64 => P::Date,
        DataType::Time32(_) | DataType::Time64(_) => P::Time,
        DataType::Timestamp(_, None) => P::Timestamp,
        DataType::Timestamp(_, Some(_)) => P::Timestamptz,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => P::String,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => P::Binary,
        DataType::FixedSizeBinary(16) => P::Uuid,
        DataType::FixedSizeBinary(n) => P::Fixed(*n as u64),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s)
            if *s >= 0 =>
        {
            P::Decimal {
                precision: u32::from(*p),
                scale: *s as u32,
            }
        }
        DataType::Dictionary(_, values) => return iceberg_type(table, column, values, ids),
        DataType::List(element) | DataType::LargeList(element) | DataType::ListView(element) => {
            let id = ids.take();
            let inner = iceberg_type(table, column, element.data_type(), ids)?;
            return Ok(Type::List(ListType::new(Arc::new(
                NestedField::list_element(id, inner, false),
            ))));
        }
        DataType::Struct(fields) if fields.is_empty() => {
            return Err(unsupported(table, column, data_type));
        }
        DataType::Struct(fields) => {
            let first = fields.iter().map(|_| ids.take()).collect::<Vec<_>>();
            let mut nested = vec![];
            for (field, id) in fields.iter().zip(first) {
                let inner = iceberg_type(
                    table,
                    &format!("{column}.{}", field.name()),
                    field.data_type(),
                    ids,
                )?;
                nested.push(Arc::new(NestedField::optional(id, field.name(), inner)));
            }
            return Ok(Type::Struct(StructType::new(nested)));
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(unsupported(table, column, data_type));
            };
            let [key, value] = pair.as_ref() else {
                return Err(unsupported(table, column, data_type));
            };
            let (key_id, value_id) = (ids.take(), ids.take());
            let key = iceberg_type(table, column, key.data_type(), ids)?;
            let value = iceberg_type(table, column, value.data_type(), ids)?;
            return Ok(Type::Map(MapType::new(
                Arc::new(NestedField::map_key_element(key_id, key)),
                Arc::new(NestedField::map_value_element(value_id, value, false)),
            )));
        }
        other => return Err(unsupported(table, column, other)),
    };
    Ok(Type::Primitive(primitive))
}

fn unsupported(table: &TableName, column: &str, data_type: &DataType) -> LakehouseError {
    let hint = match data_type {
        DataType::Null => "cast it to the type it should have",
        DataType::Interval(_) | DataType::Duration(_) => "store a number of days or seconds",
        DataType::Struct(_) => "it is an object without fields; leave it out",
        _ => "cast it to a type that has a counterpart, such as text or a decimal",
    };
    LakehouseError::UnsupportedType {
        table: table.clone(),
        column: column.to_owned(),
        data_type: data_type.to_string(),
        hint: hint.to_owned(),
    }
}

fn arrow_fields(fields: &StructType) -> Fields {
    fields
        .fields()
        .iter()
        .map(|field| arrow_field(field, &field.name))
        .collect()
}

fn arrow_field(field: &NestedField, name: &str) -> FieldRef {
    let id = HashMap::from([(FIELD_ID.to_owned(), field.id.to_string())]);
    Arc::new(Field::new(name, arrow_type(&field.field_type), !field.required).with_metadata(id))
}

fn arrow_type(data_type: &Type) -> DataType {
    match data_type {
        Type::Primitive(primitive) => arrow_primitive(primitive),
        Type::Struct(fields) => DataType::Struct(arrow_fields(fields)),
        Type::List(list) => DataType::List(arrow_field(&list.element_field, "element")),
        Type::Map(map) => {
            let pair = vec![
                arrow_field(&map.key_field, "key"),
                arrow_field(&map.value_field, "value"),
            ];
            DataType::Map(
                Arc::new(Field::new(
                    "key_value",
                    DataType::Struct(pair.into()),
                    false,
                )),
                false,
            )
        }
    }
}

/// The arrow type of an Iceberg primitive.
pub(crate) fn arrow_primitive(primitive: &PrimitiveType) -> DataType {
    use PrimitiveType as P;
    match primitive {
        P::Boolean => DataType::Boolean,
        P::Int => DataType::Int32,
        P::Long => DataType::Int64,
        P::Float => DataType::Float32,
        P::Double => DataType::Float64,
        P::Date => DataType::Date32,
        P::Time => DataType::Time64(TimeUnit::Microsecond),
        P::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        P::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        P::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, None),
        P::TimestamptzNs => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
        P::String => DataType::Utf8,
        P::Uuid => DataType::FixedSizeBinary(16),
        P::Fixed(n) => DataType::FixedSizeBinary(*n as i32),
        P::Binary => DataType::Binary,
        P::Decimal { precision, scale } => DataType::Decimal128(*precision as u8, *scale as i8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_iceberg_cannot_hold_or_distinguish_are_named() {
        let table = TableName {
            namespace: "marts".into(),
            name: "t".into(),
        };
        let int = |name: &str| Field::new(name, DataType::Int32, true);
        let object = |name: &str, inside: Vec<Field>| {
            Field::new(name, DataType::Struct(inside.into()), true)
        };
        let outcome = |columns: Vec<Field>| {
            let made = new_schema(&table, &Arc::new(ArrowSchema::new(columns)));
            made.map_or_else(|error| error.to_string(), |_| "made".to_string())
        };
        let same = "table marts.t has a column a.b.c and a field inside of another column that is called the same, which an \
                    iceberg table cannot distinguish: rename one";
        let deep = object("a", vec![object("b", vec![int("c")])]);
        assert_eq!(outcome(vec![int("a.b.c"), deep.clone()]), same);
        assert_eq!(outcome(vec![deep, int("a.c"), int("a.b.d")]), "made");
        assert!(
            outcome(vec![object("p", vec![])])
                .ends_with("it is an object without fields; leave it out")
        );
    }
}
