//! What a template may use: steps, memory, depth and time. A template is somebody's input to a server.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::error::Error;
use super::value::Depth;

/// Bytes of the longest text.
pub(crate) const TEXT_MAX: usize = 16 << 20;
/// Macros that call each other, deep.
const CALLS_MAX: usize = 100;
/// Expressions and blocks inside each other, over all calls.
const DEPTH_MAX: usize = 2_500;

/// What one rendering may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Expressions, statements and rounds of loops.
    pub(crate) steps: u64,
    /// Of all values that it makes, whether they live on or not.
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 5_000_000,
            bytes: 256 << 20,
            time: Duration::from_secs(10),
        }
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
    limits: Limits,
    until: Instant,
    pub(super) calls: Depth,
    pub(super) depth: Depth,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            steps: Cell::new(limits.steps),
            bytes: Cell::new(limits.bytes),
            limits,
            until: Instant::now() + limits.time,
            calls: Depth::default(),
            depth: Depth::default(),
        }
    }

    /// One step; now and then looks at the clock.
    pub(crate) fn step(&self) -> Result<(), Error> {
        self.steps(1)
    }

    /// So many steps at once.
    pub(crate) fn steps(&self, count: u64) -> Result<(), Error> {
        let before = self.steps.get();
        let Some(left) = before.checked_sub(count) else {
            return Err(Error::unplaced(format!(
                "the template takes more than {} steps",
                self.limits.steps
            ))
            .note("a loop goes on too long: does it end?"));
        };
        self.steps.set(left);
        if before / 1024 != left / 1024 && Instant::now() > self.until {
            return Err(Error::unplaced(format!(
                "the template takes longer than {} s",
                self.limits.time.as_secs()
            )));
        }
        Ok(())
    }

    /// A text of so many bytes is about to be made.
    pub(crate) fn text(&self, bytes: usize) -> Result<(), Error> {
        if bytes > TEXT_MAX {
            return Err(Error::unplaced(format!(
                "the template makes a text of more than {} MB",
                TEXT_MAX >> 20
            )));
        }
        self.bytes(bytes)
    }

    /// So many bytes are about to be taken.
    pub(crate) fn bytes(&self, bytes: usize) -> Result<(), Error> {
        match self.bytes.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes.set(left);
                // Copying a text takes time as well.
                self.steps(bytes as u64 / 4096)
            }
            None => Err(Error::unplaced(format!(
                "the template makes more than {} MB of values",
                self.limits.bytes >> 20
            ))
            .note("a text or list grows without end: is there a loop that doubles it?")),
        }
    }

    /// A list of so many items is about to be made.
    pub(crate) fn items(&self, count: usize) -> Result<(), Error> {
        self.bytes(count.saturating_mul(24))
    }

    pub(super) fn enter_call(&self, name: &str) -> Result<(), Error> {
        match self.calls.enter(CALLS_MAX) {
            true => Ok(()),
            false => Err(Error::unplaced(format!(
                "macro {name} is called more than {CALLS_MAX} deep"
            ))
            .note("a macro that calls itself needs a condition that ends it")),
        }
    }

    pub(super) fn enter(&self) -> Result<(), Error> {
        match self.depth.enter(DEPTH_MAX) {
            true => Ok(()),
            false => Err(Error::unplaced("the template is nested too deeply")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Globals, Interp, add_builtins, parse};
    use super::*;

    /// The error of a template under limits, and the line of its place.
    fn refused(text: &str, limits: Limits) -> (String, u32) {
        let mut globals = Globals::new();
        add_builtins(&mut globals);
        let template = parse("t", text).unwrap();
        let budget = Budget::new(limits);
        let error = Interp::new(&globals, &budget, &|_, _| 0).render(&template);
        let error = error.err().unwrap();
        let before = &text[..error.at.unwrap().start];
        (error.cause, before.matches('\n').count() as u32 + 1)
    }

    const ROUNDS: &str = "{% macro f() %}\n{% for i in range(1000) %}{% for j in range(1000) %}\n{{ '' }}{% endfor %}{% endfor %}\n\
                          {% endmacro %}\n{{ f() }}";

    #[test]
    fn a_loop_ends_when_its_steps_or_its_time_are_used_up() {
        let limits = Limits {
            steps: 50_000,
            ..Limits::default()
        };
        let (cause, line) = refused(ROUNDS, limits);
        assert_eq!(cause, "the template takes more than 50000 steps");
        assert!([2, 3].contains(&line), "line {line}");
        let limits = Limits {
            time: Duration::ZERO,
            ..Limits::default()
        };
        let (cause, line) = refused(ROUNDS, limits);
        assert_eq!(cause, "the template takes longer than 0 s");
        assert!([2, 3].contains(&line), "line {line}");
    }
}
