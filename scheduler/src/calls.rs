//! gRPC calls of the scheduler's port, as metrics.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use retail_telemetry::metrics;
use retail_telemetry::metrics::{GRPC_CODES, GRPC_METHODS};

/// What an unknown method, or no method at all, counts as.
const OTHER: &str = "other";

/// Counts a call when its last byte is out: only then is its status known.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let mut call = Call::of(request.uri().path());
    let response = next.run(request).await;
    // A call that fails at once has its status here, and no trailers.
    call.status(response.headers());
    response.map(|body| Body::new(Measured { body, call }))
}

/// A call that goes on. One that is dropped before its status was seen was cancelled by its caller.
struct Call {
    method: &'static str,
    began: Instant,
    code: &'static str,
}

impl Call {
    fn of(path: &str) -> Self {
        let path = path.trim_start_matches('/');
        let known = GRPC_METHODS.iter().find(|method| **method == path);
        Self {
            method: known.unwrap_or(&OTHER),
            began: Instant::now(),
            code: "cancelled",
        }
    }

    /// Takes the status from headers or trailers that have one.
    fn status(&mut self, headers: &HeaderMap) {
        let Some(status) = headers.get("grpc-status") else {
            return;
        };
        let number = status.to_str().ok().and_then(|s| s.parse::<usize>().ok());
        self.code = number
            .and_then(|n| GRPC_CODES.get(n).copied())
            .unwrap_or("unknown");
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let m = metrics();
        m.grpc_requests_total
            .with_label_values(&[self.method, self.code])
            .inc();
        m.grpc_seconds
            .with_label_values(&[self.method])
            .observe(self.began.elapsed().as_secs_f64());
    }
}

/// A response's body, which ends with the call's status.
struct Measured {
    body: Body,
    call: Call,
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.status(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use tonic::Status;
    use tonic::codegen::Service;

    use super::*;

    /// A body of these frames.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn count(method: &str, code: &str) -> u64 {
        metrics()
            .grpc_requests_total
            .with_label_values(&[method, code])
            .get()
    }

    /// Runs one call whose answer is `response`, reads it to its end, and drops it.
    async fn call(path: &'static str, response: fn() -> Response) {
        let mut app = Router::new()
            .route(path, post(move || async move { response() }))
            .layer(from_fn(measure));
        let request = Request::post(path).body(Body::empty()).unwrap();
        let answer = app.call(request).await.unwrap();
        let mut body = answer.into_body();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            frame.unwrap();
        }
    }

    #[tokio::test]
    async fn a_call_counts_once_with_the_status_of_its_headers_or_trailers() {
        call("/retail.v1.Jobs/Get", || {
            Status::not_found("no job").into_http()
        })
        .await;
        assert_eq!(count("retail.v1.Jobs/Get", "not_found"), 1);

        call("/retail.v1.Jobs/List", || {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let frames = [Frame::data(Bytes::from("x")), Frame::trailers(trailers)];
            Response::new(Body::new(Frames(frames.into())))
        })
        .await;
        assert_eq!(count("retail.v1.Jobs/List", "ok"), 1);

        call("/someone/else", || Status::internal("x").into_http()).await;
        assert_eq!(count("other", "internal"), 1);
    }

    #[tokio::test]
    async fn a_call_whose_caller_left_was_cancelled() {
        call("/retail.v1.Jobs/Watch", || Response::new(Body::empty())).await;
        assert_eq!(count("retail.v1.Jobs/Watch", "cancelled"), 1);
    }

    #[test]
    fn every_method_of_ours_is_known() {
        let mut service = "";
        let mut methods = 0;
        for line in include_str!("../../proto/proto/retail/v1/jobs.proto").lines() {
            let mut words = line.split([' ', '(']).filter(|word| !word.is_empty());
            match (words.next(), words.next()) {
                (Some("service"), Some(name)) => service = name,
                (Some("rpc"), Some(name)) => {
                    let method = format!("retail.v1.{service}/{name}");
                    assert!(GRPC_METHODS.contains(&method.as_str()), "{method}");
                    methods += 1;
                }
                _ => {}
            }
        }
        assert!(methods >= 10, "only {methods} were found");
    }
}
