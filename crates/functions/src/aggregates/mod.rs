//! `sum` and `avg` that widen, round, and never wrap; `median` and `percentile_cont` in [`quantiles`].

mod quantiles;
mod totals;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, plan_err};
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};

use self::totals::{Distinct, Finish, GroupTotals, Total};
use super::arithmetic::{narrowed, sql_name};
use super::decimal::{MAX_DIGITS, average_type};

/// Digits that a sum of decimals has beyond those of its values, as in Spark.
const MORE_DIGITS: u8 = 10;

/// The functions of this module, under the names of those whose place they take.
pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    let of = |function, engine: Box<dyn AggregateUDFImpl>| {
        Arc::new(AggregateUDF::from(Checked {
            function,
            engine: Arc::from(engine),
            aliases: match function {
                Function::Sum => vec![],
                Function::Avg => vec!["mean".to_string()],
            },
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    let mut all = quantiles::functions();
    all.push(of(Function::Sum, Box::new(Sum::new())));
    all.push(of(Function::Avg, Box::new(Avg::new())));
    all
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Function {
    Sum,
    Avg,
}

/// `sum` or `avg`: exact numbers are summed here, doubles and durations by the engine's function.
#[derive(Debug, Clone)]
struct Checked {
    function: Function,
    engine: Arc<dyn AggregateUDFImpl>,
    aliases: Vec<String>,
    signature: Signature,
}

impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Checked {}

impl std::hash::Hash for Checked {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl Checked {
    /// How exact numbers of this type are summed; `None` for others.
    fn finish(&self, of: &DataType, out: &DataType) -> Option<Finish> {
        match (self.function, of, out) {
            (Function::Sum, DataType::Int32, _) => Some(Finish::sum(out.clone(), 0)),
            (Function::Sum, DataType::Int64, _) => Some(Finish::sum(out.clone(), 0)),
            (Function::Sum, DataType::Decimal128(_, s), _) => Some(Finish::sum(out.clone(), *s)),
            (Function::Avg, DataType::Decimal128(_, s), DataType::Decimal128(p, to)) => {
                Some(Finish::average((*p, *to), *s))
            }
            _ => None,
        }
    }

    fn finish_of(&self, args: &AccumulatorArgs) -> Option<Finish> {
        let of = args.expr_fields.first()?.data_type();
        self.finish(of, args.return_field.data_type())
    }
}

impl AggregateUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.function {
            Function::Sum => "sum",
            Function::Avg => "avg",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        use DataType::{
            Decimal128, Duration, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Interval,
            Null, UInt8, UInt16, UInt32, UInt64,
        };
        let [of] = take_function_args(self.name(), types)?;
        let coerced = match (self.function, of) {
            (_, Float16 | Float32 | Float64) => Float64,
            (_, t) if t.is_decimal() => narrowed(t),
            (_, Duration(_)) => of.clone(),
            (Function::Sum, Int8 | Int16 | Int32 | UInt8 | UInt16) => Int32,
            (Function::Sum, Int64 | UInt32 | Null) => Int64,
            (Function::Sum, UInt64) => Decimal128(20, 0),
            (Function::Sum, Interval(_)) => of.clone(),
            (Function::Avg, t) if t.is_integer() || *t == Null => Float64,
            (_, t) => {
                return plan_err!(
                    "{}({}) has no meaning: it takes numbers; cast the argument to one",
                    self.name(),
                    sql_name(t)
                );
            }
        };
        Ok(vec![coerced])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [of] = take_function_args(self.name(), types)?;
        Ok(match (self.function, of) {
            (Function::Sum, DataType::Int32) => DataType::Int64,
            (Function::Sum, DataType::Int64) => DataType::Decimal128(MAX_DIGITS, 0),
            (Function::Sum, DataType::Decimal128(p, s)) => {
                DataType::Decimal128(p.saturating_add(MORE_DIGITS).min(MAX_DIGITS), *s)
            }
            (Function::Avg, DataType::Decimal128(p, s)) => {
                let (p, s) = average_type((*p, *s));
                DataType::Decimal128(p, s)
            }
            _ => return self.engine.return_type(types),
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.finish_of(&args) {
            Some(finish) if args.is_distinct => Ok(Box::new(Distinct::new(finish))),
            Some(finish) => Ok(Box::new(Total::new(finish))),
            None => self.engine.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.finish_of(&args) {
            Some(_) => self.accumulator(args),
            None => self.engine.create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let of = args.input_fields.first().map(|f| f.data_type().clone());
        let finish = of.and_then(|of| self.finish(&of, args.return_field.data_type()));
        let Some(finish) = finish else {
            return self.engine.state_fields(args);
        };
        let total = finish.total_type();
        if args.is_distinct {
            let values = Field::new_list_field(total, true);
            let name = format_state_name(args.name, "distinct");
            return Ok(vec![Field::new_list(name, values, false).into()]);
        }
        let count = format_state_name(args.name, "count");
        Ok(vec![
            Field::new(count, DataType::UInt64, false).into(),
            Field::new(format_state_name(args.name, "total"), total, false).into(),
        ])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match self.finish_of(&args) {
            Some(_) => !args.is_distinct,
            None => self.engine.groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match self.finish_of(&args) {
            Some(finish) => Ok(Box::new(GroupTotals::new(finish))),
            None => self.engine.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
