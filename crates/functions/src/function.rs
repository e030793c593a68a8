//! The frame of a function that is computed column by column.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// What arguments are coerced to; an error names the function and the types that it takes.
type Coerce = fn(&[DataType]) -> Result<Vec<DataType>>;
/// The type of the answer, from the arguments' types and the arguments that are constant.
type Answer = fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>;
/// The answer's column. All columns have the same length.
type Run = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;

/// A function of one row that is known by its name alone: an executor that has it under the same name runs the same code.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) coerce: Coerce,
    pub(super) answer: Answer,
    pub(super) run: Run,
    /// Not folded, not moved, not computed twice in place of once.
    pub(super) stays: bool,
}

impl Function {
    pub(super) fn udf(self) -> Arc<ScalarUDF> {
        let volatility = if self.stays {
            Volatility::Volatile
        } else {
            Volatility::Immutable
        };
        Arc::new(ScalarUDF::from(Named {
            signature: Signature::user_defined(volatility),
            aliases: self.aliases.iter().map(ToString::to_string).collect(),
            function: self,
        }))
    }
}

struct Named {
    function: Function,
    signature: Signature,
    aliases: Vec<String>,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Named")
            .field("name", &self.function.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        self.function.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        (self.function.coerce)(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        (self.function.answer)(types, &vec![None; types.len()])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args
            .arg_fields
            .iter()
            .map(|f| f.data_type().clone())
            .collect();
        let answer = (self.function.answer)(&types, args.scalar_arguments)?;
        Ok(Field::new(self.function.name, answer, true).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant && !self.function.stays {
            1
        } else {
            args.number_rows
        };
        let columns = args
            .args
            .into_iter()
            .map(|a| a.into_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let answer = (self.function.run)(&columns, args.return_field.data_type())?;
        if constant && !self.function.stays {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &answer, 0,
            )?));
        }
        Ok(ColumnarValue::Array(answer))
    }
}

/// A column as texts.
pub(super) fn texts(column: &ArrayRef) -> Result<datafusion::arrow::array::StringArray> {
    use datafusion::arrow::array::AsArray;
    let texts = datafusion::arrow::compute::cast(column, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().clone())
}

/// A column as moments: microseconds since 1970.
pub(super) fn micros(column: &ArrayRef) -> Result<datafusion::arrow::array::Int64Array> {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::{Int64Type, TimeUnit};
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let moments = DataType::Timestamp(TimeUnit::Microsecond, zone);
    let exact = datafusion::arrow::compute::CastOptions {
        safe: false,
        ..Default::default()
    };
    let moments = datafusion::arrow::compute::cast_with_options(column, &moments, &exact)?;
    let numbers = datafusion::arrow::compute::cast(&moments, &DataType::Int64)?;
    Ok(numbers.as_primitive::<Int64Type>().clone())
}

/// Whether a type is one of text.
pub fn is_text(t: &DataType) -> bool {
    matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The error of a call whose arguments the function does not take.
pub(super) fn no_such_call(
    name: &str,
    types: &[DataType],
    takes: &str,
) -> datafusion::error::DataFusionError {
    let types: Vec<_> = types.iter().map(crate::type_name::type_name).collect();
    datafusion::common::plan_datafusion_err!(
        "{name}({}) is no function here; it takes {takes}",
        types.join(", ")
    )
}

/// A day far outside of what a timestamp holds.
pub(super) fn out_of_range(what: &str) -> datafusion::error::DataFusionError {
    exec_datafusion_err!("{what} is out of range: dates go from 4713 BC to 294246")
}

/// The length that the columns have.
pub(super) fn rows(columns: &[ArrayRef]) -> usize {
    columns.first().map_or(0, |c| c.len())
}
