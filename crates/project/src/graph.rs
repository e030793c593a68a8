//! The graph of models: an order in which each comes after those it refers to.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Model, ModelName};

use crate::project::Project;
use retail_api::{Failure, FailureKind};

/// All models and analyses, each after those it refers to; by path where the graph leaves a choice.
///
/// # Errors
/// A cycle, with its path and files.
pub fn order(project: &Project) -> Result<Vec<ModelName>, Failure> {
    let mut left: Vec<&Model> = models(project).collect();
    let mut done: BTreeSet<&ModelName> = BTreeSet::new();
    let mut order = vec![];
    while !left.is_empty() {
        let (ready, waiting): (Vec<&Model>, Vec<&Model>) = left
            .iter()
            .partition(|m| m.depends_on.iter().all(|d| done.contains(d)));
        if ready.is_empty() {
            return Err(cycle(project, &waiting));
        }
        done.extend(ready.iter().map(|m| &m.name));
        order.extend(ready.iter().map(|m| m.name.clone()));
        left = waiting;
    }
    Ok(order)
}

/// Models and analyses, each after those it refers to.
pub fn models_in_order(project: &Project) -> Vec<&Model> {
    // `load` has refused cycles; a project put together otherwise keeps its own order.
    match order(project) {
        Ok(names) => names
            .iter()
            .filter_map(|name| project.model(name))
            .collect(),
        Err(_) => models(project).collect(),
    }
}

/// Every model that `name` needs, directly or not.
pub fn ancestors(project: &Project, name: &ModelName) -> BTreeSet<ModelName> {
    reach(name, None, &|name| {
        project
            .model(name)
            .map(|m| m.depends_on.clone())
            .unwrap_or_default()
    })
}

/// The models that `name` needs, or with `down` those that need it, at most `steps` away.
pub(crate) fn within(
    project: &Project,
    name: &ModelName,
    steps: Option<u32>,
    down: bool,
) -> BTreeSet<ModelName> {
    if down {
        let readers = readers(project);
        return reach(name, steps, &|name| {
            readers.get(name).cloned().unwrap_or_default()
        });
    }
    reach(name, steps, &|name| {
        project
            .model(name)
            .map(|m| m.depends_on.clone())
            .unwrap_or_default()
    })
}

fn models(project: &Project) -> impl Iterator<Item = &Model> {
    project.models.iter().chain(&project.analyses)
}

/// Who refers to each model.
fn readers(project: &Project) -> BTreeMap<ModelName, Vec<ModelName>> {
    let mut readers: BTreeMap<ModelName, Vec<ModelName>> = BTreeMap::new();
    for model in models(project) {
        for needed in &model.depends_on {
            readers
                .entry(needed.clone())
                .or_default()
                .push(model.name.clone());
        }
    }
    readers
}

fn reach(
    from: &ModelName,
    steps: Option<u32>,
    next: &dyn Fn(&ModelName) -> Vec<ModelName>,
) -> BTreeSet<ModelName> {
    let mut found = BTreeSet::new();
    let mut edge = vec![from.clone()];
    let mut taken = 0;
    while !edge.is_empty() && steps.is_none_or(|s| taken < s) {
        edge = edge
            .iter()
            .flat_map(next)
            .filter(|name| found.insert(name.clone()))
            .collect();
        taken += 1;
    }
    found.remove(from);
    found
}

/// The shortest way from a model back to itself, each step with its file and line.
fn cycle(project: &Project, waiting: &[&Model]) -> Failure {
    let path = waiting
        .iter()
        .filter_map(|m| way_back(project, &m.name))
        .min_by_key(Vec::len)
        .unwrap_or_default();
    let names: Vec<&str> = path.iter().map(ModelName::as_str).collect();
    let mut failure = Failure::new(
        FailureKind::Project,
        format!("models form a cycle: {}", names.join(" -> ")),
    );
    for (index, step) in path.windows(2).enumerate() {
        let Some(model) = project.model(&step[0]) else {
            continue;
        };
        let (line, column, span) = mention(&model.raw_sql, step[1].as_str());
        if index == 0 {
            failure = failure
                .model(model.table.to_string())
                .at(&model.path, line, column)
                .snippet_of(&model.raw_sql, span)
                .cause(format!("{} needs {}", step[0], step[1]));
        } else {
            failure = failure.note(format!(
                "{} needs {} in {}:{line}",
                step[0], step[1], model.path
            ));
        }
    }
    failure.note("take one of these references away")
}

fn way_back(project: &Project, start: &ModelName) -> Option<Vec<ModelName>> {
    let mut from: BTreeMap<ModelName, ModelName> = BTreeMap::new();
    let mut edge = vec![start.clone()];
    while let Some(name) = (!edge.is_empty()).then(|| edge.remove(0)) {
        for next in &project.model(&name)?.depends_on {
            if next == start {
                let mut path = vec![start.clone(), name.clone()];
                let mut at = name;
                while at != *start {
                    at = from.get(&at)?.clone();
                    path.push(at.clone());
                }
                path.reverse();
                // A model that refers to itself is its own path.
                if path.len() > 2 && path[0] == path[1] {
                    path.remove(0);
                }
                return Some(path);
            }
            if !from.contains_key(next) {
                from.insert(next.clone(), name.clone());
                edge.push(next.clone());
            }
        }
    }
    None
}

/// Where a template mentions a model: 1-based line and column, and the length of the name.
fn mention(template: &str, name: &str) -> (u32, u32, u32) {
    let quoted = [format!("'{name}'"), format!("\"{name}\"")];
    for (number, line) in template.lines().enumerate() {
        let at = quoted.iter().find_map(|q| line.find(q.as_str()));
        if let Some(at) = at.filter(|_| line.contains("ref")) {
            let column = line[..at].chars().count() as u32 + 2;
            return (number as u32 + 1, column, name.chars().count() as u32);
        }
    }
    (1, 1, 1)
}

#[cfg(test)]
mod tests;
