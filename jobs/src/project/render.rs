//! Jinja: models and the few YAML values that may hold it, rendered by `minijinja` with dbt's functions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use minijinja::value::{Kwargs, Object, Rest, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};
use retail_lakehouse::TableName;

use crate::failure::{Failure, FailureKind};

use super::model::{ModelName, SourceRef};
use super::source_map::{SourceMap, mark, spot};
use super::suggest::did_you_mean;

/// What templates of a project have in common: variables and macros.
pub struct Renderer {
    env: Environment<'static>,
    vars: Arc<serde_json::Map<String, serde_json::Value>>,
    project: String,
    texts: BTreeMap<String, String>,
}

/// What `ref` and `source` may name. Without it every name is accepted: the first pass, that learns the names.
#[derive(Debug, Default, Clone)]
pub struct Scope {
    pub models: BTreeMap<ModelName, TableName>,
    /// Models that exist but are switched off, with the file that says so.
    pub disabled: BTreeMap<ModelName, String>,
    pub sources: BTreeMap<SourceRef, TableName>,
}

/// A rendered model.
#[derive(Debug)]
pub struct Rendered {
    pub sql: String,
    pub map: SourceMap,
    /// What `config(…)` said, in order.
    pub config: Vec<(String, serde_json::Value)>,
    /// What it refers to, without doubles, in order.
    pub refs: Vec<ModelName>,
    pub sources: Vec<SourceRef>,
}

#[derive(Default)]
struct Record {
    config: Vec<(String, serde_json::Value)>,
    refs: Vec<ModelName>,
    sources: Vec<SourceRef>,
}

impl Renderer {
    /// Compiles the macros (path, text). `vars` are the project's with those of the run over them.
    pub fn new(
        project: &str,
        vars: serde_json::Map<String, serde_json::Value>,
        macros: &[(String, String)],
    ) -> Result<Self, Failure> {
        let mut env = Environment::new();
        env.set_keep_trailing_newline(true);
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_debug(true);
        let mut renderer = Self {
            env,
            vars: Arc::new(vars),
            project: project.to_string(),
            texts: BTreeMap::new(),
        };
        renderer.add_common();
        for (path, text) in macros {
            renderer.texts.insert(path.clone(), text.clone());
            renderer
                .env
                .add_template_owned(path.clone(), text.clone())
                .map_err(|error| {
                    renderer.failure(&error, path, text, format!("cannot read {path}"))
                })?;
            for name in macro_names(text) {
                let (file, called) = (path.clone(), name.clone());
                renderer.env.add_function(
                    name,
                    move |state: &State, args: Rest<Value>| -> Result<Value, Error> {
                        let template = state.env().get_template(&file)?;
                        let module = template.render_captured(())?;
                        module.state().call_macro(&called, &args.0).map(Value::from)
                    },
                );
            }
        }
        Ok(renderer)
    }

    fn add_common(&mut self) {
        let vars = Arc::clone(&self.vars);
        self.env.add_function(
            "var",
            move |name: String, default: Option<Value>| -> Result<Value, Error> {
                if let Some(value) = vars.get(&name) {
                    return Ok(Value::from_serialize(value));
                }
                default.ok_or_else(|| {
                    let near = did_you_mean(&name, vars.keys().map(String::as_str));
                    Told::new(format!("variable {name} is not set{near}"), &name)
                        .note(format!(
                            "pass it with --vars {name}=…, or give a default: var('{name}', …)"
                        ))
                        .into()
                })
            },
        );
        self.env.add_function(
            "env_var",
            |name: String, _default: Option<Value>| -> Result<Value, Error> {
                Err(Told::new(
                    "env_var is refused: a job does not see the environment of a machine"
                        .to_string(),
                    &name,
                )
                .note(format!(
                    "use var('{}') and pass it with --vars",
                    name.to_lowercase()
                ))
                .into())
            },
        );
        self.env.add_function("is_incremental", || false);
        self.env.add_global("execute", true);
        self.env.add_global(
            "target",
            Value::from_iter([
                ("name", "retail"),
                ("type", "retail"),
                ("schema", "main"),
                ("profile_name", "retail"),
            ]),
        );
        self.env.add_global("project_name", self.project.clone());
    }

