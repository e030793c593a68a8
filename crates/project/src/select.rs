//! Which models a run is about: dbt's selectors.
//!
//! `name`, `namespace.name`, `folder` and `project.folder` (all below), `+name` (and what it needs), `name+` (and what needs
//! it), `2+name` (two steps), `@name` (and what needs it, with all that those need), `tag:x`, `path:models/marts`, `file:x.sql`,
//! `source:raw.orders+` (its readers), `config.materialized:table`, `package:shop`, `resource_type:model`, `*` globs in any of
//! them; several arguments or words are a union, commas an intersection. What dbt has beside them is refused by name.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use crate::graph;
use crate::model::{Model, ModelName};
use crate::project::Project;
use retail_api::source::SourceRef;
use retail_api::suggest::did_you_mean;
use retail_api::{Failure, FailureKind};

/// The models of `select` without those of `exclude`, in the order of the graph.
///
/// Nothing selected means all models; analyses run only when they are named. A selector that matches nothing is a
/// failure with the nearest name.
pub fn select(
    project: &Project,
    select: &[String],
    exclude: &[String],
) -> Result<Vec<ModelName>, Failure> {
    let mut chosen = match union(project, select, "--select")? {
        Some(chosen) => chosen,
        None => project.models.iter().map(|m| m.name.clone()).collect(),
    };
    for name in union(project, exclude, "--exclude")?.unwrap_or_default() {
        chosen.remove(&name);
    }
    if chosen.is_empty() && !project.models.is_empty() {
        return Err(Failure::new(FailureKind::Project, "nothing is selected")
            .cause("--exclude takes away every model that --select gives"));
    }
    Ok(graph::order(project)?
        .into_iter()
        .filter(|name| chosen.contains(name))
        .collect())
}

/// `None` if there is no selector at all.
fn union(
    project: &Project,
    arguments: &[String],
    flag: &str,
) -> Result<Option<BTreeSet<ModelName>>, Failure> {
    let mut found: Option<BTreeSet<ModelName>> = None;
    for word in arguments.iter().flat_map(|a| a.split_whitespace()) {
        let mut of_word: Option<BTreeSet<ModelName>> = None;
        for part in word.split(',').filter(|p| !p.is_empty()) {
            let of_part = one(project, part, flag)?;
            of_word = Some(match of_word {
                None => of_part,
                Some(before) => before.intersection(&of_part).cloned().collect(),
            });
        }
        let of_word = of_word.unwrap_or_default();
        if of_word.is_empty() && word.contains(',') {
            return Err(Failure::new(
                FailureKind::Project,
                format!("{flag} {word} selects nothing"),
            )
            .cause("no model is in all of its parts"));
        }
        found.get_or_insert_default().extend(of_word);
    }
    Ok(found)
}

/// How far up or down a selector goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    None,
    Steps(u32),
    All,
}

impl Reach {
    fn steps(self) -> Option<u32> {
        match self {
            Self::None => Some(0),
            Self::Steps(n) => Some(n),
            Self::All => None,
        }
    }
}

/// `2+name+` as (two up, `name`, all down).
fn split(part: &str) -> (Reach, &str, Reach) {
    let count = |digits: &str| {
        if digits.is_empty() {
            Some(Reach::All)
        } else {
            digits.parse().ok().map(Reach::Steps)
        }
    };
    let (up, rest) = match part.split_once('+') {
        Some((before, rest)) if !rest.is_empty() || before.is_empty() => match count(before) {
            Some(up) => (up, rest),
            None => (Reach::None, part),
        },
        _ => (Reach::None, part),
    };
    match rest.rsplit_once('+') {
        Some((name, after)) => match count(after) {
            Some(down) => (up, name, down),
            None => (up, rest, Reach::None),
        },
        None => (up, rest, Reach::None),
    }
}

fn one(project: &Project, part: &str, flag: &str) -> Result<BTreeSet<ModelName>, Failure> {
    let fail = |cause: String| {
        let message = format!("{flag} {part} selects nothing");
        Failure::new(FailureKind::Project, message).cause(cause)
    };
    let (with_needs, part_of) = match part.strip_prefix('@') {
        Some(rest) => (true, rest),
        None => (false, part),
    };
    let (up, what, down) = split(part_of);
    if with_needs && (up, down) != (Reach::None, Reach::None) {
        return Err(fail(
            "@ and + cannot be together: @ already takes what needs it".to_string(),
        ));
    }
    // What follows a selection never pulls analyses in: they run only when they are named.
    let models = |names: BTreeSet<ModelName>| {
        let is_model = |n: &ModelName| project.models.iter().any(|m| m.name == *n);
        names.into_iter().filter(is_model).collect::<Vec<_>>()
    };
    let below = |name: &ModelName, steps| models(graph::within(project, name, steps, true));
    let mut found = BTreeSet::new();
    if let Some(source) = what.strip_prefix("source:") {
        let readers = readers(project, source).map_err(fail)?;
        // A source is no model: what `source:x` alone selects is nothing to run.
        let steps = match if with_needs { Reach::All } else { down } {
            Reach::None | Reach::Steps(0) => {
                let way = format!(
                    "{source} is a source, which nobody runs; source:{source}+ selects the models that read it"
                );
                return Err(fail(way));
            }
            Reach::Steps(n) => Some(n - 1),
            Reach::All => None,
        };
        for name in readers {
            found.extend(below(&name, steps));
            found.insert(name);
        }
    } else {
        for name in cores(project, what).map_err(fail)? {
            if up != Reach::None {
                found.extend(models(graph::within(project, &name, up.steps(), false)));
            }
            if with_needs || down != Reach::None {
                found.extend(below(&name, if with_needs { None } else { down.steps() }));
            }
            found.insert(name);
        }
    }
    if with_needs {
        let chosen: Vec<ModelName> = found.iter().cloned().collect();
        for name in chosen {
            found.extend(models(graph::within(project, &name, None, false)));
        }
    }
    Ok(found)
}

