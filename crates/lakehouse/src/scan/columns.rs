//! Finds a table's fields in a file, and decides what becomes of their values: pure, by schemas alone.
//!
//! Iceberg table spec, "Column Projection": a field is found by its id at every depth; a field of the file without
//! an id by the table's name mapping; one that is in neither has the partition's value, its initial default, or is
//! null, and a required one without any of these is an error.

use std::collections::HashMap;
use std::fmt;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::common::ScalarValue;
use iceberg::spec::{MappedField, NameMapping, NestedField, SchemaRef, Type};

use super::values::{self, Constants};
use crate::table::schema::FIELD_ID;
use retail_api::TableName;

/// What a scan must know of its table beside the arrow schema.
#[derive(Debug)]
pub(crate) struct TableColumns {
    pub(crate) table: TableName,
    pub(crate) schema: SchemaRef,
    /// `schema.name-mapping.default`
    pub(crate) mapping: Option<NameMapping>,
}

/// How a column's values come out of a file's column, or in place of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// The file has them as the table does.
    Same,
    /// Every value of the file's type is one of the table's.
    Cast(DataType),
    /// Digits below the table's unit must be zero.
    CastWholeUnits(DataType),
    Struct(Fields, Vec<Child>),
    List(FieldRef, Box<Step>),
    /// The entries' field, and the steps of keys and values.
    Map(FieldRef, Box<Step>, Box<Step>),
}

/// How a struct's field comes out of the file's struct.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Child {
    /// From the child at a position of the file's struct.
    From(usize, Step),
    /// The same value in every row.
    Constant(ScalarValue),
}

/// Why a column cannot be read from a file.
#[derive(Debug, PartialEq)]
pub(super) struct Unreadable {
    /// The column's name, or a path to a field in it.
    pub(super) column: String,
    pub(super) reason: String,
}

impl Unreadable {
    fn new(column: &str, reason: impl Into<String>) -> Self {
        Self {
            column: column.to_owned(),
            reason: reason.into(),
        }
    }

    fn within(mut self, parent: &str) -> Self {
        self.column = format!("{parent}.{}", self.column);
        self
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.column, self.reason)
    }
}

/// A name mapping at one level of the schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Names<'a>(Vec<&'a MappedField>);

impl<'a> Names<'a> {
    pub(super) fn of(mapping: Option<&'a NameMapping>) -> Self {
        Self(mapping.map_or_else(Vec::new, |mapping| mapping.fields().iter().collect()))
    }

    fn id_of(&self, name: &str) -> Option<i32> {
        let mut named = self.0.iter();
        named
            .find(|field| field.names().iter().any(|n| n == name))
            .and_then(|field| field.field_id())
    }

    /// The mapping of what is inside the field of this id.
    fn inside(&self, id: i32) -> Self {
        let field = self.0.iter().find(|field| field.field_id() == Some(id));
        Self(field.map_or_else(Vec::new, |field| {
            field.fields().iter().map(AsRef::as_ref).collect()
        }))
    }
}

/// The file's fields by the ids that they have, or that the mapping gives them.
///
/// # Errors
/// Two fields stand for one id.
pub(super) fn by_id(fields: &Fields, names: &Names) -> Result<HashMap<i32, usize>, Unreadable> {
    let mut found: HashMap<i32, usize> = HashMap::with_capacity(fields.len());
    for (position, field) in fields.iter().enumerate() {
        let Some(id) = id_of(field).or_else(|| names.id_of(field.name())) else {
            continue;
        };
        if let Some(other) = found.insert(id, position) {
            let reason = format!(
                "it and {} both stand for field {id} of the table; no value can be chosen between them",
                fields[other].name()
            );
            return Err(Unreadable::new(field.name(), reason));
        }
    }
    Ok(found)
}

fn id_of(field: &Field) -> Option<i32> {
    field.metadata().get(FIELD_ID)?.parse().ok()
}

/// Whether any field of a file has an id of its own, at any depth.
pub(super) fn has_ids(fields: &Fields) -> bool {
    fields.iter().any(|field| {
        id_of(field).is_some()
            || match field.data_type() {
                DataType::Struct(fields) => has_ids(fields),
                DataType::List(inner)
                | DataType::LargeList(inner)
                | DataType::FixedSizeList(inner, _)
                | DataType::Map(inner, _) => has_ids(&Fields::from(vec![inner.as_ref().clone()])),
                _ => false,
            }
    })
}

/// The value of a field that a file does not have: the partition's, its initial default, or null.
pub(super) fn missing(
    field: &NestedField,
    wanted: &DataType,
    constants: &Constants,
) -> Result<ScalarValue, Unreadable> {
    values::missing(field, wanted, constants).map_err(|e| Unreadable::new(&field.name, e))
}

