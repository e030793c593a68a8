//! Settings in layers: an embedded `default.toml` < a file < the environment < flags.
//!
//! The defaults are the list of known keys: a key that they do not have is refused, with the nearest one named.
//! Every value remembers where it was set, so that an error names `retail.toml:7` and not only the problem.
//! An empty text means "not set". A secret `key` can be given as `key_file`, the path of a file that holds it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// What environment variables of ours start with: `RETAIL__SERVER__PORT` is `server.port`.
const ENV_PREFIX: &str = "RETAIL__";
const REDACTED: &str = "***";

/// A setting that cannot be used: where it was set, which one, and why.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingError {
    #[error("{origin}: {key}: {reason}")]
    Value {
        origin: Origin,
        key: String,
        reason: String,
    },
    #[error("{origin}: {reason}")]
    File { origin: Origin, reason: String },
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// `line` is 1-based; 0 = the file as a whole.
    File {
        path: PathBuf,
        line: usize,
    },
    /// An environment variable.
    Env {
        name: String,
    },
    /// A flag of the command line.
    Flag {
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env { name } => f.write_str(name),
            Self::Flag { name } => f.write_str(name),
        }
    }
}

/// All known keys with their values so far, in the order of the defaults.
#[derive(Clone)]
pub struct Settings {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    /// `server.port`
    key: String,
    value: Value,
    origin: Origin,
}

impl Entry {
    fn is_set(&self) -> bool {
        self.value.as_str() != Some("")
    }
}

impl Settings {
    /// The defaults, which also define which keys exist and their types.
    ///
    /// # Panics
    /// The embedded text is no TOML.
    pub fn with_defaults(text: &str) -> Self {
        let entries = leaves(text).expect("the embedded defaults are TOML");
        let entries = entries.into_iter().map(|(key, value, _)| Entry {
            key,
            value,
            origin: Origin::Default,
        });
        Self {
            entries: entries.collect(),
        }
    }

    /// Lays a TOML file over what is there.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has an unknown key or a value of another type.
    pub fn file(&mut self, path: &Path) -> Result<(), SettingError> {
        let at = |line| Origin::File {
            path: path.to_owned(),
            line,
        };
        let text = std::fs::read_to_string(path).map_err(|e| SettingError::File {
            origin: at(0),
            reason: format!("cannot read it: {e}"),
        })?;
        let leaves = leaves(&text).map_err(|e| SettingError::File {
            origin: at(e.span().map_or(0, |span| line_of(&text, span.start))),
            reason: e.message().lines().collect::<Vec<_>>().join(" "),
        })?;
        for (key, value, start) in &leaves {
            let origin = at(line_of(&text, *start));
            let twin = format!("{key}_file");
            if value.as_str() != Some("")
                && leaves
                    .iter()
                    .any(|(k, v, _)| *k == twin && v.as_str() != Some(""))
            {
                let reason = format!("{twin} is set too; keep one of them");
                return Err(SettingError::Value {
                    origin,
                    key: key.clone(),
                    reason,
                });
            }
            self.put(key, value.clone(), origin)?;
        }
        Ok(())
    }

