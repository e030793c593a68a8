//! `retail.v1.Query`: SQL over the published tables, and what tables there are.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use retail_api::table::{Column, Snapshot, Table, TableKind};
use retail_api::{SnapshotId, TableName};
use retail_engine::Cluster;
use retail_lakehouse::{LakeTable, LakeView, Lakehouse, Relation};
use retail_proto::v1;
use tonic::{Request, Response, Status};

use super::{sql, traceparent, unavailable};
use crate::admission::Gate;

/// Metadata files read at once for a list of tables.
const LOADS: usize = 8;

pub(super) struct QueryService {
    lake: Lakehouse,
    cluster: Arc<dyn Cluster>,
    gate: Gate,
}

impl QueryService {
    pub(super) fn new(lake: Lakehouse, cluster: Arc<dyn Cluster>, gate: Gate) -> Self {
        Self {
            lake,
            cluster,
            gate,
        }
    }
}

#[tonic::async_trait]
impl v1::query_server::Query for QueryService {
    type SqlStream = BoxStream<'static, Result<v1::SqlResponse, Status>>;

    async fn sql(
        &self,
        request: Request<v1::SqlRequest>,
    ) -> Result<Response<Self::SqlStream>, Status> {
        let traceparent = traceparent(&request);
        let request = request.into_inner();
        let request = sql::Request {
            text: request.sql,
            max_rows: (request.max_rows > 0).then_some(request.max_rows as usize),
            executor_timeout: (request.executor_timeout_ms > 0)
                .then(|| Duration::from_millis(request.executor_timeout_ms)),
            traceparent,
        };
        Ok(Response::new(sql::run(
            request,
            self.lake.clone(),
            Arc::clone(&self.cluster),
            self.gate.clone(),
        )))
    }

    async fn list_tables(
        &self,
        request: Request<v1::ListTablesRequest>,
    ) -> Result<Response<v1::ListTablesResponse>, Status> {
        let namespace = request.into_inner().namespace;
        let pin = self
            .lake
            .pin()
            .await
            .map_err(|e| unavailable("read the catalog", &e))?;
        let names = pin
            .names()
            .filter(|name| namespace.is_empty() || name.namespace == namespace)
            .cloned();
        let pin = &pin;
        let load = |name: TableName| async move {
            match self.lake.load(pin, &name).await {
                Ok(Some(Relation::Table(found))) => Some(table(&found)),
                Ok(Some(Relation::View(found))) => Some(view(&found)),
                Ok(None) => None,
                // One table that cannot be read must not hide the others.
                Err(error) => {
                    tracing::warn!(table = %name, error = &error as &dyn std::error::Error, "table cannot be read");
                    let metadata_location =
                        pin.metadata_location(&name).unwrap_or_default().to_owned();
                    Some(Table {
                        name: name.to_string(),
                        kind: TableKind::Unreadable,
                        metadata_location,
                        ..Default::default()
                    })
                }
            }
        };
        let names: Vec<_> = names.collect();
        let tables = futures::stream::iter(names)
            .map(load)
            .buffered(LOADS)
            .filter_map(std::future::ready)
            .map(v1::Table::from);
        Ok(Response::new(v1::ListTablesResponse {
            tables: tables.collect().await,
        }))
    }

    async fn list_snapshots(
        &self,
        request: Request<v1::ListSnapshotsRequest>,
    ) -> Result<Response<v1::ListSnapshotsResponse>, Status> {
        let text = request.into_inner().table;
        let name: TableName = text
            .parse()
            .map_err(|e| Status::invalid_argument(format!("{e}")))?;
        let pin = self
            .lake
            .pin()
            .await
            .map_err(|e| unavailable("read the catalog", &e))?;
        let found = self
            .lake
            .load(&pin, &name)
            .await
            .map_err(|e| unavailable("read the table", &e))?;
        let snapshots = match found {
            Some(Relation::Table(table)) => table.snapshots(),
            Some(Relation::View(_)) => {
                return Err(Status::failed_precondition(format!(
                    "{name} is a view; it has no snapshots"
                )));
            }
            None => {
                let known: Vec<String> = pin.names().map(ToString::to_string).collect();
                let hint =
                    retail_api::suggest::did_you_mean(&text, known.iter().map(String::as_str));
                return Err(Status::not_found(format!("no table {name}{hint}")));
            }
        };
        let snapshots = snapshots.into_iter().map(|s| Snapshot {
            id: s.id.into(),
            parent_id: s.parent_id.map(SnapshotId),
            committed_at_us: s.committed_at_ms * 1000,
            operation: s.operation,
            summary: s.summary.into_iter().collect(),
        });
        Ok(Response::new(v1::ListSnapshotsResponse {
            snapshots: snapshots.map(v1::Snapshot::from).collect(),
        }))
    }
}

fn table(table: &LakeTable) -> Table {
    let columns = table.columns().into_iter().map(|column| Column {
        name: column.name,
        r#type: column.data_type,
        required: column.required,
    });
    Table {
        name: table.name().to_string(),
        kind: TableKind::Table,
        rows: table.row_count(),
        bytes: table.bytes(),
        files: table.file_count(),
        snapshot_id: table.snapshot_id().map(SnapshotId),
        updated_at_us: Some(table.updated_at_ms() * 1000),
        location: table.location().to_owned(),
        metadata_location: table.metadata_location().to_owned(),
        partition_by: table.partition_fields(),
        columns: columns.collect(),
    }
}

fn view(view: &LakeView) -> Table {
    let column = |field: &Arc<datafusion::arrow::datatypes::Field>| Column {
        name: field.name().clone(),
        r#type: field.data_type().to_string(),
        required: !field.is_nullable(),
    };
    Table {
        name: view.name().to_string(),
        kind: TableKind::View,
        metadata_location: view.metadata_location().to_owned(),
        columns: view.schema().fields().iter().map(column).collect(),
        ..Default::default()
    }
}
