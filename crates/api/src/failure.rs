//! What a person reads when something could not be done.

use std::fmt;

/// What kind of thing went wrong; decides exit codes and whether a retry can help.
///
/// As text, a word or two for what must not quote data: `no executor`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::Display,
    strum::EnumIter,
    strum::AsRefStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FailureKind {
    /// The project, its SQL or its configuration is wrong.
    Project,
    /// A source's data or files are wrong or missing.
    Source,
    /// A model failed while it ran.
    Execution,
    /// Rows break a declared test or a constraint.
    Test,
    /// Another run published first, or the catalog refused.
    Publish,
    /// Object store, disk or catalog cannot be reached or is full.
    Storage,
    /// No executor came in time.
    #[strum(serialize = "no executor")]
    NoExecutor,
    /// Somebody cancelled the job.
    Cancelled,
    /// A defect of ours.
    Internal,
}

/// What a job or statement that failed left as it was. Whoever reads a failure at night asks this first.
///
/// As text, the sentence that people read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
pub enum Unpublished {
    /// All tables.
    #[strum(to_string = "nothing was published; the tables are as they were")]
    Everything,
    /// The tables of models; some that keep failing rows of tests may have been replaced.
    #[strum(to_string = "of the run's tables nothing was published; the tables are as they were")]
    RunTables,
}

/// Why something could not be done: what, where, why, what is unchanged, what to do.
///
/// Printed as
///
/// ```text
/// error: cannot plan model marts.fact_order_items
///   ┌─ models/marts/fact_order_items.sql:14:8
///   │
/// 14│   AND oi.order_dat >= p.valid_from
///   │       ^^^^^^^^^^^^ stg_order_items has no column order_dat; did you mean order_date?
///   │
///   = nothing was published; the tables are as they were
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// One line, lower case, no full stop: what could not be done.
    pub message: String,
    /// `namespace.name` of the model at fault.
    #[serde(default)]
    pub model: Option<String>,
    /// Path relative to the project folder.
    #[serde(default)]
    pub file: Option<String>,
    /// 1-based; 0 = unknown.
    #[serde(default)]
    pub line: u32,
    /// 1-based, in characters; 0 = unknown.
    #[serde(default)]
    pub column: u32,
    /// The text of `line`, for the caret.
    #[serde(default)]
    pub snippet: String,
    /// The text at the caret; without a place, what stands below the message.
    #[serde(default)]
    pub cause: String,
    /// Characters to underline; 0 counts as 1.
    #[serde(default)]
    pub span: u32,
    /// Query stage that failed; 0 = none.
    #[serde(default)]
    pub stage: u32,
    /// Further facts and the way out, one per `=` line; [`Failure::all_notes`] are those to show.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What readers still see as it was; `None` where that is not known or not the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpublished: Option<Unpublished>,
    /// The chain of causes, outermost first, for `-v`.
    #[serde(default)]
    pub chain: Vec<String>,
    #[serde(default)]
    pub retryable: bool,
}

impl Failure {
    /// A failure with a message and nothing else yet.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            model: None,
            file: None,
            line: 0,
            column: 0,
            snippet: String::new(),
            cause: String::new(),
            span: 0,
            stage: 0,
            notes: vec![],
            unpublished: None,
            chain: vec![],
            retryable: false,
        }
    }

    /// Why: the text at the caret, or below the message where there is no place.
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    /// The model at fault, as `namespace.name`.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// The place: file relative to the project, 1-based line and column (0 = unknown).
    pub fn at(mut self, file: impl Into<String>, line: u32, column: u32) -> Self {
        self.file = Some(file.into());
        self.line = line;
        self.column = column;
        self
    }

    /// Shows line `line` of `text` and underlines `span` characters.
    pub fn snippet_of(mut self, text: &str, span: u32) -> Self {
        if let Some(line) = text.lines().nth((self.line as usize).saturating_sub(1)) {
            self.snippet = line.to_string();
            self.span = span;
        }
        self
    }

    /// One more fact, or the way out.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// States what is as it was.
    pub fn unpublished(mut self, unpublished: Unpublished) -> Self {
        self.unpublished = Some(unpublished);
        self
    }

    /// The notes, and what is as it was, in the order of reading.
    pub fn all_notes(&self) -> impl Iterator<Item = String> {
        let tables = self.unpublished.map(|unpublished| unpublished.to_string());
        self.notes.iter().cloned().chain(tables)
    }

    /// Records an error's chain for `-v`.
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.chain
            .extend(crate::error_chain(error).map(ToString::to_string));
        self
    }

    /// Whether trying again can help.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }
}

/// The message and its place on one line; the client draws the long form.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(file) = &self.file {
            write!(f, " at {file}")?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
            }
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        if !self.cause.is_empty() {
            write!(f, ": {}", self.cause)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
