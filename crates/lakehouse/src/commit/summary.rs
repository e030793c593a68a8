//! A snapshot's summary: what it added and removed, and what the table holds after it.

use std::collections::HashMap;

use iceberg::spec::{ManifestContentType, ManifestFile, Snapshot, SnapshotSummaryCollector};

/// What a snapshot holds by its manifest list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Live {
    data_files: u64,
    records: u64,
}

impl Live {
    pub(super) fn of(manifests: &[ManifestFile]) -> Self {
        let data = || {
            let all = manifests.iter();
            all.filter(|manifest| manifest.content == ManifestContentType::Data)
        };
        let files = |m: &ManifestFile| {
            u64::from(m.added_files_count.unwrap_or(0))
                + u64::from(m.existing_files_count.unwrap_or(0))
        };
        let rows =
            |m: &ManifestFile| m.added_rows_count.unwrap_or(0) + m.existing_rows_count.unwrap_or(0);
        Self {
            data_files: data().map(files).sum(),
            records: data().map(rows).sum(),
        }
    }
}

/// Each total, and the keys that add to it and take from it.
const TOTALS: [(&str, &str, &str); 6] = [
    ("total-data-files", "added-data-files", "deleted-data-files"),
    (
        "total-delete-files",
        "added-delete-files",
        "removed-delete-files",
    ),
    ("total-records", "added-records", "deleted-records"),
    ("total-files-size", "added-files-size", "removed-files-size"),
    (
        "total-position-deletes",
        "added-position-deletes",
        "removed-position-deletes",
    ),
    (
        "total-equality-deletes",
        "added-equality-deletes",
        "removed-equality-deletes",
    ),
];

/// The caller's properties, the snapshot's own counts, and the table's totals after it.
///
/// Totals go on from the parent's. Where another engine left one out, files and rows are counted from the
/// manifest list; the others begin at zero.
pub(super) fn with_totals(
    mut properties: HashMap<String, String>,
    counts: SnapshotSummaryCollector,
    parent: Option<&Snapshot>,
    live_before: Live,
) -> HashMap<String, String> {
    // A computed count must not be one the caller made up.
    properties.retain(|key, _| {
        !TOTALS
            .iter()
            .any(|(t, a, d)| [t, a, d].contains(&&key.as_str()))
    });
    properties.extend(counts.build());
    let before = parent.map(|snapshot| &snapshot.summary().additional_properties);
    for (total, added, removed) in TOTALS {
        let counted = match total {
            "total-data-files" => live_before.data_files,
            "total-records" => live_before.records,
            _ => 0,
        };
        let before = before.and_then(|before| number(before, total));
        let after = before.unwrap_or(counted) + number(&properties, added).unwrap_or(0);
        let after = after.saturating_sub(number(&properties, removed).unwrap_or(0));
        properties.insert(total.to_owned(), after.to_string());
    }
    properties
}

fn number(properties: &HashMap<String, String>, key: &str) -> Option<u64> {
    properties.get(key)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(total_records: Option<&str>) -> Snapshot {
        let total = total_records.map(|n| ("total-records".to_owned(), n.to_owned()));
        Snapshot::builder()
            .with_snapshot_id(1)
            .with_sequence_number(1)
            .with_timestamp_ms(1)
            .with_manifest_list("x")
            .with_summary(iceberg::spec::Summary {
                operation: iceberg::spec::Operation::Append,
                additional_properties: total.into_iter().collect(),
            })
            .build()
    }

    const LIVE: Live = Live {
        data_files: 3,
        records: 70,
    };

    #[test]
    fn totals_go_on_from_the_parents() {
        let counts = SnapshotSummaryCollector::default();
        let after = with_totals(HashMap::new(), counts, Some(&parent(Some("50"))), LIVE);
        assert_eq!(after["total-records"], "50");
    }

    #[test]
    fn totals_another_engine_left_out_are_counted() {
        let counts = SnapshotSummaryCollector::default();
        let after = with_totals(HashMap::new(), counts, Some(&parent(None)), LIVE);
        assert_eq!(
            (&*after["total-records"], &*after["total-data-files"]),
            ("70", "3")
        );
    }

    #[test]
    fn a_caller_cannot_make_up_counts() {
        let made_up = HashMap::from([
            ("added-records".to_owned(), "1000".to_owned()),
            ("retail.publish-id".to_owned(), "p1".to_owned()),
        ]);
        let counts = SnapshotSummaryCollector::default();
        let after = with_totals(made_up, counts, None, Live::of(&[]));
        assert_eq!(
            (&*after["total-records"], &*after["retail.publish-id"]),
            ("0", "p1")
        );
    }
}
