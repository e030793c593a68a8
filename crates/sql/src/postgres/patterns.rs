//! Patterns of LIKE and SIMILAR TO.

use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::sql::sqlparser::ast::{Expr, Value, ValueWithSpan};

use super::ast::{literal, text};

fn escape_of(escape: &ValueWithSpan) -> Result<Option<char>> {
    let Value::SingleQuotedString(escape) = &escape.value else {
        return plan_err!("ESCAPE takes a text of one character");
    };
    let mut chars = escape.chars();
    match (chars.next(), chars.next()) {
        (c, None) => Ok(c),
        _ => plan_err!("ESCAPE takes a text of one character, not '{escape}'"),
    }
}

/// Puts the backslash, which is the escape of the engine, in place of another one.
pub(super) fn with_backslash(pattern: &mut Expr, escape: &ValueWithSpan) -> Result<()> {
    let escape = escape_of(escape)?;
    if escape == Some('\\') {
        return Ok(());
    }
    let given = literal(pattern).ok_or_else(|| {
        plan_datafusion_err!(
            "LIKE … ESCAPE takes a pattern that is written out; use a backslash as the escape, which needs no ESCAPE"
        )
    })?;
    let mut out = String::with_capacity(given.len());
    let mut chars = given.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next @ ('%' | '_' | '\\')) => out.extend(['\\', next]),
                Some(next) => out.push(next),
                None => return plan_err!("the pattern '{given}' ends with its escape"),
            },
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    *pattern = text(out);
    Ok(())
}

/// The regular expression that a pattern of SIMILAR TO is. It matches whole texts.
pub(super) fn similar_to(pattern: &Expr, escape: Option<&ValueWithSpan>) -> Result<String> {
    let escape = escape.map_or(Ok(Some('\\')), escape_of)?;
    let given = literal(pattern).ok_or_else(|| {
        plan_datafusion_err!(
            "SIMILAR TO takes a pattern that is written out; use the operator ~ with a regular expression"
        )
    })?;
    let mut out = "^(?s:".to_owned();
    let mut in_class = false;
    let mut chars = given.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) => push_plain(&mut out, next),
                None => return plan_err!("the pattern '{given}' ends with its escape"),
            },
            ']' if in_class => {
                in_class = false;
                out.push(c);
            }
            c if in_class => {
                if c == '\\' || c == '[' {
                    out.push('\\');
                }
                out.push(c);
            }
            '[' => {
                in_class = true;
                out.push(c);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '|' | ')' | '*' | '+' | '?' | '{' | '}' | ',' => out.push(c),
            c => push_plain(&mut out, c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

fn push_plain(out: &mut String, c: char) {
    if c.is_ascii_punctuation() && !matches!(c, '_' | '<' | '>') {
        out.push('\\');
    }
    out.push(c);
}
