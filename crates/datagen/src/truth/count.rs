//! Counts the truth: every entity once, for all states of landed deliveries at the same time.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike};

use super::orders::{Winner, stage};
use super::versions::{Resolved, TrackedPlace, TrackedProduct, VersionRow, Versions, resolve};
use super::{SellerRevenue, Truth, VersionCounts, money};
use crate::generate::World;
use crate::generate::draw::Subject;
use crate::generate::rows::{DAY, ItemRow, Moment, OrderRow, STATES, STATUSES, text, write_id};

const UNKNOWN: &str = "unknown";

/// The truth after each delivery: the first is what holds when day 1 has landed, the last when all have.
///
/// `progress` gets orders done and orders in all; `false` from it stops the counting and gives what there is.
pub(crate) fn count(world: &World, progress: &mut dyn FnMut(u64, u64)) -> Vec<Truth> {
    let mut tallies: Vec<Tally> = (1..=world.days).map(|day| Tally::new(world, day)).collect();
    dimensions(world, &mut tallies);
    let (mut order_rows, mut item_rows) = (vec![], vec![]);
    for index in 0..world.orders {
        let plan = world.order(index);
        let mut order = Winner::<OrderRow>::default();
        let mut items = vec![Winner::<ItemRow>::default(); plan.items()];
        for (tally, day) in tallies.iter_mut().zip(1..) {
            order_rows.clear();
            plan.order_rows(day, &mut order_rows);
            order_rows.iter().for_each(|row| order.add(row));
            for (number, item) in items.iter_mut().enumerate() {
                item_rows.clear();
                plan.item_rows(number, day, &mut item_rows);
                item_rows.iter().for_each(|row| item.add(row));
            }
            tally.order(&order, &items);
        }
        if index.is_multiple_of(65_536) {
            progress(index, world.orders);
        }
    }
    progress(world.orders, world.orders);
    tallies
        .into_iter()
        .map(|tally| tally.truth(world))
        .collect()
}

fn dimensions(world: &World, tallies: &mut [Tally]) {
    let parties = [
        (Subject::Customer, world.customers),
        (Subject::Seller, world.sellers),
    ];
    for (subject, entities) in parties {
        for index in 0..entities {
            let mut rows = vec![];
            for (tally, day) in tallies.iter_mut().zip(1..) {
                world.party_rows(subject, index, day, &mut rows);
                match subject {
                    Subject::Customer => tally.customers.add(&rows),
                    _ => tally.sellers.add(&rows),
                }
            }
        }
    }
    for index in 0..world.products {
        let mut rows = vec![];
        for (tally, day) in tallies.iter_mut().zip(1..) {
            world.product_rows(index, day, &mut rows);
            tally.products.add(&rows);
        }
    }
}

/// Rows of a source: read, kept, dropped, rejected.
#[derive(Debug, Default)]
pub(super) struct Flow {
    kept: u64,
    duplicates: u64,
    rejected: BTreeMap<&'static str, u64>,
}

impl Flow {
    fn reject(&mut self, reason: &'static str, rows: u64) {
        if rows > 0 {
            *self.rejected.entry(reason).or_default() += rows;
        }
    }

    fn quarantined(&self) -> u64 {
        self.rejected.values().sum()
    }
}

/// A dimension as far as it is counted.
#[derive(Debug)]
pub(super) struct Dimension<T: Copy> {
    flow: Flow,
    versions: Versions<T>,
}

impl<T: Copy> Default for Dimension<T> {
    fn default() -> Self {
        Self {
            flow: Flow::default(),
            versions: Versions::default(),
        }
    }
}

impl<T: Copy + PartialEq> Dimension<T> {
    /// All rows that have been delivered about the next entity.
    pub(super) fn add<R: VersionRow<Tracked = T>>(&mut self, rows: &[R]) {
        let Resolved {
            kept,
            duplicates,
            rejected,
            versions,
        } = resolve(rows);
        self.flow.kept += kept;
        self.flow.duplicates += duplicates;
        rejected
            .iter()
            .for_each(|(reason, rows)| self.flow.reject(reason, *rows));
        self.versions.push(&versions);
    }
}

