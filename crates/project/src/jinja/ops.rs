//! Operators, with Python's meaning.

use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::Op;
use super::budget::Budget;
use super::error::Error;
use super::value::{Key, Number, Value, range_len};

fn wrong(op: &str, left: &Value, right: &Value) -> Error {
    let hint = |v: &Value| match v {
        Value::Undefined(name) if !name.is_empty() => format!("{name}, which is not defined"),
        other => other.kind().to_string(),
    };
    Error::unplaced(format!(
        "{op} cannot take {} and {}",
        hint(left),
        hint(right)
    ))
}

fn too_large() -> Error {
    Error::unplaced("the number is too large: whole numbers end at 9223372036854775807")
}

pub(super) fn binary(op: Op, left: &Value, right: &Value, budget: &Budget) -> Result<Value, Error> {
    match op {
        Op::Add => add(left, right, budget),
        Op::Sub => subtract(left, right),
        Op::Mul => multiply(left, right, budget),
        Op::Rem if left.as_str().is_some() => {
            super::format::percent(left.as_str().unwrap_or_default(), right, budget).map(Value::str)
        }
        Op::Div | Op::FloorDiv | Op::Rem | Op::Pow => {
            let (Some(a), Some(b)) = (left.number(), right.number()) else {
                return Err(wrong(symbol(op), left, right));
            };
            arithmetic(op, a, b)
        }
        _ => compare(op, left, right, budget).map(Value::Bool),
    }
}

fn symbol(op: Op) -> &'static str {
    match op {
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::Div => "/",
        Op::FloorDiv => "//",
        Op::Rem => "%",
        Op::Pow => "**",
        Op::Eq => "==",
        Op::Ne => "!=",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
        Op::In => "in",
        Op::NotIn => "not in",
    }
}

fn add(left: &Value, right: &Value, budget: &Budget) -> Result<Value, Error> {
    match (left, right) {
        (Value::Str(a), Value::Str(b)) => {
            budget.text(a.len() + b.len())?;
            Ok(Value::str(format!("{a}{b}")))
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            budget.items(a.len() + b.len())?;
            let mut items = a.items();
            items.extend(b.items());
            Ok(if matches!(left, Value::List(_)) {
                Value::list(items)
            } else {
                Value::tuple(items)
            })
        }
        (Value::Moment(a), Value::Moment(b)) => match a.add(b, false) {
            Some(sum) => Ok(Value::Moment(Rc::new(sum))),
            None => Err(wrong("+", left, right)),
        },
        _ => match (left.number(), right.number()) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => {
                a.checked_add(b).map(Value::Int).ok_or_else(too_large)
            }
            (Some(a), Some(b)) => Ok(Value::Float(a.float() + b.float())),
            _ => {
                let error = wrong("+", left, right);
                Err(match left.as_str().or(right.as_str()) {
                    Some(_) => error.note("join texts with ~, which takes any value"),
                    None => error,
                })
            }
        },
    }
}

fn subtract(left: &Value, right: &Value) -> Result<Value, Error> {
    match (left, right) {
        (Value::Set(a), Value::Set(b)) => Ok(Value::set(
            a.entries()
                .into_iter()
                .map(|(k, _)| k)
                .filter(|k| b.get(k).is_none()),
        )),
        (Value::Moment(a), Value::Moment(b)) => match a.add(b, true) {
            Some(difference) => Ok(Value::Moment(Rc::new(difference))),
            None => Err(wrong("-", left, right)),
        },
        _ => match (left.number(), right.number()) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => {
                a.checked_sub(b).map(Value::Int).ok_or_else(too_large)
            }
            (Some(a), Some(b)) => Ok(Value::Float(a.float() - b.float())),
            _ => Err(wrong("-", left, right)),
        },
    }
}

