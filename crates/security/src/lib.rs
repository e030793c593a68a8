//! Ports and connections of a retail cluster, each opened by one function: where TLS and tokens are to be added.
//!
//! ```text
//!  bind      the scheduler's gRPC port, the executors' Flight ports
//!  endpoint  every gRPC client: executors and people towards the scheduler
//! ```
//!
//! Ballista opens its executors' gRPC ports and the channels between its processes itself; the admin port, for probes and
//! scrapes, is telemetry's.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod host;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::{Endpoint, Error};

pub use host::{deserialize_host, parse_host, url_host};

/// How long a connection may take to be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a listening port; port 0 takes any free one.
///
/// # Errors
/// The address cannot be bound: it is not of this machine, or the port is taken.
pub async fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(addr).await
}

/// A gRPC server to connect to, by its URL, `http://host:port`. Nothing is connected yet.
///
/// # Errors
/// The text is not a URL.
pub fn endpoint(url: &str) -> Result<Endpoint, Error> {
    Ok(Endpoint::from_shared(url.to_owned())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_of_zero_is_any_free_one() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let taken = bind(addr).await.unwrap().local_addr().unwrap();
        assert_ne!(taken.port(), 0);
    }

    #[test]
    fn a_text_with_blanks_is_no_url() {
        assert!(endpoint("http://[::1]:50050").is_ok());
        assert!(endpoint("no url").is_err());
    }
}
