//! What a run changed, in the words of its last lines.

use retail_api::events::PublishedTable;

use crate::format;

/// Most tables named in the summary.
const NAMED: usize = 3;

/// `  what changed: fact_order_items +1,204,331 rows, 21 new tables, 3 with as many rows as before`
pub(crate) fn what_changed(tables: &[PublishedTable], width: usize) -> Vec<String> {
    let tables: Vec<&PublishedTable> = tables
        .iter()
        .filter(|table| table.materialized != "view")
        .collect();
    let (new, old): (Vec<&PublishedTable>, Vec<_>) = tables
        .into_iter()
        .partition(|table| table.rows_before.is_none());
    let signed = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    let delta =
        |table: &PublishedTable| signed(table.rows) - signed(table.rows_before.unwrap_or(0));
    let mut changed: Vec<_> = old.iter().filter(|table| delta(table) != 0).collect();
    changed.sort_by_key(|table| {
        (
            std::cmp::Reverse(delta(table).unsigned_abs()),
            table.table.clone(),
        )
    });
    let short = |table: &PublishedTable| {
        table
            .table
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_string()
    };
    let mut parts: Vec<String> = changed
        .iter()
        .take(NAMED)
        .map(|table| format!("{} {} rows", short(table), format::change(delta(table))))
        .collect();
    if changed.len() > NAMED {
        parts.push(format!("{} more", changed.len() - NAMED));
    }
    if !new.is_empty() {
        let rows: u64 = new.iter().map(|table| table.rows).sum();
        parts.push(format!(
            "{} with {}",
            format::plural(new.len() as u64, "new table"),
            format::plural(rows, "row")
        ));
    }
    let same = old.len() - changed.len();
    if same > 0 {
        parts.push(format!(
            "{} with as many rows as before",
            format::plural(same as u64, "table")
        ));
    }
    if parts.is_empty() {
        return vec![];
    }
    format::wrap(
        &format!("  what changed: {}", parts.join(", ")),
        width,
        "    ",
    )
}
