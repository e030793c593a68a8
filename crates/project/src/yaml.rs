//! YAML with places: every value knows its file, line and column.
//!
//! The parser gives values without marks, so a second, small reader of block YAML (indents, dashes, keys) notes where
//! each path stands. What it does not see (keys inside `{…}`) takes the place of the nearest thing around it.

use std::collections::HashMap;

use serde_yaml::Value;

use retail_api::{Failure, FailureKind};

/// A parsed file.
#[derive(Debug)]
pub struct Doc {
    path: String,
    text: String,
    value: Value,
    places: HashMap<String, Place>,
}

/// Where a key or an item stands, 1-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: u32,
    column: u32,
    span: u32,
}

impl Doc {
    /// Parses `text`. The failure names file, line and column of a syntax error.
    pub fn parse(path: &str, text: &str) -> Result<Self, Failure> {
        let mut value: Value =
            serde_yaml::from_str(text).map_err(|error| syntax_failure(path, text, &error))?;
        // `<<: *defaults`.
        value
            .apply_merge()
            .map_err(|error| syntax_failure(path, text, &error))?;
        Ok(Self {
            path: path.to_string(),
            text: text.to_string(),
            value,
            places: places(text),
        })
    }

    /// The whole document.
    pub fn root(&self) -> Node<'_> {
        Node {
            doc: self,
            value: &self.value,
            path: String::new(),
        }
    }
}

fn syntax_failure(path: &str, text: &str, error: &serde_yaml::Error) -> Failure {
    let full = error.to_string();
    let cause = full
        .split(" at line ")
        .next()
        .unwrap_or(&full)
        .trim_end_matches(',')
        .to_string();
    let (line, column) = error
        .location()
        .map_or((1, 1), |l| (l.line() as u32, l.column() as u32));
    let mut failure = Failure::new(FailureKind::Project, format!("cannot read {path}"))
        .at(path, line, column)
        .snippet_of(text, 1)
        .cause(cause);
    if text.lines().any(|l| l.contains(": {{")) {
        failure = failure.note("a value that starts with {{ needs quotes: \"{{ var('x') }}\"");
    }
    failure
}

/// Keys and values as `--vars` takes them. The error is the reason.
pub fn vars_of_yaml(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(map)) => Ok(map),
        Ok(_) => Err("it is not keys and values".to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A value in a document.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    doc: &'a Doc,
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    /// The value under `key`, if this is a mapping that has it and it is not null.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        let value = self.value.as_mapping()?.get(key)?;
        (!value.is_null()).then(|| Node {
            doc: self.doc,
            value,
            path: child(&self.path, key),
        })
    }

    /// The entries of a mapping, in the order of the file; null is an empty mapping.
    pub fn entries(&self) -> Result<Vec<(String, Node<'a>)>, Failure> {
        match self.value {
            Value::Null => Ok(vec![]),
            Value::Mapping(map) => map
                .iter()
                .map(|(key, value)| {
                    let key = scalar(key).ok_or_else(|| self.fail("a key must be text"))?;
                    let path = child(&self.path, &key);
                    Ok((
                        key,
                        Node {
                            doc: self.doc,
                            value,
                            path,
                        },
                    ))
                })
                .collect(),
            _ => Err(self.fail("expected keys and values here")),
        }
    }

    /// The items of a list; null is an empty list.
    pub fn items(&self) -> Result<Vec<Node<'a>>, Failure> {
        match self.value {
            Value::Null => Ok(vec![]),
            Value::Sequence(list) => Ok(list
                .iter()
                .enumerate()
                .map(|(i, value)| Node {
                    doc: self.doc,
                    value,
                    path: child(&self.path, &format!("#{i}")),
                })
                .collect()),
            _ => Err(self.fail("expected a list here (lines starting with -)")),
        }
    }

    /// Text, or a number or boolean as it is written.
    pub fn text(&self) -> Result<String, Failure> {
        scalar(self.value).ok_or_else(|| self.fail("expected text here"))
    }

    /// true or false.
    pub fn boolean(&self) -> Result<bool, Failure> {
        match self.value {
            Value::Bool(b) => Ok(*b),
            Value::String(s) if s.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(s) if s.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.fail("expected true or false here")),
        }
    }

    /// One text or a list of texts.
    pub fn texts(&self) -> Result<Vec<String>, Failure> {
        match self.value {
            Value::Sequence(_) => self.items()?.iter().map(Node::text).collect(),
            _ => Ok(vec![self.text()?]),
        }
    }

    /// Whether this is null, or a list, mapping or text of nothing.
    pub fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            Value::Sequence(list) => list.is_empty(),
            Value::Mapping(map) => map.is_empty(),
            _ => false,
        }
    }

    /// Whether this is a mapping.
    pub fn is_mapping(&self) -> bool {
        self.value.is_mapping()
    }

    /// Whether this is a list.
    pub fn is_list(&self) -> bool {
        self.value.is_sequence()
    }

    /// The value as JSON (what has no JSON form becomes null).
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self.value).unwrap_or_default()
    }

    /// The file this stands in.
    pub fn file(&self) -> &'a str {
        &self.doc.path
    }

    /// The 1-based line of the key or item.
    pub fn line(&self) -> u32 {
        self.place().line
    }

    /// The file and line.
    pub fn at(&self) -> retail_api::source::Place {
        retail_api::source::Place {
            file: self.file().to_string(),
            line: self.line(),
        }
    }

    /// A failure at this place.
    pub fn fail(&self, cause: impl Into<String>) -> Failure {
        let place = self.place();
        Failure::new(
            FailureKind::Project,
            format!("cannot read {}", self.doc.path),
        )
        .at(&self.doc.path, place.line, place.column)
        .snippet_of(&self.doc.text, place.span)
        .cause(cause)
    }

    fn place(&self) -> Place {
        let mut path = self.path.as_str();
        loop {
            if let Some(place) = self.doc.places.get(path) {
                return *place;
            }
            match path.rfind('\u{1}') {
                Some(cut) => path = &path[..cut],
                None => {
                    return Place {
                        line: 1,
                        column: 1,
                        span: 1,
                    };
                }
            }
        }
    }
}

