//! Attributes, items and Python's methods of texts, lists, dictionaries and sets.

use std::rc::Rc;

use super::error::Error;
use super::format;
use super::interp::Interp;
use super::ops;
use super::value::{Arguments, Dict, Host, Key, List, Value};

/// `of.name`: an item of a dictionary, an attribute of an object, or a method.
pub(super) fn attribute(of: &Value, name: &str) -> Value {
    let undefined = || Value::Undefined(name.into());
    match of {
        // As in Jinja: `d.items` is the method, whatever keys there are; `d['items']` is the key's value.
        Value::Dict(_) if DICT_METHODS.contains(&name) => {
            Value::Method(Rc::new((of.clone(), name.into())))
        }
        Value::Dict(dict) | Value::Namespace(dict) => dict.text(name).unwrap_or_else(undefined),
        Value::Object(object) => object.get(name).unwrap_or_else(undefined),
        Value::Moment(moment) => moment
            .get(name)
            .unwrap_or_else(|| method_or(of, name, &["strftime", "isoformat"])),
        Value::Undefined(outer) => Value::Undefined(format!("{outer}.{name}").into()),
        Value::List(_) => method_or(of, name, &["append", "extend"]),
        Value::Str(_) => method_or(of, name, &["format", "join", "upper", "lower"]),
        _ => undefined(),
    }
}

const DICT_METHODS: [&str; 7] = [
    "items",
    "keys",
    "values",
    "get",
    "update",
    "pop",
    "setdefault",
];

fn method_or(of: &Value, name: &str, methods: &[&str]) -> Value {
    match methods.contains(&name) {
        true => Value::Method(Rc::new((of.clone(), name.into()))),
        false => Value::Undefined(name.into()),
    }
}

/// `of[index]`.
pub(super) fn item(of: &Value, index: &Value) -> Result<Value, Error> {
    let undefined = || Value::Undefined(index.printed().unwrap_or_default().into());
    Ok(match (of, index) {
        (Value::List(list) | Value::Tuple(list), Value::Int(n)) => position(*n, list.len())
            .and_then(|at| list.get(at))
            .unwrap_or_else(undefined),
        (Value::Str(text), Value::Int(n)) => {
            let at = position(*n, text.chars().count());
            at.and_then(|at| text.chars().nth(at))
                .map_or_else(undefined, |c| Value::str(c.to_string()))
        }
        (Value::Range(range), Value::Int(n)) => {
            let length = usize::try_from(super::value::range_len(range)).unwrap_or(usize::MAX);
            position(*n, length)
                .map_or_else(undefined, |at| Value::Int(range.0 + at as i64 * range.2))
        }
        (Value::Dict(dict) | Value::Namespace(dict), key) => {
            let key = key.key().map_err(Error::unplaced)?;
            dict.get(&key).unwrap_or_else(undefined)
        }
        (Value::Object(object), Value::Str(name)) => object.get(name).unwrap_or_else(undefined),
        (Value::Undefined(_), _) => undefined(),
        (_, Value::Str(name)) => attribute(of, name),
        _ => undefined(),
    })
}

