//! What of a macro file counts: its blocks. Nothing around them is rendered, as in dbt.

use super::super::jinja::{Error, Span};
use super::super::source_map::tag_length;

/// A block of a macro file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// `macro`, `test`, `materialization`, …
    pub(super) kind: String,
    pub(super) name: String,
    /// Byte offset of its opening tag.
    pub(super) at: usize,
}

/// Blocks that macro files may hold.
const KINDS: [&str; 6] = [
    "macro",
    "test",
    "data_test",
    "materialization",
    "snapshot",
    "docs",
];

/// The blocks of a file, and its text with blanks instead of everything that is in no macro or test: no offset moves.
///
/// # Errors
/// A block that is not closed.
pub(super) fn of(text: &str) -> Result<(Vec<Block>, String), Error> {
    let mut blocks = vec![];
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(tag) = next_tag(text, at) {
        let Some((kind, name)) = tag.block() else {
            at = tag.end;
            continue;
        };
        let end = end_of(text, &kind, &tag)?;
        if matches!(kind.as_str(), "macro" | "test" | "data_test") {
            let before = &text[kept.len()..tag.start];
            blank(&mut kept, before);
            kept.push_str(&text[tag.start..end]);
        }
        blocks.push(Block {
            kind,
            name,
            at: tag.start,
        });
        at = end;
    }
    let after = &text[kept.len()..];
    blank(&mut kept, after);
    Ok((blocks, kept))
}

/// Lines stay where they are.
fn blank(out: &mut String, text: &str) {
    out.extend(text.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
}

/// Where the block that `open` begins ends; blocks of the same kind inside it are its own.
fn end_of(text: &str, kind: &str, open: &Tag<'_>) -> Result<usize, Error> {
    let closing = format!("end{kind}");
    let mut depth = 1;
    let mut at = open.end;
    while let Some(tag) = next_tag(text, at) {
        at = tag.end;
        match tag.word() {
            "raw" => at = end_of(text, "raw", &tag)?,
            word if word == kind => depth += 1,
            word if word == closing => {
                depth -= 1;
                if depth == 0 {
                    return Ok(tag.end);
                }
            }
            _ => {}
        }
    }
    let cause = format!("a {kind} block is not closed with {{% {closing} %}}");
    Err(Error::new(
        cause,
        Span::new(open.start, open.end - open.start),
    ))
}

/// A `{% … %}`.
pub(in super::super) struct Tag<'a> {
    pub(in super::super) start: usize,
    pub(in super::super) end: usize,
    /// Without the delimiters and the signs that trim.
    pub(in super::super) inner: &'a str,
}

/// The next `{% … %}`; comments and `{{ … }}` are ignored.
pub(in super::super) fn next_tag(text: &str, from: usize) -> Option<Tag<'_>> {
    let mut at = from;
    loop {
        let start = at + text[at..].find('{')?;
        match text.as_bytes().get(start + 1) {
            Some(b'#' | b'{') => at = start + tag_length(&text[start..]),
            Some(b'%') => {
                let end = start + tag_length(&text[start..]);
                let inner = text[start + 2..end].trim_end_matches("%}");
                let inner = inner
                    .trim_start_matches(['-', '+'])
                    .trim_end_matches(['-', '+']);
                return Some(Tag {
                    start,
                    end,
                    inner: inner.trim(),
                });
            }
            _ => at = start + 1,
        }
    }
}

impl Tag<'_> {
    fn word(&self) -> &str {
        let end = self.inner.find(|c: char| !c.is_alphanumeric() && c != '_');
        &self.inner[..end.unwrap_or(self.inner.len())]
    }

    fn block(&self) -> Option<(String, String)> {
        let kind = self.word();
        let rest = self.inner[kind.len()..].trim_start();
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        KINDS
            .contains(&kind)
            .then(|| (kind.to_string(), rest[..end].to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_macros_are_kept_and_no_offset_moves() {
        let text = "usage: {{ f('x') }}\n{# {% macro no() %}{% endmacro %} #}\n{%- macro f(x) -%}\n{{ x }}{% raw %}{% endmacro %}{% endraw %}\n\
                    {%- endmacro %}\n{% set a = 1 %} {{ boom( }}\n{% materialization m, default %}x{% endmaterialization %}";
        let (blocks, kept) = of(text).unwrap();
        let names: Vec<(&str, &str)> = blocks
            .iter()
            .map(|b| (b.kind.as_str(), b.name.as_str()))
            .collect();
        assert_eq!(names, [("macro", "f"), ("materialization", "m")]);
        assert_eq!(kept.len(), text.len());
        assert_eq!(kept.lines().count(), text.lines().count());
        assert_eq!(kept.split_whitespace().next(), Some("{%-"));
        assert!(
            !kept.contains("usage") && !kept.contains("boom") && !kept.contains("materialization")
        );
        assert_eq!(kept.find("{%- macro f"), text.find("{%- macro f"));
    }
}
