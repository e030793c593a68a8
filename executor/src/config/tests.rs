use clap::Parser;

use super::*;

fn load(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
    let flags = Flags::parse_from([&["retail-executor"], arguments].concat());
    let variables = variables
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    Config::load(&flags, variables)
        .map(|(config, _)| config)
        .map_err(|e| e.to_string())
}

#[test]
fn the_embedded_file_has_the_defaults_of_the_code() {
    assert_eq!(load(&[], &[]).unwrap(), Config::default());
}

#[test]
fn flags_go_over_the_environment() {
    let config = load(
        &[
            "--scheduler",
            "http://sched:1",
            "--slots",
            "3",
            "--memory",
            "1GiB",
            "--work-dir",
            "/w",
            "--port",
            "0",
        ],
        &[
            ("RETAIL__RESOURCES__SLOTS", "9"),
            ("RETAIL__RESOURCES__DRAIN_GRACE_S", "7"),
        ],
    )
    .unwrap();
    let settings = config.settings();
    assert_eq!(
        (settings.slots, settings.memory_bytes, settings.flight_port),
        (3, 1 << 30, 0)
    );
    assert_eq!(
        (settings.scheduler_url.as_str(), settings.work_dir),
        ("http://sched:1", PathBuf::from("/w"))
    );
    assert_eq!(
        (config.drain_grace(), settings.advertise_host.as_str()),
        (Duration::from_secs(7), "127.0.0.1")
    );
}

#[test]
fn what_is_left_open_is_found_out() {
    let settings = Config::default().settings();
    assert!(settings.slots > 0 && settings.memory_bytes > 0 && settings.work_dir.is_absolute());
    let mut config = Config::default();
    config.server.host = IpAddr::from([0, 0, 0, 0]);
    let host = config.advertise_host();
    assert!(!host.is_empty() && host != "0.0.0.0", "{host}");
}

#[test]
fn ports_that_are_left_open_do_not_collide() {
    let open = ["--port", "0", "--grpc-port", "0", "--admin-port", "0"];
    let settings = load(&open, &[]).unwrap().settings();
    assert_eq!((settings.flight_port, settings.grpc_port), (0, 0));
}

#[test]
fn an_executor_that_cannot_find_its_scheduler_is_known_by_its_machines_name() {
    let url = "http://no-such-host.invalid:50050";
    let config = load(&["--host", "0.0.0.0", "--scheduler", url], &[]).unwrap();
    assert_eq!(config.advertise_host(), host_name());
    assert!(!host_name().is_empty());
    let named = ["--host", "0.0.0.0", "--advertise-host", "shop-1"];
    assert_eq!(load(&named, &[]).unwrap().advertise_host(), "shop-1");
}

#[test]
fn hosts_and_urls_may_be_of_ipv6() {
    let advertised = |host: &str| {
        let arguments = ["--host", host, "--scheduler", "http://[::1]:50050"];
        load(&arguments, &[]).unwrap().advertise_host()
    };
    assert_eq!(
        (advertised("::1"), advertised("[::1]")),
        ("::1".to_owned(), "::1".to_owned())
    );
    for any in ["::", "[::]"] {
        let towards_scheduler = advertised(any);
        assert_ne!(towards_scheduler, "::");
        assert_ne!(towards_scheduler, any);
    }
}

#[test]
fn what_cannot_work_is_refused_before_a_port_is_bound() {
    for (arguments, expected) in [
        (
            &["--scheduler", "localhost:50050"][..],
            "--scheduler: scheduler.url: localhost:50050 is no address of a scheduler; expected http://host:port",
        ),
        (
            &["--scheduler", "http://::1:50050"],
            "--scheduler: scheduler.url: http://::1:50050 is no address of a scheduler; expected http://host:port",
        ),
        (
            &["--scheduler", "http://shop"],
            "--scheduler: scheduler.url: http://shop is no address of a scheduler; expected http://host:port",
        ),
        (
            &["--port", "50052"],
            "default: server.grpc_port: 50052 is server.flight_port already",
        ),
        (
            &["--admin-port", "50051"],
            "--admin-port: server.admin_port: 50051 is server.flight_port already",
        ),
        (
            &["--memory", "lots"],
            "--memory: resources.memory_bytes: expected a whole number, found \"lots\"",
        ),
        (
            &["--slots", "many"],
            "--slots: resources.slots: expected a whole number, found \"many\"",
        ),
    ] {
        assert_eq!(load(arguments, &[]).unwrap_err(), expected);
    }
    let error = load(&[], &[("RETAIL__SCHEDULER__HEARTBEAT_S", "0")]).unwrap_err();
    assert_eq!(
        error,
        "RETAIL__SCHEDULER__HEARTBEAT_S: scheduler.heartbeat_s: must be at least 1"
    );
    let error = load(&[], &[("RETAIL__RESOURCE__SLOTS", "1")]).unwrap_err();
    assert_eq!(
        error,
        "RETAIL__RESOURCE__SLOTS: resource.slots: unknown key; did you mean resources.slots?"
    );
}

#[test]
fn opentelemetrys_own_variables_count_below_everything_of_ours() {
    let theirs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://any:4317"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ("OTEL_SERVICE_NAME", ""),
    ];
    let trace = load(&[], &theirs).unwrap().trace;
    assert_eq!(
        (trace.endpoint.as_str(), trace.sample_ratio),
        ("http://any:4317", 0.5)
    );
    assert_eq!(trace.service_name, "retail-executor");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("retail.toml");
    std::fs::write(
        &file,
        "[trace]\nendpoint = \"http://ours:4317\"\nsample_ratio = 1\n",
    )
    .unwrap();
    let trace = load(&["--config", file.to_str().unwrap()], &theirs)
        .unwrap()
        .trace;
    assert_eq!(
        (trace.endpoint.as_str(), trace.sample_ratio),
        ("http://ours:4317", 1.0)
    );
    for (name, text, expected) in [
        (
            "OTEL_TRACES_SAMPLER_ARG",
            "half",
            "OTEL_TRACES_SAMPLER_ARG: trace.sample_ratio: expected a number",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "https://x:4317",
            "OTEL_EXPORTER_OTLP_ENDPOINT: trace.endpoint: spans are sent without TLS",
        ),
        (
            "RETAIL__TRACE__ENDPOINT",
            "collector:4317",
            "RETAIL__TRACE__ENDPOINT: trace.endpoint: expected http://host:4317",
        ),
        (
            "RETAIL__TRACE__SAMPLE_RATIO",
            "1.5",
            "RETAIL__TRACE__SAMPLE_RATIO: trace.sample_ratio: 1.5 is not between 0 and 1",
        ),
    ] {
        let error = load(&[], &[(name, text)]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
