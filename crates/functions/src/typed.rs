//! A value that has the type of its cast in its name, so that a plan shows it as SQL has it.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Its name in statements.
pub const NAME: &str = "as_type";

static TYPED: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Typed::default())));

/// `as_type(cast(x as integer), 'integer')`.
pub(super) fn typed() -> Arc<ScalarUDF> {
    Arc::clone(&TYPED)
}

/// The first argument, as it is. The second is the name of its type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    signature: Signature,
}

impl Default for Typed {
    fn default() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Typed {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [value, to] = take_function_args(NAME, args)?;
        let value = value.schema_name();
        Ok(match to {
            Expr::Literal(to, _) => format!("CAST({value} AS {to})"),
            to => format!("{NAME}({value}, {to})"),
        })
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [value, _] = take_function_args(NAME, types)?;
        Ok(value.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [value, _] = take_function_args(NAME, args.arg_fields)?;
        Ok(Arc::clone(value))
    }

    fn simplify(&self, mut args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if args.len() != 2 {
            return internal_err!("{NAME} takes two arguments");
        }
        Ok(ExprSimplifyResult::Simplified(args.swap_remove(0)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, _] = take_function_args(NAME, args.args)?;
        Ok(value)
    }
}
