//! `--vars`: one JSON object, or `name=value`, any number of times.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::SubmitError;

/// Reads the values of `--vars` in order; later ones win. Relative paths are made absolute below `current_dir`.
///
/// The value of `input` is always taken for a path unless it names a scheme (`s3://…`); any other text is, if
/// something with that path exists.
pub fn parse(arguments: &[String], current_dir: &Path) -> Result<Map<String, Value>, SubmitError> {
    let mut vars = Map::new();
    for argument in arguments {
        if argument.trim_start().starts_with('{') {
            match serde_json::from_str::<Value>(argument) {
                Ok(Value::Object(more)) => vars.extend(more),
                Ok(_) => return Err(bad(argument, "it is not an object")),
                Err(error) => return Err(bad(argument, &error.to_string())),
            }
        } else {
            let Some((name, value)) = argument
                .split_once('=')
                .filter(|(name, _)| !name.trim().is_empty())
            else {
                return Err(bad(argument, "there is no = in it"));
            };
            vars.insert(name.trim().to_string(), scalar(value));
        }
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
        "write --vars input=./data day=2 or --vars '{\"day\": 2}'",
    )
}

/// A number, true, false or null as such, anything else as text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if !value.is_string() => value,
        _ => Value::String(text.to_string()),
    }
}

fn absolute(name: &str, text: &str, current_dir: &Path) -> Option<String> {
    let path = Path::new(text);
    if text.is_empty() || text.contains("://") || path.is_absolute() {
        return None;
    }
    let joined = clean(&current_dir.join(path));
    (name == "input" || joined.exists()).then(|| joined.display().to_string())
}

/// The path without `.` and `..`, whether it exists or not.
pub fn clean(path: &Path) -> PathBuf {
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
            ],
            Path::new("/x"),
        );
        assert_eq!(
            vars,
            json!({"day": 2, "list": [1], "from": "2024-01-01", "zip": "007", "on": true})
        );
    }

    #[test]
    fn input_and_existing_paths_become_absolute() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("seeds")).unwrap();
        let vars = parsed(
            &[
                "input=./data/../in",
                "other=seeds",
                "word=nothing",
                "cloud=s3://b/in",
            ],
            dir.path(),
        );
        let base = dir.path().display();
        assert_eq!(
            vars,
            json!({"input": format!("{base}/in"), "other": format!("{base}/seeds"), "word": "nothing", "cloud": "s3://b/in"})
        );
    }

    #[test]
    fn bad_vars_are_a_setting_gone_wrong() {
        for argument in ["{day: 2}", "day", "=2", "{"] {
            let error = parse(&[argument.to_string()], Path::new("/")).unwrap_err();
            assert_eq!(
                error.exit_code(),
                crate::exit::ExitCode::Config,
                "{argument}"
            );
        }
    }
}
