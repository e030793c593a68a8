//! Which tests belong to a run.

use std::collections::HashSet;

use retail_api::source::SourceRef;
use retail_project::{DataTest, ModelName, Project, Subject};

/// The tests of the selected models and of the sources in `read`, in the order in which they are declared.
///
/// A file below `tests/` belongs to a run that builds one of the models it reads. `everything`: all models are
/// selected, and with them the tests of sources that no model reads and of files that read no model.
pub fn chosen<'a>(
    project: &'a Project,
    selected: &[ModelName],
    read: &HashSet<SourceRef>,
) -> Vec<&'a DataTest> {
    let selected: HashSet<&ModelName> = selected.iter().collect();
    let everything = project.models.iter().all(|m| selected.contains(&m.name));
    let belongs = |test: &&DataTest| match &test.subject {
        Subject::Model { name, .. } => selected.contains(name),
        Subject::Source { source, .. } => everything || read.contains(source),
        Subject::Singular => {
            everything
                || test.models.iter().any(|m| selected.contains(m))
                || (test.models.is_empty() && test.sources.iter().any(|s| read.contains(s)))
        }
    };
    project.tests.iter().filter(belongs).collect()
}
