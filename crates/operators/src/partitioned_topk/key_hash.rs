//! Hashes of key columns, and the fixed-width values behind them.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, make_array};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::Result;
use datafusion::common::hash_utils::{RandomState, create_hashes};

/// Differs from the seed of `RepartitionExec`, whose partitions would otherwise fill few buckets, and of aggregates.
const SEED: u64 = 0x6b65_6570_5f31_7374;

/// Hashes the key of every row of a batch.
///
/// A single key column of at most 64 bits is hashed by a bijection: rows with equal hashes have equal keys, and no key
/// is ever compared.
#[derive(Debug)]
pub(super) struct KeyHasher {
    seed: u64,
    one_to_one: bool,
}

impl KeyHasher {
    /// A hasher for keys of these types. Each `level` of a recursive spill has its own seed.
    pub(super) fn new(types: &[DataType], level: u32) -> Self {
        let one_to_one = matches!(types, [only] if is_narrow(only));
        let seed = SEED.wrapping_add(u64::from(level).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { seed, one_to_one }
    }

    /// Whether equal hashes of keys that are not null prove equal keys.
    pub(super) fn is_one_to_one(&self) -> bool {
        self.one_to_one
    }

    /// Fills `hashes` with one hash per row; a null key of a one-to-one hasher hashes to 0.
    pub(super) fn hash(&self, keys: &[ArrayRef], rows: usize, hashes: &mut Vec<u64>) -> Result<()> {
        hashes.clear();
        if !self.one_to_one {
            hashes.resize(rows, 0);
            create_hashes(keys, &RandomState::with_seed(self.seed), hashes)?;
            return Ok(());
        }
        *hashes = ordered_bits(&keys[0])?;
        for hash in hashes.iter_mut() {
            *hash = mix(*hash ^ self.seed);
        }
        if let Some(nulls) = keys[0].nulls().filter(|nulls| nulls.null_count() > 0) {
            for (hash, valid) in hashes.iter_mut().zip(nulls.iter()) {
                if !valid {
                    *hash = 0;
                }
            }
        }
        Ok(())
    }
}

/// A bijection of 64 bits that spreads every input bit over the output (the finalizer of MurmurHash3).
fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

/// Whether [`ordered_bits`] can represent values of this type.
pub(super) fn is_narrow(data_type: &DataType) -> bool {
    storage(data_type).is_some()
}

/// The numeric type that stores values of `data_type`, if it has at most 64 bits.
fn storage(data_type: &DataType) -> Option<DataType> {
    use DataType::*;
    match data_type {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float32 | Float64 => {
            Some(data_type.clone())
        }
        Date32 | Time32(_) | Decimal32(..) => Some(Int32),
        Date64 | Time64(_) | Timestamp(..) | Duration(_) | Decimal64(..) => Some(Int64),
        _ => None,
    }
}

/// Every value as 64 bits that compare as the values do. Nulls yield any bits.
///
/// Floats are ordered by IEEE 754 `totalOrder`, as the sort kernels do.
pub(super) fn ordered_bits(array: &ArrayRef) -> Result<Vec<u64>> {
    const SIGN: u64 = 1 << 63;
    let Some(stored) = storage(array.data_type()) else {
        return datafusion::common::internal_err!("{} is wider than 64 bits", array.data_type());
    };
    let array = if &stored == array.data_type() {
        ArrayRef::clone(array)
    } else {
        make_array(
            array
                .to_data()
                .into_builder()
                .data_type(stored.clone())
                .build()?,
        )
    };
    let signed = |value: i64| (value as u64) ^ SIGN;
    Ok(match stored {
        DataType::Int8 => bits::<Int8Type>(&array, |v| signed(v.into())),
        DataType::Int16 => bits::<Int16Type>(&array, |v| signed(v.into())),
        DataType::Int32 => bits::<Int32Type>(&array, |v| signed(v.into())),
        DataType::Int64 => bits::<Int64Type>(&array, signed),
        DataType::UInt8 => bits::<UInt8Type>(&array, u64::from),
        DataType::UInt16 => bits::<UInt16Type>(&array, u64::from),
        DataType::UInt32 => bits::<UInt32Type>(&array, u64::from),
        DataType::UInt64 => bits::<UInt64Type>(&array, |v| v),
        DataType::Float32 => bits::<Float32Type>(&array, |v| {
            let bits = v.to_bits().cast_signed();
            signed(i64::from(
                bits ^ (((bits >> 31).cast_unsigned()) >> 1).cast_signed(),
            ))
        }),
        _ => bits::<Float64Type>(&array, |v| {
            let bits = v.to_bits().cast_signed();
            signed(bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed())
        }),
    })
}

fn bits<T: ArrowPrimitiveType>(array: &ArrayRef, to_bits: impl Fn(T::Native) -> u64) -> Vec<u64> {
    array
        .as_primitive::<T>()
        .values()
        .iter()
        .map(|value| to_bits(*value))
        .collect()
}
