//! Generic tests: `{% test name(model, column_name, …) %} … {% endtest %}` of the project, and those of dbt's packages
//! that are built in.
//!
//! A test is a macro whose rows are failures. The template engine knows macros only, so a block becomes the macro
//! `test_name`, as in dbt; lines stay where they are.

use std::collections::BTreeMap;

use super::render::next_tag;

/// Generic tests of `dbt_utils` and `dbt_expectations`, written for this engine.
const BUILT_IN: &str = include_str!("builtin_tests.sql");
/// The name of their template.
pub(crate) const BUILT_IN_PATH: &str = "(built-in tests)";

/// The macro of a test, by the name YAML gives it: `dbt_utils.accepted_range`, `is_positive`.
pub(crate) fn macro_of(test: &str) -> String {
    format!("test_{}", test.replace('.', "__"))
}

/// The template of the built-in tests.
pub(crate) fn built_in() -> (String, String) {
    (BUILT_IN_PATH.to_string(), as_macros(BUILT_IN))
}

/// The built-in tests, as YAML names them.
pub(crate) fn built_in_names() -> Vec<String> {
    names(BUILT_IN)
        .into_iter()
        .map(|name| name.replacen("__", ".", 1))
        .collect()
}

/// The words that open a test.
const OPEN: [&str; 2] = ["test", "data_test"];

/// The text with its test blocks as macros.
pub(crate) fn as_macros(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(tag) = next_tag(text, at) {
        let inner = tag.inner;
        let (word, rest) = match OPEN.into_iter().find_map(|open| word(inner, open)) {
            Some(name) => ("macro test_", name),
            None => match inner {
                "endtest" | "enddata_test" => ("endmacro", ""),
                _ => ("", inner),
            },
        };
        // Where the inner text stands in the tag.
        let lead = text[tag.start..tag.end].find(inner).unwrap_or(0) + tag.start;
        out.push_str(&text[at..lead]);
        out.push_str(word);
        out.push_str(rest);
        out.push_str(&text[lead + inner.len()..tag.end]);
        at = tag.end;
    }
    out.push_str(&text[at..]);
    out
}

/// The names of a text's tests: of its test blocks, and of macros whose names begin with `test_`, which are tests in dbt
/// as well. What stands in a comment counts for nothing.
pub(crate) fn names(text: &str) -> Vec<String> {
    let mut names = vec![];
    let mut at = 0;
    while let Some(tag) = next_tag(text, at) {
        at = tag.end;
        let block = OPEN.into_iter().find_map(|open| word(tag.inner, open));
        let by_macro = || word(tag.inner, "macro")?.strip_prefix("test_");
        let Some(name) = block.or_else(by_macro) else {
            continue;
        };
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
        match end {
            Some(end) if end > 0 => names.push(name[..end].to_string()),
            _ => {}
        }
    }
    names
}

/// What follows the keyword and the space behind it.
fn word<'a>(text: &'a str, keyword: &str) -> Option<&'a str> {
    text.strip_prefix(keyword)?
        .strip_prefix(char::is_whitespace)
        .map(str::trim_start)
}

/// The generic tests of a project's files: name and the file that defines it. The error is (name, first file, second).
pub(crate) fn collect(
    files: &[(String, String)],
) -> Result<BTreeMap<String, String>, (String, String, String)> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in files {
        for name in names(text) {
            if let Some(other) = found.insert(name.clone(), path.clone()) {
                return Err((name, other, path.clone()));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_block_becomes_a_macro_and_no_line_moves() {
        let text = "-- {{ x }}\n{% test is_positive(model, column_name) %}\nselect 1\n{%- endtest -%}\n{% macro a() %}{% endmacro %}";
        assert_eq!(names(text), ["is_positive"]);
        assert_eq!(
            as_macros(text),
            "-- {{ x }}\n{% macro test_is_positive(model, column_name) %}\nselect 1\n{%- endmacro -%}\n{% macro a() %}{% endmacro %}"
        );
    }

    #[test]
    fn a_data_test_and_a_macro_of_dbts_name_are_tests_and_a_comment_is_none() {
        let text = "{# {% test no(model) %}{% endtest %} #}{%- data_test a(model) -%}1{% enddata_test %}\
                    {% macro test_b(model) %}2{% endmacro %}{% macro c() %}{% endmacro %}";
        assert_eq!(names(text), ["a", "b"]);
        assert_eq!(
            as_macros(text),
            "{# {% test no(model) %}{% endtest %} #}{%- macro test_a(model) -%}1{% endmacro %}\
             {% macro test_b(model) %}2{% endmacro %}{% macro c() %}{% endmacro %}"
        );
    }

    #[test]
    fn built_in_tests_have_the_names_of_their_packages() {
        let names = built_in_names();
        assert!(names.contains(&"dbt_utils.accepted_range".to_string()));
        assert!(
            names
                .iter()
                .all(|n| n.starts_with("dbt_utils.") || n.starts_with("dbt_expectations.")),
            "{names:?}"
        );
    }
}