/// How values of `field`, which arrow calls `wanted`, come out of the file's field `have`.
///
/// `names` is the mapping at the level of the field.
pub(super) fn step(
    field: &NestedField,
    wanted: &DataType,
    have: &DataType,
    names: &Names,
    constants: &Constants,
) -> Result<Step, Unreadable> {
    let names = names.inside(field.id);
    match (field.field_type.as_ref(), wanted) {
        (Type::Struct(inner), DataType::Struct(wanted)) => {
            let DataType::Struct(have) = have else {
                return Err(mismatch(field, wanted_name(field), have));
            };
            let found = by_id(have, &names).map_err(|e| e.within(&field.name))?;
            let children = inner.fields().iter().zip(wanted).map(|(child, wanted)| {
                Ok(match found.get(&child.id) {
                    Some(position) => {
                        let have = have[*position].data_type();
                        let step = step(child, wanted.data_type(), have, &names, constants)?;
                        Child::From(*position, step)
                    }
                    None => Child::Constant(missing(child, wanted.data_type(), constants)?),
                })
            });
            let children: Result<_, Unreadable> = children.collect();
            let children = children.map_err(|e| e.within(&field.name))?;
            Ok(Step::Struct(wanted.clone(), children))
        }
        (Type::List(list), DataType::List(wanted)) => {
            let (DataType::List(have)
            | DataType::LargeList(have)
            | DataType::FixedSizeList(have, _)) = have
            else {
                return Err(mismatch(field, wanted_name(field), have));
            };
            let inner = part(field, &list.element_field, wanted, have, &names, constants)?;
            Ok(Step::List(FieldRef::clone(wanted), Box::new(inner)))
        }
        (Type::Map(map), DataType::Map(wanted, _)) => {
            let (DataType::Map(have, _), DataType::Struct(wanted_pair)) =
                (have, wanted.data_type())
            else {
                return Err(mismatch(field, wanted_name(field), have));
            };
            let DataType::Struct(have_pair) = have.data_type() else {
                return Err(mismatch(field, wanted_name(field), have.data_type()));
            };
            let ([wanted_key, wanted_value], [key, value]) =
                (wanted_pair.as_ref(), have_pair.as_ref())
            else {
                return Err(mismatch(field, wanted_name(field), have.data_type()));
            };
            let keys = part(field, &map.key_field, wanted_key, key, &names, constants)?;
            let values = part(
                field,
                &map.value_field,
                wanted_value,
                value,
                &names,
                constants,
            )?;
            Ok(Step::Map(
                FieldRef::clone(wanted),
                Box::new(keys),
                Box::new(values),
            ))
        }
        (Type::Primitive(_), _) => {
            primitive(wanted, have).ok_or_else(|| mismatch(field, wanted_name(field), have))
        }
        _ => Err(mismatch(field, wanted_name(field), have)),
    }
}

/// A list's elements, a map's keys or values: there is one of each, whatever the file calls it.
fn part(
    parent: &NestedField,
    field: &NestedField,
    wanted: &Field,
    have: &Field,
    names: &Names,
    constants: &Constants,
) -> Result<Step, Unreadable> {
    let inner = match id_of(have).filter(|id| *id != field.id) {
        Some(id) => Err(Unreadable::new(
            &field.name,
            format!(
                "it is field {id} in the file and field {} in the table",
                field.id
            ),
        )),
        None => step(
            field,
            wanted.data_type(),
            have.data_type(),
            names,
            constants,
        ),
    };
    inner.map_err(|e| e.within(&parent.name))
}

fn wanted_name(field: &NestedField) -> String {
    match field.field_type.as_ref() {
        Type::Primitive(primitive) => primitive.to_string(),
        Type::Struct(_) => "struct".to_owned(),
        Type::List(_) => "list".to_owned(),
        Type::Map(_) => "map".to_owned(),
    }
}

fn mismatch(field: &NestedField, wanted: String, have: &DataType) -> Unreadable {
    let reason = format!(
        "it is {wanted} in the table and {have} in the file, which Iceberg does not promote; \
         rewrite the file with the engine that owns the table"
    );
    Unreadable::new(&field.name, reason)
}

