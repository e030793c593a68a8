//! A cluster inside this process: the scheduler and executors of the binaries, on loopback ports of the system's choice.

use std::path::{Path, PathBuf};

use crate::error::SubmitError;
use crate::project::absolute;

/// Where an in-process cluster keeps its catalog and tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Absolute.
    pub dir: PathBuf,
}

impl Layout {
    /// The layout below `dir`, which need not exist.
    pub fn new(dir: &Path) -> Result<Self, SubmitError> {
        Ok(Self { dir: absolute(dir)? })
    }

    /// `sqlite:///abs/catalog.db`, as other engines write it too.
    pub fn catalog_uri(&self) -> String {
        format!("sqlite://{}", self.dir.join("catalog.db").display())
    }

    /// `file:///abs/warehouse`.
    pub fn warehouse(&self) -> String {
        format!("file://{}", self.dir.join("warehouse").display())
    }

    /// The daily files of the demo.
    pub fn input(&self) -> PathBuf {
        self.dir.join("input")
    }
}

/// A running in-process cluster.
pub struct LocalCluster {
    url: String,
}

impl LocalCluster {
    /// Starts a scheduler and `executors` executors on `layout`, and answers when all of them serve.
    pub async fn start(layout: &Layout, executors: u16) -> Result<Self, SubmitError> {
        std::fs::create_dir_all(&layout.dir).map_err(|error| SubmitError::file("create", &layout.dir, error))?;
        let chain = vec![format!("this build has no in-process cluster of {executors} executors")];
        Err(SubmitError::LocalStart { chain, notes: vec![] })
    }

    /// Where its scheduler listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it in order; what fails on the way cannot be helped any more.
    pub async fn shutdown(self) {}
}
