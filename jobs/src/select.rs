//! Which models a run is about: dbt's selectors.
//!
//! `name`, `namespace.name`, `+name` (and what it needs), `name+` (and what needs it), `2+name` (two steps), `tag:x`,
//! `path:models/marts`, `source:raw.orders+`, `*` globs in any of them; several arguments or words are a union, commas
//! an intersection.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use crate::failure::{Failure, FailureKind};
use crate::graph;
use crate::project::{Model, ModelName, Project, did_you_mean};

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
    let (up, what, down) = split(part);
    let cores = cores(project, what).map_err(|cause| {
        Failure::new(
            FailureKind::Project,
            format!("{flag} {part} selects nothing"),
        )
        .cause(cause)
    })?;
    let mut found = BTreeSet::new();
    for name in cores {
        // What follows a selection never pulls analyses in: they run only when they are named.
        let models = |names: BTreeSet<ModelName>| {
            names
                .into_iter()
                .filter(|n| project.models.iter().any(|m| m.name == *n))
                .collect::<Vec<_>>()
        };
        if up != Reach::None {
            found.extend(models(graph::within(project, &name, up.steps(), false)));
        }
        if down != Reach::None {
            found.extend(models(graph::within(project, &name, down.steps(), true)));
        }
        found.insert(name);
    }
    Ok(found)
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
        Some(("source", source)) => {
            let matches = glob(source, false)?;
            let reads = |m: &Model| {
                m.sources
                    .iter()
                    .any(|s| matches(&s.to_string()) || matches(&s.source_name))
            };
            let names: Vec<String> = project
                .sources
                .iter()
                .map(|s| s.source_ref().to_string())
                .collect();
            non_empty(of(&project.models, reads), || {
                format!(
                    "no model reads source {source}{}",
                    did_you_mean(source, names.iter().map(String::as_str))
                )
            })
        }
        Some(("fqn" | "model", name)) => named(project, name),
        Some((method, _)) => {
            let near = did_you_mean(method, ["tag", "path", "source", "fqn"]);
            Err(format!(
                "there is no selector {method}:; tag:, path: and source: are there{near}"
            ))
        }
        None => named(project, what),
    }
}

fn named(project: &Project, what: &str) -> Result<Vec<ModelName>, String> {
    let matches = glob(what, false)?;
    let folder = |m: &Model| m.path.split('/').rev().nth(1).is_some_and(&matches);
    let fits = |m: &Model| matches(m.name.as_str()) || matches(&m.table.to_string());
    let mut found = of(&project.models, fits);
    if !what.contains('*') || found.is_empty() {
        found.extend(of(&project.analyses, fits));
    }
    if found.is_empty() {
        // A namespace or folder alone selects all of it, as in dbt.
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
