//! Makes up a marketplace and writes its daily deliveries as files. The same options make the same rows. Deliveries hold what goes wrong in real ones; `parties` and `world` say what.

mod batches;
pub(crate) mod draw;
pub(crate) mod files;
pub(crate) mod parties;
pub(crate) mod rows;
mod world;

use std::path::PathBuf;

use retail_api::Failure;

use draw::Subject;
use files::{Delivery, TableWriter};
use rows::{ItemRow, OrderRow, PartyRow, ProductRow};

pub(crate) use world::World;

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

/// Writes the delivery of one day and lets it land.
pub(crate) fn write_day(
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