fn position(n: i64, length: usize) -> Option<usize> {
    let at = if n < 0 { n + length as i64 } else { n };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// Calls `of.name(args)`.
pub(super) fn call(
    interp: &mut Interp<'_>,
    of: &Value,
    name: &str,
    args: Arguments,
) -> Result<Value, Error> {
    match of {
        Value::Str(text) => text_method(interp, text, name, args),
        Value::List(list) => list_method(interp, list, name, args),
        Value::Tuple(list) if matches!(name, "index" | "count") => {
            list_method(interp, list, name, args)
        }
        Value::Set(set) => set_method(interp, set, name, args),
        Value::Dict(dict) | Value::Namespace(dict) => match dict.text(name) {
            Some(callee) if !DICT_METHODS.contains(&name) => interp.call(&callee, args),
            _ => dict_method(interp, dict, name, args),
        },
        Value::Moment(moment) => moment
            .call(name, args)
            .unwrap_or_else(|| Err(no_method(of, name))),
        Value::Object(object) => {
            if let Some(callee @ (Value::Function(_) | Value::Macro(_))) = object.get(name) {
                return interp.call(&callee, args);
            }
            let names = object.names();
            match object.call(name, args) {
                Some(called) => called,
                None => {
                    let near = super::did_you_mean(name, names.iter().map(String::as_str));
                    Err(
                        Error::unplaced(format!("{} has no {name}{near}", object.print()))
                            .token(name.to_string()),
                    )
                }
            }
        }
        Value::Undefined(undefined) => {
            Err(Error::unplaced(format!("{undefined} is not defined")).token(undefined.to_string()))
        }
        other => Err(no_method(other, name)),
    }
}

fn no_method(of: &Value, name: &str) -> Error {
    Error::unplaced(format!("{} has no method {name}", of.kind())).token(name.to_string())
}

fn text_of(value: Value, what: &str) -> Result<Rc<str>, Error> {
    match value {
        Value::Str(text) => Ok(text),
        other => Err(Error::unplaced(format!(
            "{what} needs a text, not {}",
            other.kind()
        ))),
    }
}

fn count_of(value: Option<Value>, what: &str) -> Result<Option<usize>, Error> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(Value::Int(n)) => Ok(usize::try_from(n).ok()),
        Some(other) => Err(Error::unplaced(format!(
            "{what} needs a whole number, not {}",
            other.kind()
        ))),
    }
}

