//! The documents speak of what is there.

use crate::support::repository;

/// Documents whose links and code references are checked.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "tests/README.md",
    "bench/README.md",
];

/// Endings of files that ARCHITECTURE.md may refer to.
const ENDINGS: &[&str] = &[
    ".rs", ".proto", ".py", ".sh", ".toml", ".sql", ".yml", ".md",
];

#[test]
fn every_path_and_item_that_architecture_names_exists() {
    let text = repository::read("ARCHITECTURE.md");
    let mut checked = 0;
    let mut missing = Vec::new();
    for code in text.lines().flat_map(code_spans) {
        let (path, item) = match code.split_once("::") {
            Some((path, item)) => (path, item.split("::").last()),
            None => (code, None),
        };
        if !ENDINGS.iter().any(|ending| path.ends_with(ending))
            || path.contains(['*', ' ', '<', '{', ':'])
        {
            continue;
        }
        let folder = path.split('/').next().unwrap_or(path);
        if item.is_none() && (!path.contains('/') || !repository::root().join(folder).exists()) {
            continue; // a name by itself, or a path below somewhere else
        }
        checked += 1;
        let Ok(source) = std::fs::read_to_string(repository::root().join(path)) else {
            missing.push(format!("{path} (no such file)"));
            continue;
        };
        let item = item.map(|item| item.trim_end_matches("()"));
        if item.is_some_and(|item| {
            !source
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == item)
        }) {
            missing.push(code.to_owned());
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(
        checked > 10,
        "only {checked} references found: is ARCHITECTURE.md still written as file::item?"
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in DOCUMENTS {
        let text = repository::read(document);
        let folder = repository::root().join(document);
        let folder = folder.parent().expect("a document lies in a folder");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or(target);
            if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                broken.push(format!("{document}: {target}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// What stands between backticks.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}
