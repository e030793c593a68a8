//! A project folder as the request that carries it.

use std::path::{Component, Path};

use retail_project::{ProjectFile, read_dir};
use retail_proto::v1;
use serde_json::{Map, Value};

use crate::cli::ProjectArgs;
use crate::error::SubmitError;
use crate::vars;

/// A project read from disk, with the variables of this run.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    /// As given on the command line, for messages.
    pub dir: String,
    pub files: Vec<ProjectFile>,
    pub vars: Map<String, Value>,
}

impl Packed {
    /// Reads the folder and the variables; fails before anything is sent.
    pub(crate) fn read(args: &ProjectArgs) -> Result<Self, SubmitError> {
        let dir = args.project.display().to_string();
        let files = read_dir(&args.project).map_err(|failure| SubmitError::Project {
            failure: Box::new(failure),
            project_dir: None,
        })?;
        let current_dir =
            std::env::current_dir().map_err(|error| SubmitError::file("read", ".", error))?;
        let mut vars = vars::parse(&args.vars, &current_dir)?;
        for name in environment_of(&files) {
            if let Ok(value) = std::env::var(&name) {
                vars.insert(format!("env_var:{name}"), value.into());
            }
        }
        Ok(Self { dir, files, vars })
    }

    /// The places on this disk that the command line names: the project's folder, and paths among the variables.
    pub(crate) fn places(&self) -> Result<Vec<String>, SubmitError> {
        let mut places = vec![absolute(Path::new(&self.dir))?.display().to_string()];
        // Of what the environment has, the project chooses the names.
        let given = self
            .vars
            .iter()
            .filter(|(name, _)| !name.starts_with("env_var:"));
        given.for_each(|(_, value)| add_places(value, &mut places));
        Ok(places)
    }

    /// The files as the wire carries them.
    pub(crate) fn wire_files(&self) -> Vec<v1::ProjectFile> {
        self.files
            .iter()
            .map(|file| v1::ProjectFile {
                path: file.path.clone(),
                content: file.content.clone(),
            })
            .collect()
    }

    /// The variables as one JSON object.
    pub(crate) fn vars_json(&self) -> String {
        Value::Object(self.vars.clone()).to_string()
    }
}

/// The variables of the environment that a project names and may have: `env_var('DBT_…')`. Secrets stay here.
fn environment_of(files: &[ProjectFile]) -> Vec<String> {
    let mut names = vec![];
    for file in files {
        let text = String::from_utf8_lossy(&file.content);
        for (at, _) in text.match_indices("env_var(") {
            let rest = text[at + "env_var(".len()..].trim_start();
            let name = rest
                .strip_prefix(['\'', '"'])
                .and_then(|rest| rest.split(['\'', '"']).next());
            let is_sent =
                |name: &&str| name.starts_with("DBT_") && !name.starts_with("DBT_ENV_SECRET");
            names.extend(name.filter(is_sent).map(str::to_string));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The person who runs this, for the list of jobs.
pub(crate) fn submitted_by() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default()
}

/// `path` from the root, whether it exists or not.
pub(crate) fn absolute(path: &Path) -> Result<std::path::PathBuf, SubmitError> {
    let joined =
        std::path::absolute(path).map_err(|error| SubmitError::file("read", path, error))?;
    Ok(vars::clean(&joined))
}

fn add_places(value: &Value, places: &mut Vec<String>) {
    match value {
        Value::String(text) => places.extend(place(text)),
        Value::Array(values) => values.iter().for_each(|value| add_places(value, places)),
        Value::Object(values) => values.values().for_each(|value| add_places(value, places)),
        _ => {}
    }
}

/// The file or folder that a text names, of a pattern the one above its first wildcard; none where it is no absolute path, or
/// would be the whole disk: `/` and `/[0-9]+/` are more likely a separator and a regular expression.
fn place(text: &str) -> Option<String> {
    let path = ["file://", "file:"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let path = Path::new(path.unwrap_or(text));
    if !path.is_absolute()
        || text.contains('\n')
        || path.components().any(|c| c == Component::ParentDir)
    {
        return None;
    }
    let named = path.iter().skip(1).map(|part| part.to_string_lossy());
    let named: Vec<_> = named
        .take_while(|part| !part.contains(['*', '?', '[', '{']))
        .collect();
    (!named.is_empty()).then(|| format!("/{}", named.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_project_and_paths_among_the_variables_but_never_the_whole_disk() {
        let vars = serde_json::json!({
            "input": "/data/landing//./day=*/x.csv",
            "more": {"of": ["file:///data/other", "s3://bucket/x", 7]},
            "sep": "/",
            "pattern": "/[0-9]+/",
            "up": "/data/../etc",
            "lines": "/a\n/",
            "text": "a/b",
            "env_var:DBT_HOME": "/root",
        });
        let packed = Packed {
            dir: "/shop/[x]".to_owned(),
            files: vec![],
            vars: vars.as_object().unwrap().clone(),
        };
        assert_eq!(
            packed.places().unwrap(),
            ["/shop/[x]", "/data/landing", "/data/other"]
        );
    }

    #[test]
    fn of_the_environment_only_what_the_project_names_and_dbt_would_give_is_sent() {
        let file = ProjectFile {
            path: "models/a.sql".into(),
            content: b"{{ env_var('DBT_ENV') }} {{ env_var( \"DBT_ENV\", 'x') }} {{ env_var('HOME') }} {{ env_var('DBT_ENV_SECRET_X') }}".to_vec(),
        };
        assert_eq!(environment_of(&[file]), ["DBT_ENV"]);
    }
}
