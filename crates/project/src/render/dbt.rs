//! dbt's functions that need nothing of a model: `var`, `env_var`, `target`, `log`, `exceptions`, and by name those that
//! are refused.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::{Map, Value as Json};

use super::super::jinja::{Arguments, Error, Globals, Moment, Object, Value};
use super::super::project::Warning;
use super::super::yaml::json_of_yaml;
use super::objects::quoted;
use retail_api::source::Location;
use retail_api::suggest::did_you_mean;

/// Variables that carry the environment of the person who runs: `env_var:DBT_CUTOFF`.
pub(super) const ENV_PREFIX: &str = "env_var:";
/// Warnings of templates, at most; one that has more has a loop.
const WARNINGS_MAX: usize = 50;

/// What templates report to the person who runs them, each sentence once.
#[derive(Default)]
pub(super) struct TemplateWarnings {
    warnings: RefCell<Vec<Warning>>,
    target_read: Rc<Cell<bool>>,
}

impl TemplateWarnings {
    pub(super) fn warn(&self, text: impl Into<String>, file: &str, line: u32) {
        let warning = Warning::new(
            text,
            Location {
                file: file.to_string(),
                line,
            },
        );
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < WARNINGS_MAX && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// As [`Self::warn`], for what need not be said of every file.
    pub(super) fn warn_once(&self, text: &str, file: &str, line: u32) {
        if !self.warnings.borrow().iter().any(|w| w.text == text) {
            self.warn(text, file, line);
        }
    }

    pub(super) fn take(&self) -> Vec<Warning> {
        self.warnings.take()
    }

    /// Whether a template has read what profiles would say, since the last call.
    pub(super) fn is_target_read(&self) -> bool {
        self.target_read.replace(false)
    }
}

/// Puts the functions into `globals`.
pub(super) fn add(
    globals: &mut Globals,
    vars: &Rc<Map<String, Json>>,
    project: &str,
    warnings: &Rc<TemplateWarnings>,
) {
    let mut put = |name: &str, value: Value| globals.insert(name.into(), value);
    put("var", Value::object(Var(Rc::clone(vars))));
    put("env_var", env_var(Rc::clone(vars), Rc::clone(warnings)));
    put(
        "target",
        Value::object(Target {
            read: Rc::clone(&warnings.target_read),
        }),
    );
    put("project_name", Value::str(project));
    put(
        "is_incremental",
        Value::function("is_incremental", |_, _| Ok(Value::Bool(false))),
    );
    put(
        "should_full_refresh",
        Value::function("should_full_refresh", |_, _| Ok(Value::Bool(false))),
    );
    put("run_started_at", Moment::utc(chrono::Utc::now()));
    put(
        "invocation_id",
        Value::str(uuid::Uuid::new_v4().to_string()),
    );
    put("dbt_version", Value::str("1.10.0"));
    put("thread_id", Value::str("Thread-1"));
    let flags = [
        ("FULL_REFRESH", Value::Bool(false)),
        ("WHICH", Value::str("run")),
    ];
    put("flags", Value::dict(flags));
    let reported = Rc::clone(warnings);
    put(
        "log",
        Value::function("log", move |host, mut args| {
            let message = args
                .need(0, "msg", "log")?
                .printed()
                .map_err(Error::unplaced)?;
            // Without info, dbt writes to its own file only.
            if args.take(1, "info").is_some_and(|info| info.is_true()) {
                let (file, line) = host.place();
                reported.warn(format!("log: {}", shortened(&message)), &file, line);
            }
            Ok(Value::str(""))
        }),
    );
    let reported = Rc::clone(warnings);
    put(
        "print",
        Value::function("print", move |host, mut args| {
            let message = args
                .need(0, "msg", "print")?
                .printed()
                .map_err(Error::unplaced)?;
            let (file, line) = host.place();
            reported.warn(format!("print: {}", shortened(&message)), &file, line);
            Ok(Value::str(""))
        }),
    );
    put("exceptions", Value::dict(exceptions(warnings)));
    put(
        "local_md5",
        Value::function("local_md5", |_, mut args| {
            use md5::{Digest, Md5};
            let text = args
                .need(0, "value", "local_md5")?
                .printed()
                .map_err(Error::unplaced)?;
            Ok(Value::str(
                Md5::digest(text.as_bytes())
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect::<String>(),
            ))
        }),
    );
    put(
        "fromyaml",
        Value::function("fromyaml", |host, mut args| {
            let text = args
                .need(0, "value", "fromyaml")?
                .printed()
                .map_err(Error::unplaced)?;
            host.budget().text(text.len().saturating_mul(8))?;
            match json_of_yaml(&text) {
                Ok(json) => Ok(Value::from_json(&json)),
                Err(error) => args
                    .take(1, "default")
                    .ok_or_else(|| Error::unplaced(format!("fromyaml: {error}"))),
            }
        }),
    );
    put(
        "toyaml",
        Value::function("toyaml", |_, mut args| {
            let json = args.need(0, "value", "toyaml")?.to_json();
            let text =
                json.and_then(|json| serde_saphyr::to_string(&json).map_err(|e| e.to_string()));
            text.map(Value::str)
                .map_err(|what| Error::unplaced(format!("toyaml: {what} has no YAML form")))
        }),
    );
    for (name, why, way_out) in REFUSED {
        put(name, Value::object(Refused { name, why, way_out }));
    }
}

fn exceptions(warnings: &Rc<TemplateWarnings>) -> Vec<(&'static str, Value)> {
    let raise = |name: &'static str| {
        Value::function(name, |_, mut args| {
            let message = args
                .take(0, "msg")
                .map_or(Ok(String::new()), |m| m.printed());
            Err(Error::unplaced(message.map_err(Error::unplaced)?))
        })
    };
    let reported = Rc::clone(warnings);
    let warn = Value::function("warn", move |host, mut args| {
        let message = args
            .need(0, "msg", "exceptions.warn")?
            .printed()
            .map_err(Error::unplaced)?;
        let (file, line) = host.place();
        reported.warn(shortened(&message), &file, line);
        Ok(Value::str(""))
    });
    vec![
        ("raise_compiler_error", raise("raise_compiler_error")),
        ("raise_not_implemented", raise("raise_not_implemented")),
        ("warn", warn),
    ]
}

