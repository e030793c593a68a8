//! Errors of SQL at their place in its text: one cause, one caret, one suggestion.

use datafusion::common::{Column, Diagnostic, SchemaError, Span};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use retail_api::suggest::{did_you_mean, nearest};
use retail_api::{Failure, FailureKind};

mod syntax;
mod words;

/// A query that somebody typed could not be parsed or planned. Its file is called `query`.
pub fn sql_failure(sql: &str, error: &DataFusionError) -> Failure {
    let found = SqlDiagnostic::of(sql, error);
    let mut failure =
        Failure::new(FailureKind::Project, "cannot plan the query").cause(found.cause);
    if let Some(place) = found.place {
        let span = place.token.chars().count().max(1) as u32;
        failure = failure
            .at("query", place.line, place.column)
            .snippet_of(sql, span);
    }
    failure.notes.extend(found.note);
    failure.chain = found.chain;
    failure
}

/// The cause of an error of a running query in plain words, and the way out where there is one.
pub fn run_words(message: &str) -> (String, Option<String>) {
    let text = bare(message);
    match words::reworded(text) {
        Some(words) => (words.cause, words.way_out),
        None => (words::plain(text), None),
    }
}

/// A statement's failure while it ran, at the place of its SQL that it comes from, as far as the SQL shows it.
pub fn at_suspects(failure: Failure, sql: &str, message: &str) -> Failure {
    let places = suspects(sql, message);
    let spots = places
        .iter()
        .map(|place| (place.line, place.column, place.token.chars().count() as u32));
    at_places(failure, "query", sql, &spots.collect::<Vec<_>>())
}

/// A failure at the places (line, column, length in characters) of a text that it may come from: with a caret where there is
/// one, as a note where there are several.
pub fn at_places(failure: Failure, file: &str, text: &str, spots: &[(u32, u32, u32)]) -> Failure {
    /// More places than these say nothing.
    const MOST: usize = 6;
    match spots {
        [(line, column, span)] => failure.at(file, *line, *column).snippet_of(text, *span),
        [_, _, ..] if spots.len() <= MOST => {
            let places: Vec<_> = spots
                .iter()
                .map(|(line, column, _)| format!("{line}:{column}"))
                .collect();
            failure.note(format!("it comes from one of {file}:{}", places.join(", ")))
        }
        _ => failure,
    }
}

/// Where in a SQL text an error of a row may come from.
pub fn suspects(sql: &str, message: &str) -> Vec<SqlPlace> {
    let tokens = tokens(sql);
    let at = |wanted: &dyn Fn(&Token) -> bool| -> Vec<SqlPlace> {
        let found = tokens.iter().filter(|t| wanted(&t.token));
        found
            .map(|t| SqlPlace {
                line: t.span.start.line as u32,
                column: t.span.start.column as u32,
                token: t.token.to_string(),
            })
            .collect()
    };
    let is_word = |token: &Token, words: &[&str]| matches!(token, Token::Word(w) if words.iter().any(|word| w.value.eq_ignore_ascii_case(word)));
    if message.contains("division by zero") {
        return at(&|t| matches!(t, Token::Div | Token::Mod) || is_word(t, &["mod"]));
    }
    if let Some(value) = message
        .split("cannot cast '")
        .nth(1)
        .and_then(|rest| rest.split("' to ").next())
    {
        let literals = at(&|t| matches!(t, Token::SingleQuotedString(text) if text == value));
        if !literals.is_empty() {
            return literals;
        }
        return at(&|t| matches!(t, Token::DoubleColon) || is_word(t, &["cast"]));
    }
    if message.contains("number out of range") {
        return at(&|t| {
            matches!(t, Token::Plus | Token::Minus | Token::Mul) || is_word(t, &["sum", "abs"])
        });
    }
    if message.contains("stands for one value gives") {
        return tokens
            .windows(2)
            .filter(|w| w[0].token == Token::LParen && is_word(&w[1].token, &["select"]))
            .map(|w| SqlPlace {
                line: w[1].span.start.line as u32,
                column: w[1].span.start.column as u32,
                token: w[1].token.to_string(),
            })
            .collect();
    }
    vec![]
}

