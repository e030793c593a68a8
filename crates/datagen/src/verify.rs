//! Compares the published tables with the truth: the queries to ask, and what they must answer.
//!
//! Nothing here talks to a cluster. A caller runs each [`CheckQuery`] and hands its rows, as text, to [`compare`].
//! Every query gives two columns: what was counted, and the count.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, Utc};

use super::truth::Truth;

/// A query and what it must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckQuery {
    /// What is checked, for people: `revenue by month`.
    pub name: String,
    /// Two columns of text: key and value.
    pub sql: String,
    /// Key and value of every row, in the order to show them.
    pub expected: Vec<(String, String)>,
}

/// One compared number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub truth: String,
    pub found: String,
    pub ok: bool,
}

/// What stands where a row should be and is not, or should not be and is.
pub(crate) const NOTHING: &str = "(no row)";

/// Every check of the retail project's tables, with today's calendar.
pub fn checks(truth: &Truth) -> Vec<CheckQuery> {
    checks_on(truth, Utc::now().date_naive())
}

/// [`checks`] for tables that were built with variable `today`.
pub(crate) fn checks_on(truth: &Truth, today: NaiveDate) -> Vec<CheckQuery> {
    let mut queries = counts(truth, today);
    queries.extend(money(truth));
    queries.extend(invariants());
    queries
}

