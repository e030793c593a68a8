//! A float with one NaN, equal to itself and above all numbers, and one zero: `canonical_float(x)`.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::utils::take_function_args;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use retail_values::{canonical_floats, canonical_scalar};

/// Its name in plans.
pub const NAME: &str = "canonical_float";

static CANONICAL: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Canonical::default())));

/// `canonical_float(x)`.
pub fn canonical_float() -> &'static Arc<ScalarUDF> {
    &CANONICAL
}

/// A float with one NaN and one zero.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Canonical {
    signature: Signature,
}

impl Default for Canonical {
    fn default() -> Self {
        let types = vec![DataType::Float16, DataType::Float32, DataType::Float64];
        Self {
            signature: Signature::uniform(1, types, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Canonical {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [of] = take_function_args(NAME, types)?;
        Ok(of.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [of] = take_function_args(NAME, args.args)?;
        Ok(match of {
            ColumnarValue::Array(array) => ColumnarValue::Array(canonical_floats(&array)?),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(canonical_scalar(value)),
        })
    }
}