/// A place in the SQL that was planned, 1-based, and the text there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlPlace {
    pub line: u32,
    pub column: u32,
    pub token: String,
}

/// An error of SQL that does not parse or plan, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlDiagnostic {
    /// One line, lower case.
    pub cause: String,
    /// Where in the SQL it is, if that is known.
    pub place: Option<SqlPlace>,
    /// The way out, if there is one.
    pub note: Option<String>,
    pub is_unknown_table: bool,
    /// The engine's own texts, outermost first.
    pub chain: Vec<String>,
}

impl SqlDiagnostic {
    /// What is wrong with `sql`, by the engine's error.
    pub fn of(sql: &str, error: &DataFusionError) -> Self {
        let (diagnostic, root) = unwrap(error);
        let span = diagnostic.and_then(|d| d.span);
        let mut found = Self {
            cause: String::new(),
            place: span.and_then(|s| spanned(sql, s)),
            note: None,
            is_unknown_table: false,
            chain: chain(error),
        };
        match root {
            DataFusionError::SQL(parser, _) => {
                (found.cause, found.place) = syntax::diagnose(sql, &parser.to_string());
            }
            DataFusionError::SchemaError(schema, _) => found.schema(sql, schema),
            DataFusionError::External(cause) => found.cause = cause.to_string(),
            other => found.message(sql, &other.strip_backtrace(), diagnostic),
        }
        found
    }

    fn schema(&mut self, sql: &str, error: &SchemaError) {
        match error {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } => {
                self.place = self.place.take().or_else(|| find_column(sql, field));
                self.cause = no_column(sql, field, valid_fields);
            }
            SchemaError::AmbiguousReference { field } => {
                self.place = self.place.take().or_else(|| find_column(sql, field));
                self.cause = format!(
                    "column {} is in more than one of the tables; write table.{}",
                    field.name, field.name
                );
            }
            SchemaError::DuplicateQualifiedField { name, .. }
            | SchemaError::DuplicateUnqualifiedField { name } => {
                self.place = self.place.take().or_else(|| find_word(sql, name));
                self.cause =
                    format!("column {name} is there twice; give one of them another name with AS");
            }
        }
    }

    fn message(&mut self, sql: &str, text: &str, diagnostic: Option<&Diagnostic>) {
        let text = bare(text);
        if let Some(table) = text
            .strip_prefix("table '")
            .and_then(|t| t.strip_suffix("' not found"))
        {
            return self.unknown_table(sql, table);
        }
        if let Some(rest) = text.strip_prefix("Invalid function '") {
            let (name, rest) = rest.split_once('\'').unwrap_or((rest, ""));
            let near = rest
                .split('\'')
                .nth(1)
                .filter(|near| nearest(name, [*near]).is_some());
            let hint = words::instead(name)
                .map(|instead| format!("; {instead}"))
                .or_else(|| near.map(|n| format!("; did you mean {n}?")));
            self.cause = format!("there is no function {name}{}", hint.unwrap_or_default());
            self.place = self.place.take().or_else(|| find_word(sql, name));
            return;
        }
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        if let Some(words) = words::reworded(text) {
            self.cause = words.cause;
            self.note = words.way_out;
        } else {
            self.cause = words::plain(&sentence(undumped(first).trim_end_matches('.')));
            let help = diagnostic
                .and_then(|d| d.helps.first())
                .map(|h| h.message.trim().to_string());
            let note = help.filter(|h| !h.is_empty()).or_else(|| {
                let rest = rest.trim();
                (!rest.is_empty() && rest.lines().count() == 1).then(|| sentence(rest))
            });
            self.note = note.map(|note| words::plain(&note));
        }
        if self.place.is_none()
            && let Some((clause, _)) = self.cause.split_once(" takes a condition")
        {
            self.place = find_word(sql, clause);
        }
        // Without a span: the text in quotes, if the SQL has it.
        if self.place.is_none() {
            self.place = first
                .split(['\'', '"', '`'])
                .skip(1)
                .step_by(2)
                .find_map(|word| find_word(sql, word.rsplit('.').next().unwrap_or(word)));
        }
        // Or the function, type or window, or the clause that is spoken of.
        if self.place.is_none() {
            let spoken_of = ["there is no type ", "there is no window "]
                .iter()
                .find_map(|lead| self.cause.strip_prefix(lead))
                .or_else(|| {
                    let (name, _) = self
                        .cause
                        .split_once(" takes ")
                        .or_else(|| self.cause.split_once(" gives "))?;
                    Some(name)
                })
                .and_then(|rest| rest.split([' ', ';']).next());
            self.place = spoken_of.and_then(|name| find_word(sql, name));
        }
        if self.place.is_none() {
            self.place = self
                .cause
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()))
                .find_map(|word| find_word(sql, word));
        }
    }

    /// The name as it was written, not `catalog.schema.name` as it was looked for.
    fn unknown_table(&mut self, sql: &str, table: &str) {
        self.is_unknown_table = true;
        let last = table
            .rsplit('.')
            .next()
            .unwrap_or(table)
            .trim_matches('"')
            .to_string();
        let short = table
            .split('.')
            .skip(table.split('.').count().saturating_sub(2))
            .collect::<Vec<_>>()
            .join(".");
        let tokens = tokens(sql);
        let qualified = tokens.windows(2).any(|w| {
            matches!(w[0].token, Token::Period)
                && matches!(&w[1].token, Token::Word(word) if word.value == last)
        });
        let shown = if qualified { short } else { last.clone() };
        let ctes = ctes(&tokens);
        self.cause = format!(
            "there is no table {shown}{}",
            did_you_mean(&last, ctes.iter().map(String::as_str))
        );
        self.place = self.place.take().or_else(|| find_word(sql, &last));
    }
}