    /// Lays environment variables over what is there. Those without our prefix are ignored.
    ///
    /// # Errors
    /// An unknown key, or a text that is no value of the key's type.
    pub fn env(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), SettingError> {
        let ours = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with(ENV_PREFIX));
        let mut ours: Vec<_> = ours.collect();
        ours.sort();
        for (name, text) in ours {
            let key = name[ENV_PREFIX.len()..]
                .to_ascii_lowercase()
                .replace("__", ".");
            let origin = Origin::Env { name };
            let value = self.parse(&key, &text, &origin)?;
            self.put(&key, value, origin)?;
        }
        Ok(())
    }

    /// Takes the values of another standard's variables, as `(variable, key)`; later ones take precedence. To be laid
    /// below everything of ours. Unset and empty ones are ignored.
    ///
    /// # Errors
    /// A text that is no value of the key's type.
    pub fn standard_env(
        &mut self,
        standard: &[(&str, &str)],
        variables: &[(String, String)],
    ) -> Result<(), SettingError> {
        for (name, key) in standard {
            let found = variables.iter().find(|(known, _)| known == name);
            let Some((_, text)) = found.filter(|(_, text)| !text.is_empty()) else {
                continue;
            };
            let origin = Origin::Env {
                name: (*name).to_owned(),
            };
            let value = self.parse(key, text, &origin)?;
            self.put(key, value, origin)?;
        }
        Ok(())
    }

    /// Sets one key from a flag.
    ///
    /// # Errors
    /// The text is no value of the key's type.
    pub fn flag(&mut self, name: &str, key: &str, text: &str) -> Result<(), SettingError> {
        let origin = Origin::Flag {
            name: name.to_owned(),
        };
        let value = self.parse(key, text, &origin)?;
        self.put(key, value, origin)
    }

    /// Whether a key has a value other than the empty text.
    pub fn is_set(&self, key: &str) -> bool {
        let set = |key: &str| self.entries.iter().any(|e| e.key == key && e.is_set());
        set(key) || set(&format!("{key}_file"))
    }

    /// The text that a key has now; empty where it is not set or no text.
    pub fn text(&self, key: &str) -> String {
        let entry = self.entries.iter().find(|e| e.key == key);
        entry
            .and_then(|e| e.value.as_str())
            .unwrap_or_default()
            .to_owned()
    }

    /// Fills in a default that only the running program knows, such as a path.
    pub fn default_to(&mut self, key: &str, value: impl Into<Value>) {
        if let Some(entry) = self
            .entries
            .iter_mut()
            .find(|e| e.key == key && !e.is_set())
        {
            entry.value = value.into();
        }
    }

    /// The files that secrets are read from, absolute.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let files = self.entries.iter().filter(|e| e.is_set());
        let files = files.filter(|e| self.secret_of(&e.key).is_some());
        let paths = files.filter_map(|e| e.value.as_str());
        let absolute = |path| std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        paths.map(absolute).collect()
    }

    /// The settings as a typed value.
    ///
    /// # Errors
    /// A value that the type refuses, or a secret's file that cannot be read.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, SettingError> {
        let mut text = String::new();
        let mut places: Vec<(Range<usize>, &Entry)> = vec![];
        for entry in self.entries.iter().filter(|e| e.is_set()) {
            let (key, value) = match self.secret_of(&entry.key) {
                Some(secret) => (secret, Value::String(read_secret(entry)?)),
                None => (entry.key.as_str(), entry.value.clone()),
            };
            let start = text.len();
            text.push_str(&format!("{key} = {value}\n"));
            places.push((start..text.len(), entry));
        }
        toml::from_str(&text).map_err(|e| {
            let start = e.span().map_or(0, |span| span.start);
            let reason = e.message().to_owned();
            match places.iter().find(|(place, _)| place.contains(&start)) {
                // A missing key is blamed on the whole document, which begins at 0.
                Some((_, entry)) if !reason.starts_with("missing field") => {
                    self.refuse(&entry.key, reason)
                }
                _ => SettingError::Value {
                    origin: Origin::Default,
                    key: "configuration".to_owned(),
                    reason,
                },
            }
        })
    }

    /// An error about a key, blamed on where it was set.
    pub fn refuse(&self, key: &str, reason: impl Into<String>) -> SettingError {
        let entry = self.entries.iter().find(|e| e.key == key);
        let origin = entry.map_or(Origin::Default, |e| e.origin.clone());
        SettingError::Value {
            origin,
            key: key.to_owned(),
            reason: reason.into(),
        }
    }

    /// The effective settings as TOML, each with where it was set; secrets are hidden.
    pub fn print(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for entry in &self.entries {
            let (table, name) = entry.key.rsplit_once('.').unwrap_or(("", &entry.key));
            if table != section {
                section = table;
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(&format!("{gap}[{section}]\n"));
            }
            let hidden = entry.is_set() && self.has_file_twin(&entry.key);
            let value = match entry.value.as_str() {
                Some(secret) if hidden => Value::String(redact(secret)),
                _ => entry.value.clone(),
            };
            text.push_str(&format!("{name} = {value}  # {}\n", entry.origin));
        }
        text
    }

    fn put(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), SettingError> {
        let Some(at) = self.entries.iter().position(|e| e.key == key) else {
            let reason = match self.nearest(key) {
                Some(near) => format!("unknown key; did you mean {near}?"),
                None => "unknown key; --print-config lists all of them".to_owned(),
            };
            return Err(SettingError::Value {
                origin,
                key: key.to_owned(),
                reason,
            });
        };
        // Not every program can write 1.0: a whole number is a number too.
        let value = match (&self.entries[at].value, value) {
            (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
            (_, value) => value,
        };
        let (want, got) = (&self.entries[at].value, &value);
        if want.type_str() != got.type_str() {
            let reason = format!("expected {}, found {}", kind(want), kind(got));
            return Err(SettingError::Value {
                origin,
                key: key.to_owned(),
                reason,
            });
        }
        // The later of a secret and its file counts.
        let twin = match self.secret_of(key) {
            Some(secret) => secret.to_owned(),
            None => format!("{key}_file"),
        };
        if value.as_str() != Some("")
            && let Some(other) = self
                .entries
                .iter_mut()
                .find(|e| e.key == twin && e.is_set())
        {
            other.value = Value::String(String::new());
            other.origin = origin.clone();
        }
        (self.entries[at].value, self.entries[at].origin) = (value, origin);
        Ok(())
    }

    /// A text as a value of the key's type; unknown keys are refused later.
    fn parse(&self, key: &str, text: &str, origin: &Origin) -> Result<Value, SettingError> {
        let default = self.entries.iter().find(|e| e.key == key).map(|e| &e.value);
        let parsed = match default {
            Some(Value::Integer(_)) => text.replace('_', "").parse().ok().map(Value::Integer),
            Some(Value::Float(_)) => text.parse().ok().map(Value::Float),
            Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
            // An empty text means "not set", as everywhere.
            Some(known @ Value::Array(_)) if text.trim().is_empty() => Some(known.clone()),
            Some(Value::Array(_)) => Some(Value::Array(list(text))),
            _ => Some(Value::String(text.to_owned())),
        };
        parsed.ok_or_else(|| SettingError::Value {
            origin: origin.clone(),
            key: key.to_owned(),
            reason: format!(
                "expected {}, found {text:?}",
                default.map_or("a text", kind)
            ),
        })
    }

    /// `key` of a known `key_file`.
    fn secret_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        let secret = key.strip_suffix("_file")?;
        self.entries
            .iter()
            .any(|e| e.key == secret)
            .then_some(secret)
    }

    fn has_file_twin(&self, key: &str) -> bool {
        let twin = format!("{key}_file");
        self.entries.iter().any(|e| e.key == twin)
    }

    fn nearest(&self, key: &str) -> Option<&str> {
        let name = |key: &str| key.rsplit('.').next().map(str::to_owned);
        if let Some(same) = self.entries.iter().find(|e| name(&e.key) == name(key)) {
            return Some(&same.key);
        }
        let near = self
            .entries
            .iter()
            .map(|e| (strsim::osa_distance(&e.key, key), e));
        let (distance, entry) = near.min_by_key(|(distance, _)| *distance)?;
        (distance <= (key.len() / 3).max(2)).then_some(&entry.key)
    }
}

