//! `median` and `percentile_cont` with all their digits.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions_aggregate::median::Median;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Literal};

use super::super::arithmetic::{narrowed, sql_name};
use super::super::decimal::{Digits, average_type, fits, scaled_quotient};

/// The functions of this module, under the names of those whose place they take.
pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    vec![
        Arc::new(AggregateUDF::from(ExactMedian {
            engine: Arc::new(Median::new()),
            signature: Signature::user_defined(Volatility::Immutable),
        })),
        Arc::new(AggregateUDF::from(Percentile {
            aliases: vec!["quantile_cont".to_string()],
            signature: Signature::user_defined(Volatility::Immutable),
        })),
    ]
}

/// The engine's median; of decimals with the digits of an average, as the middle of two values may need one more.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactMedian {
    engine: Arc<Median>,
    signature: Signature,
}

impl AggregateUDFImpl for ExactMedian {
    fn name(&self) -> &str {
        "median"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [of] = take_function_args(self.name(), types)?;
        Ok(vec![match narrowed(of) {
            DataType::Float32 => DataType::Float64,
            t if t.is_integer() || t == DataType::Null => DataType::Float64,
            t if t.is_decimal() || t.is_floating() => t,
            t => {
                let t = sql_name(&t);
                return plan_err!(
                    "median({t}) has no meaning: it takes numbers; cast the argument to one"
                );
            }
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Decimal128(p, s)] => {
                let (p, s) = average_type((*p, *s));
                Ok(DataType::Decimal128(p, s))
            }
            types => self.engine.return_type(types),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.engine.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let of = args.expr_fields.first().map(|f| f.data_type());
        match (of, args.return_field.data_type()) {
            (Some(DataType::Decimal128(p, s)), DataType::Decimal128(to_p, to_s)) => {
                Ok(Box::new(Decimals {
                    of: (*p, *s),
                    to: (*to_p, *to_s),
                    distinct: args.is_distinct,
                    values: vec![],
                }))
            }
            _ => self.engine.accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.return_field.data_type().is_decimal()
            && self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.engine.create_groups_accumulator(args)
    }
}

#[derive(Debug)]
struct Decimals {
    of: Digits,
    to: Digits,
    distinct: bool,
    values: Vec<i128>,
}

impl Decimals {
    fn middle(&self) -> Option<i128> {
        let shift = u32::try_from(self.to.1 - self.of.1).ok()?;
        let last = self.values.len().checked_sub(1)?;
        let (from, to) = (self.values[last / 2], self.values[last.div_ceil(2)]);
        let middle = scaled_quotient(from.checked_add(to)?, shift, 2)?;
        fits(middle, self.to.0).then_some(middle)
    }
}

impl Accumulator for Decimals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = values[0].as_primitive::<Decimal128Type>();
        self.values.extend(values.iter().flatten());
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.values.sort_unstable();
        if self.distinct {
            self.values.dedup();
        }
        let (precision, scale) = self.to;
        let middle = self.middle();
        if middle.is_none() && !self.values.is_empty() {
            let to = sql_name(&DataType::Decimal128(precision, scale));
            return exec_err!(
                "number out of range: a median does not fit into {to}; cast its argument to fewer digits"
            );
        }
        Ok(ScalarValue::Decimal128(middle, precision, scale))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (p, s) = self.of;
        let values: Vec<_> = self
            .values
            .iter()
            .map(|v| ScalarValue::Decimal128(Some(*v), p, s))
            .collect();
        let list = ScalarValue::new_list_nullable(&values, &DataType::Decimal128(p, s));
        Ok(vec![ScalarValue::List(list)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<i128>()
    }
}

/// `percentile_cont(p) WITHIN GROUP (ORDER BY x)`: the engine's cuts the weight between two values to six digits.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Percentile {
    aliases: Vec<String>,
    signature: Signature,
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        "percentile_cont"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [of, fraction] = take_function_args(self.name(), types)?;
        for t in [of, fraction] {
            if !t.is_numeric() && *t != DataType::Null {
                let t = sql_name(t);
                return plan_err!("percentile_cont of {t} has no meaning: it takes numbers");
            }
        }
        Ok(vec![DataType::Float64; 2])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let values = Field::new_list_field(DataType::Float64, true);
        let name = format_state_name(args.name, "values");
        Ok(vec![Field::new_list(name, values, false).into()])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let fraction = match args.exprs.get(1).and_then(constant) {
            Some(fraction) if (0.0..=1.0).contains(&fraction) => fraction,
            Some(fraction) => {
                return exec_err!("percentile_cont({fraction}) is not between 0 and 1");
            }
            None => return exec_err!("percentile_cont takes a constant between 0 and 1"),
        };
        let descending = args.order_bys.first().is_some_and(|o| o.options.descending);
        Ok(Box::new(Values {
            fraction,
            descending,
            distinct: args.is_distinct,
            values: vec![],
        }))
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

fn constant(expr: &Arc<dyn PhysicalExpr>) -> Option<f64> {
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        return constant(cast.expr());
    }
    let value = expr.downcast_ref::<Literal>()?.value();
    match value.cast_to(&DataType::Float64).ok()? {
        ScalarValue::Float64(value) => value,
        _ => None,
    }
}

#[derive(Debug)]
struct Values {
    fraction: f64,
    descending: bool,
    distinct: bool,
    values: Vec<f64>,
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = values[0].as_primitive::<Float64Type>();
        self.values.extend(values.iter().flatten());
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.values.sort_by(f64::total_cmp);
        if self.distinct {
            self.values.dedup();
        }
        if self.descending {
            self.values.reverse();
        }
        let Some(last) = self.values.len().checked_sub(1) else {
            return Ok(ScalarValue::Float64(None));
        };
        let place = self.fraction * last as f64;
        // Both are between 0 and the last place.
        let (below, above) = (place.floor() as usize, place.ceil() as usize);
        let (from, to) = (self.values[below], self.values[above]);
        let value = if below == above {
            from
        } else {
            from + (to - from) * (place - place.floor())
        };
        Ok(ScalarValue::Float64(Some(value)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<_> = self
            .values
            .iter()
            .map(|v| ScalarValue::Float64(Some(*v)))
            .collect();
        let list = ScalarValue::new_list_nullable(&values, &DataType::Float64);
        Ok(vec![ScalarValue::List(list)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }
}
