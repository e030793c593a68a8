//! Functions of Jinja and of dbt that need nothing of a project.

use std::rc::Rc;

use super::error::Error;
use super::interp::Globals;
use super::ops;
use super::value::{Arguments, Host, Object, Value};
use super::{datetime, filters};

/// Puts them into `globals`.
pub(crate) fn add(globals: &mut Globals) {
    let mut put = |name: &'static str,
                   call: fn(&mut dyn Host, Arguments) -> Result<Value, Error>| {
        globals.insert(name.into(), Value::function(name, call));
    };
    put("return", |_, _| Ok(Value::None));
    put("range", |_, args| range(args));
    put("dict", |host, args| {
        let mut entries = match args.positional.first() {
            Some(Value::Dict(first)) => first.entries(),
            Some(pairs) => {
                let mut entries = vec![];
                for pair in ops::items(pairs, host.budget())? {
                    match &ops::items(&pair, host.budget())?[..] {
                        [key, value] => {
                            entries.push((key.key().map_err(Error::unplaced)?, value.clone()))
                        }
                        _ => return Err(Error::unplaced("dict needs pairs of a key and a value")),
                    }
                }
                entries
            }
            None => vec![],
        };
        entries.extend(
            args.named
                .into_iter()
                .map(|(k, v)| (super::value::Key::Str(k), v)),
        );
        host.budget().items(entries.len() * 4)?;
        Ok(Value::dict_of(entries))
    });
    put("namespace", |host, args| {
        host.budget().bytes(args.named.len() * 64)?;
        let mut entries = args.named;
        if let Some(Value::Dict(first)) = args.positional.first() {
            for (key, value) in first.entries() {
                entries.push((
                    key.value().printed().map_err(Error::unplaced)?.into(),
                    value,
                ));
            }
        }
        Ok(Value::namespace(entries))
    });
    put("set", set);
    put("set_strict", set);
    put("zip", zip);
    put("zip_strict", |host, args| {
        let lengths: Result<Vec<i64>, Error> =
            args.positional.iter().map(filters::length).collect();
        match lengths?.windows(2).find(|pair| pair[0] != pair[1]) {
            Some(pair) => Err(Error::unplaced(format!(
                "zip_strict: one has {} values, another {}",
                pair[0], pair[1]
            ))),
            None => zip(host, args),
        }
    });
    put("tojson", |_, mut args| {
        let value = args.need(0, "value", "tojson")?;
        let default = args.take(1, "default");
        match value.to_json() {
            Ok(json) => Ok(Value::str(filters::json_text(&json, false))),
            Err(what) => {
                default.ok_or_else(|| Error::unplaced(format!("tojson: {what} has no JSON form")))
            }
        }
    });
    put("fromjson", |host, mut args| {
        let text = args.need(0, "string", "fromjson")?;
        let text = text.as_str().unwrap_or_default();
        // A character of JSON can be a value.
        host.budget().items(text.len() / 2)?;
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(json) => Ok(Value::from_json(&json)),
            Err(error) => args
                .take(1, "default")
                .ok_or_else(|| Error::unplaced(format!("fromjson: {error}"))),
        }
    });
    put("cycler", |_, args| match args.positional.is_empty() {
        true => Err(Error::unplaced("cycler needs values")),
        false => Ok(Value::object(Cycler {
            values: args.positional,
            at: std::cell::Cell::new(0),
        })),
    });
    put("joiner", |_, mut args| {
        let separator = args.take(0, "sep").unwrap_or(Value::str(", "));
        Ok(Value::object(Joiner {
            separator,
            is_used: std::cell::Cell::new(false),
        }))
    });
    globals.insert("modules".into(), Value::object(Modules));
}

fn range(args: Arguments) -> Result<Value, Error> {
    let mut numbers = vec![];
    for value in &args.positional {
        match value {
            Value::Int(n) => numbers.push(*n),
            Value::Bool(b) => numbers.push(i64::from(*b)),
            other => {
                return Err(Error::unplaced(format!(
                    "range needs whole numbers, not {}",
                    other.kind()
                )));
            }
        }
    }
    let (start, stop, step) = match numbers[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [_, _, 0] => return Err(Error::unplaced("the step of range cannot be 0")),
        [start, stop, step] => (start, stop, step),
        _ => return Err(Error::unplaced("range takes one to three numbers")),
    };
    Ok(Value::Range(Rc::new((start, stop, step))))
}

fn set(host: &mut dyn Host, mut args: Arguments) -> Result<Value, Error> {
    let values = match args.take(0, "value") {
        Some(value) => ops::items(&value, host.budget())?,
        None => vec![],
    };
    Ok(Value::set(ops::keys(values, host.budget())?))
}

fn zip(host: &mut dyn Host, args: Arguments) -> Result<Value, Error> {
    let mut columns = vec![];
    for value in &args.positional {
        columns.push(ops::items(value, host.budget())?.into_iter());
    }
    let mut rows = vec![];
    if columns.is_empty() {
        return Ok(Value::list(rows));
    }
    loop {
        let row: Option<Vec<Value>> = columns.iter_mut().map(Iterator::next).collect();
        match row {
            Some(row) => {
                host.budget().items(row.len() + 2)?;
                rows.push(Value::tuple(row));
            }
            None => return Ok(Value::list(rows)),
        }
    }
}

/// `modules`: Python's `datetime`; what else dbt has is refused by name.
struct Modules;

impl Object for Modules {
    fn get(&self, name: &str) -> Option<Value> {
        match name {
            "datetime" => Some(datetime::module()),
            "re" | "pytz" | "itertools" => Some(Value::object(NoModule(name.to_string()))),
            _ => None,
        }
    }

    fn print(&self) -> String {
        "modules".to_string()
    }
}

struct NoModule(String);

impl Object for NoModule {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }

    fn print(&self) -> String {
        format!("modules.{}", self.0)
    }

    fn call(&self, method: &str, _: Arguments) -> Option<Result<Value, Error>> {
        Some(Err(Error::unplaced(format!(
            "modules.{}.{method} is not supported",
            self.0
        ))
        .token(self.0.clone())
        .note(
            "modules.datetime is; texts have Python's methods: split, replace, startswith and more",
        )))
    }
}

struct Cycler {
    values: Vec<Value>,
    at: std::cell::Cell<usize>,
}

impl Object for Cycler {
    fn get(&self, name: &str) -> Option<Value> {
        (name == "current").then(|| self.values[self.at.get() % self.values.len()].clone())
    }

    fn print(&self) -> String {
        "<cycler>".to_string()
    }

    fn call(&self, method: &str, _: Arguments) -> Option<Result<Value, Error>> {
        match method {
            "next" => {
                let value = self.get("current");
                self.at.set(self.at.get() + 1);
                value.map(Ok)
            }
            "reset" => {
                self.at.set(0);
                Some(Ok(Value::None))
            }
            _ => None,
        }
    }
}

struct Joiner {
    separator: Value,
    is_used: std::cell::Cell<bool>,
}

impl Object for Joiner {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }

    fn print(&self) -> String {
        "<joiner>".to_string()
    }

    fn call(&self, method: &str, _: Arguments) -> Option<Result<Value, Error>> {
        (method == "__call__").then(|| {
            Ok(if self.is_used.replace(true) {
                self.separator.clone()
            } else {
                Value::str("")
            })
        })
    }
}
