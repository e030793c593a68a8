//! Which crate may import which, as ARCHITECTURE.md draws it. A new edge is a decision, made here.

use std::process::Command;

use serde_json::Value;

use crate::support::repository;

/// Crate, and the crates of this workspace that it may import.
const EDGES: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("telemetry", &[]),
    ("lakehouse", &["proto"]),
    ("engine", &["lakehouse", "proto"]),
    ("jobs", &["engine", "lakehouse", "proto"]),
    (
        "scheduler",
        &["jobs", "engine", "lakehouse", "telemetry", "proto"],
    ),
    ("executor", &["engine", "lakehouse", "telemetry", "proto"]),
    ("operator", &["telemetry"]),
    ("image", &["scheduler", "executor", "operator", "submit"]),
    (
        "submit",
        &[
            "jobs",
            "scheduler",
            "executor",
            "engine",
            "lakehouse",
            "telemetry",
            "proto",
        ],
    ),
];

/// Dependencies that only some crates may name, so that their types stay behind those crates' own.
const RESERVED: &[(&str, &[&str])] = &[
    ("iceberg", &["lakehouse"]),
    ("ballista-core", &["engine", "scheduler", "executor"]),
    ("ballista-scheduler", &["scheduler"]),
    ("ballista-executor", &["executor"]),
    ("sqlx", &["lakehouse", "jobs", "tests"]),
    ("clap", &["scheduler", "executor", "submit", "operator"]),
    ("kube", &["operator"]),
    ("k8s-openapi", &["operator"]),
    ("indicatif", &["submit"]),
];

#[test]
fn crates_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for (name, dependencies) in crates() {
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
            assert_eq!(name, "tests", "crate {name} is missing in the table");
            continue;
        };
        let imported = dependencies
            .iter()
            .filter_map(|dependency| dependency.strip_prefix("retail-"));
        wrong.extend(
            imported
                .filter(|i| !allowed.contains(i))
                .map(|i| format!("{name} imports {i}")),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
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
    for (name, _) in crates() {
        let own = repository::read(format!("{name}/Cargo.toml"));
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
            manifest.contains(&format!("\"{name}\"")),
            "{name} is not a member of the workspace"
        );
    }
}

/// Every crate of the workspace, by its folder, with the names of its dependencies of any kind.
fn crates() -> Vec<(String, Vec<String>)> {
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
            .map(|d| text(&d["name"]))
            .collect()
    };
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let name = text(&package["name"]);
            let folder = name
                .strip_prefix("retail-")
                .unwrap_or_else(|| panic!("package {name} is not called retail-…"));
            (folder.to_owned(), names(&package["dependencies"]))
        })
        .collect()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .expect("cargo's metadata names things by text")
        .to_owned()
}