/// Iceberg's promotions, and the ways in which Parquet writers spell one type.
fn primitive(wanted: &DataType, have: &DataType) -> Option<Step> {
    use DataType as D;
    let cast = || Some(Step::Cast(wanted.clone()));
    if wanted == have {
        return Some(Step::Same);
    }
    match (wanted, have) {
        (_, D::Dictionary(_, values)) => match primitive(wanted, values)? {
            Step::Same | Step::Cast(_) => cast(),
            _ => None,
        },
        (D::Int32, D::Int8 | D::Int16 | D::UInt8 | D::UInt16) => cast(),
        (D::Int64, D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16 | D::UInt32) => cast(),
        (D::Float32, D::Float16) | (D::Float64, D::Float16 | D::Float32) => cast(),
        (
            D::Decimal128(precision, scale),
            D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) | D::Decimal256(p, s),
        ) if s == scale && p <= precision => cast(),
        // Promoted by format version 3: midnight of the day.
        (D::Timestamp(_, None), D::Date32) => cast(),
        (D::Date32, D::Date64) => cast(),
        (D::Timestamp(unit, zone), D::Timestamp(other, file_zone))
            if zone.is_some() == file_zone.is_some() =>
        {
            match finer(other, unit) {
                true => Some(Step::CastWholeUnits(wanted.clone())),
                false => cast(),
            }
        }
        (D::Time64(TimeUnit::Microsecond), D::Time32(_)) => cast(),
        (D::Time64(TimeUnit::Microsecond), D::Time64(_)) => {
            Some(Step::CastWholeUnits(wanted.clone()))
        }
        (D::Utf8, D::LargeUtf8 | D::Utf8View | D::Binary | D::LargeBinary | D::BinaryView) => {
            cast()
        }
        (D::Binary, D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_)) => cast(),
        _ => None,
    }
}

fn finer(unit: &TimeUnit, than: &TimeUnit) -> bool {
    values::per_second(unit) > values::per_second(than)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use iceberg::spec::{PrimitiveType, StructType};

    use super::*;

    fn field(name: &str, id: Option<i32>, data_type: DataType) -> Field {
        let field = Field::new(name, data_type, true);
        match id {
            Some(id) => field.with_metadata(HashMap::from([(FIELD_ID.to_owned(), id.to_string())])),
            None => field,
        }
    }

    fn place(inner: Vec<NestedField>) -> NestedField {
        let inner = inner.into_iter().map(Arc::new).collect();
        NestedField::optional(1, "place", Type::Struct(StructType::new(inner)))
    }

    fn text(id: i32, name: &str) -> NestedField {
        NestedField::optional(id, name, Type::Primitive(PrimitiveType::String))
    }

    #[test]
    fn a_nested_field_is_not_another_of_its_name() {
        let table = place(vec![text(3, "city")]);
        let wanted = DataType::Struct(vec![field("city", Some(3), DataType::Utf8)].into());
        let have = DataType::Struct(vec![field("city", Some(2), DataType::Utf8)].into());
        let Ok(Step::Struct(_, children)) = step(&table, &wanted, &have, &Names::default(), &[])
        else {
            panic!("no struct")
        };
        assert_eq!(children, [Child::Constant(ScalarValue::Utf8(None))]);
    }

    #[test]
    fn types_that_are_no_promotion_are_refused_with_the_path() {
        let table = place(vec![text(2, "city")]);
        let wanted = DataType::Struct(vec![field("city", Some(2), DataType::Utf8)].into());
        let have = DataType::Struct(vec![field("town", Some(2), DataType::Int32)].into());
        let error = step(&table, &wanted, &have, &Names::default(), &[]).unwrap_err();
        assert_eq!(error.column, "place.city");
        assert!(error.reason.contains("string in the table"), "{error}");
        for (wanted, have) in [
            (DataType::Int32, DataType::Int64),
            (DataType::Float32, DataType::Float64),
            (DataType::Float64, DataType::Int32),
            (DataType::Decimal128(5, 2), DataType::Decimal128(6, 2)),
            (DataType::Decimal128(9, 3), DataType::Decimal128(5, 2)),
            (
                DataType::Timestamp(TimeUnit::Microsecond, None),
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ),
            (
                DataType::Date32,
                DataType::Timestamp(TimeUnit::Microsecond, None),
            ),
        ] {
            assert_eq!(primitive(&wanted, &have), None, "{have} to {wanted}");
        }
    }

    #[test]
    fn two_columns_for_one_field_are_refused() {
        let mapping = NameMapping::new(vec![MappedField::new(
            Some(4),
            vec!["a".to_owned(), "b".to_owned()],
            vec![],
        )]);
        let fields = Fields::from(vec![
            field("a", None, DataType::Int32),
            field("b", None, DataType::Int32),
        ]);
        let error = by_id(&fields, &Names::of(Some(&mapping))).unwrap_err();
        assert_eq!(error.column, "b");
        assert!(error.reason.contains("a both stand for field 4"), "{error}");
    }
}