fn child(path: &str, key: &str) -> String {
    format!("{path}\u{1}{key}")
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// A level of the block structure: the column where it starts and where in it we are.
struct Level {
    indent: usize,
    at: At,
}

enum At {
    Key(String),
    Item(usize),
}

/// Notes the place of every key and item of block YAML.
fn places(text: &str) -> HashMap<String, Place> {
    let mut found = HashMap::new();
    let mut levels: Vec<Level> = vec![];
    // Lines deeper than this belong to a block scalar; `open` is a quote or bracket that a value left open.
    let mut scalar_indent: Option<usize> = None;
    let mut open: Option<Open> = None;
    for (number, line) in text.lines().enumerate() {
        if let Some(state) = open.take() {
            open = state.after(line);
            continue;
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let content = line.trim();
        if let Some(limit) = scalar_indent {
            if content.is_empty() || indent > limit {
                continue;
            }
            scalar_indent = None;
        }
        if content.is_empty() || content.starts_with('#') || content == "---" {
            continue;
        }
        let mut column = indent;
        let mut rest = line[indent..].trim_end();
        loop {
            if rest == "-" || rest.starts_with("- ") {
                while levels.last().is_some_and(|l| l.indent > column) {
                    levels.pop();
                }
                match levels.last_mut() {
                    Some(Level {
                        indent,
                        at: At::Item(n),
                    }) if *indent == column => *n += 1,
                    _ => levels.push(Level {
                        indent: column,
                        at: At::Item(0),
                    }),
                }
                let inner = rest[1..].trim_start();
                column += rest.len() - inner.len();
                note(
                    &mut found,
                    &levels,
                    number,
                    line,
                    column,
                    inner.chars().count(),
                );
                if inner.is_empty() {
                    break;
                }
                rest = inner;
                continue;
            }
            let Some((key, length, value)) = key_of(rest) else {
                open = Open::of(rest);
                break;
            };
            while levels.last().is_some_and(|l| {
                l.indent > column || (l.indent == column && matches!(l.at, At::Item(_)))
            }) {
                levels.pop();
            }
            match levels.last_mut() {
                Some(Level {
                    indent,
                    at: At::Key(k),
                }) if *indent == column => *k = key,
                _ => levels.push(Level {
                    indent: column,
                    at: At::Key(key),
                }),
            }
            note(&mut found, &levels, number, line, column, length);
            if value.starts_with('|') || value.starts_with('>') {
                scalar_indent = Some(column);
            } else {
                open = Open::of(value);
            }
            break;
        }
    }
    found
}

fn note(
    found: &mut HashMap<String, Place>,
    levels: &[Level],
    number: usize,
    line: &str,
    column: usize,
    span: usize,
) {
    let path = levels
        .iter()
        .fold(String::new(), |path, level| match &level.at {
            At::Key(key) => child(&path, key),
            At::Item(n) => child(&path, &format!("#{n}")),
        });
    let column = line
        .get(..column)
        .map_or(column, |before| before.chars().count());
    let place = Place {
        line: number as u32 + 1,
        column: column as u32 + 1,
        span: span.max(1) as u32,
    };
    found.entry(path).or_insert(place);
}

/// `key: value` at the start of a line: the key, its written length and the value's text.
fn key_of(rest: &str) -> Option<(String, usize, &str)> {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let end = rest[1..].find(quote)? + 1;
        let value = rest[end + 1..].trim_start().strip_prefix(':')?;
        return Some((rest[1..end].to_string(), end + 1, value.trim()));
    }
    if rest.starts_with(['{', '[', '#', '&', '*', '!', '|', '>']) {
        return None;
    }
    let colon = rest
        .match_indices(':')
        .map(|(i, _)| i)
        .find(|i| matches!(rest[i + 1..].chars().next(), None | Some(' ')))?;
    let key = rest[..colon].trim_end();
    Some((
        key.to_string(),
        key.chars().count(),
        rest[colon + 1..].trim(),
    ))
}

/// A value that goes on over several lines: a quote, or brackets so deep.
enum Open {
    Quote(char),
    Brackets(i32),
}

impl Open {
    fn of(value: &str) -> Option<Self> {
        let first = value.chars().next()?;
        match first {
            '"' | '\'' => Self::Quote(first).after(&value[1..]),
            '{' | '[' => Self::Brackets(0).after(value),
            _ => None,
        }
    }

    fn after(self, line: &str) -> Option<Self> {
        match self {
            Self::Quote(quote) => {
                let mut chars = line.chars().peekable();
                while let Some(c) = chars.next() {
                    if c == '\\' && quote == '"' {
                        chars.next();
                    } else if c == quote {
                        if quote == '\'' && chars.peek() == Some(&'\'') {
                            chars.next();
                        } else {
                            return None;
                        }
                    }
                }
                Some(self)
            }
            Self::Brackets(depth) => {
                let depth = line.chars().fold(depth, |d, c| match c {
                    '{' | '[' => d + 1,
                    '}' | ']' => d - 1,
                    _ => d,
                });
                (depth > 0).then_some(Self::Brackets(depth))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let text = "version: 2\nmodels:\n- name: a\n  description: |\n    key: not a key\n  columns:\n    - name: x\n      \
                    data_type: BIGINT\n    - {name: y, data_type: INT}\n- name: b\n  columns:\n  - name: z\n";
        let doc = Doc::parse("models/a.yml", text).unwrap();
        let models = doc.root().get("models").unwrap().items().unwrap();
        let columns = models[0].get("columns").unwrap().items().unwrap();
        assert_eq!(models[0].get("name").unwrap().line(), 3);
        assert_eq!(columns[0].get("data_type").unwrap().line(), 8);
        assert_eq!(columns[1].get("data_type").unwrap().line(), 9);
        assert_eq!(models[1].get("name").unwrap().line(), 10);
        let z = models[1].get("columns").unwrap().items().unwrap()[0]
            .get("name")
            .unwrap();
        assert_eq!(z.line(), 12);
    }

    #[test]
    fn a_syntax_error_has_file_line_and_column() {
        let failure = Doc::parse("models/a.yml", "models:\n  - name: a\n   bad: x\n").unwrap_err();
        assert_eq!(failure.file.as_deref(), Some("models/a.yml"));
        assert_eq!(
            (failure.line, failure.message.as_str()),
            (3, "cannot read models/a.yml")
        );
        assert!(!failure.cause.contains("line"), "{}", failure.cause);
    }
}