fn shortened(message: &str) -> String {
    const MOST: usize = 500;
    match message.chars().count() > MOST {
        true => message.chars().take(MOST).chain(['…']).collect(),
        false => message.to_string(),
    }
}

/// `var('name', default)` and `var.has_var('name')`.
struct Var(Rc<Map<String, Json>>);

impl Object for Var {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }

    fn print(&self) -> String {
        "var".to_string()
    }

    fn call(&self, method: &str, mut args: Arguments) -> Option<Result<Value, Error>> {
        let name = match args.need(0, "the name of a variable", "var") {
            Ok(name) => name.printed().unwrap_or_default(),
            Err(error) => return Some(Err(error)),
        };
        match method {
            "has_var" => Some(Ok(Value::Bool(self.0.contains_key(&name)))),
            "__call__" => {
                if let Some(value) = self.0.get(&name) {
                    return Some(Ok(Value::from_json(value)));
                }
                Some(args.take(1, "default").ok_or_else(|| {
                    let shown = self
                        .0
                        .keys()
                        .map(String::as_str)
                        .filter(|k| !k.starts_with(ENV_PREFIX));
                    let near = did_you_mean(&name, shown);
                    Error::unplaced(format!("variable {name} is not set{near}"))
                        .token(name.clone())
                        .note(format!(
                            "pass it with --vars {name}=…, or give a default: var('{name}', …)"
                        ))
                }))
            }
            _ => None,
        }
    }
}

fn env_var(vars: Rc<Map<String, Json>>, warnings: Rc<TemplateWarnings>) -> Value {
    Value::function("env_var", move |host, mut args| {
        let name = args
            .need(0, "the name of a variable", "env_var")?
            .printed()
            .map_err(Error::unplaced)?;
        if name.starts_with("DBT_ENV_SECRET") {
            return Err(Error::unplaced(format!(
                "{name} is a secret, and a model's SQL is kept where all can read it"
            ))
            .token(name));
        }
        if let Some(value) = vars.get(&format!("{ENV_PREFIX}{name}")) {
            return Ok(Value::from_json(value));
        }
        let is_sent = name.starts_with("DBT_");
        match args.take(1, "default") {
            Some(default) => {
                if !is_sent {
                    let text = format!(
                        "env_var {name} is its default here: of the environment, only variables whose names begin with DBT_ are sent"
                    );
                    let (file, line) = host.place();
                    warnings.warn(text, &file, line);
                }
                Ok(default)
            }
            None if is_sent => Err(Error::unplaced(format!("env_var {name} is not set"))
                .token(name.clone())
                .note(format!(
                    "set {name} where retail-submit runs, or give a default: env_var('{name}', '…')"
                ))),
            None => Err(Error::unplaced(
                "env_var is refused: a job sees of the environment only what begins with DBT_",
            )
            .token(name.clone())
            .note(format!(
                "use var('{}') and pass it with --vars",
                name.to_lowercase()
            ))),
        }
    })
}

