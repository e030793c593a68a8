//! Damaged files are refused by name; a damage that nobody can notice takes no row away.

use datafusion::parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use datafusion::physical_plan::collect;

use crate::harness::{Harness, Written, physical};

const ROWS: &str = "SELECT value AS id, 'store ' || (value % 7) AS name, CAST(value * 13 % 1000 AS DECIMAL(12,2)) AS amount, \
                    'words ' || (value * 7919) AS words FROM generate_series(1, 600)";

async fn harness() -> (Harness, Written, String, Vec<u8>) {
    let harness = Harness::new().await;
    let written = harness.append("lake.t", ROWS).await;
    let uri = written.files[0].file_path();
    let path = uri.strip_prefix("file://").unwrap().to_owned();
    let bytes = std::fs::read(&path).unwrap();
    (harness, written, path, bytes)
}

/// The number of rows that a query gives, or its error. A panic in it is one of the test.
async fn outcome(harness: &Harness, sql: &str) -> Result<usize, String> {
    let session = harness.reading("lake.t").await;
    let plan = physical(&session, sql).await;
    let batches = collect(plan, session.task_ctx()).await;
    let count = batches.map(|all| all.iter().map(|batch| batch.num_rows()).sum());
    count.map_err(|e| e.to_string())
}

#[tokio::test]
async fn a_damaged_data_file_is_refused_by_name_and_never_loses_rows() {
    let (harness, written, path, good) = harness().await;
    let uri = written.files[0].file_path();
    let mut refused = 0;
    for sql in ["SELECT * FROM t", "SELECT words FROM t WHERE id > 0"] {
        // The first page's header, pages, and the footer.
        let places = (4..40).step_by(3).chain((40..good.len() - 8).step_by(397));
        for (at, zeroes) in places.flat_map(|at| [(at, false), (at, true)]) {
            let mut bytes = good.clone();
            if zeroes {
                let end = (at + 24).min(good.len() - 8);
                bytes[at..end].fill(0);
            } else {
                bytes[at] ^= 0x55;
            }
            std::fs::write(&path, bytes).unwrap();
            match outcome(&harness, sql).await {
                Ok(rows) if sql.contains("WHERE") || rows == 600 => {}
                Err(error) => {
                    refused += 1;
                    let named = format!("damaged data file {uri}: ");
                    assert!(error.contains(&named), "{at} {zeroes}: {error}");
                    assert!(
                        error.contains("restore it, or write the table again"),
                        "{error}"
                    );
                }
                other => panic!("{at} {zeroes}: {other:?}"),
            }
        }
    }
    assert!(refused > 40, "only {refused} were refused");
    for cut in [1, 8, 100, good.len() / 2, good.len()] {
        std::fs::write(&path, &good[..good.len() - cut]).unwrap();
        let error = outcome(&harness, "SELECT * FROM t").await.unwrap_err();
        assert!(
            error.contains(path.trim_start_matches('/')),
            "{cut}: {error}"
        );
    }
}

#[tokio::test]
async fn a_footer_at_which_the_reader_panics_is_that_of_a_damaged_file() {
    let (harness, written, path, good) = harness().await;
    let footer = ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::from(good.clone()))
        .unwrap();
    let groups = footer.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|chunk| {
            let chunk = chunk.clone().into_builder();
            chunk.set_total_compressed_size(-1).build().unwrap()
        });
        let columns = columns.collect();
        let group = group.clone().into_builder().set_column_metadata(columns);
        group.build().unwrap()
    });
    let groups = groups.collect();
    let footer = footer.clone().into_builder().set_row_groups(groups).build();
    let mut end = vec![];
    ParquetMetaDataWriter::new(&mut end, &footer)
        .finish()
        .unwrap();
    let mut bytes = good[..good.len() - end.len()].to_vec();
    bytes.extend(end);
    std::fs::write(&path, bytes).unwrap();
    let error = outcome(&harness, "SELECT * FROM t").await.unwrap_err();
    let named = format!(
        "damaged data file {}: its pages cannot be decoded; restore it, or write the table again",
        written.files[0].file_path()
    );
    assert!(error.contains(&named), "{error}");
}
