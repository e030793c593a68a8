//! YAML with places: every key and item knows its line and column.

use std::fmt;

use retail_api::{Failure, FailureKind};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{NonFiniteFloatPolicy, Options, Spanned};

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Doc {
    path: String,
    text: String,
    value: Value,
}

/// What YAML can say, with the places of keys and items.
#[derive(Debug)]
enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Spanned<Value>>),
    Map(Vec<(Spanned<Value>, Spanned<Value>)>),
}

impl Doc {
    /// Parses `text`. The failure names file, line and column of a syntax error.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Failure> {
        Ok(Self {
            path: path.to_string(),
            text: text.to_string(),
            value: parse(text).map_err(|error| syntax_failure(path, text, &error))?,
        })
    }

    /// The whole document.
    pub(crate) fn root(&self) -> Node<'_> {
        Node {
            doc: self,
            value: &self.value,
            span: Span {
                line: 1,
                column: 1,
                length: 1,
            },
        }
    }

    /// The place of an item: a text by itself, else all that stands on its line.
    fn span_of_item(&self, item: &Spanned<Value>) -> Span {
        let span = Span::of(item);
        if !matches!(item.value, Value::List(_) | Value::Map(_)) {
            return span;
        }
        let line = self
            .text
            .lines()
            .nth((span.line as usize).saturating_sub(1));
        let rest = line.map_or(0, |line| line.trim_end().chars().count() as u32);
        Span {
            length: (rest + 1).saturating_sub(span.column).max(1),
            ..span
        }
    }
}

/// Scalars as in YAML 1.2: `yes` is a text, as are `007` and `1_000`.
fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

fn parse(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, options())
}

fn syntax_failure(path: &str, text: &str, error: &serde_saphyr::Error) -> Failure {
    let (line, column) = error
        .location()
        .map_or((1, 1), |l| (l.line() as u32, l.column() as u32));
    let mut failure = Failure::new(FailureKind::Project, format!("cannot read {path}"))
        .at(path, line, column)
        .snippet_of(text, 1)
        .cause(without_place(error));
    if text.lines().any(|l| l.contains(": {{")) {
        failure = failure.note("a value that starts with {{ needs quotes: \"{{ var('x') }}\"");
    }
    failure
}

fn without_place(error: &serde_saphyr::Error) -> String {
    let full = error.to_string();
    let cause = full.split(" at line ").next().unwrap_or(&full);
    cause.trim_end_matches(',').to_string()
}

/// A value of YAML as JSON (what has no JSON form becomes a text). The error is the reason.
pub(crate) fn json_of_yaml(text: &str) -> Result<serde_json::Value, String> {
    match parse(text) {
        Ok(value) => Ok(value.json()),
        Err(error) => Err(error.to_string()),
    }
}

/// Keys and values as `--vars` takes them. The error is the reason.
pub fn vars_of_yaml(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    match json_of_yaml(text)? {
        serde_json::Value::Object(map) => Ok(map),
        _ => Err("it is not keys and values".to_string()),
    }
}

/// A value in a document.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    doc: &'a Doc,
    value: &'a Value,
    span: Span,
}

/// Where a key or an item stands, 1-based, and how many characters it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    line: u32,
    column: u32,
    length: u32,
}

impl Span {
    /// Where a value stands; one that an alias or `<<` brings stands where that is.
    fn of(value: &Spanned<Value>) -> Self {
        let location = value.referenced;
        Self {
            line: (location.line() as u32).max(1),
            column: (location.column() as u32).max(1),
            length: (location.span().len() as u32).max(1),
        }
    }
}

