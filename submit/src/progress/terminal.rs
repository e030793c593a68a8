//! The terminal that moving lines are drawn on: stderr, with the cursor left where the text ends.
//!
//! indicatif fills every line to the terminal's edge, which is also how it ends one. At the edge the `^C` that a
//! terminal echoes goes to a new line, and wiping the moving part then misses a line. Here a filler ends its line only
//! when another follows: the echo lands behind the last line's text and is wiped with it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, TermLike};

use crate::term::terminal_width;

/// Columns that moving lines leave free for an echoed `^C`.
pub(crate) const MARGIN: usize = 3;
/// Frames per second at most.
const HERTZ: u8 = 20;

/// A bar of `length` steps, or of unknown length, that is drawn on this terminal.
pub(crate) fn bar(length: Option<u64>) -> ProgressBar {
    ProgressBar::with_draw_target(
        length,
        ProgressDrawTarget::term_like_with_hz(Box::new(Stderr::default()), HERTZ),
    )
}

/// Collects what one frame writes and shows it at once.
#[derive(Debug, Default)]
struct Stderr {
    frame: Mutex<Frame>,
}

#[derive(Debug, Default)]
struct Frame {
    text: String,
    /// A filler came: what is written next begins a line.
    line_ended: bool,
}

impl Stderr {
    fn frame(&self) -> MutexGuard<'_, Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the cursor or wipes, both of which are done with the line that ended.
    fn command(&self, command: std::fmt::Arguments<'_>) -> io::Result<()> {
        let mut frame = self.frame();
        frame.line_ended = false;
        frame.text.write_fmt(command).map_err(io::Error::other)
    }

    fn travel(&self, cells: usize, direction: char) -> io::Result<()> {
        if cells == 0 {
            Ok(())
        } else {
            self.command(format_args!("\u{1b}[{cells}{direction}"))
        }
    }
}

impl TermLike for Stderr {
    fn width(&self) -> u16 {
        u16::try_from(terminal_width(true)).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.travel(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.travel(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.travel(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.travel(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.command(format_args!("\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame();
        let filler = !text.is_empty() && text.chars().all(|c| c == ' ');
        if filler {
            frame.line_ended = true;
        } else if !text.is_empty() {
            if std::mem::take(&mut frame.line_ended) {
                frame.text.push('\n');
            }
            frame.text.push_str(text);
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.command(format_args!("\r\u{1b}[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.frame());
        let mut stderr = io::stderr().lock();
        stderr.write_all(frame.text.as_bytes())?;
        stderr.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_where_the_last_line_ends() {
        let terminal = Stderr::default();
        terminal.move_cursor_up(0).unwrap();
        terminal.clear_line().unwrap();
        for line in ["stage 1 of 2", "waits"] {
            terminal.write_str(line).unwrap();
            terminal.write_str("      ").unwrap();
        }
        assert_eq!(terminal.frame().text, "\r\u{1b}[2Kstage 1 of 2\nwaits");
        terminal.clear_line().unwrap();
        terminal.write_str("next").unwrap();
        assert!(terminal.frame().text.ends_with("waits\r\u{1b}[2Knext"));
    }
}
