//! Ids of jobs, executors and snapshots: types of their own, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

/// Digits of a short form.
const SHORT_DIGITS: usize = 8;
/// Digits of a UUID's last group, all of them random.
const GROUP_DIGITS: usize = 12;

/// Id of a job: a UUIDv7, never given twice. Snapshots carry it as the key of their publish.
///
/// ```text
/// 019dca2e-7b1a-7c3d-9e4f-7f3a5c21d0b4
/// └ when it was submitted │ └──────┴── short form: what people see, and type from its beginning
///                         └ random from here
/// ```
///
/// Stores of a program before this one hold jobs with ids of four to eight hexadecimal digits (decision 22): they stay
/// as they are, and are their own short form.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// The id of a job that is submitted at `now_us`, in microseconds since the epoch.
    pub fn new(now_us: i64) -> Self {
        let now_us = now_us.max(0) as u64;
        let nanos = (now_us % 1_000_000) as u32 * 1000;
        let at = Timestamp::from_unix(NoContext, now_us / 1_000_000, nanos);
        Self(Uuid::new_v7(at).to_string())
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits that people see and type.
    pub fn short(&self) -> &str {
        let last = self.0.rsplit('-').next().unwrap_or(&self.0);
        match self.0.len() == last.len() {
            true => last,
            false => last.get(..SHORT_DIGITS).unwrap_or(last),
        }
    }

    /// Whether it is given once and for all. The ids of a program before this one were given again after their jobs were
    /// forgotten.
    pub fn is_unique(&self) -> bool {
        self.0.len() == uuid::fmt::Hyphenated::LENGTH
    }
}

/// An id that a store or a scheduler has given out.
impl From<String> for JobId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl From<&str> for JobId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a person types for a job: its id, or the beginning of its short form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobIdText(String);

impl JobIdText {
    /// Fewest digits of a short form that may stand for a job.
    pub const DIGITS_MIN: usize = 4;

    /// As typed; upper case is as good as lower case.
    pub fn new(typed: &str) -> Self {
        Self(typed.trim().to_lowercase())
    }

    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits with which the last group of an id must begin; none where the text can only be a whole id.
    pub fn digits(&self) -> Option<&str> {
        let fits = (Self::DIGITS_MIN..=GROUP_DIGITS).contains(&self.0.len());
        (fits && self.0.bytes().all(|b| b.is_ascii_hexdigit())).then_some(&*self.0)
    }
}

/// Id of an executor, as it registers: unique among the executors of a cluster, and never given again.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutorId(String);

impl ExecutorId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ExecutorId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<ExecutorId> for String {
    fn from(id: ExecutorId) -> Self {
        id.0
    }
}

impl From<&str> for ExecutorId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Id of a state of a table, as Iceberg gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub i64);

impl From<i64> for SnapshotId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

impl From<SnapshotId> for i64 {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_is_a_uuid_that_sorts_by_time_and_has_eight_random_digits_to_type() {
        let ids = [1_000, 2_000, 1_795_198_811_000_000].map(JobId::new);
        assert!(ids.is_sorted(), "{ids:?}");
        for id in &ids {
            let uuid = Uuid::parse_str(id.as_str()).unwrap();
            assert_eq!(uuid.get_version_num(), 7);
            assert!(id.is_unique());
            assert_eq!(id.short().len(), 8);
            assert!(id.as_str()[24..].starts_with(id.short()));
        }
        assert_ne!(JobId::new(5).short(), JobId::new(5).short());
    }

    #[test]
    fn an_id_of_four_digits_is_its_own_short_form() {
        let id = JobId::from("7f3a");
        assert_eq!((id.short(), id.is_unique()), ("7f3a", false));
        assert_eq!(format!("{id:<6}|"), "7f3a  |");
    }

    #[test]
    fn four_to_twelve_digits_may_be_the_beginning_of_a_short_form() {
        for typed in ["7f3a", " 7F3A5C21 ", "7f3a5c21d0b4"] {
            assert!(JobIdText::new(typed).digits().is_some(), "{typed}");
        }
        for typed in ["7f3", "nope", "7f3%", "7f3a5c21d0b4e", "9e4f-7f3a", ""] {
            assert_eq!(JobIdText::new(typed).digits(), None, "{typed}");
        }
    }
}
