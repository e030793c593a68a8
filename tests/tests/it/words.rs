//! One word per concept, and it is the field's: what the names, comments, logs and documents no longer use.

use std::process::Command;

use crate::support::repository;

/// A word or phrase, and what to write instead. In lower case it is found in any case, also as a part of a name
/// (`is_told`); with a capital it is found as it stands.
const WORDS: &[(&str, &str)] = &[
    // Plain technical English.
    ("told", "reported"),
    ("tell", "report, show"),
    ("tells", "reports, shows"),
    ("says", "states, shows, returns, names"),
    ("asked", "requested, checked, queried"),
    ("passed over", "ignored"),
    ("put out", "produced"),
    ("an earlier life", "a previous process"),
    ("goes away", "becomes unavailable"),
    ("went away", "became unavailable, ended"),
    ("it is none", "it is `None`, it is not one"),
    ("fault point", "failpoint"),
    // Names of before.
    ("until_whole", "retry_lost_results"),
    ("unwhole", "lost_results"),
    ("flaw", "find_violation"),
    ("began_again", "restarted_stage"),
    ("put_out_once", "produced_once"),
    ("departures", "executor_loss"),
    ("Dependents", "Blockers"),
    ("or_refuse", "catch_panic"),
    ("PackedScanExec", "CompressedScanExec"),
    ("KeepFirstExec", "HashTopKExec"),
    ("keep-first", "partitioned top-k"),
    ("DeadRows", "DeletedRows"),
    ("living", "live_rows"),
    ("look_after", "reconcile_cluster"),
];

/// Files whose words are others' or made from files that are checked, and this list.
const NOT_CHECKED: &[&str] = &[
    "Cargo.lock",
    "helm/retail-cluster/crds/",
    "tests/chart/snapshots/",
    "tests/tests/it/words.rs",
];

#[test]
fn only_the_fields_words_are_used() {
    let mut found = Vec::new();
    let mut checked = 0;
    for path in tracked_files() {
        if NOT_CHECKED.iter().any(|left| path.starts_with(left)) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(repository::root().join(&path)) else {
            continue; // not text, or a link
        };
        checked += 1;
        let lines: Vec<&str> = match path.as_str() {
            "CHANGELOG.md" => newest_entries(&text).lines().collect(),
            _ => text.lines().collect(),
        };
        for (number, word) in words_in(&lines) {
            let (_, instead) = WORDS
                .iter()
                .find(|(known, _)| *known == word)
                .expect("it is listed");
            found.push(format!("{path}:{number}: {word} → {instead}"));
        }
    }
    assert!(checked > 200, "only {checked} files");
    assert!(
        found.is_empty(),
        "{} words of others:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn words_are_found_in_names_in_any_case_and_across_lines() {
    let found = |text: &str| words_in(&text.lines().collect::<Vec<_>>());
    assert_eq!(found("/// Told of it.\n"), [(1, "told")]);
    assert_eq!(found("fn a_test_says_so() {}"), [(1, "says")]);
    assert_eq!(
        found("x\n    // is passed\n    // over"),
        [(2, "passed over")]
    );
    assert_eq!(found("x.until_whole()"), [(1, "until_whole")]);
    assert_eq!(found("the teller's essays, livings and DeadRowsOf"), []);
}

/// The listed words of a text, each with its line, from 1.
fn words_in(lines: &[&str]) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        // A phrase may go on in the next line, behind the sign of a comment.
        let next = lines.get(at + 1).unwrap_or(&"");
        let next = next.trim_start_matches(|c: char| !c.is_alphabetic());
        let next = next.split(' ').next().unwrap_or(next);
        let text = format!("{line} {next}");
        let lower = text.to_ascii_lowercase();
        for (word, _) in WORDS {
            let is_name = word.contains(char::is_uppercase);
            let text = if is_name { &text } else { &lower };
            let holds = text.match_indices(word).any(|(start, _)| {
                let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
                start < line.len()
                    && !letter(text[..start].chars().next_back())
                    && !letter(text[start + word.len()..].chars().next())
            });
            if holds {
                found.push((at + 1, *word));
            }
        }
    }
    found
}

/// What a changelog has of the version that is not released yet.
fn newest_entries(changelog: &str) -> &str {
    let headings: Vec<usize> = changelog.match_indices("\n## ").map(|(at, _)| at).collect();
    match headings.get(1) {
        Some(second) => &changelog[..*second],
        None => changelog,
    }
}

/// Paths of the files that Git has, from the repository's root.
fn tracked_files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(repository::root())
        .output()
        .expect("git starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let paths = String::from_utf8(output.stdout).expect("our paths are UTF-8");
    let paths = paths.split('\0').filter(|path| !path.is_empty());
    paths.map(str::to_owned).collect()
}
