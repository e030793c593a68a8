//! `dbt_project.yml`.

use serde_json::{Map, Value};

use retail_api::Failure;

use super::config::{ModelSettings, is_setting};
use super::project::Warning;
use super::render::Renderer;
use super::test_yaml::Setting;
use super::yaml::{Doc, Node};
use retail_api::source::Location;
use retail_api::suggest::did_you_mean;

/// What `dbt_project.yml` states.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub name: String,
    pub model_paths: Vec<String>,
    pub macro_paths: Vec<String>,
    pub analysis_paths: Vec<String>,
    pub test_paths: Vec<String>,
    pub seed_paths: Vec<String>,
    pub snapshot_paths: Vec<String>,
    pub vars: Map<String, Value>,
    /// What is not done as it is written.
    pub warnings: Vec<Warning>,
    /// Where macros of a package are looked for, by package.
    pub dispatch: Vec<(String, Vec<String>)>,
    /// ModelSettings by folder (or file) under the model paths; the empty path is the whole project.
    folders: Vec<Folder>,
    /// Settings of tests by folder, the outer before the inner.
    tests: Vec<(Vec<String>, Setting)>,
}

#[derive(Debug)]
struct Folder {
    path: Vec<String>,
    /// Key, value, and the failure if the value, once rendered, is wrong.
    settings: Vec<(String, Value, Failure)>,
    at: Location,
}

/// Keys that only tools on a person's machine read.
const IGNORED: [&str; 14] = [
    "version",
    "config-version",
    "profile",
    "clean-targets",
    "docs-paths",
    "asset-paths",
    "target-path",
    "log-path",
    "packages-install-path",
    "query-comment",
    "docs",
    "dbt-cloud",
    "function-paths",
    "restrict-access",
];

/// Keys of dbt for what we do not have, reported.
const WITHOUT_EFFECT: [&str; 10] = [
    "require-dbt-version",
    "flags",
    "quoting",
    "seeds",
    "snapshots",
    "unit_tests",
    "exposures",
    "semantic-models",
    "metrics",
    "saved-queries",
];

/// Keys of dbt that would change what a run does and that we do not have.
const UNSUPPORTED: [&str; 4] = ["on-run-start", "on-run-end", "sources", "packages"];

const KNOWN: [&str; 11] = [
    "name",
    "model-paths",
    "macro-paths",
    "analysis-paths",
    "test-paths",
    "data_tests",
    "seed-paths",
    "snapshot-paths",
    "vars",
    "models",
    "dispatch",
];

/// Reads `dbt_project.yml`.
pub(crate) fn read(doc: &Doc) -> Result<Manifest, Failure> {
    let root = doc.root();
    let name = root
        .get("name")
        .ok_or_else(|| root.fail("the project has no name: add name: my_project"))?;
    let mut manifest = Manifest {
        name: name.text()?,
        model_paths: vec!["models".into()],
        macro_paths: vec!["macros".into()],
        analysis_paths: vec!["analyses".into()],
        test_paths: vec!["tests".into()],
        seed_paths: vec!["seeds".into()],
        snapshot_paths: vec!["snapshots".into()],
        vars: Map::new(),
        warnings: vec![],
        dispatch: vec![],
        folders: vec![],
        tests: vec![],
    };
    for (key, node) in root.entries()? {
        match key.as_str() {
            "name" => {}
            "model-paths" | "source-paths" => manifest.model_paths = folders_of(&node)?,
            "macro-paths" => manifest.macro_paths = folders_of(&node)?,
            "analysis-paths" => manifest.analysis_paths = folders_of(&node)?,
            "test-paths" => manifest.test_paths = folders_of(&node)?,
            "tests" | "data_tests" => {
                for (key, value) in node.entries()? {
                    match value.is_mapping() && !key.starts_with('+') {
                        true if key == manifest.name => {
                            test_settings(&value, &[], &mut manifest.tests)?;
                        }
                        true => {
                            let near = did_you_mean(&key, [manifest.name.as_str()]);
                            let text =
                                format!("tests of {key}: this project is {}{near}", manifest.name);
                            if !near.is_empty() {
                                return Err(value.fail(text));
                            }
                            // Most often those of a package.
                            manifest.warnings.push(Warning::new(text, value.at()));
                        }
                        false => test_setting(&key, &value, &[], &mut manifest.tests)?,
                    }
                }
            }
            "seed-paths" | "data-paths" => manifest.seed_paths = folders_of(&node)?,
            "snapshot-paths" => manifest.snapshot_paths = folders_of(&node)?,
            "vars" => manifest.vars = vars(&node, &manifest.name)?,
            "dispatch" => manifest.dispatch = dispatch(&node)?,
            "models" => folders(&node, &mut manifest)?,
            k if IGNORED.contains(&k) => {}
            k if WITHOUT_EFFECT.contains(&k) || node.is_empty() => {
                if !node.is_empty() {
                    manifest
                        .warnings
                        .push(Warning::new(format!("{k} has no effect"), node.at()));
                }
            }
            k if UNSUPPORTED.contains(&k) => {
                return Err(node.fail(format!("{k} is not supported yet")));
            }
            k => match did_you_mean(k, KNOWN.into_iter().chain(IGNORED).chain(UNSUPPORTED)) {
                near if near.is_empty() => {
                    let text = format!("there is no key {k}; it has no effect");
                    manifest.warnings.push(Warning::new(text, node.at()));
                }
                near => return Err(node.fail(format!("dbt_project.yml has no key {k}{near}"))),
            },
        }
    }
    Ok(manifest)
}

