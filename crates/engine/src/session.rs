//! Builds the query session.

use std::path::Path;
use std::sync::Arc;

use ballista_core::config::{
    BALLISTA_BROADCAST_JOIN_THRESHOLD_BYTES, BALLISTA_BROADCAST_JOIN_THRESHOLD_ROWS,
    BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
};
use ballista_core::extension::SessionConfigExt;
use datafusion::common::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use retail_storage::ObjectStores;

use crate::codec::{RetailLogicalCodec, RetailPhysicalCodec};
use crate::config::EngineConfig;
use crate::functions::with_functions;
use crate::planner::{Execution, RetailPlanner, physical_rules};
use crate::query_context::{QueryContext, follow_spawned_work};
use crate::rewrites::windows::FilterAsCase;
use retail_sql::optimizer_rules;

/// What a row of a join's smaller side is taken to have, in bytes, where only its rows are known.
const ROW_BYTES: usize = 128;

/// The settings of a session. `slots` is what `target_partitions = 0` stands for.
pub fn session_config(config: &EngineConfig, slots: usize) -> SessionConfig {
    let partitions = if config.target_partitions == 0 {
        slots.max(1)
    } else {
        config.target_partitions
    };
    let mut session = SessionConfig::new_with_ballista()
        .with_information_schema(true)
        .with_target_partitions(partitions)
        .with_batch_size(config.batch_size)
        .with_ballista_adaptive_query_planner(false)
        .with_ballista_grpc_client_max_message_size(retail_proto::MAX_MESSAGE_BYTES)
        .with_ballista_logical_extension_codec(Arc::new(RetailLogicalCodec::default()))
        .with_ballista_physical_extension_codec(Arc::new(RetailPhysicalCodec::default()))
        .set_usize(
            BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
            config.max_partitions_per_task,
        )
        // Joins are decided in our planner.
        .set_usize(BALLISTA_BROADCAST_JOIN_THRESHOLD_BYTES, 0)
        .set_usize(BALLISTA_BROADCAST_JOIN_THRESHOLD_ROWS, 0);
    let options = session.options_mut();
    options.sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    options.sql_parser.collect_spans = true;
    options.sql_parser.parse_float_as_decimal = true;
    options.execution.collect_statistics = true;
    // It compares whether columns may be null, too, where a simplified expression knows less than it did.
    options.execution.skip_physical_aggregate_schema_check = true;
    // A sort-merge join without its exchanges does not pass for a plan, and ours has none at first (see `RetailPlanner`).
    options.optimizer.prefer_hash_join = true;
    options.optimizer.hash_join_single_partition_threshold = config.broadcast_bytes;
    options.optimizer.hash_join_single_partition_threshold_rows =
        config.broadcast_bytes / ROW_BYTES;
    options.catalog.default_schema = "main".to_string();
    options.catalog.default_catalog = "retail".to_string();
    options.extensions.insert(QueryContext::default());
    session
}

/// Memory, spill files and object stores of a process. `spill` is where sorts and joins spill; the
/// system's temporary folder when absent.
///
/// # Errors
/// The spill folder cannot be used.
pub fn runtime_env(stores: &ObjectStores, spill: Option<&Path>) -> Result<Arc<RuntimeEnv>> {
    follow_spawned_work();
    let mut builder = RuntimeEnvBuilder::new().with_object_store_registry(stores.registry());
    if let Some(dir) = spill {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![dir.to_path_buf()]));
        builder = builder.with_disk_manager_builder(disk);
    }
    Ok(Arc::new(builder.build()?))
}

/// A session's state: functions, our planner and its rules, object stores.
pub fn session_state(
    session: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    partitioned_topk: bool,
    execution: Execution,
) -> SessionState {
    let builder = with_functions(SessionStateBuilder::new().with_default_features())
        .with_config(session)
        .with_runtime_env(runtime)
        .with_optimizer_rules(optimizer_rules())
        .with_analyzer_rule(Arc::new(FilterAsCase))
        .with_physical_optimizer_rules(physical_rules(execution))
        .with_query_planner(Arc::new(RetailPlanner::new(partitioned_topk, execution)));
    retail_sql::install(builder).build()
}

/// A fresh session in which a run registers its relations.
///
/// # Errors
/// The runtime cannot be built.
pub fn session(
    config: &EngineConfig,
    slots: usize,
    stores: &ObjectStores,
) -> Result<SessionContext> {
    let runtime = runtime_env(stores, None)?;
    Ok(SessionContext::new_with_state(session_state(
        session_config(config, slots),
        runtime,
        config.partitioned_topk,
        Execution::InProcess,
    )))
}
