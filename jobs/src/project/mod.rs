//! Reads a project in dbt's layout: `dbt_project.yml`, `models/**/*.sql` with Jinja, the YAML beside them, `macros/`
//! and `analyses/`. What is not supported is a failure that names file, line and construct, before anything runs.
//!
//! A model's namespace is its `schema` setting as it stands (dbt would put the target's schema before it), `main`
//! without one. A model is a view unless it says otherwise, as in dbt.

mod config;
mod data_test;
mod files;
mod manifest;
mod model;
mod properties;
mod render;
mod source_map;
mod source_yaml;
mod suggest;
mod test_blocks;
mod test_yaml;
#[cfg(test)]
pub(crate) mod tests;
mod tests_of;
mod yaml;

use std::collections::BTreeMap;

use retail_lakehouse::TableName;
use serde_json::{Map, Value};

use crate::failure::{Failure, FailureKind};

pub use data_test::{DataTest, Severity, Subject, TestConfig, TestKind, Threshold};
pub use files::{ProjectFile, read_dir};
pub use model::{
    Column, Compression, FileFormat, FileOptions, Materialized, Model, ModelConfig, ModelName,
    Place, Project, Source, SourceLocation, SourceRef,
};
pub use source_map::Spot;
pub use suggest::{did_you_mean, nearest};

use config::{Settings, identifier};
use manifest::Manifest;
use properties::Description;
use render::{Rendered, Renderer, Scope};
use yaml::Doc;

/// The namespace of models that set no schema.
pub const DEFAULT_NAMESPACE: &str = "main";

/// Reads, renders and checks a project. `vars` go over the project's own.
///
/// Fails with the first thing that is wrong, at its file, line and column.
pub fn load(files: &[ProjectFile], vars: &Map<String, Value>) -> Result<Project, Failure> {
    let texts = texts(files)?;
    let manifest_text = texts.get("dbt_project.yml").ok_or_else(|| {
        let near = nearest(
            "dbt_project.yml",
            texts
                .keys()
                .map(String::as_str)
                .filter(|p| !p.contains('/')),
        );
        let failure = Failure::new(FailureKind::Project, "cannot read the project")
            .cause("there is no dbt_project.yml");
        match near {
            Some(near) => failure.note(format!(
                "{near} is near, but the name must be dbt_project.yml"
            )),
            None => failure,
        }
    })?;
    let manifest = manifest::read(&Doc::parse("dbt_project.yml", manifest_text)?)?;
    let layout = Layout::new(&texts, &manifest)?;
    let mut all_vars = manifest.vars.clone();
    all_vars.extend(vars.clone());
    let renderer = Renderer::new(&manifest.name, all_vars.clone(), &layout.macros)?;

    let mut warnings = vec![];
    let Described {
        models: descriptions,
        sources,
        source_tests,
        singular,
    } = read_yaml(&layout, &renderer, &mut warnings)?;
    let drafts = drafts(&layout, &manifest, &renderer, &descriptions)?;
    let scope = scope(&drafts, &sources);
    let mut project = Project {
        name: manifest.name.clone(),
        models: vec![],
        analyses: vec![],
        sources,
        tests: vec![],
        files: BTreeMap::new(),
        vars: all_vars,
        warnings,
    };
    for draft in drafts.into_iter().filter(|d| d.enabled) {
        let described = descriptions.iter().find(|d| d.name == draft.name.as_str());
        let what = format!("cannot render model {}", draft.table);
        let rendered = renderer
            .model(&draft.path, &draft.text, &draft.table, Some(&scope), &what)
            .map_err(|failure| failure.model(draft.table.to_string()))?;
        let model = draft.finish(rendered, described);
        if model.sql.trim().is_empty() {
            return Err(Failure::new(
                FailureKind::Project,
                format!("model {} has no SQL", model.table),
            )
            .at(&model.path, 1, 1)
            .model(model.table.to_string()));
        }
        if model.is_analysis {
            project.analyses.push(model)
        } else {
            project.models.push(model)
        }
    }
    let defaults = |path: &str| manifest.test_settings_for(path);
    let make = tests_of::Maker {
        renderer: &renderer,
        scope: &scope,
        generic: &layout.generic,
        defaults: &defaults,
        project: &manifest.name,
    };
    let files = tests_of::Files {
        texts: &texts,
        singular: &layout.singular,
    };
    tests_of::add(
        &mut project,
        &make,
        &files,
        &descriptions,
        &source_tests,
        &singular,
    )?;
    crate::graph::order(&project)?;
    project.files = texts;
    Ok(project)
}

