//! Plan nodes of this crate on the wire.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::protobuf;
use iceberg::spec::{PartitionSpec, Schema};
use prost::Message;
use retail_proto::v1::{
    self as wire, FieldIdScan, FilePartition, PartitionValue, PlanNode, TableWrite, plan_node,
};

use crate::error::{LakehouseError, Result};
use crate::scan::{DeletedRows, FieldIdScanExec, FileColumns, ScanFacts, TableColumns};
use crate::write::{TableWriteExec, WriteSpec};

/// The node as it travels; none for nodes that are not this crate's.
///
/// # Errors
/// The table's schema cannot be written as JSON.
pub fn encode(node: &Arc<dyn ExecutionPlan>) -> Result<Option<PlanNode>> {
    let node = if let Some(scan) = node.downcast_ref::<FieldIdScanExec>() {
        plan_node::Node::FieldIdScan(encode_scan(&scan.facts())?)
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
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let damaged = |reason: String| LakehouseError::PlanCodec {
        doing: "decode",
        reason,
    };
    let input = || match inputs {
        [input] => Ok(input),
        _ => Err(damaged(format!(
            "it has {} inputs instead of one",
            inputs.len()
        ))),
    };
    Ok(match &node.node {
        Some(plan_node::Node::FieldIdScan(scan)) => {
            let scan = FieldIdScanExec::restore(input()?, decode_scan(scan)?);
            Some(Arc::new(scan.map_err(|e| damaged(e.to_string()))?))
        }
        Some(plan_node::Node::TableWrite(write)) => Some(Arc::new(TableWriteExec::new(
            Arc::new(decode_write(write)?),
            Arc::clone(input()?),
        ))),
        _ => None,
    })
}

fn failed(doing: &'static str) -> impl Fn(String) -> LakehouseError {
    move |reason| LakehouseError::PlanCodec { doing, reason }
}

fn encode_scan(facts: &ScanFacts) -> Result<FieldIdScan> {
    let failed = failed("encode");
    let json = |e: serde_json::Error| failed(e.to_string());
    let mapping = facts.table.mapping.as_ref();
    Ok(FieldIdScan {
        deletes: facts.deleted.iter().map(encode_deleted).collect(),
        table: facts.table.table.to_string(),
        schema_json: serde_json::to_string(facts.table.schema.as_ref()).map_err(json)?,
        name_mapping_json: mapping
            .map(serde_json::to_string)
            .transpose()
            .map_err(json)?,
        partitions: facts
            .files
            .iter()
            .map(encode_constants)
            .collect::<Result<_>>()?,
    })
}

fn decode_scan(scan: &FieldIdScan) -> Result<ScanFacts> {
    let failed = failed("decode");
    let json = |e: serde_json::Error| failed(e.to_string());
    let schema: Schema = serde_json::from_str(&scan.schema_json).map_err(json)?;
    let mapping = scan.name_mapping_json.as_deref();
    let deleted = scan.deletes.iter().map(decode_deleted);
    let files = scan.partitions.iter().map(decode_constants);
    Ok(ScanFacts {
        table: Arc::new(TableColumns {
            table: scan.table.parse()?,
            schema: schema.into(),
            mapping: mapping
                .map(serde_json::from_str)
                .transpose()
                .map_err(json)?,
        }),
        deleted: deleted.collect::<Result<_>>()?,
        files: files.collect::<Result<_>>()?,
    })
}

fn encode_constants(file: &FileColumns) -> Result<FilePartition> {
    let values = file.constants.iter().map(|(field_id, value)| {
        let value = protobuf::ScalarValue::try_from(value);
        let value = value.map_err(|e| failed("encode")(e.to_string()))?;
        Ok(PartitionValue {
            field_id: *field_id,
            scalar: value.encode_to_vec(),
        })
    });
    Ok(FilePartition {
        file: file.path.clone(),
        values: values.collect::<Result<_>>()?,
    })
}

fn decode_constants(file: &FilePartition) -> Result<FileColumns> {
    let damaged = |reason: String| failed("decode")(reason);
    let constants = file.values.iter().map(|value| {
        let scalar = protobuf::ScalarValue::decode(value.scalar.as_slice());
        let scalar = scalar.map_err(|e| damaged(e.to_string()))?;
        let scalar = ScalarValue::try_from(&scalar).map_err(|e| damaged(e.to_string()))?;
        Ok((value.field_id, scalar))
    });
    Ok(FileColumns {
        path: file.file.clone(),
        constants: constants.collect::<Result<_>>()?,
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

fn encode_deleted(deleted: &DeletedRows) -> wire::DeletedRows {
    let mut last = 0;
    let deltas = deleted.positions.iter().map(|position| {
        let delta = position - last;
        last = *position;
        delta
    });
    wire::DeletedRows {
        file: deleted.path.clone(),
        file_rows: deleted.rows,
        position_deltas: deltas.collect(),
    }
}

fn decode_deleted(deleted: &wire::DeletedRows) -> Result<DeletedRows> {
    let mut at = 0u64;
    let mut positions = Vec::with_capacity(deleted.position_deltas.len());
    for delta in &deleted.position_deltas {
        at = at.saturating_add(*delta);
        positions.push(at);
    }
    if positions
        .last()
        .is_some_and(|last| *last >= deleted.file_rows)
    {
        let reason = format!("a deleted row lies behind the end of {}", deleted.file);
        return Err(LakehouseError::PlanCodec {
            doing: "decode",
            reason,
        });
    }
    Ok(DeletedRows {
        path: deleted.file.clone(),
        rows: deleted.file_rows,
        positions,
    })
}

#[cfg(test)]
mod tests;
