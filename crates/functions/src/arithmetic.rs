//! `+ - * / %` and negation that are exact or an error.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Datum, Decimal128Array, PrimitiveArray, Scalar,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{
    ArrowNativeTypeOp, DataType, Decimal128Type, Field, FieldRef, Int32Type, Int64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::types::NativeType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::decimal::{MAX_DIGITS, fits, quotient_type, scaled_quotient};

static FUNCTIONS: LazyLock<Vec<(Operator, Arc<ScalarUDF>)>> = LazyLock::new(|| {
    let operators = [
        (Operator::Plus, "checked_add"),
        (Operator::Minus, "checked_subtract"),
        (Operator::Multiply, "checked_multiply"),
        (Operator::Divide, "checked_divide"),
        (Operator::Modulo, "checked_modulo"),
    ];
    operators
        .into_iter()
        .map(|(op, name)| (op, Arc::new(ScalarUDF::from(Arithmetic::new(op, name)))))
        .collect()
});

static NEGATE: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Negate::default())));

/// The functions of this module.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let operators = FUNCTIONS.iter().map(|(_, f)| Arc::clone(f));
    operators.chain([Arc::clone(&NEGATE)]).collect()
}

/// `l op r` for one of `+ - * / %`. Where `l` is a call of the same operator, it is one call of all: `a + b + c` is not nested.
pub fn call(op: Operator, l: Expr, r: Expr) -> Expr {
    let found = FUNCTIONS.iter().find(|(o, _)| *o == op);
    let (_, function) = found.expect("only called for operators of the list above");
    match l {
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if func == *function && op != Operator::Modulo =>
        {
            args.push(r);
            function.call(args)
        }
        l => function.call(vec![l, r]),
    }
}

/// `-expr`.
pub fn negate(expr: Expr) -> Expr {
    NEGATE.call(vec![expr])
}

/// One of `+ - * / %`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    op: Operator,
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl Arithmetic {
    fn new(op: Operator, name: &'static str) -> Self {
        Self {
            op,
            name,
            aliases: match op {
                Operator::Modulo => vec!["mod".to_string()],
                _ => vec![],
            },
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<_> = args
            .iter()
            .map(|arg| arg.schema_name().to_string())
            .collect();
        Ok(args.join(&format!(" {} ", self.op)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.len() > 2 && self.op != Operator::Modulo {
            return Ok(types.to_vec());
        }
        let [l, r] = take_function_args(self.name, types)?;
        let (l, r) = (narrowed(l), narrowed(r));
        match (&l, &r) {
            (DataType::Decimal128(..), DataType::Decimal128(..)) => Ok(vec![l, r]),
            (DataType::Decimal128(..), t) if t.is_integer() => Ok(vec![l, integer_as_decimal(t)]),
            (t, DataType::Decimal128(..)) if t.is_integer() => Ok(vec![integer_as_decimal(t), r]),
            _ => {
                let (l, r) = BinaryTypeCoercer::new(&l, &self.op, &r).get_input_types()?;
                Ok(vec![l, r])
            }
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if let [first @ .., last] = types
            && first.len() > 1
        {
            let pair = self.coerce_types(&[self.return_type(first)?, last.clone()])?;
            return self.return_type(&pair);
        }
        let [l, r] = take_function_args(self.name, types)?;
        match (l, r, self.op) {
            (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2), Operator::Divide) => {
                let (p, s) = quotient_type((*p1, *s1), (*p2, *s2));
                Ok(DataType::Decimal128(p, s))
            }
            _ => BinaryTypeCoercer::new(l, &self.op, r).get_result_type(),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        field_of(self, &args)
    }

    /// Of the result's type, which functions around it expect.
    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        let types: Vec<_> = inputs.iter().map(|i| i.data_type()).collect();
        Interval::make_unbounded(&self.return_type(&types)?)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let count = args.args.len();
        let mut rest = args.args.into_iter();
        let Some(mut result) = rest.next().filter(|_| count > 1) else {
            return exec_err!("{} takes two arguments or more", self.name);
        };
        if count == 2
            && let Some(last) = rest.next()
        {
            return of_two(self.op, result, last, args.return_field.data_type());
        }
        for next in rest {
            let pair = self.coerce_types(&[result.data_type(), next.data_type()])?;
            let out = self.return_type(&pair)?;
            let [l, r] = take_function_args(self.name, pair)?;
            let (l, r) = (result.cast_to(&l, None)?, next.cast_to(&r, None)?);
            result = of_two(self.op, l, r, &out)?;
        }
        Ok(result)
    }
}

fn of_two(
    op: Operator,
    l: ColumnarValue,
    r: ColumnarValue,
    out: &DataType,
) -> Result<ColumnarValue> {
    match (l, r) {
        (ColumnarValue::Scalar(l), ColumnarValue::Scalar(r)) => {
            let array = compute(op, &l.to_scalar()?, &r.to_scalar()?, out)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &array, 0,
            )?))
        }
        (ColumnarValue::Scalar(l), ColumnarValue::Array(r)) => {
            compute(op, &l.to_scalar()?, &r, out).map(ColumnarValue::Array)
        }
        (ColumnarValue::Array(l), ColumnarValue::Scalar(r)) => {
            compute(op, &l, &r.to_scalar()?, out).map(ColumnarValue::Array)
        }
        (ColumnarValue::Array(l), ColumnarValue::Array(r)) => {
            compute(op, &l, &r, out).map(ColumnarValue::Array)
        }
    }
}

