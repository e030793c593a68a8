//! Reads a project in dbt's by_role: `dbt_project.yml`, `models/**/*.sql` with Jinja, the YAML beside them, `macros/`
//! and `analyses/`. What is not supported is a failure that names file, line and construct, before anything runs.
//!
//! A model's namespace is its `schema` setting as it stands (dbt would put the target's schema before it), `main`
//! without one. A model is a view unless configured otherwise, as in dbt.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]
#![allow(
    clippy::result_large_err,
    reason = "a failure ends the work: it is made once, on no hot path"
)]

mod config;
mod constraints;
mod data_test;
mod docs;
mod files;
mod foreign_options;
pub mod graph;
mod jinja;
mod manifest;
mod model;
mod project;
mod properties;
mod render;
pub mod select;
mod source_map;
mod source_yaml;
mod sql_text;
mod stored;
mod test_blocks;
mod test_maker;
mod test_names;
mod test_settings;
mod test_yaml;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod tests_of;
mod yaml;

use std::cell::RefCell;
use std::collections::BTreeMap;

use retail_api::source::{Location, Source, SourceRef};
use retail_api::suggest::{did_you_mean, nearest};
use retail_api::{Failure, FailureKind, TableName};
use serde_json::{Map, Value};

pub use data_test::{DataTest, Severity, Subject, TestConfig, TestKind, Threshold};
pub use files::{ProjectFile, read_dir};
pub use model::{Materialized, Model, ModelConfig, ModelName};
pub use project::{Project, Warning};
pub use source_map::Spot;
pub use yaml::vars_of_yaml;

use config::{ModelSettings, identifier};
use manifest::Manifest;
use properties::Description;
use render::{Rendered, Renderer, Scope};
use sql_text::is_blank;
use yaml::Doc;

/// The namespace of models that set no schema.
pub const DEFAULT_NAMESPACE: &str = "main";

/// Reads, renders and checks a project. `vars` go over the project's own.
///
/// Fails with the first thing that is wrong, at its file, line and column.
pub fn load(files: &[ProjectFile], vars: &Map<String, Value>) -> Result<Project, Failure> {
    // Templates may nest as deep as their limits let them, whatever the stack of the caller is.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("project".into())
            .stack_size(STACK_BYTES);
        let load = thread.spawn_scoped(scope, || load_here(files, vars));
        let load = load.map_err(|error| {
            Failure::new(FailureKind::Internal, "cannot read the project")
                .cause(format!("no thread can be started: {error}"))
                .retryable(true)
        })?;
        load.join().unwrap_or_else(|_| {
            Err(Failure::new(
                FailureKind::Internal,
                "the project's check ended in a defect",
            )
            .note("the log has the place; please report it"))
        })
    })
}

/// Reserved, not taken: only what is touched becomes memory.
const STACK_BYTES: usize = 256 << 20;

