//! `retail-submit`, as a person or a script runs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::repository;

/// The client, talking to one scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Submit {
    pub url: String,
    pub dir: PathBuf,
    environment: Vec<(String, String)>,
}

/// How a command ended and what it printed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Submit {
    pub(crate) fn new(url: &str, dir: &Path) -> Self {
        Self {
            url: url.to_owned(),
            dir: dir.to_owned(),
            environment: vec![],
        }
    }

    /// The client with one more variable in its environment.
    #[must_use]
    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a command to its end, whatever it is.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Answer {
        let output = Command::new(repository::program("retail-submit"))
            .args(arguments)
            .env("RETAIL_SCHEDULER", &self.url)
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .output()
            .expect("retail-submit starts");
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a project to its end and returns how it went.
    pub(crate) fn project(&self, project: &Path, more: &[&str]) -> Answer {
        let mut arguments = vec![
            "run",
            "--project",
            project.to_str().expect("the path is text"),
        ];
        arguments.extend(more);
        self.run(arguments)
    }

    /// Submits a project and returns its job's id at once.
    pub(crate) fn detached(&self, project: &Path, more: &[&str]) -> String {
        let answer = self
            .project(project, &[&["--detach", "--json"], more].concat())
            .succeeded();
        let last = answer
            .stdout
            .lines()
            .last()
            .expect("a submitted job has an id");
        let value: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {last}"));
        value["job_id"]
            .as_str()
            .or(value["id"].as_str())
            .or(value.as_str())
            .expect("an id")
            .to_owned()
    }

    /// A job with its models.
    pub(crate) fn job(&self, id: &str) -> Value {
        let answer = self.run(["job", id, "--json"]).succeeded();
        serde_json::from_str(&answer.stdout).unwrap_or_else(|e| panic!("{e}: {}", answer.stdout))
    }

    /// Watches a job to its end.
    pub(crate) fn watch(&self, id: &str) -> Answer {
        self.run(["watch", id])
    }
}

impl Answer {
    /// The answer, if the command succeeded; panics with everything it printed otherwise.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// The answer, if the command ended with `code` and its error contains every one of `texts`.
    pub(crate) fn failed(self, code: i32, texts: &[&str]) -> Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, code, "{all}");
        for text in texts {
            assert!(
                all.contains(text),
                "the message does not say {text:?}:\n{all}"
            );
        }
        assert!(!all.contains("panicked at"), "{all}");
        assert!(
            !all.contains("DataFusion error: "),
            "a wrapped error is shown:\n{all}"
        );
        self
    }
}
