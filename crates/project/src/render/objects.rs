//! What a template sees of its model: `ref`, `source`, `config`, `this`, `model`.

use std::cell::RefCell;
use std::rc::Rc;

use retail_api::TableName;
use serde_json::{Map, Value as Json};

use super::super::jinja::{Arguments, Error, Object, Value};
use super::super::model::ModelName;
use super::{Occasion, Record, Scope};
use retail_api::source::SourceRef;

/// A table in a template: prints as `"namespace"."name"`, has `schema`, `name` and `identifier`.
pub(super) struct Relation {
    table: TableName,
    with_schema: bool,
    with_name: bool,
}

impl Relation {
    pub(super) fn new(table: TableName) -> Self {
        Self {
            table,
            with_schema: true,
            with_name: true,
        }
    }
}

impl Object for Relation {
    fn get(&self, key: &str) -> Option<Value> {
        match key {
            "schema" => Some(Value::str(self.table.namespace.as_str())),
            "name" | "identifier" | "table" => Some(Value::str(self.table.name.as_str())),
            "database" => Some(Value::str("retail")),
            "type" => Some(Value::str("table")),
            "is_table" => Some(Value::Bool(true)),
            "is_view" | "is_cte" => Some(Value::Bool(false)),
            _ => None,
        }
    }

