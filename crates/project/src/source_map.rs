//! From a place in rendered SQL back to the template it came from.
//!
//! The interpreter notes for each stretch of its output where in the template it comes from, loops and conditions
//! included: the template's own text character by character, the rest by its tag.

use super::jinja::PieceOf;

/// The length in bytes of the tag that `rest` starts with, quotes respected.
pub(crate) fn tag_length(rest: &str) -> usize {
    let close = match &rest[..2] {
        "{{" => "}}",
        "{%" => "%}",
        _ => return rest.find("#}").map_or(rest.len(), |end| end + 2),
    };
    let mut quote = None;
    let mut skip = false;
    for (i, c) in rest.char_indices().skip(2) {
        if skip {
            skip = false;
            continue;
        }
        match quote {
            Some(_) if c == '\\' => skip = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if rest[i..].starts_with(close) => return i + 2,
            None => {}
        }
    }
    rest.len()
}

/// Where each stretch of rendered SQL comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceMap {
    /// In the order of the rendered text; empty for a text that is no template's.
    breaks: Vec<Break>,
}

#[derive(Debug, Clone, Copy)]
struct Break {
    rendered: usize,
    offset: usize,
    literal: bool,
}

/// A place in a template: 1-based line and column, and how many characters to underline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub line: u32,
    pub column: u32,
    pub span: u32,
}

impl SourceMap {
    /// From what the interpreter noted.
    pub(crate) fn new(pieces: &[PieceOf]) -> Self {
        let breaks = pieces.iter().map(|piece| Break {
            rendered: piece.at,
            offset: piece.from,
            literal: piece.is_literal,
        });
        Self {
            breaks: breaks.collect(),
        }
    }

    /// The template's place for a 1-based place in the rendered SQL. `token` is the text that stands there.
    pub(crate) fn locate(
        &self,
        template: &str,
        rendered: &str,
        line: u32,
        column: u32,
        token: &str,
    ) -> Spot {
        let span = token.chars().count().max(1) as u32;
        let Some(at) = offset_of(rendered, line, column) else {
            return by_text(template, rendered, line, token, span);
        };
        let next = self.breaks.partition_point(|b| b.rendered <= at);
        let Some(found) = next.checked_sub(1).and_then(|i| self.breaks.get(i)) else {
            return by_text(template, rendered, line, token, span);
        };
        if found.literal {
            // Blanks at the end of a stretch may be gone from the template's line; never run past its end.
            let offset = floor_char(
                template,
                (found.offset + at - found.rendered).min(template.len()),
            );
            return spot(template, offset, span);
        }
        let rest = &template[found.offset..];
        let length = tag_length(rest);
        if !token.is_empty()
            && let Some(inside) = rest[..length].find(token)
        {
            return spot(template, found.offset + inside, span);
        }
        let on_line = rest[..length].lines().next().unwrap_or_default();
        spot(
            template,
            found.offset,
            on_line.chars().count().max(1) as u32,
        )
    }
}

fn offset_of(text: &str, line: u32, column: u32) -> Option<usize> {
    let mut start = 0;
    for (n, content) in text.split_inclusive('\n').enumerate() {
        if n + 1 == line as usize {
            let inside = content
                .char_indices()
                .nth((column as usize).saturating_sub(1))
                .map_or(content.len(), |(i, _)| i);
            return Some(start + inside);
        }
        start += content.len();
    }
    None
}

/// The 1-based line and column of a byte offset.
pub(crate) fn spot(text: &str, offset: usize, span: u32) -> Spot {
    let before = &text[..floor_char(text, offset.min(text.len()))];
    let line = before.matches('\n').count() as u32 + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count() as u32
        + 1;
    Spot { line, column, span }
}

fn floor_char(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Without a map: the line that reads the same, else the first that holds the token, else the line of that number.
fn by_text(template: &str, rendered: &str, line: u32, token: &str, span: u32) -> Spot {
    let wanted = rendered
        .lines()
        .nth((line as usize).saturating_sub(1))
        .unwrap_or_default()
        .trim();
    let same = template
        .lines()
        .position(|l| !wanted.is_empty() && l.trim() == wanted);
    let holds = || {
        template
            .lines()
            .position(|l| !token.is_empty() && l.contains(token))
    };
    let last = template.lines().count().max(1);
    let found = same
        .or_else(holds)
        .unwrap_or((line as usize).clamp(1, last) - 1);
    let text = template.lines().nth(found).unwrap_or_default();
    let inside = if token.is_empty() {
        None
    } else {
        text.find(token)
    };
    let column = inside.map_or(text.len() - text.trim_start().len(), |i| {
        text[..i].chars().count()
    });
    Spot {
        line: found as u32 + 1,
        column: column as u32 + 1,
        span,
    }
}
