//! The repository that the tests are about.

use std::path::{Path, PathBuf};

/// The folder with the workspace's Cargo.toml.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate lies in the workspace")
}

/// The text of one of its files.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

/// One of the workspace's programs, built by `./test` (or `cargo build --workspace --bins`) before the tests.
pub(crate) fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its executable");
    let target = here
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in target/debug/deps");
    let program = target.join(name);
    assert!(
        program.exists(),
        "{} is not built: run ./test, or cargo build --workspace --bins, before cargo test",
        program.display()
    );
    program
}
