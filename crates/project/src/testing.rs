//! What tests of this crate, and of those above it, make projects with and read failures by.

use serde_json::{Map, Value};

use crate::{Failure, Project, ProjectFile, load};

/// A project of these files; `dbt_project.yml` is there unless one is given.
///
/// # Errors
///
/// As [`load`] refuses it.
pub fn project(files: &[(&str, &str)], vars: Value) -> Result<Project, Failure> {
    let mut all: Vec<ProjectFile> = files
        .iter()
        .map(|(path, text)| ProjectFile {
            path: (*path).to_string(),
            content: text.as_bytes().to_vec(),
        })
        .collect();
    if !files.iter().any(|(path, _)| *path == "dbt_project.yml") {
        all.push(ProjectFile {
            path: "dbt_project.yml".into(),
            content: b"name: shop\nversion: '1'\n".to_vec(),
        });
    }
    load(&all, vars.as_object().unwrap_or(&Map::new()))
}

/// A failure as a person sees it.
pub fn shown(failure: &Failure) -> String {
    let mut out = failure.message.clone();
    if let Some(file) = &failure.file {
        let place = match (failure.line, failure.column) {
            (0, _) => file.clone(),
            (line, 0) => format!("{file}:{line}"),
            (line, column) => format!("{file}:{line}:{column}"),
        };
        out.push_str(&format!("\n-> {place}"));
    }
    if !failure.snippet.is_empty() {
        let indent = " ".repeat(failure.column.saturating_sub(1) as usize);
        out.push_str(&format!(
            "\n| {}\n| {indent}{}",
            failure.snippet,
            "^".repeat(failure.span.max(1) as usize)
        ));
    }
    if !failure.cause.is_empty() {
        out.push_str(&format!("\n{}", failure.cause));
    }
    for note in failure.all_notes() {
        out.push_str(&format!("\n= {note}"));
    }
    out
}