impl<'a> Node<'a> {
    /// The value under `key`, if this is a mapping that has it and it is not null.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'a>> {
        let Value::Map(entries) = self.value else {
            return None;
        };
        let is_key = |value: &Value| matches!(value, Value::Text(text) if text == key);
        let (key, value) = entries.iter().find(|(key, _)| is_key(&key.value))?;
        (!matches!(value.value, Value::Null)).then(|| self.child(&value.value, Span::of(key)))
    }

    fn child(&self, value: &'a Value, span: Span) -> Node<'a> {
        Node {
            doc: self.doc,
            value,
            span,
        }
    }

    /// The entries of a mapping, in the order of the file; null is an empty mapping.
    pub(crate) fn entries(&self) -> Result<Vec<(String, Node<'a>)>, Failure> {
        match self.value {
            Value::Null => Ok(vec![]),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| {
                    let span = Span::of(key);
                    let key = key.value.text();
                    let key = key.ok_or_else(|| self.fail("a key must be text"))?;
                    Ok((key, self.child(&value.value, span)))
                })
                .collect(),
            _ => Err(self.fail("expected keys and values here")),
        }
    }

    /// The items of a list; null is an empty list.
    pub(crate) fn items(&self) -> Result<Vec<Node<'a>>, Failure> {
        match self.value {
            Value::Null => Ok(vec![]),
            Value::List(items) => Ok(items
                .iter()
                .map(|item| self.child(&item.value, self.doc.span_of_item(item)))
                .collect()),
            _ => Err(self.fail("expected a list here (lines starting with -)")),
        }
    }

    /// Text, or a number or boolean as it is written.
    pub(crate) fn text(&self) -> Result<String, Failure> {
        self.value
            .text()
            .ok_or_else(|| self.fail("expected text here"))
    }

    /// true or false.
    pub(crate) fn boolean(&self) -> Result<bool, Failure> {
        match self.value {
            Value::Bool(b) => Ok(*b),
            Value::Text(s) if s.eq_ignore_ascii_case("true") => Ok(true),
            Value::Text(s) if s.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.fail("expected true or false here")),
        }
    }

    /// One text or a list of texts.
    pub(crate) fn texts(&self) -> Result<Vec<String>, Failure> {
        match self.value {
            Value::List(_) => self.items()?.iter().map(Node::text).collect(),
            _ => Ok(vec![self.text()?]),
        }
    }

    /// Whether this is null, or a list, mapping or text of nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::Text(text) => text.trim().is_empty(),
            Value::List(list) => list.is_empty(),
            Value::Map(map) => map.is_empty(),
            _ => false,
        }
    }

    /// Whether this is a mapping.
    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// Whether this is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// The value as JSON (what has no JSON form becomes a text).
    pub(crate) fn json(&self) -> serde_json::Value {
        self.value.json()
    }

    /// The file this stands in.
    pub(crate) fn file(&self) -> &'a str {
        &self.doc.path
    }

    /// The 1-based line of the key or item.
    pub(crate) fn line(&self) -> u32 {
        self.span.line
    }

    /// The file and line.
    pub(crate) fn at(&self) -> retail_api::source::Location {
        retail_api::source::Location {
            file: self.file().to_string(),
            line: self.line(),
        }
    }

    /// A failure at this place.
    pub(crate) fn fail(&self, cause: impl Into<String>) -> Failure {
        let span = self.span;
        Failure::new(
            FailureKind::Project,
            format!("cannot read {}", self.doc.path),
        )
        .at(&self.doc.path, span.line, span.column)
        .snippet_of(&self.doc.text, span.length)
        .cause(cause)
    }
}

impl Value {
    /// A text, or a number or boolean as it is written.
    fn text(&self) -> Option<String> {
        match self {
            Self::Text(s) => Some(s.clone()),
            Self::Bool(b) => Some(b.to_string()),
            Self::Number(n) => Some(n.to_string()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    fn json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Number(n) => Json::Number(n.clone()),
            Self::Text(s) => Json::String(s.clone()),
            Self::List(items) => items.iter().map(|item| item.value.json()).collect(),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| {
                    let key = key.value.text();
                    (key.unwrap_or_default(), value.value.json())
                });
                Json::Object(entries.collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value);
        Ok(number.map_or_else(|| Value::Text(value.to_string()), Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = vec![];
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
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
