//! Options of other readers of files, and slips of the pen, in the `meta` of a source.
//!
//! `meta` may hold anything. What would change how a file is read, had it been understood, is refused.

use retail_api::Failure;

use super::yaml::Node;

/// Keys that may stand in `meta`, `config`, `config.meta` or directly.
pub(super) const SETTINGS: [&str; 9] = [
    "external_location",
    "format",
    "delimiter",
    "header",
    "compression",
    "null_values",
    "quote",
    "strict_columns",
    "newlines_in_values",
];

/// What to say instead of the options of pandas, DuckDB, Spark, Trino and of `COPY`.
const INSTEAD: [(&[&str], &str); 10] = [
    (
        &[
            "delim",
            "sep",
            "separator",
            "field_delimiter",
            "fielddelimiter",
        ],
        "say delimiter",
    ),
    (
        &[
            "nullstr",
            "null_value",
            "nullvalue",
            "null_string",
            "na_values",
            "null_if",
            "nullif",
        ],
        "say null_values",
    ),
    (&["quotechar", "quote_char"], "say quote"),
    (&["has_header", "headers"], "say header"),
    (&["compress", "codec"], "say compression"),
    (&["multiline", "multi_line"], "say newlines_in_values"),
    (
        &[
            "skip",
            "skiprows",
            "skip_rows",
            "skip_lines",
            "skip_leading_rows",
            "skip_header_line_count",
            "skipfooter",
            "comment_char",
        ],
        "no line is ignored: delete it from the file",
    ),
    (
        &["encoding", "charset"],
        "files are read as UTF-8: save them so",
    ),
    (
        &[
            "decimal",
            "decimal_separator",
            "decimal_point",
            "thousands",
            "thousands_separator",
            "date_format",
            "dateformat",
            "timestamp_format",
            "timestampformat",
            "datetime_format",
        ],
        "declare the column VARCHAR, and read it in SQL with replace, to_date or to_timestamp",
    ),
    (
        &[
            "escape",
            "escapechar",
            "escape_char",
            "ignore_errors",
            "on_bad_lines",
            "all_varchar",
            "dtype",
            "dtypes",
            "column_types",
            "infer_schema",
            "inferschema",
        ],
        "declare columns with their data_type; a row that is wrong is refused, and quotes within quoted values are doubled",
    ),
];

/// Looks at `meta` and `config.meta` of a source or of a table that is files.
///
/// # Errors
/// A key is an option of another reader, or nearly one of ours.
pub(super) fn refuse(node: &Node<'_>) -> Result<(), Failure> {
    let config = node.get("config");
    let places = [
        node.get("meta"),
        config.as_ref().and_then(|config| config.get("meta")),
    ];
    for place in places.into_iter().flatten() {
        for (key, value) in place.entries()? {
            if SETTINGS.contains(&key.as_str()) || key == "options" {
                continue;
            }
            let plain = key.to_lowercase().replace('-', "_");
            let instead = INSTEAD
                .iter()
                .find(|(keys, _)| keys.contains(&plain.as_str()));
            if let Some((_, instead)) = instead {
                let cause = format!("{key} is no option of a source's files");
                return Err(value.fail(cause).note(*instead));
            }
            // Short words are near to too many others.
            let near = SETTINGS.iter().find(|setting| {
                setting.len() > 6 && strsim::damerau_levenshtein(setting, &plain) <= 2
            });
            if let Some(near) = near {
                return Err(value.fail(format!(
                    "{key} is no option of a source's files; did you mean {near}?"
                )));
            }
        }
    }
    Ok(())
}
