//! SQL types of YAML (`data_type: DECIMAL(12,2)`) as Arrow types, and how a person calls them.

use std::sync::Arc;

use crate::checked_cast::{Fit, fit};
use crate::text_scan::names;
use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType as Sql, ExactNumberInfo, TimezoneInfo,
};
use datafusion::sql::sqlparser::dialect::DuckDbDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// UTC as Iceberg and our files name it.
pub const UTC: &str = "+00:00";

/// Parses a type. Timestamps count microseconds; with a time zone they are UTC. The error is the cause.
///
/// `views` chooses Arrow's string views over plain strings, as the session does for its own.
pub fn parse(text: &str, views: bool) -> Result<DataType, String> {
    let sql = parsed(text)?;
    arrow(&sql, views).ok_or_else(|| {
        let near = retail_api::suggest::did_you_mean(&text.to_uppercase(), KNOWN);
        format!("type {text} is not supported{near}")
    })
}

/// Parses the type of a source's column, which states what its cells may be: the number is that of `VARCHAR(n)`.
///
/// # Errors
/// The text is no type, or promises digits of seconds that nobody would hold cells to.
pub fn of_cells(text: &str, views: bool) -> Result<(DataType, Option<u32>), String> {
    let data_type = parse(text, views)?;
    let sql = parsed(text)?;
    if let Some(digits) = digits_of_seconds(&sql)
        && digits != 6
    {
        return Err(format!(
            "{text} is not supported: times count microseconds, write it without ({digits})"
        ));
    }
    let max_chars = max_chars(&sql).map(u32::try_from).transpose();
    let max_chars = max_chars.map_err(|_| format!("type {text} is not supported"))?;
    Ok((data_type, max_chars))
}

fn parsed(text: &str) -> Result<Sql, String> {
    let unknown = |_| format!("{text} is no SQL type");
    let mut parser = Parser::new(&DuckDbDialect {})
        .try_with_sql(text)
        .map_err(unknown)?;
    let sql = parser.parse_data_type().map_err(unknown)?;
    if parser.peek_token().token != datafusion::sql::sqlparser::tokenizer::Token::EOF {
        return Err(format!("{text} is no SQL type"));
    }
    Ok(sql)
}

/// The p of `TIMESTAMP(p)`.
fn digits_of_seconds(sql: &Sql) -> Option<u64> {
    match sql {
        Sql::Timestamp(digits, _)
        | Sql::Time(digits, _)
        | Sql::Datetime(digits)
        | Sql::TimestampNtz(digits) => *digits,
        Sql::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("timestamptz") => {
            arguments.first().and_then(|a| a.parse().ok())
        }
        _ => None,
    }
}

/// The n of `VARCHAR(n)`.
fn max_chars(sql: &Sql) -> Option<u64> {
    let length = match sql {
        Sql::Varchar(length)
        | Sql::Char(length)
        | Sql::Character(length)
        | Sql::CharacterVarying(length)
        | Sql::CharVarying(length)
        | Sql::Nvarchar(length) => length.as_ref()?,
        Sql::String(length) => return *length,
        _ => return None,
    };
    match length {
        CharacterLength::IntegerLength { length, .. } => Some(*length),
        CharacterLength::Max => None,
    }
}

/// A type within a list or an object, where no length is checked.
fn inner(sql: &Sql, views: bool) -> Option<DataType> {
    match (max_chars(sql), digits_of_seconds(sql)) {
        (None, None | Some(6)) => arrow(sql, views),
        _ => None,
    }
}

const KNOWN: [&str; 14] = [
    "VARCHAR",
    "TEXT",
    "BOOLEAN",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "DECIMAL",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "BYTEA",
];

