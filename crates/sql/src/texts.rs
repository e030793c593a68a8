//! Where a text meets a number, a time or a boolean: a text that is written out is read as the other's type, as PostgreSQL
//! reads it; the values of a column are not, they are refused until a cast names the type.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::logical_plan::Union;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};

use retail_functions::decimal::MAX_DIGITS;
use retail_functions::type_name;

/// Functions of texts that the engine also applies to the digits of a number.
const OF_TEXT: [&str; 9] = [
    "character_length",
    "octet_length",
    "bit_length",
    "left",
    "right",
    "lpad",
    "rpad",
    "reverse",
    "repeat",
];

/// Types that have a common one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Moment,
    Boolean,
    Interval,
}

fn kind(t: &DataType) -> Option<Kind> {
    Some(match t {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        t if t.is_numeric() => Kind::Number,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Kind::Moment,
        DataType::Boolean => Kind::Boolean,
        DataType::Interval(_) | DataType::Duration(_) => Kind::Interval,
        _ => return None,
    })
}

/// The values that `what`, such as CASE, chooses from, with texts that are written out in the type of the others.
///
/// # Errors
/// The values are of kinds that have no common type.
pub(super) fn alike(exprs: Vec<Expr>, schema: &DFSchema, what: &str) -> Result<Vec<Expr>> {
    let types = exprs
        .iter()
        .map(|e| e.get_type(schema))
        .collect::<Result<Vec<_>>>()?;
    let Some(target) = target(&types) else {
        return Ok(exprs);
    };
    let mut out = vec![];
    for (expr, t) in exprs.into_iter().zip(&types) {
        if kind(t) == kind(&target) || *t == DataType::Null {
            out.push(expr);
            continue;
        }
        match literal(&expr) {
            Some(text) => out.push(read(text, &target)),
            None => {
                return plan_err!(
                    "{what} gives {} and {}: they have no common type; cast one of them, such as cast({expr} AS {})",
                    type_name(&target),
                    type_name(t),
                    type_name(&target)
                );
            }
        }
    }
    Ok(out)
}

/// Refuses to compare a day with a number, which the engine takes for days since 1970.
///
/// # Errors
/// The types are of both kinds.
pub(super) fn comparable(types: &[DataType]) -> Result<()> {
    let of = |wanted: Kind| types.iter().find(|t| kind(t) == Some(wanted));
    match (of(Kind::Moment), of(Kind::Number)) {
        (Some(moment), Some(number)) => plan_err!(
            "{} and {} cannot be compared; compare a day with a day, such as date '2024-03-01', or a part of it with a number, \
             such as extract(year from x)",
            type_name(moment),
            type_name(number)
        ),
        _ => Ok(()),
    }
}

/// The type that the others are read as; `None` where all are of one kind, or some of a kind that is left to the engine.
fn target(types: &[DataType]) -> Option<DataType> {
    let mut target: Option<&DataType> = None;
    let mut mixed = false;
    for t in types.iter().filter(|t| **t != DataType::Null) {
        let of = kind(t)?;
        match target {
            None => target = Some(t),
            Some(known) => {
                mixed |= kind(known) != Some(of);
                let wider = kind(known) == Some(of) && width(t) > width(known);
                if of != Kind::Text && (wider || kind(known) == Some(Kind::Text)) {
                    target = Some(t);
                }
            }
        }
    }
    target.filter(|_| mixed).cloned()
}

/// Which of two types of one kind holds the values of both.
fn width(t: &DataType) -> u8 {
    match t {
        DataType::Timestamp(..) => 1,
        t if t.is_floating() => 6,
        t if t.is_decimal() => 5,
        DataType::Int64 | DataType::UInt64 => 4,
        DataType::Int32 | DataType::UInt32 => 3,
        t if t.is_integer() => 2,
        _ => 0,
    }
}

/// The text of a literal.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}

/// A text as a value of a type. What is no such value is reported when the cast is evaluated.
pub(super) fn read(text: &str, t: &DataType) -> Expr {
    let to = match t {
        t if t.is_decimal() => match own_digits(text) {
            Some(own) => return own,
            None => DataType::Decimal128(MAX_DIGITS, 10),
        },
        t => t.clone(),
    };
    let text = Expr::Literal(ScalarValue::Utf8(Some(text.to_owned())), None);
    Expr::Cast(Cast::new(Box::new(text), to))
}

/// `'1.50'` as a decimal of two digits after the point.
fn own_digits(text: &str) -> Option<Expr> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let precision = u8::try_from(all.len()).ok().filter(|p| *p <= MAX_DIGITS)?;
    let scale = i8::try_from(fraction.len()).ok()?;
    let value = all.parse::<i128>().ok()? * sign;
    Some(Expr::Literal(
        ScalarValue::Decimal128(Some(value), precision, scale),
        None,
    ))
}

