//! The marketplace that is made up: how many of everything, when, and which orders go wrong in which way.
//!
//! Everything follows from the seed and a number, so that rows can be made in any order, more than once, and without
//! keeping them: the deliveries and the truth are made from the same calls.

use super::draw::{Draw, Subject};
use super::parties::Fate;
use super::rows::{DAY, ItemRow, Moment, OrderRow, SECOND, STATUSES};

/// 2023-01-01: orders of the first delivery spread over the 24 months from here on.
pub(super) const FIRST_ORDER: Moment = 19_358 * DAY;
/// 2025-01-01: the first delivery holds what happened up to the end of 2024-12-31.
const FIRST_CUTOFF: Moment = 20_089 * DAY;

/// The moment up to which the delivery of `day` knows what happened (exclusive).
pub(super) fn cutoff(day: u32) -> Moment {
    FIRST_CUTOFF + (Moment::from(day) - 1) * DAY
}

/// Numbers of ids that no file of customers, sellers or products has.
const NOBODY: u64 = 900_000_000;
const STRANGE_STATUSES: [&str; 3] = ["CANCELED", "returned", "???"];

/// The size of everything, and the seed.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub seed: u64,
    pub orders: u64,
    pub days: u32,
    pub customers: u64,
    pub sellers: u64,
    pub products: u64,
    /// Orders that each delivery after the first brings for the first time.
    new_orders: u64,
    list_prices_cents: Vec<i64>,
}

/// An order as it will have been, and how its deliveries go wrong.
#[derive(Debug, Clone)]
pub(crate) struct OrderPlan {
    index: u64,
    trouble: Trouble,
    customer: u64,
    first_day: u32,
    purchase: Moment,
    /// Approval, hand-over to the carrier, delivery: the moments, as far as they are reported.
    steps: [Moment; 3],
    reported: [bool; 3],
    estimated: Option<Moment>,
    /// Deliveries before this one know at most `held_stage`.
    lags_until: u32,
    /// This one delivery is older than those before it, and knows at most `held_stage`.
    stale_day: u32,
    held_stage: usize,
    spelling: usize,
    twice: bool,
    items: Vec<ItemPlan>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    StrangeStatus,
    StrangeStatusAtFirst,
    NoStatus,
    NoCustomer,
    NoPurchaseDate,
    NoId,
    /// Its items come a day before it.
    WithheldAtFirst,
    /// Later deliveries leave it out.
    Forgotten,
    NoItems,
    UnknownCustomer,
    BeforeCreated,
    /// Placed in the very moment a version of its customer begins.
    AtTheChange,
    /// Nothing known but the purchase, whose date is corrected later.
    PurchaseCorrected,
    /// Never gets further than its purchase.
    Stuck,
}

/// How many of 10,000 orders are in which trouble.
const TROUBLES: [(Trouble, u64); 14] = [
    (Trouble::StrangeStatus, 20),
    (Trouble::StrangeStatusAtFirst, 10),
    (Trouble::NoStatus, 4),
    (Trouble::NoCustomer, 4),
    (Trouble::NoPurchaseDate, 4),
    (Trouble::NoId, 4),
    (Trouble::WithheldAtFirst, 20),
    (Trouble::Forgotten, 100),
    (Trouble::NoItems, 50),
    (Trouble::UnknownCustomer, 30),
    (Trouble::BeforeCreated, 150),
    (Trouble::AtTheChange, 60),
    (Trouble::PurchaseCorrected, 20),
    (Trouble::Stuck, 100),
];

#[derive(Debug, Clone)]
struct ItemPlan {
    trouble: ItemTrouble,
    product: u64,
    seller: u64,
    shipping_limit: Moment,
    price_cents: i64,
    freight_cents: i64,
    twice: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ItemTrouble {
    None,
    NegativePrice,
    NegativePriceAtFirst,
    NegativeFreight,
    NoPrice,
    NoFreight,
    NoProduct,
    NoSeller,
    UnknownProduct,
    UnknownSeller,
    NoShippingLimit,
    /// Later deliveries have another price and a later shipping limit.
    Repriced,
}

/// How many of 10,000 items are in which trouble.
const ITEM_TROUBLES: [(ItemTrouble, u64); 11] = [
    (ItemTrouble::NegativePrice, 8),
    (ItemTrouble::NegativePriceAtFirst, 5),
    (ItemTrouble::NegativeFreight, 4),
    (ItemTrouble::NoPrice, 3),
    (ItemTrouble::NoFreight, 3),
    (ItemTrouble::NoProduct, 3),
    (ItemTrouble::NoSeller, 3),
    (ItemTrouble::UnknownProduct, 10),
    (ItemTrouble::UnknownSeller, 10),
    (ItemTrouble::NoShippingLimit, 20),
    (ItemTrouble::Repriced, 10),
];

impl World {
    /// A marketplace with so many orders over all deliveries together. `days` is at least 1.
    pub(crate) fn new(orders: u64, days: u32, seed: u64) -> Self {
        let later = u64::from(days.max(1) - 1);
        // Half a percent of all orders is a day's business; the first delivery keeps at least half.
        let new_orders = (orders / 2)
            .checked_div(later)
            .unwrap_or(0)
            .min(orders / 200);
        let products = (orders / 20).clamp(20, 20_000);
        let list_prices_cents = (0..products)
            .map(|index| {
                let mut draw = Draw::of(seed, Subject::Product, index | 1 << 40);
                // Many cheap things, few dear ones; most end in 99 or 50.
                let dollars = 3 + draw.skewed(400) as i64;
                dollars * 100 + [99, 99, 50, 0][draw.below(4) as usize]
            })
            .collect();
        Self {
            seed,
            orders,
            days: days.max(1),
            customers: (orders / 4).max(10),
            sellers: (orders / 100).clamp(10, 1_000),
            products,
            new_orders,
            list_prices_cents,
        }
    }