/// Whether calls of a function may be calls of many arguments: one of `+ - * /`.
pub fn is_chain(function: &ScalarUDF) -> bool {
    FUNCTIONS
        .iter()
        .any(|(op, f)| f.as_ref() == function && *op != Operator::Modulo)
}

/// The result of a function that is null exactly where an argument is.
fn field_of(function: &dyn ScalarUDFImpl, args: &ReturnFieldArgs) -> Result<FieldRef> {
    let types: Vec<_> = args
        .arg_fields
        .iter()
        .map(|f| f.data_type().clone())
        .collect();
    let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
    let data_type = function.return_type(&types)?;
    Ok(Field::new(function.name(), data_type, nullable).into())
}

/// Small decimals become the one kind of decimal that arithmetic is written for.
pub(super) fn narrowed(t: &DataType) -> DataType {
    match t {
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        t => t.clone(),
    }
}

fn integer_as_decimal(t: &DataType) -> DataType {
    let digits = match t {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        _ => 20,
    };
    DataType::Decimal128(digits, 0)
}

fn compute(op: Operator, l: &dyn Datum, r: &dyn Datum, out: &DataType) -> Result<ArrayRef> {
    if let (Operator::Divide, DataType::Decimal128(p, s)) = (op, out) {
        return divide(l, r, *p, *s);
    }
    if (op, l.get().0.data_type(), r.get().0.data_type())
        == (Operator::Minus, &DataType::Date32, &DataType::Date32)
    {
        return numeric::sub(days(l)?.as_ref(), days(r)?.as_ref()).map_err(|e| explained(e, out));
    }
    if let Some(array) = quick(op, l, r) {
        return Ok(array);
    }
    let array = match op {
        Operator::Plus => numeric::add(l, r),
        Operator::Minus => numeric::sub(l, r),
        Operator::Multiply => numeric::mul(l, r),
        Operator::Divide => numeric::div(l, r),
        Operator::Modulo => numeric::rem(l, r),
        _ => return exec_err!("{op} is not an operator of numbers"),
    };
    let array = array.map_err(|e| explained(e, out))?;
    // Below 38 digits the result's type is wide enough by construction.
    if let DataType::Decimal128(MAX_DIGITS, _) = array.data_type() {
        let values = array.as_primitive::<Decimal128Type>();
        if let Some(value) = values.iter().flatten().find(|v| !fits(*v, MAX_DIGITS)) {
            return Err(too_large(
                &format!("a result of {} digits", digits(value)),
                out,
            ));
        }
    }
    Ok(array)
}

