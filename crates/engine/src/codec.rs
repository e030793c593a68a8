//! Carries our plan nodes between processes, in front of Ballista's own codecs.

use std::sync::Arc;

use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::work_table::WorkTableExec;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalPlanNode;
use prost::Message;
use retail_proto::v1::{
    Gather, OneTask, PlanNode, PlannedJoin, RecursiveQuery, Unclaimed, WorkTable, plan_node,
};

use crate::nodes::gather::GatherExec;
use crate::nodes::one_task::{self, OneTaskExec};
use crate::nodes::over;
use crate::nodes::planned_join::PlannedJoinExec;
use crate::nodes::unclaimed::{Forget, UnclaimedExec};
use retail_connect::{checked_cast, text_scan};
use retail_operators::partitioned_topk;

/// Stands before each of our nodes, so that they are never taken for Ballista's.
const MAGIC: &[u8] = b"RTL1";

/// Encodes the physical nodes of the lakehouse and the engine; everything else is Ballista's.
#[derive(Debug, Default)]
pub struct RetailPhysicalCodec {
    ballista: BallistaPhysicalExtensionCodec,
}

impl PhysicalExtensionCodec for RetailPhysicalCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(rest) = buf.strip_prefix(MAGIC) else {
            return self.ballista.try_decode(buf, inputs, ctx, converter);
        };
        let node = PlanNode::decode(rest).map_err(|e| DataFusionError::External(Box::new(e)))?;
        if let Some(plan) = retail_lakehouse::plan_codec::decode(&node, inputs).map_err(external)? {
            return Ok(plan);
        }
        match (node.node, inputs) {
            (Some(plan_node::Node::PartitionedTopk(node)), [input]) => partitioned_topk::decode(&node, Arc::clone(input)),
            (Some(plan_node::Node::Gather(_)), inputs) if !inputs.is_empty() => {
                Ok(Arc::new(GatherExec::try_new(inputs.to_vec())?))
            }
            (Some(plan_node::Node::Unclaimed(Unclaimed { of_window })), [input]) => {
                let forget = if of_window { Forget::Windows } else { Forget::All };
                Ok(Arc::new(UnclaimedExec::new(Arc::clone(input), forget)))
            }
            (Some(plan_node::Node::CheckedCast(node)), [input]) => {
                Ok(Arc::new(checked_cast::decode(&node, Arc::clone(input))?))
            }
            (Some(plan_node::Node::TextScan(node)), [scan]) => {
                Ok(Arc::new(text_scan::decode(node, Arc::clone(scan))?))
            }
            (Some(plan_node::Node::PlannedJoin(node)), inputs) => {
                let join = over(self.nested_plan(&node.join, ctx, converter)?, inputs.to_vec())?;
                Ok(Arc::new(PlannedJoinExec::new(join, node.one_task)))
            }
            (Some(plan_node::Node::OneTask(node)), []) => {
                Ok(Arc::new(OneTaskExec::new(self.nested_plan(&node.plan, ctx, converter)?)))
            }
            (Some(plan_node::Node::RecursiveQuery(node)), [fixed, recursive]) => {
                Ok(Arc::new(RecursiveQueryExec::try_new(
                    node.name,
                    schema_from(&node.schema)?,
                    Arc::clone(fixed),
                    Arc::clone(recursive),
                    node.distinct,
                )?))
            }
            (Some(plan_node::Node::WorkTable(node)), []) => {
                Ok(Arc::new(WorkTableExec::new(node.name, schema_from(&node.schema)?, None)?))
            }
            _ => Err(DataFusionError::Plan(
                "this executor does not know a plan node of the scheduler; run the same version on both".to_string(),
            )),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let engines = if let Some(node) = partitioned_topk::encode(&node) {
            Some(plan_node::Node::PartitionedTopk(node))
        } else if node.is::<GatherExec>() {
            Some(plan_node::Node::Gather(Gather {}))
        } else if let Some(node) = node.downcast_ref::<UnclaimedExec>() {
            let of_window = node.forget() == Forget::Windows;
            Some(plan_node::Node::Unclaimed(Unclaimed { of_window }))
        } else if let Some(join) = node.downcast_ref::<PlannedJoinExec>() {
            Some(plan_node::Node::PlannedJoin(PlannedJoin {
                join: self.nested_bytes(&over_nothing(join.join())?, converter)?,
                one_task: join.one_task(),
            }))
        } else if let Some(task) = node.downcast_ref::<OneTaskExec>() {
            let plan = self.nested_bytes(task.plan(), converter)?;
            Some(plan_node::Node::OneTask(OneTask { plan }))
        } else if let Some(query) = one_task::recursive(&node) {
            Some(plan_node::Node::RecursiveQuery(RecursiveQuery {
                name: query.name,
                distinct: query.distinct,
                schema: schema_bytes(&query.schema)?,
            }))
        } else if let Some((name, schema)) = one_task::work_table(&node)? {
            let schema = schema_bytes(&schema)?;
            Some(plan_node::Node::WorkTable(WorkTable { name, schema }))
        } else if let Some(node) = checked_cast::encode(&node)? {
            Some(plan_node::Node::CheckedCast(node))
        } else {
            text_scan::encode(&node)?.map(plan_node::Node::TextScan)
        };
        let ours = match engines {
            Some(node) => Some(PlanNode { node: Some(node) }),
            None => retail_lakehouse::plan_codec::encode(&node).map_err(external)?,
        };
        let Some(ours) = ours else {
            return self.ballista.try_encode(node, buf, converter);
        };
        buf.extend_from_slice(MAGIC);
        ours.encode(buf)
            .map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn try_decode_udf(
        &self,
        name: &str,
        buf: &[u8],
    ) -> Result<Arc<datafusion::logical_expr::ScalarUDF>> {
        self.ballista.try_decode_udf(name, buf)
    }

    fn try_encode_udf(
        &self,
        node: &datafusion::logical_expr::ScalarUDF,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        self.ballista.try_encode_udf(node, buf)
    }
}