/// The inputs of a UNION with columns that have a common type.
///
/// # Errors
/// Two queries give kinds of values that have none.
pub(super) fn union_alike(mut union: Union) -> Result<Union> {
    for column in 0..union.schema.fields().len() {
        let types: Vec<DataType> = union
            .inputs
            .iter()
            .filter_map(|input| input.schema().fields().get(column))
            .map(|field| field.data_type().clone())
            .collect();
        let Some(target) = target(&types) else {
            continue;
        };
        let inputs = std::mem::take(&mut union.inputs);
        union.inputs = inputs
            .into_iter()
            .map(|input| read_column(input, column, &target))
            .collect::<Result<_>>()?;
        // The engine counts the types of the union itself among those of its inputs.
        let fields = union
            .schema
            .iter()
            .enumerate()
            .map(|(i, (relation, field))| {
                let field = if i == column {
                    Arc::new(field.as_ref().clone().with_data_type(target.clone()))
                } else {
                    Arc::clone(field)
                };
                (relation.cloned(), field)
            });
        let metadata = union.schema.metadata().clone();
        union.schema = Arc::new(DFSchema::new_with_metadata(fields.collect(), metadata)?);
    }
    Ok(union)
}

fn read_column(
    input: Arc<LogicalPlan>,
    column: usize,
    target: &DataType,
) -> Result<Arc<LogicalPlan>> {
    let t = input.schema().field(column).data_type().clone();
    if kind(&t) == kind(target) || t == DataType::Null {
        return Ok(input);
    }
    let written = match input.as_ref() {
        LogicalPlan::Projection(projection) => projection.expr.get(column).and_then(literal),
        _ => None,
    };
    let Some(text) = written else {
        return plan_err!(
            "column {} of a UNION is {} in one query and {} in another; cast one of them, such as cast({} AS {})",
            column + 1,
            type_name(target),
            type_name(&t),
            input.schema().field(column).name(),
            type_name(target)
        );
    };
    let value = read(text, target);
    let columns: Vec<Expr> = input
        .schema()
        .iter()
        .enumerate()
        .map(|(i, (relation, field))| {
            if i == column {
                value
                    .clone()
                    .alias_qualified(relation.cloned(), field.name())
            } else {
                Expr::from((relation, field))
            }
        })
        .collect();
    let plan = LogicalPlanBuilder::from(input).project(columns)?.build()?;
    Ok(Arc::new(plan))
}

/// Refuses a function of texts that gets none.
///
/// # Errors
/// It gets a number, a time or a boolean, with the cast to write.
pub(super) fn check_call(name: &str, args: &[Expr], schema: &DFSchema) -> Result<()> {
    let (true, Some(first)) = (OF_TEXT.contains(&name), args.first()) else {
        return Ok(());
    };
    let t = first.get_type(schema)?;
    if matches!(kind(&t), None | Some(Kind::Text)) {
        return Ok(());
    }
    let name = if name == "character_length" {
        "length"
    } else {
        name
    };
    plan_err!(
        "{name} takes a text, and {first} is {}; write {name}(cast({first} AS varchar)…)",
        type_name(&t)
    )
}

#[cfg(test)]
mod tests {
    use crate::tests::check;

    #[tokio::test]
    async fn a_text_that_is_written_out_is_read_as_what_it_meets() {
        check(&[
            (
                "select '5' + 2, 10 - '3', price * '2' from t where x = 1",
                "7 7 17.10",
            ),
            ("select 2.5 + '1.25', 1e0 + '0.5'", "3.75 1.5"),
            ("select date '2024-03-01' - '2024-02-28'", "2"),
            ("select '2024-03-01' - date '2024-02-28'", "2"),
            (
                "select case when x = 1 then '5' else y end from t order by y",
                "10 | 5 | 30 | 40",
            ),
            (
                "select case when x = 1 then 'no' else true end from t order by y",
                "true | false | true | true",
            ),
            ("select coalesce(x, '7') from t order by y", "0 | 1 | 2 | 7"),
            (
                "select coalesce(price, '8.125') from t order by y",
                "129.990 | 8.550 | -2.500 | 8.125",
            ),
            (
                "select x from t where x = 1 union all select '2' order by 1",
                "1 | 2",
            ),
            (
                "select price from t where x = 1 union all select '1.125' order by 1",
                "1.125 | 8.550",
            ),
            (
                "select null union select 1 union select null order by 1",
                "1 | NULL",
            ),
        ])
        .await;
    }

    #[tokio::test]
    async fn a_text_that_may_be_anything_is_no_number() {
        check(&[
            ("select 'a' + 1", "error: cannot cast 'a' to bigint"),
            ("select '1.5' + 1", "error: cannot cast '1.5' to bigint"),
            ("select 1 union select 'a'", "error: cannot cast 'a' to bigint"),
            ("select x from t union all select word from t", "error: column 1 of a UNION is integer in one query and varchar in another; cast one of them"),
            ("select date '2024-01-01' union select 5", "error: column 1 of a UNION is date in one query and bigint in another"),
            ("select case when x = 1 then word else y end from t", "error: CASE gives bigint and varchar: they have no common type; cast one of them"),
            ("select case when x = 1 then 'n/a' else y end from t", "error: cannot cast 'n/a' to bigint"),
            ("select case when 1 then 2 end", "error: CASE WHEN takes a condition, and Int64(1) is bigint"),
            ("select coalesce(y, word) from t", "error: coalesce gives bigint and varchar"),
            ("select coalesce(x, 'a') from t", "error: cannot cast 'a' to integer"),
            ("select length(123)", "error: length takes a text, and Int64(123) is bigint; write length(cast(Int64(123) AS varchar)…)"),
            ("select lpad(x, 3, '0') from t", "error: lpad takes a text, and t.x is integer"),
        ])
        .await;
    }
}
