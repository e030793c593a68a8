//! Sorts that false claims of DataFusion would take away.

use crate::testing::rows;

const SALES: &str = "(values (4, 5), (1, 5), (2, 5), (3, 7), (6, 4)) as t(k, x)";

#[tokio::test]
async fn a_rank_that_ties_is_not_unique_because_a_key_below_is() {
    let query = format!(
        "select rank() over (order by max(x)) as r, -k as k from {SALES} group by k order by 1, 2"
    );
    assert_eq!(rows(&query).await, ["1-6", "2-4", "2-2", "2-1", "5-3"]);
}

#[tokio::test]
async fn a_grouping_column_that_is_constant_below_is_sorted_with_its_nulls() {
    let query = format!(
        "select c, n from (select c, count(*) as n from (select 'all' as c from {SALES}) as s
         group by grouping sets ((c), ())) as g order by c desc nulls first"
    );
    assert_eq!(rows(&query).await, ["5", "all5"]);
}

#[tokio::test]
async fn a_grouping_column_that_is_constant_below_groups_rows_as_they_come() {
    let query = format!(
        "select c, count(*) as n from (select c, k, sum(x) as s from (select 'all' as c, k, x from {SALES}) as t
         group by grouping sets ((c, k), (k), (c), ())) as g group by c order by 1 nulls first"
    );
    assert_eq!(rows(&query).await, ["6", "all6"]);
    let plan = rows(&format!("explain {query}")).await.concat();
    assert!(!plan.contains("ordering_mode"), "{plan}");
}

#[tokio::test]
async fn a_constant_of_one_side_is_a_key_of_a_sort_above_an_outer_join() {
    for join in ["a.c = b.k and a.c < a.c", "a.c < b.k - 100"] {
        let query = format!(
            "select c, lag(k) over (order by c, k) as l from (select count(*) as c from {SALES}) as a
             full join (select k from {SALES}) as b on {join} where k is null or k < 3 order by 1, 2"
        );
        assert_eq!(rows(&query).await, ["5", "1", ""], "{join}");
    }
    let grouped = format!(
        "explain select c, k, count(*) as n from (select count(*) as c from {SALES}) as a
         full join (select k from {SALES}) as b on a.c = b.k group by c, k"
    );
    let plan = rows(&grouped).await.concat();
    assert!(!plan.contains("ordering_mode"), "{plan}");
}

#[tokio::test]
async fn values_of_windows_are_sorted() {
    let sales = "(values (1, null), (2, 3), (3, 8), (4, 5)) as t(k, x)";
    for (window, right) in [
        ("max(x) over (order by k)", ["3", "8", "8", ""]),
        (
            "min(x) over (order by k desc rows 1 preceding)",
            ["3", "3", "5", "5"],
        ),
        (
            "max(k) over (order by k desc rows 1 preceding)",
            ["2", "3", "4", "4"],
        ),
        (
            "count(x) over (order by x rows 1 preceding)",
            ["1", "1", "2", "2"],
        ),
    ] {
        let query = format!("select {window} as m from {sales} order by m");
        assert_eq!(rows(&query).await, right, "{window}");
        let query = format!(
            "select m, count(*) as n from (select {window} as m from {sales}) as s group by m"
        );
        let plan = rows(&format!("explain {query}")).await.concat();
        assert!(!plan.contains("ordering_mode"), "{plan}");
    }
}

#[tokio::test]
async fn a_label_of_union_branches_is_a_key_of_the_sort_below_a_limit() {
    let query = format!(
        "explain select k, what from (select k, 'sale' as what from {SALES} where x > 0
         union all select x, 'return' from {SALES} where k > 0) as u order by what desc, k limit 2"
    );
    let plan = rows(&query).await.concat();
    assert!(
        plan.contains("TopK(fetch=2),expr=[what@1DESC,k@0"),
        "{plan}"
    );
}

#[tokio::test]
async fn a_total_before_its_key_is_sorted_by_both() {
    let query = format!(
        "select n, k from (select k, max(x) as n from {SALES} group by k order by 2 limit 4) order by n, k"
    );
    let sorted = rows(&query).await;
    assert_eq!(sorted, ["46", "51", "52", "54"]);
}
