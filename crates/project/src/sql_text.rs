//! Rendered SQL as text: what of it has a meaning.

/// Whether SQL is nothing but blanks, comments and semicolons.
pub(super) fn is_blank(sql: &str) -> bool {
    without_end(sql).is_empty()
}

/// SQL without the blanks, comments and semicolons at its end, so that something can be put behind it.
pub(super) fn without_end(sql: &str) -> &str {
    let (mut at, mut end) = (0, 0);
    while let Some(c) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let past = |mark: &str, found: Option<usize>| found.map_or(rest.len(), |i| i + mark.len());
        let (length, counts) = match c {
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (past("*/", rest.find("*/")), false),
            ';' => (1, false),
            c if c.is_whitespace() => (c.len_utf8(), false),
            // A doubled quote ends a text and begins the next.
            '\'' | '"' => (past(" ", rest[1..].find(c).map(|i| i + 1)), true),
            c => (c.len_utf8(), true),
        };
        at += length;
        if counts {
            end = at;
        }
    }
    &sql[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_what_means_nothing() {
        for (sql, kept) in [
            ("select 1 ; -- done\n", "select 1"),
            ("select ';' -- a\n /* b; */ ;;", "select ';'"),
            (
                "select 'it''s -- no comment' ; ",
                "select 'it''s -- no comment'",
            ),
            ("select 1; select 2;", "select 1; select 2"),
            ("select 1 -- open", "select 1"),
            ("select \"a--b\" /* open", "select \"a--b\""),
            ("-- nothing\n;", ""),
            ("select 'open", "select 'open"),
        ] {
            assert_eq!(without_end(sql), kept);
        }
    }
}