    /// What a product costs when it is new.
    pub(crate) fn list_price_cents(&self, product: u64) -> i64 {
        self.list_prices_cents
            .get(product as usize)
            .copied()
            .unwrap_or(999)
    }

    /// How many orders the delivery of `day` can know: those with a lower index.
    pub(crate) fn known_orders(&self, day: u32) -> u64 {
        self.orders - self.new_orders * u64::from(self.days - day.min(self.days))
    }

    /// The first delivery that can know order `index`.
    fn first_day(&self, index: u64) -> u32 {
        (1..=self.days)
            .find(|day| index < self.known_orders(*day))
            .unwrap_or(self.days)
    }

    /// Draws order `index` and its items.
    pub(crate) fn order(&self, index: u64) -> OrderPlan {
        let mut draw = Draw::of(self.seed, Subject::Order, index);
        let trouble = pick(&mut draw, &TROUBLES).unwrap_or(Trouble::None);
        let first_day = self.first_day(index);
        let customer = draw.below(self.customers);
        let purchase = self.purchase(trouble, customer, first_day, &mut draw);
        let approved = purchase + draw.between(60, 2 * 86_400) * SECOND;
        let carrier = approved + draw.between(3_600, 5 * 86_400) * SECOND;
        let delivered = carrier + draw.between(86_400, 14 * 86_400) * SECOND;
        let lags = draw.chance(500);
        let stale = draw.chance(50);
        let held_stage = draw.below(3) as usize;
        let unreported = if draw.chance(100) {
            draw.below(2) as usize
        } else {
            3
        };
        let mut plan = OrderPlan {
            index,
            trouble,
            customer: if trouble == Trouble::UnknownCustomer {
                NOBODY + customer
            } else {
                customer
            },
            first_day,
            purchase,
            steps: [approved, carrier, delivered],
            reported: [0, 1, 2].map(|step| step != unreported),
            estimated: (!draw.chance(100)).then(|| (purchase / DAY + draw.between(7, 30)) * DAY),
            lags_until: if lags { 2 } else { 0 },
            stale_day: if stale { draw.between(2, 4) as u32 } else { 0 },
            held_stage,
            spelling: if draw.chance(2_000) {
                1 + draw.below(2) as usize
            } else {
                0
            },
            twice: draw.chance(100),
            items: vec![],
        };
        if trouble != Trouble::NoItems {
            let number = [1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6][draw.below(12) as usize];
            plan.items = (0..number)
                .map(|_| self.item(purchase, &mut draw))
                .collect();
        }
        plan
    }

    fn purchase(&self, trouble: Trouble, customer: u64, first_day: u32, draw: &mut Draw) -> Moment {
        let life = self.customer_life(customer);
        let (start, end) = match first_day {
            1 => (FIRST_ORDER.max(life.created), cutoff(1)),
            day => (cutoff(day - 1), cutoff(day)),
        };
        let usual = start + draw.between(0, (end - start) / SECOND - 1) * SECOND;
        let earlier = draw.between(1, 30 * 86_400) * SECOND;
        match trouble {
            Trouble::BeforeCreated if first_day == 1 && life.created - earlier >= FIRST_ORDER => {
                life.created - earlier
            }
            Trouble::AtTheChange if first_day == 1 => match life.fate {
                Fate::ChangedBefore | Fate::LateOriginal | Fate::LateVersion => life.late,
                _ if life.created >= FIRST_ORDER => life.created,
                _ => usual,
            },
            _ => usual,
        }
    }