    /// Renders a model's template. `what` starts a failure's message (`cannot render model x`).
    pub fn model(
        &self,
        path: &str,
        text: &str,
        this: &TableName,
        scope: Option<&Scope>,
        what: &str,
    ) -> Result<Rendered, Failure> {
        let record = Arc::new(Mutex::new(Record::default()));
        let env = self.env_of(this, scope, &record);
        let sql = env
            .render_named_str(path, text, ())
            .map_err(|error| self.failure(&error, path, text, what.to_string()))?;
        let seen = std::mem::take(
            &mut *record
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        let map = scope.and(mark(text)).and_then(|marked| {
            let output = env.render_named_str(path, &marked.template, ()).ok()?;
            Some(SourceMap::new(&sql, &marked, &output))
        });
        Ok(Rendered {
            sql,
            map: map.unwrap_or_default(),
            config: seen.config,
            refs: seen.refs,
            sources: seen.sources,
        })
    }

    /// Renders a generic test: the macro `name` with the relation that it is about, of which only the rows of `filter`
    /// are tested, and its arguments. Texts that look like a call of `ref`, `source` or `var` are called.
    pub fn generic_test(
        &self,
        name: &str,
        table: &TableName,
        filter: Option<&str>,
        arguments: &[(String, serde_json::Value)],
        scope: &Scope,
        what: &str,
    ) -> Result<Rendered, Failure> {
        let path = "(test)";
        let record = Arc::new(Mutex::new(Record::default()));
        let mut env = self.env_of(table, Some(scope), &record);
        let relation = Value::from_object(Relation(table.clone()));
        let model = match filter {
            Some(filter) => Value::from(format!(
                "(select * from {relation} where {filter}) dbt_subquery"
            )),
            None => relation,
        };
        let mut all = vec![("model".to_string(), model)];
        for (key, value) in arguments {
            let value = match key.as_str() {
                "column_name" => Ok(Value::from_serialize(value)),
                _ => argument(&env, value),
            };
            let value = value.map_err(|error| {
                let told = told(&error).map(|told| told.cause.clone());
                let cause = told.unwrap_or_else(|| cause_of(&error, "", &[]));
                Failure::new(FailureKind::Project, what)
                    .at(path, 0, 0)
                    .cause(format!("{key}: {cause}"))
            })?;
            all.push((key.clone(), value));
        }
        env.add_global("_test_arguments", Value::from_iter(all));
        let text = format!("{{{{ {name}(**_test_arguments) }}}}");
        let sql = env
            .render_named_str(path, &text, ())
            .map_err(|error| self.failure(&error, path, &text, what.to_string()))?;
        let seen = std::mem::take(
            &mut *record
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        Ok(Rendered {
            sql,
            map: SourceMap::default(),
            config: seen.config,
            refs: seen.refs,
            sources: seen.sources,
        })
    }

    /// What an expression such as `ref('stores')` is: the relation, if it is one, and what it names. The error is the
    /// cause.
    #[allow(clippy::type_complexity, reason = "one caller takes it apart at once")]
    pub fn expression(
        &self,
        text: &str,
        scope: &Scope,
    ) -> Result<(Option<TableName>, Vec<ModelName>, Vec<SourceRef>), String> {
        let nobody = TableName {
            namespace: String::new(),
            name: String::new(),
        };
        let record = Arc::new(Mutex::new(Record::default()));
        let env = self.env_of(&nobody, Some(scope), &record);
        let value = env
            .compile_expression(text)
            .and_then(|expression| expression.eval(()))
            .map_err(|error| match told(&error) {
                Some(told) => told.cause.clone(),
                None => cause_of(&error, text, &[]),
            })?;
        let seen = std::mem::take(
            &mut *record
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        let table = value
            .downcast_object_ref::<Relation>()
            .map(|relation| relation.0.clone());
        Ok((table, seen.refs, seen.sources))
    }

    /// Renders a YAML value; only `var`, `target` and macros are there.
    pub fn value(&self, text: &str) -> Result<String, String> {
        if !text.contains("{{") && !text.contains("{%") {
            return Ok(text.to_string());
        }
        self.env
            .render_named_str("value", text, ())
            .map_err(|error| match told(&error) {
                Some(told) => [std::slice::from_ref(&told.cause), told.notes.as_slice()]
                    .concat()
                    .join("; "),
                None => cause_of(
                    &error,
                    error.range().and_then(|r| text.get(r)).unwrap_or_default(),
                    &[],
                ),
            })
    }

    fn env_of(
        &self,
        this: &TableName,
        scope: Option<&Scope>,
        record: &Arc<Mutex<Record>>,
    ) -> Environment<'static> {
        let mut env = self.env.clone();
        env.add_global("this", Value::from_object(Relation(this.clone())));
        let seen = Arc::clone(record);
        env.add_function(
            "config",
            move |args: Rest<Value>, kwargs: Kwargs| -> Result<String, Error> {
                let mut entries = vec![];
                for map in args.iter() {
                    for key in map.try_iter()? {
                        entries.push((key.to_string(), map.get_item(&key)?));
                    }
                }
                for key in kwargs.args() {
                    entries.push((key.to_string(), kwargs.get::<Value>(key)?));
                }
                let mut seen = seen
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                for (key, value) in entries {
                    let value = serde_json::to_value(&value).map_err(|_| {
                        Told::new(
                            format!("config {key} must be text, a number or a list"),
                            &key,
                        )
                    })?;
                    seen.config.push((key, value));
                }
                Ok(String::new())
            },
        );
        let (seen, names, project) = (Arc::clone(record), scope.cloned(), self.project.clone());
        env.add_function(
            "ref",
            move |first: String, second: Option<String>| -> Result<Value, Error> {
                let (package, name) = match second {
                    Some(name) => (Some(first), name),
                    None => (None, first),
                };
                if let Some(package) = package.filter(|p| *p != project) {
                    return Err(Told::new(
                        format!("there is no package {package}; this project is {project}"),
                        &package,
                    )
                    .into());
                }
                let model = ModelName::from(name.as_str());
                let table = match &names {
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
                let mut seen = seen
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if !seen.refs.contains(&model) {
                    seen.refs.push(model);
                }
                Ok(Value::from_object(Relation(table)))
            },
        );
        let (seen, names) = (Arc::clone(record), scope.cloned());
        env.add_function(
            "source",
            move |source_name: String, name: String| -> Result<Value, Error> {
                let source = SourceRef { source_name, name };
                let table = match &names {
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
                let mut seen = seen
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if !seen.sources.contains(&source) {
                    seen.sources.push(source);
                }
                Ok(Value::from_object(Relation(table)))
            },
        );
        env
    }

    /// A Jinja error as a person reads it, at its place in the model or in the macro.
    fn failure(&self, error: &Error, path: &str, text: &str, message: String) -> Failure {
        let file = error.name().unwrap_or(path);
        let text = if file == path {
            text
        } else {
            self.texts.get(file).map_or("", String::as_str)
        };
        let told = told(error);
        let range = error
            .range()
            .filter(|r| r.end <= text.len() && text.is_char_boundary(r.start));
        // `name.method()`: the range starts at the dot.
        let range = range.map(|r| match text[r.clone()].starts_with('.') {
            true => {
                text[..r.start]
                    .rfind(|c: char| !c.is_alphanumeric() && c != '_')
                    .map_or(0, |i| i + 1)..r.start
            }
            false => r,
        });
        let known: Vec<&str> = self
            .env
            .globals()
            .map(|(name, _)| name)
            .chain(["ref", "source", "config", "this"])
            .collect();
        let mut failure = Failure::new(FailureKind::Project, message);
        let token = told.map(|t| t.token.as_str()).filter(|t| !t.is_empty());
        let place = match (range.clone(), error.line()) {
            (Some(range), _) => {
                // The caret belongs under the name that is wrong, not under the whole call. A call's range may
                // leave out its arguments; they follow it.
                let inside = token.and_then(|t| {
                    let tail = &text[range.start..];
                    tail.find(t)
                        .filter(|i| !tail[..*i].contains("}}"))
                        .map(|i| (range.start + i, t.chars().count()))
                });
                let shown = text
                    .get(range.clone())
                    .unwrap_or_default()
                    .lines()
                    .next()
                    .unwrap_or_default();
                let (at, span) = inside.unwrap_or((range.start, shown.chars().count()));
                Some(spot(text, at, span.max(1) as u32))
            }
            (None, Some(line)) => {
                let start: usize = text
                    .split_inclusive('\n')
                    .take(line.saturating_sub(1))
                    .map(str::len)
                    .sum();
                let content = text[start..].lines().next().unwrap_or_default();
                let lead = content.len() - content.trim_start().len();
                let (at, span) = token
                    .and_then(|t| content.find(t).map(|i| (i, t.chars().count())))
                    .unwrap_or((lead, content.trim().chars().count()));
                Some(spot(text, start + at, span.max(1) as u32))
            }
            (None, None) => None,
        };
        if let Some(place) = place {
            failure = failure
                .at(file, place.line, place.column)
                .snippet_of(text, place.span);
        } else {
            failure = failure.at(file, 0, 0);
        }
        failure = match told {
            Some(told) => {
                failure.notes = told.notes.clone();
                failure.cause(&told.cause)
            }
            None => {
                let at = range.unwrap_or_default();
                failure.cause(cause_of(error, text.get(at).unwrap_or_default(), &known))
            }
        };
        failure.caused_by(error)
    }
}

/// An argument of a test as dbt hands it to its macro.
fn argument(env: &Environment<'_>, value: &serde_json::Value) -> Result<Value, Error> {
    let evaluate = |text: &str| env.compile_expression(text)?.eval(());
    match value {
        serde_json::Value::String(text) => {
            let trimmed = text.trim();
            let call = ["ref", "source", "var", "env_var", "doc"].iter().any(|f| {
                trimmed.ends_with(')')
                    && trimmed
                        .strip_prefix(f)
                        .is_some_and(|rest| rest.trim_start().starts_with('('))
            });
            let inner = trimmed
                .strip_prefix("{{")
                .and_then(|t| t.strip_suffix("}}"))
                .filter(|t| !t.contains("{{"));
            match inner {
                _ if call => evaluate(trimmed),
                Some(inner) => evaluate(inner.trim()),
                None if text.contains("{{") || text.contains("{%") => {
                    env.render_str(text, ()).map(Value::from)
                }
                None => Ok(Value::from(text.as_str())),
            }
        }
        serde_json::Value::Array(list) => list.iter().map(|item| argument(env, item)).collect(),
        serde_json::Value::Object(map) => map
            .iter()
            .map(|(key, item)| Ok((key.clone(), argument(env, item)?)))
            .collect(),
        other => Ok(Value::from_serialize(other)),
    }
}

impl Scope {
    fn no_model(&self, name: &ModelName) -> Error {
        if let Some(file) = self.disabled.get(name) {
            return Told::new(
                format!("model {name} is switched off (enabled: false in {file})"),
                name.as_str(),
            )
            .into();
        }
        let near = did_you_mean(name.as_str(), self.models.keys().map(ModelName::as_str));
        let told = Told::new(format!("there is no model {name}{near}"), name.as_str());
        match self.sources.keys().find(|s| s.name == name.as_str()) {
            Some(source) if near.is_empty() => told
                .note(format!(
                    "it is a source: source('{}', '{}')",
                    source.source_name, source.name
                ))
                .into(),
            _ => told.into(),
        }
    }

    fn no_source(&self, wanted: &SourceRef) -> Error {
        let of_name: Vec<&str> = self
            .sources
            .keys()
            .filter(|s| s.source_name == wanted.source_name)
            .map(|s| s.name.as_str())
            .collect();
        if of_name.is_empty() {
            let near = did_you_mean(
                &wanted.source_name,
                self.sources.keys().map(|s| s.source_name.as_str()),
            );
            return Told::new(
                format!("there is no source {}{near}", wanted.source_name),
                &wanted.source_name,
            )
            .into();
        }
        let near = did_you_mean(&wanted.name, of_name);
        Told::new(
            format!(
                "source {} has no table {}{near}",
                wanted.source_name, wanted.name
            ),
            &wanted.name,
        )
        .into()
    }
}

/// What a function of ours says went wrong, carried through `minijinja`.
#[derive(Debug)]
struct Told {
    cause: String,
    /// The text to put the caret under.
    token: String,
    notes: Vec<String>,
}

impl Told {
    fn new(cause: String, token: &str) -> Self {
        Self {
            cause,
            token: token.to_string(),
            notes: vec![],
        }
    }

    fn note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Told {}

impl From<Told> for Error {
    fn from(told: Told) -> Self {
        Error::new(ErrorKind::InvalidOperation, told.cause.clone()).with_source(told)
    }
}

fn told(error: &Error) -> Option<&Told> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = next {
        if let Some(told) = e.downcast_ref::<Told>() {
            return Some(told);
        }
        next = e.source();
    }
    None
}

/// Names of dbt that mean something there and nothing here.
const NOT_HERE: [&str; 14] = [
    "adapter",
    "api",
    "builtins",
    "dbt_utils",
    "dbt_date",
    "dbt_expectations",
    "dbt",
    "exceptions",
    "graph",
    "log",
    "modules",
    "run_query",
    "statement",
    "return",
];

/// The error in our words; `expression` is the text it is about.
fn cause_of(error: &Error, expression: &str, known: &[&str]) -> String {
    let detail = error.detail().unwrap_or_default();
    let expression = expression.trim();
    let head: String = expression
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    match error.kind() {
        ErrorKind::UndefinedError | ErrorKind::UnknownFunction | ErrorKind::UnknownMethod => {
            let name = match detail.split_whitespace().next() {
                Some(word) if detail.ends_with("is unknown") => {
                    word.trim_matches(['`', '\'', '"']).to_string()
                }
                _ if !head.is_empty() => head,
                _ => {
                    return if detail.is_empty() {
                        "a value is undefined".into()
                    } else {
                        detail.to_string()
                    };
                }
            };
            if NOT_HERE.contains(&name.as_str()) {
                return format!("{name} of dbt is not supported yet");
            }
            if expression.len() > name.len()
                && expression[name.len()..].starts_with('.')
                && known.contains(&name.as_str())
            {
                return format!("{expression} is not defined");
            }
            format!(
                "{name} is not defined{}",
                did_you_mean(&name, known.iter().copied())
            )
        }
        ErrorKind::SyntaxError => {
            let block = ["snapshot", "test", "materialization", "docs"]
                .into_iter()
                .find(|b| detail.contains(&format!("unknown statement {b}")));
            match block {
                Some(block) => format!("{block} blocks are not supported yet"),
                None => detail.to_string(),
            }
        }
        kind if detail.is_empty() => kind.to_string(),
        ErrorKind::InvalidOperation => detail.to_string(),
        kind => format!("{kind}: {detail}"),
    }
}

/// A table in a template: prints as `"namespace"."name"`, has `schema`, `name` and `identifier`.
#[derive(Debug)]
struct Relation(TableName);

impl Object for Relation {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "schema" => Some(Value::from(self.0.namespace.clone())),
            "name" | "identifier" | "table" => Some(Value::from(self.0.name.clone())),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(&self.0.namespace), quoted(&self.0.name))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The names that `{% macro name(…) %}` define.
fn macro_names(text: &str) -> Vec<String> {
    text.match_indices("{%")
        .filter_map(|(at, _)| {
            let inner = text[at + 2..].trim_start_matches(['-', '+']).trim_start();
            let name = inner
                .strip_prefix("macro")?
                .strip_prefix(char::is_whitespace)?
                .trim_start();
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            (end > 0).then(|| name[..end].to_string())
        })
        .collect()
}
