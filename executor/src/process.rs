//! Ballista's executor as a library: its parts assembled, so that stopping and metrics are ours.

mod scheduler;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::RuntimeProducer;
use ballista_core::error::BallistaError;
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::executor_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorRegistration, ExecutorStatus, ExecutorStoppedParams, HeartBeatParams,
};
use ballista_executor::executor::Executor as TaskRunner;
use ballista_executor::executor_process::{ExecutorProcessConfig, structure_executor_metadata};
use ballista_executor::executor_server::{self, TERMINATING};
use ballista_executor::health::ExecutorHealth;
use ballista_executor::runtime_cache::{DefaultSessionRuntimeCache, MemoryPoolPolicy};
use ballista_executor::shutdown::ShutdownNotifier;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion_proto::protobuf::LogicalPlanNode;
use retail_engine::{
    EngineConfig, RetailLogicalCodec, RetailPhysicalCodec, TaskPlan, function_registry,
    runtime_env, session_config,
};
use retail_proto::MAX_MESSAGE_BYTES;
use retail_proto::v1::RequestRemovalRequest;
use retail_proto::v1::cluster_client::ClusterClient;
use retail_security::url_host;
use retail_storage::{Locations, ObjectStores, StorageConfig};
use retail_telemetry::metrics;
use retail_telemetry::metrics::{Role, expose};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;

use crate::drain::{Drain, Next, Seen};
use crate::engine::TaskEngine;
use crate::flight::ShuffleFlight;
use crate::memory;
use crate::metrics::{TaskLog, gauges, observer};
use crate::work_dir::WorkDir;
use scheduler::{Notice, connect, locations, may_pass};

/// Sessions whose runtime is kept between tasks.
const SESSION_RUNTIMES: usize = 16;
/// Pause between two requests of a draining executor to be removed.
const REMOVAL_PAUSE: Duration = Duration::from_millis(100);

/// What an executor needs to know to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address that the Flight and gRPC ports bind to.
    pub host: IpAddr,
    /// Name under which the scheduler and other executors reach this one.
    pub advertise_host: String,
    /// Arrow Flight: shuffles and results. 0 = any free port.
    pub flight_port: u16,
    /// Tasks from the scheduler. 0 = any free port.
    pub grpc_port: u16,
    /// The scheduler, as http://host:port.
    pub scheduler_url: String,
    /// Tasks at once.
    pub slots: usize,
    /// Memory that operators may reserve, over all slots, in bytes.
    pub memory_bytes: u64,
    /// Shuffle and spill files; emptied of this executor's files when it stops.
    pub work_dir: PathBuf,
    /// Seconds between heartbeats.
    pub heartbeat_s: u64,
    pub storage: StorageConfig,
    /// Files that its secrets were read from, which no task reads.
    pub secret_files: Vec<PathBuf>,
}

/// A registered executor that runs tasks.
pub struct Executor {
    runner: Arc<TaskRunner>,
    registration: ExecutorRegistration,
    scheduler: SchedulerGrpcClient<Channel>,
    cluster: ClusterClient<Channel>,
    shutdown: ShutdownNotifier,
    stop_requested: mpsc::Receiver<bool>,
    servers: Vec<JoinHandle<Result<(), ballista_core::error::BallistaError>>>,
    flight: JoinHandle<Result<(), tonic::transport::Error>>,
    health: ExecutorHealth,
    work_dir: WorkDir,
}

