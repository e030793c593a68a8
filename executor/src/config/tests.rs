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
fn the_embedded_file_says_what_the_code_defaults_to() {
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
fn what_cannot_work_is_refused_before_a_port_is_bound() {
    for (arguments, expected) in [
        (
            &["--scheduler", "localhost:50050"][..],
            "--scheduler: scheduler.url: localhost:50050 is no address of a scheduler; expected http://host:port",
        ),
        (
            &["--port", "50052"],
            "default: server.grpc_port: 50052 is server.flight_port already",
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
    let error = load(&[], &[("RETAIL__RESOURCE__SLOTS", "1")]).unwrap_err();
    assert_eq!(
        error,
        "RETAIL__RESOURCE__SLOTS: resource.slots: unknown key; did you mean resources.slots?"
    );
}
