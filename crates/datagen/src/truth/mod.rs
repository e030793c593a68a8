//! The numbers that the published tables must show, counted from the rows that were made up and never by SQL.

mod count;
mod orders;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use retail_api::{Failure, FailureKind};

pub(crate) use count::count;

/// The truth after the deliveries of days 1 to `landed_days` were read. Money is decimal text with two digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    pub orders: u64,
    pub days: u32,
    pub seed: u64,
    /// The deliveries that have landed: 1 to this one.
    pub landed_days: u32,
    /// Rows of tables and views. dim_date is not among them: it grows with the calendar.
    pub rows: BTreeMap<String, u64>,
    /// Source to rows in all deliveries.
    pub rows_read: BTreeMap<String, u64>,
    pub duplicates_dropped: BTreeMap<String, u64>,
    /// Source to reason to rows.
    pub quarantine: BTreeMap<String, BTreeMap<String, u64>>,
    /// Value of all items, without freight.
    pub revenue: String,
    pub freight: String,
    /// By yyyy-mm of the order.
    pub revenue_by_month: BTreeMap<String, String>,
    /// By the customer's state when ordering; `unknown` where no version held then.
    pub revenue_by_state: BTreeMap<String, String>,
    pub orders_by_status: BTreeMap<String, u64>,
    pub versions: BTreeMap<String, VersionCounts>,
    /// The ten sellers with most revenue; equal revenue goes by id.
    pub top_sellers: Vec<SellerRevenue>,
    pub orders_without_items: u64,
    pub orders_of_unknown_customers: u64,
    pub items_of_unknown_products: u64,
    pub items_of_unknown_sellers: u64,
    /// Sums over columns, to notice what counts do not.
    pub checksums: BTreeMap<String, i64>,
}

/// The versions of a dimension, without the unknown row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionCounts {
    pub total: u64,
    pub current: u64,
    /// Ids with more than one version.
    pub changed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerRevenue {
    pub seller_id: String,
    pub revenue: String,
}

impl Truth {
    /// Reads a truth that the generator wrote.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let failure = || {
            Failure::new(
                FailureKind::Source,
                format!("cannot read the truth in {}", path.display()),
            )
        };
        let bytes = std::fs::read(path).map_err(|error| {
            let cause = match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such file".to_string(),
                _ => error.to_string(),
            };
            failure()
                .cause(cause)
                .note("retail-submit generate writes truth.json beside the deliveries")
                .caused_by(&error)
        })?;
        serde_json::from_slice(&bytes).map_err(|error| {
            failure()
                .cause(format!(
                    "{error}; was it written by another version of retail-submit generate?"
                ))
                .caused_by(&error)
        })
    }
}

/// `1234` cents as `12.34`.
pub(crate) fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!(
        "{sign}{}.{:02}",
        cents.unsigned_abs() / 100,
        cents.unsigned_abs() % 100
    )
}
