//! Wire types of `retail.v1`: the Jobs, Query and Cluster services, and the payloads of our plan nodes.
//!
//! No logic lives here. Only service files and codecs of other crates name these types.

/// Messages, clients and servers generated from `proto/retail/v1/*.proto`.
#[allow(
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    missing_docs,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("retail.v1");
}

/// The compiled descriptors, for gRPC reflection.
pub const DESCRIPTORS: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/retail.v1.descriptors.bin"));

/// Largest gRPC message that clients and servers accept, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;