fn multiply(left: &Value, right: &Value, budget: &Budget) -> Result<Value, Error> {
    let times = |n: i64| usize::try_from(n).unwrap_or(0);
    match (left, right) {
        (Value::Str(s), Value::Int(n)) | (Value::Int(n), Value::Str(s)) => {
            budget.text(s.len().saturating_mul(times(*n)))?;
            Ok(Value::str(s.repeat(times(*n))))
        }
        (Value::List(list), Value::Int(n)) | (Value::Int(n), Value::List(list)) => {
            budget.items(list.len().saturating_mul(times(*n)))?;
            let items = list.items();
            Ok(Value::list(
                std::iter::repeat_n(items, times(*n)).flatten().collect(),
            ))
        }
        _ => match (left.number(), right.number()) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => {
                a.checked_mul(b).map(Value::Int).ok_or_else(too_large)
            }
            (Some(a), Some(b)) => Ok(Value::Float(a.float() * b.float())),
            _ => Err(wrong("*", left, right)),
        },
    }
}

fn arithmetic(op: Op, a: Number, b: Number) -> Result<Value, Error> {
    if op != Op::Pow && b.float() == 0.0 {
        return Err(Error::unplaced("division by zero"));
    }
    if let (Number::Int(a), Number::Int(b)) = (a, b) {
        match op {
            // Towards minus infinity, as Python.
            Op::FloorDiv => {
                let quotient = a.checked_div(b).ok_or_else(too_large)?;
                let down = a % b != 0 && (a < 0) != (b < 0);
                return Ok(Value::Int(quotient - i64::from(down)));
            }
            Op::Rem => {
                let rest = a.checked_rem(b).ok_or_else(too_large)?;
                let other_sign = rest != 0 && (rest < 0) != (b < 0);
                return Ok(Value::Int(if other_sign { rest + b } else { rest }));
            }
            Op::Pow if b >= 0 => {
                let power = u32::try_from(b).ok().and_then(|b| a.checked_pow(b));
                return power.map(Value::Int).ok_or_else(too_large);
            }
            _ => {}
        }
    }
    let (a, b) = (a.float(), b.float());
    Ok(Value::Float(match op {
        Op::Div => a / b,
        Op::FloorDiv => (a / b).floor(),
        Op::Rem => a - b * (a / b).floor(),
        _ => a.powf(b),
    }))
}

pub(super) fn negative(value: &Value) -> Result<Value, Error> {
    match value.number() {
        Some(Number::Int(n)) => n.checked_neg().map(Value::Int).ok_or_else(too_large),
        Some(Number::Float(n)) => Ok(Value::Float(-n)),
        None => Err(Error::unplaced(format!(
            "- needs a number, not {}",
            value.kind()
        ))),
    }
}

