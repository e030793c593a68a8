//! A folder of made-up deliveries and the truth about them.
//!
//! ```text
//! out/day=1/{customers,sellers,products,orders,order_items}.parquet
//! out/day=2/…                 the same again a day later: a full re-read
//! out/truth_day_1.json        what the tables must show when day 1 has landed
//! out/truth.json              … when all days have landed
//! ```

use std::fs;
use std::path::Path;

use retail_api::{Failure, FailureKind};

use crate::generate::files::{cannot, remove, write_whole};
use crate::generate::{DaySummary, GenerateOptions, World, write_day};
use crate::truth::{Truth, count};

/// How far the generator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The delivery being written; none while the truth is counted.
    pub day: Option<u32>,
    pub done: u64,
    pub total: u64,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Summary {
    pub days: Vec<DaySummary>,
    /// After all deliveries; [`Summary::truths`] has those before.
    pub truth: Truth,
    /// By landed days, from 1.
    pub truths: Vec<Truth>,
}

/// Writes the deliveries and the truth. Needs memory for one batch of rows, not for the data.
///
/// Fails if `out` cannot be written, or holds deliveries that it did not write. `truth.json` comes last.
pub fn generate(
    options: &GenerateOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, Failure> {
    let world = world(options)?;
    let out = &options.out;
    fs::create_dir_all(out).map_err(|error| cannot("create", out, &error))?;
    if options.only_day.is_none() {
        clear(out)?;
    }
    let days: Vec<u32> = match options.only_day {
        Some(day) => vec![day],
        None => (1..=world.days).collect(),
    };
    let days = days
        .into_iter()
        .map(|day| {
            write_day(&world, day, options, &mut |done, total| {
                progress(Progress {
                    day: Some(day),
                    done,
                    total,
                })
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let truths = count(&world, &mut |done, total| {
        progress(Progress {
            day: None,
            done,
            total,
        })
    });
    for truth in &truths {
        write_truth(
            &out.join(format!("truth_day_{}.json", truth.landed_days)),
            truth,
        )?;
    }
    let truth = truths.last().cloned().unwrap_or_default();
    write_truth(&out.join("truth.json"), &truth)?;
    Ok(Summary {
        days,
        truth,
        truths,
    })
}

/// Writes the delivery of one day and lets it land; no truth. For demonstrations that run between deliveries.
pub fn generate_day(
    options: &GenerateOptions,
    day: u32,
    progress: &mut dyn FnMut(Progress),
) -> Result<DaySummary, Failure> {
    let world = world(&GenerateOptions {
        only_day: Some(day),
        ..options.clone()
    })?;
    fs::create_dir_all(&options.out).map_err(|error| cannot("create", &options.out, &error))?;
    write_day(&world, day, options, &mut |done, total| {
        progress(Progress {
            day: Some(day),
            done,
            total,
        })
    })
}

fn world(options: &GenerateOptions) -> Result<World, Failure> {
    let wrong = |cause: String| {
        Err(Failure::new(FailureKind::Source, "cannot generate deliveries").cause(cause))
    };
    if options.days == 0 || options.orders == 0 {
        return wrong("there must be at least one order and one day".into());
    }
    if options.orders > 500_000_000 {
        return wrong(format!(
            "{} orders are more than ids have digits for; the most is 500,000,000",
            options.orders
        ));
    }
    if let Some(day) = options
        .only_day
        .filter(|day| !(1..=options.days).contains(day))
    {
        return wrong(format!("there is no day {day} of {}", options.days));
    }
    Ok(World::new(options.orders, options.days, options.seed))
}

/// Takes away the deliveries of a run before, so that none of them is read along with the new ones.
fn clear(out: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(out).map_err(|error| cannot("read", out, &error))?;
    let names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let is_truth = |name: &String| {
        name == "truth.json" || (name.starts_with("truth_day_") && name.ends_with(".json"))
    };
    let ours = names.iter().any(is_truth);
    let deliveries: Vec<&String> = names
        .iter()
        .filter(|name| name.starts_with("day="))
        .collect();
    if let Some(name) = deliveries.first().filter(|_| !ours) {
        return Err(Failure::new(
            FailureKind::Storage,
            format!("cannot generate deliveries in {}", out.display()),
        )
        .cause(format!(
            "{name} is there already and no truth.json: it was not generated"
        ))
        .note("give an empty folder"));
    }
    // The truth goes last: a folder without it is not ours to clear.
    deliveries
        .into_iter()
        .chain(names.iter().filter(|n| is_truth(n)))
        .try_for_each(|name| remove(&out.join(name)))
}

fn write_truth(path: &Path, truth: &Truth) -> Result<(), Failure> {
    let mut text =
        serde_json::to_string_pretty(truth).map_err(|error| cannot("write", path, &error))?;
    text.push('\n');
    write_whole(path, text.as_bytes())
}

#[cfg(test)]
mod tests;
