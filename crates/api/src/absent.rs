//! Absent values as our JSON writes them: 0 for a time or a snapshot that is not there, -1 for a count.
//!
//! Stored events and scripts that read `--json` hold those numbers; in Rust they are `Option`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn zero_or<T: Serialize, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_i64(0),
    }
}

pub(crate) fn zero<'de, T: From<i64>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = i64::deserialize(deserializer)?;
    Ok((value != 0).then(|| value.into()))
}

pub(crate) fn minus_one_or<S: Serializer>(
    value: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_i64(-1),
    }
}

pub(crate) fn minus_one<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    Ok(u64::try_from(i64::deserialize(deserializer)?).ok())
}
