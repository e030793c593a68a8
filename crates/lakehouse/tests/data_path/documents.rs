//! docs/iceberg.md names a test for each rule.

use std::path::Path;

/// Text of all Rust files below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|e| e == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The names between backticks in the last column of a line of a table.
fn tests_of(line: &str) -> Vec<&str> {
    let cells: Vec<&str> = line.trim().trim_matches('|').split('|').collect();
    let last = cells.last().filter(|_| cells.len() == 3);
    last.map_or_else(Vec::new, |cell| {
        cell.split('`').skip(1).step_by(2).collect()
    })
}

#[test]
fn every_rule_of_the_page_on_iceberg_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/iceberg.md")).unwrap();
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    let is_test = |name: &str| {
        [
            "#[test]\n    fn ",
            "#[tokio::test]\nasync fn ",
            "#[test]\nfn ",
        ]
        .iter()
        .any(|before| code.contains(&format!("{before}{name}()")))
    };
    let rules = page.lines().filter(|line| line.starts_with("| "));
    let rules: Vec<&str> = rules.filter(|line| !line.starts_with("| rule |")).collect();
    let mut named = 0;
    for rule in rules {
        let tests = tests_of(rule);
        assert!(
            !tests.is_empty() || rule.ends_with("| — |"),
            "no test: {rule}"
        );
        for test in tests {
            assert!(is_test(test), "there is no test {test}: {rule}");
            named += 1;
        }
    }
    assert!(
        named > 25,
        "only {named} tests are named: is the page still a table?"
    );
}
