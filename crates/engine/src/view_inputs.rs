//! What a published view reads beside tables of the catalog.
//!
//! A view of the catalog is a query over tables of the catalog. A model's view may also name sources over files, which
//! only its project knows, and ephemeral models, which are in no catalog: a published view carries both in its
//! metadata, so that whoever reads it later reads the same files with the same types.

use std::collections::HashMap;

use datafusion::error::{DataFusionError, Result as PlanResult};
use retail_api::source::Source;
use retail_api::{Failure, FailureKind, TableName};
use retail_lakehouse::LakeView;
use serde::{Deserialize, Serialize};

/// The key of a view's summary.
const KEY: &str = "retail.inputs";

/// The sources over files and the ephemeral models that a view names, directly or through ephemeral models.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ViewInputs {
    pub sources: Vec<Source>,
    /// Each after those it reads.
    pub ephemeral: Vec<EphemeralModel>,
}

/// A model that is a part of the queries that read it.
#[derive(Debug, Serialize, Deserialize)]
pub struct EphemeralModel {
    pub table: TableName,
    pub sql: String,
}

impl ViewInputs {
    /// As properties of the view's metadata; nothing for a view over tables alone.
    ///
    /// # Errors
    /// The inputs cannot be written as JSON.
    pub fn to_properties(&self) -> Result<HashMap<String, String>, Failure> {
        if self.sources.is_empty() && self.ephemeral.is_empty() {
            return Ok(HashMap::new());
        }
        let text = serde_json::to_string(self).map_err(|e| {
            Failure::new(FailureKind::Internal, "cannot write down what a view reads")
                .cause(e.to_string())
        })?;
        Ok(HashMap::from([(KEY.to_string(), text)]))
    }

    /// Those of a published view; `None` for a view over tables alone.
    ///
    /// # Errors
    /// Another version of the program wrote them in a form that this one does not read.
    pub(crate) fn of(view: &LakeView) -> PlanResult<Option<Self>> {
        let Some(text) = view.remembered(KEY) else {
            return Ok(None);
        };
        let read = serde_json::from_str(text).map_err(|e| {
            DataFusionError::Plan(format!("view {} was published by another version and cannot be read: {e}; run its model again", view.name()))
        });
        read.map(Some)
    }
}

/// Whether two definitions are of the same rows.
pub(crate) fn is_same(one: &Source, other: &Source) -> bool {
    let columns = |s: &Source| -> Vec<_> {
        let of = s.columns.iter();
        of.map(|c| (c.name.clone(), c.data_type.clone(), c.optional))
            .collect()
    };
    one.table == other.table
        && one.location == other.location
        && one.strict_columns == other.strict_columns
        && columns(one) == columns(other)
}
