//! Totals of exact numbers: summed as `i128`, refused when they do not fit.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Int64Array,
    UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int32Type, Int64Type, UInt64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::super::arithmetic::sql_name;
use super::super::decimal::{Digits, MAX_DIGITS, fits, scaled_quotient};

/// What becomes of a total and the count of values in it.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    out: DataType,
    /// Digits after the point of the values.
    scale: i8,
    /// Digits that an average has beyond the values; `None` for a sum.
    average_shift: Option<u32>,
}

impl Finish {
    /// The total, as `out`.
    pub(super) fn sum(out: DataType, scale: i8) -> Self {
        Self {
            out,
            scale,
            average_shift: None,
        }
    }

    /// The total by the count, rounded half away from zero.
    pub(super) fn average((precision, to): Digits, scale: i8) -> Self {
        Self {
            out: DataType::Decimal128(precision, to),
            scale,
            average_shift: Some(u32::from((to - scale).unsigned_abs())),
        }
    }

    /// The type of a total between tasks.
    pub(super) fn total_type(&self) -> DataType {
        DataType::Decimal128(MAX_DIGITS, self.scale)
    }

    fn value(&self, total: i128, count: u64) -> Result<Option<i128>> {
        if count == 0 {
            return Ok(None);
        }
        let value = match self.average_shift {
            None => Some(total),
            Some(shift) => scaled_quotient(total, shift, i128::from(count)),
        };
        let fits = |v: &i128| match self.out {
            DataType::Decimal128(precision, _) => fits(*v, precision),
            _ => i64::try_from(*v).is_ok(),
        };
        value.filter(fits).map(Some).ok_or_else(|| self.overflow())
    }

    fn overflow(&self) -> DataFusionError {
        let function = if self.average_shift.is_some() {
            "avg"
        } else {
            "sum"
        };
        exec_datafusion_err!(
            "number out of range: a {function} does not fit into {}; cast its argument to {}",
            sql_name(&self.out),
            if self.out == DataType::Int64 {
                "bigint"
            } else {
                "fewer digits, or to double"
            }
        )
    }

    fn scalar(&self, value: Option<i128>) -> Result<ScalarValue> {
        match self.out {
            DataType::Decimal128(p, s) => Ok(ScalarValue::Decimal128(value, p, s)),
            _ => {
                let value = value.map(i64::try_from).transpose();
                Ok(ScalarValue::Int64(value.map_err(|_| self.overflow())?))
            }
        }
    }

    fn array(&self, values: impl Iterator<Item = Result<Option<i128>>>) -> Result<ArrayRef> {
        match self.out {
            DataType::Decimal128(..) => {
                let values: Decimal128Array = values.collect::<Result<_>>()?;
                Ok(Arc::new(values.with_data_type(self.out.clone())))
            }
            _ => {
                let narrow = |v: Result<Option<i128>>| -> Result<Option<i64>> {
                    v?.map(|v| i64::try_from(v).map_err(|_| self.overflow()))
                        .transpose()
                };
                let values: Int64Array = values.map(narrow).collect::<Result<_>>()?;
                Ok(Arc::new(values))
            }
        }
    }

    fn totals(&self, totals: Vec<i128>) -> ArrayRef {
        let totals = Decimal128Array::from_iter_values(totals);
        Arc::new(totals.with_data_type(self.total_type()))
    }
}

/// Calls `f` with each row that is not null and passes the filter.
fn each(
    values: &ArrayRef,
    filter: Option<&BooleanArray>,
    f: impl FnMut(usize, i128),
) -> Result<()> {
    match values.data_type() {
        DataType::Int32 => each_of::<Int32Type>(values, filter, f),
        DataType::Int64 => each_of::<Int64Type>(values, filter, f),
        DataType::Decimal128(..) => each_of::<Decimal128Type>(values, filter, f),
        other => return internal_err!("totals of {other} are not summed here"),
    }
    Ok(())
}

fn each_of<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    filter: Option<&BooleanArray>,
    mut f: impl FnMut(usize, i128),
) where
    T::Native: Into<i128>,
{
    let values = values.as_primitive::<T>();
    if filter.is_none() && values.null_count() == 0 {
        for (row, value) in values.values().iter().enumerate() {
            f(row, (*value).into());
        }
        return;
    }
    let passes = |row| filter.is_none_or(|f| f.is_valid(row) && f.value(row));
    for (row, value) in values.values().iter().enumerate() {
        if values.is_valid(row) && passes(row) {
            f(row, (*value).into());
        }
    }
}

/// One total; also over a window that slides.
#[derive(Debug)]
pub(super) struct Total {
    finish: Finish,
    total: i128,
    count: u64,
}

