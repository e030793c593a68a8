//! Settings of a model, from `dbt_project.yml`, the YAML beside it and `config(…)`, the later over the earlier.

use serde_json::Value;

use super::model::{Materialized, ModelConfig};
use retail_api::suggest::did_you_mean;

/// Settings as far as they are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelSettings {
    pub materialized: Option<Materialized>,
    pub schema: Option<String>,
    pub alias: Option<String>,
    /// Tags of all levels add up, as in dbt.
    pub tags: Vec<String>,
    pub enabled: Option<bool>,
    pub config: ModelConfig,
    /// Keys that have no effect here, to be reported.
    pub without_effect: Vec<String>,
}

/// Every setting we know.
pub(crate) const KEYS: [&str; 9] = [
    "materialized",
    "schema",
    "alias",
    "tags",
    "enabled",
    "partition_by",
    "meta",
    "contract",
    "description",
];

/// Settings of dbt that say nothing about rows.
const SILENT: [&str; 3] = ["docs", "static_analysis", "meta_fields"];

/// Settings of dbt, for what we do not have: they change no rows of a view or a table, and are reported.
const WITHOUT_EFFECT: [&str; 22] = [
    "access",
    "batch_size",
    "begin",
    "cluster_by",
    "concurrent_batches",
    "deprecation_date",
    "event_time",
    "file_format",
    "full_refresh",
    "grants",
    "group",
    "incremental_strategy",
    "indexes",
    "lookback",
    "on_schema_change",
    "options",
    "packages",
    "persist_docs",
    "quoting",
    "snowflake_warehouse",
    "unique_key",
    "unlogged",
];

/// Settings of dbt that would change the result and that we do not have.
const UNSUPPORTED: [&str; 6] = [
    "pre_hook",
    "post_hook",
    "pre-hook",
    "post-hook",
    "database",
    "sql_header",
];

/// The settings that the page on the format lists as without effect.
#[cfg(test)]
pub(super) fn keys_without_effect() -> impl Iterator<Item = &'static str> {
    WITHOUT_EFFECT.into_iter()
}

/// Whether `key` is a setting of dbt, ours or not (a folder may have any other name).
pub(crate) fn is_setting(key: &str) -> bool {
    [&KEYS[..], &SILENT, &WITHOUT_EFFECT, &UNSUPPORTED]
        .iter()
        .any(|keys| keys.contains(&key))
}

impl ModelSettings {
    /// Takes one setting. The error is the cause, for the caller to report with its place.
    pub(crate) fn set(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "materialized" => self.materialized = Some(materialized(&text(key, value)?)?),
            "schema" => self.schema = Some(identifier(key, &text(key, value)?)?),
            "alias" => self.alias = Some(identifier(key, &text(key, value)?)?),
            "tags" => {
                for tag in texts(key, value)? {
                    if !self.tags.contains(&tag) {
                        self.tags.push(tag);
                    }
                }
            }
            "enabled" => self.enabled = Some(boolean(key, value)?),
            "partition_by" => self.config.partition_by = texts(key, value)?,
            "meta" => match value {
                Value::Object(map) => self.config.meta.extend(map.clone()),
                _ => return Err("meta must be keys and values".into()),
            },
            "contract" => {
                let enforced = value
                    .get("enforced")
                    .ok_or("contract needs enforced: true or false")?;
                self.config.contract_enforced = Some(boolean("enforced", enforced)?);
            }
            "description" => {}
            _ if SILENT.contains(&key) => {}
            _ if UNSUPPORTED.contains(&key) && is_nothing(value) => {}
            _ if UNSUPPORTED.contains(&key) => return Err(format!("{key} is not supported yet")),
            _ if WITHOUT_EFFECT.contains(&key) => self.add_without_effect(key),
            _ => match did_you_mean(key, KEYS) {
                // dbt lets a project have settings of its own; what is nearly ours is a slip of the pen.
                near if near.is_empty() => self.add_without_effect(key),
                near => return Err(format!("there is no setting {key}{near}")),
            },
        }
        Ok(())
    }

    fn add_without_effect(&mut self, key: &str) {
        if !self.without_effect.iter().any(|k| k == key) {
            self.without_effect.push(key.to_string());
        }
    }

    /// As templates see them: `config.get('materialized')`, `model.config`.
    pub(crate) fn json(&self) -> serde_json::Map<String, Value> {
        let mut map = serde_json::Map::new();
        let mut put = |key: &str, value: Value| map.insert(key.to_string(), value);
        put(
            "materialized",
            self.materialized
                .unwrap_or(Materialized::View)
                .as_str()
                .into(),
        );
        put("enabled", self.enabled.unwrap_or(true).into());
        put("tags", self.tags.clone().into());
        put("meta", Value::Object(self.config.meta.clone()));
        if let Some(schema) = &self.schema {
            put("schema", schema.clone().into());
        }
        if let Some(alias) = &self.alias {
            put("alias", alias.clone().into());
        }
        if !self.config.partition_by.is_empty() {
            put("partition_by", self.config.partition_by.clone().into());
        }
        map
    }

    /// Puts `over` over this.
    pub(crate) fn extend(&mut self, over: &ModelSettings) {
        self.materialized = over.materialized.or(self.materialized);
        self.schema = over.schema.clone().or_else(|| self.schema.take());
        self.alias = over.alias.clone().or_else(|| self.alias.take());
        self.enabled = over.enabled.or(self.enabled);
        for tag in &over.tags {
            if !self.tags.contains(tag) {
                self.tags.push(tag.clone());
            }
        }
        if !over.config.partition_by.is_empty() {
            self.config
                .partition_by
                .clone_from(&over.config.partition_by);
        }
        over.without_effect
            .iter()
            .for_each(|key| self.add_without_effect(key));
        self.config.meta.extend(over.config.meta.clone());
        self.config.contract_enforced = over
            .config
            .contract_enforced
            .or(self.config.contract_enforced);
    }
}

/// `null`, `[]`, `{}`, an empty text: a setting that sets nothing.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.iter().all(is_nothing),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn materialized(word: &str) -> Result<Materialized, String> {
    match word {
        "table" => Ok(Materialized::Table),
        "view" => Ok(Materialized::View),
        "ephemeral" => Ok(Materialized::Ephemeral),
        "incremental" | "materialized_view" | "snapshot" | "seed" | "external" => Err(format!(
            "materialized {word} is not supported yet; use table, view or ephemeral"
        )),
        _ => {
            let near = did_you_mean(word, ["table", "view", "ephemeral"]);
            Err(format!("there is no materialization {word}{near}"))
        }
    }
}

/// Names of namespaces and tables: letters, digits and `_`, so that every engine can say them.
pub(crate) fn identifier(what: &str, name: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.chars().find(|c| !legal(*c)) {
        None if !name.is_empty() => Ok(name.to_string()),
        None => Err(format!("{what} must not be empty")),
        Some(c) => Err(format!(
            "{what} {name} holds {c:?}; letters, digits and _ are allowed"
        )),
    }
}

fn text(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(s) => Ok(s.clone()),
        Value::Number(n) => Ok(n.to_string()),
        _ => Err(format!("{key} must be text")),
    }
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(list) => list.iter().map(|v| text(key, v)).collect(),
        Value::Null => Ok(vec![]),
        Value::String(s) => Ok(vec![s.clone()]),
        _ => Err(format!("{key} must be text or a list of texts")),
    }
}

fn boolean(key: &str, value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(b) => Ok(*b),
        Value::String(s) if s.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(s) if s.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(format!("{key} must be true or false")),
    }
}
