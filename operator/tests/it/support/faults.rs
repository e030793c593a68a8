//! Faults between an operator and its API server: conflicts, silence, expired watches, answers that get lost on the
//! way back.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::client::{Body, DynBody};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tower::{Layer, Service};

/// Stands for the client's own read timeout, and is longer than any of the operator's in these tests.
const SILENCE: Duration = Duration::from_secs(6);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Pin<Box<dyn Future<Output = Result<Response<Box<DynBody>>, BoxError>> + Send>>;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// 409: another was faster. Nothing was done.
    Conflict,
    /// 410: the version is too old. Nothing was done.
    Gone,
    /// 500. Nothing was done.
    Internal,
    /// The connection breaks after a while. Nothing was done.
    Timeout,
    /// It was done, and the answer got lost.
    Partial,
    /// Nobody answers for longer than the operator waits; a watch, until the client takes the connection for dead.
    Silence,
}

/// A share of requests that fail, and how often each way was taken.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<State>>);

struct State {
    rng: ChaCha8Rng,
    share: f64,
    silence: bool,
    definition: Option<Value>,
    seen: Vec<Fault>,
}

impl Faults {
    pub fn none() -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: ChaCha8Rng::seed_from_u64(0),
            share: 0.0,
            silence: false,
            definition: None,
            seen: vec![],
        })))
    }

    /// From now on this share of requests fails.
    pub fn begin(&self, seed: u64, share: f64) {
        let mut state = self.0.lock().unwrap();
        state.rng = ChaCha8Rng::seed_from_u64(seed);
        state.share = share;
    }

    pub fn end(&self) {
        self.0.lock().unwrap().share = 0.0;
    }

    /// From now on nobody answers any request: the network is gone.
    pub fn cut_off(&self) {
        self.0.lock().unwrap().silence = true;
    }

    /// From now on, this is what is read as a definition.
    pub fn show(&self, definition: Option<Value>) {
        self.0.lock().unwrap().definition = definition;
    }

    fn shown(&self, path: &str) -> Option<Value> {
        let definition = self.0.lock().unwrap().definition.clone();
        definition.filter(|_| path.contains("/customresourcedefinitions/"))
    }

    /// How often each fault was met.
    pub fn seen(&self) -> Vec<(Fault, usize)> {
        let mut seen = self.0.lock().unwrap().seen.clone();
        seen.sort();
        seen.chunk_by(|a, b| a == b)
            .map(|same| (same[0], same.len()))
            .collect()
    }

    fn next(&self, method: &Method) -> Option<Fault> {
        let mut state = self.0.lock().unwrap();
        if state.silence {
            return Some(Fault::Silence);
        }
        let share = state.share;
        if share == 0.0 || !state.rng.random_bool(share) {
            return None;
        }
        let fault = match state.rng.random_range(0..100) {
            0..30 if method == Method::GET => Fault::Gone,
            0..30 => Fault::Conflict,
            30..50 => Fault::Internal,
            50..65 => Fault::Timeout,
            65..97 => Fault::Partial,
            _ => Fault::Silence,
        };
        state.seen.push(fault);
        Some(fault)
    }
}

#[derive(Clone)]
pub struct FaultLayer(pub Faults);

impl<S> Layer<S> for FaultLayer {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty {
            inner,
            faults: self.0.clone(),
        }
    }
}

pub struct Faulty<S> {
    inner: S,
    faults: Faults,
}

impl<S> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Some(definition) = self.faults.shown(request.uri().path()) {
            return answer(StatusCode::OK, &definition);
        }
        let fault = self.faults.next(request.method());
        let lost = |what: &str| -> BoxError { std::io::Error::other(what.to_owned()).into() };
        match fault {
            None => Box::pin(self.inner.call(request)),
            Some(Fault::Conflict) => answer(StatusCode::CONFLICT, &failure(409, "Conflict")),
            Some(Fault::Gone) => answer(StatusCode::GONE, &failure(410, "Expired")),
            Some(Fault::Internal) => answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                &failure(500, "InternalError"),
            ),
            Some(Fault::Timeout) => Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(lost("the connection broke"))
            }),
            Some(Fault::Partial) => {
                let done = self.inner.call(request);
                Box::pin(async move {
                    done.await?;
                    Err(lost("the answer got lost"))
                })
            }
            Some(Fault::Silence) => Box::pin(async move {
                tokio::time::sleep(SILENCE).await;
                Err(lost("nobody answered"))
            }),
        }
    }
}

fn failure(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "injected", "reason": reason, "code": code,
    })
}

fn answer(code: StatusCode, body: &Value) -> Answer {
    let body: Box<DynBody> =
        Box::new(Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}));
    Box::pin(std::future::ready(Ok(Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(body)
        .expect("a valid answer"))))
}