impl RetailPhysicalCodec {
    /// A plan inside a node, as it travels.
    fn nested_bytes(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Vec<u8>> {
        Ok(converter
            .execution_plan_to_proto(plan, self)?
            .encode_to_vec())
    }

    fn nested_plan(
        &self,
        bytes: &[u8],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan =
            PhysicalPlanNode::decode(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        converter.proto_to_execution_plan(&plan, &PhysicalPlanDecodeContext::new(ctx, self))
    }
}

/// A node over empty inputs of the same columns: its inputs travel beside it.
fn over_nothing(node: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let empty = |input: &Arc<dyn ExecutionPlan>| {
        Arc::new(EmptyExec::new(input.schema())) as Arc<dyn ExecutionPlan>
    };
    let inputs = node.children().into_iter().map(empty).collect();
    over(Arc::clone(node), inputs)
}

fn schema_bytes(schema: &SchemaRef) -> Result<Vec<u8>> {
    let schema: datafusion_proto::protobuf::Schema = schema
        .as_ref()
        .try_into()
        .map_err(|e| DataFusionError::External(Box::new(e)))?;
    Ok(schema.encode_to_vec())
}

fn schema_from(bytes: &[u8]) -> Result<SchemaRef> {
    let schema = datafusion_proto::protobuf::Schema::decode(bytes)
        .map_err(|e| DataFusionError::External(Box::new(e)))?;
    let schema = Schema::try_from(&schema).map_err(|e| DataFusionError::External(Box::new(e)))?;
    Ok(Arc::new(schema))
}

fn external(error: impl Into<DataFusionError>) -> DataFusionError {
    error.into()
}

/// Ballista's logical codec as it is: our jobs plan in the scheduler, where their logical plans stay.
#[derive(Debug, Default)]
pub struct RetailLogicalCodec {
    ballista: BallistaLogicalExtensionCodec,
}

impl LogicalExtensionCodec for RetailLogicalCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[LogicalPlan],
        ctx: &TaskContext,
    ) -> Result<Extension> {
        self.ballista.try_decode(buf, inputs, ctx)
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        self.ballista.try_encode(node, buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        name: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        self.ballista
            .try_decode_table_provider(buf, name, schema, ctx)
    }

    fn try_encode_table_provider(
        &self,
        name: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        self.ballista.try_encode_table_provider(name, node, buf)
    }
}

#[cfg(test)]
mod tests;
