//! Plan nodes of this crate on the wire.

use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use iceberg::spec::{PartitionSpec, Schema};
use retail_proto::v1::{DeletedRows, FieldIdScan, PlanNode, TableWrite, plan_node};

use crate::error::{LakehouseError, Result};
use crate::scan::{DeadRows, FieldIdScanExec};
use crate::write::{TableWriteExec, WriteSpec};

/// The node as it travels; none for nodes that are not this crate's.
///
/// # Errors
/// The table's schema cannot be written as JSON.
pub fn encode(node: &Arc<dyn ExecutionPlan>) -> Result<Option<PlanNode>> {
    let node = if let Some(scan) = node.downcast_ref::<FieldIdScanExec>() {
        plan_node::Node::FieldIdScan(FieldIdScan {
            deletes: scan.dead().iter().map(encode_dead).collect(),
        })
    } else if let Some(write) = node.downcast_ref::<TableWriteExec>() {
        plan_node::Node::TableWrite(encode_write(write.spec())?)
    } else {
        return Ok(None);
    };
    Ok(Some(PlanNode { node: Some(node) }))
}

/// The plan of a node that [`encode`] wrote, over its inputs; none for nodes that are not this crate's.
///
/// # Errors
/// The payload is damaged or comes from another version, or the inputs are not what the node stands over.
pub fn decode(
    node: &PlanNode,
    inputs: &[Arc<dyn ExecutionPlan>],
    _context: &TaskContext,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let damaged = |reason: String| LakehouseError::PlanCodec {
        doing: "decode",
        reason,
    };
    let ours = match &node.node {
        Some(plan_node::Node::FieldIdScan(_) | plan_node::Node::TableWrite(_)) => true,
        _ => return Ok(None),
    };
    let [input] = inputs else {
        return Err(damaged(format!(
            "it has {} inputs instead of one (ours: {ours})",
            inputs.len()
        )));
    };
    Ok(match &node.node {
        Some(plan_node::Node::FieldIdScan(scan)) => {
            let dead = scan
                .deletes
                .iter()
                .map(decode_dead)
                .collect::<Result<_>>()?;
            Some(Arc::new(
                FieldIdScanExec::restore(input, dead).map_err(|e| damaged(e.to_string()))?,
            ))
        }
        Some(plan_node::Node::TableWrite(write)) => Some(Arc::new(TableWriteExec::new(
            Arc::new(decode_write(write)?),
            Arc::clone(input),
        ))),
        _ => None,
    })
}

fn encode_write(spec: &WriteSpec) -> Result<TableWrite> {
    let json = |e: serde_json::Error| LakehouseError::PlanCodec {
        doing: "encode",
        reason: e.to_string(),
    };
    Ok(TableWrite {
        table: spec.table.to_string(),
        data_location: spec.data_location.clone(),
        schema_json: serde_json::to_string(spec.schema.as_ref()).map_err(json)?,
        partition_spec_json: serde_json::to_string(spec.partition.as_ref()).map_err(json)?,
        target_file_bytes: spec.target_file_bytes,
        write_id: spec.write_id.clone(),
        compression: String::new(),
    })
}

fn decode_write(write: &TableWrite) -> Result<WriteSpec> {
    let damaged = |reason: String| LakehouseError::PlanCodec {
        doing: "decode",
        reason,
    };
    let schema: Schema =
        serde_json::from_str(&write.schema_json).map_err(|e| damaged(e.to_string()))?;
    let partition: PartitionSpec =
        serde_json::from_str(&write.partition_spec_json).map_err(|e| damaged(e.to_string()))?;
    Ok(WriteSpec {
        table: write.table.parse()?,
        data_location: write.data_location.clone(),
        schema: schema.into(),
        partition: partition.into(),
        target_file_bytes: write.target_file_bytes,
        write_id: write.write_id.clone(),
    })
}

fn encode_dead(dead: &DeadRows) -> DeletedRows {
    let mut last = 0;
    let deltas = dead.positions.iter().map(|position| {
        let delta = position - last;
        last = *position;
        delta
    });
    DeletedRows {
        file: dead.path.clone(),
        file_rows: dead.rows,
        position_deltas: deltas.collect(),
    }
}

fn decode_dead(dead: &DeletedRows) -> Result<DeadRows> {
    let mut at = 0u64;
    let mut positions = Vec::with_capacity(dead.position_deltas.len());
    for delta in &dead.position_deltas {
        at = at.saturating_add(*delta);
        positions.push(at);
    }
    if positions.last().is_some_and(|last| *last >= dead.file_rows) {
        let reason = format!("a deleted row lies behind the end of {}", dead.file);
        return Err(LakehouseError::PlanCodec {
            doing: "decode",
            reason,
        });
    }
    Ok(DeadRows {
        path: dead.file.clone(),
        rows: dead.file_rows,
        positions,
    })
}
