//! Jinja: models and the YAML values that may hold it, rendered with dbt's names.
//!
//! A model is rendered twice, as in dbt: once to learn its settings and what it names (`execute` is false, every name
//! is accepted), and once for its SQL.

mod blocks;
mod dbt;
mod failures;
mod objects;
mod overrides;
mod packages;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use retail_api::TableName;
use serde_json::{Map, Value as Json};

use retail_api::{Failure, FailureKind};

use super::jinja::{
    Arguments, Budget, Error, Globals, Interp, Limits, Output, Value, add_builtins, parse,
};
use super::model::ModelName;
use super::project::Warning;
use super::source_map::SourceMap;
pub(super) use blocks::next_tag;
use objects::Relation;
use packages::Macros;
use retail_api::source::{Location, SourceRef};
use retail_api::suggest::did_you_mean;

const TARGET: &str = "target.name is always retail, and target.schema main: profiles are not read";
/// For all templates of a project together; each has its own limit beside it.
const TIME_MAX: Duration = Duration::from_secs(60);

/// What templates of a project have in common: variables and macros.
pub(crate) struct Renderer {
    globals: Globals,
    /// Names of the project's macros, which go over dbt's own of the same name.
    own: Vec<Rc<str>>,
    macros: Rc<Macros>,
    project: String,
    texts: BTreeMap<String, String>,
    until: Instant,
    warnings: Rc<dbt::TemplateWarnings>,
}

/// What `ref` and `source` may name. Without it every name is accepted: the first pass, that learns the names.
#[derive(Debug, Default, Clone)]
pub(crate) struct Scope {
    pub models: BTreeMap<ModelName, TableName>,
    /// Models that exist but are switched off, with the file that does it.
    pub disabled: BTreeMap<ModelName, String>,
    pub sources: BTreeMap<SourceRef, TableName>,
}

/// A rendered model.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub sql: String,
    pub map: SourceMap,
    /// What `config(…)` said, in order.
    pub config: Vec<(String, Json)>,
    /// What it refers to, without doubles, in order.
    pub refs: Vec<ModelName>,
    pub sources: Vec<SourceRef>,
}

/// A generic test to render.
pub(crate) struct GenericTest<'a> {
    pub macro_name: &'a str,
    /// The relation that it is about, of which only the rows of `filter` are tested.
    pub table: &'a TableName,
    pub filter: Option<&'a str>,
    /// What stands in its place, where the project has it.
    pub relation: Option<&'a str>,
    pub arguments: &'a [(String, Json)],
    /// Its settings, for `config.get`.
    pub config: &'a Map<String, Json>,
}

/// What a template named while it was rendered.
#[derive(Default)]
struct Record {
    config: Vec<(String, Json)>,
    refs: Vec<ModelName>,
    sources: Vec<SourceRef>,
}

/// What a template is rendered for.
struct Occasion<'a> {
    this: &'a TableName,
    scope: Option<&'a Scope>,
    /// `model`: its name, path, tags and settings.
    node: Option<&'a Map<String, Json>>,
}

impl Renderer {
    /// Reads the macros (path, text). `vars` are the project's with those of the run over them.
    ///
    /// # Errors
    /// A macro file that does not parse, or two macros of one name.
    pub(crate) fn new(
        project: &str,
        vars: Map<String, Json>,
        macros: &[(String, String)],
    ) -> Result<Self, Failure> {
        let warnings = Rc::new(dbt::TemplateWarnings::default());
        let mut globals = Globals::new();
        add_builtins(&mut globals);
        let vars = Rc::new(vars);
        dbt::add(&mut globals, &vars, project, &warnings);
        let mut renderer = Self {
            globals,
            own: vec![],
            macros: Rc::new(Macros::default()),
            project: project.to_string(),
            texts: BTreeMap::new(),
            until: Instant::now() + TIME_MAX,
            warnings,
        };
        let mut places: BTreeMap<Rc<str>, Location> = BTreeMap::new();
        for (path, text) in macros {
            renderer.texts.insert(path.clone(), text.clone());
            let what = || format!("cannot read {path}");
            let wrong = |error: Error| renderer.failure(error, path, text, what());
            let (found, kept) = blocks::of(text).map_err(wrong)?;
            for block in found
                .iter()
                .filter(|b| !matches!(b.kind.as_str(), "macro" | "test" | "data_test"))
            {
                let text = format!(
                    "a {} block ({}) in a macro file is not read",
                    block.kind, block.name
                );
                let line = line_of(&renderer.texts[path], block.at);
                renderer.warnings.warn(text, path, line);
            }
            let template =
                parse(path, &kept).map_err(|e| renderer.failure(e, path, text, what()))?;
            for (name, value, at) in Interp::macros(&template) {
                let place = Location {
                    file: path.clone(),
                    line: line_of(text, at.start),
                };
                if let Some(other) = places.insert(Rc::clone(&name), place.clone()) {
                    return Err(Failure::new(
                        FailureKind::Project,
                        format!("there are two macros {name}"),
                    )
                    .at(path, place.line, 1)
                    .snippet_of(text, at.length as u32)
                    .cause(format!("the other is in {other}"))
                    .note("macros are unique in a project: rename one of them"));
                }
                renderer.macros.put(&name, value.clone());
                renderer.globals.insert(Rc::clone(&name), value);
                renderer.own.push(name);
            }
        }
        for (name, place) in &places {
            if let Some(warning) = overrides::of(name, place)? {
                renderer
                    .warnings
                    .warn(warning.text, &place.file, place.line);
            }
        }
        packages::add(&mut renderer.globals, &renderer.macros, project)?;
        Ok(renderer)
    }