/// What is counted for one state of landed deliveries.
#[derive(Debug, Default)]
pub(super) struct Tally {
    landed_days: u32,
    pub(super) customers: Dimension<TrackedPlace>,
    pub(super) sellers: Dimension<TrackedPlace>,
    pub(super) products: Dimension<TrackedProduct>,
    orders: Flow,
    items: Flow,
    revenue: i64,
    freight: i64,
    /// By year * 12 + month - 1.
    by_month: BTreeMap<i32, i64>,
    /// By index of the state; the last is unknown.
    by_state: Vec<i64>,
    by_status: [u64; STATUSES.len()],
    by_seller: Vec<i64>,
    without_items: u64,
    unknown_customers: u64,
    unknown_products: u64,
    unknown_sellers: u64,
    order_date_keys: i64,
    delivered_date_keys: i64,
    shipping_limit_keys: i64,
}

impl Tally {
    pub(super) fn new(world: &World, landed_days: u32) -> Self {
        Self {
            landed_days,
            by_state: vec![0; STATES.len() + 1],
            by_seller: vec![0; world.sellers as usize],
            ..Self::default()
        }
    }

    /// One order and its items, from all rows delivered about them. Dimensions must be complete.
    pub(super) fn order(&mut self, order: &Winner<OrderRow>, items: &[Winner<ItemRow>]) {
        order
            .rejected
            .iter()
            .for_each(|(reason, rows)| self.orders.reject(reason, *rows));
        for item in items {
            item.rejected
                .iter()
                .for_each(|(reason, rows)| self.items.reject(reason, *rows));
        }
        let found = order
            .row
            .as_ref()
            .and_then(|row| Some((row, row.customer?, row.purchase?)));
        let Some((row, customer, ordered)) = found else {
            items
                .iter()
                .for_each(|item| self.items.reject("unknown_order", item.valid));
            return;
        };
        self.orders.kept += 1;
        self.orders.duplicates += order.valid - 1;
        self.by_status[stage(row.status).unwrap_or_default()] += 1;
        let day_key = date_key(Some(ordered));
        self.order_date_keys += day_key;
        self.delivered_date_keys += date_key(row.delivered);
        let (mut total, mut kept) = (0, 0);
        for item in items {
            let Some(row) = &item.row else { continue };
            kept += 1;
            self.items.duplicates += item.valid - 1;
            total += self.item(row, ordered);
        }
        self.items.kept += kept;
        self.without_items += u64::from(kept == 0);
        *self
            .by_month
            .entry((day_key / 100 % 100 - 1 + day_key / 10_000 * 12) as i32)
            .or_default() += total;
        let state = self
            .customers
            .versions
            .at(customer, ordered)
            .map(|version| usize::from(version.tracked.2));
        self.unknown_customers += u64::from(state.is_none());
        self.by_state[state.unwrap_or(STATES.len())] += total;
    }

    fn item(&mut self, row: &ItemRow, ordered: Moment) -> i64 {
        let value = row.price_cents.unwrap_or_default();
        self.revenue += value;
        self.freight += row.freight_cents.unwrap_or_default();
        self.shipping_limit_keys += date_key(row.shipping_limit);
        let product = row
            .product
            .and_then(|id| self.products.versions.at(id, ordered));
        self.unknown_products += u64::from(product.is_none());
        match row
            .seller
            .filter(|id| self.sellers.versions.at(*id, ordered).is_some())
        {
            Some(id) => self.by_seller[id as usize] += value,
            None => self.unknown_sellers += 1,
        }
        value
    }

