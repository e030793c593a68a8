//! One NaN and one zero.
//!
//! A NaN has millions of bit patterns and zero has two. Arrow sorts, groups and joins floats by their bits: the NaN that
//! a processor makes of `inf - inf` stands below all numbers, another one above them, and -0.0 comes before 0.0. SQL has
//! one NaN, equal to itself and above all numbers, and one zero. So every float becomes canonical where it enters a
//! query (files here, computed ones in the engine), and comparisons may go on looking at bits.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayData, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, make_array,
};
use datafusion::arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;

/// Whether there are floats in a type, at any depth.
pub fn has_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_float(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_float(f.data_type())),
        DataType::Dictionary(_, values) => has_float(values),
        other => other.is_floating(),
    }
}

/// The values with one NaN and one zero, at any depth. Other types stay as they are.
///
/// # Errors
/// A nested array cannot be put together again, which only a damaged one causes.
pub fn canonical_floats(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Float16 => Ok(flat::<Float16Type>(
            array,
            |v| u64::from(v.to_bits()),
            |bits| <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits as u16),
            |v| v.is_nan(),
            [0x7e00, 1 << 15],
        )),
        DataType::Float32 => Ok(flat::<Float32Type>(
            array,
            |v| u64::from(v.to_bits()),
            |bits| f32::from_bits(bits as u32),
            f32::is_nan,
            [u64::from(f32::NAN.to_bits()), 1 << 31],
        )),
        DataType::Float64 => Ok(flat::<Float64Type>(
            array,
            f64::to_bits,
            f64::from_bits,
            f64::is_nan,
            [f64::NAN.to_bits(), 1 << 63],
        )),
        nested if has_float(nested) => Ok(make_array(inside(array.to_data())?)),
        _ => Ok(Arc::clone(array)),
    }
}

/// The value with one NaN and one zero, at any depth.
pub fn canonical_scalar(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Float32(Some(v)) => ScalarValue::Float32(Some(match v.is_nan() {
            true => f32::NAN,
            false => v + 0.0,
        })),
        ScalarValue::Float64(Some(v)) => ScalarValue::Float64(Some(match v.is_nan() {
            true => f64::NAN,
            false => v + 0.0,
        })),
        other => other,
    }
}

/// Of a primitive array, by the bits of the one NaN and of -0.0.
fn flat<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    bits: impl Fn(T::Native) -> u64,
    of_bits: impl Fn(u64) -> T::Native,
    is_nan: impl Fn(T::Native) -> bool,
    [nan, negative_zero]: [u64; 2],
) -> ArrayRef {
    let values: &PrimitiveArray<T> = array.as_primitive();
    let canonical = |v: T::Native| match bits(v) {
        now if now == negative_zero => of_bits(0),
        now if now != nan && is_nan(v) => of_bits(nan),
        _ => v,
    };
    let odd = |v: &T::Native| bits(canonical(*v)) != bits(*v);
    if !values.values().iter().any(odd) {
        return Arc::clone(array);
    }
    let canonical: PrimitiveArray<T> = values.unary(canonical);
    Arc::new(canonical)
}

fn inside(data: ArrayData) -> Result<ArrayData, ArrowError> {
    let children = data.child_data().iter().map(|child| {
        let child = make_array(child.clone());
        Ok(canonical_floats(&child)?.to_data())
    });
    let children = children.collect::<Result<Vec<_>, ArrowError>>()?;
    data.into_builder().child_data(children).build()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float32Array, Float64Array, ListArray, StructArray};

    use super::*;

    fn odd_nan() -> f64 {
        f64::from_bits(0xfff8_0000_0000_0001)
    }

    #[test]
    fn every_nan_becomes_one_and_zero_loses_its_sign() {
        let values = [
            Some(odd_nan()),
            Some(f64::NAN),
            Some(-0.0),
            None,
            Some(-1.5),
        ];
        let array: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        let found = canonical_floats(&array).unwrap();
        let bits = found.as_primitive::<Float64Type>().iter();
        let bits: Vec<_> = bits.map(|v| v.map(f64::to_bits)).collect();
        let nan = Some(f64::NAN.to_bits());
        let rest = [Some(0), None, Some((-1.5f64).to_bits())];
        assert_eq!(bits, [vec![nan, nan], rest.to_vec()].concat());
        let array: ArrayRef = Arc::new(Float32Array::from(vec![-f32::NAN, -0.0]));
        let found = canonical_floats(&array).unwrap();
        let found = found.as_primitive::<Float32Type>().values().to_vec();
        assert_eq!(found[0].to_bits(), f32::NAN.to_bits());
        assert_eq!(found[1].to_bits(), 0);
    }

    #[test]
    fn floats_inside_lists_and_structs_become_canonical_too() {
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(vec![Some(-0.0), Some(odd_nan())]),
            None,
        ]);
        let field = Arc::new(datafusion::arrow::datatypes::Field::new(
            "l",
            list.data_type().clone(),
            true,
        ));
        let rows = StructArray::from(vec![(field, Arc::new(list) as ArrayRef)]);
        let rows: ArrayRef = Arc::new(rows);
        // A part of an array counts from an offset.
        for rows in [Arc::clone(&rows), rows.slice(0, 1)] {
            let found = canonical_floats(&rows).unwrap();
            assert_eq!(found.len(), rows.len());
            let list = found.as_struct().column(0).as_list::<i32>().value(0);
            let values = list.as_primitive::<Float64Type>().values().to_vec();
            assert_eq!(values[0].to_bits(), 0);
            assert_eq!(values[1].to_bits(), f64::NAN.to_bits());
        }
    }
}
