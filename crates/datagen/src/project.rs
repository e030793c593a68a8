//! The shipped project, inside the binary: `demo` works from any folder.

use include_dir::{Dir, include_dir};
use retail_project::ProjectFile;

/// `jobs/retail/`; `build.rs` has it read anew when a file comes or goes.
static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../jobs/retail");

/// The retail project as a client would read it from its folder.
pub fn project_files() -> Vec<ProjectFile> {
    let mut files = Vec::new();
    collect(&FOLDER, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(folder: &Dir<'_>, files: &mut Vec<ProjectFile>) {
    files.extend(folder.files().map(|file| ProjectFile {
        path: file.path().to_string_lossy().replace('\\', "/"),
        content: file.contents().to_vec(),
    }));
    for inner in folder.dirs() {
        collect(inner, files);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_embedded_project_is_the_folder() {
        let folder = retail_project::read_dir(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs/retail"),
        )
        .unwrap();
        let names = |files: &[ProjectFile]| {
            files
                .iter()
                .map(|file| file.path.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&project_files()), names(&folder));
        assert!(project_files() == folder);
    }

    #[test]
    fn the_project_is_read_without_a_warning() {
        let vars = serde_json::json!({"input": "/data"});
        let project = retail_project::load(&project_files(), vars.as_object().unwrap()).unwrap();
        assert_eq!(project.warnings, vec![]);
        assert_eq!(project.analyses.len(), 6);
        let undescribed: Vec<String> = project
            .models
            .iter()
            .filter(|m| m.description.is_empty())
            .map(|m| m.table.to_string())
            .collect();
        assert_eq!(undescribed, Vec::<String>::new());
        let fact = project
            .models
            .iter()
            .find(|m| m.table.to_string() == "marts.fact_order_items")
            .unwrap();
        assert_eq!(fact.config.partition_by, ["month(order_date)"]);
        assert!(fact.sql.contains("dim_product"), "{}", fact.sql);
        assert!(
            fact.sql.contains("items.order_date < products.valid_until"),
            "{}",
            fact.sql
        );
        assert!(
            !project
                .models
                .iter()
                .any(|m| m.sql.contains("{{") || m.sql.contains("{%"))
        );
    }
}