fn folders_of(node: &Node<'_>) -> Result<Vec<String>, Failure> {
    Ok(node
        .texts()?
        .iter()
        .map(|p| p.trim_start_matches("./").trim_end_matches('/').to_string())
        .collect())
}

/// `dispatch:`, a list of `{macro_namespace: dbt_utils, search_order: [shop, dbt_utils]}`.
fn dispatch(node: &Node<'_>) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let entry = |item: Node<'_>| {
        let need = |key: &str| {
            item.get(key)
                .ok_or_else(|| item.fail(format!("dispatch needs {key}")))
        };
        Ok((
            need("macro_namespace")?.text()?,
            need("search_order")?.texts()?,
        ))
    };
    node.items()?.into_iter().map(entry).collect()
}

/// Variables of the project; those under the project's own name go over the common ones.
fn vars(node: &Node<'_>, project: &str) -> Result<Map<String, Value>, Failure> {
    let mut all = Map::new();
    let mut own = Map::new();
    for (key, value) in node.entries()? {
        match value.json() {
            Value::Object(map) if key == project => own = map,
            json => {
                all.insert(key, json);
            }
        }
    }
    all.extend(own);
    Ok(all)
}

fn folders(node: &Node<'_>, manifest: &mut Manifest) -> Result<(), Failure> {
    let (project, found) = (manifest.name.as_str(), &mut manifest.folders);
    let mut settings = vec![];
    for (key, value) in node.entries()? {
        if key == project && value.is_mapping() {
            folder(&value, vec![], found)?;
        } else if let Some(key) = setting(&key, &value) {
            settings.push(checked(&key, &value)?);
        } else if value.is_mapping() {
            let near = did_you_mean(&key, [project]);
            let text = format!("models of {key}: this project is {project}{near}");
            if !near.is_empty() {
                return Err(value.fail(text));
            }
            // Most often those of a package.
            manifest.warnings.push(Warning::new(text, value.at()));
        } else {
            checked(&key, &value)?;
        }
    }
    found.push(Folder {
        path: vec![],
        settings,
        at: node.at(),
    });
    Ok(())
}

fn folder(node: &Node<'_>, path: Vec<String>, found: &mut Vec<Folder>) -> Result<(), Failure> {
    let mut settings = vec![];
    let mut inner = vec![];
    for (key, value) in node.entries()? {
        if let Some(key) = setting(&key, &value) {
            settings.push(checked(&key, &value)?);
        } else if value.is_mapping() {
            inner.push((
                [path.as_slice(), std::slice::from_ref(&key)].concat(),
                value,
            ));
        } else {
            checked(&key, &value)?;
        }
    }
    found.push(Folder {
        path,
        settings,
        at: node.at(),
    });
    inner
        .into_iter()
        .try_for_each(|(path, value)| folder(&value, path, found))
}

/// `+key` is a setting whatever it holds; `key` is one if dbt knows it and it is no folder of that name.
fn setting(key: &str, value: &Node<'_>) -> Option<String> {
    match key.strip_prefix('+') {
        Some(key) => Some(key.to_string()),
        None if is_setting(key) && (!value.is_mapping() || key == "meta" || key == "contract") => {
            Some(key.to_string())
        }
        None => None,
    }
}

