//! `now()` in microseconds, as every other moment.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::time;

static NOW: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let aliases = [
        "current_timestamp",
        "transaction_timestamp",
        "statement_timestamp",
    ];
    Arc::new(ScalarUDF::from(Now {
        name: "now",
        zoned: true,
        aliases: aliases.map(str::to_owned).to_vec(),
        signature: Signature::nullary(Volatility::Stable),
    }))
});

static LOCAL: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Now {
        name: "localtimestamp",
        zoned: false,
        aliases: vec![],
        signature: Signature::nullary(Volatility::Stable),
    }))
});

/// `now()` and `localtimestamp`.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    [Arc::clone(&NOW), Arc::clone(&LOCAL)]
}

/// The moment at which the query began. It is a constant of the query's plan.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    name: &'static str,
    zoned: bool,
    aliases: Vec<String>,
    signature: Signature,
}

impl Now {
    fn data_type(&self) -> DataType {
        let (wall, moment) = time::wall_clock_and_moment();
        if self.zoned { moment } else { wall }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Field::new(self.name, self.data_type(), false).into())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} is a constant of the plan", self.name)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(now) = info.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let zone = match self.data_type() {
            DataType::Timestamp(_, zone) => zone,
            _ => None,
        };
        let moment = ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), zone);
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(moment, None)))
    }
}
