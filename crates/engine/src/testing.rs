//! What tests of plans share.

#![allow(clippy::unwrap_used, reason = "tests")]

use datafusion::arrow::util::pretty::pretty_format_batches;
use retail_storage::ObjectStores;

use retail_sql as sql;

use crate::{EngineConfig, session};

/// The rows of a query in one process with two partitions, each as the text of its cells, one behind the other.
pub async fn rows(query: &str) -> Vec<String> {
    let session = session(&EngineConfig::default(), 2, &ObjectStores::default()).unwrap();
    let plan = sql::plan(&session.state(), query).await.unwrap();
    let batches = session.execute_logical_plan(plan).await.unwrap();
    let batches = batches.collect().await.unwrap();
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let lines = text.lines().filter(|line| line.starts_with('|'));
    let cells = lines.skip(1).map(|line| line.replace(['|', ' '], ""));
    cells.collect()
}
