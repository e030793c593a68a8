//! `generate_series` as a list, of numbers, dates and timestamps.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Builder, ListBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::{Function, micros, no_such_call, rows};
use super::time;

/// Most elements of one list: a series is made in memory.
const MOST: usize = 50_000_000;
const TAKES: &str = "two numbers and a step, or two dates or timestamps and an interval";

static SERIES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Function {
        name: "generate_series",
        aliases: &[],
        coerce: |types| {
            let moment = |t: &DataType| {
                matches!(
                    t,
                    DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Null
                ) || super::function::is_text(t)
            };
            let whole = |t: &DataType| t.is_integer() || t.is_null();
            match types {
                [a, b] if whole(a) && whole(b) => Ok(vec![DataType::Int64; 2]),
                [a, b, c] if whole(a) && whole(b) && whole(c) => Ok(vec![DataType::Int64; 3]),
                [a, b, DataType::Interval(_) | DataType::Duration(_)] if moment(a) && moment(b) => {
                    let (wall, zoned) = time::wall_clock_and_moment();
                    let is_zoned = |t: &DataType| matches!(t, DataType::Timestamp(_, Some(_)));
                    let t = if is_zoned(a) || is_zoned(b) {
                        zoned
                    } else {
                        wall
                    };
                    Ok(vec![t.clone(), t, time::interval::INTERVAL])
                }
                _ => Err(no_such_call("generate_series", types, TAKES)),
            }
        },
        answer: |types, _| {
            let item = types.first().cloned().unwrap_or(DataType::Int64);
            Ok(DataType::List(Arc::new(Field::new_list_field(item, true))))
        },
        run: |args, _| match args {
            [from, ..] if *from.data_type() == DataType::Int64 => numbers(args),
            _ => moments(args),
        },
        stays: false,
    }
    .udf()
});

/// The function.
pub(super) fn series() -> Arc<ScalarUDF> {
    Arc::clone(&SERIES)
}

fn numbers(args: &[ArrayRef]) -> Result<ArrayRef> {
    let columns: Vec<_> = args.iter().map(|a| a.as_primitive::<Int64Type>()).collect();
    let mut out = ListBuilder::new(Int64Builder::new());
    for row in 0..rows(args) {
        if columns.iter().any(|c| c.is_null(row)) {
            out.append_null();
            continue;
        }
        let (from, to) = (columns[0].value(row), columns[1].value(row));
        let step = columns.get(2).map_or(1, |c| c.value(row));
        if step == 0 {
            return exec_err!("generate_series has a step of zero");
        }
        let mut next = Some(from);
        let mut count = 0;
        while let Some(value) = next.filter(|v| if step > 0 { *v <= to } else { *v >= to }) {
            out.values().append_value(value);
            next = value.checked_add(step);
            count += 1;
            not_too_many(count)?;
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

fn moments(args: &[ArrayRef]) -> Result<ArrayRef> {
    let [from, to, step] = args else {
        return exec_err!("generate_series takes {TAKES}");
    };
    let (starts, ends) = (micros(from)?, micros(to)?);
    let steps = time::steps(step)?;
    let t = from.data_type().clone();
    let zone = match &t {
        DataType::Timestamp(TimeUnit::Microsecond, zone) => zone.clone(),
        _ => None,
    };
    let item = TimestampMicrosecondBuilder::new()
        .with_data_type(DataType::Timestamp(TimeUnit::Microsecond, zone));
    let mut out = ListBuilder::new(item);
    for (row, step) in steps.iter().enumerate() {
        let (false, false, Some(step)) = (starts.is_null(row), ends.is_null(row), step) else {
            out.append_null();
            continue;
        };
        let end = ends.value(row);
        let mut next = starts.value(row);
        let forward = step.is_forward()?;
        let mut count = 0;
        while if forward { next <= end } else { next >= end } {
            out.values().append_value(next);
            next = step.after(next)?;
            count += 1;
            not_too_many(count)?;
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

fn not_too_many(count: usize) -> Result<()> {
    if count > MOST {
        return exec_err!(
            "generate_series has more than {MOST} rows; take a longer step, or a table of numbers"
        );
    }
    Ok(())
}
