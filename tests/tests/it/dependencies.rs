//! What the first build costs, held by counts: a clock would measure the machine.
//!
//! A number that must grow is a decision: say in a decision record which crate came, what for, and its CPU-seconds
//! (`cargo build --timings`).

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::support::repository;

/// Packages of others that README's first command builds, procedural macros and build scripts among them.
const PACKAGES_MAX: usize = 516;

/// Packages of it that are there in more versions than one.
const DUPLICATES_MAX: usize = 47;

/// Seconds of CPU each, and twice: the iceberg crate brings the arrow and parquet of its own version. Its metadata is
/// all that is used, so they are built without optimization (`Cargo.toml`, profile.release).
const HEAVY_AND_TWICE: &[&str] = &[
    "arrow-arith",
    "arrow-array",
    "arrow-buffer",
    "arrow-cast",
    "arrow-data",
    "arrow-ipc",
    "arrow-ord",
    "arrow-schema",
    "arrow-select",
    "arrow-string",
    "parquet",
];

/// Where one version costs more than ten seconds of CPU.
const HEAVY: &[&str] = &[
    "arrow",
    "axum",
    "ballista",
    "datafusion",
    "h2",
    "hyper",
    "iceberg",
    "k8s-openapi",
    "kube",
    "object_store",
    "opentelemetry",
    "parquet",
    "reqwest",
    "rustls",
    "sqlparser",
    "sqlx",
    "tokio",
    "tonic",
];

#[test]
fn the_first_build_has_no_more_packages_than_it_had() {
    let packages = packages();
    assert!(
        packages.len() <= PACKAGES_MAX,
        "{} packages, {PACKAGES_MAX} are allowed",
        packages.len()
    );
    let twice = versions(&packages)
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| format!("{name} {}", versions.join(" ")))
        .collect::<Vec<_>>();
    assert!(
        twice.len() <= DUPLICATES_MAX,
        "{} packages in several versions, {DUPLICATES_MAX} are allowed:\n{}",
        twice.len(),
        twice.join("\n")
    );
}

#[test]
fn only_arrow_and_parquet_of_what_is_heavy_are_built_twice() {
    let packages = packages();
    let is_heavy = |name: &str| {
        HEAVY
            .iter()
            .any(|heavy| name == *heavy || name.starts_with(&format!("{heavy}-")))
    };
    let found: Vec<_> = versions(&packages)
        .into_iter()
        .filter(|(name, versions)| versions.len() > 1 && is_heavy(name))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(found, HEAVY_AND_TWICE);
}

/// The versions of each package.
fn versions(packages: &BTreeSet<String>) -> BTreeMap<&str, Vec<&str>> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let mut words = package.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().push(version);
        }
    }
    versions
}

/// `name vX.Y.Z` of everything that the client's program, which holds the others, is built from on this machine, but
/// for crates of ours: splitting one costs nothing.
fn packages() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        .args(["--package", "retail-submit", "--edges", "normal,build"])
        .current_dir(repository::root())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    text.lines()
        .filter(|line| !line.starts_with("retail-"))
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .filter(|line| !line.trim().is_empty())
        .collect()
}