/// Registers with the scheduler and serves tasks; waits for the scheduler as long as it takes.
///
/// # Errors
/// A port or the work folder cannot be used, or the scheduler refuses the registration.
pub async fn start(settings: Settings) -> anyhow::Result<Executor> {
    expose(Role::Executor);
    let id = uuid::Uuid::now_v7().simple().to_string();
    let (shared, own) = (settings.work_dir.clone(), id.clone());
    // What a killed executor left may be much.
    let work_dir = tokio::task::spawn_blocking(move || WorkDir::create(&shared, &own)).await??;
    let work_path = work_dir.as_str().to_owned();

    let flight = bind(settings.host, settings.flight_port).await?;
    let flight_port = flight.local_addr()?.port();
    let grpc_port = match settings.grpc_port {
        // Ballista binds this port itself, so a free one is looked up and released.
        0 => bind(settings.host, 0).await?.local_addr()?.port(),
        port => port,
    };
    let process = Arc::new(ExecutorProcessConfig {
        executor_id: id.clone(),
        bind_host: url_host(&settings.host.to_string()),
        external_host: Some(url_host(&settings.advertise_host)),
        port: flight_port,
        grpc_port,
        vcores: settings.slots,
        grpc_max_decoding_message_size: MAX_MESSAGE_BYTES as u32,
        grpc_max_encoding_message_size: MAX_MESSAGE_BYTES as u32,
        executor_heartbeat_interval_seconds: settings.heartbeat_s,
        work_dir: Some(work_path.clone()),
        ..Default::default()
    });
    let registration = structure_executor_metadata(&process, settings.slots as u32);
    let channel = connect(&settings.scheduler_url).await?;
    let mut cluster = ClusterClient::new(channel.clone());
    let locations = locations(&mut cluster, &settings).await?;
    let runner = task_runner(&settings, locations, registration.clone(), &work_path)?;
    let runner = Arc::new(runner);
    let scheduler = SchedulerGrpcClient::new(channel.clone())
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let codec: BallistaCodec<LogicalPlanNode, TaskPlan> = BallistaCodec::new(
        Arc::new(RetailLogicalCodec::default()),
        Arc::new(RetailPhysicalCodec::default()),
    );

    let shutdown = ShutdownNotifier::new();
    let health = ExecutorHealth::new();
    let mut flight_stop = shutdown.subscribe_for_shutdown();
    let flight = tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(
                FlightServiceServer::new(ShuffleFlight::new(work_path))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            )
            .serve_with_incoming_shutdown(
                TcpIncoming::from(flight).with_nodelay(Some(true)),
                async move {
                    flight_stop.recv().await;
                },
            ),
    );
    let (request_stop, stop_requested) = mpsc::channel(1);
    let mut notice = Notice::new("cannot register yet");
    let tasks = loop {
        let registered = executor_server::startup(
            scheduler.clone(),
            Arc::clone(&process),
            Arc::clone(&runner),
            codec.clone(),
            request_stop.clone(),
            &shutdown,
            health.clone(),
        );
        match registered.await {
            Ok(tasks) => break tasks,
            Err(BallistaError::GrpcError(status)) if may_pass(&status) => {
                notice.pause(&settings.scheduler_url, &status).await;
            }
            Err(error) => {
                let url = &settings.scheduler_url;
                return Err(error)
                    .with_context(|| format!("cannot register with the scheduler at {url}"));
            }
        }
    };
    tracing::info!(executor = %id, slots = settings.slots, flight_port, grpc_port, "executor registered");
    Ok(Executor {
        runner,
        registration,
        scheduler,
        cluster,
        shutdown,
        stop_requested,
        servers: vec![tasks],
        flight,
        health,
        work_dir,
    })
}

impl Executor {
    /// The id under which the scheduler knows this executor.
    pub fn id(&self) -> &str {
        &self.registration.id
    }

    /// Whether the last heartbeat reached the scheduler.
    pub fn health(&self) -> ExecutorHealth {
        self.health.clone()
    }

