//! Jinja's filters, and dbt's `as_bool`, `as_number`, `as_native`, `as_text`.

use std::cmp::Ordering;
use std::rc::Rc;

use super::error::Error;
use super::interp::Interp;
use super::methods::{attribute, capitalized, item, titled};
use super::value::{Arguments, Host, Key, Number, Value};
use super::{ops, tests};

/// Filters by name, for "did you mean".
const NAMES: [&str; 54] = [
    "abs",
    "as_bool",
    "as_native",
    "as_number",
    "as_text",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "wordcount",
];

pub(super) fn filter(
    interp: &mut Interp<'_>,
    name: &str,
    value: Value,
    mut args: Arguments,
) -> Result<Value, Error> {
    let text = |value: &Value| value.printed().map_err(Error::unplaced);
    let method = |interp: &mut Interp<'_>, value: &Value, name: &str, args: Arguments| {
        let of = Value::str(value.printed().map_err(Error::unplaced)?);
        super::methods::call(interp, &of, name, args)
    };
    if let Value::Str(s) = &value {
        interp.budget().text(s.len())?;
    }
    Ok(match name {
        "default" | "d" => {
            let otherwise = args.take(0, "default_value").unwrap_or(Value::str(""));
            let for_false = args.take(1, "boolean").is_some_and(|b| b.is_true());
            match value.is_undefined() || (for_false && !value.is_true()) {
                true => otherwise,
                false => value,
            }
        }
        "upper" | "lower" | "replace" | "center" => method(interp, &value, name, args)?,
        "trim" => method(interp, &value, "strip", args)?,
        "capitalize" => Value::str(capitalized(&text(&value)?)),
        "title" => Value::str(titled(&text(&value)?)),
        "string" | "as_text" | "safe" => Value::str(text(&value)?),
        "escape" | "e" | "forceescape" => {
            let text = text(&value)?;
            interp.budget().text(text.len().saturating_mul(5))?;
            let escaped = text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            Value::str(escaped.replace('\'', "&#39;").replace('"', "&#34;"))
        }
        "as_native" => value,
        "as_bool" => match value {
            Value::Bool(_) => value,
            other => match text(&other)?.to_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                word => {
                    return Err(Error::unplaced(format!(
                        "as_bool: {word:?} is neither true nor false"
                    )));
                }
            },
        },
        "as_number" => match &value {
            Value::Str(s) => number(s.trim())
                .ok_or_else(|| Error::unplaced(format!("as_number: {s:?} is no number")))?,
            _ => value,
        },
        "length" | "count" => Value::Int(length(&value)?),
        "list" => Value::list(ops::items(&value, interp.budget())?),
        "first" => ops::items(&value, interp.budget())?
            .into_iter()
            .next()
            .unwrap_or_else(|| Value::Undefined("first".into())),
        "last" => ops::items(&value, interp.budget())?
            .pop()
            .unwrap_or_else(|| Value::Undefined("last".into())),
        "random" => {
            return Err(Error::unplaced(
                "random is refused: a run must give the same tables again",
            ));
        }
        "reverse" => {
            let mut items = ops::items(&value, interp.budget())?;
            items.reverse();
            match value {
                Value::Str(_) => {
                    Value::str(items.iter().filter_map(Value::as_str).collect::<String>())
                }
                _ => Value::list(items),
            }
        }
        "join" => {
            let separator = args
                .take(0, "d")
                .map(|d| text(&d))
                .transpose()?
                .unwrap_or_default();
            let by = args.take(1, "attribute");
            let mut out = String::new();
            for (i, item) in ops::items(&value, interp.budget())?.into_iter().enumerate() {
                let item = by
                    .as_ref()
                    .map_or(Ok(item.clone()), |by| by_path(&item, by))?;
                let part = text(&item)?;
                interp
                    .budget()
                    .text(out.len() / 64 + part.len() + separator.len())?;
                if out.len() + part.len() + separator.len() > super::budget::TEXT_MAX {
                    interp.budget().text(usize::MAX)?;
                }
                if i > 0 {
                    out.push_str(&separator);
                }
                out.push_str(&part);
            }
            Value::str(out)
        }
        "items" => match &value {
            Value::Undefined(_) => Value::list(vec![]),
            _ => super::methods::call(interp, &value, "items", Arguments::default())?,
        },
        "attr" => {
            let by = args.need(0, "name", name)?;
            attribute(&value, &text(&by)?)
        }
        "map" => map(interp, &value, args)?,
        "select" | "reject" => {
            let keep = name == "select";
            let test = (!args.positional.is_empty()).then(|| args.positional.remove(0));
            let mut kept = vec![];
            for item in ops::items(&value, interp.budget())? {
                if satisfies(interp, &item, test.as_ref(), &args)? == keep {
                    kept.push(item);
                }
            }
            Value::list(kept)
        }
        "selectattr" | "rejectattr" => {
            let keep = name == "selectattr";
            let by = args.need(0, "attribute", name)?;
            args.positional.remove(0);
            let test = (!args.positional.is_empty()).then(|| args.positional.remove(0));
            let mut kept = vec![];
            for item in ops::items(&value, interp.budget())? {
                let found = by_path(&item, &by)?;
                if satisfies(interp, &found, test.as_ref(), &args)? == keep {
                    kept.push(item);
                }
            }
            Value::list(kept)
        }
        "sort" => {
            let reverse = args.take(0, "reverse").is_some_and(|r| r.is_true());
            let with_case = args.take(1, "case_sensitive").is_some_and(|c| c.is_true());
            let by = args
                .take(2, "attribute")
                .filter(|a| !matches!(a, Value::None));
            let items = ops::items(&value, interp.budget())?;
            interp.budget().steps(items.len() as u64)?;
            Value::list(sorted_by(items, by.as_ref(), reverse, !with_case)?)
        }
        "dictsort" => {
            let with_case = args.take(0, "case_sensitive").is_some_and(|c| c.is_true());
            let by_value = args
                .take(1, "by")
                .is_some_and(|by| by.as_str() == Some("value"));
            let reverse = args.take(2, "reverse").is_some_and(|r| r.is_true());
            let pairs = super::methods::call(interp, &value, "items", Arguments::default())?;
            let pairs = ops::items(&pairs, interp.budget())?;
            Value::list(sorted_by(
                pairs,
                Some(&Value::Int(i64::from(by_value))),
                reverse,
                !with_case,
            )?)
        }
        "unique" => {
            let with_case = args.take(0, "case_sensitive").is_some_and(|c| c.is_true());
            let by = args
                .take(1, "attribute")
                .filter(|a| !matches!(a, Value::None));
            let mut seen = std::collections::HashSet::new();
            let mut kept = vec![];
            for item in ops::items(&value, interp.budget())? {
                let mut found = by
                    .as_ref()
                    .map_or(Ok(item.clone()), |by| by_path(&item, by))?;
                if let (Value::Str(s), false) = (&found, with_case) {
                    found = Value::str(s.to_lowercase());
                }
                let key = found
                    .key()
                    .or_else(|_| found.repr().map(|r| Key::Str(r.into())));
                if seen.insert(key.map_err(Error::unplaced)?) {
                    kept.push(item);
                }
            }
            Value::list(kept)
        }
        "groupby" => groupby(interp, &value, args)?,
        "min" | "max" => {
            let by = args
                .take(1, "attribute")
                .filter(|a| !matches!(a, Value::None));
            let items = ops::items(&value, interp.budget())?;
            let sorted = sorted_by(items, by.as_ref(), name == "max", true)?;
            sorted
                .into_iter()
                .next()
                .unwrap_or_else(|| Value::Undefined(name.into()))
        }
        "sum" => {
            let by = args
                .take(0, "attribute")
                .filter(|a| !matches!(a, Value::None));
            let mut total = args.take(1, "start").unwrap_or(Value::Int(0));
            for item in ops::items(&value, interp.budget())? {
                let item = by
                    .as_ref()
                    .map_or(Ok(item.clone()), |by| by_path(&item, by))?;
                total = ops::binary(super::ast::Op::Add, &total, &item, interp.budget())?;
            }
            total
        }
        "abs" => match value.number() {
            Some(Number::Int(n)) => Value::Int(n.checked_abs().unwrap_or(i64::MAX)),
            Some(Number::Float(n)) => Value::Float(n.abs()),
            None => {
                return Err(Error::unplaced(format!(
                    "abs needs a number, not {}",
                    value.kind()
                )));
            }
        },
        "round" => {
            let precision = match args.take(0, "precision") {
                Some(Value::Int(n)) => n.clamp(-15, 15) as i32,
                _ => 0,
            };
            let how = args
                .take(1, "method")
                .and_then(|m| m.as_str().map(str::to_string));
            let n = value.number().ok_or_else(|| {
                Error::unplaced(format!("round needs a number, not {}", value.kind()))
            })?;
            if let (Number::Int(n), None, 0..) = (n, &how, precision) {
                return Ok(Value::Int(n));
            }
            let factor = 10f64.powi(precision);
            let scaled = n.float() * factor;
            Value::Float(
                match how.as_deref() {
                    Some("ceil") => scaled.ceil(),
                    Some("floor") => scaled.floor(),
                    // As Python: by the number's own digits, of which 2.675 has fewer than it shows.
                    _ if precision >= 0 => {
                        let text = format!("{:.*}", precision as usize, n.float());
                        return text
                            .parse()
                            .map(Value::Float)
                            .map_err(|_| Error::unplaced(format!("{text} cannot be rounded")));
                    }
                    _ => scaled.round_ties_even(),
                } / factor,
            )
        }
        "int" => {
            let otherwise = args.take(0, "default").unwrap_or(Value::Int(0));
            let base = match args.take(1, "base") {
                Some(Value::Int(n @ 2..=36)) => n as u32,
                _ => 10,
            };
            match &value {
                Value::Str(s) if base != 10 => {
                    let digits = s
                        .trim()
                        .trim_start_matches("0x")
                        .trim_start_matches("0b")
                        .trim_start_matches("0o");
                    i64::from_str_radix(digits, base).map_or(otherwise, Value::Int)
                }
                Value::Str(s) => match number(s.trim()) {
                    Some(Value::Int(n)) => Value::Int(n),
                    Some(Value::Float(n)) => Value::Int(n.trunc() as i64),
                    _ => otherwise,
                },
                other => other
                    .number()
                    .map_or(otherwise, |n| Value::Int(n.float().trunc() as i64)),
            }
        }
        "float" => {
            let otherwise = args.take(0, "default").unwrap_or(Value::Float(0.0));
            match &value {
                Value::Str(s) => number(s.trim())
                    .and_then(|n| n.number())
                    .map_or(otherwise, |n| Value::Float(n.float())),
                other => other
                    .number()
                    .map_or(otherwise, |n| Value::Float(n.float())),
            }
        }
        "tojson" => {
            let indent = args.take(0, "indent").is_some_and(|i| i.is_true());
            let json = value
                .to_json()
                .map_err(|what| Error::unplaced(format!("tojson: {what} has no JSON form")))?;
            // As in Jinja: keys in order, and safe inside HTML.
            let text = json_text(&sorted_keys(json), indent);
            let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
            Value::str(text.replace('&', "\\u0026").replace('\'', "\\u0027"))
        }
        "pprint" => Value::str(value.repr().map_err(Error::unplaced)?),
        "format" => {
            let pattern = text(&value)?;
            let values = match args.positional.is_empty() && !args.named.is_empty() {
                true => Value::dict(args.named),
                false => Value::tuple(args.positional),
            };
            Value::str(super::format::percent(&pattern, &values, interp.budget())?)
        }
        "indent" => indent(interp, &text(&value)?, args)?,
        "truncate" => {
            let length = match args.take(0, "length") {
                Some(Value::Int(n)) => usize::try_from(n).unwrap_or(0),
                _ => 255,
            };
            let whole = text(&value)?;
            let end = args
                .take(2, "end")
                .map_or(Ok("...".to_string()), |e| text(&e))?;
            match whole.chars().count() > length + 5 {
                true => Value::str(
                    whole
                        .chars()
                        .take(length.saturating_sub(end.len()))
                        .collect::<String>()
                        + &end,
                ),
                false => Value::str(whole),
            }
        }
        "wordcount" => Value::Int(text(&value)?.split_whitespace().count() as i64),
        "batch" | "slice" => batches(interp, &value, args, name == "batch")?,
        _ => {
            let near = super::did_you_mean(name, NAMES);
            return Err(
                Error::unplaced(format!("there is no filter {name}{near}")).token(name.to_string())
            );
        }
    })
}

