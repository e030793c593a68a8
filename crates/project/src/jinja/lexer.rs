//! Splits a template into text and tags, and tags into tokens, with blanks trimmed as `-` asks for.

use super::error::{Error, Span};

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Piece {
    Text {
        text: String,
        at: usize,
    },
    /// `{{ … }}` or `{% … %}`: its tokens and the whole tag's place.
    Tag {
        is_output: bool,
        tokens: Vec<Token>,
        at: Span,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tok {
    Name(String),
    Str(String),
    Int(i64),
    Float(f64),
    Op(&'static str),
    /// The end of the tag.
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) tok: Tok,
    pub(super) at: Span,
}

/// Longest first.
const OPERATORS: [&str; 28] = [
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[",
    "]", "{", "}", ",", ":", ".", "|", "!", ";", "&",
];

/// Splits a template.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let mut pieces: Vec<Piece> = vec![];
    let mut at = 0;
    let mut trim_next = false;
    while at < text.len() {
        let open = next_open(text, at);
        let (end, trim_before) = match open {
            Some(open) => (open, text[open + 2..].starts_with('-')),
            None => (text.len(), false),
        };
        push_text(&mut pieces, &text[at..end], at, trim_next, trim_before);
        let Some(open) = open else { break };
        if text[open..].starts_with("{#") {
            let Some(close) = text[open..].find("#}") else {
                return Err(Error::new(
                    "a comment {# is not closed with #}",
                    Span::new(open, 2),
                ));
            };
            at = open + close + 2;
            trim_next = text[..at - 2].ends_with('-') && close > 2;
            continue;
        }
        let is_output = text[open..].starts_with("{{");
        let (tokens, after, trim) = tag(text, open, is_output)?;
        if !is_output
            && tokens
                .first()
                .is_some_and(|t| t.tok == Tok::Name("raw".into()))
        {
            let (body, after, trims) = raw(text, open, after)?;
            push_text(&mut pieces, &text[body.clone()], body.start, trim, trims.0);
            (at, trim_next) = (after, trims.1);
            continue;
        }
        pieces.push(Piece::Tag {
            is_output,
            tokens,
            at: Span::new(open, after - open),
        });
        (at, trim_next) = (after, trim);
    }
    Ok(pieces)
}

fn next_open(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = text[at..].find('{') {
        let open = at + found;
        if matches!(text.as_bytes().get(open + 1), Some(b'{' | b'%' | b'#')) {
            return Some(open);
        }
        at = open + 1;
    }
    None
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, at: usize, trim_start: bool, trim_end: bool) {
    let (mut text, mut at) = (text, at);
    if trim_start {
        let trimmed = text.trim_start();
        at += text.len() - trimmed.len();
        text = trimmed;
    }
    if trim_end {
        text = text.trim_end();
    }
    if !text.is_empty() {
        pieces.push(Piece::Text {
            text: text.to_string(),
            at,
        });
    }
}

/// The body of a raw block whose opening tag ends at `from`, where its closing tag ends, and what that trims.
type Raw = (std::ops::Range<usize>, usize, (bool, bool));

fn raw(text: &str, open: usize, from: usize) -> Result<Raw, Error> {
    let mut at = from;
    while let Some(found) = text[at..].find("{%") {
        let start = at + found;
        let inner = text[start + 2..]
            .trim_start_matches(['-', '+'])
            .trim_start();
        if let Some(rest) = inner.strip_prefix("endraw") {
            let rest = rest.trim_start();
            let (trim, close) = match rest.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, rest.strip_prefix('+').unwrap_or(rest)),
            };
            if close.starts_with("%}") {
                let after = text.len() - close.len() + 2;
                return Ok((
                    from..start,
                    after,
                    (text[start + 2..].starts_with('-'), trim),
                ));
            }
        }
        at = start + 2;
    }
    Err(Error::new(
        "a raw block is not closed with {% endraw %}",
        Span::new(open, from - open),
    ))
}