pub(super) fn compare(op: Op, left: &Value, right: &Value, budget: &Budget) -> Result<bool, Error> {
    match op {
        Op::Eq => Ok(left.equals(right)),
        Op::Ne => Ok(!left.equals(right)),
        Op::In => contains(right, left, budget),
        Op::NotIn => contains(right, left, budget).map(|found| !found),
        _ => {
            let order = left
                .compare(right)
                .ok_or_else(|| wrong(symbol(op), left, right))?;
            Ok(match op {
                Op::Lt => order == Ordering::Less,
                Op::Le => order != Ordering::Greater,
                Op::Gt => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
    }
}

/// Python's `item in container`.
pub(super) fn contains(container: &Value, item: &Value, budget: &Budget) -> Result<bool, Error> {
    match container {
        Value::Str(text) => match item {
            Value::Str(part) => {
                budget.steps(text.len() as u64 / 1024)?;
                Ok(text.contains(&**part))
            }
            other => Err(Error::unplaced(format!(
                "a text cannot hold {}",
                other.kind()
            ))),
        },
        Value::List(items) | Value::Tuple(items) => {
            budget.steps(items.len() as u64 / 16)?;
            Ok(items.with(|items| items.iter().any(|i| i.equals(item))))
        }
        Value::Set(d) | Value::Dict(d) | Value::Namespace(d) => {
            Ok(item.key().is_ok_and(|k| d.get(&k).is_some()))
        }
        Value::Range(r) => Ok(match item {
            Value::Int(n) => {
                let offset = i128::from(*n) - i128::from(r.0);
                let step = i128::from(r.2);
                offset % step == 0 && (0..i128::from(range_len(r))).contains(&(offset / step))
            }
            _ => false,
        }),
        Value::Undefined(_) => Ok(false),
        other => Err(Error::unplaced(format!(
            "in needs a list, text or dictionary, not {}",
            other.kind()
        ))),
    }
}

/// The values that a loop goes through.
pub(super) fn items(value: &Value, budget: &Budget) -> Result<Vec<Value>, Error> {
    match value {
        Value::List(list) | Value::Tuple(list) => {
            budget.items(list.len())?;
            Ok(list.items())
        }
        Value::Set(d) | Value::Dict(d) | Value::Namespace(d) => {
            budget.items(d.len())?;
            Ok(d.keys())
        }
        Value::Str(text) => {
            budget.items(text.len().saturating_mul(3))?;
            Ok(text.chars().map(|c| Value::str(c.to_string())).collect())
        }
        Value::Range(range) => {
            let count = range_len(range);
            budget.items(usize::try_from(count).unwrap_or(usize::MAX))?;
            let (start, _, step) = **range;
            Ok((0..count as i64)
                .map(|i| Value::Int(start + i * step))
                .collect())
        }
        // As in dbt: nothing to go through.
        Value::Undefined(_) => Ok(vec![]),
        other => Err(Error::unplaced(format!(
            "{} cannot be gone through item by item",
            other.kind()
        ))),
    }
}

/// Python's `of[a:b:c]`.
pub(super) fn slice(of: &Value, bounds: [Option<i64>; 3], budget: &Budget) -> Result<Value, Error> {
    let chars: Vec<Value> = match of {
        Value::List(list) | Value::Tuple(list) => {
            budget.items(list.len())?;
            list.items()
        }
        Value::Str(_) | Value::Range(_) => items(of, budget)?,
        Value::Undefined(_) => return Ok(of.clone()),
        other => {
            return Err(Error::unplaced(format!(
                "{} cannot be sliced",
                other.kind()
            )));
        }
    };
    let length = chars.len() as i64;
    let step = bounds[2].unwrap_or(1);
    if step == 0 {
        return Err(Error::unplaced("the step of a slice cannot be 0"));
    }
    let clamp = |bound: Option<i64>, default: i64, low: i64, high: i64| match bound {
        None => default,
        Some(n) if n < 0 => n.saturating_add(length).max(low),
        Some(n) => n.min(high),
    };
    let (start, stop) = match step > 0 {
        true => (
            clamp(bounds[0], 0, 0, length),
            clamp(bounds[1], length, 0, length),
        ),
        false => (
            clamp(bounds[0], length - 1, -1, length - 1),
            clamp(bounds[1], -1, -1, length - 1),
        ),
    };
    let mut picked = vec![];
    let mut at = start;
    while if step > 0 { at < stop } else { at > stop } {
        if let Some(item) = usize::try_from(at).ok().and_then(|i| chars.get(i)) {
            picked.push(item.clone());
        }
        at = match at.checked_add(step) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(match of {
        Value::Str(_) => Value::str(picked.iter().filter_map(Value::as_str).collect::<String>()),
        Value::Tuple(_) => Value::tuple(picked),
        _ => Value::list(picked),
    })
}

/// Keys of values, each once.
pub(super) fn keys(values: Vec<Value>, budget: &Budget) -> Result<Vec<Key>, Error> {
    let keys: Result<Vec<Key>, String> = values.iter().map(Value::key).collect();
    let keys = keys.map_err(Error::unplaced)?;
    budget.bytes(keys.iter().map(Value::key_bytes).sum())?;
    Ok(keys)
}
