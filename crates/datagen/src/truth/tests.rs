use super::count::Tally;
use super::orders::Winner;
use super::versions::{Version, resolve};
use super::*;
use crate::generate::World;
use crate::generate::rows::{Address, DAY, ItemRow, Moment, OrderRow, PartyRow, ProductRow};

/// 2024-01-01 is day 0.
fn day(n: i64) -> Moment {
    (19_723 + n) * DAY
}

fn party(created: i64, updated: Option<i64>, address: u32) -> PartyRow {
    let place = Address {
        address,
        zip: 12_345,
        zip_plus: 0,
        state: (address % 3) as u8,
    };
    PartyRow {
        id: Some(0),
        place,
        created: Some(day(created)),
        updated: updated.map(day),
    }
}

fn spans(rows: &[PartyRow]) -> Vec<(i64, Option<i64>, u32)> {
    let days = |moment: Moment| moment / DAY - 19_723;
    let versions = resolve(rows).versions;
    versions
        .iter()
        .map(|v: &Version<_>| {
            (
                days(v.valid_from),
                (v.valid_to != Moment::MAX).then(|| days(v.valid_to)),
                v.tracked.0,
            )
        })
        .collect()
}

#[test]
fn a_late_version_is_inserted_in_its_place() {
    let rows = [
        party(0, Some(20), 3),
        party(0, None, 1),
        party(0, Some(10), 2),
    ];
    assert_eq!(
        spans(&rows),
        [(0, Some(10), 1), (10, Some(20), 2), (20, None, 3)]
    );
}

#[test]
fn the_first_known_version_opens_at_the_created_date() {
    assert_eq!(spans(&[party(0, Some(20), 3)]), [(0, None, 3)]);
}

#[test]
fn an_update_that_changes_nothing_opens_no_version() {
    let rows = [
        party(0, None, 1),
        party(0, Some(5), 1),
        party(0, Some(9), 2),
        party(0, Some(11), 1),
    ];
    assert_eq!(
        spans(&rows),
        [(0, Some(9), 1), (9, Some(11), 2), (11, None, 1)]
    );
}

#[test]
fn versions_do_not_depend_on_the_order_of_rows() {
    let mut rows = vec![
        party(0, None, 1),
        party(0, None, 2),
        party(0, Some(7), 3),
        party(0, Some(7), 4),
        party(0, None, 1),
    ];
    let once = resolve(&rows);
    rows.reverse();
    assert_eq!(resolve(&rows), once);
    assert_eq!((once.kept, once.duplicates), (2, 3));
}

#[test]
fn rows_that_cannot_be_placed_are_rejected() {
    let nameless = PartyRow {
        id: None,
        ..party(0, None, 1)
    };
    let undated = PartyRow {
        created: None,
        ..party(0, None, 1)
    };
    let resolved = resolve(&[nameless, undated, party(5, Some(4), 1), party(5, None, 1)]);
    assert_eq!(resolved.kept, 1);
    let reasons: Vec<_> = resolved.rejected.into_iter().collect();
    assert_eq!(
        reasons,
        [
            ("missing_created_date", 1),
            ("missing_id", 1),
            ("updated_before_created", 1)
        ]
    );
}

fn order(status: &'static str, purchase: i64, delivered: Option<i64>) -> OrderRow {
    OrderRow {
        id: Some(1),
        customer: Some(0),
        status: Some(status),
        purchase: Some(day(purchase)),
        approved: delivered.map(day),
        carrier: delivered.map(day),
        delivered: delivered.map(day),
        estimated: None,
    }
}

fn item(number: u32, cents: i64) -> ItemRow {
    ItemRow {
        order: 1,
        number,
        product: Some(0),
        seller: Some(0),
        shipping_limit: Some(day(9)),
        price_cents: Some(cents),
        freight_cents: Some(100),
    }
}

fn winner<R>(rows: &[R], add: impl Fn(&mut Winner<R>, &R)) -> Winner<R> {
    let mut winner = Winner::default();
    rows.iter().for_each(|row| add(&mut winner, row));
    winner
}

fn add_order(rows: &[OrderRow]) -> Winner<OrderRow> {
    winner(rows, |w, row| w.add(row))
}

fn add_item(rows: &[ItemRow]) -> Winner<ItemRow> {
    winner(rows, |w, row| w.add(row))
}

