//! Which rows come out.

use super::*;

const KEYS: [&str; 8] = [
    "k_int",
    "k_small",
    "k_str",
    "k_view",
    "k_date",
    "k_dec",
    "k_small, k_date",
    "k_view, k_int, k_str",
];
const ORDERS: [&str; 9] = [
    "id",
    "id DESC",
    "o_int NULLS FIRST, id",
    "o_time DESC NULLS LAST, id DESC",
    "o_str, o_int DESC, id",
    "o_float DESC, id",
    "o_float ASC NULLS FIRST, o_time, id",
    "o_time, o_str DESC NULLS LAST, id",
    "k_dec DESC, id",
];
/// What is selected, and the condition.
const USES: [(&str, &str); 9] = [
    ("*", "rn = 1"),
    ("id, payload", "rn <= 1"),
    ("id, rn + 10 AS eleven", "rn < 2"),
    ("id, o_str, rn", "1 = rn AND o_int > -3"),
    ("id, upper(payload) AS loud", "rn <= 3"),
    ("id, k_view", "rn < 4 AND o_int IS NOT NULL"),
    ("id", "rn BETWEEN 1 AND 2"),
    ("id", "rn < 2 AND (rn + id) % 2 = 1"),
    ("id, rn", "rn = 1 AND (rn = 2 OR id > 100)"),
];

fn query(key: &str, order: &str, (columns, condition): (&str, &str)) -> String {
    format!(
        "SELECT {columns} FROM (SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS rn FROM t) q \
         WHERE {condition} ORDER BY id"
    )
}

/// Every key with every use, orders in turn, and every order with `n = 1` and `n = 3`.
fn queries() -> Vec<String> {
    let mut queries = Vec::new();
    for (i, key) in KEYS.iter().enumerate() {
        for (j, how) in USES.iter().enumerate() {
            queries.push(query(
                key,
                ORDERS[(i * USES.len() + j) % ORDERS.len()],
                *how,
            ));
        }
    }
    for order in ORDERS {
        queries.push(query("k_int", order, USES[0]));
        queries.push(query("k_small", order, USES[4]));
    }
    queries
}

/// Runs every query with and without the rule.
async fn compare(partitions: usize, batch_size: usize, rows_total: usize, tuning: Tuning) {
    let setup = |rule| Setup {
        rule,
        partitions,
        batch_size,
        rows: rows_total,
        ..Setup::default()
    };
    let (with, without) = (setup(true).session(), setup(false).session());
    for sql in queries() {
        let ours = plan(&with, &sql).await;
        assert!(is_rewritten(&ours), "not rewritten: {sql}\n{}", tree(&ours));
        let ours = rows(&with, &tuned(ours, tuning)).await;
        let expected = rows(&without, &plan(&without, &sql).await).await;
        assert_eq!(ours, expected, "{sql}");
    }
}

#[tokio::test]
async fn same_rows_as_the_sort_in_one_partition() {
    compare(1, 8192, 600, Tuning::default()).await;
}

#[tokio::test]
async fn same_rows_as_the_sort_in_four_partitions() {
    compare(4, 8192, 600, Tuning::default()).await;
}

#[tokio::test]
async fn same_rows_as_the_sort_in_crumbs_of_seven_rows() {
    compare(4, 7, 200, Tuning::default()).await;
}

#[tokio::test]
async fn same_rows_as_the_sort_in_batches_of_one_row() {
    compare(1, 1, 60, Tuning::default()).await;
}

#[tokio::test]
async fn same_rows_as_the_sort_when_hashes_collide() {
    compare(
        4,
        64,
        300,
        Tuning {
            hash_mask: 3,
            ..Tuning::default()
        },
    )
    .await;
}

#[tokio::test]
async fn same_rows_as_the_sort_when_partial_passes_give_up() {
    compare(
        4,
        16,
        300,
        Tuning {
            probe_rows: 20,
            ..Tuning::default()
        },
    )
    .await;
}

#[tokio::test]
async fn without_an_order_one_row_per_key_stays() {
    let session = Setup {
        partitions: 4,
        ..Setup::default()
    }
    .session();
    let sql = "SELECT count(*), count(DISTINCT k_int) + 1 FROM \
               (SELECT *, row_number() OVER (PARTITION BY k_int) AS rn FROM t) q WHERE rn = 1";
    let plan = plan(&session, sql).await;
    assert!(is_rewritten(&plan), "{}", tree(&plan));
    let batches = collect(plan, session.task_ctx()).await.unwrap();
    assert_eq!(batches[0].column(0), batches[0].column(1));
}

#[tokio::test]
async fn ties_go_to_the_row_seen_first() {
    let sql = "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY k_small ORDER BY o_int) AS rn FROM t) q \
               WHERE rn <= 2 ORDER BY id";
    let first = "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY k_small ORDER BY o_int, id) AS rn FROM t) q \
                 WHERE rn <= 2 ORDER BY id";
    let session = Setup {
        batch_size: 16,
        ..Setup::default()
    }
    .session();
    for tuning in [
        Tuning::default(),
        Tuning {
            hash_mask: 0,
            ..Tuning::default()
        },
    ] {
        let ours = tuned(plan(&session, sql).await, tuning);
        assert_eq!(
            rows(&session, &ours).await,
            rows(&session, &plan(&session, first).await).await
        );
    }
}
