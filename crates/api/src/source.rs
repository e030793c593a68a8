//! A source as a project declares it: where its rows are, in which form, and the columns that they must have.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::TableName;

/// A line of a file of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    pub file: String,
    /// 1-based.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A source table as models name it: `source('raw', 'orders')`, shown as `raw.orders`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceRef {
    pub source_name: String,
    pub name: String,
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.source_name, self.name)
    }
}

/// A column as YAML declares it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub description: String,
    /// As written, without the `?` of an optional column.
    pub data_type: Option<String>,
    /// Files may lack it (`meta: {optional: true}`, or a `?` after the type): it reads as null.
    pub optional: bool,
    /// Of its `data_type`, or of its name.
    pub at: Location,
}

/// A table that models read and no model writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub source_name: String,
    pub name: String,
    /// How the rendered SQL names it: `schema.identifier`.
    pub table: TableName,
    pub description: String,
    pub location: SourceLocation,
    pub columns: Vec<Column>,
    /// Columns of the files that are not declared are left out (`meta: {strict_columns: true}`).
    pub strict_columns: bool,
    pub defined_at: Location,
}

impl Source {
    /// Whether its rows are in files (else in an Iceberg table).
    pub fn is_files(&self) -> bool {
        matches!(self.location, SourceLocation::Files { .. })
    }

    /// As models name it.
    pub fn source_ref(&self) -> SourceRef {
        SourceRef {
            source_name: self.source_name.clone(),
            name: self.name.clone(),
        }
    }
}

/// Where a source's rows are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceLocation {
    /// Files that match a pattern: an absolute path or `s3://bucket/…`, with `*`, `**`, `?` and `[…]` in any segment.
    Files {
        pattern: String,
        format: FileFormat,
        options: FileOptions,
    },
    /// An Iceberg table of the catalog.
    Iceberg { table: TableName },
}

/// What is in a source's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    Parquet,
    Csv,
    /// One object per line.
    Json,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parquet => "Parquet",
            Self::Csv => "CSV",
            Self::Json => "JSON",
        })
    }
}

/// How the files are packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

/// How to read CSV (and packed JSON) files. An empty field is null, for text too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOptions {
    /// One ASCII character.
    pub delimiter: u8,
    /// The first line names the columns. Without it the YAML's order counts.
    pub header: bool,
    pub quote: u8,
    pub compression: Compression,
    /// Texts that mean null, beside the empty one.
    pub null_values: Vec<String>,
    /// Quoted values may hold line ends. Where they may not, big files are read in parts by several tasks.
    pub newlines_in_values: bool,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            header: true,
            quote: b'"',
            compression: Compression::None,
            null_values: vec![],
            newlines_in_values: true,
        }
    }
}
