//! `--vars`: YAML keys and values as in dbt, or `name=value`, any number of times.

use std::path::{Component, Path, PathBuf};

use retail_project::vars_of_yaml;
use serde_json::{Map, Value};

use crate::error::SubmitError;

/// Reads the values of `--vars` in order; later ones win. Relative paths are made absolute below `current_dir`: the
/// value of `input`, and any other that begins with `./` or `../`. Everything else stays as it is written.
pub(crate) fn parse(
    arguments: &[String],
    current_dir: &Path,
) -> Result<Map<String, Value>, SubmitError> {
    let mut vars = Map::new();
    for argument in arguments {
        let is_pair = match (argument.find('='), argument.find(':')) {
            _ if argument.trim_start().starts_with('{') => false,
            (Some(equals), Some(colon)) => equals < colon,
            (equals, colon) => equals.is_some() || colon.is_none(),
        };
        if !is_pair {
            let more = vars_of_yaml(argument).map_err(|reason| bad(argument, &reason))?;
            if let Some(number) = more.keys().find(|name| name.parse::<f64>().is_ok()) {
                return Err(bad(argument, &format!("{number} is no name")));
            }
            vars.extend(more);
            continue;
        }
        let Some((name, value)) = argument
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
        else {
            return Err(bad(argument, "there is no = in it"));
        };
        vars.insert(name.trim().to_string(), scalar(value));
    }
    for (name, value) in &mut vars {
        if let Value::String(text) = value
            && let Some(absolute) = absolute(name, text, current_dir)
        {
            *text = absolute;
        }
    }
    Ok(vars)
}

fn bad(argument: &str, reason: &str) -> SubmitError {
    SubmitError::config_with(
        format!("cannot read --vars {argument:?}: {reason}"),
        "write --vars input=./data day=2 or --vars '{day: 2, stores: [1, 2]}'",
    )
}

/// A number, true, false or null as such, anything else as text. What a number would change stays text: `007` and `1e5`
/// are codes, and a number of more digits than are kept loses some; only zeros behind the point may go.
fn scalar(text: &str) -> Value {
    let bare = match text.contains('.') {
        true => text.trim_end_matches('0'),
        false => text,
    };
    let is_whole = bare.ends_with('.');
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Number(number)) if number.to_string() != bare && !is_whole => text.into(),
        Ok(Value::Number(number)) if is_whole && number.to_string() != format!("{bare}0") => {
            text.into()
        }
        Ok(value) if !value.is_string() => value,
        _ => text.into(),
    }
}

fn absolute(name: &str, text: &str, current_dir: &Path) -> Option<String> {
    let path = Path::new(text);
    let is_path = name == "input" || text.starts_with("./") || text.starts_with("../");
    if text.is_empty() || text.contains("://") || path.is_absolute() || !is_path {
        return None;
    }
    Some(clean(&current_dir.join(path)).display().to_string())
}

/// The path without `.` and `..`, whether it exists or not.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(arguments: &[&str], dir: &Path) -> Value {
        Value::Object(
            parse(
                &arguments
                    .iter()
                    .map(|text| text.to_string())
                    .collect::<Vec<_>>(),
                dir,
            )
            .unwrap(),
        )
    }

    #[test]
    fn names_and_json_mix_and_the_later_wins() {
        let vars = parsed(
            &[
                "day=1",
                r#"{"day": 2, "list": [1]}"#,
                "from=2024-01-01",
                "zip=007",
                "on=true",
                "x=prod",
            ],
            Path::new("/x"),
        );
        assert_eq!(
            vars,
            json!({"day": 2, "list": [1], "from": "2024-01-01", "zip": "007", "on": true, "x": "prod"})
        );
    }

    #[test]
    fn yaml_is_read_as_dbt_reads_it() {
        let vars = parsed(
            &[
                "{day: 2, target: prod, on: true, list: ['a', b], zip: '007', none: null}",
                "from: 2024-01-01",
                "q=a: b",
                "exponent=1e5",
                "float=1.5e3",
                "big=123456789012345678901234567890",
                "long=12345678901234567.89",
                "cents=0.1000000000000000055",
                "price=1.50",
                "one=1.00",
                "tenth=-0.10",
                "spaced= prod",
                "upper=True",
                "empty=",
            ],
            Path::new("/x"),
        );
        assert_eq!(
            vars,
            json!({
                "day": 2, "target": "prod", "on": true, "list": ["a", "b"], "zip": "007", "none": null,
                "from": "2024-01-01", "q": "a: b", "exponent": "1e5", "big": "123456789012345678901234567890",
                "float": "1.5e3", "long": "12345678901234567.89", "cents": "0.1000000000000000055", "price": 1.5, "one": 1.0,
                "tenth": -0.1, "spaced": " prod", "upper": "True", "empty": "",
            })
        );
    }

    #[test]
    fn input_and_what_is_written_as_a_path_become_absolute() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("seeds")).unwrap();
        let vars = parsed(
            &[
                "input=./data/../in",
                "other=./seeds",
                "word=seeds",
                "cloud=s3://b/in",
            ],
            dir.path(),
        );
        let base = dir.path().display();
        assert_eq!(
            vars,
            json!({"input": format!("{base}/in"), "other": format!("{base}/seeds"), "word": "seeds", "cloud": "s3://b/in"})
        );
    }

    #[test]
    fn bad_vars_are_a_setting_gone_wrong() {
        for argument in ["day", "=2", "{", "{1, 2}", "- a: 1"] {
            let error = parse(&[argument.to_string()], Path::new("/")).unwrap_err();
            assert_eq!(
                error.exit_code(),
                crate::exit::ExitCode::Config,
                "{argument}"
            );
        }
    }
}