/// The comparison of one query's rows with what it must answer.
pub fn compare(query: &CheckQuery, rows: &[Vec<Option<String>>]) -> Vec<Check> {
    let shown = |value: Option<&Option<String>>| {
        value
            .cloned()
            .flatten()
            .unwrap_or_else(|| "null".to_string())
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut twice = vec![];
    for row in rows {
        let (key, value) = (shown(row.first()), shown(row.get(1)));
        if let Some(other) = found.insert(key.clone(), value) {
            twice.push((key, other));
        }
    }
    let name = |key: &str| match key == query.name {
        true => key.to_string(),
        false => format!("{}: {key}", query.name),
    };
    let mut checks: Vec<Check> = query
        .expected
        .iter()
        .map(|(key, truth)| {
            let found = found.remove(key).unwrap_or_else(|| NOTHING.to_string());
            Check {
                name: name(key),
                ok: found == *truth,
                truth: truth.clone(),
                found,
            }
        })
        .collect();
    for (key, value) in found.into_iter().chain(twice) {
        checks.push(Check {
            name: name(&key),
            truth: NOTHING.to_string(),
            found: value,
            ok: false,
        });
    }
    checks
}

/// Rows of dim_date built on `today`: 2020-01-01 to the end of next year, and the unknown day.
pub(crate) fn calendar_rows(today: NaiveDate) -> u64 {
    let days = |date: Option<NaiveDate>| date.map_or(0, |d| i64::from(d.num_days_from_ce()));
    let (first, end) = (
        NaiveDate::from_ymd_opt(2020, 1, 1),
        NaiveDate::from_ymd_opt(today.year() + 2, 1, 1),
    );
    (days(end) - days(first) + 1).max(1) as u64
}

fn counts(truth: &Truth, today: NaiveDate) -> Vec<CheckQuery> {
    let mut rows = truth.rows.clone();
    rows.insert("marts.dim_date".into(), calendar_rows(today));
    let sources: Vec<&String> = truth.rows_read.keys().collect();
    let ledger = |column: &str, numbers: &BTreeMap<String, u64>| {
        query(
            &column.replace('_', " "),
            format!("SELECT source_name, CAST({column} AS VARCHAR) FROM quarantine.row_counts"),
            numbers,
        )
    };
    let reasons: BTreeMap<String, u64> = truth
        .quarantine
        .iter()
        .flat_map(|(source, reasons)| {
            reasons
                .iter()
                .map(move |(reason, n)| (format!("{source} {reason}"), *n))
        })
        .collect();
    let quarantine = union(sources.iter().map(|source| {
        format!(
            "SELECT '{source} ' || rejected_because, CAST(COUNT(*) AS VARCHAR) FROM quarantine.{source} \
             GROUP BY rejected_because"
        )
    }));
    let versions: BTreeMap<String, u64> = truth
        .versions
        .iter()
        .flat_map(|(dimension, n)| {
            [
                ("total", n.total),
                ("current", n.current),
                ("changed", n.changed),
            ]
            .map(|(what, n)| (format!("{dimension} {what}"), n))
        })
        .collect();
    let of_dimension = |(name, id): &(&str, &str)| {
        format!(
            "SELECT '{name} total', CAST(COUNT(*) AS VARCHAR) FROM marts.{name} WHERE {id}_sk <> '-1' \
             UNION ALL SELECT '{name} current', CAST(COUNT(*) AS VARCHAR) FROM marts.{name} \
             WHERE {id}_sk <> '-1' AND is_current \
             UNION ALL SELECT '{name} changed', CAST(COUNT(*) AS VARCHAR) FROM (SELECT {id}_id FROM marts.{name} \
             WHERE {id}_sk <> '-1' GROUP BY {id}_id HAVING COUNT(*) > 1) AS changed"
        )
    };
    vec![
        query(
            "rows",
            union(rows.keys().map(|table| format!("SELECT '{table}', CAST(COUNT(*) AS VARCHAR) FROM {table}"))),
            &rows,
        ),
        ledger("rows_read", &truth.rows_read),
        ledger("duplicates_dropped", &truth.duplicates_dropped),
        query("quarantine", quarantine, &reasons),
        query("versions", union(DIMENSIONS.iter().map(of_dimension)), &versions),
        query(
            "orders by status",
            "SELECT order_status, CAST(COUNT(*) AS VARCHAR) FROM marts.fact_order_summary GROUP BY order_status".into(),
            &truth.orders_by_status,
        ),
        single(
            "orders without items",
            "COUNT(*)",
            "marts.fact_order_summary WHERE item_count = 0",
            truth.orders_without_items,
        ),
        single(
            "orders of unknown customers",
            "COUNT(*)",
            "marts.fact_order_summary WHERE customer_sk = '-1'",
            truth.orders_of_unknown_customers,
        ),
        single(
            "items of unknown products",
            "COUNT(*)",
            "marts.fact_order_items WHERE product_sk = '-1'",
            truth.items_of_unknown_products,
        ),
        single(
            "items of unknown sellers",
            "COUNT(*)",
            "marts.fact_order_items WHERE seller_sk = '-1'",
            truth.items_of_unknown_sellers,
        ),
        query("checksum", checksums(), &truth.checksums),
    ]
}

fn checksums() -> String {
    let cents = |column: &str| format!("SUM(CAST({column} * 100 AS BIGINT))");
    let sums = [
        (
            "item_value_cents",
            cents("item_value"),
            "marts.fact_order_items",
        ),
        (
            "freight_value_cents",
            cents("freight_value"),
            "marts.fact_order_items",
        ),
        (
            "shipping_limit_date_key",
            "SUM(CAST(shipping_limit_date_key AS BIGINT))".into(),
            "marts.fact_order_items",
        ),
        (
            "order_date_key",
            "SUM(CAST(order_date_key AS BIGINT))".into(),
            "marts.fact_order_summary",
        ),
        (
            "delivered_to_customer_date_key",
            "SUM(CAST(delivered_to_customer_date_key AS BIGINT))".into(),
            "marts.fact_order_summary",
        ),
        (
            "current_product_price_cents",
            cents("price"),
            "marts.dim_product WHERE is_current AND product_sk <> '-1'",
        ),
    ];
    union(
        sums.iter().map(|(name, sum, from)| {
            format!("SELECT '{name}', CAST({sum} AS VARCHAR) FROM {from}")
        }),
    )
}

fn money(truth: &Truth) -> Vec<CheckQuery> {
    let top: Vec<(String, String)> = truth
        .top_sellers
        .iter()
        .zip(1..)
        .map(|(seller, rank)| {
            (
                rank.to_string(),
                format!("{} {}", seller.seller_id, seller.revenue),
            )
        })
        .collect();
    vec![
        single("revenue", "SUM(item_value)", "marts.fact_order_items", &truth.revenue),
        single("revenue of orders", "SUM(total_order_value)", "marts.fact_order_summary", &truth.revenue),
        single("revenue of customers", "SUM(total_order_value)", "marts.obt_customers_reporting", &truth.revenue),
        single("revenue of sellers", "SUM(item_value)", "marts.obt_sellers_reporting", &truth.revenue),
        single("freight", "SUM(freight_value)", "marts.fact_order_items", &truth.freight),
        single("freight of orders", "SUM(total_freight_value)", "marts.fact_order_summary", &truth.freight),
        query(
            "revenue by month",
            "SELECT sales_month, CAST(SUM(total_order_value) AS VARCHAR) FROM (\
             SELECT SUBSTR(CAST(order_date_key AS VARCHAR), 1, 4) || '-' || SUBSTR(CAST(order_date_key AS VARCHAR), 5, 2) \
             AS sales_month, total_order_value FROM marts.fact_order_summary) AS sales GROUP BY sales_month"
                .into(),
            &truth.revenue_by_month,
        ),
        query(
            "revenue by state",
            "SELECT c.state, CAST(SUM(o.total_order_value) AS VARCHAR) FROM marts.fact_order_summary AS o \
             INNER JOIN marts.dim_customer AS c ON o.customer_sk = c.customer_sk \
             GROUP BY c.state HAVING SUM(o.total_order_value) <> 0"
                .into(),
            &truth.revenue_by_state,
        ),
        CheckQuery {
            name: "top sellers".into(),
            sql: "SELECT CAST(seller_rank AS VARCHAR), seller_id || ' ' || CAST(revenue AS VARCHAR) FROM (\
                  SELECT seller_id, revenue, ROW_NUMBER() OVER (ORDER BY revenue DESC, seller_id) AS seller_rank FROM (\
                  SELECT s.seller_id, SUM(i.item_value) AS revenue FROM marts.fact_order_items AS i \
                  INNER JOIN marts.dim_seller AS s ON i.seller_sk = s.seller_sk WHERE i.seller_sk <> '-1' \
                  GROUP BY s.seller_id HAVING SUM(i.item_value) > 0) AS sellers) AS ranked WHERE seller_rank <= 10"
                .into(),
            expected: top,
        },
    ]
}

/// (dimension, what its columns start with)
const DIMENSIONS: [(&str, &str); 3] = [
    ("dim_customer", "customer"),
    ("dim_product", "product"),
    ("dim_seller", "seller"),
];

/// (fact, staging, key, dimension, its columns' start, column of staging with the id)
const LINKS: [(&str, &str, &str, &str, &str); 3] = [
    (
        "fact_order_summary",
        "stg_orders",
        "order_id",
        "dim_customer",
        "customer",
    ),
    (
        "fact_order_items",
        "stg_order_items",
        "order_id, order_item_id",
        "dim_product",
        "product",
    ),
    (
        "fact_order_items",
        "stg_order_items",
        "order_id, order_item_id",
        "dim_seller",
        "seller",
    ),
];

/// What must hold whatever the data: each query counts violations.
fn invariants() -> Vec<CheckQuery> {
    let none = |name: String, from: String| single(&name, "COUNT(*)", &from, 0);
    let mut queries = vec![];
    for (dimension, of) in DIMENSIONS {
        let versions = format!(
            "(SELECT {of}_id, created_date, valid_from, valid_to, \
             LAG({of}_id) OVER (PARTITION BY {of}_id ORDER BY valid_from) AS before_id, \
             LAG(valid_to) OVER (PARTITION BY {of}_id ORDER BY valid_from) AS before_valid_to \
             FROM marts.{dimension} WHERE {of}_sk <> '-1') AS versions"
        );
        queries.extend([
            none(
                format!("{dimension} versions that overlap"),
                format!("{versions} WHERE before_id IS NOT NULL AND (before_valid_to IS NULL OR valid_from < before_valid_to)"),
            ),
            none(format!("{dimension} gaps between versions"), format!("{versions} WHERE valid_from > before_valid_to")),
            none(
                format!("{dimension} first versions not from the created date on"),
                format!("{versions} WHERE before_id IS NULL AND valid_from IS DISTINCT FROM created_date"),
            ),
            none(format!("{dimension} versions that end before they begin"), format!("{versions} WHERE valid_to <= valid_from")),
            none(
                format!("{dimension} ids without exactly one current version"),
                format!(
                    "(SELECT {of}_id FROM marts.{dimension} GROUP BY {of}_id \
                     HAVING SUM(CASE WHEN is_current THEN 1 ELSE 0 END) <> 1) AS ids"
                ),
            ),
            none(
                format!("{dimension} keys that are not unique"),
                format!("(SELECT {of}_sk FROM marts.{dimension} GROUP BY {of}_sk HAVING COUNT(*) > 1) AS keys"),
            ),
        ]);
    }
    for (fact, staging, key, dimension, of) in LINKS {
        let on_key: Vec<String> = key
            .split(", ")
            .map(|column| format!("f.{column} = s.{column}"))
            .collect();
        queries.extend([
            none(
                format!("{fact} rows without exactly one {of}"),
                format!(
                    "marts.{fact} AS f LEFT JOIN (SELECT {of}_sk, COUNT(*) AS members FROM marts.{dimension} \
                     GROUP BY {of}_sk) AS d ON f.{of}_sk = d.{of}_sk WHERE d.members IS NULL OR d.members <> 1"
                ),
            ),
            none(
                format!("{fact} rows of a {of} of another id or time"),
                format!(
                    "marts.{fact} AS f INNER JOIN staging.{staging} AS s ON {} \
                     INNER JOIN marts.{dimension} AS d ON f.{of}_sk = d.{of}_sk \
                     WHERE f.{of}_sk <> '-1' AND (d.{of}_id <> s.{of}_id OR s.order_date < d.valid_from \
                     OR s.order_date >= d.valid_to)",
                    on_key.join(" AND ")
                ),
            ),
        ]);
    }
    for (fact, staging, key) in
        [LINKS[0], LINKS[1]].map(|(fact, staging, key, ..)| (fact, staging, key))
    {
        queries.extend([
            none(
                format!("{fact} keys that are not unique"),
                format!("(SELECT {key} FROM marts.{fact} GROUP BY {key} HAVING COUNT(*) > 1) AS keys"),
            ),
            single(
                &format!("{fact} rows more than {staging}"),
                "rows_more",
                &format!(
                    "(SELECT (SELECT COUNT(*) FROM marts.{fact}) - (SELECT COUNT(*) FROM staging.{staging}) AS rows_more) \
                     AS difference"
                ),
                0,
            ),
            none(
                format!("{fact} days that are not in dim_date"),
                format!(
                    "marts.{fact} AS f LEFT JOIN marts.dim_date AS d ON f.order_date_key = d.date_key \
                     WHERE d.date_key IS NULL"
                ),
            ),
        ]);
    }
    queries.push(none(
        "sources whose rows do not add up".into(),
        "quarantine.row_counts WHERE duplicates_dropped < 0 OR rows_read <> rows_kept + duplicates_dropped + rows_quarantined"
            .into(),
    ));
    queries
}

fn query<V: ToString>(name: &str, sql: String, expected: &BTreeMap<String, V>) -> CheckQuery {
    let expected = expected
        .iter()
        .map(|(key, value)| (key.clone(), value.to_string()))
        .collect();
    CheckQuery {
        name: name.to_string(),
        sql,
        expected,
    }
}

fn single(name: &str, value: &str, from: &str, truth: impl ToString) -> CheckQuery {
    CheckQuery {
        name: name.to_string(),
        sql: format!("SELECT '{name}', CAST({value} AS VARCHAR) FROM {from}"),
        expected: vec![(name.to_string(), truth.to_string())],
    }
}

fn union(selects: impl Iterator<Item = String>) -> String {
    selects.collect::<Vec<_>>().join(" UNION ALL ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::World;
    use crate::truth::count;

    fn truth() -> Truth {
        count(&World::new(300, 1, 3), &mut |_, _| {}).remove(0)
    }

    /// The rows a right table answers with.
    fn answer(query: &CheckQuery) -> Vec<Vec<Option<String>>> {
        query
            .expected
            .iter()
            .map(|(key, value)| vec![Some(key.clone()), Some(value.clone())])
            .collect()
    }

    #[test]
    fn right_numbers_pass_and_none_is_left_out() {
        for query in checks(&truth()) {
            let checks = compare(&query, &answer(&query));
            assert_eq!(checks.len(), query.expected.len(), "{}", query.name);
            assert!(checks.iter().all(|check| check.ok), "{checks:?}");
        }
    }

    #[test]
    fn a_wrong_number_is_found_wherever_it_is_planted() {
        for query in checks(&truth()) {
            for at in 0..query.expected.len() {
                let mut rows = answer(&query);
                rows[at][1] = Some("999999999".into());
                let wrong: Vec<Check> = compare(&query, &rows)
                    .into_iter()
                    .filter(|check| !check.ok)
                    .collect();
                assert_eq!(wrong.len(), 1, "{}", query.name);
                assert_eq!(wrong[0].found, "999999999");
            }
        }
    }

    #[test]
    fn missing_unexpected_repeated_and_null_rows_are_found() {
        let query = checks(&truth())
            .into_iter()
            .find(|query| query.name == "revenue by month")
            .unwrap();
        let mut rows = answer(&query);
        let first = rows.remove(0);
        rows[0][1] = None;
        rows.push(vec![Some("1999-01".into()), Some("1.00".into())]);
        rows.push(rows[1].clone());
        let wrong: Vec<Check> = compare(&query, &rows)
            .into_iter()
            .filter(|check| !check.ok)
            .collect();
        let names: Vec<&str> = wrong.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert_eq!(wrong[0].found, NOTHING, "{names:?}");
        assert!(
            names[0].ends_with(first[0].as_deref().unwrap()),
            "{names:?}"
        );
        assert_eq!(wrong[1].found, "null");
        assert!(names.contains(&"revenue by month: 1999-01"));
    }

    #[test]
    fn an_empty_answer_fails_every_check() {
        for query in checks(&truth()) {
            assert!(
                compare(&query, &[]).iter().all(|check| !check.ok),
                "{}",
                query.name
            );
        }
    }

    #[test]
    fn the_calendar_ends_with_the_next_year() {
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        assert_eq!(calendar_rows(day(2020, 6, 1)), 366 + 365 + 1);
        assert_eq!(calendar_rows(day(2023, 12, 31)), 366 + 365 * 3 + 366 + 1);
    }
}
