//! Casts between numbers and from text that round and refuse as PostgreSQL's do.
//!
//! A cast of these kinds is planned as `checked_cast(value, NULL::type)`: the second argument carries the type, so that the
//! call needs nothing beside its arguments on its way to an executor.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, StringArrayType,
};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type,
};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, internal_err};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TryCast, Volatility,
};

use super::arithmetic::sql_name;
use super::decimal::{self, Digits, NoDecimal};

static CAST: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function("checked_cast", false));
static TRY_CAST: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function("checked_try_cast", true));

fn function(name: &'static str, tries: bool) -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::from(CheckedCast {
        name,
        tries,
        signature,
    }))
}

/// The functions of this module.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::clone(&CAST), Arc::clone(&TRY_CAST)]
}

/// The cast that keeps PostgreSQL's rules, if the engine's own does not. `from` is the type of what is cast.
///
/// # Errors
/// The type has no null.
pub fn checked(expr: Expr, from: &DataType) -> Result<Expr> {
    let (value, to, function) = match expr {
        Expr::Cast(Cast { expr, field }) if is_ours(from, field.data_type()) => {
            (expr, field, &CAST)
        }
        Expr::TryCast(TryCast { expr, field }) if is_ours(from, field.data_type()) => {
            (expr, field, &TRY_CAST)
        }
        expr => return Ok(expr),
    };
    let to = Expr::Literal(ScalarValue::try_new_null(to.data_type())?, None);
    Ok(function.call(vec![*value, to]))
}

fn is_ours(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Boolean, Decimal128, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Utf8,
        Utf8View,
    };
    match from {
        Decimal128(..) => matches!(to, Int8 | Int16 | Int32 | Int64),
        Float16 | Float32 | Float64 => {
            matches!(to, Int8 | Int16 | Int32 | Int64 | Decimal128(..))
        }
        Utf8 | LargeUtf8 | Utf8View => matches!(
            to,
            Int8 | Int16 | Int32 | Int64 | Decimal128(..) | Float32 | Float64 | Boolean
        ),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedCast {
    name: &'static str,
    /// NULL where a value cannot be cast.
    tries: bool,
    signature: Signature,
}

impl ScalarUDFImpl for CheckedCast {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Not the name of what is cast, which a column beside it may have.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [value, to] = take_function_args(self.name, args)?;
        let (word, value) = (
            if self.tries { "TRY_CAST" } else { "CAST" },
            value.schema_name(),
        );
        Ok(match to {
            Expr::Literal(to, _) => format!("{word}({value} AS {})", to.data_type()),
            to => format!("{}({value}, {to})", self.name),
        })
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [_, to] = take_function_args(self.name, types)?;
        Ok(to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [value, to] = take_function_args(self.name, args.arg_fields)?;
        let nullable = self.tries || value.is_nullable();
        Ok(Field::new(self.name, to.data_type().clone(), nullable).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, _] = take_function_args(self.name, args.args)?;
        let to = args.return_field.data_type();
        match value {
            ColumnarValue::Array(array) => cast(&array, to, self.tries).map(ColumnarValue::Array),
            ColumnarValue::Scalar(value) => {
                let array = cast(&value.to_array()?, to, self.tries)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                    &array, 0,
                )?))
            }
        }
    }
}

/// Why a value was not cast.
enum Misfit<'a> {
    NotOne(Cow<'a, str>),
    OutOfRange(Cow<'a, str>),
}

type Casted<'a, T> = std::result::Result<T, Misfit<'a>>;

fn cast(array: &ArrayRef, to: &DataType, tries: bool) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Decimal128(p, s) => {
            let (p, s) = (*p, *s);
            let values = array.as_primitive::<Decimal128Type>();
            integers(array, to, tries, |row| {
                let value = values.value(row);
                decimal::rescale(value, s, 0).ok_or_else(|| {
                    Misfit::OutOfRange(
                        ScalarValue::Decimal128(Some(value), p, s)
                            .to_string()
                            .into(),
                    )
                })
            })
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            from_float(
                array,
                to,
                tries,
                |row| values.value(row),
                |v| format!("{v:?}"),
            )
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            from_float(
                array,
                to,
                tries,
                |row| values.value(row),
                |v| format!("{v:?}"),
            )
        }
        DataType::Float16 => {
            let wide = datafusion::arrow::compute::cast(array, &DataType::Float32)?;
            cast(&wide, to, tries)
        }
        DataType::Utf8 => from_text(array, array.as_string::<i32>(), to, tries),
        DataType::LargeUtf8 => from_text(array, array.as_string::<i64>(), to, tries),
        DataType::Utf8View => from_text(array, array.as_string_view(), to, tries),
        from => internal_err!("no checked cast from {from} to {to}"),
    }
}

fn from_float<F: Copy + Into<f64>>(
    array: &ArrayRef,
    to: &DataType,
    tries: bool,
    value: impl Fn(usize) -> F,
    text: impl Fn(F) -> String,
) -> Result<ArrayRef> {
    match to {
        // The shortest text that means this double has the digits that a person wrote.
        DataType::Decimal128(p, s) => decimals(array, (*p, *s), tries, |row| {
            let v = value(row);
            decimal::read(&text(v), (*p, *s)).map_err(|e| match e {
                NoDecimal::NotANumber => Misfit::NotOne(text(v).into()),
                NoDecimal::TooLarge => Misfit::OutOfRange(text(v).into()),
            })
        }),
        to => integers(array, to, tries, |row| {
            let v = value(row);
            let rounded = v.into().round_ties_even();
            // Every finite double in this range is an i128, and far beyond any integer type.
            if rounded.abs() < 1e30 {
                Ok(rounded as i128)
            } else {
                Err(Misfit::OutOfRange(text(v).into()))
            }
        }),
    }
}