/// The files as text; the first that is no UTF-8 is a failure.
fn texts(files: &[ProjectFile]) -> Result<BTreeMap<String, String>, Failure> {
    files
        .iter()
        .map(|file| {
            let text = std::str::from_utf8(&file.content).map_err(|error| {
                let line = file.content[..error.valid_up_to()]
                    .iter()
                    .filter(|b| **b == b'\n')
                    .count() as u32
                    + 1;
                Failure::new(FailureKind::Project, format!("cannot read {}", file.path))
                    .at(&file.path, line, 0)
                    .cause("the file is not UTF-8 text")
            })?;
            // A byte order mark is not part of the text; Windows line ends would end up in messages.
            Ok((
                file.path.clone(),
                text.trim_start_matches('\u{feff}').replace("\r\n", "\n"),
            ))
        })
        .collect()
}

/// Which file is what.
#[derive(Default)]
struct Layout {
    /// (path, path below the model folder without `.sql`, text)
    models: Vec<(String, String, String)>,
    analyses: Vec<(String, String, String)>,
    yaml: Vec<(String, String)>,
    /// Test blocks are macros there.
    macros: Vec<(String, String)>,
    /// Generic tests, with the file that defines each.
    generic: BTreeMap<String, String>,
    /// Files below `tests/` that are tests by themselves.
    singular: Vec<(String, String)>,
}

impl Layout {
    fn new(texts: &BTreeMap<String, String>, manifest: &Manifest) -> Result<Self, Failure> {
        let mut layout = Self::default();
        let below = |path: &str, folders: &[String]| {
            folders.iter().find_map(|f| {
                path.strip_prefix(f.as_str())?
                    .strip_prefix('/')
                    .map(str::to_string)
            })
        };
        for (path, text) in texts {
            let sql = path.ends_with(".sql");
            let yaml = path.ends_with(".yml") || path.ends_with(".yaml");
            let own = || (path.clone(), text.clone());
            if let Some(inside) = below(path, &manifest.model_paths) {
                if let Some(stem) = inside.strip_suffix(".sql") {
                    layout
                        .models
                        .push((path.clone(), stem.to_string(), text.clone()));
                } else if yaml && !path.ends_with(".test.yaml") && !path.ends_with(".test.yml") {
                    layout.yaml.push(own());
                } else if path.ends_with(".csv") {
                    return Err(unsupported(
                        path,
                        "a CSV file among the models is not read",
                        "read it as a source",
                    ));
                }
            } else if let Some(inside) = below(path, &manifest.analysis_paths) {
                if let Some(stem) = inside.strip_suffix(".sql") {
                    layout
                        .analyses
                        .push((path.clone(), stem.to_string(), text.clone()));
                }
            } else if below(path, &manifest.macro_paths).is_some() {
                if sql {
                    layout.macros.push(own());
                }
            } else if let Some(inside) = below(path, &manifest.test_paths) {
                match (sql, yaml) {
                    (true, _) if inside.starts_with("generic/") => layout.macros.push(own()),
                    (true, _) => layout.singular.push(own()),
                    (_, true) => layout.yaml.push(own()),
                    _ => {}
                }
            } else {
                check_folder(path, text)?;
            }
        }
        layout.generic = test_blocks::collect(&layout.macros).map_err(|twice| {
            let (name, first, second) = twice;
            Failure::new(FailureKind::Project, format!("there are two tests {name}"))
                .at(second, 0, 0)
                .cause(format!("the other is in {first}"))
        })?;
        for (_, text) in &mut layout.macros {
            *text = test_blocks::as_macros(text);
        }
        layout.macros.push(test_blocks::built_in());
        Ok(layout)
    }
}

