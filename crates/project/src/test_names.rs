//! The names that dbt gives tests.

use md5::{Digest, Md5};
use serde_json::{Map, Value};

use super::data_test::Subject;
use super::test_yaml::Declared;

/// From so many characters on, dbt gives a test a short name beside its own.
const LONG: usize = 64;

/// The names that dbt gives a test: the test, what it is about, and its arguments; and the short one, with a digest for
/// the arguments.
pub(super) fn names_of(test: &Declared, subject: &Subject) -> (String, String) {
    let (prefix, about) = match subject {
        Subject::Model { name, .. } => ("", name.to_string()),
        Subject::Source { source, .. } => {
            ("source_", format!("{}_{}", source.source_name, source.name))
        }
        Subject::Singular => ("", String::new()),
    };
    let mut arguments: Map<String, Value> = test.arguments.clone();
    if let Some(column) = &test.column {
        arguments.insert("column_name".into(), Value::String(column.clone()));
    }
    let mut keys: Vec<&String> = arguments.keys().collect();
    keys.sort();
    let flat: Vec<String> = keys
        .into_iter()
        .flat_map(|key| match &arguments[key] {
            Value::Array(list) => list.iter().map(written).collect(),
            Value::Object(map) => map.values().map(written).collect(),
            one => vec![written(one)],
        })
        .collect();
    let clean = |text: &String| {
        let mut out = String::new();
        for c in text.chars() {
            match c.is_ascii_alphanumeric() || c == '_' {
                true => out.push(c),
                false if out.ends_with('\u{1}') => {}
                false => out.push('\u{1}'),
            }
        }
        out.replace('\u{1}', "_")
    };
    let arguments = flat.iter().map(clean).collect::<Vec<_>>().join("__");
    let start = format!("{prefix}{}_{about}", test.test.replace('.', "_"));
    let name = format!("{start}_{arguments}");
    if name.len() < LONG {
        return (name.clone(), name);
    }
    let digest: String = Md5::digest(name.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let start: String = start.chars().take(30).collect();
    (name, format!("{start}_{digest}"))
}

/// As Python writes it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    }
}
