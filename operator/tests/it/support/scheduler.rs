//! A scheduler's `GET /work` with numbers that the test sets: another process's data, served over real HTTP.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

#[derive(Clone)]
pub struct Scheduler {
    pub port: u16,
    demand: Arc<Mutex<Option<Value>>>,
    _server: Arc<Abort>,
}

struct Abort(JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Scheduler {
    /// One that has nothing to do.
    pub async fn idle() -> Self {
        let demand = Arc::new(Mutex::new(Some(json!({}))));
        let routes = Router::new()
            .route("/work", get(answer))
            .with_state(Arc::clone(&demand));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            port,
            demand,
            _server: Arc::new(Abort(server)),
        }
    }

    /// From now on it reports this.
    pub fn reports(&self, demand: Value) {
        *self.demand.lock().unwrap() = Some(demand);
    }

    /// From now on it answers nothing of use.
    pub fn becomes_unavailable(&self) {
        *self.demand.lock().unwrap() = None;
    }
}

async fn answer(State(demand): State<Arc<Mutex<Option<Value>>>>) -> Response {
    match demand.lock().unwrap().clone() {
        Some(demand) => axum::Json(demand).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "not ready: because\n").into_response(),
    }
}
