use clap::Parser;

use super::*;

fn load(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
    let flags = Flags::parse_from([&["retail-operator"], arguments].concat());
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
        &["--namespace", "a", "--admin-port", "0"],
        &[
            ("RETAIL__KUBERNETES__NAMESPACE", "b"),
            ("RETAIL__LEADER__ENABLED", "false"),
            ("RETAIL__SCALING__POLL_S", "2"),
        ],
    )
    .unwrap();
    assert_eq!(config.kubernetes.namespace, "a");
    assert_eq!(config.admin_addr().port(), 0);
    assert_eq!((config.leader.enabled, config.scaling.poll_s), (false, 2.0));
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    for (name, value, expected) in [
        (
            "RETAIL__LEADER__RENEW_S",
            "8",
            "leader.renew_s: must be at most half of leader.lease_s, 15",
        ),
        (
            "RETAIL__SCALING__POLL_S",
            "0",
            "scaling.poll_s: must be between 0.01 and 86400",
        ),
        (
            "RETAIL__KUBERNETES__CONCURRENCY",
            "0",
            "kubernetes.concurrency: must be at least 1",
        ),
        (
            "RETAIL__LEADER__LEASE_S",
            "long",
            "leader.lease_s: expected a number",
        ),
        (
            "RETAIL__SCALING__POLLS",
            "1",
            "did you mean scaling.poll_s?",
        ),
    ] {
        let error = load(&[], &[(name, value)]).unwrap_err();
        assert!(error.starts_with(name), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}