/// Folders of dbt that would add something to a run which we would not do.
fn check_folder(path: &str, text: &str) -> Result<(), Failure> {
    let (folder, file) = path.split_once('/').unwrap_or(("", path));
    if path.ends_with(".md") {
        return Ok(());
    }
    match folder {
        "seeds" | "data" if file.ends_with(".csv") => Err(unsupported(
            path,
            "seeds are not supported yet",
            "read the file as a source with external_location",
        )),
        "snapshots" => Err(unsupported(
            path,
            "snapshots are not supported yet",
            "write the versions as a model",
        )),
        "" if matches!(file, "packages.yml" | "dependencies.yml") => {
            let doc = Doc::parse(path, text)?;
            match doc
                .root()
                .get("packages")
                .or_else(|| doc.root().get("projects"))
            {
                Some(node) => Err(node
                    .fail("packages are not supported yet")
                    .note("copy the macros you use to macros/")),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn unsupported(path: &str, cause: &str, way_out: &str) -> Failure {
    Failure::new(FailureKind::Project, format!("cannot read {path}"))
        .at(path, 0, 0)
        .cause(cause)
        .note(way_out)
}

/// What the YAML of a project says.
#[derive(Default)]
struct Described {
    models: Vec<Description>,
    sources: Vec<Source>,
    source_tests: Vec<(SourceRef, test_yaml::Declared)>,
    /// Of files below `tests/`.
    singular: Vec<test_yaml::DescribedFile>,
}

fn read_yaml(
    layout: &Layout,
    renderer: &Renderer,
    warnings: &mut Vec<String>,
) -> Result<Described, Failure> {
    let mut described = Described::default();
    for (path, text) in &layout.yaml {
        let doc = Doc::parse(path, text)?;
        let sections = properties::sections(&doc)?;
        for node in sections.models {
            let found = properties::model(&node, warnings)?;
            if let Some(other) = described.models.iter().find(|d| d.name == found.name) {
                return Err(found.stray.cause(format!(
                    "model {} is already described in {}",
                    found.name, other.at
                )));
            }
            described.models.push(found);
        }
        for node in sections.sources {
            let tests = &mut described.source_tests;
            for found in source_yaml::source(&node, renderer, tests, warnings)? {
                if let Some(other) = described
                    .sources
                    .iter()
                    .find(|s| s.source_ref() == found.source_ref())
                {
                    return Err(node.fail(format!(
                        "source {} is already defined in {}",
                        found.source_ref(),
                        other.defined_at
                    )));
                }
                described.sources.push(found);
            }
        }
        for node in sections.data_tests {
            described.singular.push(test_yaml::described_file(&node)?);
        }
    }
    Ok(described)
}

/// A model whose names and settings are known and whose SQL is not yet rendered.
struct Draft {
    name: ModelName,
    table: TableName,
    path: String,
    text: String,
    settings: Settings,
    enabled: bool,
    is_analysis: bool,
}

impl Draft {
    fn finish(self, rendered: Rendered, described: Option<&Description>) -> Model {
        Model {
            name: self.name,
            table: self.table,
            path: self.path,
            raw_sql: self.text,
            sql: rendered.sql,
            materialized: match self.is_analysis {
                true => Materialized::Ephemeral,
                false => self.settings.materialized.unwrap_or(Materialized::View),
            },
            is_analysis: self.is_analysis,
            depends_on: rendered.refs,
            sources: rendered.sources,
            tags: self.settings.tags,
            description: described.map(|d| d.text.clone()).unwrap_or_default(),
            config: self.settings.config,
            columns: described.map(|d| d.columns.clone()).unwrap_or_default(),
            described_at: described.map(|d| d.at.clone()),
            map: rendered.map,
        }
    }
}

/// First pass over the models: names, settings, and whether names are unique.
fn drafts(
    layout: &Layout,
    manifest: &Manifest,
    renderer: &Renderer,
    descriptions: &[Description],
) -> Result<Vec<Draft>, Failure> {
    let mut drafts: Vec<Draft> = vec![];
    let analyses = layout.analyses.iter().map(|file| (file, true));
    for ((path, inside, text), is_analysis) in layout
        .models
        .iter()
        .map(|file| (file, false))
        .chain(analyses)
    {
        let stem = inside.rsplit('/').next().unwrap_or(inside);
        let fail = |cause: String| {
            Failure::new(FailureKind::Project, format!("cannot read {path}"))
                .at(path, 0, 0)
                .cause(cause)
        };
        let name = identifier("the name of a model", stem).map_err(fail)?;
        if let Some(other) = drafts.iter().find(|d| d.name.as_str() == name) {
            return Err(
                Failure::new(FailureKind::Project, format!("there are two models {name}"))
                    .at(path, 0, 0)
                    .cause(format!("the other is {}", other.path))
                    .note("names are unique in a project: rename one of the files"),
            );
        }
        let described = descriptions.iter().find(|d| d.name == name);
        let mut settings = match is_analysis {
            true => Settings::default(),
            false => manifest.settings_for(&inside.split('/').collect::<Vec<_>>()),
        };
        settings.extend(&described.map(|d| d.settings.clone()).unwrap_or_default());
        let enabled_before = settings.enabled.unwrap_or(true);
        let own = TableName {
            namespace: DEFAULT_NAMESPACE.into(),
            name: name.clone(),
        };
        if enabled_before {
            let what = format!("cannot render model {name}");
            let rendered = renderer.model(path, text, &own, None, &what)?;
            settings.extend(&in_file(&rendered, path, text, &what)?);
        }
        drafts.push(Draft {
            table: TableName {
                namespace: settings
                    .schema
                    .clone()
                    .unwrap_or_else(|| DEFAULT_NAMESPACE.into()),
                name: settings.alias.clone().unwrap_or_else(|| name.clone()),
            },
            enabled: settings.enabled.unwrap_or(true),
            name: ModelName::from(name.as_str()),
            path: path.clone(),
            text: text.clone(),
            settings,
            is_analysis,
        });
    }
    check_tables(&drafts)?;
    let inside: Vec<Vec<&str>> = layout
        .models
        .iter()
        .map(|(_, inside, _)| inside.split('/').collect())
        .collect();
    manifest.check_used(&inside)?;
    let names = || drafts.iter().map(|d| d.name.as_str());
    match descriptions.iter().find(|d| !names().any(|n| n == d.name)) {
        None => Ok(drafts),
        Some(stray) => {
            let near = did_you_mean(&stray.name, names());
            Err(stray
                .stray
                .clone()
                .cause(format!("there is no model {}{near}", stray.name)))
        }
    }
}

/// What `config(…)` in the file says; a wrong setting is told at its key.
fn in_file(rendered: &Rendered, path: &str, text: &str, what: &str) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    for (key, value) in &rendered.config {
        settings.set(key, value).map_err(|cause| {
            let call = text.find("config(").unwrap_or(0);
            let at = text[call..].find(key.as_str()).map_or(call, |i| call + i);
            let place = source_map::spot(text, at, key.chars().count() as u32);
            Failure::new(FailureKind::Project, what)
                .at(path, place.line, place.column)
                .snippet_of(text, place.span)
                .cause(cause)
        })?;
    }
    Ok(settings)
}

/// Two models must not write one table (an alias can make them).
fn check_tables(drafts: &[Draft]) -> Result<(), Failure> {
    let mut seen: BTreeMap<String, &Draft> = BTreeMap::new();
    for draft in drafts.iter().filter(|d| d.enabled && !d.is_analysis) {
        if let Some(other) = seen.insert(draft.table.to_string(), draft) {
            return Err(Failure::new(
                FailureKind::Project,
                format!("two models are table {}", draft.table),
            )
            .at(&draft.path, 0, 0)
            .cause(format!("the other is {}", other.path)));
        }
    }
    Ok(())
}

fn scope(drafts: &[Draft], sources: &[Source]) -> Scope {
    let (on, off): (Vec<&Draft>, Vec<&Draft>) = drafts
        .iter()
        .filter(|d| !d.is_analysis)
        .partition(|d| d.enabled);
    Scope {
        models: on
            .into_iter()
            .map(|d| (d.name.clone(), d.table.clone()))
            .collect(),
        disabled: off
            .into_iter()
            .map(|d| (d.name.clone(), d.path.clone()))
            .collect(),
        sources: sources
            .iter()
            .map(|s| (s.source_ref(), s.table.clone()))
            .collect(),
    }
}
