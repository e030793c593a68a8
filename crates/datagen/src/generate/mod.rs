//! Makes up a marketplace: its daily deliveries as files, and the truth about them.
//!
//! ```text
//! out/day=1/{customers,sellers,products,orders,order_items}.parquet
//! out/day=2/…                 the same again a day later: a full re-read
//! out/truth_day_1.json        what the tables must show when day 1 has landed
//! out/truth.json              … when all days have landed
//! ```
//! The same options make the same rows. Deliveries hold what goes wrong in real ones; `parties` and `world` say what.

mod batches;
pub(crate) mod draw;
mod files;
pub(crate) mod parties;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use retail_api::{Failure, FailureKind};

use super::truth::{Truth, count};
use draw::Subject;
use files::{Delivery, TableWriter, cannot, remove, write_whole};
use rows::{ItemRow, OrderRow, PartyRow, ProductRow};

pub use world::World;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateOptions {
    /// Orders over all days together.
    pub orders: u64,
    /// Deliveries.
    pub days: u32,
    pub seed: u64,
    pub format: Format,
    /// Folder that gets `day=1`, `day=2`, … and `truth.json`.
    pub out: PathBuf,
    /// Writes this delivery alone; those that are there stay. The truth is written for all states.
    pub only_day: Option<u32>,
}

/// How files are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Parquet,
    Csv,
}

impl Format {
    /// What file names end with; also the project's variable `format`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }
}

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

/// One written delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaySummary {
    pub day: u32,
    pub folder: PathBuf,
    /// (source, rows, bytes)
    pub sources: Vec<(&'static str, u64, u64)>,
}

impl DaySummary {
    pub fn rows(&self) -> u64 {
        self.sources.iter().map(|(_, rows, _)| rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.sources.iter().map(|(_, _, bytes)| bytes).sum()
    }
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

fn write_day(
    world: &World,
    day: u32,
    options: &GenerateOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<DaySummary, Failure> {
    let delivery = Delivery::start(&options.out, day)?;
    let (folder, format) = (delivery.folder(), options.format);
    let mut sources = vec![];
    for (table, subject, entities) in [
        ("customers", Subject::Customer, world.customers),
        ("sellers", Subject::Seller, world.sellers),
    ] {
        let mut writer = TableWriter::<PartyRow>::create(folder, table, format)?;
        for index in 0..entities {
            world.party_rows(subject, index, day, writer.rows());
            writer.flush_full()?;
        }
        let (rows, bytes) = writer.finish()?;
        sources.push((table, rows, bytes));
    }
    let mut writer = TableWriter::<ProductRow>::create(folder, "products", format)?;
    for index in 0..world.products {
        world.product_rows(index, day, writer.rows());
        writer.flush_full()?;
    }
    let (rows, bytes) = writer.finish()?;
    sources.push(("products", rows, bytes));

    let mut orders = TableWriter::<OrderRow>::create(folder, "orders", format)?;
    let mut items = TableWriter::<ItemRow>::create(folder, "order_items", format)?;
    let known = world.known_orders(day);
    for index in 0..known {
        let plan = world.order(index);
        plan.order_rows(day, orders.rows());
        orders.flush_full()?;
        for number in 0..plan.items() {
            plan.item_rows(number, day, items.rows());
        }
        items.flush_full()?;
        if index.is_multiple_of(16_384) {
            progress(index, known);
        }
    }
    for (table, (rows, bytes)) in [
        ("orders", orders.finish()?),
        ("order_items", items.finish()?),
    ] {
        sources.push((table, rows, bytes));
    }
    progress(known, known);
    let folder = options.out.join(format!("day={day}"));
    delivery.land()?;
    Ok(DaySummary {
        day,
        folder,
        sources,
    })
}