    fn item(&self, purchase: Moment, draw: &mut Draw) -> ItemPlan {
        let trouble = pick(draw, &ITEM_TROUBLES).unwrap_or(ItemTrouble::None);
        let product = draw.skewed(self.products);
        let seller = (product * 31 + draw.below(3) * 17) % self.sellers;
        let list = self.list_price_cents(product);
        ItemPlan {
            trouble,
            product: if trouble == ItemTrouble::UnknownProduct {
                NOBODY + product
            } else {
                product
            },
            seller: if trouble == ItemTrouble::UnknownSeller {
                NOBODY + seller
            } else {
                seller
            },
            shipping_limit: purchase + draw.between(2 * 86_400, 9 * 86_400) * SECOND,
            // Every fourth item is sold at a discount.
            price_cents: if draw.chance(2_500) {
                list * draw.between(50, 98) / 100
            } else {
                list
            },
            freight_cents: draw.between(0, 2_500),
            twice: draw.chance(50),
        }
    }
}

fn pick<T: Copy>(draw: &mut Draw, shares: &[(T, u64)]) -> Option<T> {
    let mut roll = draw.below(10_000);
    shares.iter().find_map(|(what, n)| {
        let hit = roll < *n;
        roll = roll.wrapping_sub(*n);
        hit.then_some(*what)
    })
}

impl OrderPlan {
    /// How many items the order has.
    pub(crate) fn items(&self) -> usize {
        self.items.len()
    }

    /// The rows about this order in the delivery of `day`.
    pub(crate) fn order_rows(&self, day: u32, rows: &mut Vec<OrderRow>) {
        let left_out = match self.trouble {
            Trouble::WithheldAtFirst => day == 1,
            Trouble::Forgotten => day > self.first_day,
            _ => false,
        };
        if day < self.first_day || left_out {
            return;
        }
        let stage = self.stage(day);
        let known = |step: usize| (stage > step && self.reported[step]).then_some(self.steps[step]);
        let strange = STRANGE_STATUSES[self.index as usize % STRANGE_STATUSES.len()];
        // Where days disagree about the spelling, neither is a change.
        let status =
            STATUSES[stage][(self.spelling + day as usize * usize::from(self.spelling > 0)) % 3];
        let corrected = if self.trouble == Trouble::PurchaseCorrected && day > 1 {
            3_600 * SECOND
        } else {
            0
        };
        let row = OrderRow {
            id: (self.trouble != Trouble::NoId).then_some(self.index),
            customer: (self.trouble != Trouble::NoCustomer).then_some(self.customer),
            status: match self.trouble {
                Trouble::StrangeStatus => Some(strange),
                Trouble::StrangeStatusAtFirst if day == 1 => Some(strange),
                Trouble::NoStatus => None,
                _ => Some(status),
            },
            purchase: (self.trouble != Trouble::NoPurchaseDate)
                .then_some(self.purchase + corrected),
            approved: known(0),
            carrier: known(1),
            delivered: known(2),
            estimated: self.estimated,
        };
        rows.push(row);
        if self.twice {
            rows.push(row);
        }
    }

    /// How many steps the delivery of `day` knows to be done, 0 to 3.
    fn stage(&self, day: u32) -> usize {
        if matches!(self.trouble, Trouble::PurchaseCorrected | Trouble::Stuck) {
            return 0;
        }
        let reached = self
            .steps
            .iter()
            .take_while(|step| **step < cutoff(day))
            .count();
        match day < self.lags_until || day == self.stale_day {
            true => reached.min(self.held_stage),
            false => reached,
        }
    }

    /// The rows about item `number` (from 0) of this order in the delivery of `day`.
    pub(crate) fn item_rows(&self, number: usize, day: u32, rows: &mut Vec<ItemRow>) {
        let Some(item) = self.items.get(number).filter(|_| day >= self.first_day) else {
            return;
        };
        let (price, freight) = (item.price_cents, item.freight_cents);
        let later = day > self.first_day;
        let row = ItemRow {
            order: self.index,
            number: number as u32 + 1,
            product: (item.trouble != ItemTrouble::NoProduct).then_some(item.product),
            seller: (item.trouble != ItemTrouble::NoSeller).then_some(item.seller),
            shipping_limit: match item.trouble {
                ItemTrouble::NoShippingLimit => None,
                ItemTrouble::Repriced if later => Some(item.shipping_limit + DAY),
                _ => Some(item.shipping_limit),
            },
            price_cents: match item.trouble {
                ItemTrouble::NegativePrice => Some(-price - 1),
                ItemTrouble::NegativePriceAtFirst if day == 1 => Some(-price - 1),
                ItemTrouble::NoPrice => None,
                ItemTrouble::Repriced if later => Some(price * 9 / 10),
                _ => Some(price),
            },
            freight_cents: match item.trouble {
                ItemTrouble::NegativeFreight => Some(-freight - 1),
                ItemTrouble::NoFreight => None,
                _ => Some(freight),
            },
        };
        rows.push(row);
        if item.twice {
            rows.push(row);
        }
    }
}