/// `no column order_dat; did you mean order_date?`, with the table where the SQL names it.
fn no_column(sql: &str, field: &Column, valid: &[Column]) -> String {
    let name = &field.name;
    let Some(relation) = &field.relation else {
        let near = did_you_mean(name, valid.iter().map(|c| c.name.as_str()));
        return match valid.iter().find(|c| c.name.eq_ignore_ascii_case(name)) {
            Some(same) => format!(
                "no column {name}; did you mean \"{}\" (in quotes, capitals count)?",
                same.name
            ),
            None => format!("no column {name}{near}"),
        };
    };
    let of_relation: Vec<&str> = valid
        .iter()
        .filter(|c| {
            c.relation
                .as_ref()
                .is_some_and(|r| r.table() == relation.table())
        })
        .map(|c| c.name.as_str())
        .collect();
    if of_relation.is_empty() {
        let mut known: Vec<&str> = valid
            .iter()
            .filter_map(|c| c.relation.as_ref().map(|r| r.table()))
            .collect();
        known.dedup();
        let name = relation.table();
        return match did_you_mean(name, known) {
            near if near.is_empty() && is_named_elsewhere(sql, name) => format!(
                "{name} is out of reach here: a subquery reads its own tables and those of the query directly around \
                 it; write the condition there, or a join"
            ),
            near => format!("no table or alias {name} here{near}"),
        };
    }
    let table = aliased(sql, relation.table()).unwrap_or_else(|| relation.table().to_string());
    format!(
        "{table} has no column {name}{}",
        did_you_mean(name, of_relation)
    )
}

