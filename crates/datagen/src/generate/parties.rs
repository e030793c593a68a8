//! Customers, sellers and products: what happened to each, and what the delivery of a day has of it.
//!
//! What an entity lives through is drawn once; the rows of a day follow from it. Most never change. The others are
//! what makes slowly changing dimensions hard: versions that arrive late, versions never seen, changes that change
//! nothing, corrections without a date, and rows that must be rejected.

use super::draw::{Draw, Subject, spread};
use super::rows::{
    ADDRESSES, Address, CATEGORIES, DAY, Moment, NAMES, PartyRow, ProductRow, SECOND, SIZES, STATES,
};
use super::world::{World, cutoff};

/// What happens to an entity over the deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// One version, delivered every day.
    Steady,
    /// A new version from `change_day` on.
    Changes,
    /// Only a later version is ever delivered: its updated date is set in the first delivery.
    ChangedBefore,
    /// The second delivery brings a version that lies before the one of the first.
    LateVersion,
    /// The second delivery brings the version of the created date, after a later one.
    LateOriginal,
    /// An updated date without a change in what is tracked.
    Touched,
    /// The second delivery has something else, with the same dates.
    Corrected,
    /// There and back again: the last version equals the first.
    Returns,
    /// Not in deliveries after the first.
    Vanishes,
    /// Not in the first delivery, though orders refer to it.
    ArrivesLate,
    /// Beside it a row without id, every day.
    Nameless,
    /// Without created date in the first delivery.
    Undated,
    /// Beside it a row updated before it was created, every day.
    Backdated,
    /// With a price below zero in the first delivery (products).
    Underpriced,
}

/// How many of 10,000 entities have a fate other than steady.
const FATES: [(Fate, u64); 13] = [
    (Fate::Changes, 1_100),
    (Fate::ChangedBefore, 300),
    (Fate::LateVersion, 200),
    (Fate::LateOriginal, 100),
    (Fate::Touched, 100),
    (Fate::Corrected, 60),
    (Fate::Returns, 100),
    (Fate::Vanishes, 50),
    (Fate::ArrivesLate, 50),
    (Fate::Nameless, 30),
    (Fate::Undated, 30),
    (Fate::Backdated, 30),
    (Fate::Underpriced, 30),
];
/// Of 10,000 rows so many come twice in one delivery.
const TWICE: u64 = 50;

/// The dates of an entity: created, two moments before the first delivery, and one on `change_day`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub fate: Fate,
    pub created: Moment,
    /// created < early < late < end of the first delivery.
    pub early: Moment,
    pub late: Moment,
    /// The delivery that first has the change at `changed`.
    pub change_day: u32,
    pub changed: Moment,
    twice: bool,
}

/// A version as the delivery of a day has it: which attributes, created, updated; or a row to reject.
#[derive(Debug, Clone, Copy)]
struct Version {
    version: usize,
    created: Option<Moment>,
    updated: Option<Moment>,
    nameless: bool,
}

impl World {
    /// What happens to customer `index` in its life; order dates are drawn around it.
    pub(crate) fn customer_life(&self, index: u64) -> Life {
        self.life(Subject::Customer, index).0
    }

    fn life(&self, subject: Subject, index: u64) -> (Life, Draw) {
        let mut draw = Draw::of(self.seed, subject, index);
        let mut roll = spread(self.seed, index);
        let fate = FATES.iter().find_map(|(fate, n)| {
            let hit = roll < *n;
            roll = roll.wrapping_sub(*n);
            hit.then_some(*fate)
        });
        let fate = match fate {
            Some(Fate::Underpriced) if subject != Subject::Product => Fate::Steady,
            fate => fate.unwrap_or(Fate::Steady),
        };
        // Customers keep coming; sellers and products are mostly older than the first order.
        let newer = if subject == Subject::Customer {
            3_000
        } else {
            300
        };
        let first = super::world::FIRST_ORDER;
        let created = match draw.chance(newer) {
            true => first + draw.between(0, 690) * DAY,
            false => first - draw.between(1, 730) * DAY,
        };
        let past = (cutoff(1) - created) / SECOND;
        let early = created + draw.between(past / 10, past * 4 / 10) * SECOND;
        let late = created + draw.between(past / 2, past * 9 / 10) * SECOND;
        let change_day = if draw.chance(7_000) {
            2
        } else {
            draw.between(3, 8) as u32
        };
        let changed = cutoff(change_day - 1) + draw.between(1, 86_399) * SECOND;
        let twice = draw.chance(TWICE);
        (
            Life {
                fate,
                created,
                early,
                late,
                change_day,
                changed,
                twice,
            },
            draw,
        )
    }