/// Three orders, by hand:
///
/// ```text
/// order   rows                                  items
/// day 3   Approved; delivered; delivered again  1: 10.00 twice, 2: -1.00, 3: 2.50
/// day 12  shipped                               none
/// day 4   LOST                                  1: 7.00
/// ```
/// The customer exists from day 0 with address 1 (state 1), from day 10 with address 2 (state 2).
#[test]
fn a_hand_made_case_counts_as_by_hand() {
    let world = World::new(3, 1, 0);
    let mut tally = Tally::new(&world, 1);
    tally
        .customers
        .add(&[party(0, None, 1), party(0, Some(10), 2)]);
    // The seller is newer than the first order.
    tally.sellers.add(&[party(5, None, 1)]);
    tally.products.add(&[ProductRow {
        id: Some(0),
        category: 0,
        name: 0,
        size: 0,
        width_cm: 1,
        length_cm: 1,
        height_cm: 1,
        price_cents: 1_050,
        created: Some(day(0)),
        updated: None,
    }]);
    let delivered = order("delivered", 3, Some(6));
    tally.order(
        &add_order(&[order("Approved", 3, None), delivered, delivered]),
        &[
            add_item(&[item(1, 1_000), item(1, 1_000)]),
            add_item(&[item(2, -100)]),
            add_item(&[item(3, 250)]),
        ],
    );
    tally.order(&add_order(&[order("shipped", 12, None)]), &[]);
    tally.order(
        &add_order(&[order("LOST", 4, None)]),
        &[add_item(&[item(1, 700)])],
    );
    let truth = tally.truth(&world);

    assert_eq!(
        (truth.revenue.as_str(), truth.freight.as_str()),
        ("12.50", "2.00")
    );
    let map = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(truth.revenue_by_month, map(&[("2024-01", "12.50")]));
    assert_eq!(truth.revenue_by_state, map(&[("TX", "12.50")]));
    assert_eq!(
        truth.orders_by_status,
        BTreeMap::from([("DELIVERED".into(), 1), ("SHIPPED".into(), 1)])
    );
    assert_eq!(truth.rows_read["orders"], 5);
    assert_eq!(truth.rows["staging.stg_orders"], 2);
    assert_eq!(truth.duplicates_dropped["orders"], 2);
    assert_eq!(
        truth.quarantine["orders"],
        BTreeMap::from([("unknown_status".into(), 1)])
    );
    assert_eq!(truth.rows_read["order_items"], 5);
    assert_eq!(truth.rows["marts.fact_order_items"], 2);
    assert_eq!(truth.duplicates_dropped["order_items"], 1);
    let rejected = BTreeMap::from([("negative_price".into(), 1), ("unknown_order".into(), 1)]);
    assert_eq!(truth.quarantine["order_items"], rejected);
    assert_eq!(
        truth.versions["dim_customer"],
        VersionCounts {
            total: 2,
            current: 1,
            changed: 1
        }
    );
    assert_eq!(truth.rows["marts.dim_customer"], 3);
    assert_eq!(truth.orders_without_items, 1);
    assert_eq!(
        (
            truth.items_of_unknown_sellers,
            truth.items_of_unknown_products
        ),
        (2, 0)
    );
    assert_eq!(truth.top_sellers, []);
    assert_eq!(truth.checksums["order_date_key"], 20_240_104 + 20_240_113);
    assert_eq!(
        truth.checksums["delivered_to_customer_date_key"],
        20_240_107
    );
    assert_eq!(truth.checksums["current_product_price_cents"], 1_050);
}

#[test]
fn rows_read_are_kept_dropped_or_in_quarantine() {
    for truth in count(&World::new(3_000, 3, 11), &mut |_, _| {}) {
        for (source, read) in &truth.rows_read {
            let kept = truth.rows[&format!("staging.stg_{source}")];
            let rejected: u64 = truth.quarantine[source].values().sum();
            assert_eq!(
                *read,
                kept + truth.duplicates_dropped[source] + rejected,
                "{source}"
            );
        }
    }
}

#[test]
fn every_kind_of_trouble_is_planted() {
    let truths = count(&World::new(20_000, 2, 42), &mut |_, _| {});
    let reasons = |source: &str| {
        truths[1].quarantine[source]
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        reasons("orders"),
        "missing_id missing_purchase_date unknown_status"
    );
    assert_eq!(
        reasons("order_items"),
        "missing_freight_value missing_id missing_price negative_freight_value negative_price unknown_order"
    );
    for source in ["customers", "products"] {
        assert!(
            reasons(source).contains("missing_created_date missing_id"),
            "{source}: {}",
            reasons(source)
        );
    }
    let last = &truths[1];
    assert!(
        last.versions
            .values()
            .all(|v| v.changed > 0 && v.total > v.current),
        "{:?}",
        last.versions
    );
    assert!(last.orders_without_items > 0 && last.orders_of_unknown_customers > 0);
    assert!(last.items_of_unknown_products > 0 && last.items_of_unknown_sellers > 0);
    // What the first delivery lacks, the second brings.
    assert!(
        truths[0].quarantine["order_items"]["unknown_order"]
            > last.quarantine["order_items"]["unknown_order"] / 2
    );
    assert_ne!(truths[0].revenue, last.revenue);
}

#[test]
fn money_is_text_with_two_digits() {
    assert_eq!(
        [0, 5, 1_234, -205].map(money),
        ["0.00", "0.05", "12.34", "-2.05"]
    );
}
