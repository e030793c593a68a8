//! `compile`: what a project's templates come to, as files. Needs no cluster.

use retail_api::Failure;
use retail_project::select::select;
use retail_project::{Model, Project, load};
use serde_json::json;

use crate::cli::CompileArgs;
use crate::error::SubmitError;
use crate::format;
use crate::project::Packed;
use crate::session::App;

/// `retail-submit compile`: one file per model, below `--out` as it lies in the project.
pub(crate) fn compile(app: &App, args: &CompileArgs) -> Result<(), SubmitError> {
    let packed = Packed::read(&args.project)?;
    let wrong = |failure: Failure| SubmitError::Refused {
        failure: Box::new(failure),
        project_dir: Some(packed.dir.clone()),
    };
    let project = load(&packed.files, &packed.vars).map_err(wrong)?;
    let models = chosen(&project, &args.select).map_err(wrong)?;
    for model in &models {
        let path = args.out.join(&model.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| SubmitError::file("create", folder, error))?;
        }
        let sql = format!("{}\n", model.sql.trim());
        std::fs::write(&path, sql).map_err(|error| SubmitError::file("write", &path, error))?;
        if app.console.json {
            app.console.print_json(
                &json!({"model": model.table, "path": path, "materialized": model.materialized}),
            )?;
        }
    }
    for warning in &project.warnings {
        app.console
            .note(&format!("{} {warning}", app.console.err.yellow("warning:")));
    }
    if app.console.json {
        return Ok(());
    }
    let count = format::plural(models.len() as u64, "model");
    app.console.print(&format!(
        "compiled {count} of {} to {}",
        project.name,
        args.out.display()
    ))
}

/// The selected models; without a selector all of them, and the analyses.
fn chosen<'a>(project: &'a Project, selectors: &[String]) -> Result<Vec<&'a Model>, Failure> {
    let names = select(project, selectors, &[])?;
    let mut models: Vec<&Model> = names
        .iter()
        .filter_map(|name| project.model(name))
        .collect();
    if selectors.is_empty() {
        models.extend(&project.analyses);
    }
    Ok(models)
}
