//! Where output goes and how it looks there: colour, width, and the two streams.

use std::io::{IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::error::SubmitError;

/// Paints text for a terminal, or leaves it alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// No escape codes at all.
    pub(crate) const OFF: Self = Self { on: false };
    /// Escape codes.
    pub(crate) const ON: Self = Self { on: true };

    /// Escape codes if the stream shows them, unless `--no-color` forbids them.
    fn of(stream: ColorChoice, no_color: bool) -> Self {
        match stream {
            _ if no_color => Self::OFF,
            ColorChoice::Never => Self::OFF,
            _ => Self::ON,
        }
    }

    fn styled(self, style: Style, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_string()
        }
    }
    pub(crate) fn bold(self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }
    pub(crate) fn dim(self, text: &str) -> String {
        self.styled(Style::new().dimmed(), text)
    }
    pub(crate) fn red(self, text: &str) -> String {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }
    pub(crate) fn green(self, text: &str) -> String {
        self.styled(AnsiColor::Green.on_default(), text)
    }
    pub(crate) fn yellow(self, text: &str) -> String {
        self.styled(AnsiColor::Yellow.on_default(), text)
    }
    /// Places and gutters.
    pub(crate) fn blue(self, text: &str) -> String {
        self.styled(AnsiColor::Blue.on_default().bold(), text)
    }
    pub(crate) fn cyan(self, text: &str) -> String {
        self.styled(AnsiColor::Cyan.on_default(), text)
    }
}

/// Columns assumed where the terminal does not say, or there is none.
pub(crate) const DEFAULT_WIDTH: usize = 80;

/// The two output streams and what each can show. Results go to stdout, progress and errors to stderr.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    pub out: Paint,
    pub err: Paint,
    /// Columns of the terminal; 80 when not known.
    pub width: usize,
    pub out_is_terminal: bool,
    pub err_is_terminal: bool,
    /// Machine-readable output only.
    pub json: bool,
    /// No progress, only results and errors.
    pub quiet: bool,
    /// Chains of causes and more detail.
    pub verbose: u8,
}

impl Console {
    /// Looks at the process's streams and environment (`NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM`).
    pub(crate) fn detect(json: bool, no_color: bool, quiet: bool, verbose: u8) -> Self {
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let out_is_terminal = stdout.is_terminal();
        let err_is_terminal = stderr.is_terminal();
        let width = terminal_width(out_is_terminal || err_is_terminal);
        Self {
            out: Paint::of(AutoStream::choice(&stdout), no_color),
            err: Paint::of(AutoStream::choice(&stderr), no_color),
            width,
            out_is_terminal,
            err_is_terminal,
            json,
            quiet,
            verbose,
        }
    }

    /// What this process logs: nothing, or what `RUST_LOG` or `-vv` asks for.
    pub(crate) fn log_level(&self) -> Option<String> {
        match (
            std::env::var("RUST_LOG")
                .ok()
                .filter(|level| !level.is_empty()),
            self.verbose,
        ) {
            (Some(level), _) => Some(level),
            (None, 0 | 1) => None,
            (None, 2) => Some("info".into()),
            (None, _) => Some("debug".into()),
        }
    }

    /// Whether a moving display may be drawn on stderr.
    pub(crate) fn animates(&self) -> bool {
        self.err_is_terminal
            && !self.json
            && !self.quiet
            && self.log_level().is_none()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// One line of the result.
    pub(crate) fn print(&self, line: &str) -> Result<(), SubmitError> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}")
            .and_then(|()| stdout.flush())
            .map_err(SubmitError::stdout)
    }

    /// Lines of the result.
    pub(crate) fn print_all<S: AsRef<str>>(
        &self,
        lines: impl IntoIterator<Item = S>,
    ) -> Result<(), SubmitError> {
        let mut stdout = std::io::stdout().lock();
        for line in lines {
            writeln!(stdout, "{}", line.as_ref()).map_err(SubmitError::stdout)?;
        }
        stdout.flush().map_err(SubmitError::stdout)
    }

    /// A value as one line of JSON, the result of a command under `--json`.
    pub(crate) fn print_json<T: serde::Serialize>(&self, value: &T) -> Result<(), SubmitError> {
        let text =
            serde_json::to_string(value).map_err(|error| SubmitError::stdout(error.into()))?;
        self.print(&text)
    }

    /// What is being done: stderr, silent under `--quiet` and `--json`.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet && !self.json {
            self.warn(line);
        }
    }

    /// What a person must see: stderr, always. A closed stderr loses it, and nothing can be done about that.
    pub(crate) fn warn(&self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

/// Columns of the terminal, or of where there is none.
pub(crate) fn terminal_width(terminal: bool) -> usize {
    if let Some(columns) = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|n| *n >= 20)
    {
        return columns;
    }
    if !terminal {
        return DEFAULT_WIDTH;
    }
    match terminal_size::terminal_size_of(std::io::stderr()).or_else(terminal_size::terminal_size) {
        Some((terminal_size::Width(columns), _)) if columns > 0 => usize::from(columns),
        _ => DEFAULT_WIDTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_streams_that_show_it_and_people_who_want_it() {
        assert_eq!(Paint::of(ColorChoice::Always, false), Paint::ON);
        assert_eq!(Paint::of(ColorChoice::Always, true), Paint::OFF);
        assert_eq!(Paint::of(ColorChoice::Never, false), Paint::OFF);
        assert_eq!(Paint::OFF.red("error:"), "error:");
        assert_eq!(Paint::ON.green(""), "");
        assert_eq!(Paint::ON.green("✓"), "\u{1b}[32m✓\u{1b}[0m");
    }
}
