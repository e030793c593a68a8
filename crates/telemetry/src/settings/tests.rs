use std::fs;

use serde::Deserialize;

use super::*;

const DEFAULTS: &str = r#"
[server]
# where to listen
host = "127.0.0.1"
port = 50050

[catalog]
uri = ""
uri_file = ""

[storage.s3]
secret_access_key = ""
secret_access_key_file = ""
path_style = true
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    server: Server,
    #[serde(default)]
    catalog: Catalog,
    storage: Storage,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    host: String,
    port: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    uri: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    s3: S3,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct S3 {
    secret_access_key: Option<String>,
    path_style: bool,
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("retail.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn file_error(text: &str) -> String {
    let (_dir, path) = written(text);
    let mut settings = Settings::with_defaults(DEFAULTS);
    let error = match settings.file(&path) {
        Err(error) => error,
        Ok(()) => settings.read::<Config>().unwrap_err(),
    };
    error
        .to_string()
        .replace(&path.display().to_string(), "retail.toml")
}

#[test]
fn flags_go_over_environment_over_file_over_defaults() {
    let (_dir, path) =
        written("[server]\nhost = \"file\"\nport = 1\n[storage.s3]\npath_style = false\n");
    let mut settings = Settings::with_defaults(DEFAULTS);
    settings.file(&path).unwrap();
    settings
        .env(env(&[
            ("RETAIL__SERVER__PORT", "2"),
            ("RETAIL__SERVER__HOST", "env"),
            ("HOME", "/"),
        ]))
        .unwrap();
    settings.flag("--port", "server.port", "3").unwrap();
    let config: Config = settings.read().unwrap();
    assert_eq!(
        (config.server.host.as_str(), config.server.port),
        ("env", 3)
    );
    assert!(!config.storage.s3.path_style);
    assert_eq!(config.catalog.uri, None);
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_one() {
    assert_eq!(
        file_error("[server]\n# a comment\nprot = 1\n"),
        "retail.toml:3: server.prot: unknown key; did you mean server.port?"
    );
    assert_eq!(
        file_error("[servr]\nport = 1\n"),
        "retail.toml:2: servr.port: unknown key; did you mean server.port?"
    );
    assert_eq!(
        file_error("[kafka]\nbrokers = \"x\"\n"),
        "retail.toml:2: kafka.brokers: unknown key; --print-config lists all of them"
    );
}

#[test]
fn a_whole_number_is_a_number_too() {
    let mut settings = Settings::with_defaults("[scaling]\npoll_s = 2.5\n");
    settings
        .put("scaling.poll_s", Value::Integer(3), Origin::Default)
        .unwrap();
    assert_eq!(settings.entries[0].value, Value::Float(3.0));
}

#[test]
fn a_value_of_another_type_names_what_was_expected() {
    assert_eq!(
        file_error("[server]\nport = \"x\"\n"),
        "retail.toml:2: server.port: expected a whole number, found a text"
    );
    let mut settings = Settings::with_defaults(DEFAULTS);
    let error = settings
        .env(env(&[("RETAIL__STORAGE__S3__PATH_STYLE", "yes")]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "RETAIL__STORAGE__S3__PATH_STYLE: storage.s3.path_style: expected true or false, found \"yes\""
    );
    let error = settings
        .flag("--port", "server.port", "http")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "--port: server.port: expected a whole number, found \"http\""
    );
}

#[test]
fn a_value_out_of_range_is_blamed_on_where_it_was_set() {
    let error = file_error("\n\n[server]\nport = 70000\n");
    assert!(
        error.starts_with("retail.toml:4: server.port: invalid value: integer `70000`"),
        "{error}"
    );
    let mut settings = Settings::with_defaults(DEFAULTS);
    settings.flag("--port", "server.port", "-1").unwrap();
    let error = settings.read::<Config>().unwrap_err().to_string();
    assert!(error.starts_with("--port: server.port: "), "{error}");
}

#[test]
fn broken_toml_and_a_missing_file_name_the_file() {
    assert!(file_error("[server]\nport = = 1\n").starts_with("retail.toml:2: "));
    let mut settings = Settings::with_defaults(DEFAULTS);
    let error = settings
        .file(Path::new("/nowhere/retail.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/nowhere/retail.toml: cannot read it: "),
        "{error}"
    );
}

#[test]
fn a_secret_may_lie_in_a_file_and_the_later_layer_counts() {
    let (_dir, secret) = written("s3cret\n");
    let mut settings = Settings::with_defaults(DEFAULTS);
    let path = secret.display().to_string();
    settings
        .env(env(&[(
            "RETAIL__STORAGE__S3__SECRET_ACCESS_KEY_FILE",
            &path,
        )]))
        .unwrap();
    let read = |settings: &Settings| {
        settings
            .read::<Config>()
            .unwrap()
            .storage
            .s3
            .secret_access_key
    };
    assert_eq!(read(&settings).as_deref(), Some("s3cret"));
    settings
        .flag("--secret", "storage.s3.secret_access_key", "other")
        .unwrap();
    assert_eq!(read(&settings).as_deref(), Some("other"));
    settings
        .flag(
            "--secret-file",
            "storage.s3.secret_access_key_file",
            "/nowhere",
        )
        .unwrap();
    let error = settings.read::<Config>().unwrap_err().to_string();
    assert!(
        error.starts_with("--secret-file: storage.s3.secret_access_key_file: cannot read /nowhere"),
        "{error}"
    );
}

#[test]
fn a_secret_and_its_file_in_one_file_are_refused() {
    assert_eq!(
        file_error("[catalog]\nuri = \"sqlite:///x\"\nuri_file = \"/y\"\n"),
        "retail.toml:2: catalog.uri: catalog.uri_file is set too; keep one of them"
    );
}

#[test]
fn printed_settings_say_where_each_was_set_and_hide_secrets() {
    let mut settings = Settings::with_defaults(DEFAULTS);
    settings
        .env(env(&[
            (
                "RETAIL__CATALOG__URI",
                "postgresql://etl:s3cret@db/lake?sslpassword=s3cret&x=1",
            ),
            ("RETAIL__STORAGE__S3__SECRET_ACCESS_KEY", "s3cret"),
        ]))
        .unwrap();
    let shown = settings.print();
    assert!(
        !shown.contains("s3cret") && !format!("{settings:?}").contains("s3cret"),
        "{shown}"
    );
    assert!(shown.contains(
        "uri = \"postgresql://etl:***@db/lake?sslpassword=***&x=1\"  # RETAIL__CATALOG__URI"
    ));
    assert!(
        shown.contains("[server]\nhost = \"127.0.0.1\"  # default\nport = 50050  # default\n"),
        "{shown}"
    );
    let again: toml::Table = toml::from_str(&shown).unwrap();
    assert_eq!(again["server"]["port"].as_integer(), Some(50050));
}

#[test]
fn a_text_with_line_breaks_is_read_back_and_blamed_rightly() {
    let (_dir, path) = written("[catalog]\nuri = \"\"\"\na\nb\"\"\"\n[server]\nport = 70000\n");
    let mut settings = Settings::with_defaults(DEFAULTS);
    settings.file(&path).unwrap();
    let error = settings.read::<Config>().unwrap_err().to_string();
    assert!(error.contains(":6: server.port: "), "{error}");
}
