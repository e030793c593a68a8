//! A project folder as the request that carries it.

use std::path::Path;

use retail_jobs::project::{ProjectFile, read_dir};
use retail_proto::v1;
use serde_json::{Map, Value};

use crate::cli::ProjectArgs;
use crate::error::SubmitError;
use crate::vars;

/// A project read from disk, with the variables of this run.
#[derive(Debug, Clone)]
pub struct Packed {
    /// As given on the command line, for messages.
    pub dir: String,
    pub files: Vec<ProjectFile>,
    pub vars: Map<String, Value>,
}

impl Packed {
    /// Reads the folder and the variables; fails before anything is sent.
    pub fn read(args: &ProjectArgs) -> Result<Self, SubmitError> {
        let dir = args.project.display().to_string();
        let files = read_dir(&args.project).map_err(|failure| SubmitError::Project {
            failure: Box::new(failure),
            project_dir: None,
        })?;
        let current_dir =
            std::env::current_dir().map_err(|error| SubmitError::file("read", ".", error))?;
        Ok(Self {
            dir,
            files,
            vars: vars::parse(&args.vars, &current_dir)?,
        })
    }

    /// The files as the wire carries them.
    pub fn wire_files(&self) -> Vec<v1::ProjectFile> {
        self.files
            .iter()
            .map(|file| v1::ProjectFile {
                path: file.path.clone(),
                content: file.content.clone(),
            })
            .collect()
    }

    /// The variables as one JSON object.
    pub fn vars_json(&self) -> String {
        Value::Object(self.vars.clone()).to_string()
    }
}

/// The person who runs this, for the list of jobs.
pub fn submitted_by() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default()
}

/// `path` from the root, whether it exists or not.
pub fn absolute(path: &Path) -> Result<std::path::PathBuf, SubmitError> {
    let joined =
        std::path::absolute(path).map_err(|error| SubmitError::file("read", path, error))?;
    Ok(vars::clean(&joined))
}
