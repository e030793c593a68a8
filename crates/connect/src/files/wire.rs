//! A codec of this crate's plan nodes alone, for tests; the engine's holds those of all crates.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use prost::Message;
use retail_proto::v1::{PlanNode, plan_node::Node};

use crate::{checked_cast, text_scan};

#[derive(Debug)]
pub(super) struct Wire;

impl PhysicalExtensionCodec for Wire {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let node = PlanNode::decode(buf).map_err(|e| DataFusionError::External(Box::new(e)))?;
        match (node.node, inputs) {
            (Some(Node::CheckedCast(node)), [input]) => {
                Ok(Arc::new(checked_cast::decode(&node, Arc::clone(input))?))
            }
            (Some(Node::TextScan(node)), [scan]) => {
                Ok(Arc::new(text_scan::decode(node, Arc::clone(scan))?))
            }
            (node, _) => panic!("{node:?} is no node of this crate"),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let ours = match checked_cast::encode(&node)? {
            Some(cast) => Some(Node::CheckedCast(cast)),
            None => text_scan::encode(&node)?.map(Node::TextScan),
        };
        assert!(ours.is_some(), "{} is no node of this crate", node.name());
        PlanNode { node: ours }
            .encode(buf)
            .map_err(|e| DataFusionError::External(Box::new(e)))
    }
}
