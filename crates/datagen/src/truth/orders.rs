//! Which row of an order and of an item wins, and which rows go to quarantine.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::versions::Reason;
use crate::generate::rows::{ItemRow, Moment, OrderRow};

/// What staging and quarantine must hold of rows delivered about one key.
#[derive(Debug, Clone)]
pub(super) struct Winner<R> {
    pub row: Option<R>,
    /// Valid rows.
    pub valid: u64,
    pub rejected: BTreeMap<Reason, u64>,
}

impl<R> Default for Winner<R> {
    fn default() -> Self {
        Self {
            row: None,
            valid: 0,
            rejected: BTreeMap::new(),
        }
    }
}

impl Winner<OrderRow> {
    /// One more row of this order.
    pub(super) fn add(&mut self, row: &OrderRow) {
        match order_rejected(row) {
            Some(reason) => *self.rejected.entry(reason).or_default() += 1,
            None => {
                self.valid += 1;
                if self
                    .row
                    .as_ref()
                    .is_none_or(|best| order_rank(row) > order_rank(best))
                {
                    self.row = Some(*row);
                }
            }
        }
    }
}

impl Winner<ItemRow> {
    /// One more row of this item.
    pub(super) fn add(&mut self, row: &ItemRow) {
        match item_rejected(row) {
            Some(reason) => *self.rejected.entry(reason).or_default() += 1,
            None => {
                self.valid += 1;
                if self
                    .row
                    .as_ref()
                    .is_none_or(|best| item_rank(row) > item_rank(best))
                {
                    self.row = Some(*row);
                }
            }
        }
    }
}

/// The stage that a status stands for, in any case; none if it is no status of ours.
pub(super) fn stage(status: Option<&str>) -> Option<usize> {
    let status = status?.trim().to_ascii_uppercase();
    crate::generate::rows::STATUSES
        .iter()
        .position(|spellings| spellings[0] == status)
}

fn order_rejected(row: &OrderRow) -> Option<Reason> {
    if row.id.is_none() || row.customer.is_none() {
        Some("missing_id")
    } else if row.purchase.is_none() {
        Some("missing_purchase_date")
    } else {
        stage(row.status).is_none().then_some("unknown_status")
    }
}

fn item_rejected(row: &ItemRow) -> Option<Reason> {
    match (
        row.product.and(row.seller),
        row.price_cents,
        row.freight_cents,
    ) {
        (None, _, _) => Some("missing_id"),
        (_, None, _) => Some("missing_price"),
        (_, Some(..0), _) => Some("negative_price"),
        (_, _, None) => Some("missing_freight_value"),
        (_, _, Some(..0)) => Some("negative_freight_value"),
        _ => None,
    }
}

type OrderRank = (
    (
        Option<Moment>,
        Option<Moment>,
        Option<Moment>,
        Option<Moment>,
    ),
    Option<usize>,
    Option<Moment>,
    Reverse<Option<u64>>,
);

/// The greatest wins; a missing date is the least.
fn order_rank(row: &OrderRow) -> OrderRank {
    let dates = (row.delivered, row.carrier, row.approved, row.purchase);
    (
        dates,
        stage(row.status),
        row.estimated,
        Reverse(row.customer),
    )
}

type ItemRank = (
    Option<Moment>,
    Option<i64>,
    Option<i64>,
    Reverse<Option<u64>>,
    Reverse<Option<u64>>,
);

/// The greatest wins; a missing date is the least.
fn item_rank(row: &ItemRow) -> ItemRank {
    (
        row.shipping_limit,
        row.price_cents,
        row.freight_cents,
        Reverse(row.product),
        Reverse(row.seller),
    )
}
