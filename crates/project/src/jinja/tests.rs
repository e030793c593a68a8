//! Jinja's tests: `x is defined`.

use super::ast::Op;
use super::error::Error;
use super::interp::Interp;
use super::ops;
use super::value::{Arguments, Host, Number, Value};

const NAMES: [&str; 37] = [
    "boolean",
    "callable",
    "containing",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
    "None",
    "True",
    "False",
    "escaped",
];

pub(super) fn test(
    interp: &mut Interp<'_>,
    name: &str,
    value: &Value,
    mut args: Arguments,
) -> Result<bool, Error> {
    let int = || match value.number() {
        Some(Number::Int(n)) => Ok(n),
        _ => Err(Error::unplaced(format!(
            "{name} needs a whole number, not {}",
            value.kind()
        ))),
    };
    let op = match name {
        "defined" => return Ok(!value.is_undefined()),
        "undefined" => return Ok(value.is_undefined()),
        "none" | "None" => return Ok(matches!(value, Value::None)),
        "true" | "True" => return Ok(matches!(value, Value::Bool(true))),
        "false" | "False" => return Ok(matches!(value, Value::Bool(false))),
        "boolean" => return Ok(matches!(value, Value::Bool(_))),
        "integer" => return Ok(matches!(value, Value::Int(_))),
        "float" => return Ok(matches!(value, Value::Float(_))),
        "number" => return Ok(value.number().is_some()),
        "string" => return Ok(matches!(value, Value::Str(_))),
        "mapping" => return Ok(matches!(value, Value::Dict(_) | Value::Namespace(_))),
        "sequence" | "iterable" => {
            let iterable = matches!(
                value,
                Value::Str(_)
                    | Value::List(_)
                    | Value::Tuple(_)
                    | Value::Dict(_)
                    | Value::Set(_)
                    | Value::Range(_)
            );
            return Ok(iterable || (name == "iterable" && value.is_undefined()));
        }
        "callable" => {
            return Ok(matches!(
                value,
                Value::Function(_) | Value::Macro(_) | Value::Method(_)
            ));
        }
        "even" => return Ok(int()? % 2 == 0),
        "odd" => return Ok(int()? % 2 != 0),
        "upper" | "lower" => {
            let text = value.printed().map_err(Error::unplaced)?;
            let has = |test: fn(char) -> bool| text.chars().any(test);
            return Ok(match name {
                "upper" => has(char::is_uppercase) && !has(char::is_lowercase),
                _ => has(char::is_lowercase) && !has(char::is_uppercase),
            });
        }
        "escaped" => return Ok(false),
        "divisibleby" => {
            let by = args.need(0, "a number", name)?;
            return match by {
                Value::Int(0) => Err(Error::unplaced("division by zero")),
                Value::Int(by) => Ok(int()?.checked_rem(by).unwrap_or(0) == 0),
                other => Err(Error::unplaced(format!(
                    "divisibleby needs a whole number, not {}",
                    other.kind()
                ))),
            };
        }
        "sameas" => {
            let other = args.need(0, "a value", name)?;
            return Ok(
                std::mem::discriminant(value) == std::mem::discriminant(&other)
                    && value.equals(&other),
            );
        }
        "containing" => {
            let item = args.need(0, "a value", name)?;
            return ops::contains(value, &item, interp.budget());
        }
        "in" => Op::In,
        "eq" | "equalto" | "==" => Op::Eq,
        "ne" | "!=" => Op::Ne,
        "lt" | "lessthan" | "<" => Op::Lt,
        "le" | "<=" => Op::Le,
        "gt" | "greaterthan" | ">" => Op::Gt,
        "ge" | ">=" => Op::Ge,
        _ => {
            let near = super::did_you_mean(name, NAMES);
            return Err(
                Error::unplaced(format!("there is no test {name}{near}")).token(name.to_string())
            );
        }
    };
    let other = args.need(0, "a value", name)?;
    ops::compare(op, value, &other, interp.budget())
}
