//! Errors of templates as a person reads them, and of names that are not there.

use retail_api::{Failure, FailureKind};

use super::super::jinja::Error;
use super::super::model::ModelName;
use super::super::source_map::spot;
use super::{Renderer, Scope};
use retail_api::source::SourceRef;
use retail_api::suggest::did_you_mean;

/// Names of dbt that mean something there and nothing here.
const NOT_HERE: [&str; 3] = ["dbt_expectations", "elementary", "codegen"];

impl Renderer {
    /// A Jinja error at its place in the model or in the macro.
    pub(super) fn failure(&self, error: Error, path: &str, text: &str, message: String) -> Failure {
        let file = error.file.as_deref().unwrap_or(path);
        let text = match file == path {
            true => text,
            false => self.texts.get(file).map_or("", String::as_str),
        };
        let mut failure = Failure::new(FailureKind::Project, message);
        match error.at.filter(|at| at.start <= text.len()) {
            Some(at) => {
                let end = (at.start + at.length).min(text.len());
                let shown = text.get(at.start..end).unwrap_or_default();
                // The caret belongs under the name that is wrong, not under the whole call.
                let inside = (!error.token.is_empty())
                    .then(|| shown.find(&error.token))
                    .flatten();
                let (start, span) = match inside {
                    Some(i) => (at.start + i, error.token.chars().count()),
                    None => (
                        at.start,
                        shown.lines().next().unwrap_or_default().chars().count(),
                    ),
                };
                let place = spot(text, start, span.max(1) as u32);
                failure = failure
                    .at(file, place.line, place.column)
                    .snippet_of(text, place.span);
            }
            None => failure = failure.at(file, 0, 0),
        }
        let mut cause = error.cause;
        if let Some(name) = cause.strip_suffix(" is not defined").map(str::to_string) {
            let head = name.split('.').next().unwrap_or_default();
            if NOT_HERE.contains(&head) {
                cause = format!("package {head} is not supported");
            } else {
                let known = self
                    .globals
                    .keys()
                    .map(|k| &**k)
                    .chain(["ref", "source", "config", "this"]);
                cause.push_str(&did_you_mean(&name, known));
            }
        }
        failure.notes = error.notes;
        failure.cause(cause)
    }
}

impl Scope {
    pub(super) fn no_model(&self, name: &ModelName) -> Error {
        if let Some(file) = self.disabled.get(name) {
            return Error::unplaced(format!(
                "model {name} is switched off (enabled: false in {file})"
            ))
            .token(name.as_str());
        }
        let near = did_you_mean(name.as_str(), self.models.keys().map(ModelName::as_str));
        let error = Error::unplaced(format!("there is no model {name}{near}")).token(name.as_str());
        match self.sources.keys().find(|s| s.name == name.as_str()) {
            Some(source) if near.is_empty() => error.note(format!(
                "it is a source: source('{}', '{}')",
                source.source_name, source.name
            )),
            _ => error,
        }
    }

    pub(super) fn no_source(&self, wanted: &SourceRef) -> Error {
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
            return Error::unplaced(format!("there is no source {}{near}", wanted.source_name))
                .token(wanted.source_name.clone());
        }
        let near = did_you_mean(&wanted.name, of_name);
        Error::unplaced(format!(
            "source {} has no table {}{near}",
            wanted.source_name, wanted.name
        ))
        .token(wanted.name.clone())
    }
}