fn arrow(sql: &Sql, views: bool) -> Option<DataType> {
    Some(match sql {
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::TinyInt(_) => DataType::Int8,
        Sql::SmallInt(_) | Sql::Int2(_) => DataType::Int16,
        Sql::Int(_) | Sql::Integer(_) | Sql::Int4(_) | Sql::Int32 => DataType::Int32,
        Sql::BigInt(_) | Sql::Int8(_) | Sql::Int64 => DataType::Int64,
        Sql::Real | Sql::Float4 => DataType::Float32,
        Sql::Float(_) | Sql::Double(_) | Sql::DoublePrecision | Sql::Float8 | Sql::Float64 => {
            DataType::Float64
        }
        Sql::Decimal(size) | Sql::Numeric(size) | Sql::Dec(size) => decimal(size)?,
        Sql::Date => DataType::Date32,
        Sql::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Time64(TimeUnit::Microsecond)
        }
        Sql::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
        }
        Sql::Timestamp(..) | Sql::Datetime(_) | Sql::TimestampNtz(_) => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        Sql::Varchar(_)
        | Sql::Text
        | Sql::String(_)
        | Sql::Char(_)
        | Sql::Character(_)
        | Sql::CharacterVarying(_)
        | Sql::CharVarying(_)
        | Sql::Nvarchar(_)
        | Sql::Uuid
        | Sql::JSON => string(views),
        Sql::Bytea | Sql::Binary(_) | Sql::Varbinary(_) | Sql::Blob(_) => match views {
            true => DataType::BinaryView,
            false => DataType::Binary,
        },
        Sql::Array(
            ArrayElemTypeDef::SquareBracket(item, _) | ArrayElemTypeDef::AngleBracket(item),
        )
        | Sql::Array(ArrayElemTypeDef::Parenthesis(item)) => list(inner(item, views)?),
        Sql::Struct(fields, _) => {
            let fields: Option<Vec<Field>> = fields
                .iter()
                .map(|f| {
                    Some(Field::new(
                        f.field_name.as_ref()?.value.clone(),
                        inner(&f.field_type, views)?,
                        true,
                    ))
                })
                .collect();
            DataType::Struct(Fields::from(fields?))
        }
        Sql::Custom(name, arguments) => match (
            name.to_string().to_uppercase().as_str(),
            arguments.as_slice(),
        ) {
            ("LIST", [item]) => match of_cells(item, views) {
                Ok((item, None)) => list(item),
                _ => return None,
            },
            ("TIMESTAMPTZ", _) => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            _ => return None,
        },
        _ => return None,
    })
}

fn decimal(size: &ExactNumberInfo) -> Option<DataType> {
    let (precision, scale) = match size {
        ExactNumberInfo::None => (38, 10),
        ExactNumberInfo::Precision(p) => (*p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (*p, *s),
    };
    let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
    ((1..=38).contains(&precision) && (0..=precision as i8).contains(&scale))
        .then_some(DataType::Decimal128(precision, scale))
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// The string type of a session.
pub fn string(views: bool) -> DataType {
    if views {
        DataType::Utf8View
    } else {
        DataType::Utf8
    }
}

/// Whether there are bytes in a type, which no text stands for.
pub fn has_bytes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::BinaryView => true,
        DataType::List(item) => has_bytes(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_bytes(f.data_type())),
        _ => false,
    }
}

/// A type found in files, as tables have it: microseconds, UTC as `+00:00`, no dictionaries, strings of the session.
pub fn normal(found: &DataType, views: bool) -> DataType {
    let field = |f: &Arc<Field>| Arc::new(Field::new(f.name(), normal(f.data_type(), views), true));
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => string(views),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            if views {
                DataType::BinaryView
            } else {
                DataType::Binary
            }
        }
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| UTC.into()))
        }
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Date64 => DataType::Date32,
        DataType::Dictionary(_, value) => normal(value, views),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            DataType::List(field(item))
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}

/// The type of a whole column that was found in files: [`normal`], and one that PostgreSQL has.
///
/// Unsigned integers take the next wider signed type, decimals of other widths are those of 128 bits where their digits
/// fit, half floats are reals, lists of one length are lists.
pub fn of_column(found: &DataType, views: bool) -> DataType {
    match found {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Decimal256(p, s) if *p <= 38 => DataType::Decimal128(*p, *s),
        DataType::Dictionary(_, value) => of_column(value, views),
        DataType::FixedSizeList(item, _) | DataType::LargeListView(item) => {
            list(normal(item.data_type(), views))
        }
        other => normal(other, views),
    }
}

/// Marks a field whose bytes are a UUID.
const UUID: &str = "retail.uuid";

/// The field of a Parquet column of UUIDs, which are read as texts.
pub fn as_uuid(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(UUID.into(), String::new());
    field.clone().with_metadata(metadata)
}

/// Whether the bytes of a column are UUIDs.
pub fn is_uuid(field: &Field) -> bool {
    field.metadata().contains_key(UUID) && *field.data_type() == DataType::FixedSizeBinary(16)
}

