//! The codes this program ends with, in one place: scripts and schedulers act on them.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// It succeeded.
    Success = 0,
    /// The job failed, the server refused the request, or a number differs from the truth.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A file, folder or setting on this side is wrong; nothing was sent.
    Config = 64,
    /// The cluster cannot be reached.
    Unavailable = 69,
    /// Ctrl-C.
    Interrupted = 130,
}

impl ExitCode {
    /// The number the shell sees.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}
