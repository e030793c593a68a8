//! Our types as messages of `retail.v1`, and back: `From` in both directions, each pair from one list of fields.
//!
//! ```text
//! Job ──From──▶ v1::Job ──gRPC──▶ v1::Job ──From──▶ Job
//! ```
//!
//! Absent values travel as 0, -1 or an empty text (`Field`). Besides these files, only service files and the
//! client's connection name messages.

mod cluster;
mod event;
mod failure;
mod job;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use crate::ids::{ExecutorId, JobId, SnapshotId};

pub use event::event;
pub use failure::{failure_of_status, status, status_of};

/// A value of ours as the field of a message.
trait Field<W>: Sized {
    fn encode(self) -> W;
    fn decode(wire: W) -> Self;
}

/// Types that are the same on both sides.
macro_rules! same {
    ($($type:ty),*) => {$(
        impl Field<$type> for $type {
            fn encode(self) -> $type {
                self
            }
            fn decode(wire: $type) -> Self {
                wire
            }
        }
    )*};
}
same!(bool, u32, u64, i64, String);

impl<T: Field<W>, W> Field<Vec<W>> for Vec<T> {
    fn encode(self) -> Vec<W> {
        self.into_iter().map(T::encode).collect()
    }
    fn decode(wire: Vec<W>) -> Self {
        wire.into_iter().map(T::decode).collect()
    }
}

impl<T: Field<W>, W> Field<Option<W>> for Option<T> {
    fn encode(self) -> Option<W> {
        self.map(T::encode)
    }
    fn decode(wire: Option<W>) -> Self {
        wire.map(T::decode)
    }
}

impl<T: Field<W>, W> Field<W> for Box<T> {
    fn encode(self) -> W {
        (*self).encode()
    }
    fn decode(wire: W) -> Self {
        Box::new(T::decode(wire))
    }
}

impl Field<HashMap<String, String>> for BTreeMap<String, String> {
    fn encode(self) -> HashMap<String, String> {
        self.into_iter().collect()
    }
    fn decode(wire: HashMap<String, String>) -> Self {
        wire.into_iter().collect()
    }
}

/// Absent: the empty text.
impl Field<String> for Option<String> {
    fn encode(self) -> String {
        self.unwrap_or_default()
    }
    fn decode(wire: String) -> Self {
        (!wire.is_empty()).then_some(wire)
    }
}

/// Absent: 0, which is no time.
impl Field<i64> for Option<i64> {
    fn encode(self) -> i64 {
        self.unwrap_or_default()
    }
    fn decode(wire: i64) -> Self {
        (wire != 0).then_some(wire)
    }
}

impl Field<i64> for SnapshotId {
    fn encode(self) -> i64 {
        self.into()
    }
    fn decode(wire: i64) -> Self {
        wire.into()
    }
}

/// Absent: 0, as for a time.
impl Field<i64> for Option<SnapshotId> {
    fn encode(self) -> i64 {
        self.map_or(0, i64::from)
    }
    fn decode(wire: i64) -> Self {
        (wire != 0).then(|| wire.into())
    }
}

/// Ids are what the server gives out: none is refused.
macro_rules! text_ids {
    ($($id:ident),*) => {$(
        impl Field<String> for $id {
            fn encode(self) -> String {
                self.into()
            }
            fn decode(wire: String) -> Self {
                wire.into()
            }
        }
    )*};
}
text_ids!(JobId, ExecutorId);

/// Absent: -1; 0 is a count.
impl Field<i64> for Option<u64> {
    fn encode(self) -> i64 {
        self.map_or(-1, |count| i64::try_from(count).unwrap_or(i64::MAX))
    }
    fn decode(wire: i64) -> Self {
        u64::try_from(wire).ok()
    }
}

/// A port.
impl Field<u32> for u16 {
    fn encode(self) -> u32 {
        self.into()
    }
    fn decode(wire: u32) -> Self {
        // No server sends more.
        Self::try_from(wire).unwrap_or(Self::MAX)
    }
}

/// Both directions of a struct and the message of the same name and fields.
macro_rules! message {
    ($name:ident { $($field:ident),* $(,)? }) => {
        message!(inner $name { $($field),* });

        impl From<$name> for v1::$name {
            fn from(ours: $name) -> Self {
                ours.encode()
            }
        }
        impl From<v1::$name> for $name {
            fn from(wire: v1::$name) -> Self {
                Self::decode(wire)
            }
        }
    };
    // Of one that is a part of others only.
    (inner $name:ident { $($field:ident),* $(,)? }) => {
        impl Field<v1::$name> for $name {
            fn encode(self) -> v1::$name {
                v1::$name { $($field: Field::encode(self.$field)),* }
            }
            fn decode(wire: v1::$name) -> Self {
                Self { $($field: Field::decode(wire.$field)),* }
            }
        }
    };
}

/// Both directions of an enum and the message's; what this program is too old to know is `$unknown`.
macro_rules! enumeration {
    ($ours:ident { $($variant:ident),* $(,)? } else $unknown:ident) => {
        impl From<$ours> for v1::$ours {
            fn from(ours: $ours) -> Self {
                match ours {
                    $($ours::$variant => Self::$variant),*
                }
            }
        }
        impl From<v1::$ours> for $ours {
            fn from(wire: v1::$ours) -> Self {
                match wire {
                    $(v1::$ours::$variant => Self::$variant,)*
                    v1::$ours::Unspecified => Self::$unknown,
                }
            }
        }
        impl Field<i32> for $ours {
            fn encode(self) -> i32 {
                v1::$ours::from(self).into()
            }
            fn decode(wire: i32) -> Self {
                v1::$ours::try_from(wire).map_or(Self::$unknown, Self::from)
            }
        }
    };
}
use {enumeration, message};
