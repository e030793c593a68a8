//! Logarithms and `power` that refuse what has no real result, where the engine gives NaN or infinity; `abs` that reports why.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::functions::math::{abs, ln, log, log2, log10, power, sqrt};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

use super::arithmetic::sql_name;

/// The functions of this module, under the names of those whose place they take.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [abs(), ln(), log(), log2(), log10(), power(), sqrt()]
        .into_iter()
        .map(|engine| Arc::new(ScalarUDF::from(Real { engine })))
        .collect()
}

/// A function of the engine that must have a real, finite result for real, finite arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Real {
    engine: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Real {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn aliases(&self) -> &[String] {
        self.engine.aliases()
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.engine.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.engine.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.engine.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.engine.is_strict()
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.engine.simplify(args, info)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        // The engine's fails for arguments whose bounds it does not know.
        Ok(self
            .engine
            .output_ordering(inputs)
            .unwrap_or(SortProperties::Unordered))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let out = args.return_field.data_type().clone();
        let given = args.args.clone();
        let result = self.engine.invoke_with_args(args);
        if out != DataType::Float64 && out != DataType::Float32 {
            // Only `abs` has other results; of integers it fails for the least, whose opposite does not fit.
            return result.or_else(|error| {
                if !out.is_integer() {
                    return Err(error);
                }
                let name = sql_name(&out);
                exec_err!(
                    "number out of range: abs of the least {name} does not fit into {name}; cast the argument to a \
                     wider type"
                )
            });
        }
        let result = result?;
        let results = doubles(&result)?;
        let odd = |row: &usize| results.is_valid(*row) && !results.value(*row).is_finite();
        let odd: Vec<_> = (0..results.len()).filter(odd).collect();
        if odd.is_empty() {
            return Ok(result);
        }
        let given = given.iter().map(doubles).collect::<Result<Vec<_>>>()?;
        for row in odd {
            // A single value stands for all rows.
            let arguments = given.iter().map(|values| {
                let row = if values.len() == 1 { 0 } else { row };
                values.value(row)
            });
            let arguments: Vec<_> = arguments.collect();
            if arguments.iter().all(|a| a.is_finite()) {
                let arguments: Vec<_> = arguments.iter().map(f64::to_string).collect();
                return exec_err!(
                    "{}({}) has no result that is a number; CASE or nullif around the argument keeps such rows out",
                    self.name(),
                    arguments.join(", ")
                );
            }
        }
        Ok(result)
    }
}

fn doubles(value: &ColumnarValue) -> Result<datafusion::arrow::array::Float64Array> {
    let array: ArrayRef = match value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(value) => ScalarValue::to_array(value)?,
    };
    let array = datafusion::arrow::compute::cast(&array, &DataType::Float64)?;
    Ok(array.as_primitive::<Float64Type>().clone())
}
