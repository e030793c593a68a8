//! Accepted values as literals of their column's type.
//!
//! A value that the type cannot hold exactly (16.995 in a column of cents) equals no cell: it is left out rather than
//! rounded to one that does.

use datafusion::arrow::datatypes::DataType;
use serde_json::Value;

use retail_connect::files::types;

/// The SQL literal, or nothing when no cell of this type can equal the value. The error is the cause.
///
/// `wanted` is `None` where the type is not known: then the value stands as it is written. Without `quote`, a text is SQL
/// where it is no number, as in dbt: `lower('PAID')`, `date '2024-01-01'`.
pub(super) fn literal(
    value: &Value,
    quote: bool,
    wanted: Option<&DataType>,
) -> Result<Option<String>, String> {
    let text = written(value);
    let wrong = |what: &str| Err(format!("accepted value {text} is not {what}"));
    let is_constant = || is_number(&text) || is_boolean(&text) || is_date(&text);
    if !quote && value.is_string() && !is_constant() {
        return Ok(Some(format!("({text})")));
    }
    let Some(wanted) = wanted else {
        return Ok(Some(
            match quote || value.is_string() && !is_number(&text) {
                true => quoted(&text),
                false => text,
            },
        ));
    };
    let typed = |kind: &str| Ok(Some(format!("cast({} as {kind})", quoted(&text))));
    match wanted {
        DataType::Boolean => match text.to_lowercase().as_str() {
            word @ ("true" | "false") => Ok(Some(word.to_string())),
            "t" | "1" => Ok(Some("true".into())),
            "f" | "0" => Ok(Some("false".into())),
            _ => wrong("true or false"),
        },
        wanted if wanted.is_integer() => match digits(&text) {
            None => wrong("an integer"),
            Some((sign, whole, fraction)) if fraction.is_empty() && whole.len() <= 19 => {
                Ok(Some(format!("{sign}{whole}")))
            }
            Some(_) => Ok(None),
        },
        DataType::Decimal128(precision, scale) => match digits(&text) {
            None => wrong("a number"),
            Some((sign, whole, fraction)) => {
                let room = i32::from(*precision) - i32::from(*scale);
                let significant = whole.trim_start_matches('0').len();
                let fits = fraction.len() as i32 <= i32::from(*scale) && significant as i32 <= room;
                let number = match fraction.is_empty() {
                    true => format!("{sign}{whole}"),
                    false => format!("{sign}{whole}.{fraction}"),
                };
                Ok(fits.then(|| format!("cast('{number}' as decimal({precision},{scale}))")))
            }
        },
        DataType::Float16 | DataType::Float32 | DataType::Float64 => match text.parse::<f64>() {
            Ok(_) => typed(if matches!(wanted, DataType::Float64) {
                "double"
            } else {
                "real"
            }),
            Err(_) => wrong("a number"),
        },
        DataType::Date32 | DataType::Date64 => match is_date(&text) {
            true => typed("date"),
            false => wrong("a date (yyyy-mm-dd)"),
        },
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => {
            typed(&types::sql(wanted).to_lowercase())
        }
        _ => Ok(Some(quoted(&text))),
    }
}

/// Texts as they are, booleans as Python (and so dbt) writes them.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        other => other.to_string(),
    }
}

fn is_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

fn is_date(text: &str) -> bool {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

fn is_number(text: &str) -> bool {
    digits(text).is_some()
}

/// Sign, digits before the point and digits behind it without trailing zeros; none for what is no plain number.
fn digits(text: &str) -> Option<(&'static str, String, String)> {
    let text = text.trim();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let all = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !all(whole) || !all(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some((
        sign,
        whole.to_string(),
        fraction.trim_end_matches('0').to_string(),
    ))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value, wanted: &DataType) -> Result<Option<String>, String> {
        literal(&value, true, Some(wanted))
    }

    #[test]
    fn a_value_is_a_literal_of_its_columns_type() {
        let money = DataType::Decimal128(12, 2);
        let some = |text: &str| Ok(Some(text.to_string()));
        assert_eq!(
            of(json!(16.99), &money),
            some("cast('16.99' as decimal(12,2))")
        );
        assert_eq!(
            of(json!("16.990"), &money),
            some("cast('16.99' as decimal(12,2))")
        );
        assert_eq!(of(json!(-3), &money), some("cast('-3' as decimal(12,2))"));
        assert_eq!(of(json!(2), &DataType::Int64), some("2"));
        assert_eq!(of(json!("2"), &DataType::Int64), some("2"));
        assert_eq!(of(json!(2.0), &DataType::Int64), some("2"));
        assert_eq!(of(json!("it's"), &DataType::Utf8View), some("'it''s'"));
        assert_eq!(of(json!(true), &DataType::Boolean), some("true"));
    }

    #[test]
    fn a_value_that_the_type_cannot_hold_equals_no_cell() {
        assert_eq!(of(json!("16.995"), &DataType::Decimal128(12, 2)), Ok(None));
        assert_eq!(of(json!(1.5), &DataType::Int64), Ok(None));
        assert!(of(json!("many"), &DataType::Int64).is_err());
        assert!(of(json!("2024-02-30"), &DataType::Date32).is_err());
    }

    #[test]
    fn an_unquoted_text_is_sql() {
        let of = |value| literal(&value, false, Some(&DataType::Utf8View));
        assert_eq!(
            of(json!("lower('PAID')")),
            Ok(Some("(lower('PAID'))".into()))
        );
        assert_eq!(of(json!("'paid'")), Ok(Some("('paid')".into())));
        assert_eq!(of(json!(7)), Ok(Some("'7'".into())));
    }
}