fn load_here(files: &[ProjectFile], vars: &Map<String, Value>) -> Result<Project, Failure> {
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
    let mut warnings = manifest.warnings.clone();
    let by_role = FilesByRole::new(&texts, &manifest, &mut warnings)?;
    let mut all_vars = manifest.vars.clone();
    all_vars.extend(vars.clone());
    let renderer = Renderer::new(&manifest.name, all_vars.clone(), &by_role.macros)?;
    for (package, order) in &manifest.dispatch {
        renderer.dispatch(package, order.clone());
    }
    let manifest = manifest.rendered(&renderer)?;

    let Described {
        models: descriptions,
        sources,
        source_tests,
        singular,
    } = read_yaml(&by_role, &renderer, &mut warnings)?;
    let drafts = drafts(&by_role, &manifest, &renderer, &descriptions, &mut warnings)?;
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
            .node(
                &draft.path,
                &draft.text,
                &draft.table,
                Some(&scope),
                &draft.node(&manifest.name),
                &what,
            )
            .map_err(|failure| failure.model(draft.table.to_string()))?;
        let model = draft.finish(rendered, described);
        if is_blank(&model.sql) {
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
    let warnings = RefCell::default();
    let make = test_maker::Maker {
        renderer: &renderer,
        scope: &scope,
        generic: &by_role.generic,
        defaults: &defaults,
        project: &manifest.name,
        warnings: &warnings,
    };
    let files = tests_of::Files {
        texts: &texts,
        singular: &by_role.singular,
    };
    tests_of::add(
        &mut project,
        &make,
        &files,
        &descriptions,
        &source_tests,
        &singular,
    )?;
    graph::order(&project)?;
    project.warnings.extend(warnings.take());
    project.warnings.extend(renderer.warnings());
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
struct FilesByRole {
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
    /// Names of the `{% docs %}` blocks.
    docs: Vec<String>,
}

impl FilesByRole {
    fn new(
        texts: &BTreeMap<String, String>,
        manifest: &Manifest,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Failure> {
        let mut by_role = Self::default();
        let below = |path: &str, folders: &[String]| {
            folders.iter().find_map(|f| {
                path.strip_prefix(f.as_str())?
                    .strip_prefix('/')
                    .map(str::to_string)
            })
        };
        for (path, text) in texts {
            if path.ends_with(".md") {
                by_role.docs.extend(docs::blocks(text));
                continue;
            }
            let sql = path.ends_with(".sql");
            let yaml = path.ends_with(".yml") || path.ends_with(".yaml");
            let own = || (path.clone(), text.clone());
            if let Some(inside) = below(path, &manifest.model_paths) {
                if let Some(stem) = inside.strip_suffix(".sql") {
                    by_role
                        .models
                        .push((path.clone(), stem.to_string(), text.clone()));
                } else if yaml {
                    by_role.yaml.push(own());
                } else if path.ends_with(".py") {
                    return Err(unsupported(
                        path,
                        "Python models are not supported",
                        "write the model in SQL, or take the file out of the models",
                    ));
                } else if path.ends_with(".csv") {
                    let at = Location {
                        file: path.clone(),
                        line: 0,
                    };
                    warnings.push(Warning::new("a CSV file among the models is not read", at));
                }
            } else if let Some(inside) = below(path, &manifest.analysis_paths) {
                if let Some(stem) = inside.strip_suffix(".sql") {
                    by_role
                        .analyses
                        .push((path.clone(), stem.to_string(), text.clone()));
                } else if yaml {
                    by_role.yaml.push(own());
                }
            } else if below(path, &manifest.macro_paths).is_some() {
                if sql {
                    by_role.macros.push(own());
                } else if yaml {
                    by_role.yaml.push(own());
                }
            } else if let Some(inside) = below(path, &manifest.test_paths) {
                match (sql, yaml) {
                    (true, _) if inside.starts_with("generic/") => by_role.macros.push(own()),
                    // Rows for unit tests.
                    _ if inside.starts_with("fixtures/") => {}
                    (true, _) => by_role.singular.push(own()),
                    (_, true) => by_role.yaml.push(own()),
                    _ => {}
                }
            } else if below(path, &manifest.seed_paths).is_some() && path.ends_with(".csv") {
                return Err(unsupported(
                    path,
                    "seeds are not supported yet",
                    "read the file as a source with external_location",
                ));
            } else if below(path, &manifest.snapshot_paths).is_some() && (sql || yaml) {
                return Err(unsupported(
                    path,
                    "snapshots are not supported yet",
                    "write the versions as a model",
                ));
            } else {
                check_folder(path, text, warnings)?;
            }
        }
        by_role.generic = test_blocks::collect(&by_role.macros).map_err(|twice| {
            let (name, first, second) = twice;
            Failure::new(FailureKind::Project, format!("there are two tests {name}"))
                .at(second, 0, 0)
                .cause(format!("the other is in {first}"))
        })?;
        for (_, text) in &mut by_role.macros {
            *text = test_blocks::as_macros(text);
        }
        by_role.macros.push(test_blocks::built_in());
        Ok(by_role)
    }
}

/// Files outside of the folders that are read.
fn check_folder(path: &str, text: &str, warnings: &mut Vec<Warning>) -> Result<(), Failure> {
    let (folder, file) = path.split_once('/').unwrap_or(("", path));
    match folder {
        "" if matches!(file, "packages.yml" | "dependencies.yml") => {
            packages(&Doc::parse(path, text)?, warnings)
        }
        "" if matches!(file, "selectors.yml" | "selectors.yaml") => {
            let doc = Doc::parse(path, text)?;
            let selectors = doc.root().get("selectors").map(|s| s.items()).transpose()?;
            for selector in selectors.unwrap_or_default() {
                if let Some(default) = selector.get("default") {
                    let text =
                        "the default selector is not used: a run without --select runs all models";
                    warnings.push(Warning::new(text, default.at()));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Packages: the macros of a few are built in, and nothing else of any is there.
fn packages(doc: &Doc, warnings: &mut Vec<Warning>) -> Result<(), Failure> {
    if let Some(projects) = doc.root().get("projects").filter(|p| !p.is_empty()) {
        return Err(projects
            .fail("other projects are not supported")
            .note("read their tables as sources"));
    }
    let Some(node) = doc.root().get("packages") else {
        return Ok(());
    };
    for package in node.items()? {
        let name = ["package", "git", "local", "tarball"]
            .iter()
            .find_map(|key| package.get(key));
        let name = name.map(|n| n.text()).transpose()?.unwrap_or_default();
        let last = name
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default();
        let last = last.trim_end_matches(".git").replace('-', "_");
        let text = match last.as_str() {
            "dbt_utils" | "dbt_date" => format!("of package {last}, the macros that are built in are used, and nothing else"),
            "dbt_expectations" => "of package dbt_expectations, the tests that are built in are used, and nothing else".to_string(),
            _ => format!("package {name} is not read: its models, macros and tests are not there"),
        };
        warnings.push(Warning::new(text, package.at()));
    }
    Ok(())
}

fn unsupported(path: &str, cause: &str, way_out: &str) -> Failure {
    Failure::new(FailureKind::Project, format!("cannot read {path}"))
        .at(path, 0, 0)
        .cause(cause)
        .note(way_out)
}

/// What the YAML of a project declares.
#[derive(Default)]
struct Described {
    models: Vec<Description>,
    sources: Vec<Source>,
    source_tests: Vec<(SourceRef, test_yaml::Declared)>,
    /// Of files below `tests/`.
    singular: Vec<test_yaml::DescribedFile>,
}

fn read_yaml(
    by_role: &FilesByRole,
    renderer: &Renderer,
    warnings: &mut Vec<Warning>,
) -> Result<Described, Failure> {
    let mut described = Described::default();
    for (path, text) in &by_role.yaml {
        let doc = Doc::parse(path, text)?;
        docs::check(&doc.root(), &by_role.docs, warnings)?;
        let sections = properties::sections(&doc, warnings)?;
        for node in sections.models {
            let found = properties::model(&node, renderer, warnings)?;
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
    settings: ModelSettings,
    enabled: bool,
    is_analysis: bool,
}

impl Draft {
    /// What templates see as `model`, and what macros such as `generate_schema_name` get.
    fn node(&self, project: &str) -> Map<String, Value> {
        let folders = self.path.split('/').skip(1);
        let inside: Vec<&str> = folders.map(|part| part.trim_end_matches(".sql")).collect();
        let fqn: Vec<&str> = std::iter::once(project).chain(inside).collect();
        let mut node = Map::new();
        let mut put = |key: &str, value: Value| node.insert(key.to_string(), value);
        put("name", self.name.as_str().into());
        put("alias", self.table.name.clone().into());
        put("schema", self.table.namespace.clone().into());
        put("database", "retail".into());
        put("resource_type", "model".into());
        put("package_name", project.into());
        put(
            "path",
            self.path
                .split_once('/')
                .map_or(self.path.as_str(), |(_, p)| p)
                .into(),
        );
        put("original_file_path", self.path.clone().into());
        put("unique_id", format!("model.{project}.{}", self.name).into());
        put("fqn", fqn.into());
        put("tags", self.settings.tags.clone().into());
        put("config", Value::Object(self.settings.json()));
        node
    }

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
    by_role: &FilesByRole,
    manifest: &Manifest,
    renderer: &Renderer,
    descriptions: &[Description],
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Draft>, Failure> {
    let mut drafts: Vec<Draft> = vec![];
    let analyses = by_role.analyses.iter().map(|file| (file, true));
    for ((path, inside, text), is_analysis) in by_role
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
            true => ModelSettings::default(),
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
        let mut draft = Draft {
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
        };
        rename(&mut draft, manifest, renderer)?;
        drafts.push(draft);
    }
    check_tables(&drafts)?;
    let inside: Vec<Vec<&str>> = by_role
        .models
        .iter()
        .map(|(_, inside, _)| inside.split('/').collect())
        .collect();
    warnings.extend(manifest.unused(&inside));
    let names = || drafts.iter().map(|d| d.name.as_str());
    for stray in descriptions
        .iter()
        .filter(|d| !names().any(|n| n == d.name))
    {
        let near = did_you_mean(&stray.name, names());
        let text = format!("there is no model {}{near}", stray.name);
        warnings.push(Warning::new(text, stray.at.clone()));
    }
    without_effect(&drafts, warnings);
    Ok(drafts)
}

/// Settings of models that have no effect, each reported once.
fn without_effect(drafts: &[Draft], warnings: &mut Vec<Warning>) {
    let mut of_key: BTreeMap<&str, Vec<&Draft>> = BTreeMap::new();
    for draft in drafts.iter().filter(|d| d.enabled) {
        for key in &draft.settings.without_effect {
            of_key.entry(key).or_default().push(draft);
        }
    }
    for (key, models) in of_key {
        let others = match models.len() {
            1 => String::new(),
            n => format!(" and {} other models", n - 1),
        };
        let text = format!("setting {key} of {}{others} has no effect", models[0].name);
        warnings.push(Warning::new(
            text,
            Location {
                file: models[0].path.clone(),
                line: 0,
            },
        ));
    }
}

/// Lets the project's own `generate_schema_name` and `generate_alias_name` say where the model's rows go, as in dbt.
fn rename(draft: &mut Draft, manifest: &Manifest, renderer: &Renderer) -> Result<(), Failure> {
    if draft.is_analysis || !draft.enabled {
        return Ok(());
    }
    let what = format!("cannot name the table of model {}", draft.name);
    let said = |name: &str, own: &Option<String>, draft: &Draft| {
        let custom = own.clone().map_or(Value::Null, Value::from);
        let node = Value::Object(draft.node(&manifest.name));
        let given = renderer.own_macro(name, vec![custom, node], &what)?;
        let checked = given.map(|given| {
            identifier(name, &given).map_err(|cause| {
                Failure::new(FailureKind::Project, what.clone())
                    .at(&draft.path, 0, 0)
                    .cause(cause)
            })
        });
        checked.transpose()
    };
    if let Some(namespace) = said("generate_schema_name", &draft.settings.schema, draft)? {
        draft.table.namespace = namespace;
    }
    if let Some(name) = said("generate_alias_name", &draft.settings.alias, draft)? {
        draft.table.name = name;
    }
    Ok(())
}

/// What `config(…)` in the file sets; a wrong setting is reported at its key.
fn in_file(
    rendered: &Rendered,
    path: &str,
    text: &str,
    what: &str,
) -> Result<ModelSettings, Failure> {
    let mut settings = ModelSettings::default();
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
