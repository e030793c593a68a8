//! The terminal that moving lines are drawn on: stderr, with the cursor left where the text ends.
//!
//! indicatif fills the last line to the terminal's edge. There the `^C` that a terminal echoes goes to a new line,
//! and wiping the moving part then misses a line. Without the filler the echo lands behind the text and is wiped too.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, TermLike};

use crate::term::terminal_width;

/// Columns that moving lines leave free for an echoed `^C`.
pub const MARGIN: usize = 3;
/// Frames per second at most.
const HERTZ: u8 = 20;

/// A bar of `length` steps, or of unknown length, that is drawn on this terminal.
pub fn bar(length: Option<u64>) -> ProgressBar {
    ProgressBar::with_draw_target(
        length,
        ProgressDrawTarget::term_like_with_hz(Box::new(Stderr::default()), HERTZ),
    )
}

/// Collects what one frame writes and shows it at once.
#[derive(Debug, Default)]
struct Stderr {
    frame: Mutex<String>,
}

impl Stderr {
    fn add(&self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        frame.write_fmt(text).map_err(io::Error::other)
    }

    fn travel(&self, cells: usize, direction: char) -> io::Result<()> {
        if cells == 0 {
            Ok(())
        } else {
            self.add(format_args!("\u{1b}[{cells}{direction}"))
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
        self.add(format_args!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let filler = !text.is_empty() && text.chars().all(|c| c == ' ');
        if filler {
            Ok(())
        } else {
            self.add(format_args!("{text}"))
        }
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add(format_args!("\r\u{1b}[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.frame.lock().unwrap_or_else(PoisonError::into_inner));
        let mut stderr = io::stderr().lock();
        stderr.write_all(frame.as_bytes())?;
        stderr.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_where_the_text_ends() {
        let terminal = Stderr::default();
        terminal.move_cursor_up(0).unwrap();
        terminal.clear_line().unwrap();
        terminal.write_str("stage 1 of 2").unwrap();
        terminal.write_str("      ").unwrap();
        assert_eq!(*terminal.frame.lock().unwrap(), "\r\u{1b}[2Kstage 1 of 2");
    }
}
