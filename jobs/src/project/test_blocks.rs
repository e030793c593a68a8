//! Generic tests: `{% test name(model, column_name, …) %} … {% endtest %}` of the project, and those of dbt's packages
//! that are built in.
//!
//! A test is a macro whose rows are failures. The template engine knows macros only, so a block becomes the macro
//! `test_name`, as in dbt; lines stay where they are.

use std::collections::BTreeMap;

/// Generic tests of `dbt_utils` and `dbt_expectations`, written for this engine.
const BUILT_IN: &str = include_str!("builtin_tests.sql");
/// The name of their template.
pub const BUILT_IN_PATH: &str = "(built-in tests)";

/// The macro of a test, by the name YAML gives it: `dbt_utils.accepted_range`, `is_positive`.
pub fn macro_of(test: &str) -> String {
    format!("test_{}", test.replace('.', "__"))
}

/// The template of the built-in tests.
pub fn built_in() -> (String, String) {
    (BUILT_IN_PATH.to_string(), as_macros(BUILT_IN))
}

/// The built-in tests, as YAML names them.
pub fn built_in_names() -> Vec<String> {
    names(BUILT_IN)
        .into_iter()
        .map(|name| name.replacen("__", ".", 1))
        .collect()
}

/// The text with its test blocks as macros.
pub fn as_macros(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let lead = tag[2..].trim_start_matches(['-', '+']).trim_start();
        let skipped = tag.len() - lead.len();
        out.push_str(&tag[..skipped]);
        rest = lead;
        if let Some(name) = word(lead, "test") {
            out.push_str("macro test_");
            rest = name;
        } else if let Some(after) = lead.strip_prefix("endtest") {
            out.push_str("endmacro");
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The names of a text's test blocks.
pub fn names(text: &str) -> Vec<String> {
    text.match_indices("{%")
        .filter_map(|(at, _)| {
            let inner = text[at + 2..].trim_start_matches(['-', '+']).trim_start();
            let name = word(inner, "test")?;
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            (end > 0).then(|| name[..end].to_string())
        })
        .collect()
}

/// What follows the keyword and the space behind it.
fn word<'a>(text: &'a str, keyword: &str) -> Option<&'a str> {
    text.strip_prefix(keyword)?
        .strip_prefix(char::is_whitespace)
        .map(str::trim_start)
}

/// The generic tests of a project's files: name and the file that defines it. The error is (name, first file, second).
pub fn collect(
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