/// Whether some FROM of the SQL names a table or an alias so.
fn is_named_elsewhere(sql: &str, name: &str) -> bool {
    let tokens = tokens(sql);
    tokens.windows(2).any(|pair| {
        let leads = match &pair[0].token {
            Token::RParen => true,
            Token::Word(word) => matches!(
                word.keyword,
                Keyword::AS | Keyword::FROM | Keyword::JOIN | Keyword::NoKeyword
            ),
            _ => false,
        };
        leads && matches!(&pair[1].token, Token::Word(word) if word.value == name)
    })
}

/// The table that `alias` stands for in the SQL.
fn aliased(sql: &str, alias: &str) -> Option<String> {
    let tokens = tokens(sql);
    let word = |t: &TokenWithSpan| match &t.token {
        Token::Word(w) => Some(w.clone()),
        _ => None,
    };
    tokens.iter().enumerate().find_map(|(at, token)| {
        let is_alias = word(token).is_some_and(|w| w.value == alias)
            && tokens.get(at + 1).is_none_or(|t| t.token != Token::Period);
        let mut before = tokens.get(..at)?.iter().rev();
        let mut previous = word(before.next()?)?;
        if previous.keyword == Keyword::AS {
            previous = word(before.next()?)?;
        }
        let is_table = previous.quote_style.is_some() || previous.keyword == Keyword::NoKeyword;
        // Back over `schema.` to the word in front of the table.
        let mut lead = before.next()?;
        while lead.token == Token::Period {
            before.next()?;
            lead = before.next()?;
        }
        let opens = lead.token == Token::Comma
            || word(lead).is_some_and(|w| matches!(w.keyword, Keyword::FROM | Keyword::JOIN));
        (is_alias && is_table && opens).then_some(previous.value)
    })
}

/// Names of `WITH name AS (`.
fn ctes(tokens: &[TokenWithSpan]) -> Vec<String> {
    let mut names = vec![];
    for window in tokens.windows(3) {
        if let [a, b, c] = window
            && let (Token::Word(name), Token::Word(word), Token::LParen) =
                (&a.token, &b.token, &c.token)
            && word.keyword == Keyword::AS
            && !names.contains(&name.value)
        {
            names.push(name.value.clone());
        }
    }
    names
}

/// The innermost error, and the diagnostic nearest to it.
fn unwrap(error: &DataFusionError) -> (Option<&Diagnostic>, &DataFusionError) {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let (deeper, root) = unwrap(inner);
            (deeper.or(Some(diagnostic)), root)
        }
        DataFusionError::Context(_, inner) => unwrap(inner),
        DataFusionError::Shared(inner) => unwrap(inner),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => unwrap(first),
            None => (None, error),
        },
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            datafusion::arrow::error::ArrowError::ExternalError(e) => {
                e.downcast_ref().map_or((None, error), unwrap)
            }
            _ => (None, error),
        },
        DataFusionError::External(inner) => inner.downcast_ref().map_or((None, error), unwrap),
        _ => (None, error),
    }
}

/// DataFusion's words without the names of its errors in front.
fn bare(text: &str) -> &str {
    const LEADS: [&str; 10] = [
        "Error during planning: ",
        "type_coercion",
        "caused by",
        "Schema error: ",
        "SQL error: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "Arrow error: ",
        "External error: ",
        "Optimizer error: ",
    ];
    let mut text = text.trim();
    loop {
        let rest = LEADS.iter().find_map(|lead| text.strip_prefix(lead));
        // `Optimizer rule 'simplify_expressions' failed`, and the cause below it.
        let rest = rest.or_else(|| {
            let (rule, rest) = text
                .strip_prefix("Optimizer rule '")?
                .split_once("' failed")?;
            (!rule.contains('\n') && !rest.trim().is_empty()).then_some(rest)
        });
        match rest {
            Some(rest) => text = rest.trim_start_matches([',', ' ', '\n']),
            None => return text,
        }
    }
}

/// A text without the dump of a syntax tree at its end.
fn undumped(text: &str) -> &str {
    match text.find(" { ") {
        Some(at) if text[at..].contains(": ") => text[..at]
            .trim_end_matches(|c: char| c.is_alphanumeric())
            .trim_end(),
        _ => text,
    }
}