/// Dates as days since 1970.
fn days(dates: &dyn Datum) -> Result<Box<dyn Datum>> {
    let (dates, is_scalar) = dates.get();
    let days = cast(&cast(dates, &DataType::Int32)?, &DataType::Int64)?;
    Ok(match is_scalar {
        true => Box::new(Scalar::new(days)),
        false => Box::new(days),
    })
}

/// Sums and differences of integers without a branch per row; `None` where that is not the case, or one overflows.
fn quick(op: Operator, l: &dyn Datum, r: &dyn Datum) -> Option<ArrayRef> {
    match l.get().0.data_type() {
        DataType::Int32 => quick_of::<Int32Type>(op, l, r),
        DataType::Int64 => quick_of::<Int64Type>(op, l, r),
        _ => None,
    }
}

fn quick_of<T: ArrowPrimitiveType>(op: Operator, l: &dyn Datum, r: &dyn Datum) -> Option<ArrayRef>
where
    T::Native: ArrowNativeTypeOp
        + std::ops::BitXor<Output = T::Native>
        + std::ops::BitAnd<Output = T::Native>
        + std::ops::BitOr<Output = T::Native>,
{
    let ((left, l_one), (right, r_one)) = (l.get(), r.get());
    let (left, right) = (
        left.as_primitive_opt::<T>()?,
        right.as_primitive_opt::<T>()?,
    );
    let mut signs = T::Native::ZERO;
    let mut add = |a: T::Native, b: T::Native| {
        let sum = a.add_wrapping(b);
        signs = signs | ((a ^ sum) & (b ^ sum));
        sum
    };
    let values: Vec<T::Native> = match (op, l_one, r_one) {
        (Operator::Plus, false, false) => {
            let pairs = left.values().iter().zip(right.values());
            pairs.map(|(a, b)| add(*a, *b)).collect()
        }
        (Operator::Plus, false, true) if right.is_valid(0) => {
            let b = right.value(0);
            left.values().iter().map(|a| add(*a, b)).collect()
        }
        (Operator::Plus, true, false) if left.is_valid(0) => {
            let a = left.value(0);
            right.values().iter().map(|b| add(a, *b)).collect()
        }
        (Operator::Minus, false, false) => {
            let pairs = left.values().iter().zip(right.values());
            let mut signs = T::Native::ZERO;
            let values = pairs
                .map(|(a, b)| {
                    let difference = a.sub_wrapping(*b);
                    signs = signs | ((*a ^ *b) & (*a ^ difference));
                    difference
                })
                .collect();
            if signs.is_lt(T::Native::ZERO) {
                return None;
            }
            values
        }
        (Operator::Minus, false, true) if right.is_valid(0) => {
            let b = right.value(0).neg_checked().ok()?;
            left.values().iter().map(|a| add(*a, b)).collect()
        }
        _ => return None,
    };
    if signs.is_lt(T::Native::ZERO) {
        return None;
    }
    let nulls = match (l_one, r_one) {
        (false, false) => NullBuffer::union(left.nulls(), right.nulls()),
        (false, true) => left.nulls().cloned(),
        _ => right.nulls().cloned(),
    };
    Some(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
}

/// Quotients of decimals, at the scale of the result.
fn divide(l: &dyn Datum, r: &dyn Datum, precision: u8, scale: i8) -> Result<ArrayRef> {
    let ((left, l_one), (right, r_one)) = (l.get(), r.get());
    let (Some(left), Some(right)) = (
        left.as_primitive_opt::<Decimal128Type>(),
        right.as_primitive_opt::<Decimal128Type>(),
    ) else {
        return exec_err!("a quotient of decimals has operands of other types");
    };
    let out = DataType::Decimal128(precision, scale);
    let shift = i32::from(scale) - i32::from(left.scale()) + i32::from(right.scale());
    let shift = u32::try_from(shift)
        .map_err(|_| exec_datafusion_err!("a quotient of decimals has too small a scale"))?;
    let one = |a: i128, b: i128| -> Result<i128> {
        if b == 0 {
            return Err(by_zero());
        }
        match scaled_quotient(a, shift, b) {
            Some(q) if fits(q, precision) => Ok(q),
            _ => Err(too_large("the quotient", &out)),
        }
    };
    let rows = if l_one { right.len() } else { left.len() };
    let at = |array: &Decimal128Array, one: bool, row: usize| {
        let row = if one { 0 } else { row };
        array.is_valid(row).then(|| array.value(row))
    };
    let mut values = Decimal128Array::builder(rows);
    for row in 0..rows {
        match (at(left, l_one, row), at(right, r_one, row)) {
            (Some(a), Some(b)) => values.append_value(one(a, b)?),
            _ => values.append_null(),
        }
    }
    Ok(Arc::new(values.finish().with_data_type(out)))
}

fn digits(value: i128) -> u32 {
    value.unsigned_abs().checked_ilog10().map_or(1, |d| d + 1)
}

pub(super) fn by_zero() -> DataFusionError {
    exec_datafusion_err!("division by zero; nullif(x, 0) as the divisor gives NULL instead")
}

fn too_large(what: &str, out: &DataType) -> DataFusionError {
    exec_datafusion_err!(
        "number out of range: {what} does not fit into {}; cast the operands to fewer digits, or to double",
        sql_name(out)
    )
}

fn explained(error: ArrowError, out: &DataType) -> DataFusionError {
    match error {
        ArrowError::DivideByZero => by_zero(),
        ArrowError::ArithmeticOverflow(text) => {
            let what = text.strip_prefix("Overflow happened on: ").unwrap_or(&text);
            match out {
                DataType::Decimal128(..) => too_large(what, out),
                _ => exec_datafusion_err!(
                    "number out of range: {what} does not fit into {}; cast an operand to {}",
                    sql_name(out),
                    if *out == DataType::Int64 {
                        "decimal(38,0)"
                    } else {
                        "bigint"
                    }
                ),
            }
        }
        error => error.into(),
    }
}

/// A type as SQL names it.
pub(super) fn sql_name(t: &DataType) -> String {
    match t {
        DataType::Int8 => "tinyint".to_string(),
        DataType::Int16 => "smallint".to_string(),
        DataType::Int32 => "integer".to_string(),
        DataType::Int64 => "bigint".to_string(),
        DataType::Float32 => "real".to_string(),
        DataType::Float64 => "double".to_string(),
        DataType::Boolean => "boolean".to_string(),
        DataType::Decimal128(p, s) => format!("decimal({p},{s})"),
        t => NativeType::from(t.clone()).to_string().to_lowercase(),
    }
}

/// `-x`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Negate {
    signature: Signature,
}

impl Default for Negate {
    fn default() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Negate {
    fn name(&self) -> &str {
        "checked_negate"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [expr] = take_function_args(self.name(), args)?;
        Ok(format!("(- {})", expr.schema_name()))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.iter().map(narrowed).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [of] = take_function_args(self.name(), types)?;
        Ok(of.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        field_of(self, &args)
    }

    /// Of the result's type, which functions around it expect.
    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        let types: Vec<_> = inputs.iter().map(|i| i.data_type()).collect();
        Interval::make_unbounded(&self.return_type(&types)?)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), args.args)?;
        let out = args.return_field.data_type();
        match value {
            ColumnarValue::Array(array) => {
                let negated = numeric::neg(array.as_ref()).map_err(|e| explained(e, out))?;
                Ok(ColumnarValue::Array(negated))
            }
            ColumnarValue::Scalar(value) => {
                let negated = numeric::neg(&value.to_array()?).map_err(|e| explained(e, out))?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                    &negated, 0,
                )?))
            }
        }
    }
}
