//! Which plans are rewritten, and into what.

use super::*;

fn numbered(window: &str, rest: &str) -> String {
    format!("SELECT id, k_int FROM (SELECT *, {window} AS rn FROM t) q WHERE {rest}")
}

async fn is_left_alone(sql: &str) -> bool {
    let setup = |rule| Setup {
        rule,
        partitions: 4,
        ..Setup::default()
    };
    let ours = tree(&plan(&setup(true).session(), sql).await);
    let theirs = tree(&plan(&setup(false).session(), sql).await);
    assert!(
        theirs.contains("WindowAggExec"),
        "no window to leave alone in {sql}\n{theirs}"
    );
    ours == theirs
}

#[tokio::test]
async fn the_shuffle_stands_between_the_two_passes() {
    let session = Setup {
        partitions: 4,
        ..Setup::default()
    }
    .session();
    let sql = numbered(
        "row_number() OVER (PARTITION BY k_int ORDER BY o_time DESC)",
        "rn = 1",
    );
    let nodes: Vec<String> = tree(&plan(&session, &sql).await)
        .lines()
        .map(|line| {
            line.trim()
                .split(", partitions=")
                .next()
                .unwrap()
                .to_string()
        })
        .collect();
    assert_eq!(
        nodes[..4],
        [
            "ProjectionExec: expr=[id@0 as id, k_int@1 as k_int]",
            "HashTopKExec: mode=Final, limit=1, keys=[k_int@1], order_by=[o_time@2 DESC]",
            "RepartitionExec: partitioning=Hash([k_int@1], 4), input_partitions=4",
            "HashTopKExec: mode=Partial, limit=1, keys=[k_int@1], order_by=[o_time@2 DESC]",
        ]
    );
}

#[tokio::test]
async fn a_parent_that_needs_an_order_gets_its_own_sort() {
    let session = Setup {
        partitions: 4,
        ..Setup::default()
    }
    .session();
    let window = "row_number() OVER (PARTITION BY k_int ORDER BY id)";
    let sql = format!("{} ORDER BY k_int, id", numbered(window, "rn = 1"));
    let plan = tree(&plan(&session, &sql).await);
    assert!(
        plan.find("SortExec").unwrap() < plan.find("HashTopKExec").unwrap(),
        "{plan}"
    );
}

#[tokio::test]
async fn qualify_is_rewritten_too() {
    let session = Setup::default().session();
    let sql =
        "SELECT id FROM t QUALIFY row_number() OVER (PARTITION BY k_str, k_dec ORDER BY o_int) = 1";
    assert!(is_rewritten(&plan(&session, sql).await));
}

#[tokio::test]
async fn each_of_two_nested_numberings_is_rewritten() {
    let session = Setup::default().session();
    let sql = "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY k_small ORDER BY id) AS second FROM \
               (SELECT *, row_number() OVER (PARTITION BY k_int ORDER BY id) AS first FROM t) a WHERE first = 1) b \
               WHERE second = 1";
    let plan = tree(&plan(&session, sql).await);
    assert_eq!(plan.matches("mode=Final").count(), 2, "{plan}");
}

#[tokio::test]
async fn other_window_functions_are_left_alone() {
    for function in ["rank()", "dense_rank()", "ntile(4)", "lag(id)", "count(*)"] {
        let sql = numbered(
            &format!("{function} OVER (PARTITION BY k_int ORDER BY o_int)"),
            "rn = 1",
        );
        assert!(is_left_alone(&sql).await, "{sql}");
    }
}

#[tokio::test]
async fn other_shapes_are_left_alone() {
    let by = |partition: &str, order: &str| {
        format!("row_number() OVER (PARTITION BY {partition} ORDER BY {order})")
    };
    let plain = by("k_int", "o_int, id");
    for sql in [
        // No key, computed keys and orders, a key of a type with several zeros.
        numbered("row_number() OVER (ORDER BY id)", "rn = 1"),
        numbered(&by("abs(k_int)", "id"), "rn = 1"),
        numbered(&by("k_int", "coalesce(o_int, 7)"), "rn = 1"),
        numbered(&by("o_float", "id"), "rn = 1"),
        // A frame that is not the whole partition so far.
        numbered(
            "row_number() OVER (PARTITION BY k_int ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
            "rn = 1",
        ),
        // No upper bound, or not one row number from the first.
        numbered(&plain, "rn > 1"),
        numbered(&plain, "rn = 2"),
        numbered(&plain, "rn = 1 OR id > 3"),
        numbered(&plain, "rn <= 3 AND rn >= 2"),
        numbered(&plain, "rn <= 100000"),
        numbered(&plain, "rn = o_int"),
        // The number of more than one row per key is used above.
        format!("SELECT id, rn FROM (SELECT *, {plain} AS rn FROM t) q WHERE rn <= 3"),
        format!("SELECT sum(rn) FROM (SELECT *, {plain} AS rn FROM t) q WHERE rn <= 3"),
        format!("SELECT id FROM (SELECT *, {plain} AS rn FROM t) q WHERE rn <= 3 AND rn + id > 3"),
        // The window has other outputs.
        format!(
            "SELECT id, r FROM (SELECT *, {plain} AS rn, rank() OVER (PARTITION BY k_int ORDER BY o_int, id) AS r \
             FROM t) q WHERE rn = 1"
        ),
    ] {
        assert!(is_left_alone(&sql).await, "{sql}");
    }
}

#[tokio::test]
async fn a_plan_whose_requirements_are_enforced_is_left_alone() {
    let session = Setup {
        rule: false,
        partitions: 4,
        ..Setup::default()
    }
    .session();
    let sql = numbered(
        "row_number() OVER (PARTITION BY k_int ORDER BY id)",
        "rn = 1",
    );
    let enforced = plan(&session, &sql).await;
    let after = partitioned_topk_rule()
        .optimize(Arc::clone(&enforced), session.state().config_options())
        .unwrap();
    assert_eq!(tree(&after), tree(&enforced));
}