fn text_method(
    interp: &mut Interp<'_>,
    text: &Rc<str>,
    name: &str,
    mut args: Arguments,
) -> Result<Value, Error> {
    let budget = interp.budget();
    budget.text(text.len())?;
    let all = |test: fn(char) -> bool| Value::Bool(!text.is_empty() && text.chars().all(test));
    Ok(match name {
        "upper" => Value::str(text.to_uppercase()),
        "lower" | "casefold" => Value::str(text.to_lowercase()),
        "capitalize" => Value::str(capitalized(text)),
        "title" => Value::str(titled(text)),
        "swapcase" => Value::str(
            text.chars()
                .map(|c| {
                    if c.is_uppercase() {
                        c.to_lowercase().to_string()
                    } else {
                        c.to_uppercase().to_string()
                    }
                })
                .collect::<String>(),
        ),
        "strip" | "lstrip" | "rstrip" => {
            let chars = args
                .take(0, "chars")
                .and_then(|c| c.as_str().map(str::to_string));
            let strips = |c: char| {
                chars
                    .as_ref()
                    .map_or(c.is_whitespace(), |chars| chars.contains(c))
            };
            Value::str(match name {
                "strip" => text.trim_matches(strips),
                "lstrip" => text.trim_start_matches(strips),
                _ => text.trim_end_matches(strips),
            })
        }
        "removeprefix" | "removesuffix" => {
            let part = text_of(args.need(0, "a text", name)?, name)?;
            let rest = if name == "removeprefix" {
                text.strip_prefix(&*part)
            } else {
                text.strip_suffix(&*part)
            };
            Value::str(rest.unwrap_or(text))
        }
        "startswith" | "endswith" => {
            let parts = match args.need(0, "a text", name)? {
                Value::Tuple(items) => items.items(),
                one => vec![one],
            };
            let mut found = false;
            for part in parts {
                let part = text_of(part, name)?;
                found |= if name == "startswith" {
                    text.starts_with(&*part)
                } else {
                    text.ends_with(&*part)
                };
            }
            Value::Bool(found)
        }
        "split" | "rsplit" => {
            let separator = args.take(0, "sep").filter(|s| !matches!(s, Value::None));
            let most = count_of(args.take(1, "maxsplit"), name)?;
            split(interp, text, separator, most, name == "rsplit")?
        }
        "splitlines" => {
            budget.items(text.lines().count())?;
            Value::list(text.lines().map(Value::str).collect())
        }
        "partition" | "rpartition" => {
            let part = text_of(args.need(0, "sep", name)?, name)?;
            let found = if name == "partition" {
                text.split_once(&*part)
            } else {
                text.rsplit_once(&*part)
            };
            let (before, between, after) = match found {
                Some((before, after)) => (before, &*part, after),
                None if name == "partition" => (&**text, "", ""),
                None => ("", "", &**text),
            };
            Value::tuple([before, between, after].map(Value::str).to_vec())
        }
        "replace" => {
            let old = text_of(args.need(0, "old", name)?, name)?;
            let new = text_of(args.need(1, "new", name)?, name)?;
            let most = count_of(args.take(2, "count"), name)?.unwrap_or(usize::MAX);
            let found = if old.is_empty() {
                text.chars().count() + 1
            } else {
                text.matches(&*old).count()
            }
            .min(most);
            budget.text(text.len() + found.saturating_mul(new.len()))?;
            Value::str(text.replacen(&*old, &new, most))
        }
        "join" => {
            let items = args.need(0, "a list", name)?;
            let items = ops::items(&items, budget)?;
            let mut texts = vec![];
            for item in &items {
                match item {
                    Value::Str(text) => texts.push(&**text),
                    other => {
                        return Err(Error::unplaced(format!(
                            "join needs texts, not {}",
                            other.kind()
                        )));
                    }
                }
            }
            let total: usize = texts.iter().map(|t| t.len() + text.len()).sum();
            budget.text(total)?;
            Value::str(texts.join(text))
        }
        "format" => {
            let args = args;
            Value::str(format::braces(text, &args, budget)?)
        }
        "find" | "rfind" | "index" | "rindex" => {
            let part = text_of(args.need(0, "a text", name)?, name)?;
            let found = if name.starts_with('r') {
                text.rfind(&*part)
            } else {
                text.find(&*part)
            };
            match found {
                Some(at) => Value::Int(text[..at].chars().count() as i64),
                None if name.ends_with("find") => Value::Int(-1),
                None => {
                    return Err(Error::unplaced(format!(
                        "{name}: {part:?} is not in the text"
                    )));
                }
            }
        }
        "count" => {
            let part = text_of(args.need(0, "a text", name)?, name)?;
            Value::Int(if part.is_empty() {
                text.chars().count() as i64 + 1
            } else {
                text.matches(&*part).count() as i64
            })
        }
        "zfill" | "ljust" | "rjust" | "center" => {
            let width = count_of(Some(args.need(0, "width", name)?), name)?.unwrap_or(0);
            let fill = match args.take(1, "fillchar") {
                Some(Value::Str(s)) => s.chars().next().unwrap_or(' '),
                _ if name == "zfill" => '0',
                _ => ' ',
            };
            budget.text(
                width
                    .saturating_mul(fill.len_utf8())
                    .saturating_add(text.len()),
            )?;
            let missing = width.saturating_sub(text.chars().count());
            let pad = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
            Value::str(match name {
                "ljust" => format!("{text}{}", pad(missing)),
                "center" => format!("{}{text}{}", pad(missing / 2), pad(missing - missing / 2)),
                "zfill" if text.starts_with(['-', '+']) => {
                    format!("{}{}{}", &text[..1], pad(missing), &text[1..])
                }
                _ => format!("{}{text}", pad(missing)),
            })
        }
        "isdigit" | "isnumeric" | "isdecimal" => all(|c| c.is_numeric()),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "isupper" => Value::Bool(
            text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        ),
        "islower" => Value::Bool(
            text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        ),
        // Bytes are not there; the text is what every use of them ends in.
        "encode" | "decode" => Value::Str(Rc::clone(text)),
        _ => return Err(no_method(&Value::Str(Rc::clone(text)), name)),
    })
}

fn split(
    interp: &Interp<'_>,
    text: &str,
    separator: Option<Value>,
    most: Option<usize>,
    right: bool,
) -> Result<Value, Error> {
    let parts: Vec<&str> = match separator {
        None => match most {
            None => text.split_whitespace().collect(),
            Some(most) => {
                let mut parts: Vec<&str> = vec![];
                let mut rest = text.trim_start();
                while !rest.is_empty() && parts.len() < most {
                    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                    parts.push(&rest[..end]);
                    rest = rest[end..].trim_start();
                }
                if !rest.is_empty() {
                    parts.push(rest.trim_end());
                }
                parts
            }
        },
        Some(separator) => {
            let separator = text_of(separator, "split")?;
            if separator.is_empty() {
                return Err(Error::unplaced("split needs a separator that is not empty"));
            }
            interp
                .budget()
                .items(text.matches(&*separator).count() + 1)?;
            let most = most.map_or(usize::MAX, |most| most.saturating_add(1));
            match right {
                false => text.splitn(most, &*separator).collect(),
                true => {
                    let mut parts: Vec<&str> = text.rsplitn(most, &*separator).collect();
                    parts.reverse();
                    parts
                }
            }
        }
    };
    interp.budget().items(parts.len())?;
    Ok(Value::list(parts.into_iter().map(Value::str).collect()))
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase(),
        None => String::new(),
    }
}

