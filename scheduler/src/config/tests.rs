use clap::Parser;

use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn load(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
    let flags = Flags::parse_from([&["retail-scheduler"], arguments].concat());
    Config::load(&flags, env(variables))
        .map(|(config, _)| config)
        .map_err(|e| e.to_string())
}

#[test]
fn the_embedded_file_has_the_defaults_of_the_code() {
    assert_eq!(load(&[], &[]).unwrap(), Config::default());
}

#[test]
fn every_key_of_the_embedded_file_has_a_comment() {
    let mut comment = false;
    for line in DEFAULTS.lines().map(str::trim) {
        let secret = ["secret_access_key = ", "session_token = "]
            .iter()
            .any(|key| line.starts_with(key));
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(comment || secret, "{line} has no comment");
        }
        comment = line.starts_with('#');
    }
}

#[test]
fn a_file_is_laid_over_the_defaults_and_flags_over_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("retail.toml");
    let text = "[server]\nport = 1\nadmin_port = 2\n[engine]\ntarget_partitions = 7\n[jobs]\nmax_concurrent = 3\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let config = load(
        &["--config", file, "--port", "5", "--data-dir", "/data/lake"],
        &[
            ("RETAIL__SERVER__PORT", "4"),
            ("RETAIL__JOBS__MAX_CONCURRENT", "9"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!((config.server.port, config.server.admin_port), (5, 2));
    assert_eq!(
        (config.engine.target_partitions, config.jobs.max_concurrent),
        (7, 9)
    );
    assert_eq!(config.catalog.uri, "sqlite:///data/lake/catalog.db");
    assert_eq!(config.catalog.warehouse, "file:///data/lake/warehouse");
    assert_eq!(config.engine.batch_size, EngineConfig::default().batch_size);
}

#[test]
fn what_cannot_work_is_refused_before_a_port_is_bound() {
    for (arguments, variables, expected) in [
        (
            &["--port", "http"][..],
            &[][..],
            "--port: server.port: expected a whole number, found \"http\"",
        ),
        (
            &["--admin-port", "50050"],
            &[],
            "--admin-port: server.admin_port: 50050 is server.port already",
        ),
        (
            &[],
            &[("RETAIL__SERVER__PROT", "1")],
            "RETAIL__SERVER__PROT: server.prot: unknown key; did you mean server.port?",
        ),
        (
            &[],
            &[("RETAIL__JOBS__MAX_CONCURRENT", "0")],
            "RETAIL__JOBS__MAX_CONCURRENT: jobs.max_concurrent: must be at least 1",
        ),
        (
            &[],
            &[
                ("RETAIL__CATALOG__URI", "mysql://etl:s3cret@db/x"),
                ("RETAIL__CATALOG__WAREHOUSE", "/w"),
            ],
            "RETAIL__CATALOG__URI: catalog.uri: expected sqlite:///abs/catalog.db or postgresql://…",
        ),
        (
            &[],
            &[("RETAIL__CATALOG__WAREHOUSE", "/w")],
            "default: catalog.uri: not set, but catalog.warehouse is; set both or neither",
        ),
        (
            &["--data-dir", "/d"],
            &[("RETAIL__CATALOG__WAREHOUSE", "gs://b")],
            "",
        ),
        (
            &["--log-level", "inof"],
            &[],
            "--log-level: log.level: log.level is not a filter: \"inof\" is no level; \
             expected a level such as info, or info,retail_jobs=debug",
        ),
    ] {
        match load(arguments, variables) {
            Ok(_) => assert_eq!(expected, "", "{arguments:?} {variables:?}"),
            Err(error) => assert_eq!(error, expected),
        }
    }
    let error = load(&["--log-format", "xml"], &[]).unwrap_err();
    assert!(
        error.starts_with("--log-format: log.format: unknown variant `xml`"),
        "{error}"
    );
    let error = load(&["--host", "localhost"], &[]).unwrap_err();
    assert!(error.starts_with("--host: server.host: "), "{error}");
}

#[test]
fn secrets_are_in_neither_the_printed_nor_the_debug_form() {
    let flags = Flags::parse_from(["retail-scheduler"]);
    let variables = env(&[
        ("RETAIL__CATALOG__URI", "postgresql://etl:s3cret@db/lake"),
        ("RETAIL__CATALOG__WAREHOUSE", "s3://lake"),
        ("RETAIL__STORAGE__S3__SECRET_ACCESS_KEY", "s3cret"),
    ]);
    let (config, settings) = Config::load(&flags, variables).unwrap();
    assert_eq!(
        config.storage.s3.secret_access_key.as_deref(),
        Some("s3cret")
    );
    let shown = format!("{config:?} {}", settings.print());
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(
        shown.contains("uri = \"postgresql://etl:***@db/lake\"  # RETAIL__CATALOG__URI"),
        "{shown}"
    );
}

#[test]
fn the_advertised_name_follows_the_host() {
    let advertised = |arguments: &[&str]| load(arguments, &[]).unwrap().server.advertise_host;
    assert_eq!(advertised(&[]), "127.0.0.1");
    assert_eq!(advertised(&["--host", "10.1.2.3"]), "10.1.2.3");
    assert_eq!(advertised(&["--host", "::1"]), "::1");
    for any in ["0.0.0.0", "::", "[::]"] {
        let own_name = advertised(&["--host", any]);
        assert!(!own_name.is_empty() && own_name != any, "{own_name}");
    }
    assert_eq!(
        advertised(&["--host", "0.0.0.0", "--advertise-host", "scheduler.svc"]),
        "scheduler.svc"
    );
}

#[test]
fn places_of_sources_come_from_a_file_the_environment_or_a_flag_and_the_warehouse_belongs_to_them()
{
    let locations = |arguments: &[&str], variables: &[(&str, &str)]| {
        let config = load(
            &[&["--data-dir", "/data/lake"], arguments].concat(),
            variables,
        );
        config.map(|config| config.locations().unwrap())
    };
    let warehouse = "file:///data/lake/warehouse";
    let by_default = locations(&[], &[]).unwrap();
    assert_eq!(by_default.allowed(), ["s3://", warehouse]);
    assert!(by_default.check("/data/lake/catalog.db").is_err());
    let by_env = [("RETAIL__SOURCES__ALLOW", " /landing , s3://lake/raw,")];
    let by_env = locations(&[], &by_env).unwrap();
    assert_eq!(by_env.allowed(), ["/landing", "s3://lake/raw", warehouse]);
    assert!(by_env.check("s3://lake/other").is_err());
    assert_eq!(locations(&["--allow", ""], &[]).unwrap(), by_default);
    let pattern = load(&["--allow", "s3://lake/raw-*"], &[]).unwrap_err();
    assert_eq!(
        pattern,
        "--allow: sources.allow: s3://lake/raw-* is a pattern; list the folder or prefix above it"
    );
    let uri = [(
        "RETAIL__CATALOG__URI",
        "sqlite:///data/lake/catalog.db?mode=rwc",
    )];
    let with_query = locations(&["--allow", "/data"], &uri);
    let with_query = with_query.unwrap();
    assert!(with_query.check("/data/lake/catalog.db").is_err());
    assert!(with_query.check("/data/lake/other.db").is_ok());

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("retail.toml");
    let secret = dir.path().join("uri");
    std::fs::write(&secret, "postgresql://retail:hunter2@db/retail").unwrap();
    let text = format!(
        "[sources]\nallow = [\"/\"]\n[catalog]\nuri_file = {secret:?}\nwarehouse = \"s3://lake/tables\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = load(&["--config", file.to_str().unwrap()], &[]).unwrap();
    let locations = config.locations().unwrap();
    assert!(locations.check(secret.to_str().unwrap()).is_err());
    assert!(locations.check(file.to_str().unwrap()).is_ok());

    let refused = load(&["--allow", "landing"], &[]).unwrap_err();
    assert_eq!(
        refused,
        "--allow: sources.allow: invalid location landing: expected an absolute path, file:// or s3://"
    );
}