fn sorted_keys(json: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match json {
        Json::Array(items) => items.into_iter().map(sorted_keys).collect(),
        Json::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(k, v)| (k, sorted_keys(v))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.into_iter().collect()
        }
        other => other,
    }
}

/// JSON as Python writes it: `[1, 2]`, `{"a": 1}`, in ASCII.
pub(super) fn json_text(json: &serde_json::Value, pretty: bool) -> String {
    let text = json_unicode(json, pretty);
    if text.is_ascii() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut units = [0u16; 2];
    for c in text.chars() {
        match c.is_ascii() {
            true => out.push(c),
            false => out.extend(
                c.encode_utf16(&mut units)
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}")),
            ),
        }
    }
    out
}

fn json_unicode(json: &serde_json::Value, pretty: bool) -> String {
    use serde_json::Value as Json;
    if pretty {
        return serde_json::to_string_pretty(json).unwrap_or_default();
    }
    match json {
        Json::Array(items) => format!(
            "[{}]",
            items
                .iter()
                .map(|v| json_unicode(v, false))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Json::Object(map) => {
            let entries = map
                .iter()
                .map(|(k, v)| format!("{}: {}", Json::from(k.as_str()), json_unicode(v, false)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

pub(super) fn length(value: &Value) -> Result<i64, Error> {
    Ok(match value {
        Value::Str(s) => s.chars().count() as i64,
        Value::List(l) | Value::Tuple(l) => l.len() as i64,
        Value::Set(d) | Value::Dict(d) | Value::Namespace(d) => d.len() as i64,
        Value::Range(r) => i64::try_from(super::value::range_len(r)).unwrap_or(i64::MAX),
        Value::Undefined(_) => 0,
        other => return Err(Error::unplaced(format!("{} has no length", other.kind()))),
    })
}

/// A number as Python reads it.
fn number(text: &str) -> Option<Value> {
    let plain = text.replace('_', "");
    if let Ok(n) = plain.parse::<i64>() {
        return Some(Value::Int(n));
    }
    plain
        .parse::<f64>()
        .ok()
        .filter(|n| n.is_finite())
        .map(Value::Float)
}

/// `address.city`, `0`: an attribute of an item, or one of its.
fn by_path(of: &Value, path: &Value) -> Result<Value, Error> {
    let Value::Str(path) = path else {
        return item(of, path);
    };
    let mut found = of.clone();
    for part in path.split('.') {
        found = match part.parse::<i64>() {
            Ok(n) => item(&found, &Value::Int(n))?,
            Err(_) => attribute(&found, part),
        };
    }
    Ok(found)
}

fn satisfies(
    interp: &mut Interp<'_>,
    value: &Value,
    test: Option<&Value>,
    args: &Arguments,
) -> Result<bool, Error> {
    interp.budget().step()?;
    match test {
        None => Ok(value.is_true()),
        Some(Value::Str(test)) => tests::test(interp, test, value, args.clone()),
        Some(other) => Err(Error::unplaced(format!(
            "the name of a test must be a text, not {}",
            other.kind()
        ))),
    }
}

fn map(interp: &mut Interp<'_>, value: &Value, mut args: Arguments) -> Result<Value, Error> {
    let items = ops::items(value, interp.budget())?;
    if let Some(by) = args.take(usize::MAX, "attribute") {
        let default = args.take(usize::MAX, "default");
        let mut found = vec![];
        for item in &items {
            let value = by_path(item, &by)?;
            found.push(match (&default, value.is_undefined()) {
                (Some(default), true) => default.clone(),
                _ => value,
            });
        }
        return Ok(Value::list(found));
    }
    let name = args.need(0, "the name of a filter", "map")?;
    args.positional.remove(0);
    let Value::Str(name) = name else {
        return Err(Error::unplaced(
            "map needs the name of a filter, or attribute=…",
        ));
    };
    let mut found = vec![];
    for item in items {
        interp.budget().step()?;
        found.push(filter(interp, &name, item, args.clone())?);
    }
    Ok(Value::list(found))
}

fn groupby(interp: &mut Interp<'_>, value: &Value, mut args: Arguments) -> Result<Value, Error> {
    let by = args.need(0, "attribute", "groupby")?;
    let items = sorted_by(ops::items(value, interp.budget())?, Some(&by), false, true)?;
    let mut groups: Vec<(Value, Vec<Value>)> = vec![];
    for item in items {
        let key = by_path(&item, &by)?;
        match groups.last_mut() {
            Some((last, group)) if last.equals(&key) => group.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let pairs = groups
        .into_iter()
        .map(|(key, group)| Value::tuple(vec![key, Value::list(group)]));
    Ok(Value::list(pairs.collect()))
}

fn batches(
    interp: &mut Interp<'_>,
    value: &Value,
    mut args: Arguments,
    by_size: bool,
) -> Result<Value, Error> {
    let items = ops::items(value, interp.budget())?;
    let Some(Value::Int(n @ 1..)) = args.take(0, "linecount") else {
        return Err(Error::unplaced("batch and slice need a number above 0"));
    };
    let fill = args
        .take(1, "fill_with")
        .filter(|f| !matches!(f, Value::None));
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    interp.budget().items(n.min(1 << 40))?;
    let mut rows: Vec<Vec<Value>> = vec![];
    if by_size {
        rows.extend(items.chunks(n).map(<[Value]>::to_vec));
        if let (Some(last), Some(fill)) = (rows.last_mut(), fill) {
            last.resize(n, fill);
        }
    } else {
        let (each, more) = (items.len() / n, items.len() % n);
        let mut rest = items.into_iter();
        for i in 0..n {
            let mut row: Vec<Value> = rest.by_ref().take(each + usize::from(i < more)).collect();
            if let (Some(fill), true) = (&fill, more > 0 && i >= more) {
                row.push(fill.clone());
            }
            rows.push(row);
        }
    }
    Ok(Value::list(rows.into_iter().map(Value::list).collect()))
}

fn indent(interp: &Interp<'_>, text: &str, mut args: Arguments) -> Result<Value, Error> {
    let prefix = match args.take(0, "width") {
        Some(Value::Str(s)) => s,
        Some(Value::Int(n)) => {
            let n = usize::try_from(n).unwrap_or(0);
            interp.budget().text(n)?;
            Rc::from(" ".repeat(n))
        }
        _ => "    ".into(),
    };
    let first = args.take(1, "first").is_some_and(|f| f.is_true());
    let blank = args.take(2, "blank").is_some_and(|b| b.is_true());
    let lines = text.split('\n').count();
    interp
        .budget()
        .text(text.len() + lines.saturating_mul(prefix.len()))?;
    let indented = text.split('\n').enumerate().map(|(i, line)| {
        match (i > 0 || first) && (blank || !line.is_empty()) {
            true => format!("{prefix}{line}"),
            false => line.to_string(),
        }
    });
    Ok(Value::str(indented.collect::<Vec<_>>().join("\n")))
}

fn sorted_by(
    items: Vec<Value>,
    by: Option<&Value>,
    reverse: bool,
    fold_case: bool,
) -> Result<Vec<Value>, Error> {
    let Some(by) = by else {
        let mut items = items;
        sort(&mut items, reverse, fold_case)?;
        return Ok(items);
    };
    let mut keyed: Vec<Value> = vec![];
    for item in items {
        keyed.push(Value::tuple(vec![by_path(&item, by)?, item]));
    }
    let key = |pair: &Value| item(pair, &Value::Int(0)).unwrap_or(Value::None);
    sort_with(&mut keyed, reverse, |a, b| {
        order(&key(a), &key(b), fold_case)
    })?;
    Ok(keyed
        .iter()
        .map(|pair| item(pair, &Value::Int(1)).unwrap_or(Value::None))
        .collect())
}

/// Sorts in place, stably.
pub(super) fn sort(items: &mut [Value], reverse: bool, fold_case: bool) -> Result<(), Error> {
    sort_with(items, reverse, |a, b| order(a, b, fold_case))
}

fn order(a: &Value, b: &Value, fold_case: bool) -> Option<Ordering> {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) if fold_case => {
            Some(a.to_lowercase().cmp(&b.to_lowercase()))
        }
        _ => a.compare(b),
    }
}

fn sort_with(
    items: &mut [Value],
    reverse: bool,
    order: impl Fn(&Value, &Value) -> Option<Ordering>,
) -> Result<(), Error> {
    let mut wrong = None;
    items.sort_by(|a, b| {
        let found = order(a, b).unwrap_or_else(|| {
            wrong.get_or_insert_with(|| format!("{} and {} have no order", a.kind(), b.kind()));
            Ordering::Equal
        });
        if reverse { found.reverse() } else { found }
    });
    match wrong {
        Some(cause) => Err(Error::unplaced(cause)),
        None => Ok(()),
    }
}
