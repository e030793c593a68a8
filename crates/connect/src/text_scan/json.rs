//! Reads one line of JSON without changing it: numbers stay the text they are.
//!
//! Other readers hand numbers on as 64-bit integers or floats, where 12345678901234567890 and 0.995 are already
//! something else, and take the last of two equal keys. Here a number is its digits and a key stands once.

use std::borrow::Cow;

/// A value as it stands in the line.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// Its text.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    /// In the order of the line; a key stands once.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl Json<'_> {
    /// As a message shows it: at most 80 characters.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        match out.char_indices().nth(80) {
            Some((end, _)) => format!("{}…", &out[..end]),
            None => out,
        }
    }

    fn write(&self, out: &mut String) {
        if out.len() > 400 {
            return;
        }
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(text) => out.push_str(text),
            Json::Text(text) => {
                out.push('"');
                out.push_str(text);
                out.push('"');
            }
            Json::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&format!("\"{key}\":"));
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Levels of objects and lists in each other.
const DEPTH: usize = 64;

/// Parses a line that is one value.
///
/// # Errors
/// What is wrong with it, and at which column (from 1).
pub fn parse(line: &str) -> Result<Json<'_>, String> {
    let mut parser = Parser { text: line, at: 0 };
    parser.spaces();
    let value = parser.value(0).map_err(|what| {
        let column = line[..floor(line, parser.at)].chars().count() + 1;
        format!("{what} at column {column}")
    })?;
    parser.spaces();
    if parser.at < line.len() {
        let column = line[..floor(line, parser.at)].chars().count() + 1;
        return Err(format!("more than one value, at column {column}"));
    }
    Ok(value)
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), String> {
        self.spaces();
        if self.peek() != Some(byte) {
            return Err(format!("expected {what}"));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, String> {
        if depth > DEPTH {
            return Err(format!("more than {DEPTH} levels"));
        }
        self.spaces();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err("expected a value".into()),
            None => Err("the line ends within a value".into()),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, String> {
        if !self.text[self.at..].starts_with(word) {
            return Err("expected a value".into());
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json<'a>, String> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count()
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = digits(at);
        if whole == 0 || (whole > 1 && bytes[at] == b'0') {
            return Err("expected a number without a leading zero".into());
        }
        at += whole;
        if bytes.get(at) == Some(&b'.') {
            let fraction = digits(at + 1);
            if fraction == 0 {
                return Err("expected digits behind the point".into());
            }
            at += 1 + fraction;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            let power = bytes.get(at..).map_or(0, |_| digits(at));
            if power == 0 {
                return Err("expected digits of an exponent".into());
            }
            at += power;
        }
        self.at = at;
        Ok(Json::Number(&self.text[start..at]))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut from = start;
        loop {
            match self.peek() {
                None => return Err("the line ends within a text".into()),
                Some(b'"') => {
                    let tail = &self.text[from..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(tail),
                        Some(mut text) => {
                            text.push_str(tail);
                            Cow::Owned(text)
                        }
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[from..self.at]);
                    self.at += 1;
                    let escaped = self.escape()?;
                    owned.get_or_insert_default().push(escaped);
                    from = self.at;
                }
                Some(byte) if byte < 0x20 => {
                    return Err("a control character within a text".into());
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let byte = self.peek().ok_or("the line ends within a text")?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                let code = if (0xD800..0xDC00).contains(&first) {
                    if !self.text[self.at..].starts_with("\\u") {
                        return Err("half of a surrogate pair".into());
                    }
                    self.at += 2;
                    let second = self.hex()?;
                    if !(0xDC00..0xE000).contains(&second) {
                        return Err("half of a surrogate pair".into());
                    }
                    0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                } else {
                    first
                };
                char::from_u32(code).ok_or("half of a surrogate pair")?
            }
            _ => return Err("an unknown escape".into()),
        })
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits
            .filter(|d| d.iter().all(u8::is_ascii_hexdigit))
            .and_then(|d| std::str::from_utf8(d).ok())
            .ok_or("expected four hexadecimal digits")?;
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|e| e.to_string())
    }

    fn list(&mut self, depth: usize) -> Result<Json<'a>, String> {
        self.at += 1;
        let mut items = vec![];
        self.spaces();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.spaces();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b']', ", or ]")?;
                    return Ok(Json::List(items));
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, String> {
        self.at += 1;
        let mut fields: Vec<(Cow<'a, str>, Json<'a>)> = vec![];
        self.spaces();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(fields));
        }
        loop {
            self.spaces();
            if self.peek() != Some(b'"') {
                return Err("expected a key in double quotes".into());
            }
            let key = self.string()?;
            if fields.iter().any(|(k, _)| *k == key) {
                return Err(format!("the key {key} stands twice"));
            }
            self.expect(b':', ":")?;
            let value = self.value(depth + 1)?;
            fields.push((key, value));
            self.spaces();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b'}', ", or }")?;
                    return Ok(Json::Object(fields));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_the_text_they_are() {
        let line = r#" {"a": 12345678901234567890, "b": [0.9950, -1e+400], "c": {"d": "\u00fc\ud83d\ude00\n"}, "e": null} "#;
        let Json::Object(fields) = parse(line).unwrap() else {
            panic!("no object")
        };
        assert_eq!(fields[0].1, Json::Number("12345678901234567890"));
        assert_eq!(
            fields[1].1,
            Json::List(vec![Json::Number("0.9950"), Json::Number("-1e+400")])
        );
        assert_eq!(
            fields[2].1,
            Json::Object(vec![("d".into(), Json::Text("ü😀\n".into()))])
        );
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_column() {
        for (line, what) in [
            (
                r#"{"a": 01}"#,
                "expected a number without a leading zero at column 7",
            ),
            (r#"{"a": NaN}"#, "expected a value at column 7"),
            (r#"{"a": 1} {"a": 2}"#, "more than one value, at column 10"),
            (r#"{"a": 1, "a": 2}"#, "the key a stands twice at column 13"),
            (r#"{"ü": tru}"#, "expected a value at column 7"),
            (r#"{"a": 1"#, "expected , or } at column 8"),
            (
                r#"{"a": "\ud800"}"#,
                "half of a surrogate pair at column 14",
            ),
            (r#"{a: 1}"#, "expected a key in double quotes at column 2"),
            ("", "the line ends within a value at column 1"),
        ] {
            assert_eq!(parse(line).unwrap_err(), what, "{line}");
        }
        let deep = "[".repeat(100);
        assert!(parse(&deep).unwrap_err().starts_with("more than 64 levels"));
    }
}
