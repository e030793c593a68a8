//! `/log-level`: what is logged, and a way to change it while the process runs.
//!
//! Anybody who reaches the admin port may read it. Only the machine itself may change it, whatever address the port is
//! bound to: in a pod that is `kubectl port-forward` or a shell, and both ask for more rights than the network does.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::StatusCode;

use crate::log;

/// The level or directives in force, as in `log.level`.
pub(super) async fn show() -> (StatusCode, String) {
    match log::level() {
        Some(level) => (StatusCode::OK, format!("{level}\n")),
        None => (
            StatusCode::NOT_FOUND,
            "this process does not log, or logs in its own way\n".to_owned(),
        ),
    }
}

/// Puts the body in force, until the process ends.
pub(super) async fn change(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: String,
) -> (StatusCode, String) {
    if !peer.ip().to_canonical().is_loopback() {
        let reason = "the log level is changed from this machine only; in Kubernetes: kubectl port-forward\n";
        return (StatusCode::FORBIDDEN, reason.to_owned());
    }
    match log::set_level(&body) {
        Ok(()) => show().await,
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn other_machines_may_not_change_it() {
        for peer in [
            "10.0.0.7:40000",
            "[2001:db8::7]:40000",
            "[::ffff:10.0.0.7]:40000",
        ] {
            let (status, reason) = change(ConnectInfo(peer.parse().unwrap()), "debug".into()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{peer}");
            assert!(reason.contains("this machine only"), "{reason}");
        }
        for peer in ["127.0.0.1:40000", "[::1]:40000", "[::ffff:127.0.0.1]:40000"] {
            let (status, reason) = change(ConnectInfo(peer.parse().unwrap()), "inof".into()).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{peer}");
            assert!(reason.contains("\"inof\" is no level"), "{reason}");
        }
    }
}
