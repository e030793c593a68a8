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
    work: Arc<Mutex<Option<Value>>>,
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
        let work = Arc::new(Mutex::new(Some(json!({}))));
        let routes = Router::new()
            .route("/work", get(answer))
            .with_state(Arc::clone(&work));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            port,
            work,
            _server: Arc::new(Abort(server)),
        }
    }

    /// From now on it says this.
    pub fn says(&self, work: Value) {
        *self.work.lock().unwrap() = Some(work);
    }

    /// From now on it answers nothing of use.
    pub fn falls_silent(&self) {
        *self.work.lock().unwrap() = None;
    }
}

async fn answer(State(work): State<Arc<Mutex<Option<Value>>>>) -> Response {
    match work.lock().unwrap().clone() {
        Some(work) => axum::Json(work).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "not ready: because\n").into_response(),
    }
}
