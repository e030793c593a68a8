//! Starts a scheduler: stores, catalog, Ballista, services, ports. Stops it in the reverse order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::store::JobStore;
use anyhow::Context;
use retail_engine::{Cluster, InProcess};
use retail_jobs::JobContext;
use retail_lakehouse::{Lakehouse, Lease};
use retail_security::url_host;
use retail_storage::ObjectStores;
use retail_telemetry::metrics::{Role, expose};
use retail_telemetry::{AdminServer, Readiness};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::admin::{self, Served};
use crate::admission::{Gate, Limits};
use crate::ballista::{self, Assembly};
use crate::calls;
use crate::catalog::{self, WithoutCatalog};
use crate::config::Config;
use crate::jobs::JobManager;
use crate::observe::store_observer;
use crate::owner::{self, Ownership};
use crate::service;

/// A running scheduler.
pub struct Scheduler {
    served: Running,
    admin: AdminServer,
    readiness: Readiness,
}

struct Running {
    grpc_addr: SocketAddr,
    jobs: Arc<JobManager>,
    catalog: JoinHandle<()>,
    lake: Lakehouse,
    owned: Option<Owned>,
    lost: CancellationToken,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

/// The lease on the catalog, and who renews it.
struct Owned {
    lease: Lease,
    keeper: JoinHandle<()>,
}

/// Opens the catalog, takes its ownership, binds the ports and serves. The admin port is open first, and reports what is waited for.
///
/// # Errors
/// The catalog or store cannot be opened, or a port cannot be bound; nothing is left running then.
pub async fn start(config: Config, without_catalog: WithoutCatalog) -> anyhow::Result<Scheduler> {
    expose(Role::Scheduler);
    let readiness = Readiness::waiting("starting");
    let served = Arc::default();
    let admin = admin::serve(config.admin_addr(), readiness.clone(), Arc::clone(&served)).await?;
    match serve(config, without_catalog, &readiness, &served).await {
        Ok(served) => {
            tracing::info!(grpc = %served.grpc_addr, admin = %admin.addr(), "scheduler serves");
            Ok(Scheduler {
                served,
                admin,
                readiness,
            })
        }
        Err(error) => {
            admin.shutdown().await;
            Err(error)
        }
    }
}

async fn serve(
    config: Config,
    without_catalog: WithoutCatalog,
    readiness: &Readiness,
    admin: &OnceLock<Served>,
) -> anyhow::Result<Running> {
    let locations = config.locations()?;
    let stores = ObjectStores::confined(config.storage.clone(), locations, store_observer());
    let lake = catalog::open(&config.catalog, &stores, without_catalog, readiness).await?;
    let lasts = Duration::from_secs(config.jobs.lease_s);
    let at = format!(
        "{}:{}",
        url_host(&config.server.advertise_host),
        config.server.port
    );
    let described = owner::described(&at);
    let ownership = owner::acquire(&lake, &described, lasts, without_catalog, readiness).await?;
    let lost = CancellationToken::new();
    let owned = ownership.lease().map(|lease| Owned {
        lease,
        keeper: owner::keep(lake.clone(), lease, lasts, lost.clone()),
    });
    let served = serve_as(
        config,
        stores,
        lake.clone(),
        ownership,
        &lost,
        readiness,
        admin,
    )
    .await;
    match served {
        Ok(running) => Ok(Running { owned, ..running }),
        Err(error) => {
            let_go(&lake, owned).await;
            Err(error)
        }
    }
}

/// Lets the next scheduler take over at once.
async fn let_go(lake: &Lakehouse, owned: Option<Owned>) {
    let Some(Owned { lease, keeper }) = owned else {
        return;
    };
    keeper.abort();
    if let Err(error) = lake.release(lease).await {
        tracing::warn!(%error, "the ownership of the catalog could not be given up; it expires");
    }
}

async fn serve_as(
    config: Config,
    stores: ObjectStores,
    lake: Lakehouse,
    ownership: Ownership,
    lost: &CancellationToken,
    readiness: &Readiness,
    admin: &OnceLock<Served>,
) -> anyhow::Result<Running> {
    let addr = config.grpc_addr();
    let listener = retail_security::bind(addr)
        .await
        .with_context(|| format!("cannot bind {addr}"))?;
    let grpc_addr = listener.local_addr()?;
    let assembly = Assembly {
        addr: grpc_addr,
        advertise_host: url_host(&config.server.advertise_host),
        executor_timeout_s: config.cluster.executor_timeout_s,
        expiry_check_s: config.cluster.expiry_check_s,
        no_executor_grace_s: config.cluster.no_executor_grace_s,
        task_max_failures: config.cluster.task_max_failures,
        engine: config.engine.clone(),
    };
    let locations = config.locations()?;
    let (ballista, on_executors) = ballista::start(&assembly, &stores).await?;
    let cluster: Arc<dyn Cluster> = match config.cluster.in_process_slots {
        0 => on_executors,
        slots => Arc::new(InProcess::new(config.engine.clone(), slots, &stores)?),
    };
    let store = JobStore::open(lake.pool()).await?;
    let context = JobContext {
        lake: lake.clone(),
        cluster: Arc::clone(&cluster),
        lease: ownership.lease(),
    };
    let gate = Gate::new(Limits {
        jobs: config.jobs.max_concurrent,
        statements: config.statements.max_concurrent,
    });
    let jobs = JobManager::start(
        store,
        context,
        ownership,
        lost.clone(),
        gate.clone(),
        &config.jobs,
    )
    .await?;

    let mut routes = RoutesBuilder::default();
    ballista::mount(&mut routes, &ballista);
    service::mount(&mut routes, &jobs, &lake, &cluster, &gate, locations).await?;
    let stop = CancellationToken::new();
    let app = routes
        .routes()
        .into_axum_router()
        .layer(axum::middleware::from_fn(ballista::only_of_executors))
        .layer(axum::middleware::from_fn(calls::measure))
        .into_make_service_with_connect_info::<SocketAddr>();
    let stopped = stop.clone().cancelled_owned();
    // axum's graceful shutdown would wait for open Watch streams; the services end those themselves.
    let server = tokio::spawn(async move {
        tokio::select! {
            served = std::future::IntoFuture::into_future(axum::serve(listener, app)) => served,
            () = stopped => Ok(()),
        }
    });
    let _ = admin.set(Served {
        cluster,
        jobs: Arc::clone(&jobs),
        lake: lake.clone(),
    });
    readiness.ready();
    Ok(Running {
        grpc_addr,
        jobs,
        catalog: catalog::watch(lake.clone(), readiness.clone(), lost.clone()),
        lake,
        owned: None,
        lost: lost.clone(),
        stop,
        server,
    })
}

impl Scheduler {
    /// The gRPC port.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.served.grpc_addr
    }

    /// The health and metrics port.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.addr()
    }

    /// What clients and executors on this machine connect to.
    pub fn url(&self) -> String {
        let mut addr = self.grpc_addr();
        match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{addr}")
    }

    /// Waits until another scheduler has taken the catalog over. Jobs of this one publish nothing any more.
    pub async fn lost_ownership(&self) {
        self.served.lost.cancelled().await;
    }

    /// Refuses new jobs, lets running ones finish for at most `grace`, then stops serving.
    pub async fn shutdown(self, grace: Duration) {
        self.served.catalog.abort();
        self.readiness.not_ready("stopping");
        self.served.jobs.shutdown(grace).await;
        let_go(&self.served.lake, self.served.owned).await;
        self.served.stop.cancel();
        if let Err(error) = self.served.server.await {
            tracing::warn!(%error, "the server did not stop cleanly");
        }
        self.admin.shutdown().await;
        tracing::info!("scheduler stopped");
    }
}