    /// Returns when the executor cannot go on by itself: its scheduler is unavailable or requested its stop.
    pub async fn stopped(&mut self) -> &'static str {
        tokio::select! {
            _ = self.stop_requested.recv() => "the scheduler is unavailable, or requested this executor to stop",
            _ = &mut self.flight => "the Flight server ended",
        }
    }

    /// Takes no more tasks, finishes those it runs, waits until no query needs the rows it holds (all at most `grace`),
    /// and leaves the cluster.
    ///
    /// For a whole process: Ballista keeps the draining state in a static, so other executors of the same
    /// process would drain too. Executors inside another program are stopped with [`Executor::stop`].
    pub async fn drain(self, grace: Duration) {
        TERMINATING.store(true, Ordering::Release);
        self.stop(grace).await;
    }

    /// Leaves the cluster when nothing depends on this executor any more, at most `grace` later.
    pub async fn stop(mut self, grace: Duration) {
        let id = self.registration.id.clone();
        let decommissioned = tokio::time::timeout(grace, self.decommission()).await;
        if decommissioned.is_err() {
            tracing::warn!(executor = %id, ?grace, "the time to drain is over; what it ran and held will run again elsewhere");
        }
        if decommissioned != Ok(true) {
            let stopped = ExecutorStoppedParams {
                executor_id: id.clone(),
                reason: "left with work".to_string(),
            };
            if let Err(error) = self.scheduler.executor_stopped(stopped).await {
                tracing::warn!(executor = %id, %error, "the scheduler could not be notified that this executor stops");
            }
        }
        let _ = self.shutdown.notify_shutdown.send(());
        for server in self.servers {
            server.abort();
        }
        self.flight.abort();
        self.work_dir.remove();
        tracing::info!(executor = %id, "executor left");
    }

    /// Returns when this executor's tasks are done, no query will read rows that it holds, and the scheduler has removed
    /// it; false when the scheduler cannot be reached. What blocks the removal is logged when it changes.
    async fn decommission(&mut self) -> bool {
        let mut drain = Drain::default();
        loop {
            // Repeated, since Ballista's own heartbeats of executors inside another program report "active".
            self.report_draining().await;
            let mut next = drain.on(Seen::Tasks(self.runner.active_task_count()));
            if next == Next::RequestRemoval {
                next = drain.on(self.request_removal().await);
            }
            match next {
                Next::Leave => return true,
                Next::LeaveWithWork => return false,
                Next::Report { tasks, queries } => {
                    tracing::info!(
                        executor = %self.id(),
                        tasks,
                        queries,
                        "draining: waiting for tasks, and for queries that read rows from here"
                    );
                }
                Next::Wait | Next::RequestRemoval => {}
            }
            tokio::time::sleep(REMOVAL_PAUSE).await;
        }
    }

    async fn request_removal(&mut self) -> Seen {
        let executor_id = self.registration.id.clone();
        let request = RequestRemovalRequest { executor_id };
        match self.cluster.request_removal(request).await {
            Ok(answer) => Seen::Answer(answer.into_inner()),
            Err(error) => {
                tracing::warn!(executor = %self.id(), %error, "the scheduler does not answer who needs this executor's rows; not waiting for them");
                Seen::NoAnswer
            }
        }
    }

    async fn report_draining(&mut self) {
        let heartbeat = HeartBeatParams {
            executor_id: self.registration.id.clone(),
            metrics: vec![],
            status: Some(ExecutorStatus {
                status: Some(Status::Terminating(String::new())),
            }),
            metadata: Some(self.registration.clone()),
        };
        if let Err(error) = self.scheduler.heart_beat_from_executor(heartbeat).await {
            tracing::warn!(executor = %self.registration.id, %error, "the scheduler could not be notified that this executor drains");
        }
    }
}

fn task_runner(
    settings: &Settings,
    locations: Locations,
    registration: ExecutorRegistration,
    work_dir: &str,
) -> anyhow::Result<TaskRunner> {
    let stores = ObjectStores::confined(settings.storage.clone(), locations, observer());
    let base = runtime_env(&stores, Some(work_dir.as_ref()))?;
    let producer: RuntimeProducer = Arc::new(move |_| Ok(Arc::clone(&base)));
    let per_slot = memory::per_slot(settings.memory_bytes, settings.slots)?;
    metrics()
        .memory_pool_limit_bytes
        .add(settings.memory_bytes as f64);
    let policy: MemoryPoolPolicy = Arc::new(move |base, _, slots| {
        let pool = memory::pool(per_slot, slots as usize);
        gauges::watch(&pool);
        RuntimeEnvBuilder::from_runtime_env(&base)
            .with_memory_pool(pool)
            .build_arc()
    });
    let limited: RuntimeProducer = {
        let (producer, policy) = (Arc::clone(&producer), Arc::clone(&policy));
        Arc::new(move |config| policy(producer(config)?, config, 1))
    };
    let runtimes = Arc::new(DefaultSessionRuntimeCache::new(
        producer,
        policy,
        SESSION_RUNTIMES,
    ));
    let slots = settings.slots;
    Ok(TaskRunner::new(
        registration,
        work_dir,
        limited,
        Arc::new(move || session_config(&EngineConfig::default(), slots)),
        Arc::new(function_registry()),
        Arc::new(TaskLog),
        settings.slots,
        Arc::new(TaskEngine::default()),
    )
    .with_session_runtime_cache(Some(runtimes)))
}

async fn bind(host: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    let addr = SocketAddr::new(host, port);
    retail_security::bind(addr)
        .await
        .with_context(|| format!("cannot bind {addr}"))
}

#[cfg(test)]
mod tests;