/// The models that read a source themselves. The error is the cause.
fn readers(project: &Project, source: &str) -> Result<Vec<ModelName>, String> {
    // `raw`, `raw.orders`, or with the project's name before it.
    let own = format!("{}.", project.name);
    let source = source.strip_prefix(own.as_str()).unwrap_or(source);
    let matches = glob(source, false)?;
    let is_it = |s: &SourceRef| matches(&s.to_string()) || matches(&s.source_name);
    if !project.sources.iter().any(|s| is_it(&s.source_ref())) {
        let names: Vec<String> = project
            .sources
            .iter()
            .map(|s| s.source_ref().to_string())
            .collect();
        let near = did_you_mean(source, names.iter().map(String::as_str));
        return Err(format!("there is no source {source}{near}"));
    }
    let readers = of(&project.models, |m| m.sources.iter().any(is_it));
    non_empty(readers, || format!("no model reads source {source}"))
}

/// The models that a selector names itself. The error is the cause.
fn cores(project: &Project, what: &str) -> Result<Vec<ModelName>, String> {
    match what.split_once(':') {
        Some(("tag", tag)) => {
            let matches = glob(tag, false)?;
            let found = of(&project.models, |m| m.tags.iter().any(|t| matches(t)));
            let tags = project
                .models
                .iter()
                .flat_map(|m| m.tags.iter().map(String::as_str));
            non_empty(found, || {
                format!("no model has tag {tag}{}", did_you_mean(tag, tags))
            })
        }
        Some(("path", path)) => {
            let path = path.trim_start_matches("./").trim_end_matches('/');
            let (matches, inside) = (glob(path, true)?, glob(&format!("{path}/**"), true)?);
            let fits = |m: &Model| matches(&m.path) || inside(&m.path);
            let mut found = of(&project.models, fits);
            found.extend(of(&project.analyses, fits));
            let folders: BTreeSet<&str> = project
                .models
                .iter()
                .flat_map(|m| folders_of(&m.path))
                .collect();
            non_empty(found, || {
                format!("no model is in {path}{}", did_you_mean(path, folders))
            })
        }
        Some(("file", file)) => {
            let matches = glob(file, false)?;
            let fits = |m: &Model| {
                let name = m.path.rsplit('/').next().unwrap_or_default();
                matches(name) || matches(name.trim_end_matches(".sql"))
            };
            let mut found = of(&project.models, fits);
            found.extend(of(&project.analyses, fits));
            non_empty(found, || format!("no model is the file {file}"))
        }
        Some(("package", package)) => match package == "this" || package == project.name {
            true => Ok(of(&project.models, |_| true)),
            false => Err(format!(
                "there is no package {package}; this project is {}",
                project.name
            )),
        },
        Some(("resource_type", kind)) => match kind {
            "model" => Ok(of(&project.models, |_| true)),
            "analysis" => non_empty(of(&project.analyses, |_| true), || {
                "there are no analyses".to_string()
            }),
            _ => Err(format!(
                "resource_type:{kind} is not supported; model and analysis are"
            )),
        },
        Some((method, value)) if method.starts_with("config.") => {
            configured(project, &method[7..], value)
        }
        Some(("fqn" | "model", name)) => named(project, name),
        Some((method, _)) if NOT_HERE.contains(&method) => {
            Err(format!("the selector {method}: of dbt is not supported"))
        }
        Some((method, _)) => {
            let near = did_you_mean(method, ["tag", "path", "file", "source", "fqn", "package"]);
            Err(format!(
                "there is no selector {method}:; tag:, path:, file:, source: and config.…: are there{near}"
            ))
        }
        None if what.contains('/') || what.ends_with(".sql") => match what.contains('/') {
            true => cores(project, &format!("path:{what}")),
            false => cores(project, &format!("file:{what}")),
        },
        None => named(project, what),
    }
}