fn test_settings(
    node: &Node<'_>,
    path: &[String],
    found: &mut Vec<(Vec<String>, Setting)>,
) -> Result<(), Failure> {
    let mut inner = vec![];
    for (key, value) in node.entries()? {
        match value.is_mapping() && !key.starts_with('+') {
            true => inner.push((key, value)),
            false => test_setting(&key, &value, path, found)?,
        }
    }
    inner
        .into_iter()
        .try_for_each(|(key, value)| test_settings(&value, &[path, &[key]].concat(), found))
}

fn test_setting(
    key: &str,
    value: &Node<'_>,
    path: &[String],
    found: &mut Vec<(Vec<String>, Setting)>,
) -> Result<(), Failure> {
    found.push((path.to_vec(), Setting::read(key, value)?));
    Ok(())
}

fn checked(key: &str, value: &Node<'_>) -> Result<(String, Value, Failure), Failure> {
    let json = value.json();
    // What holds Jinja is known when it is rendered.
    if !json.to_string().contains("{{") {
        ModelSettings::default()
            .set(key, &json)
            .map_err(|cause| value.fail(cause))?;
    }
    Ok((key.to_string(), json, value.fail(String::new())))
}

impl Manifest {
    /// With the Jinja in its settings rendered, as dbt does.
    pub(crate) fn rendered(mut self, renderer: &Renderer) -> Result<Self, Failure> {
        for (key, value, wrong) in self.folders.iter_mut().flat_map(|f| &mut f.settings) {
            let set = renderer.json(value).and_then(|json| {
                *value = json;
                ModelSettings::default().set(key, value)
            });
            set.map_err(|cause| wrong.clone().cause(cause))?;
        }
        Ok(self)
    }

    /// The settings for the model at `inside`: its path below the model folder, without `.sql`, in parts.
    pub(crate) fn settings_for(&self, inside: &[&str]) -> ModelSettings {
        let mut matching: Vec<&Folder> = self
            .folders
            .iter()
            .filter(|f| f.path.len() <= inside.len() && f.path.iter().eq(&inside[..f.path.len()]))
            .collect();
        matching.sort_by_key(|f| f.path.len());
        let mut settings = ModelSettings::default();
        for (key, value, _) in matching.iter().flat_map(|f| &f.settings) {
            // Checked when it was read.
            let _ = settings.set(key, value);
        }
        settings
    }

    /// The settings of tests that are declared in the file at `path`, the outer before the inner.
    pub(crate) fn test_settings_for(&self, path: &str) -> Vec<&Setting> {
        let folders = self.model_paths.iter().chain(&self.test_paths);
        let inside = folders
            .filter_map(|f| path.strip_prefix(f.as_str())?.strip_prefix('/'))
            .next()
            .unwrap_or(path);
        let inside: Vec<&str> = inside.trim_end_matches(".sql").split('/').collect();
        let mut matching: Vec<_> = self
            .tests
            .iter()
            .filter(|(folder, _)| {
                folder.len() <= inside.len() && folder.iter().eq(&inside[..folder.len()])
            })
            .collect();
        matching.sort_by_key(|(folder, _)| folder.len());
        matching.into_iter().map(|(_, setting)| setting).collect()
    }

    /// Folders in `models:` that hold no model: their settings have no effect.
    pub(crate) fn unused(&self, models: &[Vec<&str>]) -> Vec<Warning> {
        let mut unused = vec![];
        for folder in &self.folders {
            let Some((last, parent)) = folder.path.split_last() else {
                continue;
            };
            if models.iter().any(|m| {
                m.len() >= folder.path.len() && folder.path.iter().eq(&m[..folder.path.len()])
            }) {
                continue;
            }
            let siblings: Vec<&str> = models
                .iter()
                .filter(|m| m.len() > parent.len() && parent.iter().eq(&m[..parent.len()]))
                .map(|m| m[parent.len()])
                .collect();
            let near = did_you_mean(last, siblings);
            let text = format!("no model is in {}{near}", folder.path.join("/"));
            unused.push(Warning::new(text, folder.at.clone()));
        }
        unused
    }
}
