//! What a project is made of: models, sources, tests, and what is odd about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use retail_api::source::{Location, Source, SourceRef};
use serde::{Deserialize, Serialize};

use super::data_test::DataTest;
use super::model::{Materialized, Model, ModelName};

/// A project, read, rendered and checked for everything that needs no data.
#[derive(Debug, Clone)]
pub struct Project {
    pub name: String,
    /// By path. Switched-off models are not among them.
    pub models: Vec<Model>,
    /// `analyses/*.sql`: queries that are run by name and never written.
    pub analyses: Vec<Model>,
    pub sources: Vec<Source>,
    /// Declared tests and constraints of models and sources, and the files below `tests/`, in the order of the graph's
    /// files; those that are switched off are not among them.
    pub tests: Vec<DataTest>,
    /// The text of every file, by path, for snippets.
    pub files: BTreeMap<String, String>,
    /// The variables of the run over those of the project.
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// What is not done as written, for the person who runs it.
    pub warnings: Vec<Warning>,
}

/// Something of a project that is not done as written and does not stop a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// One sentence: what, and what happens instead.
    pub text: String,
    pub at: Location,
}

impl Warning {
    pub fn new(text: impl Into<String>, at: Location) -> Self {
        Self {
            text: text.into(),
            at,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at.file.as_str(), self.at.line) {
            ("", _) => f.write_str(&self.text),
            (file, 0) => write!(f, "{file}: {}", self.text),
            _ => write!(f, "{}: {}", self.at, self.text),
        }
    }
}

impl Project {
    /// The model or analysis of this name.
    pub fn model(&self, name: &ModelName) -> Option<&Model> {
        self.models
            .iter()
            .chain(&self.analyses)
            .find(|m| m.name == *name)
    }

    /// The sources whose rows a model's query reads: its own, and those of views and ephemeral models that it reads.
    pub fn sources_behind(&self, model: &Model) -> Vec<&Source> {
        let mut found: Vec<&Source> = vec![];
        let mut seen = BTreeSet::new();
        let mut todo = vec![model];
        while let Some(model) = todo.pop() {
            for source in model.sources.iter().filter_map(|name| self.source(name)) {
                if !found.iter().any(|s| s.table == source.table) {
                    found.push(source);
                }
            }
            let read = model.depends_on.iter().filter_map(|name| self.model(name));
            todo.extend(
                read.filter(|m| m.materialized != Materialized::Table && seen.insert(&m.name)),
            );
        }
        found
    }

    /// The source that a model names.
    pub fn source(&self, source: &SourceRef) -> Option<&Source> {
        self.sources
            .iter()
            .find(|s| s.source_name == source.source_name && s.name == source.name)
    }
}
