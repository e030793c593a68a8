//! Which crate may import which, as ARCHITECTURE.md shows it. A new edge is a decision, made here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::repository;

/// Crate, and the crates of this workspace that it imports; those of its tests are free.
const EDGES: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("security", &[]),
    ("telemetry", &[]),
    ("storage", &[]),
    ("api", &["proto"]),
    ("values", &[]),
    ("functions", &["values"]),
    ("operators", &["proto"]),
    ("sql", &["functions", "values"]),
    ("lakehouse", &["values", "storage", "api", "proto"]),
    ("project", &["api"]),
    ("connect", &["values", "storage", "api", "proto"]),
    (
        "engine",
        &[
            "sql",
            "functions",
            "operators",
            "connect",
            "lakehouse",
            "storage",
            "values",
            "api",
            "proto",
        ],
    ),
    ("datagen", &["project", "api"]),
    (
        "jobs",
        &[
            "engine",
            "sql",
            "project",
            "connect",
            "lakehouse",
            "storage",
            "api",
        ],
    ),
    (
        "executor",
        &[
            "engine",
            "connect",
            "storage",
            "security",
            "telemetry",
            "proto",
        ],
    ),
    (
        "scheduler",
        &[
            "jobs",
            "engine",
            "project",
            "connect",
            "lakehouse",
            "storage",
            "api",
            "security",
            "telemetry",
            "proto",
        ],
    ),
    ("operator", &["api", "telemetry"]),
    (
        "submit",
        &[
            "scheduler",
            "executor",
            "functions",
            "project",
            "datagen",
            "api",
            "security",
            "telemetry",
            "proto",
        ],
    ),
    ("image", &["scheduler", "executor", "operator", "submit"]),
];

/// Dependencies that only some crates may name, so that their types stay behind those crates' own.
const RESERVED: &[(&str, &[&str])] = &[
    ("iceberg", &["lakehouse"]),
    ("ballista-core", &["engine", "scheduler", "executor"]),
    ("ballista-scheduler", &["scheduler"]),
    ("ballista-executor", &["executor"]),
    ("sqlx", &["lakehouse", "scheduler", "tests"]),
    ("clap", &["scheduler", "executor", "submit", "operator"]),
    ("kube", &["operator"]),
    ("k8s-openapi", &["operator"]),
    ("indicatif", &["submit"]),
    ("rand", &["datagen"]),
    ("include_dir", &["datagen"]),
    // Its bounds cost seconds of the compiler where a future holds a session or a plan (docs/decisions/0025-first-build.md).
    (
        "async-trait",
        &["storage", "lakehouse", "scheduler", "executor"],
    ),
];

#[test]
fn crates_import_what_the_table_lists_and_nothing_else() {
    let mut wrong = Vec::new();
    for (name, dependencies) in crates() {
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
            assert_eq!(name, "tests", "crate {name} is missing in the table");
            continue;
        };
        let imported: BTreeSet<&str> = dependencies
            .iter()
            .filter_map(|dependency| dependency.strip_prefix("retail-"))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        wrong
            .extend((imported.difference(&allowed)).map(|other| format!("{name} imports {other}")));
        wrong.extend(
            (allowed.difference(&imported))
                .map(|other| format!("{name} does not import {other}: take the edge out")),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn architecture_shows_the_table_with_each_crate_above_what_it_imports() {
    let mut wrong = Vec::new();
    let mut floors = BTreeMap::new();
    for line in repository::read("ARCHITECTURE.md").lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [floor, name, _, imports] = cells[..] else {
            continue;
        };
        let Ok(floor) = floor.parse::<u32>() else {
            continue;
        };
        let name = name.trim_matches('`').to_owned();
        match EDGES.iter().find(|(known, _)| *known == name) {
            Some((_, [])) if imports == "–" => {}
            Some((_, edges)) if edges.join(", ") == imports => {}
            Some((_, edges)) => wrong.push(format!("{name} imports {}", edges.join(", "))),
            None => wrong.push(format!("{name} is no crate")),
        }
        floors.insert(name, floor);
    }
    for (name, edges) in EDGES {
        let Some(floor) = floors.get(*name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let not_below = |other: &&&str| floors.get(**other).is_none_or(|below| below >= floor);
        wrong.extend((edges.iter().filter(not_below)).map(|o| format!("{name} is not above {o}")));
    }
    assert_eq!(wrong, Vec::<String>::new(), "to mend in ARCHITECTURE.md");
}

#[test]
fn nothing_imports_the_tests() {
    for (name, dependencies) in crates() {
        assert!(
            !dependencies.contains(&"retail-tests".to_owned()),
            "{name} imports the tests"
        );
    }
}

#[test]
fn only_their_own_crates_name_iceberg_and_ballista() {
    let mut wrong = Vec::new();
    for (name, dependencies) in crates() {
        for (dependency, owners) in RESERVED {
            if dependencies.iter().any(|d| d == dependency) && !owners.contains(&name.as_str()) {
                wrong.push(format!("{name} names {dependency}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_version_is_stated_once_in_the_workspace() {
    let manifest = repository::read("Cargo.toml");
    for (name, folder, _) in members() {
        let own = repository::read(format!("{folder}/Cargo.toml"));
        let versions = own
            .lines()
            .filter(|line| line.contains(" = \"") && line.contains(|c: char| c.is_ascii_digit()));
        let stray: Vec<_> = versions
            .filter(|line| !line.starts_with("name") && !line.starts_with("path"))
            .collect();
        assert_eq!(
            stray,
            Vec::<&str>::new(),
            "{name}/Cargo.toml states versions of its own"
        );
        assert!(
            manifest.contains(&format!("\"{folder}\"")),
            "{name} is not a member of the workspace"
        );
    }
}

/// Every crate of the workspace with the names of what it depends on, builds and tests left aside.
fn crates() -> Vec<(String, Vec<String>)> {
    let members = members().into_iter();
    members
        .map(|(name, _, dependencies)| (name, dependencies))
        .collect()
}

/// Every crate of the workspace: its name, its folder, its normal dependencies.
fn members() -> Vec<(String, String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(repository::root())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = |list: &Value| {
        list.as_array()
            .unwrap()
            .iter()
            .filter(|d| d["kind"].is_null())
            .map(|d| text(&d["name"]))
            .collect()
    };
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let name = text(&package["name"]);
            let short = name
                .strip_prefix("retail-")
                .unwrap_or_else(|| panic!("package {name} is not called retail-…"));
            let manifest = text(&package["manifest_path"]);
            let folder = Path::new(&manifest)
                .parent()
                .and_then(|folder| {
                    folder
                        .strip_prefix(repository::root().canonicalize().unwrap())
                        .ok()
                })
                .unwrap_or_else(|| panic!("{manifest} is outside of the repository"));
            (
                short.to_owned(),
                folder.display().to_string(),
                names(&package["dependencies"]),
            )
        })
        .collect()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .expect("cargo's metadata names things by text")
        .to_owned()
}
