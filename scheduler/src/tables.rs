//! The tables as the catalog has them now, as metrics: how old, how large, in how many files.

use std::collections::BTreeSet;
use std::time::Duration;

use retail_lakehouse::{LakeTable, Lakehouse, Relation};
use retail_telemetry::metrics;
use tokio::sync::Mutex;

/// How long a scrape waits for the catalog. What is not read by then stays as it was until the next one, which
/// finds the tables that this one read in memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// One reader at a time: two scrapes at once would forget each other's tables.
static READING: Mutex<()> = Mutex::const_new(());

/// Brings the tables' gauges up to date. The catalog is the truth: other engines publish too.
pub(crate) async fn read(lake: &Lakehouse) {
    let Ok(_alone) = READING.try_lock() else {
        return;
    };
    match tokio::time::timeout(PATIENCE, read_all(lake)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the tables' metrics could not be read"),
        Err(_) => {
            tracing::warn!(?PATIENCE, "the catalog does not answer; metrics are old");
            metrics()
                .catalog_errors_total
                .with_label_values(&["pin"])
                .inc();
        }
    }
}

async fn read_all(lake: &Lakehouse) -> Result<(), retail_lakehouse::LakehouseError> {
    let m = metrics();
    let pin = lake.pin().await?;
    let mut names = BTreeSet::new();
    m.tables.set(pin.names().count() as i64);
    for name in pin.names() {
        match lake.load(&pin, name).await {
            Ok(Some(Relation::Table(table))) => {
                show(&name.to_string(), &table);
                names.insert(name.to_string());
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(table = %name, %error, "table could not be read"),
        }
    }
    let gauges = [
        &m.table_published_timestamp_seconds,
        &m.table_rows,
        &m.table_files,
        &m.table_bytes,
        &m.table_snapshots,
    ];
    for gauge in gauges {
        gauge.keep(&names);
    }
    Ok(())
}

fn show(name: &str, table: &LakeTable) {
    let m = metrics();
    if let Some(ms) = table.committed_at_ms() {
        m.table_published_timestamp_seconds
            .set(name, ms as f64 / 1000.0);
    }
    m.table_rows.set(name, table.row_count() as f64);
    m.table_files.set(name, table.file_count() as f64);
    m.table_bytes.set(name, table.bytes() as f64);
    m.table_snapshots.set(name, table.snapshot_count() as f64);
}