/// How values of a Parquet column become those of a table's.
pub fn fit_of(field: &Field, wanted: &DataType) -> Fit {
    match wanted {
        DataType::Utf8 | DataType::Utf8View if is_uuid(field) => Fit::Checked,
        _ => fit(field.data_type(), wanted),
    }
}

/// Text where no file has said a type.
pub fn settled(found: &DataType, views: bool) -> DataType {
    let field = |f: &Arc<Field>| {
        let data_type = settled(f.data_type(), views);
        Arc::new(f.as_ref().clone().with_data_type(data_type))
    };
    match found {
        DataType::Null => string(views),
        DataType::List(item) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}

/// The type that holds values of both, if there is one.
pub fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    if a == b {
        return Some(a.clone());
    }
    if a.is_integer() && b.is_integer() {
        return Some(DataType::Int64);
    }
    if a.is_numeric()
        && b.is_numeric()
        && !matches!(a, DataType::Decimal128(..))
        && !matches!(b, DataType::Decimal128(..))
    {
        return Some(DataType::Float64);
    }
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (DataType::Decimal128(..), whole) if whole.is_integer() => {
            common(a, &DataType::Decimal128(digits(whole), 0))
        }
        (whole, DataType::Decimal128(..)) if whole.is_integer() => {
            common(&DataType::Decimal128(digits(whole), 0), b)
        }
        (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) => {
            let (scale, whole) = ((*s).max(*t), (*p as i8 - s).max(*q as i8 - t));
            let precision = u8::try_from(scale.checked_add(whole)?).ok()?;
            (precision <= 38).then_some(DataType::Decimal128(precision, scale))
        }
        (DataType::Date32, DataType::Timestamp(..)) => Some(b.clone()),
        (DataType::Timestamp(..), DataType::Date32) => Some(a.clone()),
        (DataType::List(x), DataType::List(y)) => Some(list(common(x.data_type(), y.data_type())?)),
        (DataType::Struct(x), DataType::Struct(y)) => {
            let mut fields: Vec<Field> = vec![];
            for field in x {
                let exact = y.iter().find(|f| f.name() == field.name());
                let other = exact.or_else(|| {
                    let mut same = y.iter().filter(|f| names::same(f.name(), field.name()));
                    // Not the one that another field of `x` is.
                    same.find(|f| !x.iter().any(|g| g.name() == f.name()))
                });
                let merged = other.map_or_else(
                    || Some(field.data_type().clone()),
                    |o| common(field.data_type(), o.data_type()),
                )?;
                fields.push(Field::new(field.name(), merged, true));
            }
            let new = y
                .iter()
                .filter(|f| !x.iter().any(|g| names::same(g.name(), f.name())));
            fields.extend(new.map(|f| f.as_ref().clone()));
            Some(DataType::Struct(fields.into()))
        }
        _ => None,
    }
}

/// The digits that an integer type may need.
fn digits(whole: &DataType) -> u8 {
    match whole.primitive_width() {
        Some(1) => 3,
        Some(2) => 5,
        Some(4) => 10,
        _ if *whole == DataType::UInt64 => 20,
        _ => 19,
    }
}

/// The type as YAML would write it.
pub fn sql(found: &DataType) -> String {
    match found {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INTEGER".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float16 | DataType::Float32 => "REAL".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => format!("DECIMAL({p},{s})"),
        DataType::UInt8 => "unsigned TINYINT".into(),
        DataType::UInt16 => "unsigned SMALLINT".into(),
        DataType::UInt32 => "unsigned INTEGER".into(),
        DataType::UInt64 => "unsigned BIGINT".into(),
        DataType::Duration(_) | DataType::Interval(_) => "INTERVAL".into(),
        DataType::FixedSizeBinary(n) => format!("BYTEA of {n} bytes each"),
        DataType::Dictionary(_, value) => sql(value),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let of = |i: usize| sql(fields[i].data_type());
                format!("MAP({}, {})", of(0), of(1))
            }
            _ => "MAP".into(),
        },
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTEA".into(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("{}[]", sql(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|f| format!("{} {}", f.name(), sql(f.data_type())))
                .collect();
            format!("STRUCT({})", fields.join(", "))
        }
        other => other.to_string(),
    }
}
