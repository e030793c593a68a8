//! A cluster whose ports bind to IPv6 addresses. Both processes run in this one: they find each other by URL alone.

use std::time::Duration;

use futures::StreamExt;
use retail_executor::Settings;
use retail_proto::v1;
use retail_proto::v1::query_client::QueryClient;
use retail_proto::v1::sql_response::Response;
use retail_scheduler::{Config, WithoutCatalog};
use tonic::transport::Channel;

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_on_ipv6_addresses_runs_queries() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    }
    for host in ["::", "::1"] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::in_dir(dir.path());
        config.server.host = host.parse().unwrap();
        config.server.advertise_host = "::1".to_owned();
        (config.server.port, config.server.admin_port) = (0, 0);
        let storage = config.storage.clone();
        let scheduler = retail_scheduler::start(config, WithoutCatalog::Fail)
            .await
            .unwrap();
        assert!(scheduler.url().starts_with("http://[::1]:"));
        let executor = retail_executor::start(Settings {
            host: host.parse().unwrap(),
            advertise_host: "::1".to_owned(),
            flight_port: 0,
            grpc_port: 0,
            scheduler_url: scheduler.url(),
            slots: 2,
            memory_bytes: 256 << 20,
            work_dir: dir.path().join("work"),
            heartbeat_s: 5,
            storage,
            secret_files: vec![],
        });
        let executor = executor.await.unwrap();
        let channel = Channel::from_shared(scheduler.url()).unwrap();
        let mut query = QueryClient::new(channel.connect().await.unwrap());
        let request = v1::SqlRequest {
            sql: "SELECT x, count(*) FROM (VALUES (1), (2), (2)) AS t(x) GROUP BY x".to_owned(),
            ..Default::default()
        };
        let mut messages = query.sql(request).await.unwrap().into_inner();
        let mut sent_rows = false;
        while let Some(message) = messages.next().await {
            sent_rows |= matches!(message.unwrap().response, Some(Response::ArrowIpc(_)));
        }
        assert!(sent_rows, "{host}");
        executor.stop(GRACE).await;
        scheduler.shutdown(GRACE).await;
    }
}