    /// Lets macros of the project go over those of the packages that are built in, as `dispatch:` states.
    pub(crate) fn dispatch(&self, package: &str, search_order: Vec<String>) {
        self.macros.search(package, search_order);
    }

    /// What templates said to the person who runs them: `log`, `exceptions.warn`, names that are not defined.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        self.warnings.take()
    }

    /// Renders a model's template. `what` starts a failure's message (`cannot render model x`).
    pub(crate) fn model(
        &self,
        path: &str,
        text: &str,
        this: &TableName,
        scope: Option<&Scope>,
        what: &str,
    ) -> Result<Rendered, Failure> {
        self.node(path, text, this, scope, &Map::new(), what)
    }

    /// As [`Self::model`], with what `model` and `config.get` know.
    pub(crate) fn node(
        &self,
        path: &str,
        text: &str,
        this: &TableName,
        scope: Option<&Scope>,
        node: &Map<String, Json>,
        what: &str,
    ) -> Result<Rendered, Failure> {
        let record = Rc::new(RefCell::new(Record::default()));
        // What the first pass read is read again in the second.
        self.warnings.is_target_read();
        let occasion = Occasion {
            this,
            scope,
            node: Some(node),
        };
        let globals = self.globals_of(&occasion, &record);
        let out = self
            .render(path, text, &globals)
            .map_err(|error| self.failure(error, path, text, what.to_string()))?;
        if scope.is_some() {
            self.warn_of_undefined(path, text, &out);
        }
        let seen = record.take();
        Ok(Rendered {
            map: SourceMap::new(&out.pieces),
            sql: out.text,
            config: seen.config,
            refs: seen.refs,
            sources: seen.sources,
        })
    }

    /// The project's macro of this name, or the one that goes over dbt's macro of this name in dbt.
    pub(crate) fn own_over(&self, name: &str) -> Option<String> {
        let prefixed = packages::PREFIXES.map(|prefix| format!("{prefix}{name}"));
        [name.to_string()]
            .into_iter()
            .chain(prefixed)
            .find(|name| self.own.iter().any(|own| **own == **name))
    }

    /// What the project's own `get_where_subquery` makes of a relation that is tested; `None` if it has none.
    pub(crate) fn where_subquery(
        &self,
        table: &TableName,
        config: &Map<String, Json>,
        scope: &Scope,
        what: &str,
    ) -> Result<Option<String>, Failure> {
        let Some(name) = self.own_over("get_where_subquery") else {
            return Ok(None);
        };
        let node = Map::from_iter([("config".to_string(), Json::Object(config.clone()))]);
        let occasion = Occasion {
            this: table,
            scope: Some(scope),
            node: Some(&node),
        };
        let mut globals = self.globals_of(&occasion, &Rc::default());
        let relation = Value::object(Relation::new(table.clone()));
        globals.insert("_relation".into(), relation);
        let text = format!("{{{{ {name}(_relation) }}}}");
        match self.render("(test)", &text, &globals) {
            Ok(out) => Ok(Some(out.text.trim().to_string())),
            Err(error) => Err(self.failure(error, "(test)", &text, what.to_string())),
        }
    }

    /// Renders a generic test: its macro with the relation that it is about and its arguments. Texts that look like a
    /// call of `ref`, `source` or `var` are called.
    pub(crate) fn generic_test(
        &self,
        test: &GenericTest<'_>,
        scope: &Scope,
        what: &str,
    ) -> Result<Rendered, Failure> {
        let path = "(test)";
        let record = Rc::new(RefCell::new(Record::default()));
        let node = Map::from_iter([("config".to_string(), Json::Object(test.config.clone()))]);
        let occasion = Occasion {
            this: test.table,
            scope: Some(scope),
            node: Some(&node),
        };
        let mut globals = self.globals_of(&occasion, &record);
        let relation = Value::object(Relation::new(test.table.clone()));
        let model = match (test.relation, test.filter) {
            (Some(relation), _) => Value::str(relation),
            (None, Some(filter)) => {
                let relation = relation.printed().unwrap_or_default();
                Value::str(format!(
                    "(select * from {relation} where {filter}) dbt_subquery"
                ))
            }
            (None, None) => relation,
        };
        let mut all = vec![("model".to_string(), model)];
        for (key, value) in test.arguments {
            let value = match key.as_str() {
                "column_name" => Ok(Value::from_json(value)),
                _ => self.argument(&globals, value),
            };
            let value = value.map_err(|error| {
                Failure::new(FailureKind::Project, what)
                    .at(path, 0, 0)
                    .cause(format!("{key}: {}", error.cause))
            })?;
            all.push((key.clone(), value));
        }
        globals.insert("_test_arguments".into(), Value::dict(all));
        let text = format!("{{{{ {}(**_test_arguments) }}}}", test.macro_name);
        let out = self
            .render(path, &text, &globals)
            .map_err(|error| self.failure(error, path, &text, what.to_string()))?;
        self.warn_of_undefined(path, &text, &out);
        let seen = record.take();
        Ok(Rendered {
            sql: out.text,
            map: SourceMap::default(),
            config: seen.config,
            refs: seen.refs,
            sources: seen.sources,
        })
    }

    /// An argument of a test as dbt hands it to its macro.
    fn argument(&self, globals: &Globals, value: &Json) -> Result<Value, Error> {
        match value {
            Json::String(text) => {
                let trimmed = text.trim();
                let call = ["ref", "source", "var", "env_var", "doc"].iter().any(|f| {
                    trimmed.ends_with(')')
                        && trimmed
                            .strip_prefix(f)
                            .is_some_and(|rest| rest.trim_start().starts_with('('))
                });
                match inside(trimmed) {
                    _ if call => self.evaluate(globals, trimmed),
                    Some(inner) => self.evaluate(globals, inner),
                    None if is_template(text) => {
                        self.defined(text, globals).map(|out| Value::str(out.text))
                    }
                    None => Ok(Value::str(text.as_str())),
                }
            }
            Json::Array(list) => {
                let items = list.iter().map(|item| self.argument(globals, item));
                Ok(Value::list(items.collect::<Result<_, _>>()?))
            }
            Json::Object(map) => {
                let items = map
                    .iter()
                    .map(|(key, item)| Ok((key.as_str(), self.argument(globals, item)?)));
                Ok(Value::dict(items.collect::<Result<Vec<_>, Error>>()?))
            }
            other => Ok(Value::from_json(other)),
        }
    }

    /// What an expression such as `ref('stores')` is: the relation, if it is one, and what it names. The error is the
    /// cause.
    #[allow(clippy::type_complexity, reason = "one caller takes it apart at once")]
    pub(crate) fn expression(
        &self,
        text: &str,
        scope: &Scope,
    ) -> Result<(Option<TableName>, Vec<ModelName>, Vec<SourceRef>), String> {
        let nobody = TableName {
            namespace: String::new(),
            name: String::new(),
        };
        let record = Rc::new(RefCell::new(Record::default()));
        let occasion = Occasion {
            this: &nobody,
            scope: Some(scope),
            node: None,
        };
        let globals = self.globals_of(&occasion, &record);
        let value = self.evaluate(&globals, text).map_err(|error| error.cause)?;
        let seen = record.take();
        let table = match &value {
            Value::Object(object) => object
                .parts()
                .map(|(namespace, name)| TableName { namespace, name }),
            _ => None,
        };
        Ok((table, seen.refs, seen.sources))
    }

    /// Renders a YAML value; only `var`, `env_var`, `target` and macros are there.
    pub(crate) fn value(&self, text: &str) -> Result<String, String> {
        if !is_template(text) {
            return Ok(text.to_string());
        }
        match self.defined(text, &self.globals) {
            Ok(out) => Ok(out.text),
            Err(error) => Err([vec![error.cause], error.notes].concat().join("; ")),
        }
    }

    /// Renders a value of YAML. A name that is not defined is an error there, as in dbt: a condition would be cut short.
    fn defined(&self, text: &str, globals: &Globals) -> Result<Output, Error> {
        let out = self.render("value", text, globals)?;
        self.warn_of_target();
        match out.undefined.first() {
            Some((_, name, _)) => Err(self.undefined(name)),
            None => Ok(out),
        }
    }

    fn undefined(&self, name: &str) -> Error {
        let near = did_you_mean(name, self.globals.keys().map(|k| &**k));
        Error::unplaced(format!("{name} is not defined{near}"))
    }

    /// Renders every text in a value of YAML. A text that is one expression becomes what that gives, as in dbt.
    pub(crate) fn json(&self, value: &Json) -> Result<Json, String> {
        match value {
            Json::String(text) if is_template(text) => {
                let failed = |error: Error| [vec![error.cause], error.notes].concat().join("; ");
                match inside(text.trim()) {
                    Some(inner) => self
                        .evaluate(&self.globals, inner)
                        .map_err(failed)?
                        .to_json(),
                    None => self.value(text).map(Json::from),
                }
            }
            Json::Array(list) => list.iter().map(|item| self.json(item)).collect(),
            Json::Object(map) => map
                .iter()
                .map(|(key, item)| Ok((key.clone(), self.json(item)?)))
                .collect::<Result<Map<_, _>, String>>()
                .map(Json::Object),
            other => Ok(other.clone()),
        }
    }

    /// What a macro of the project gives, such as `generate_schema_name`; `None` if the project has none of this name.
    pub(crate) fn own_macro(
        &self,
        name: &str,
        arguments: Vec<Json>,
        what: &str,
    ) -> Result<Option<String>, Failure> {
        if !self.own.iter().any(|own| **own == *name) {
            return Ok(None);
        }
        let mut globals = self.globals.clone();
        let values: Vec<Value> = arguments.iter().map(Value::from_json).collect();
        globals.insert("_arguments".into(), Value::list(values));
        let text = format!("{{{{ {name}(*_arguments) }}}}");
        match self.render("(project)", &text, &globals) {
            Ok(out) => {
                self.warn_of_target();
                Ok(Some(out.text.trim().to_string()))
            }
            Err(error) => Err(self.failure(error, "(project)", &text, what.to_string())),
        }
    }

    fn evaluate(&self, globals: &Globals, expression: &str) -> Result<Value, Error> {
        let kept = Rc::new(RefCell::new(Value::None));
        let slot = Rc::clone(&kept);
        let mut globals = globals.clone();
        let keep = Value::function("keep", move |_, mut args: Arguments| {
            *slot.borrow_mut() = args.take(0, "value").unwrap_or(Value::None);
            Ok(Value::None)
        });
        globals.insert("_keep".into(), keep);
        let text = format!("{{% do _keep({expression}) %}}");
        let out = self.render("value", &text, &globals)?;
        self.warn_of_target();
        match (kept.take(), out.undefined.first()) {
            (Value::Undefined(name), _) => Err(self.undefined(&name)),
            (_, Some((_, name, _))) => Err(self.undefined(name)),
            (value, None) => Ok(value),
        }
    }

    /// What YAML and the macros that name tables read of the target, said once.
    fn warn_of_target(&self) {
        if self.warnings.is_target_read() {
            self.warnings.warn_once(TARGET, "", 0);
        }
    }

    fn render(&self, path: &str, text: &str, globals: &Globals) -> Result<Output, Error> {
        let template = parse(path, text)?;
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let cause = format!(
                "the templates of the project take longer than {} s",
                TIME_MAX.as_secs()
            );
            return Err(Error::unplaced(cause));
        }
        let limits = Limits::default();
        let budget = Budget::new(Limits {
            time: limits.time.min(left),
            ..limits
        });
        let line = |file: &str, at: usize| match file == path {
            true => line_of(text, at),
            false => self.texts.get(file).map_or(0, |text| line_of(text, at)),
        };
        Interp::new(globals, &budget, &line).render(&template)
    }

    fn globals_of(&self, occasion: &Occasion<'_>, record: &Rc<RefCell<Record>>) -> Globals {
        let mut globals = self.globals.clone();
        let names = objects::names(occasion, &self.project, record);
        globals.insert(
            "builtins".into(),
            Value::dict(names.iter().map(|(n, v)| (*n, v.clone()))),
        );
        for (name, value) in names {
            // A macro of the project that is called `ref` is what dbt calls as well.
            if !self.own.iter().any(|own| **own == *name) {
                globals.insert(name.into(), value);
            }
        }
        globals
    }

    fn warn_of_undefined(&self, path: &str, text: &str, out: &Output) {
        for (file, name, at) in &out.undefined {
            let text = match file == path {
                true => text,
                false => self.texts.get(file).map_or("", String::as_str),
            };
            let known = self
                .globals
                .keys()
                .map(|k| &**k)
                .chain(["ref", "source", "config", "this", "model"]);
            let near = did_you_mean(name, known);
            let warning = format!("{name} is not defined and stands for nothing{near}");
            self.warnings.warn(warning, file, line_of(text, at.start));
        }
        if self.warnings.is_target_read() {
            let line = text
                .lines()
                .position(|l| l.contains("target."))
                .map_or(0, |n| n as u32 + 1);
            self.warnings.warn_once(TARGET, path, line);
        }
    }
}

/// The expression that a text is made of alone: `{{ … }}`.
fn inside(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim_matches('-').trim())
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The 1-based line of a byte offset.
fn line_of(text: &str, at: usize) -> u32 {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|b| **b == b'\n').count() as u32 + 1
}