/// Selectors of dbt that we do not have.
const NOT_HERE: [&str; 14] = [
    "access",
    "exposure",
    "group",
    "metric",
    "result",
    "saved_query",
    "selector",
    "semantic_model",
    "source_status",
    "state",
    "test_name",
    "test_type",
    "unit_test",
    "version",
];

/// `config.materialized:table`, `config.tags:x`, `config.meta.owner:x`.
fn configured(project: &Project, key: &str, value: &str) -> Result<Vec<ModelName>, String> {
    let matches = glob(value, false)?;
    let fits = |m: &Model| -> bool {
        let text = |json: &serde_json::Value| match json {
            serde_json::Value::String(s) => matches(s),
            serde_json::Value::Array(list) => list.iter().any(|v| v.as_str().is_some_and(&matches)),
            other => matches(&other.to_string()),
        };
        match key.strip_prefix("meta.") {
            Some(meta) => {
                let mut parts = meta.split('.');
                let first = parts.next().and_then(|part| m.config.meta.get(part));
                parts
                    .try_fold(first, |found, part| Some(found?.get(part)))
                    .flatten()
                    .is_some_and(text)
            }
            None => match key {
                "materialized" => matches(m.materialized.as_str()),
                "schema" => matches(&m.table.namespace),
                "alias" => matches(&m.table.name),
                _ => m.tags.iter().any(|t| matches(t)),
            },
        }
    };
    if !key.starts_with("meta.") && !["materialized", "schema", "alias", "tags"].contains(&key) {
        return Err(format!(
            "the selector config.{key}: is not supported; config.materialized:, schema:, alias:, tags: and meta.…: are"
        ));
    }
    non_empty(of(&project.models, fits), || {
        format!("no model has {key} {value}")
    })
}

/// dbt's rule: a model's own name, or a path of folders from the project's or the first folder down, with a pattern for
/// the rest.
fn is_below(fqn: &[&str], wanted: &[&str], rest: &dyn Fn(&str) -> bool) -> bool {
    if fqn.len() < wanted.len() {
        return false;
    }
    let pattern = wanted
        .iter()
        .position(|part| part.contains(['*', '?', '[', ']']));
    let exact = pattern.unwrap_or(wanted.len());
    fqn[..exact] == wanted[..exact] && (pattern.is_none() || rest(&fqn[exact..].join(".")))
}

fn named(project: &Project, what: &str) -> Result<Vec<ModelName>, String> {
    let matches = glob(what, false)?;
    let wanted: Vec<&str> = what.split('.').collect();
    let exact = wanted
        .iter()
        .take_while(|part| !part.contains(['*', '?', '[', ']']))
        .count();
    let rest = glob(&wanted[exact..].join("."), false)?;
    let in_folder = |m: &Model| {
        let inside = m
            .path
            .split('/')
            .skip(1)
            .map(|part| part.trim_end_matches(".sql"));
        let fqn: Vec<&str> = std::iter::once(project.name.as_str())
            .chain(inside)
            .collect();
        is_below(&fqn, &wanted, &rest) || is_below(&fqn[1..], &wanted, &rest)
    };
    let fits = |m: &Model| matches(m.name.as_str()) || matches(&m.table.to_string());
    let mut found = of(&project.models, |m| fits(m) || in_folder(m));
    if !what.contains('*') || found.is_empty() {
        found.extend(of(&project.analyses, fits));
    }
    if found.is_empty() {
        // Beyond dbt: a namespace, or a folder that is not the first.
        let folder = |m: &Model| m.path.split('/').rev().nth(1).is_some_and(&matches);
        found = of(&project.models, |m| {
            matches(&m.table.namespace) || folder(m)
        });
    }
    let full: Vec<String> = project.models.iter().map(|m| m.table.to_string()).collect();
    let names: Vec<&str> = match what.contains('.') {
        true => full.iter().map(String::as_str).collect(),
        false => project
            .models
            .iter()
            .chain(&project.analyses)
            .map(|m| m.name.as_str())
            .collect(),
    };
    non_empty(found, || match what.contains(['*', '?', '[']) {
        true => format!("no model matches {what}"),
        false => format!("there is no model {what}{}", did_you_mean(what, names)),
    })
}

fn of(models: &[Model], fits: impl Fn(&Model) -> bool) -> Vec<ModelName> {
    models
        .iter()
        .filter(|m| fits(m))
        .map(|m| m.name.clone())
        .collect()
}

fn non_empty(
    found: Vec<ModelName>,
    cause: impl FnOnce() -> String,
) -> Result<Vec<ModelName>, String> {
    if found.is_empty() {
        Err(cause())
    } else {
        Ok(found)
    }
}

fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn glob(pattern: &str, path: bool) -> Result<impl Fn(&str) -> bool + use<>, String> {
    let matcher = GlobBuilder::new(pattern)
        .literal_separator(path)
        .build()
        .map_err(|error| format!("{pattern} is no pattern: {}", error.kind()))?
        .compile_matcher();
    Ok(move |text: &str| matcher.is_match(text))
}

#[cfg(test)]
mod tests;
