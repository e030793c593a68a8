//! What went wrong in a template, and where.

/// A stretch of a template, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) length: usize,
}

impl Span {
    pub(crate) fn new(start: usize, length: usize) -> Self {
        Self { start, length }
    }

    /// From the start of this to the end of `last`.
    pub(crate) fn to(self, last: Span) -> Self {
        let end = (last.start + last.length).max(self.start + self.length);
        Self::new(self.start, end - self.start)
    }
}

/// An error of a template: the cause, the place, and further facts.
#[derive(Debug, Clone)]
pub(crate) struct Error {
    pub(crate) cause: String,
    /// The file the place is in; `None` until the template that was rendered is known.
    pub(crate) file: Option<String>,
    /// `None` until an expression is found to blame.
    pub(crate) at: Option<Span>,
    /// The text inside `at` to put the caret under.
    pub(crate) token: String,
    pub(crate) notes: Vec<String>,
}

impl Error {
    pub(crate) fn new(cause: impl Into<String>, at: Span) -> Self {
        Self {
            at: Some(at),
            ..Self::unplaced(cause)
        }
    }

    /// An error of a function, which takes the place of its call.
    pub(crate) fn unplaced(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            file: None,
            at: None,
            token: String::new(),
            notes: vec![],
        }
    }

    /// The text to put the caret under.
    pub(crate) fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// One more fact, or the way out.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(super) fn placed(mut self, at: Span) -> Self {
        self.at.get_or_insert(at);
        self
    }
}
