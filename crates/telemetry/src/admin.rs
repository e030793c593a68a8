//! The admin port: `/healthz`, `/readyz`, `/metrics` and `/log-level` over HTTP.

mod log_level;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{TelemetryError, metrics};

/// How long open connections may delay the end of the admin server.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Whether the process can do its work, and if not, why. A clone is another handle on the same.
#[derive(Debug, Clone)]
pub struct Readiness {
    waiting_for: Arc<Mutex<Option<String>>>,
}

impl Readiness {
    /// Not ready yet, because of `reason`.
    pub fn waiting(reason: impl Into<String>) -> Self {
        Self {
            waiting_for: Arc::new(Mutex::new(Some(reason.into()))),
        }
    }

    /// From now on, requests are welcome.
    pub fn ready(&self) {
        *self
            .waiting_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// From now on, requests should go elsewhere.
    pub fn not_ready(&self, reason: impl Into<String>) {
        *self
            .waiting_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
    }

    /// Why the process is not ready; none when it is.
    pub fn reason(&self) -> Option<String> {
        self.waiting_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The running admin server. Dropping it leaves it running; [`AdminServer::shutdown`] ends it.
#[derive(Debug)]
pub struct AdminServer {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl AdminServer {
    /// The bound address, with the chosen port when port 0 was configured.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends the server.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(SHUTDOWN_GRACE, &mut self.server)
            .await
            .is_err()
        {
            self.server.abort();
        }
    }
}

/// What is brought up to date before metrics are read: gauges of things that nobody reports by themselves.
pub type OnScrape = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Serves the admin port. Port 0 takes any free one.
///
/// # Errors
/// [`TelemetryError::Bind`] when the port cannot be used.
pub async fn serve_admin(
    addr: SocketAddr,
    readiness: Readiness,
) -> Result<AdminServer, TelemetryError> {
    serve_admin_with(
        addr,
        readiness,
        Arc::new(|| Box::pin(std::future::ready(()))),
        Router::new(),
    )
    .await
}

/// Serves the admin port with routes of the process's own, and runs `on_scrape` before each answer to `/metrics`.
///
/// # Errors
/// [`TelemetryError::Bind`] when the port cannot be used.
pub async fn serve_admin_with(
    addr: SocketAddr,
    readiness: Readiness,
    on_scrape: OnScrape,
    own: Router,
) -> Result<AdminServer, TelemetryError> {
    let bind = |source| TelemetryError::Bind { addr, source };
    let listener = tokio::net::TcpListener::bind(addr).await.map_err(bind)?;
    let addr = listener.local_addr().map_err(bind)?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .route("/log-level", get(log_level::show).put(log_level::change))
        .with_state(Admin {
            readiness,
            on_scrape,
        })
        .merge(own);
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(async move {
        let until = async move {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, routes)
            .with_graceful_shutdown(until)
            .await
        {
            tracing::error!(%error, "the admin port failed");
        }
    });
    tracing::info!(%addr, "admin port open");
    Ok(AdminServer { addr, stop, server })
}

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    on_scrape: OnScrape,
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    match admin.readiness.reason() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

async fn scrape(State(admin): State<Admin>) -> impl IntoResponse {
    (admin.on_scrape)().await;
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        metrics::render(),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(addr: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn any_port() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[tokio::test]
    async fn a_process_that_is_not_ready_reports_why() {
        let readiness = Readiness::waiting("the catalog is not open");
        let admin = serve_admin(any_port(), readiness.clone()).await.unwrap();
        assert_ne!(admin.addr().port(), 0);
        let answer = get(admin.addr(), "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(
            answer.contains("not ready: the catalog is not open"),
            "{answer}"
        );
        assert!(
            get(admin.addr(), "/healthz")
                .await
                .starts_with("HTTP/1.1 200")
        );
        readiness.ready();
        assert!(
            get(admin.addr(), "/readyz")
                .await
                .starts_with("HTTP/1.1 200")
        );
        readiness.not_ready("draining");
        assert!(get(admin.addr(), "/readyz").await.contains("draining"));
        admin.shutdown().await;
    }

    #[tokio::test]
    async fn gauges_are_brought_up_to_date_before_each_scrape() {
        let scrapes = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&scrapes);
        let on_scrape: OnScrape = Arc::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::ready(()))
        });
        let own = Router::new().route("/work", axum::routing::get(async || "2 tasks\n"));
        let admin = serve_admin_with(any_port(), Readiness::waiting("x"), on_scrape, own)
            .await
            .unwrap();
        assert!(get(admin.addr(), "/work").await.ends_with("2 tasks\n"));
        metrics::expose(metrics::Role::Scheduler);
        let answer = get(admin.addr(), "/metrics").await;
        assert!(answer.contains("retail_build_info"), "{answer}");
        assert_eq!(scrapes.load(Ordering::SeqCst), 1);
        admin.shutdown().await;
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let first = serve_admin(any_port(), Readiness::waiting("x"))
            .await
            .unwrap();
        let error = serve_admin(first.addr(), Readiness::waiting("x"))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains(&first.addr().to_string()),
            "{error}"
        );
        let addr = first.addr();
        first.shutdown().await;
        assert!(serve_admin(addr, Readiness::waiting("x")).await.is_ok());
    }
}
