//! What the tests of a project are made with.

use std::cell::RefCell;
use std::collections::BTreeMap;

use retail_api::source::Location;
use retail_api::{Failure, TableName};
use serde_json::Value;

use super::data_test::DataTest;
use super::project::Warning;
use super::render::{Renderer, Scope};
use super::test_yaml::{Setting, has_jinja};

/// What the tests of a project are made with.
pub(crate) struct Maker<'a> {
    pub renderer: &'a Renderer,
    pub scope: &'a Scope,
    /// Generic tests of the project, with the file that defines each.
    pub generic: &'a BTreeMap<String, String>,
    /// Settings of `dbt_project.yml` for tests declared in a file, in the order in which they are laid over each other.
    pub defaults: &'a dyn Fn(&str) -> Vec<&'a Setting>,
    pub project: &'a str,
    pub warnings: &'a RefCell<Vec<Warning>>,
}

impl Maker<'_> {
    /// With its Jinja rendered.
    pub(super) fn rendered(&self, value: &Value, stray: &Failure) -> Result<Value, Failure> {
        match has_jinja(value) {
            false => Ok(value.clone()),
            true => {
                let rendered = self.renderer.json(value);
                rendered.map_err(|cause| stray.clone().cause(cause))
            }
        }
    }

    pub(super) fn warn(&self, text: String, at: Location) {
        let warning = Warning::new(text, at);
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

/// `to: ref('stores')`: the relation, noted as read.
pub(super) fn target(
    make: &Maker<'_>,
    text: &str,
    found: &mut DataTest,
) -> Result<TableName, String> {
    let inner = text
        .trim()
        .trim_start_matches("{{")
        .trim_end_matches("}}")
        .trim();
    let value = make
        .renderer
        .expression(inner, make.scope)
        .map_err(|cause| format!("to: {text}: {cause}"))?;
    let (table, refs, sources) = value;
    let table = table.ok_or_else(|| {
        format!("to: {text} is no relation; write to: ref('model') or source('source', 'table')")
    })?;
    found.models.extend(refs);
    found.sources.extend(sources);
    Ok(table)
}
