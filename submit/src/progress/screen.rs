//! Puts lines on the terminal: those that stay above, the moving ones below them, redrawn in place.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use retail_api::events::JobEvent;

use super::terminal;
use super::view::{Level, Line, View};
use crate::error::SubmitError;
use crate::term::Console;

/// How often the moving part is drawn.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Lines the moving part may take.
const HEIGHT: usize = 16;

/// The screen while a job is watched.
pub(crate) struct Screen<'a> {
    console: &'a Console,
    /// One bar whose message is the whole moving part; absent in a pipe.
    bar: Option<ProgressBar>,
}

impl<'a> Screen<'a> {
    /// A screen that moves if the console can.
    pub(crate) fn new(console: &'a Console) -> Self {
        let bar = console.animates().then(|| {
            let bar = terminal::bar(None);
            bar.set_style(
                ProgressStyle::with_template("{msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar
        });
        Self { console, bar }
    }

    /// Whether [`Screen::draw`] shows anything.
    pub(crate) fn moves(&self) -> bool {
        self.bar.is_some()
    }

    /// Lines that stay. Results go to stdout, facts to stderr; `--json` shows neither.
    pub(crate) fn print(&self, lines: &[Line]) -> Result<(), SubmitError> {
        if self.console.json {
            return Ok(());
        }
        for line in lines {
            let wanted = match line.level {
                Level::Detail => self.console.verbose > 0 && !self.console.quiet,
                Level::Still => !self.console.quiet && self.bar.is_none(),
                Level::Fact => !self.console.quiet,
                Level::Result => true,
            };
            if !wanted {
                continue;
            }
            match (&self.bar, line.level) {
                (Some(bar), Level::Result) => bar.suspend(|| self.console.print(&line.text))?,
                (None, Level::Result) => self.console.print(&line.text)?,
                (Some(bar), _) => bar.suspend(|| self.console.warn(&line.text)),
                (None, _) => self.console.warn(&line.text),
            }
        }
        Ok(())
    }

    /// An event as a line of JSON, under `--json`.
    pub(crate) fn event(&self, event: &JobEvent) -> Result<(), SubmitError> {
        if self.console.json {
            self.console.print_json(event)
        } else {
            Ok(())
        }
    }

    /// Draws the moving part anew.
    pub(crate) fn draw(&self, view: &View, now_us: i64) {
        if let Some(bar) = &self.bar {
            bar.set_message(view.live(now_us, HEIGHT).join("\n"));
            bar.tick();
        }
    }

    /// Takes the moving part away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
