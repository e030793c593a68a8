use std::path::Path;

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::ObjectStoreExt;
use object_store::path::Path as ObjectPath;

use tonic::{Code, Status as GrpcStatus};

use super::*;

#[test]
fn a_registration_is_repeated_unless_it_can_never_be_accepted() {
    for code in [
        Code::Unavailable,
        Code::Internal,
        Code::Unknown,
        Code::DeadlineExceeded,
        Code::Cancelled,
    ] {
        assert!(may_pass(&GrpcStatus::new(code, "")), "{code:?}");
    }
    for code in [
        Code::Unimplemented,
        Code::InvalidArgument,
        Code::PermissionDenied,
        Code::Unauthenticated,
    ] {
        assert!(!may_pass(&GrpcStatus::new(code, "")), "{code:?}");
    }
}

#[tokio::test]
async fn a_scheduler_that_is_no_address_is_named() {
    let refused = connect("scheduler 50050").await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "scheduler 50050 is no scheduler address; use http://host:port"
    );
}

fn settings(dir: &Path) -> Settings {
    Settings {
        host: IpAddr::from([127, 0, 0, 1]),
        advertise_host: "127.0.0.1".to_owned(),
        flight_port: 0,
        grpc_port: 0,
        scheduler_url: "http://127.0.0.1:1".to_owned(),
        slots: 1,
        memory_bytes: 64 << 20,
        work_dir: dir.to_owned(),
        heartbeat_s: 5,
        storage: StorageConfig::default(),
        secret_files: vec![],
    }
}

/// Whatever a task's plan names, it gets its stores from the runtime that the executor makes for it.
#[tokio::test]
async fn a_task_reads_and_writes_only_where_the_scheduler_allows() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for folder in ["warehouse", "secrets"] {
        std::fs::create_dir(root.join(folder)).unwrap();
        std::fs::write(root.join(folder).join("a"), "rows").unwrap();
    }
    let allowed = Locations::of([root.join("warehouse").display().to_string()]).unwrap();
    let registration = ExecutorRegistration::default();
    let runner = task_runner(&settings(&root), allowed, registration, "/unused").unwrap();
    let config = session_config(&EngineConfig::default(), 1);
    let runtime = runner.produce_runtime(&config).unwrap();
    let of_session = runner.produce_runtime_for_session("s", &config, 1).unwrap();
    for runtime in [runtime, of_session] {
        let url = ObjectStoreUrl::parse("file:///").unwrap();
        let store = runtime.object_store(&url).unwrap();
        let path = |name: &str| ObjectPath::parse(root.join(name).to_str().unwrap()).unwrap();
        assert!(store.get(&path("warehouse/a")).await.is_ok());
        store
            .put(&path("warehouse/b"), "rows".into())
            .await
            .unwrap();
        let refused = [
            store.get(&path("secrets/a")).await.map(|_| ()),
            store
                .put(&path("secrets/b"), "rows".into())
                .await
                .map(|_| ()),
            store.delete(&path("secrets/a")).await,
        ];
        for outcome in refused {
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, object_store::Error::PermissionDenied { .. }),
                "{error}"
            );
        }
    }
    assert_eq!(std::fs::read_dir(root.join("secrets")).unwrap().count(), 1);
}
