//! What can go wrong on this side of the wire, and the exit code each of it ends with.

use std::io;
use std::path::PathBuf;

use retail_api::job::JobState;
use retail_api::{Failure, JobId};

use crate::exit::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    /// Nothing answers there.
    #[error("no scheduler at {url} ({reason})")]
    Unreachable { url: String, reason: String },
    /// It answered before and does not any more.
    #[error("lost the scheduler at {url} ({reason})")]
    Lost {
        url: String,
        reason: String,
        notes: Vec<String>,
    },
    /// A job ended badly.
    #[error("job {} {state}: {failure}", job_id.short())]
    Job {
        job_id: JobId,
        state: JobState,
        failure: Box<Failure>,
        project_dir: Option<String>,
    },
    /// The server did not accept a request.
    #[error("{failure}")]
    Refused {
        failure: Box<Failure>,
        project_dir: Option<String>,
    },
    /// The project on this side cannot be read; nothing was sent.
    #[error("{failure}")]
    Project {
        failure: Box<Failure>,
        project_dir: Option<String>,
    },
    /// A file, folder or setting on this side is wrong.
    #[error("{message}")]
    Config { message: String, notes: Vec<String> },
    /// What is there differs from what should be.
    #[error("{differing} of {total} numbers differ from the truth")]
    Differs { differing: usize, total: usize },
    /// Ctrl-C, with what a person does next.
    #[error("interrupted")]
    Interrupted { notes: Vec<String> },
    /// A file or stream on this machine.
    #[error("cannot {doing}: {source}")]
    Io { doing: String, source: io::Error },
    /// The reader of our stdout has left; nothing to report to anybody.
    #[error("stdout was closed")]
    ClosedPipe,
    /// The scheduler or an executor did not start inside this process.
    #[error("cannot start the cluster inside this process: {}", chain.first().map_or("unknown cause", String::as_str))]
    LocalStart {
        chain: Vec<String>,
        notes: Vec<String>,
    },
    /// The server sent something this client cannot read.
    #[error("cannot read the scheduler's answer: {reason}")]
    Answer { reason: String },
}

impl SubmitError {
    /// A wrong file, folder or setting.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::Config {
            message: message.into(),
            notes: vec![],
        }
    }

    /// A wrong file, folder or setting, and the way out.
    pub(crate) fn config_with(message: impl Into<String>, note: impl Into<String>) -> Self {
        Self::Config {
            message: message.into(),
            notes: vec![note.into()],
        }
    }

    /// An error of writing to stdout: a reader that left is none.
    pub(crate) fn stdout(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Io {
                doing: "write to stdout".into(),
                source,
            },
        }
    }

    /// An error of reading or writing `path`.
    pub(crate) fn file(verb: &str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            doing: format!("{verb} {}", path.into().display()),
            source,
        }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => ExitCode::Unavailable,
            Self::Job { .. }
            | Self::Refused { .. }
            | Self::Differs { .. }
            | Self::Answer { .. } => ExitCode::Failed,
            Self::Project { .. }
            | Self::Config { .. }
            | Self::Io { .. }
            | Self::LocalStart { .. } => ExitCode::Config,
            Self::Interrupted { .. } => ExitCode::Interrupted,
            Self::ClosedPipe => ExitCode::Success,
        }
    }

    /// Whether the same command can succeed later.
    pub(crate) fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Job { failure, .. }
            | Self::Refused { failure, .. }
            | Self::Project { failure, .. } => failure.retryable,
            _ => false,
        }
    }
}