    fn print(&self) -> String {
        let parts = [
            self.with_schema.then(|| quoted(&self.table.namespace)),
            self.with_name.then(|| quoted(&self.table.name)),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(".")
    }

    fn call(&self, method: &str, mut args: Arguments) -> Option<Result<Value, Error>> {
        match method {
            "include" => {
                let mut shown =
                    |name: &str| args.take(usize::MAX, name).is_none_or(|v| v.is_true());
                let (with_schema, with_name) = (shown("schema"), shown("identifier"));
                Some(Ok(Value::object(Self {
                    table: self.table.clone(),
                    with_schema,
                    with_name,
                })))
            }
            "quote" => Some(Ok(Value::object(Self {
                table: self.table.clone(),
                ..*self
            }))),
            "without_identifier" => Some(Ok(Value::object(Self {
                table: self.table.clone(),
                with_schema: true,
                with_name: false,
            }))),
            "render" => Some(Ok(Value::str(self.print()))),
            _ => None,
        }
    }

    fn parts(&self) -> Option<(String, String)> {
        Some((self.table.namespace.clone(), self.table.name.clone()))
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The names that depend on what is rendered.
pub(super) fn names(
    occasion: &Occasion<'_>,
    project: &str,
    record: &Rc<RefCell<Record>>,
) -> Vec<(&'static str, Value)> {
    let scope = occasion.scope.map(|scope| Rc::new(scope.clone()));
    let node = occasion.node.cloned().unwrap_or_default();
    let known = match node.get("config") {
        Some(Json::Object(config)) => config.clone(),
        _ => Map::new(),
    };
    vec![
        ("this", Value::object(Relation::new(occasion.this.clone()))),
        ("execute", Value::Bool(scope.is_some())),
        (
            "ref",
            reference(project.to_string(), scope.clone(), Rc::clone(record)),
        ),
        ("source", source(scope, Rc::clone(record))),
        (
            "config",
            Value::object(Config {
                known,
                record: Rc::clone(record),
            }),
        ),
        ("model", Value::from_json(&Json::Object(node))),
    ]
}

fn text(value: Option<Value>, what: &str) -> Result<String, Error> {
    match value {
        Some(Value::Str(text)) => Ok(text.to_string()),
        Some(Value::Undefined(name)) => Err(Error::unplaced(format!(
            "{what} needs a text, and {name} is not defined"
        ))
        .token(name.to_string())),
        Some(other) => Err(Error::unplaced(format!(
            "{what} needs a text, not {}",
            other.kind()
        ))),
        None => Err(Error::unplaced(format!("{what} needs a name"))),
    }
}

fn reference(project: String, scope: Option<Rc<Scope>>, record: Rc<RefCell<Record>>) -> Value {
    Value::function("ref", move |_, mut args| {
        if let Some((name, _)) = args
            .named
            .iter()
            .find(|(n, _)| matches!(&**n, "v" | "version"))
        {
            return Err(Error::unplaced("versions of models are not supported")
                .token(format!("{name}="))
                .note("give the version a model of its own: ref('orders_v2')"));
        }
        let count = args.positional.len();
        if count > 2 {
            return Err(Error::unplaced(
                "ref takes the name of a model, and before it that of a package",
            ));
        }
        let (package, name) = match count {
            2 => (
                Some(text(args.take(0, "package"), "ref")?),
                text(args.take(1, "name"), "ref")?,
            ),
            _ => (None, text(args.take(0, "name"), "ref")?),
        };
        if let Some(package) = package.filter(|p| *p != project) {
            let cause = format!("there is no package {package}; this project is {project}");
            return Err(Error::unplaced(cause).token(package));
        }
        let model = ModelName::from(name.as_str());
        let table = match &scope {
            None => TableName {
                namespace: "main".into(),
                name,
            },
            Some(scope) => scope
                .models
                .get(&model)
                .cloned()
                .ok_or_else(|| scope.no_model(&model))?,
        };
        let mut seen = record.borrow_mut();
        if !seen.refs.contains(&model) {
            seen.refs.push(model);
        }
        Ok(Value::object(Relation::new(table)))
    })
}

fn source(scope: Option<Rc<Scope>>, record: Rc<RefCell<Record>>) -> Value {
    Value::function("source", move |_, mut args| {
        let source = SourceRef {
            source_name: text(args.take(0, "source_name"), "source")?,
            name: text(args.take(1, "table_name"), "source")?,
        };
        let table = match &scope {
            None => TableName {
                namespace: source.source_name.clone(),
                name: source.name.clone(),
            },
            Some(scope) => scope
                .sources
                .get(&source)
                .cloned()
                .ok_or_else(|| scope.no_source(&source))?,
        };
        let mut seen = record.borrow_mut();
        if !seen.sources.contains(&source) {
            seen.sources.push(source);
        }
        Ok(Value::object(Relation::new(table)))
    })
}

/// `config(…)`, `config.get(…)`, `config.require(…)`.
struct Config {
    /// Settings from YAML and, in the second pass, from the file.
    known: Map<String, Json>,
    record: Rc<RefCell<Record>>,
}

impl Config {
    fn find(&self, name: &str) -> Option<Value> {
        let record = self.record.borrow();
        let said = record
            .config
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value);
        let meta = || self.known.get("meta").and_then(|meta| meta.get(name));
        said.or_else(|| self.known.get(name))
            .or_else(meta)
            .map(Value::from_json)
    }

    fn set(&self, args: Arguments) -> Result<Value, Error> {
        let mut entries = vec![];
        for value in args.positional {
            let Value::Dict(dict) = &value else {
                return Err(Error::unplaced(format!(
                    "config takes names and values, not {}",
                    value.kind()
                )));
            };
            for (key, value) in dict.entries() {
                entries.push((key.value().printed().unwrap_or_default(), value));
            }
        }
        entries.extend(
            args.named
                .into_iter()
                .map(|(name, value)| (name.to_string(), value)),
        );
        for (key, value) in entries {
            if let Value::Undefined(name) = &value {
                return Err(
                    Error::unplaced(format!("config {key}: {name} is not defined"))
                        .token(name.to_string()),
                );
            }
            let json = value.to_json().map_err(|what| {
                Error::unplaced(format!("config {key} cannot be {what}")).token(key.clone())
            })?;
            self.record.borrow_mut().config.push((key, json));
        }
        Ok(Value::str(""))
    }
}

impl Object for Config {
    fn get(&self, name: &str) -> Option<Value> {
        self.find(name)
    }

    fn print(&self) -> String {
        "config".to_string()
    }

    fn call(&self, method: &str, mut args: Arguments) -> Option<Result<Value, Error>> {
        match method {
            "__call__" => Some(self.set(args)),
            "get" | "meta_get" => Some(args.need(0, "name", "config.get").map(|name| {
                let name = name.printed().unwrap_or_default();
                self.find(&name)
                    .or_else(|| args.take(1, "default"))
                    .unwrap_or(Value::None)
            })),
            "require" | "meta_require" => {
                Some(args.need(0, "name", "config.require").and_then(|name| {
                    let name = name.printed().unwrap_or_default();
                    self.find(&name).ok_or_else(|| {
                        Error::unplaced(format!("the model needs the setting {name}")).token(name)
                    })
                }))
            }
            "set" => {
                let named = args
                    .take(0, "name")
                    .and_then(|n| n.as_str().map(std::rc::Rc::from));
                let value = args.take(1, "value");
                Some(match (named, value) {
                    (Some(name), Some(value)) => self.set(Arguments {
                        positional: vec![],
                        named: vec![(name, value)],
                    }),
                    _ => Err(Error::unplaced("config.set needs a name and a value")),
                })
            }
            "persist_relation_docs" | "persist_column_docs" => Some(Ok(Value::Bool(false))),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        ["get", "require", "set"].map(str::to_string).to_vec()
    }
}