fn from_text<'a, S: StringArrayType<'a>>(
    array: &'a ArrayRef,
    texts: S,
    to: &DataType,
    tries: bool,
) -> Result<ArrayRef> {
    let not_one = |text: &'a str| Misfit::NotOne(text.into());
    match to {
        DataType::Decimal128(p, s) => decimals(array, (*p, *s), tries, |row| {
            let text = texts.value(row);
            decimal::read(text, (*p, *s)).map_err(|e| match e {
                NoDecimal::NotANumber => not_one(text),
                NoDecimal::TooLarge => Misfit::OutOfRange(text.into()),
            })
        }),
        DataType::Float64 => primitives::<Float64Type>(array, to, tries, |row| {
            let text = texts.value(row);
            float(text, text.trim().parse::<f64>(), |v| v.is_infinite())
        }),
        DataType::Float32 => primitives::<Float32Type>(array, to, tries, |row| {
            let text = texts.value(row);
            float(text, text.trim().parse::<f32>(), |v| v.is_infinite())
        }),
        DataType::Boolean => {
            let mut out = BooleanArray::builder(array.len());
            for row in 0..array.len() {
                let value = array.is_valid(row).then(|| texts.value(row));
                let value = value.map(|text| boolean(text).ok_or_else(|| not_one(text)));
                out.append_option(settled(value, to, tries)?);
            }
            Ok(Arc::new(out.finish()))
        }
        to => integers(array, to, tries, |row| {
            let text = texts.value(row);
            let digits = text.trim();
            match digits.parse::<i128>() {
                Ok(value) => Ok(value),
                Err(e)
                    if matches!(
                        e.kind(),
                        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow
                    ) =>
                {
                    Err(Misfit::OutOfRange(text.into()))
                }
                Err(_) => Err(not_one(text)),
            }
        }),
    }
}

/// The text `infinity` is infinite; a number too large to hold is out of range.
fn float<'a, F: Copy, E>(
    text: &'a str,
    parsed: std::result::Result<F, E>,
    is_infinite: impl Fn(&F) -> bool,
) -> Casted<'a, F> {
    match parsed {
        Ok(value) if is_infinite(&value) && text.contains(|c: char| c.is_ascii_digit()) => {
            Err(Misfit::OutOfRange(text.into()))
        }
        Ok(value) => Ok(value),
        Err(_) => Err(Misfit::NotOne(text.into())),
    }
}

/// PostgreSQL's words for true and false, and what they may be cut to.
fn boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_lowercase();
    let is = |word: &str, least: usize| text.len() >= least && word.starts_with(text.as_str());
    if text == "1" || is("true", 1) || is("yes", 1) || text == "on" {
        Some(true)
    } else if text == "0" || is("false", 1) || is("no", 1) || is("off", 2) {
        Some(false)
    } else {
        None
    }
}

fn integers<'a>(
    array: &'a ArrayRef,
    to: &DataType,
    tries: bool,
    value: impl Fn(usize) -> Casted<'a, i128>,
) -> Result<ArrayRef> {
    macro_rules! of {
        ($t:ty, $native:ty) => {
            primitives::<$t>(array, to, tries, |row| {
                let value = value(row)?;
                <$native>::try_from(value).map_err(|_| Misfit::OutOfRange(value.to_string().into()))
            })
        };
    }
    match to {
        DataType::Int8 => of!(Int8Type, i8),
        DataType::Int16 => of!(Int16Type, i16),
        DataType::Int32 => of!(Int32Type, i32),
        DataType::Int64 => of!(Int64Type, i64),
        to => internal_err!("{to} is no type of integers"),
    }
}

fn decimals<'a>(
    array: &'a ArrayRef,
    (precision, scale): Digits,
    tries: bool,
    value: impl Fn(usize) -> Casted<'a, i128>,
) -> Result<ArrayRef> {
    let to = DataType::Decimal128(precision, scale);
    primitives::<Decimal128Type>(array, &to, tries, value)
}

fn primitives<'a, T: ArrowPrimitiveType>(
    array: &'a ArrayRef,
    to: &DataType,
    tries: bool,
    value: impl Fn(usize) -> Casted<'a, T::Native>,
) -> Result<ArrayRef> {
    let mut out = PrimitiveArray::<T>::builder(array.len());
    for row in 0..array.len() {
        let value = array.is_valid(row).then(|| value(row));
        out.append_option(settled(value, to, tries)?);
    }
    Ok(Arc::new(out.finish().with_data_type(to.clone())))
}

fn settled<T>(value: Option<Casted<'_, T>>, to: &DataType, tries: bool) -> Result<Option<T>> {
    match value {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) if tries => Ok(None),
        Some(Err(Misfit::NotOne(text))) => {
            let to = sql_name(to);
            exec_err!(
                "cannot cast '{text}' to {to}: it is not a valid {to}; try_cast gives NULL instead"
            )
        }
        Some(Err(Misfit::OutOfRange(text))) => Err(exec_datafusion_err!(
            "cannot cast '{text}' to {}: out of range; cast to a wider type, or try_cast for NULL instead",
            sql_name(to)
        )),
    }
}