/// `a, b` as two texts.
fn list(text: &str) -> Vec<Value> {
    let items = text.split(',').map(str::trim);
    let items = items.filter(|item| !item.is_empty());
    items.map(|item| Value::String(item.to_owned())).collect()
}

/// Values stay out of logs: some are secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print())
    }
}

/// Hides a secret; of a URL only its password.
pub fn redact(secret: &str) -> String {
    let Some((scheme, rest)) = secret.split_once("://") else {
        return REDACTED.to_owned();
    };
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:{REDACTED}@{host}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    let (path, query) = rest.split_once('?').unwrap_or((&rest, ""));
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if key.to_ascii_lowercase().contains("password") => {
            format!("{key}={REDACTED}")
        }
        _ => pair.to_owned(),
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{path}{mark}{query}")
}

fn read_secret(entry: &Entry) -> Result<String, SettingError> {
    let path = entry.value.as_str().unwrap_or_default();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(e) => Err(SettingError::Value {
            origin: entry.origin.clone(),
            key: entry.key.clone(),
            reason: format!("cannot read {path}: {e}"),
        }),
    }
}

/// A document's keys with their values and where they begin, in order.
fn leaves(text: &str) -> Result<Vec<(String, Value, usize)>, toml::de::Error> {
    let places = DeTable::parse(text)?;
    let values: toml::Table = toml::from_str(text)?;
    let mut found = vec![];
    walk(places.get_ref(), &values, "", &mut found);
    found.sort_by_key(|(_, _, start)| *start);
    Ok(found)
}

fn walk(
    places: &DeTable<'_>,
    values: &toml::Table,
    prefix: &str,
    found: &mut Vec<(String, Value, usize)>,
) {
    for (name, place) in places {
        let Some(value) = values.get(name.get_ref().as_ref()) else {
            continue;
        };
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        match (place.get_ref(), value) {
            (DeValue::Table(places), Value::Table(values)) => walk(places, values, &key, found),
            _ => found.push((key, value.clone(), name.span().start)),
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}

#[cfg(test)]
mod tests;