pub(super) fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match inside {
            false => out.extend(c.to_uppercase()),
            true => out.extend(c.to_lowercase()),
        }
        inside = c.is_alphabetic();
    }
    out
}

fn list_method(
    interp: &mut Interp<'_>,
    list: &Rc<List>,
    name: &str,
    mut args: Arguments,
) -> Result<Value, Error> {
    let budget = interp.budget();
    Ok(match name {
        "append" => {
            let value = args.need(0, "a value", name)?;
            budget.items(1)?;
            list.with(|items| items.push(value));
            Value::None
        }
        "extend" => {
            let more = args.need(0, "a list", name)?;
            let more = ops::items(&more, budget)?;
            list.with(|items| items.extend(more));
            Value::None
        }
        "insert" => {
            let at = args.need(0, "index", name)?;
            let value = args.need(1, "a value", name)?;
            budget.items(1)?;
            budget.steps(list.len() as u64 / 64)?;
            let Value::Int(at) = at else {
                return Err(Error::unplaced("insert needs a whole number"));
            };
            list.with(|items| {
                let length = items.len() as i64;
                let at = if at < 0 {
                    (at + length).max(0)
                } else {
                    at.min(length)
                };
                items.insert(usize::try_from(at).unwrap_or(0), value);
            });
            Value::None
        }
        "pop" => {
            let at = match args.take(0, "index") {
                Some(Value::Int(n)) => n,
                _ => -1,
            };
            let at = position(at, list.len())
                .ok_or_else(|| Error::unplaced("pop: the list has no such item"))?;
            list.with(|items| items.remove(at))
        }
        "remove" | "index" => {
            let value = args.need(0, "a value", name)?;
            let found = list.with(|items| items.iter().position(|i| i.equals(&value)));
            let at = found
                .ok_or_else(|| Error::unplaced(format!("{name}: the value is not in the list")))?;
            if name == "index" {
                return Ok(Value::Int(at as i64));
            }
            list.with(|items| items.remove(at));
            Value::None
        }
        "count" => {
            let value = args.need(0, "a value", name)?;
            Value::Int(list.with(|items| items.iter().filter(|i| i.equals(&value)).count()) as i64)
        }
        "reverse" => {
            list.with(|items| items.reverse());
            Value::None
        }
        "clear" => {
            drop(list.with(std::mem::take));
            Value::None
        }
        "copy" => {
            budget.items(list.len())?;
            Value::list(list.items())
        }
        "sort" => {
            let reverse = args
                .take(usize::MAX, "reverse")
                .is_some_and(|r| r.is_true());
            let mut items = list.items();
            budget.steps(items.len() as u64)?;
            super::filters::sort(&mut items, reverse, false)?;
            list.with(|old| *old = items);
            Value::None
        }
        _ => return Err(no_method(&Value::List(Rc::clone(list)), name)),
    })
}