/// `target`: there are no profiles, so it is always the same.
struct Target {
    read: Rc<Cell<bool>>,
}

impl Object for Target {
    fn get(&self, name: &str) -> Option<Value> {
        Some(match name {
            "name" | "profile_name" | "target_name" => {
                self.read.set(true);
                Value::str("retail")
            }
            "type" | "database" | "dbname" => Value::str("retail"),
            "schema" => Value::str(super::super::DEFAULT_NAMESPACE),
            "threads" => Value::Int(1),
            _ => return None,
        })
    }

    fn print(&self) -> String {
        "target".to_string()
    }

    fn call(&self, method: &str, mut args: Arguments) -> Option<Result<Value, Error>> {
        match method {
            "get" => Some(args.need(0, "name", "target.get").map(|name| {
                let found = self.get(name.as_str().unwrap_or_default());
                found
                    .or_else(|| args.take(1, "default"))
                    .unwrap_or(Value::None)
            })),
            _ => None,
        }
    }
}

const ROWS: &str = "needs rows or columns of the database while templates are rendered, which is before anything runs";
const AS_MODEL: &str = "write the query as a model and join it, or pass the values with --vars";

/// What dbt has and this has not: the name, why, and the way out.
const REFUSED: [(&str, &str, &str); 12] = [
    ("run_query", ROWS, AS_MODEL),
    ("statement", ROWS, AS_MODEL),
    ("load_result", ROWS, AS_MODEL),
    ("store_result", ROWS, AS_MODEL),
    ("store_raw_result", ROWS, AS_MODEL),
    ("graph", "is not supported", "name the models with ref"),
    ("selected_resources", "is not supported", "use --select"),
    ("schemas", "is not supported", "name the schema"),
    ("database_schemas", "is not supported", "name the schema"),
    ("api", "is not supported", "name tables with ref and source"),
    (
        "submit_python_job",
        "is not supported",
        "write the model in SQL",
    ),
    ("invocation_args_dict", "is not supported", "use --vars"),
];

/// What is refused by name.
#[cfg(test)]
pub(super) fn refused_names() -> Vec<&'static str> {
    REFUSED.iter().map(|(name, ..)| *name).collect()
}

struct Refused {
    name: &'static str,
    why: &'static str,
    way_out: &'static str,
}

impl Object for Refused {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }

    fn print(&self) -> String {
        self.name.to_string()
    }

    fn refused(&self) -> Option<Error> {
        Some(
            Error::unplaced(format!("{} {}", self.name, self.why))
                .token(self.name)
                .note(self.way_out),
        )
    }
}

/// `adapter`: the names of macros, quotes, and by name what needs a database.
pub(super) struct Adapter(pub(super) Rc<super::packages::Macros>);

impl Object for Adapter {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }

    fn print(&self) -> String {
        "adapter".to_string()
    }

    fn call(&self, method: &str, mut args: Arguments) -> Option<Result<Value, Error>> {
        Some(match method {
            "dispatch" => args
                .need(0, "macro_name", "adapter.dispatch")
                .and_then(|name| {
                    let name = name.printed().unwrap_or_default();
                    let package = args
                        .take(1, "macro_namespace")
                        .and_then(|p| p.as_str().map(str::to_string));
                    self.0
                        .dispatch(&name, package.as_deref().unwrap_or_default())
                }),
            "quote" => args
                .need(0, "identifier", "adapter.quote")
                .and_then(|name| {
                    Ok(Value::str(quoted(
                        &name.printed().map_err(Error::unplaced)?,
                    )))
                }),
            "type" => Ok(Value::str("retail")),
            _ => Err(Error::unplaced(format!("adapter.{method} {ROWS}"))
                .token(method.to_string())
                .note(AS_MODEL)),
        })
    }
}