    pub(super) fn truth(self, world: &World) -> Truth {
        let mut truth = Truth {
            orders: world.orders,
            days: world.days,
            seed: world.seed,
            landed_days: self.landed_days,
            revenue: money(self.revenue),
            freight: money(self.freight),
            revenue_by_month: self
                .by_month
                .iter()
                .map(|(month, cents)| {
                    (
                        format!("{:04}-{:02}", month / 12, month % 12 + 1),
                        money(*cents),
                    )
                })
                .collect(),
            orders_without_items: self.without_items,
            orders_of_unknown_customers: self.unknown_customers,
            items_of_unknown_products: self.unknown_products,
            items_of_unknown_sellers: self.unknown_sellers,
            top_sellers: top_sellers(&self.by_seller),
            ..Truth::default()
        };
        let names = STATES.iter().copied().chain([UNKNOWN]);
        let states = names.zip(&self.by_state).filter(|(_, cents)| **cents != 0);
        truth.revenue_by_state = states
            .map(|(state, cents)| (state.to_string(), money(*cents)))
            .collect();
        let statuses = STATUSES.iter().zip(self.by_status).filter(|(_, n)| *n > 0);
        truth.orders_by_status = statuses
            .map(|(spellings, n)| (spellings[0].to_string(), n))
            .collect();

        let flows = [
            ("customers", &self.customers.flow),
            ("sellers", &self.sellers.flow),
            ("products", &self.products.flow),
            ("orders", &self.orders),
            ("order_items", &self.items),
        ];
        for (source, flow) in flows {
            let quarantined = flow.quarantined();
            truth
                .rows_read
                .insert(source.into(), flow.kept + flow.duplicates + quarantined);
            truth
                .duplicates_dropped
                .insert(source.into(), flow.duplicates);
            truth
                .rows
                .insert(format!("staging.stg_{source}"), flow.kept);
            truth
                .rows
                .insert(format!("quarantine.{source}"), quarantined);
            let reasons = flow
                .rejected
                .iter()
                .map(|(reason, rows)| ((*reason).to_string(), *rows))
                .collect();
            truth.quarantine.insert(source.into(), reasons);
        }
        truth
            .rows
            .insert("quarantine.row_counts".into(), flows.len() as u64);
        let dimensions = [
            ("dim_customer", self.customers.versions.count()),
            ("dim_seller", self.sellers.versions.count()),
            ("dim_product", self.products.versions.count()),
        ];
        for (name, (total, current, changed)) in dimensions {
            truth.versions.insert(
                name.into(),
                VersionCounts {
                    total,
                    current,
                    changed,
                },
            );
            // One more: the unknown row.
            truth.rows.insert(format!("marts.{name}"), total + 1);
        }
        for name in ["fact_order_items", "obt_sellers_reporting"] {
            truth.rows.insert(format!("marts.{name}"), self.items.kept);
        }
        for name in ["fact_order_summary", "obt_customers_reporting"] {
            truth.rows.insert(format!("marts.{name}"), self.orders.kept);
        }
        truth.checksums = [
            ("item_value_cents", self.revenue),
            ("freight_value_cents", self.freight),
            ("order_date_key", self.order_date_keys),
            ("delivered_to_customer_date_key", self.delivered_date_keys),
            ("shipping_limit_date_key", self.shipping_limit_keys),
            (
                "current_product_price_cents",
                self.products.versions.current().map(|v| v.tracked.0).sum(),
            ),
        ]
        .into_iter()
        .map(|(name, sum)| (name.to_string(), sum))
        .collect();
        truth
    }
}

fn top_sellers(by_seller: &[i64]) -> Vec<SellerRevenue> {
    let mut sellers: Vec<(u64, i64)> = (0..)
        .zip(by_seller.iter().copied())
        .filter(|(_, cents)| *cents > 0)
        .collect();
    sellers.sort_by_key(|(id, cents)| (std::cmp::Reverse(*cents), *id));
    sellers
        .into_iter()
        .take(10)
        .map(|(id, cents)| SellerRevenue {
            seller_id: text(|t| write_id(t, 'S', id)),
            revenue: money(cents),
        })
        .collect()
}

/// yyyymmdd, 0 for no date.
fn date_key(moment: Option<Moment>) -> i64 {
    let day =
        moment.and_then(|m| DateTime::from_timestamp(m.div_euclid(DAY) * (DAY / 1_000_000), 0));
    day.map_or(0, |d| {
        i64::from(d.year()) * 10_000 + i64::from(d.month()) * 100 + i64::from(d.day())
    })
}