fn dict_method(
    interp: &mut Interp<'_>,
    dict: &Rc<Dict>,
    name: &str,
    mut args: Arguments,
) -> Result<Value, Error> {
    let budget = interp.budget();
    let key = |value: Value| value.key().map_err(Error::unplaced);
    budget.steps(dict.len() as u64 / 64)?;
    Ok(match name {
        "items" => {
            budget.items(dict.len() * 4)?;
            Value::list(
                dict.entries()
                    .into_iter()
                    .map(|(k, v)| Value::tuple(vec![k.value(), v]))
                    .collect(),
            )
        }
        "keys" => {
            budget.items(dict.len())?;
            Value::list(dict.keys())
        }
        "values" => {
            budget.items(dict.len())?;
            Value::list(dict.entries().into_iter().map(|(_, v)| v).collect())
        }
        "get" => {
            let wanted = key(args.need(0, "a key", name)?)?;
            dict.get(&wanted)
                .or_else(|| args.take(1, "default"))
                .unwrap_or(Value::None)
        }
        "pop" => {
            let wanted = key(args.need(0, "a key", name)?)?;
            match dict
                .with(|d| d.shift_remove(&wanted))
                .or_else(|| args.take(1, "default"))
            {
                Some(value) => value,
                None => return Err(Error::unplaced("pop: the dictionary has no such key")),
            }
        }
        "setdefault" => {
            let wanted = key(args.need(0, "a key", name)?)?;
            let default = args.take(1, "default").unwrap_or(Value::None);
            budget.bytes(Value::key_bytes(&wanted) + 48)?;
            dict.with(|d| d.entry(wanted).or_insert(default).clone())
        }
        "update" => {
            let mut more: Vec<(Key, Value)> = vec![];
            if let Some(value) = args.take(0, "other") {
                let Value::Dict(other) = &value else {
                    return Err(Error::unplaced(format!(
                        "update needs a dictionary, not {}",
                        value.kind()
                    )));
                };
                more.extend(other.entries());
            }
            more.extend(
                args.named
                    .into_iter()
                    .map(|(name, value)| (Key::Str(name), value)),
            );
            budget.bytes(more.iter().map(|(k, _)| Value::key_bytes(k) + 48).sum())?;
            dict.with(|d| d.extend(more));
            Value::None
        }
        "copy" => {
            budget.items(dict.len() * 4)?;
            Value::dict_of(dict.entries())
        }
        "clear" => {
            drop(dict.with(std::mem::take));
            Value::None
        }
        _ => {
            let known = DICT_METHODS.into_iter();
            let near = super::did_you_mean(name, known);
            return Err(
                Error::unplaced(format!("the dictionary has no {name}{near}"))
                    .token(name.to_string()),
            );
        }
    })
}

fn set_method(
    interp: &mut Interp<'_>,
    set: &Rc<Dict>,
    name: &str,
    mut args: Arguments,
) -> Result<Value, Error> {
    let mine = || set.entries().into_iter().map(|(k, _)| k);
    interp.budget().items(set.len() * 4)?;
    match name {
        "add" | "discard" | "remove" => {
            let key = args
                .need(0, "a value", name)?
                .key()
                .map_err(Error::unplaced)?;
            interp.budget().bytes(Value::key_bytes(&key))?;
            match name {
                "add" => drop(set.with(|s| s.insert(key, Value::None))),
                _ => drop(set.with(|s| s.shift_remove(&key))),
            }
            Ok(Value::None)
        }
        "copy" => Ok(Value::set(mine())),
        "union"
        | "update"
        | "intersection"
        | "difference"
        | "symmetric_difference"
        | "issubset"
        | "issuperset"
        | "isdisjoint" => {
            let other = args.need(0, "a set", name)?;
            let other = ops::items(&other, interp.budget())?;
            let keys = ops::keys(other, interp.budget())?;
            let theirs = Value::set(keys.iter().cloned());
            let has = |k: &Key| matches!(&theirs, Value::Set(s) if s.get(k).is_some());
            Ok(match name {
                "union" => Value::set(mine().chain(keys)),
                "intersection" => Value::set(mine().filter(has)),
                "difference" => Value::set(mine().filter(|k| !has(k))),
                "symmetric_difference" => {
                    let only = keys.iter().filter(|k| set.get(k).is_none()).cloned();
                    Value::set(mine().filter(|k| !has(k)).chain(only))
                }
                "issubset" => Value::Bool(mine().all(|k| has(&k))),
                "issuperset" => Value::Bool(keys.iter().all(|k| set.get(k).is_some())),
                "isdisjoint" => Value::Bool(!mine().any(|k| has(&k))),
                _ => {
                    set.with(|s| s.extend(keys.into_iter().map(|k| (k, Value::None))));
                    Value::None
                }
            })
        }
        _ => Err(no_method(&Value::Set(Rc::clone(set)), name)),
    }
}
