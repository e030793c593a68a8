//! Ballista's scheduler as a library: assembled here, and nowhere else, so that TLS and tokens have one place.

mod calls;
mod cluster;
mod executor_loss;
mod fetch;
mod progress;
mod queries;
mod row_accounting;
mod slots;
mod spans;
mod stage_check;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use retail_engine::{
    EngineConfig, Execution, RetailLogicalCodec, RetailPhysicalCodec, runtime_env, session_config,
    session_state,
};
use retail_proto::MAX_MESSAGE_BYTES;
use retail_storage::ObjectStores;
use tonic::service::RoutesBuilder;

pub(crate) use calls::only_of_executors;

use cluster::ClusterOnExecutors;
use executor_loss::LossWatch;
use queries::Queries;
use slots::Slots;

/// Ballista's scheduler for plans in datafusion-proto's encoding.
pub(crate) type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// After how many seconds without a heartbeat a draining executor is lost, and how much later one that stopped with tasks is
/// removed. Draining executors send several heartbeats a second; how long they drain is their own setting.
const TERMINATION_GRACE_S: u64 = 3;

/// What the assembly needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Assembly {
    /// Where the gRPC port is bound.
    pub addr: SocketAddr,
    /// The name under which executors reach this scheduler; an IPv6 address in brackets.
    pub advertise_host: String,
    /// An executor without a heartbeat for this long is lost, in seconds.
    pub executor_timeout_s: u64,
    /// How often that is checked, in seconds.
    pub expiry_check_s: u64,
    /// How long jobs wait for an executor after the last one is lost, in seconds.
    pub no_executor_grace_s: u64,
    /// How often a task may fail before its job does.
    pub task_max_failures: usize,
    pub engine: EngineConfig,
}

/// Starts Ballista's scheduler; its gRPC services are mounted by [`mount`].
///
/// # Errors
/// The runtime cannot be built.
pub(crate) async fn start(
    assembly: &Assembly,
    stores: &ObjectStores,
) -> anyhow::Result<(Server, Arc<ClusterOnExecutors>)> {
    let runtime = runtime_env(stores, None)?;
    let engine = assembly.engine.clone();
    let partitioned_topk = engine.partitioned_topk;
    let session_runtime = Arc::clone(&runtime);
    let config = SchedulerConfig {
        external_host: assembly.advertise_host.clone(),
        bind_host: assembly.addr.ip().to_string(),
        bind_port: assembly.addr.port(),
        // A draining executor still takes tasks in pull mode.
        scheduling_policy: TaskSchedulingPolicy::PushStaged,
        task_distribution: TaskDistributionPolicy::RoundRobin,
        finished_job_data_clean_up_interval_seconds: 300,
        finished_job_state_clean_up_interval_seconds: 300,
        executor_termination_grace_period: TERMINATION_GRACE_S,
        grpc_server_max_decoding_message_size: MAX_MESSAGE_BYTES as u32,
        grpc_server_max_encoding_message_size: MAX_MESSAGE_BYTES as u32,
        grpc_client_max_message_size: MAX_MESSAGE_BYTES as u32,
        executor_timeout_seconds: assembly.executor_timeout_s,
        expire_dead_executor_interval_seconds: assembly.expiry_check_s,
        no_executors_grace_period_seconds: assembly.no_executor_grace_s,
        task_max_failures: assembly.task_max_failures,
        override_logical_codec: Some(Arc::new(RetailLogicalCodec::default())),
        override_physical_codec: Some(Arc::new(RetailPhysicalCodec::default())),
        override_config_producer: Some(Arc::new(move || session_config(&engine, 1))),
        override_session_builder: Some(Arc::new(move |config| {
            Ok(session_state(
                config,
                Arc::clone(&session_runtime),
                partitioned_topk,
                Execution::InStages,
            ))
        })),
        ..Default::default()
    };
    config.validate().context("cannot start the scheduler")?;
    let cluster = BallistaCluster::new_from_config(&config)
        .await
        .context("cannot start the scheduler")?;
    let ended = cluster.job_state();
    let slots = Arc::new(Slots::new(cluster.cluster_state()));
    let cluster = BallistaCluster::new(slots, Arc::clone(&ended));
    let server = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config))
        .await
        .context("cannot start the scheduler")?;
    let events = server.cluster_state_events().await;
    let cluster = Arc::new(ClusterOnExecutors::new(
        server.clone(),
        assembly.engine.clone(),
        runtime,
        Queries::new(server.clone(), ended),
        LossWatch::start(events.context("cannot start the scheduler")?),
    ));
    Ok((server, cluster))
}

/// Adds Ballista's service for executors to the scheduler's port, of which [`only_of_executors`] lets their calls through.
pub(crate) fn mount(routes: &mut RoutesBuilder, server: &Server) {
    routes.add_service(
        SchedulerGrpcServer::new(server.clone())
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
            .max_decoding_message_size(MAX_MESSAGE_BYTES),
    );
}