impl Total {
    pub(super) fn new(finish: Finish) -> Self {
        Self {
            finish,
            total: 0,
            count: 0,
        }
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (mut total, mut count, mut wrapped) = (self.total, self.count, false);
        each(&values[0], None, |_, value| {
            let (sum, over) = total.overflowing_add(value);
            total = sum;
            wrapped |= over;
            count += 1;
        })?;
        if wrapped {
            return Err(self.finish.overflow());
        }
        (self.total, self.count) = (total, count);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (mut total, mut count, mut wrapped) = (self.total, self.count, false);
        each(&values[0], None, |_, value| {
            let (difference, over) = total.overflowing_sub(value);
            total = difference;
            wrapped |= over;
            count -= 1;
        })?;
        if wrapped {
            return Err(self.finish.overflow());
        }
        (self.total, self.count) = (total, count);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<UInt64Type>();
        let totals = states[1].as_primitive::<Decimal128Type>();
        for (count, total) in counts.values().iter().zip(totals.values()) {
            self.count += count;
            let sum = self.total.checked_add(*total);
            self.total = sum.ok_or_else(|| self.finish.overflow())?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.finish.value(self.total, self.count)?;
        self.finish.scalar(value)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let total = ScalarValue::Decimal128(Some(self.total), MAX_DIGITS, self.finish.scale);
        Ok(vec![ScalarValue::UInt64(Some(self.count)), total])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// A total of distinct values, each with how often the window holds it.
#[derive(Debug)]
pub(super) struct Distinct {
    finish: Finish,
    times: HashMap<i128, u64>,
}

impl Distinct {
    pub(super) fn new(finish: Finish) -> Self {
        Self {
            finish,
            times: HashMap::new(),
        }
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each(&values[0], None, |_, value| {
            *self.times.entry(value).or_default() += 1;
        })
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each(&values[0], None, |_, value| {
            if let Some(times) = self.times.get_mut(&value) {
                *times -= 1;
                if *times == 0 {
                    self.times.remove(&value);
                }
            }
        })
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let total = self
            .times
            .keys()
            .try_fold(0_i128, |sum, value| sum.checked_add(*value));
        let total = total.ok_or_else(|| self.finish.overflow())?;
        let value = self.finish.value(total, self.times.len() as u64)?;
        self.finish.scalar(value)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let scale = self.finish.scale;
        let values: Vec<_> = self
            .times
            .keys()
            .map(|value| ScalarValue::Decimal128(Some(*value), MAX_DIGITS, scale))
            .collect();
        let list = ScalarValue::new_list_nullable(&values, &self.finish.total_type());
        Ok(vec![ScalarValue::List(list)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.times.capacity() * size_of::<(i128, u64)>()
    }
}

/// A total per group.
#[derive(Debug)]
pub(super) struct GroupTotals {
    finish: Finish,
    totals: Vec<i128>,
    counts: Vec<u64>,
}

impl GroupTotals {
    pub(super) fn new(finish: Finish) -> Self {
        Self {
            finish,
            totals: vec![],
            counts: vec![],
        }
    }

    fn take(&mut self, emit_to: EmitTo) -> (Vec<i128>, Vec<u64>) {
        let totals = emit_to.take_needed(&mut self.totals);
        (totals, emit_to.take_needed(&mut self.counts))
    }
}

impl GroupsAccumulator for GroupTotals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.totals.resize(total_num_groups, 0);
        self.counts.resize(total_num_groups, 0);
        let mut wrapped = false;
        each(&values[0], opt_filter, |row, value| {
            let group = group_indices[row];
            let (sum, over) = self.totals[group].overflowing_add(value);
            self.totals[group] = sum;
            self.counts[group] += 1;
            wrapped |= over;
        })?;
        if wrapped {
            return Err(self.finish.overflow());
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.totals.resize(total_num_groups, 0);
        self.counts.resize(total_num_groups, 0);
        let counts = states[0].as_primitive::<UInt64Type>();
        let totals = states[1].as_primitive::<Decimal128Type>();
        for (row, group) in group_indices.iter().enumerate() {
            self.counts[*group] += counts.value(row);
            let sum = self.totals[*group].checked_add(totals.value(row));
            self.totals[*group] = sum.ok_or_else(|| self.finish.overflow())?;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (totals, counts) = self.take(emit_to);
        let pairs = totals.into_iter().zip(counts);
        self.finish
            .array(pairs.map(|(total, count)| self.finish.value(total, count)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (totals, counts) = self.take(emit_to);
        Ok(vec![
            Arc::new(UInt64Array::from(counts)),
            self.finish.totals(totals),
        ])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let (mut totals, mut counts) = (vec![0; rows], vec![0; rows]);
        each(&values[0], opt_filter, |row, value| {
            totals[row] = value;
            counts[row] = 1;
        })?;
        Ok(vec![
            Arc::new(UInt64Array::from(counts)),
            self.finish.totals(totals),
        ])
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<u64>()
    }
}
