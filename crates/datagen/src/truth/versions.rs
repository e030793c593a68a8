//! Which versions a dimension must have, from the rows delivered about one entity.
//!
//! ```text
//! rows received          (created, -) A   (created, 10 May) B   (created, 3 Mar) A   (created, 20 Jun) C
//! by valid_from          created A        3 Mar A               10 May B             20 Jun C
//! changes only           created A                              10 May B             20 Jun C
//! versions               [created, 10 May) A   [10 May, 20 Jun) B   [20 Jun, …) C
//! ```

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use crate::generate::rows::{
    Moment, PartyRow, ProductRow, text, write_address, write_name, write_zip,
};

/// Why a row of customers, sellers or products goes to quarantine.
pub(super) type Reason = &'static str;

/// A row of a dimension's source, as far as the rules look at it.
pub(super) trait VersionRow: Copy + PartialEq {
    /// What a version shows and is compared by.
    type Tracked: PartialEq + Copy;

    fn rejected(&self) -> Option<Reason>;
    fn created(&self) -> Moment;
    fn updated(&self) -> Option<Moment>;
    fn tracked(&self) -> Self::Tracked;
    /// Of two rows with the same dates: `Less` wins.
    fn arbitrary(&self, other: &Self) -> Ordering;

    fn valid_from(&self) -> Moment {
        self.updated().unwrap_or_else(|| self.created())
    }
}

/// One version: [valid_from, valid_to).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version<T> {
    pub valid_from: Moment,
    /// `Moment::MAX` = current.
    pub valid_to: Moment,
    pub tracked: T,
}

/// What becomes of the rows about one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved<T> {
    /// Rows of staging.
    pub kept: u64,
    pub duplicates: u64,
    pub rejected: BTreeMap<Reason, u64>,
    pub versions: Vec<Version<T>>,
}

/// Applies the rules of staging and of the dimension to the rows about one entity, in whatever order they came.
pub(super) fn resolve<R: VersionRow>(rows: &[R]) -> Resolved<R::Tracked> {
    let mut rejected: BTreeMap<Reason, u64> = BTreeMap::new();
    let mut valid: Vec<R> = Vec::with_capacity(rows.len());
    for row in rows {
        match row.rejected() {
            Some(reason) => *rejected.entry(reason).or_default() += 1,
            None => valid.push(*row),
        }
    }
    let received = valid.len() as u64;
    valid.sort_by(|a, b| {
        a.valid_from()
            .cmp(&b.valid_from())
            .then_with(|| a.updated().is_none().cmp(&b.updated().is_none()))
            .then_with(|| Reverse(a.created()).cmp(&Reverse(b.created())))
            .then_with(|| a.arbitrary(b))
    });
    valid.dedup_by_key(|row| row.valid_from());
    let created = valid.iter().map(R::created).min();
    let mut versions: Vec<Version<R::Tracked>> = vec![];
    let mut before = None;
    for row in &valid {
        let tracked = row.tracked();
        if before != Some(tracked) {
            let valid_from = match (versions.last_mut(), created) {
                (Some(last), _) => {
                    last.valid_to = row.valid_from();
                    row.valid_from()
                }
                (None, created) => created.unwrap_or_else(|| row.valid_from()),
            };
            versions.push(Version {
                valid_from,
                valid_to: Moment::MAX,
                tracked,
            });
        }
        before = Some(tracked);
    }
    let kept = valid.len() as u64;
    Resolved {
        kept,
        duplicates: received - kept,
        rejected,
        versions,
    }
}

/// Address, ZIP prefix, state.
pub(super) type TrackedPlace = (u32, u32, u8);

impl VersionRow for PartyRow {
    type Tracked = TrackedPlace;

    fn rejected(&self) -> Option<Reason> {
        dates_rejected(self.id, self.created, self.updated)
    }

    fn created(&self) -> Moment {
        self.created.unwrap_or_default()
    }

    fn updated(&self) -> Option<Moment> {
        self.updated
    }

    fn tracked(&self) -> Self::Tracked {
        (self.place.address, self.place.zip, self.place.state)
    }

    fn arbitrary(&self, other: &Self) -> Ordering {
        let key = |row: &Self| {
            let state = crate::generate::rows::STATES[usize::from(row.place.state)];
            (
                text(|t| write_address(t, row.place.address)),
                text(|t| write_zip(t, &row.place)),
                state,
            )
        };
        key(other).cmp(&key(self))
    }
}

/// Price in cents, category.
pub(super) type TrackedProduct = (i64, u8);

impl VersionRow for ProductRow {
    type Tracked = TrackedProduct;

    fn rejected(&self) -> Option<Reason> {
        dates_rejected(self.id, self.created, self.updated)
            .or_else(|| (self.price_cents < 0).then_some("negative_price"))
    }

    fn created(&self) -> Moment {
        self.created.unwrap_or_default()
    }

    fn updated(&self) -> Option<Moment> {
        self.updated
    }

    fn tracked(&self) -> Self::Tracked {
        (self.price_cents, self.category)
    }

    fn arbitrary(&self, other: &Self) -> Ordering {
        let category = |row: &Self| crate::generate::rows::CATEGORIES[usize::from(row.category)];
        let name = |row: &Self| text(|t| write_name(t, row.name));
        other
            .price_cents
            .cmp(&self.price_cents)
            .then_with(|| category(other).cmp(category(self)))
            .then_with(|| name(other).cmp(&name(self)))
    }
}

fn dates_rejected(
    id: Option<u64>,
    created: Option<Moment>,
    updated: Option<Moment>,
) -> Option<Reason> {
    match (id, created, updated) {
        (None, _, _) => Some("missing_id"),
        (_, None, _) => Some("missing_created_date"),
        (_, Some(created), Some(updated)) if updated < created => Some("updated_before_created"),
        _ => None,
    }
}

/// The versions of all entities of a dimension, in little memory, to look up by id and moment.
#[derive(Debug)]
pub(super) struct Versions<T> {
    /// Where the versions of entity `i` start in `all`; they end where those of `i + 1` start.
    starts: Vec<u32>,
    all: Vec<Version<T>>,
}

impl<T: Copy> Default for Versions<T> {
    fn default() -> Self {
        Self {
            starts: vec![0],
            all: vec![],
        }
    }
}

impl<T: Copy> Versions<T> {
    /// Adds the versions of the next entity; entities are numbered from 0.
    pub(super) fn push(&mut self, versions: &[Version<T>]) {
        self.all.extend_from_slice(versions);
        self.starts.push(self.all.len() as u32);
    }

    /// The version of `id` that held at `moment`, if there was one.
    pub(super) fn at(&self, id: u64, moment: Moment) -> Option<&Version<T>> {
        let id = usize::try_from(id).ok()?;
        let (start, end) = (
            *self.starts.get(id)? as usize,
            *self.starts.get(id + 1)? as usize,
        );
        self.all[start..end]
            .iter()
            .find(|v| v.valid_from <= moment && moment < v.valid_to)
    }

    /// How many versions there are, how many ids have any, and how many have more than one.
    pub(super) fn count(&self) -> (u64, u64, u64) {
        let per_id = self.starts.windows(2).map(|w| w[1] - w[0]);
        let (with, several) = per_id.fold((0, 0), |(with, several), n| {
            (with + u64::from(n > 0), several + u64::from(n > 1))
        });
        (self.all.len() as u64, with, several)
    }

    /// The versions that hold now.
    pub(super) fn current(&self) -> impl Iterator<Item = &Version<T>> {
        self.all.iter().filter(|v| v.valid_to == Moment::MAX)
    }
}