/// The tokens of the tag at `open`, where it ends, and whether it trims what follows.
fn tag(text: &str, open: usize, is_output: bool) -> Result<(Vec<Token>, usize, bool), Error> {
    let close = if is_output { "}}" } else { "%}" };
    let mut at = open + 2;
    if text[at..].starts_with(['-', '+']) {
        at += 1;
    }
    let mut tokens: Vec<Token> = vec![];
    // `}}` inside a dictionary's braces does not end the tag.
    let mut braces = 0usize;
    loop {
        let rest = &text[at..];
        let Some(c) = rest.chars().next() else {
            return Err(Error::new(
                format!("a tag {} is not closed with {close}", &text[open..open + 2]),
                Span::new(open, 2),
            ));
        };
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let trims = rest.starts_with(['-', '+']) && rest[1..].starts_with(close);
        if braces == 0 && (trims || rest.starts_with(close)) {
            let after = at + usize::from(trims) + 2;
            tokens.push(Token {
                tok: Tok::End,
                at: Span::new(at, after - at),
            });
            return Ok((tokens, after, trims && c == '-'));
        }
        let (tok, length) = token(rest, at)?;
        match tok {
            Tok::Op("{") => braces += 1,
            Tok::Op("}") => braces = braces.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token {
            tok,
            at: Span::new(at, length),
        });
        at += length;
    }
}

fn token(rest: &str, at: usize) -> Result<(Tok, usize), Error> {
    let c = rest.chars().next().unwrap_or('\0');
    if c == '"' || c == '\'' {
        return string(rest, c, at);
    }
    if c.is_ascii_digit() {
        return number(rest, at);
    }
    if c.is_alphabetic() || c == '_' {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        return Ok((Tok::Name(rest[..end].to_string()), end));
    }
    match OPERATORS.iter().find(|op| rest.starts_with(**op)) {
        Some(op) => Ok((Tok::Op(op), op.len())),
        None => Err(Error::new(
            format!("{c:?} means nothing in Jinja"),
            Span::new(at, c.len_utf8()),
        )),
    }
}

fn string(rest: &str, quote: char, at: usize) -> Result<(Tok, usize), Error> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return Ok((Tok::Str(out), i + 1));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next().map(|(_, c)| c) {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('0') => out.push('\0'),
            Some('\n') => {}
            Some(c @ ('\\' | '\'' | '"')) => out.push(c),
            Some(c @ ('x' | 'u' | 'U')) => {
                let digits = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                match u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32) {
                    Some(c) => out.push(c),
                    None => {
                        return Err(Error::new(
                            format!("\\{c}{hex} is no character"),
                            Span::new(at, 1),
                        ));
                    }
                }
            }
            // As Python: an unknown escape stays as it is.
            Some(c) => out.extend(['\\', c]),
            None => break,
        }
    }
    Err(Error::new("a quoted text is not closed", Span::new(at, 1)))
}

fn number(rest: &str, at: usize) -> Result<(Tok, usize), Error> {
    let bytes = rest.as_bytes();
    if let (b'0', Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')) = (bytes[0], bytes.get(1)) {
        let base = match bytes[1] {
            b'x' | b'X' => 16,
            b'o' | b'O' => 8,
            _ => 2,
        };
        let end = rest[2..]
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(rest.len(), |n| n + 2);
        let digits = rest[2..end].replace('_', "");
        let wrong = |_| Error::new(format!("{} is no number", &rest[..end]), Span::new(at, end));
        return i64::from_str_radix(&digits, base)
            .map(|n| (Tok::Int(n), end))
            .map_err(wrong);
    }
    let digits = |mut i: usize| {
        while bytes
            .get(i)
            .is_some_and(|b| b.is_ascii_digit() || *b == b'_')
        {
            i += 1;
        }
        i
    };
    let mut end = digits(0);
    let mut is_float = false;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        is_float = true;
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            is_float = true;
            end = digits(end + 1 + sign);
        }
    }
    let text = rest[..end].replace('_', "");
    let wrong = || {
        Error::new(
            format!("{} is too large a number", &rest[..end]),
            Span::new(at, end),
        )
    };
    let tok = match is_float {
        true => Tok::Float(text.parse().map_err(|_| wrong())?),
        false => Tok::Int(text.parse().map_err(|_| wrong())?),
    };
    Ok((tok, end))
}
