//! `sources:` in YAML: which files (or Iceberg tables) the tables are that models read.

use std::collections::BTreeMap;

use retail_api::TableName;

use retail_api::Failure;

use super::config::identifier;
use super::foreign_options::{self, SETTINGS};
use super::project::Warning;
use super::properties::columns;
use super::render::Renderer;
use super::test_yaml::{self, Declared};
use super::yaml::Node;
use retail_api::source::{
    Compression, FileFormat, FileOptions, Location, Source, SourceLocation, SourceRef,
};
use retail_api::suggest::did_you_mean;

/// Keys of a source or of its table that say nothing about where it is.
const IGNORED: [&str; 12] = [
    "name",
    "schema",
    "identifier",
    "description",
    "tables",
    "columns",
    "loader",
    "loaded_at_field",
    "loaded_at_query",
    "freshness",
    "tags",
    "quoting",
];

/// Reads one entry of `sources:`, all of its tables; their tests go to `declared`.
///
/// `external_location` is looked for at the table, then at the source; Jinja is rendered, then `{name}` and
/// `{identifier}` are filled in. It must be an absolute path or `s3://…`: the server does not know the client's
/// folder. (The client makes the variable `input` absolute before it submits.)
pub(crate) fn source(
    node: &Node<'_>,
    renderer: &Renderer,
    declared: &mut Vec<(SourceRef, Declared)>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Source>, Failure> {
    let name = node
        .get("name")
        .ok_or_else(|| node.fail("a source needs a name"))?;
    let source_name = name.text()?;
    let schema = match node.get("schema") {
        Some(schema) => {
            let text = renderer
                .value(&schema.text()?)
                .map_err(|cause| schema.fail(cause))?;
            identifier("schema", &text).map_err(|cause| schema.fail(cause))?
        }
        None => identifier("source", &source_name).map_err(|cause| name.fail(cause))?,
    };
    let common = settings(node)?;
    warn_of_ineffective(node, warnings)?;
    if !is_enabled(node, renderer)? {
        return Ok(vec![]);
    }
    let tables = node
        .get("tables")
        .ok_or_else(|| node.fail(format!("source {source_name} has no tables")))?;
    let mut sources: Vec<Source> = vec![];
    for table in tables.items()? {
        let name_node = table
            .get("name")
            .ok_or_else(|| table.fail("a table needs a name"))?;
        let name = name_node.text()?;
        if sources.iter().any(|s| s.name == name) {
            return Err(name_node.fail(format!("source {source_name} has table {name} twice")));
        }
        let identifier = match table.get("identifier") {
            Some(node) => {
                let text = renderer
                    .value(&node.text()?)
                    .map_err(|cause| node.fail(cause))?;
                identifier("identifier", &text).map_err(|cause| node.fail(cause))?
            }
            None => identifier("table", &name).map_err(|cause| name_node.fail(cause))?,
        };
        let mut found = common.clone();
        found.extend(settings(&table)?);
        warn_of_ineffective(&table, warnings)?;
        if !is_enabled(&table, renderer)? {
            continue;
        }
        let table_name = TableName {
            namespace: schema.clone(),
            name: identifier.clone(),
        };
        let mut tests = vec![];
        for key in ["tests", "data_tests"] {
            if let Some(node) = table.get(key) {
                for test in node.items()? {
                    tests.push(test_yaml::test(&test, None)?);
                }
            }
        }
        if found.contains_key("external_location") {
            foreign_options::refuse(node)?;
            foreign_options::refuse(&table)?;
        }
        sources.push(Source {
            location: match found.get("external_location") {
                Some(location) => files(location, &found, &name, &identifier, renderer)?,
                None => SourceLocation::Iceberg {
                    table: table_name.clone(),
                },
            },
            table: table_name,
            description: table
                .get("description")
                .map(|d| d.text())
                .transpose()?
                .unwrap_or_default()
                .trim()
                .to_string(),
            columns: match table.get("columns") {
                Some(node) => columns(&node, renderer, &mut tests, None, warnings)?,
                None => vec![],
            },
            strict_columns: found
                .get("strict_columns")
                .map_or(Ok(false), |s| s.boolean())?,
            defined_at: Location {
                file: node.file().to_string(),
                line: name_node.line(),
            },
            source_name: source_name.clone(),
            name,
        });
        let read = sources.last().map(Source::source_ref);
        declared.extend(read.into_iter().flat_map(|source| {
            let of_source = |test| (source.clone(), test);
            std::mem::take(&mut tests)
                .into_iter()
                .map(of_source)
                .collect::<Vec<_>>()
        }));
    }
    Ok(sources)
}

/// The settings of a source or table, wherever dbt lets them stand.
fn settings<'a>(node: &Node<'a>) -> Result<BTreeMap<String, Node<'a>>, Failure> {
    let mut found = BTreeMap::new();
    let config = node.get("config");
    let config_meta = config.as_ref().and_then(|c| c.get("meta"));
    let places = [
        (Some(node.clone()), true),
        (node.get("meta"), false),
        (config, true),
        (config_meta, false),
    ];
    for (place, strict) in places
        .into_iter()
        .filter_map(|(place, strict)| Some((place?, strict)))
    {
        for (key, value) in place.entries()? {
            match key.as_str() {
                k if SETTINGS.contains(&k) => {
                    found.insert(key, value);
                }
                "options" => {
                    for (key, value) in value.entries()? {
                        if !SETTINGS.contains(&key.as_str()) {
                            let near = did_you_mean(&key, SETTINGS);
                            return Err(value.fail(format!("there is no option {key}{near}")));
                        }
                        found.insert(key, value);
                    }
                }
                "meta" | "config" | "enabled" | "docs" | "event_time" | "tests" | "data_tests" => {}
                "database" => {}
                "overrides" => {
                    return Err(value.fail(format!("{key} is not supported yet")));
                }
                k if strict && !IGNORED.contains(&k) && is_near(k) => {
                    let near = did_you_mean(
                        k,
                        SETTINGS
                            .into_iter()
                            .chain(IGNORED)
                            .chain(["options", "meta", "config"]),
                    );
                    return Err(value.fail(format!("a source has no key {k}{near}")));
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Whether a key is nearly one of ours, and so a slip of the pen; dbt takes others and does nothing with them.
fn is_near(key: &str) -> bool {
    let known = SETTINGS
        .into_iter()
        .chain(IGNORED)
        .chain(["options", "meta", "config"]);
    !did_you_mean(key, known).is_empty()
}

/// Warns of what a source or its table declares that has no effect.
fn warn_of_ineffective(node: &Node<'_>, warnings: &mut Vec<Warning>) -> Result<(), Failure> {
    let config = node.get("config").map(|config| config.entries());
    for (key, value) in config.transpose()?.unwrap_or_default() {
        let text = match key.trim_start_matches('+') {
            "freshness" | "loaded_at_query" => format!("{key} of sources is not checked"),
            "meta" | "enabled" | "tags" | "docs" | "loaded_at_field" | "quoting" | "options" => {
                continue;
            }
            k if SETTINGS.contains(&k) => continue,
            _ => format!("setting {key} of a source has no effect"),
        };
        if !value.is_empty() {
            warnings.push(Warning::new(text, value.at()));
        }
    }
    for (key, value) in node.entries()? {
        let text = match key.as_str() {
            "freshness" | "loaded_at_query" => format!("{key} of sources is not checked"),
            "database" => {
                "database has no effect: a source is found by its schema and table".to_string()
            }
            k if IGNORED.contains(&k) || SETTINGS.contains(&k) => continue,
            "options" | "meta" | "config" | "enabled" | "docs" | "tests" | "data_tests" => continue,
            k => format!("a source has no key {k}; it has no effect"),
        };
        if !value.is_empty() {
            warnings.push(Warning::new(text, value.at()));
        }
    }
    Ok(())
}

/// `enabled: false` of a source or table, itself or in its config.
fn is_enabled(node: &Node<'_>, renderer: &Renderer) -> Result<bool, Failure> {
    let own = node
        .get("config")
        .and_then(|c| c.get("enabled"))
        .or_else(|| node.get("enabled"));
    let Some(own) = own else {
        return Ok(true);
    };
    let text = renderer
        .value(&own.text()?)
        .map_err(|cause| own.fail(cause))?;
    match text.trim().to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(own.fail("expected true or false here")),
    }
}

fn files(
    location: &Node<'_>,
    settings: &BTreeMap<String, Node<'_>>,
    name: &str,
    identifier: &str,
    renderer: &Renderer,
) -> Result<SourceLocation, Failure> {
    let text = renderer
        .value(&location.text()?)
        .map_err(|cause| location.fail(cause))?;
    let pattern = text
        .replace("{name}", name)
        .replace("{identifier}", identifier)
        .trim()
        .to_string();
    match pattern.split_once("://") {
        Some(("s3" | "file", _)) => {}
        Some((scheme, _)) => {
            return Err(location.fail(format!(
                "{scheme}:// is not supported yet; use a path or s3://"
            )));
        }
        None if pattern.starts_with('/') => {}
        None => {
            return Err(location
                .fail(format!("{pattern} is relative, and the cluster does not know your folder"))
                .note("give an absolute path or s3://…, e.g. \"{{ var('input') }}/orders.csv\" with --vars input=…"));
        }
    }
    let mut options = FileOptions::default();
    let ending = pattern.rsplit_once('.');
    let ending = ending.map(|(stem, ending)| (stem, ending.to_lowercase()));
    let packed = |ending: &str| {
        matches!(
            ending,
            "bz2" | "xz" | "lz4" | "snappy" | "br" | "zip" | "7z" | "z" | "lzo"
        )
    };
    let (stem, compression) = match &ending {
        Some((stem, ending)) if ["gz", "gzip"].contains(&ending.as_str()) => {
            (*stem, Compression::Gzip)
        }
        Some((stem, ending)) if ["zst", "zstd"].contains(&ending.as_str()) => {
            (*stem, Compression::Zstd)
        }
        Some((_, ending)) if packed(ending) => {
            return Err(location
                .fail(format!("files packed as {ending} are not read"))
                .note("unpack them, or pack them with gzip or zstd"));
        }
        _ => (pattern.as_str(), Compression::None),
    };
    options.compression = compression;
    let word = match settings.get("format") {
        Some(format) => format.text()?.to_lowercase(),
        None => stem
            .rsplit('/')
            .next()
            .and_then(|file| file.rsplit_once('.'))
            .map_or("", |(_, e)| e)
            .to_lowercase(),
    };
    let format = match word.as_str() {
        "parquet" => FileFormat::Parquet,
        "csv" | "tsv" => FileFormat::Csv,
        "json" | "jsonl" | "ndjson" => FileFormat::Json,
        "" => {
            return Err(location
                .fail(format!("cannot infer the format of {pattern}"))
                .note("add format: parquet, csv or json"));
        }
        other => {
            let near = did_you_mean(other, ["parquet", "csv", "json", "jsonl", "ndjson"]);
            let node = settings.get("format").unwrap_or(location);
            return Err(node.fail(format!(
                "format {other} is not supported; parquet, csv and json are{near}"
            )));
        }
    };
    if word == "tsv" {
        options.delimiter = b'\t';
    }
    read_options(settings, &mut options)?;
    Ok(SourceLocation::Files {
        pattern,
        format,
        options,
    })
}

fn read_options(
    settings: &BTreeMap<String, Node<'_>>,
    options: &mut FileOptions,
) -> Result<(), Failure> {
    let byte = |node: &Node<'_>, what: &str| match node.text()?.as_str() {
        "\\t" | "tab" => Ok(b'\t'),
        text if text.len() == 1 => Ok(text.as_bytes()[0]),
        text => Err(node.fail(format!("{what} must be one ASCII character, not {text:?}"))),
    };
    if let Some(node) = settings.get("delimiter") {
        options.delimiter = byte(node, "delimiter")?;
    }
    if let Some(node) = settings.get("quote") {
        options.quote = byte(node, "quote")?;
    }
    if let Some(node) = settings.get("header") {
        options.header = node.boolean()?;
    }
    if let Some(node) = settings.get("newlines_in_values") {
        options.newlines_in_values = node.boolean()?;
    }
    if let Some(node) = settings.get("null_values") {
        options.null_values = node
            .texts()?
            .into_iter()
            .filter(|v| !v.is_empty())
            .collect();
    }
    if let Some(node) = settings.get("compression") {
        options.compression = match node.text()?.to_lowercase().as_str() {
            "none" | "uncompressed" => Compression::None,
            "gzip" | "gz" => Compression::Gzip,
            "zstd" | "zst" => Compression::Zstd,
            "auto" => options.compression,
            other => {
                return Err(node.fail(format!(
                    "compression {other} is not supported; none, gzip and zstd are"
                )));
            }
        };
    }
    Ok(())
}