    /// The rows about customer or seller `index` in the delivery of `day`.
    pub(crate) fn party_rows(
        &self,
        subject: Subject,
        index: u64,
        day: u32,
        rows: &mut Vec<PartyRow>,
    ) {
        let (life, mut draw) = self.life(subject, index);
        let first = place(&mut draw);
        let mut places = [first, place(&mut draw), place(&mut draw)];
        // Some move within their street or only get a new postcode.
        if draw.chance(3_000) {
            places[1] = Address {
                address: places[1].address,
                ..first
            };
        }
        let touched = Address {
            zip_plus: first.zip_plus % 9_000 + 1,
            ..first
        };
        life.versions_on(day, |version| {
            let place = match (life.fate, version.version) {
                (Fate::Touched, 1) => touched,
                (_, version) => places[version],
            };
            rows.push(PartyRow {
                id: (!version.nameless).then_some(index),
                place,
                created: version.created,
                updated: version.updated,
            });
        });
    }

    /// The rows about product `index` in the delivery of `day`.
    pub(crate) fn product_rows(&self, index: u64, day: u32, rows: &mut Vec<ProductRow>) {
        let (life, mut draw) = self.life(Subject::Product, index);
        let price = self.list_price_cents(index);
        let prices = [
            price,
            price * draw.between(105, 130) / 100 + 1,
            price * draw.between(60, 95) / 100,
        ];
        let category = draw.below(CATEGORIES.len() as u64) as u8;
        let other = draw.below(CATEGORIES.len() as u64) as u8;
        let moves = draw.chance(2_000);
        let name = draw.below(u64::from(NAMES)) as u32;
        let size = draw.below(SIZES.len() as u64) as u8;
        let measures = [(); 3].map(|()| draw.between(3, 120) as u16);
        life.versions_on(day, |version| {
            let touched = life.fate == Fate::Touched;
            let attributes = if touched { 0 } else { version.version };
            let price_cents = match life.fate == Fate::Underpriced && day == 1 {
                true => -prices[attributes],
                false => prices[attributes],
            };
            rows.push(ProductRow {
                id: (!version.nameless).then_some(index),
                category: if moves && attributes == 1 {
                    other
                } else {
                    category
                },
                // A touched product has a new name, which is not tracked.
                name: if touched && version.version == 1 {
                    (name + 1) % NAMES
                } else {
                    name
                },
                size,
                width_cm: measures[0],
                length_cm: measures[1],
                height_cm: measures[2],
                price_cents,
                created: version.created,
                updated: version.updated,
            });
        });
    }
}

impl Life {
    fn versions_on(&self, day: u32, mut row: impl FnMut(Version)) {
        let of = |version, updated| Version {
            version,
            created: Some(self.created),
            updated,
            nameless: false,
        };
        let original = of(0, None);
        let mut all: Vec<Version> = Vec::with_capacity(3);
        match self.fate {
            Fate::Steady | Fate::Underpriced => all.push(original),
            Fate::Changes | Fate::Touched => {
                all.push(if day < self.change_day {
                    original
                } else {
                    of(1, Some(self.changed))
                });
            }
            Fate::ChangedBefore => all.push(of(1, Some(self.late))),
            Fate::LateVersion => {
                all.push(of(2, Some(self.late)));
                if day >= 2 {
                    all.push(of(1, Some(self.early)));
                }
            }
            Fate::LateOriginal => {
                all.push(of(1, Some(self.late)));
                if day >= 2 {
                    all.push(original);
                }
            }
            Fate::Corrected => all.push(if day == 1 { original } else { of(1, None) }),
            Fate::Returns => {
                if day < self.change_day {
                    all.push(original);
                } else {
                    all.extend([of(1, Some(self.late)), of(0, Some(self.changed))]);
                }
            }
            Fate::Vanishes => all.extend((day == 1).then_some(original)),
            Fate::ArrivesLate => all.extend((day > 1).then_some(original)),
            Fate::Nameless => all.extend([
                original,
                Version {
                    nameless: true,
                    ..original
                },
            ]),
            Fate::Undated => all.push(Version {
                created: (day > 1).then_some(self.created),
                ..original
            }),
            Fate::Backdated => all.extend([original, of(1, Some(self.created - DAY))]),
        }
        for version in all {
            row(version);
            if self.twice {
                row(version);
            }
        }
    }
}

fn place(draw: &mut Draw) -> Address {
    // Populous states come first in the list.
    let state = draw
        .below(STATES.len() as u64)
        .min(draw.below(STATES.len() as u64)) as u8;
    Address {
        address: draw.below(u64::from(ADDRESSES)) as u32,
        zip: u32::from(state) * 1_900 + draw.below(1_900) as u32 + 501,
        zip_plus: if draw.chance(2_000) {
            draw.between(1, 9_999) as u16
        } else {
            0
        },
        state,
    }
}
