//! Physical plans as the scheduler has them, held as texts: what each rewrite and node does to a query is read in the
//! `.snap` files beside this one, and a plan that changes has to be accepted (CONTRIBUTING.md).

mod shop;
mod tree;

use std::fmt::Write;

use retail_lakehouse::{WriteOptions, write_plan};

use self::shop::Shop;
use self::tree::tree;
use crate::plan_one_task;

/// Holds `plans` to the accepted ones.
fn hold(name: &str, plans: &str) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(".");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, plans));
}

/// The plan of each query, below what is to be seen in it.
async fn plans(shop: &Shop, queries: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (what, sql) in queries {
        let plan = shop.physical(&shop.logical(sql).await).await;
        entry(&mut text, what, sql, &tree(&plan));
    }
    text
}

fn entry(text: &mut String, what: &str, sql: &str, plan: &str) {
    write!(text, "-- {what}\n{sql}\n\n{plan}\n\n").unwrap();
}

#[tokio::test]
async fn scans_read_what_may_match_and_as_the_table_has_it() {
    let queries = [
        (
            "of three files one has the day; the filter stays, since its rows are not all of that day",
            "select sale_id, price from sales where day = date '2024-03-02' and qty > 1",
        ),
        (
            "a text source is read by our node over a stock scan",
            "select sale_id, reason from returns where reason = 'late'",
        ),
        (
            "a column that may not fit is cast value by value, and its filter stays above",
            "select product_id from prices where amount > 5 and product_id = 10",
        ),
    ];
    let shop = Shop::open().await;
    hold("scans", &plans(&shop, &queries).await);
}

#[tokio::test]
async fn joins_run_as_they_were_planned() {
    let queries = [
        (
            "a small side is read by each task",
            "select s.sale_id, s.price, p.category from sales s join products p on s.product_id = p.product_id",
        ),
        (
            "rows of both sides come out unmatched: each task has the keys of its partitions",
            "select s.sale_id, p.category from sales s full join products p on s.product_id = p.product_id",
        ),
        (
            "one NULL on the right holds back all rows: one task reads both sides",
            "select sale_id from sales where product_id not in (select product_id from products)",
        ),
        (
            "without a key, unmatched rows of the left side come out once: one task",
            "select p.category, s.sale_id from products p left join sales s on p.product_id < s.qty",
        ),
        (
            "one that is computed is computed once, in a stage of its own",
            "select s.sale_id from (select store, sum(qty) as qty from sales group by store having sum(qty) > 3) t
             join sales s on s.qty < t.qty",
        ),
        (
            "a filter of columns of one name stays above their join",
            "select a.sale_id from sales a right join sales b on a.sale_id = b.sale_id
             where a.price is distinct from b.price",
        ),
    ];
    let shop = Shop::open().await;
    hold("joins", &plans(&shop, &queries).await);
}

#[tokio::test]
async fn rows_are_grouped_and_ranked_before_and_after_the_exchange() {
    let queries = [
        (
            "an aggregate has two phases",
            "select store, sum(price) as total, count(*) as sales from sales group by store",
        ),
        (
            "the first rows of each key are kept without a sort, before the exchange and after it",
            "select sale_id, price from
             (select *, row_number() over (partition by product_id order by day desc, sale_id) as n from sales) s
             where n = 1",
        ),
        (
            "a key that is named twice decides once",
            "select store, first_value(price order by day, sale_id desc, day desc) as price from sales group by store",
        ),
        (
            "branches that collect their input are read whole by one task",
            "select sum(qty) as n from sales union all select max(product_id) from products where category = 'food'",
        ),
    ];
    let shop = Shop::open().await;
    hold("groups", &plans(&shop, &queries).await);
}

#[tokio::test]
async fn windows_keep_their_flags_and_sorts_are_done_where_claims_are_false() {
    let queries = [
        (
            "IGNORE NULLS is a function of its own, FILTER is CASE",
            "select lag(price) ignore nulls over (partition by store order by day) as before,
             sum(qty) filter (where price > 5) over (partition by store order by day) as sold from sales",
        ),
        (
            "two windows share one sort: one of them is turned round",
            "select first_value(price) over (partition by store order by day) as first,
             last_value(price) over (partition by store order by day desc rows between 1 preceding and current row) as last
             from sales",
        ),
        (
            "a maximum so far does not ascend where it is NULL: rows are grouped as they come",
            "select best, count(*) as n from (select max(price) over (order by day) as best from sales) s group by best",
        ),
        (
            "a constant below grouping sets is NULL above them: it is sorted",
            "select shop, store, sum(qty) as n from (select 'ours' as shop, store, qty from sales) s
             group by rollup (shop, store) order by shop, store",
        ),
        (
            "a rank is not unique because a key below it is: it is sorted by both",
            "select rank() over (order by max(price)) as r, store from sales group by store order by r, store",
        ),
    ];
    let shop = Shop::open().await;
    hold("windows", &plans(&shop, &queries).await);
}

#[tokio::test]
async fn what_stages_would_change_is_kept_whole() {
    let shop = Shop::open().await;
    let limit = (
        "a task would lose the limit of a source of values: it is a node",
        "values (1), (2), (3) limit 2",
    );
    let mut text = plans(&shop, &[limit]).await;
    let sql = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5)
             select s.sale_id, n.i from sales s join n on s.qty = n.i";
    let plan = plan_one_task(&shop.logical(sql).await, &shop.state(), true)
        .await
        .unwrap();
    entry(
        &mut text,
        "a recursive query reads its own rows: one task runs it all",
        sql,
        &tree(&plan),
    );
    hold("whole", &text);
}

#[tokio::test]
async fn rows_of_a_model_are_written_by_the_tasks_that_compute_them() {
    let shop = Shop::open().await;
    let mut text = String::new();
    let sql = "select store, day, sum(price) as total from sales group by store, day";
    let query = shop.logical(sql).await;
    let options = WriteOptions {
        partition_by: vec!["day".to_owned()],
        ..WriteOptions::default()
    };
    let target = shop.target("lake.daily", &query, &options);
    let write = write_plan(&target, query).unwrap();
    let staged = shop.physical(&write).await;
    entry(&mut text, "in stages", sql, &tree(&staged));
    let whole = plan_one_task(&write, &shop.state(), true).await.unwrap();
    entry(
        &mut text,
        "as one task, which writes what it computed",
        sql,
        &tree(&whole),
    );
    hold("writes", &text);
}
