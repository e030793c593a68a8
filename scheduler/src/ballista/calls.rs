//! Which of Ballista's calls are answered: those of executors.
//!
//! Its calls for clients run any plan for whoever sends one, past admission and the catalog, and its Flight proxy
//! connects to whatever host a ticket names. Queries and jobs come through `retail.v1`.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tonic::Status;

/// What executors call.
const OF_EXECUTORS: [&str; 4] = [
    "/ballista.protobuf.SchedulerGrpc/RegisterExecutor",
    "/ballista.protobuf.SchedulerGrpc/HeartBeatFromExecutor",
    "/ballista.protobuf.SchedulerGrpc/UpdateTaskStatus",
    "/ballista.protobuf.SchedulerGrpc/ExecutorStopped",
];

/// Refuses every other call of Ballista's.
pub(crate) async fn only_of_executors(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/ballista.") && !OF_EXECUTORS.contains(&path) {
        let text = "this is a call of Ballista's clients, which this scheduler does not answer; use retail.v1";
        return Status::unimplemented(text).into_http();
    }
    next.run(request).await
}