/// Starts like the middle of a line of ours: no capital (unless the word is one), no full stop.
fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_string(),
    }
}

fn chain(error: &DataFusionError) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for error in retail_api::error_chain(error) {
        let line = error.to_string();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    lines
}

/// The first word of a statement behind comments, with its 1-based line and column.
pub fn first_word(sql: &str) -> Option<(u32, u32, String)> {
    let first = tokens(sql).into_iter().next()?;
    let start = first.span.start;
    Some((
        start.line as u32,
        start.column as u32,
        first.token.to_string(),
    ))
}

fn tokens(sql: &str) -> Vec<TokenWithSpan> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .unwrap_or_default();
    tokens
        .into_iter()
        .filter(|t| !matches!(t.token, Token::Whitespace(_)))
        .collect()
}

fn spanned(sql: &str, span: Span) -> Option<SqlPlace> {
    let (line, column) = (span.start.line as u32, span.start.column as u32);
    if line == 0 {
        return None;
    }
    let token = match span.end.line == span.start.line && span.end.column > span.start.column {
        true => {
            let text = sql.lines().nth(line as usize - 1)?;
            let length = (span.end.column - span.start.column) as usize;
            text.chars()
                .skip(column as usize - 1)
                .take(length)
                .collect()
        }
        false => token_at(sql, line, column),
    };
    Some(SqlPlace {
        line,
        column,
        token,
    })
}

/// The word (or else the character) at a place.
fn token_at(sql: &str, line: u32, column: u32) -> String {
    let text = sql
        .lines()
        .nth((line as usize).saturating_sub(1))
        .unwrap_or_default();
    let rest = text.chars().skip((column as usize).saturating_sub(1));
    let word: String = rest
        .clone()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    if word.is_empty() {
        rest.take(1).collect()
    } else {
        word
    }
}

fn find_column(sql: &str, field: &Column) -> Option<SqlPlace> {
    let tokens = tokens(sql);
    let is = |t: &TokenWithSpan, name: &str| matches!(&t.token, Token::Word(w) if w.value.eq_ignore_ascii_case(name));
    if let Some(relation) = &field.relation {
        let found = tokens.windows(3).find(|w| {
            is(&w[0], relation.table()) && w[1].token == Token::Period && is(&w[2], &field.name)
        });
        if let Some([first, _, last]) = found {
            let (start, end) = (first.span.start, last.span.end);
            let length = end.column.saturating_sub(start.column) as usize;
            let line = sql.lines().nth(start.line as usize - 1)?;
            let token = line
                .chars()
                .skip(start.column as usize - 1)
                .take(length)
                .collect();
            return Some(SqlPlace {
                line: start.line as u32,
                column: start.column as u32,
                token,
            });
        }
    }
    find_word(sql, &field.name)
}

/// The first place where the SQL has this identifier, or else this text between quotes; comments are left out.
fn find_word(sql: &str, name: &str) -> Option<SqlPlace> {
    let tokens = tokens(sql);
    let word = tokens
        .iter()
        .find(|t| matches!(&t.token, Token::Word(w) if w.value.eq_ignore_ascii_case(name)));
    let text = || {
        tokens
            .iter()
            .find(|t| matches!(&t.token, Token::SingleQuotedString(text) if text == name))
    };
    let found = word.or_else(text)?;
    if matches!(found.token, Token::SingleQuotedString(_)) {
        return Some(SqlPlace {
            line: found.span.start.line as u32,
            column: found.span.start.column as u32,
            token: found.token.to_string(),
        });
    }
    let (line, column) = (found.span.start.line as u32, found.span.start.column as u32);
    let quoted = matches!(&found.token, Token::Word(w) if w.quote_style.is_some());
    let token = if quoted {
        format!("\"{name}\"")
    } else {
        token_at(sql, line, column)
    };
    Some(SqlPlace {
        line,
        column,
        token,
    })
}
