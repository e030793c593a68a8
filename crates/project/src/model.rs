//! A model: one SQL file and what its YAML declares.

use std::fmt;

use retail_api::TableName;
use retail_api::source::{Column, Location, SourceRef};
use serde::{Deserialize, Serialize};

use super::source_map::{SourceMap, Spot};

/// A model's name: the file's, unique in the project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelName(String);

impl ModelName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ModelName {
    fn from(name: &str) -> Self {
        Self(name.to_string())
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of a model's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Materialized {
    /// Written as an Iceberg table.
    Table,
    /// Kept as an Iceberg view; dbt's default.
    View,
    /// Only there while a run lasts, as a view of its session.
    Ephemeral,
}

impl Materialized {
    /// The word in `config(materialized = …)`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Ephemeral => "ephemeral",
        }
    }
}

impl fmt::Display for Materialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One SQL file.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: ModelName,
    /// Where its rows go.
    pub table: TableName,
    /// Relative to the project, with `/`.
    pub path: String,
    pub raw_sql: String,
    /// Rendered: refs and sources are `"namespace"."name"`.
    pub sql: String,
    pub materialized: Materialized,
    pub is_analysis: bool,
    /// Models it refers to, in the order of their first mention.
    pub depends_on: Vec<ModelName>,
    pub sources: Vec<SourceRef>,
    pub tags: Vec<String>,
    pub description: String,
    pub config: ModelConfig,
    /// As the YAML beside it declares them.
    pub columns: Vec<Column>,
    /// Where the YAML describes it.
    pub described_at: Option<Location>,
    pub(super) map: SourceMap,
}

impl Model {
    /// The template's 1-based line and column for a 1-based place in the rendered SQL.
    ///
    /// `token` is the text that stands there (an identifier), empty if unknown; it finds the place inside a tag and
    /// where a template cannot be followed.
    pub fn locate(&self, rendered_line: u32, rendered_column: u32, token: &str) -> (u32, u32) {
        let spot = self.spot(rendered_line, rendered_column, token);
        (spot.line, spot.column)
    }

    /// Like [`Self::locate`], with the number of characters to underline.
    pub fn spot(&self, rendered_line: u32, rendered_column: u32, token: &str) -> Spot {
        self.map.locate(
            &self.raw_sql,
            &self.sql,
            rendered_line,
            rendered_column,
            token,
        )
    }
}

/// Settings of a model beyond its materialisation and tags.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Iceberg partition fields: `order_date`, `day(ts)`, `bucket(16, id)`.
    pub partition_by: Vec<String>,
    pub meta: serde_json::Map<String, serde_json::Value>,
    /// `contract: {enforced: true}`: the columns of the SQL must be those of the YAML. `None`: not declared.
    pub contract_enforced: Option<bool>,
}
