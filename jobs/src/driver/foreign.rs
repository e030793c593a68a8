//! Rows that other engines wrote into tables which a run rebuilds: named before they go, and kept where the run is to keep them.

use retail_api::events::EventKind;
use retail_api::{Failure, FailureKind, Unpublished};
use retail_lakehouse::{ForeignChange, LakeTable, LakehouseError, Relation, Staged, StagedTable};
use retail_project::Model;

use crate::job::{Attempt, JobSpec};

/// Reports what other engines wrote into the tables that are to be rebuilt.
///
/// # Errors
/// The first table whose rows would go, where the run is to keep them.
pub(super) fn at_pin(
    attempt: &Attempt<'_>,
    published: &[(&Model, LakeTable)],
) -> Result<(), Failure> {
    for (model, table) in published {
        replace(attempt, model, &table.foreign_changes())?;
    }
    Ok(())
}

/// Warns of rows that go, and refuses where they are to be kept.
fn replace(attempt: &Attempt<'_>, model: &Model, changes: &[ForeignChange]) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    let what = described(changes);
    if attempt.spec.keep_foreign_rows {
        return Err(Failure::new(
            FailureKind::Publish,
            format!("cannot rebuild {}: another engine changed it", model.table),
        )
        .model(model.table.to_string())
        .at(model.path.clone(), 0, 0)
        .cause(format!("{what} since it was last published; a rebuild replaces all rows"))
        .unpublished(Unpublished::Everything)
        .note("to keep those rows, let the other engine write a table of its own and read it in the model")
        .note("to let them go, run again without --keep-foreign-rows"));
    }
    let text = format!("{} is rebuilt: {what}; those changes go", model.table);
    tracing::warn!(job = %attempt.spec.id, table = %model.table, snapshots = changes.len(), "changes of another engine are replaced");
    attempt.send(EventKind::Warning {
        text,
        path: model.path.clone(),
        line: 0,
    });
    Ok(())
}

/// `spark 3.5.1 appended 7 rows (snapshot 812)`, the newest first, and how many more.
fn described(changes: &[ForeignChange]) -> String {
    let one = |change: &ForeignChange| {
        let engine = match change.engine.as_str() {
            "" => "another engine",
            engine => engine,
        };
        let rows = |n: u64| {
            if n == 1 {
                "1 row".to_owned()
            } else {
                format!("{n} rows")
            }
        };
        let done = match (
            change.operation.as_str(),
            change.added_rows,
            change.deleted_rows,
        ) {
            ("append", added, _) => format!("appended {}", rows(added)),
            ("delete", _, deleted) => format!("deleted {}", rows(deleted)),
            (_, added, deleted) => format!("wrote {} and deleted {}", rows(added), rows(deleted)),
        };
        format!("{engine} {done} (snapshot {})", change.snapshot_id)
    };
    const SHOWN: usize = 2;
    let shown = changes
        .iter()
        .take(SHOWN)
        .map(one)
        .collect::<Vec<_>>()
        .join(", ");
    match changes.len() {
        n if n > SHOWN => {
            let added: u64 = changes.iter().map(|change| change.added_rows).sum();
            format!(
                "{shown} and {} more snapshots, {added} rows added in all",
                n - SHOWN
            )
        }
        _ => shown,
    }
}

/// Puts what was staged onto the tables as they are now, where only other engines changed them meanwhile. Computes
/// nothing again: a writer that appends all the time would win every race against a whole run.
///
/// False when another run published, or a table is laid out differently now: the attempt is to be begun again.
///
/// # Errors
/// A store or the catalog fails; rows would go that the run is to keep.
pub(super) async fn rebase(attempt: &Attempt<'_>, staged: &mut [Staged]) -> Result<bool, Failure> {
    let lake = &attempt.context.lake;
    let cannot = |e: LakehouseError| e.to_failure("cannot stage again");
    let pin = lake.pin().await.map_err(cannot)?;
    for one in staged.iter_mut() {
        if one.is_based_on(&pin) {
            continue;
        }
        let (Staged::Table(old), Some(model)) = (&*one, model_of(attempt.spec, one)) else {
            return Ok(false);
        };
        let now = lake.load(&pin, one.name()).await;
        let (Some(Relation::Table(now)), Some(base)) = (now.map_err(cannot)?, old.base()) else {
            return Ok(false);
        };
        let Some(changes) = now.foreign_changes_since(base) else {
            return Ok(false);
        };
        if reads_itself(model) {
            return Ok(false);
        }
        replace(attempt, model, &changes)?;
        let again: Option<StagedTable> = lake.restage(old, &now).await.map_err(cannot)?;
        match again {
            Some(again) => *one = again.into(),
            None => return Ok(false),
        }
    }
    Ok(true)
}

fn model_of<'a>(spec: &'a JobSpec, staged: &Staged) -> Option<&'a Model> {
    spec.selected_models()
        .find(|model| model.table == *staged.name())
}

/// Whether a model's rows depend on those that its table has: `{{ this }}`.
fn reads_itself(model: &Model) -> bool {
    let table = &model.table;
    let spelled = [
        format!("\"{}\".\"{}\"", table.namespace, table.name),
        format!("{}.{}", table.namespace, table.name),
    ];
    spelled.iter().any(|name| model.sql.contains(name.as_str()))
}
