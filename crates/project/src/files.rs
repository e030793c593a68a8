//! The files of a project, as a client reads them from a folder.

use std::path::{Path, PathBuf};

use retail_api::{Failure, FailureKind};

use retail_api::suggest::nearest;

/// One file: its path relative to the project folder, with `/` on every system, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    pub path: String,
    pub content: Vec<u8>,
}

/// Folders that hold what tools write, not what people do.
const SKIPPED: [&str; 8] = [
    "target",
    "dbt_packages",
    "logs",
    "venv",
    "env",
    "node_modules",
    "site-packages",
    "__pycache__",
];
const KEPT: [&str; 6] = ["sql", "yml", "yaml", "csv", "md", "py"];
/// These hold passwords, and mean nothing here.
const PROFILES: [&str; 2] = ["profiles.yml", "profiles.yaml"];

/// Reads the project in `folder`: its `.sql`, `.yml`, `.yaml`, `.csv` and `.md` files, in the order of their paths, and the
/// names of its `.py` files, which are refused where they would be models.
///
/// Skips `profiles.yml`, folders of tools such as `target/` and `dbt_packages/`, and hidden files. Fails if the folder cannot be read or holds no
/// `dbt_project.yml`, and names the nearest one. A link that leads out of the folder is refused.
pub fn read_dir(folder: &Path) -> Result<Vec<ProjectFile>, Failure> {
    let shown = folder.display();
    let failure = || Failure::new(FailureKind::Project, format!("cannot read project {shown}"));
    if !folder.exists() {
        let near = siblings(folder);
        let hint = folder
            .file_name()
            .and_then(|name| {
                nearest(&name.to_string_lossy(), near.iter().map(String::as_str))
                    .map(str::to_string)
            })
            .map(|name| format!("; did you mean {}?", folder.with_file_name(name).display()))
            .unwrap_or_default();
        return Err(failure().cause(format!("there is no folder {shown}{hint}")));
    }
    if !folder.is_dir() {
        return Err(failure().cause(format!(
            "{shown} is a file; give the folder that holds dbt_project.yml"
        )));
    }
    if !folder.join("dbt_project.yml").is_file() {
        let failure = failure().cause(format!("{shown} has no dbt_project.yml"));
        return Err(match nearest_project(folder) {
            Some(near) => failure.note(format!(
                "the nearest one is in {near}: use --project {near}"
            )),
            None => failure.note("a project is a folder with dbt_project.yml and models/"),
        });
    }
    let mut files = vec![];
    let walk = walkdir::WalkDir::new(folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0
                || !(name.starts_with('.')
                    || (entry.file_type().is_dir() && SKIPPED.contains(&name.as_ref())))
        });
    for entry in walk {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).display().to_string();
            failure()
                .cause(format!("cannot read {path}{}", reason(error.io_error())))
                .caused_by(&error)
        })?;
        let path = entry.path();
        let kept = path
            .extension()
            .is_some_and(|e| KEPT.iter().any(|k| e.eq_ignore_ascii_case(k)));
        let is_profiles = PROFILES.iter().any(|name| entry.file_name() == *name);
        if !entry.file_type().is_file() || !kept || is_profiles {
            continue;
        }
        if let Some(target) = outside(path, folder) {
            return Err(failure()
                .cause(format!(
                    "{} is a link to {}, outside of the project's folder",
                    path.display(),
                    target.display()
                ))
                .note("a project of others could read your files by such a link: copy what it means into the project"));
        }
        let is_python = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("py"));
        let content = if is_python {
            Ok(vec![])
        } else {
            std::fs::read(path)
        };
        let content = content.map_err(|error| {
            failure()
                .cause(format!(
                    "cannot read {}{}",
                    path.display(),
                    reason(Some(&error))
                ))
                .caused_by(&error)
        })?;
        let relative = path.strip_prefix(folder).unwrap_or(path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        files.push(ProjectFile {
            path: parts.join("/"),
            content,
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn reason(error: Option<&std::io::Error>) -> String {
    match error.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::PermissionDenied) => " (permission denied)".to_string(),
        Some(kind) => format!(" ({kind})"),
        None => String::new(),
    }
}

fn siblings(folder: &Path) -> Vec<String> {
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return vec![],
    };
    let Ok(entries) = std::fs::read_dir(parent) else {
        return vec![];
    };
    entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// A project above the folder, or at most three levels below it.
fn nearest_project(folder: &Path) -> Option<String> {
    let above = folder
        .ancestors()
        .skip(1)
        .filter(|a| !a.as_os_str().is_empty());
    if let Some(found) = above.take(4).find(|a| a.join("dbt_project.yml").is_file()) {
        return Some(found.display().to_string());
    }
    walkdir::WalkDir::new(folder)
        .max_depth(4)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|e| !e.file_name().to_string_lossy().starts_with('.') || e.depth() == 0)
        .flatten()
        .filter(|entry| entry.file_name() == "dbt_project.yml")
        .min_by_key(walkdir::DirEntry::depth)
        .and_then(|entry| entry.path().parent().map(|p| p.display().to_string()))
}
/// Where a file lies, links resolved, if that is not in `folder`. What cannot be resolved cannot be read either.
fn outside(path: &Path, folder: &Path) -> Option<PathBuf> {
    let target = path.canonicalize().ok()?;
    let folder = folder.canonicalize().ok()?;
    (!target.starts_with(folder)).then_some(target)
}
