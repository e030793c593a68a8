use crate::tests::{check, check_within};

#[tokio::test]
async fn a_key_of_two_sides_has_the_value_of_the_side_that_has_a_row() {
    check(&[
        ("select k, a.x, b.y, c.z from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) full join (values (3,3000),(4,4000)) c(k,z) using (k) order by k", "1 10 NULL NULL | 2 20 200 NULL | 3 NULL 300 3000 | 4 NULL NULL 4000"),
        ("select * from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) full join (values (3,3000),(4,4000)) c(k,z) using (k) order by k", "1 10 NULL NULL | 2 20 200 NULL | 3 NULL 300 3000 | 4 NULL NULL 4000"),
        ("select * from (values (1,10),(2,20)) a(k,x) natural full join (values (2,200),(3,300)) b(k,y) natural left join (values (3,3000),(2,4000)) c(k,z) order by k", "1 10 NULL NULL | 2 20 200 4000 | 3 NULL 300 3000"),
        ("select k, count(*) from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) group by k order by k desc", "3 1 | 2 1 | 1 1"),
        ("select a.k ak, b.k bk, k from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) where a.k is null or b.k is null order by k", "1 NULL 1 | NULL 3 3"),
        ("select k+1 p, sum(x) over (order by k) w from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) where k>1 order by k", "3 20 | 4 20"),
        ("with f as (select * from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k)) select k, coalesce(x,0)+coalesce(y,0) t from f order by k", "1 10 | 2 220 | 3 300"),
        ("select k, j, x, y from (values (1,1,10),(2,null,20)) a(k,j,x) full join (values (2,null,200),(1,1,300)) b(k,j,y) using (k, j) order by k, j, x nulls last", "1 1 10 300 | 2 NULL 20 NULL | 2 NULL NULL 200"),
        ("select a.* from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) order by 1 nulls last", "1 10 | 2 20 | NULL NULL"),
        ("select k, (select max(z) from (values (3,7),(1,8)) c(j,z) where c.j = k) m from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) order by k", "1 8 | 2 NULL | 3 7"),
        ("select k from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) where exists (select 1 from (values (3)) c(k) where c.k = b.k) order by k", "3"),
        ("select distinct k from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) order by k limit 2", "1 | 2"),
        ("select k from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) group by k having k>1 order by k", "2 | 3"),
        ("select a.k, b.k from (values (1),(2)) a(k) join (values (2),(3)) b(k) using (k)", "2 2"),
        ("select * from (values (1,10),(2,20)) a(k,x) join (values (2,200),(3,300)) b(k,y) using (k)", "2 20 200"),
        ("select * from (values (1,10),(2,20)) a(k,x) left join (values (2,200),(3,300)) b(k,y) using (k) right join (values (3,1),(2,2)) c(k,z) using (k) order by k", "2 20 200 2 | 3 NULL NULL 1"),
        ("select max(k) from (values (1,10),(2,20)) a(k,x) right join (values (2,200),(3,300)) b(k,y) using (k)", "3"),
        ("select case when k is null then 'none' else 'some' end c, count(*) from (values (1,10),(2,20)) a(k,x) full join (values (2,200),(3,300)) b(k,y) using (k) group by 1", "some 3"),
        ("select k from (values ('a')) a(k) full join (values ('b')) b(k) using (k) union all select 'z' order by k", "a | b | z"),
        ("select k from (values (1)) a(k) join (values (1)) b(j) using (k)", "error: the join is by column 'k', which its right side does not have; it has j"),
        ("select * exclude (x) from (values (1,10)) a(k,x) full join (values (2,20)) b(k,y) using (k) order by k", "1 NULL | 2 20"),
        ("select a.k from (values (1),(2)) a(k) semi join (values (2)) b(k) using (k)", "2"),
    ])
    .await;
}

/// Sales of customers, one of whom has none.
const SALES: &str = "with s(id,cid,q,ch,p) as (values (1,1,2,'web',10.5),(2,1,3,'shop',20.0),(3,2,null,'web',7.25),(4,null,1,null,99.0),(5,2,5,'app',1.0)), c(id,name) as (values (1,'Ana'),(2,'Bob'),(3,'Zoë')) ";

/// Runs all, each list and end around the same table.
async fn check_around(begin: &str, table: &str, finish: &str, cases: &[(&str, &str, &str)]) {
    let whole = |(list, end, _): &(&str, &str, &str)| format!("{begin}{list}{table}{end}{finish}");
    let whole: Vec<_> = cases.iter().map(whole).collect();
    let rights = cases.iter().map(|(_, _, right)| *right);
    check(
        &whole
            .iter()
            .map(String::as_str)
            .zip(rights)
            .collect::<Vec<_>>(),
    )
    .await;
}

#[tokio::test]
async fn a_window_with_a_name_is_what_it_names_and_what_is_added() {
    let sales = "from (values (1, 'a', 10), (2, 'b', 20), (3, 'a', 30), (4, 'b', 40)) t(k, g, x) ";
    let cases = [
        (
            "select k, sum(x) over (w rows 1 preceding) s ",
            "window w as (partition by g order by k) order by 1",
            "1 10 | 2 20 | 3 40 | 4 60",
        ),
        (
            "select k, sum(x) over (w order by k) s ",
            "window w as (partition by g) order by 1",
            "1 10 | 2 20 | 3 40 | 4 60",
        ),
        (
            "select k, sum(x) over v s, row_number() over (W) r ",
            "window w as (partition by g order by k desc), v as (w rows 1 preceding) order by 1",
            "1 40 2 | 2 60 2 | 3 30 1 | 4 40 1",
        ),
        (
            "select k ",
            "window w as (partition by g order by k desc) qualify row_number() over w = 1 order by 1",
            "3 | 4",
        ),
        (
            "select k ",
            "window w as (partition by g order by k) order by row_number() over w desc, k limit 2",
            "3 | 4",
        ),
        (
            "select k, (select max(n) from (select sum(j) over w n from (values (1), (2)) u(j) window w as (order by j)) s) m, sum(x) over w s ",
            "window w as (order by k) order by 1 limit 2",
            "1 3 10 | 2 3 30",
        ),
        (
            "select sum(x) over (v rows 1 preceding) ",
            "window w as (order by k)",
            "error: there is no window v",
        ),
        (
            "select sum(x) over v ",
            "window v as (w rows 1 preceding), w as (order by k)",
            "error: there is no window w",
        ),
        (
            "select sum(x) over (w order by g) ",
            "window w as (order by k)",
            "error: changes the order of the window w",
        ),
        (
            "select sum(x) over (w partition by g) ",
            "window w as (order by k)",
            "error: changes how the window w is partitioned",
        ),
        (
            "select sum(x) over (w rows 1 preceding) ",
            "window w as (order by k rows 2 preceding)",
            "error: the window w has a frame",
        ),
        (
            "select sum(x) over w ",
            "window w as (order by k), w as (order by x)",
            "error: the window w is defined twice",
        ),
    ];
    check_around("", sales, "", &cases).await;
}

#[tokio::test]
async fn an_aggregate_that_cannot_forget_rows_is_refused_over_frames_that_do() {
    let frames = [
        (
            "string_agg(g, ',') over (order by k rows 1 preceding)",
            "error: string_agg takes no frame that leaves rows behind",
        ),
        (
            "avg(distinct x) over (order by k rows 1 preceding)",
            "error: avg takes no frame that leaves rows behind with DISTINCT",
        ),
        (
            "median(x * 1.0) over (order by k rows 1 preceding)",
            "error: median takes no frame",
        ),
        (
            "string_agg(g, ',') over (order by k rows unbounded preceding)",
            "a | a,b",
        ),
        (
            "array_agg(k) over (order by k rows 1 preceding)",
            "[1] | [1, 2]",
        ),
        ("string_agg(g, ',') over ()", "a,b | a,b"),
    ];
    check_within(
        "select ",
        " from (values (1, 'a', 10), (2, 'b', 20)) t(k, g, x)",
        &frames,
    )
    .await;
}

#[tokio::test]
async fn intervals_are_compared_by_length_or_not_at_all() {
    let cases = [
        (
            "max(d)",
            "",
            "error: max cannot compare intervals: use their seconds, extract(epoch from",
        ),
        (
            "d, count(*)",
            "group by d",
            "error: GROUP BY cannot compare intervals",
        ),
        (
            "distinct d",
            "",
            "error: DISTINCT or UNION cannot compare intervals",
        ),
        (
            "count(distinct d)",
            "",
            "error: count cannot compare intervals",
        ),
        (
            "rank() over (order by d)",
            "",
            "error: ORDER BY in a window cannot compare intervals",
        ),
        (
            "d",
            "intersect select interval '1 month'",
            "error: INTERSECT, EXCEPT or a join cannot compare intervals",
        ),
        (
            "string_agg(n, ',' order by d)",
            "",
            "error: ORDER BY inside of string_agg cannot compare intervals",
        ),
        ("n", "order by d", "b | a"),
        (
            "n, rank() over (order by t - timestamp '2024-01-01'), count(*) over (order by t::time), sum(length(n)) over (order by t - timestamp '2024-01-01' desc range between current row and unbounded following)",
            "order by 1",
            "a 2 2 2 | b 1 2 1",
        ),
        ("n", "where d > interval '1 month'", "a"),
        ("max(extract(epoch from d)) / 86400", "", "40.0000000000"),
        (
            "cast(max(t - timestamp '2024-01-01') as varchar), count(distinct t - timestamp '2024-01-01')",
            "",
            "40 days 2",
        ),
    ];
    let table = " from (values ('a', interval '40 days', timestamp '2024-02-10'), ('b', interval '1 month', timestamp '2024-01-02')) v(n, d, t) ";
    check_around("select ", table, "", &cases).await;
}

#[tokio::test]
async fn grouping_sets_take_positions_and_aliases() {
    let cases = [
        (
            "select coalesce(g, '?') h, x, count(*) ",
            "rollup(1, 2)",
            "? 20 1 | ? NULL 1 | a 10 2 | a NULL 2 | NULL NULL 3",
        ),
        (
            "select coalesce(g, '?') h, x, count(*) ",
            "grouping sets ((h, 2), (1), ())",
            "? 20 1 | ? NULL 1 | a 10 2 | a NULL 2 | NULL NULL 3",
        ),
        (
            "select g, x % 10 y, count(*) ",
            "g, cube(2)",
            "a 0 2 | a NULL 2 | NULL 0 1 | NULL NULL 1",
        ),
        (
            "select g, count(*) ",
            "rollup(3)",
            "error: GROUP BY position 3 is not in the SELECT list, which has 2",
        ),
    ];
    let sales = "from (values ('a', 10), ('a', 10), (null, 20)) t(g, x) group by ";
    check_around("", sales, " order by 1, 2", &cases).await;
}

#[tokio::test]
async fn subqueries_answer_as_in_postgresql() {
    let cases = [
        (
            "select name, (select max(p) from s where s.cid=c.id) from c order by 1",
            "Ana 20.00 | Bob 7.25 | Zoë NULL",
        ),
        (
            "select name, (select count(*) from s where s.cid=c.id) from c order by 1",
            "Ana 2 | Bob 2 | Zoë 0",
        ),
        (
            "select name, (select s.id from s where s.cid=c.id and s.q=2) from c order by 1",
            "Ana 1 | Bob NULL | Zoë NULL",
        ),
        (
            "select name, (select s.id from s where s.cid=c.id order by p desc limit 1) from c order by 1",
            "Ana 2 | Bob 3 | Zoë NULL",
        ),
        (
            "select name, (select s.ch from s where s.cid=c.id order by s.id offset 1 limit 1) from c order by 1",
            "Ana shop | Bob app | Zoë NULL",
        ),
        ("select (select id from s where id=3)", "3"),
        ("select (select id from s where id>9)", "NULL"),
        ("select (select distinct cid from s where cid=1)", "1"),
        (
            "select name, (select name || '!') from c order by 1",
            "Ana Ana! | Bob Bob! | Zoë Zoë!",
        ),
        (
            "select name, exists (select 1 from s where s.cid=c.id), not exists (select 1 from s where s.cid=c.id) from c order by 1",
            "Ana true false | Bob true false | Zoë false true",
        ),
        (
            "select sum(case when exists (select 1 from s where s.cid=c.id) then 1 else 0 end) from c",
            "2",
        ),
        (
            "select name, id in (select cid from s) from c order by 1",
            "Ana true | Bob true | Zoë NULL",
        ),
        (
            "select name, id in (select cid from s where cid is not null) from c order by 1",
            "Ana true | Bob true | Zoë false",
        ),
        (
            "select name, id not in (select cid from s) from c order by 1",
            "Ana false | Bob false | Zoë NULL",
        ),
        (
            "select name, id not in (select cid from s where cid is not null) from c order by 1",
            "Ana false | Bob false | Zoë true",
        ),
        (
            "select name, id not in (select cid from s where 1=0) from c order by 1",
            "Ana true | Bob true | Zoë true",
        ),
        (
            "select name from c where id in (select cid from s) or name='Zoë' order by 1",
            "Ana | Bob | Zoë",
        ),
        (
            "select name from c where exists (select 1 from s where s.cid=c.id and q>4) or name='Zoë' order by 1",
            "Bob | Zoë",
        ),
        (
            "select id from s where 2 not in (select q from s s2 where s2.cid=s.cid) order by 1",
            "4",
        ),
        (
            "select id from s where not (q in (select q from s s2 where s2.cid=s.cid and s2.q is not null)) order by 1",
            "4",
        ),
        (
            "select id from s where cid not in (select id from c) order by 1",
            "",
        ),
        ("select id from s where null not in (select id from c)", ""),
        (
            "select id from s where p > all (select p from s where q=2) order by 1",
            "2 | 4",
        ),
        (
            "select id from s where p > any (select p from s where ch='web') order by 1",
            "1 | 2 | 4",
        ),
        (
            "select name, x.id from c cross join lateral (select s.id from s where s.cid=c.id order by p desc limit 1) x order by 1",
            "Ana 2 | Bob 3",
        ),
        (
            "select name, x.id from c left join lateral (select s.id from s where s.cid=c.id order by p desc limit 1) x on true order by 1",
            "Ana 2 | Bob 3 | Zoë NULL",
        ),
        (
            "select name, x.n from c, lateral (select count(*) n from s where s.cid=c.id) x order by 1",
            "Ana 2 | Bob 2 | Zoë 0",
        ),
        (
            "select id, x.twice from s, lateral (select q*2 twice) x order by 1",
            "1 4 | 2 6 | 3 NULL | 4 2 | 5 10",
        ),
        (
            "select id, q in (select q from s where ch='web') from s order by 1",
            "1 true | 2 NULL | 3 NULL | 4 NULL | 5 NULL",
        ),
        (
            "select id, q > all (select q from s where ch='web') a, p < any (select p from s where q is null) b from s order by 1",
            "1 false false | 2 NULL false | 3 NULL false | 4 false false | 5 NULL true",
        ),
        (
            "select id from s where p <= all (select p from s) order by 1",
            "5",
        ),
        (
            "select id from s where q <> any (select q from s where id<3) order by 1",
            "1 | 2 | 4 | 5",
        ),
        ("select id from s where q = all (select 2) order by 1", "1"),
        (
            "select count(*) from s where (cid, ch) in (select cid, ch from s where q = 2)",
            "1",
        ),
        (
            "select count(*) from s where (cid, q) in (select cid, q from s)",
            "3",
        ),
        (
            "select 1 from s where (cid, q) not in (select cid, q from s)",
            "",
        ),
        (
            "select (select id from s)",
            "error: a subquery that stands for one value gives 5 rows",
        ),
        (
            "select name, (select s.id from s where s.cid=c.id) from c",
            "error: a subquery that stands for one value gives 2 rows",
        ),
        (
            "select name, (select max(s.p) from s where s.cid < c.id) from c",
            "error: the subquery reads c.id of the query around it",
        ),
        (
            "select id from s where q not in (select q from s s2 where s2.cid=s.cid and s2.id<>s.id)",
            "error: the subquery reads s.q of the query around it",
        ),
    ];
    check_within(SALES, "", &cases).await;
}

#[tokio::test]
async fn set_operations_count_duplicates() {
    check(&[
        ("select x from (values (1),(1),(1),(2),(null),(null)) t(x) except all select x from (values (1),(2),(null)) u(x) order by 1", "1 | 1 | NULL"),
        ("select x from (values (1),(1),(1),(2),(null),(null)) t(x) intersect all select x from (values (1),(1),(2),(null),(3)) u(x) order by 1", "1 | 1 | 2 | NULL"),
        ("select x, y from (values (1,'a'),(1,'a'),(1,'b')) t(x,y) except all select x, y from (values (1,'a')) u(x,y) order by 1,2", "1 a | 1 b"),
        ("select x from (values (1),(1)) t(x) union all select x from (values (1)) u(x) except all select 1 order by 1", "1 | 1"),
        ("select x from (values (1),(1),(null)) t(x) except select 1", "NULL"),
        ("select x from (values (1),(1),(null)) t(x) intersect select null::int", "NULL"),
        ("select 1 x union select 2 union all select 2 order by 1", "1 | 2 | 2"),
        ("select 1 intersect select 1 union select 2 order by 1", "1 | 2"),
        ("(select 1 x union all select 1) except all select 1", "1"),
        ("select 1.5 x except all select 1", "1.5"),
        ("select x from (values (1),(2)) t(x) where x in (select 1 except all select 2)", "1"),
    ])
    .await;
}

#[tokio::test]
async fn not_in_has_three_answers() {
    check(&[
        ("select x, x in (1,null), x not in (2,null), x not in (1,2) from (values (1),(2),(3),(null)) t(x) order by 1", "1 true NULL false | 2 NULL false false | 3 NULL NULL true | NULL NULL NULL NULL"),
    ])
    .await;
}

#[tokio::test]
async fn arrays_and_series_give_rows() {
    check(&[
        ("select t.id, u.x from (values (1,array['a','b']),(2,array['c']),(3,null)) t(id,arr) cross join unnest(t.arr) as u(x) order by 1,2", "1 a | 1 b | 2 c"),
        ("select t.id, x from (values (1,array['a','b']),(2,array['c']),(3,null)) t(id,arr), unnest(arr) as x order by 1,2", "1 a | 1 b | 2 c"),
        ("select t.id, u.x from (values (1,array['a','b']),(2,array['c']),(3,null)) t(id,arr) left join unnest(t.arr) as u(x) on true order by 1,2", "1 a | 1 b | 2 c | 3 NULL"),
        ("select t.id, u.x, u.n from (values (1,array['a','b']),(2,array['c'])) t(id,arr) cross join unnest(t.arr) with ordinality as u(x,n) order by 1,3", "1 a 1 | 1 b 2 | 2 c 1"),
        ("select id, unnest(arr) x from (values (1,array['a','b']),(2,array['c']),(3,null)) t(id,arr) order by 1,2", "1 a | 1 b | 2 c"),
        ("select x from unnest(array[3,1,2]) x order by 1", "1 | 2 | 3"),
        ("select x, n from unnest(array[3,1,2]) with ordinality t(x,n) order by 2", "3 1 | 1 2 | 2 3"),
        ("select n from generate_series(1,5) n where n%2=1", "1 | 3 | 5"),
        ("select generate_series(1,3) n", "1 | 2 | 3"),
        ("select generate_series n from generate_series(1,3)", "1 | 2 | 3"),
        ("select d::date d from generate_series(date '2024-01-30', date '2024-02-02', interval '1 day') d", "2024-01-30 | 2024-01-31 | 2024-02-01 | 2024-02-02"),
        ("select g.d::date d from generate_series('2024-01-30'::date, '2024-02-02'::date, '1 day'::interval) g(d)", "2024-01-30 | 2024-01-31 | 2024-02-01 | 2024-02-02"),
        ("select n from generate_series(5,1,-2) n", "5 | 3 | 1"),
        ("select to_char(d,'YYYY-MM') mth from generate_series(timestamp '2024-01-31', timestamp '2024-04-30', interval '1 month') as t(d)", "2024-01 | 2024-02 | 2024-03 | 2024-04"),
        ("select g.value from generate_series(1, 3) g order by 1", "1 | 2 | 3"),
        ("select x, twice from (values (1),(2)) t(x), lateral (select x*2 twice) l order by 1", "1 2 | 2 4"),
        ("select unnest.unnest from unnest(3)", "error: unnest takes an array"),
        ("select * from generate_series(1, 10, 0)", "error: zero"),
        ("select * from t tablesample bernoulli (10)", "error: TABLESAMPLE of t is not supported"),
        ("select x from t order by x fetch first 2 rows only", "0 | 1"),
        ("select x from t order by x fetch first 2 rows with ties", "error: FETCH … WITH TIES and PERCENT are not supported"),
        ("select x from t for update", "error: FOR UPDATE and FOR SHARE are not supported"),
        ("with r as (select random() x) select * from r a, r b", "error: r calls random() and is read 2 times"),
        ("select * exclude (price, weight, word, y) from t where x is null", "NULL"),
    ])
    .await;
}

#[tokio::test]
async fn moments_reach_from_year_1_to_year_9999() {
    check(&[
        ("select (timestamp '2024-03-01 10:00:00')::text a, (timestamp '2024-03-01 10:00:00.5')::text b, date '2024-03-01'::text c", "2024-03-01 10:00:00 2024-03-01 10:00:00.5 2024-03-01"),
        ("select 'x' || timestamp '2024-03-01 10:00:00' a, concat('x', timestamp '2024-03-01 10:00:00') b, concat_ws('-', date '2024-01-01', timestamp '2024-03-01 00:00:00') c", "x2024-03-01 10:00:00 x2024-03-01 10:00:00 2024-01-01-2024-03-01 00:00:00"),
        ("select md5(timestamp '2024-03-01 10:00:00'::text) a, md5(cast(date '2024-01-01' as varchar)) b, md5(1.50::numeric(5,2)::text) c, md5(true::text) d", "3f9735535a5c443f80a0748a80f9c74e f867f4b1ba30bf4bbed342c32b89110c a6acbd7fe3dcc4f4328712278f6da218 b326b5062b2f0e69046810717534cb09"),
        ("select timestamp '9999-12-31 23:59:59' a, timestamp '0001-01-01' b, '9999-12-31'::timestamp c, date '9999-12-31' d, date '0001-01-01' e", "9999-12-31T23:59:59 0001-01-01T00:00:00 9999-12-31T00:00:00 9999-12-31 0001-01-01"),
        ("select coalesce(null, timestamp '9999-12-31') a, case when true then '9999-12-31'::timestamp end b", "9999-12-31T00:00:00 9999-12-31T00:00:00"),
        ("select date '2024-01-01' + 31 a, date '2024-03-01' - 1 b, 7 + date '2024-01-01' c, date '2024-03-01' - date '2024-02-01' d", "2024-02-01 2024-02-29 2024-01-08 29"),
        ("select (date '2024-03-01' - date '2024-02-01') / 7 a, (date '2024-03-01' - date '2024-02-01') * 2 b", "4 58"),
        ("select date_part('day', timestamp '2024-03-01 10:00' - timestamp '2024-02-28 12:30') a, date_part('hour', timestamp '2024-03-01 10:00' - timestamp '2024-02-28 12:30') b", "1 21"),
        ("select date_part('year', date '2024-05-06') a, date_part('dow', date '2024-03-03') b, date_part('week', date '2021-01-03') c, date_part('isoyear', date '2021-01-03') d, date_part('epoch', date '2024-01-01') e, date_part('second', timestamp '2024-01-01 00:00:01.5') f, date_part('milliseconds', timestamp '2024-01-01 00:00:01.5') g", "2024 0 53 2020 1704067200.000000 1.500000 1500.000"),
        ("select extract(century from date '2024-01-01') a, extract(decade from date '2024-01-01') b, extract(isodow from date '2024-03-03') c, extract(microseconds from timestamp '2024-01-01 00:00:01.5') d, extract(second from timestamp '2024-01-01 00:00:01.5') e, extract(minute from timestamp '2024-01-01 00:07:01') f", "21 202 7 1500000 1.500000 7"),
        ("select date_trunc('month', date '2024-02-15') a, date_trunc('year', timestamp '2024-02-15 10:00') b, date_trunc('hour', timestamp '2024-02-15 10:20') c, date_trunc('decade', date '2024-02-15') d, date_trunc('century', date '2024-02-15') e", "2024-02-01T00:00:00 2024-01-01T00:00:00 2024-02-15T10:00:00 2020-01-01T00:00:00 2001-01-01T00:00:00"),
        ("select date_bin('15 minutes', timestamp '2024-03-01 10:37:00', timestamp '2024-01-01') a", "2024-03-01T10:30:00"),
        ("select timestamp '2024-01-01' = date '2024-01-01' a, timestamp '2024-01-01 10:00' > date '2024-01-01' b, date '2024-01-02' > '2024-01-01' c", "true true true"),
        ("select time '10:20:30' a, timestamp '2024-01-01 10:20:30'::time b, date '2024-01-01' + time '10:00' c", "10:20:30 10:20:30 2024-01-01T10:00:00"),
        ("select '2024-01-15'::date a, '20240115'::date b, 'Jan 15, 2024'::date c, '2024/01/15'::date d", "2024-01-15 2024-01-15 2024-01-15 2024-01-15"),
        ("select '2024-01-15 10:00'::timestamp a, '2024-01-15T10:00:00.123456'::timestamp b, '2024-01-15'::timestamp c", "2024-01-15T10:00:00 2024-01-15T10:00:00.123456 2024-01-15T00:00:00"),
        ("select greatest(date '2024-01-01', date '2024-02-01') a, least(timestamp '2024-01-01', timestamp '2023-01-01') b", "2024-02-01 2023-01-01T00:00:00"),
        ("select timestamp '9999-12-31 23:59:59', arrow_typeof(timestamp '2024-01-01')", "9999-12-31T23:59:59 Timestamp(µs)"),
        ("select arrow_typeof(timestamptz '2024-01-01'), arrow_typeof(now()), arrow_typeof(localtimestamp)", "Timestamp(µs, \"+00:00\") Timestamp(µs, \"+00:00\") Timestamp(µs)"),
        ("select x from (values (timestamp '2024-01-01')) t(x) where x < '9999-12-31' and x > date '0001-01-01'", "2024-01-01T00:00:00"),
        ("select date '2024-02-30'", "error: cannot cast '2024-02-30' to date"),
        ("select try_cast('2024-02-30' as date)", "NULL"),
        ("select cast('2024-03-10T02:30:00-05:00' as timestamp) a, cast('2024-03-10T02:30:00-05:00' as timestamptz) b", "2024-03-10T02:30:00 2024-03-10T07:30:00Z"),
        ("select (date '9999-12-31' + interval '1 day')::text", "10000-01-01 00:00:00"),
        ("select timestamp(9) '2024-01-01 00:00:00'", "error: a timestamp has microseconds"),
        ("select last_day(date '2024-02-10'), datediff('month', date '2024-01-31', date '2024-03-01'), datediff(day, date '2024-01-01', date '2024-03-01'), dateadd(month, 1, date '2024-01-31')", "2024-02-29 2 60 2024-02-29T00:00:00"),
        ("select year(date '2024-05-06'), month(date '2024-05-06'), dayname(date '2024-05-06')", "2024 5 Monday"),
        ("select extract(month from date '2024-02-01') / 3", "0.666667"),
    ])
    .await;
}

#[tokio::test]
async fn patterns_are_those_of_postgresql() {
    check(&[
        ("select to_char(date '2024-03-09', 'FMDay') a, to_char(date '2024-03-09', 'Day') b, to_char(date '2024-03-09', 'Dy') c, to_char(date '2024-03-09','DAY') d, to_char(date '2024-03-09','day') e", "Saturday Saturday  Sat SATURDAY  saturday "),
        ("select to_char(date '2024-03-09', 'FMMonth DD, YYYY') a, to_char(date '2024-03-09', 'Mon') b, to_char(date '2024-03-09', 'Month') c, to_char(date '2024-03-09', 'MON-YY') d, to_char(date '2024-05-09', 'TMMon') e", "March 09, 2024 Mar March     MAR-24 May"),
        ("select to_char(date '2024-12-30', 'IYYY-IW') a, to_char(date '2024-12-30', 'WW') b, to_char(date '2024-12-30','ID') c, to_char(date '2024-12-30','D') d, to_char(date '2024-12-30','DDD') e, to_char(date '2024-12-30','Q') f, to_char(date '2024-12-30','W') g, to_char(date '2024-12-30','IDDD') h, to_char(date '2024-12-30','CC') i, to_char(date '2024-12-30','J') j", "2025-01 53 1 2 365 4 5 001 21 2460675"),
        ("select to_char(timestamp '2024-03-09 15:04:05.123456', 'HH24:MI:SS.MS') a, to_char(timestamp '2024-03-09 15:04:05.123456', 'HH:MI AM') b, to_char(timestamp '2024-03-09 00:04:05', 'HH12:MI pm') c, to_char(timestamp '2024-03-09 15:04:05.123456', 'US') d, to_char(timestamp '2024-03-09 15:04:05', 'SSSS') e, to_char(timestamp '2024-03-09 05:04:05','FMHH24:FMMI') f", "15:04:05.123 03:04 PM 12:04 am 123456 54245 5:4"),
        ("select to_char(date '2024-03-01', 'FMDDth') a, to_char(date '2024-03-02', 'DDTH') b, to_char(date '2024-03-03', 'FMDDth FMMonth') c, to_char(date '2024-03-11', 'DDth') d", "1st 02ND 3rd March 11th"),
        (r#"select to_char(date '2024-03-09', 'YYYY"Q"Q') a, to_char(date '2024-03-09', '"Week" IW') b, to_char(date '2024-03-09','YYYYMMDD') c, to_char(date '2024-03-09','DD/MM/YY') d, to_char(date '2024-03-09','Y,YYY') e, to_char(date '2024-03-09','FMMM') f, to_char(date '2024-03-09','RM') g"#, "2024Q1 Week 10 20240309 09/03/24 2,024 3 III "),
        ("select to_char(1234.5, 'FM999,999.00') a, to_char(1234.5, '999,999.00') b, to_char(0.5, 'FM990.00') c, to_char(-12.3, 'FM999.00') d, to_char(12, '0000') e, to_char(1234567.891, 'FM9,999,990.00') f", "1,234.50    1,234.50 0.50 -12.30  0012 1,234,567.89"),
        ("select to_char(12, 'FM0000') a, to_char(12345, 'FM99,999') b, to_char(0.1234, 'FM90.00%') c, to_char(1234.567, 'FM$9,990.00') d, to_char(5, 'FM999') e, to_char(123456, 'FM999') f, to_char(-5,'999') g, to_char(485, 'L999') h, to_char(-485,'999MI') i, to_char(485,'S999') j, to_char(12.34, '99.9') k", "0012 12,345 0.12% $1,234.57 5 ###   -5   485 485- +485  12.3"),
        ("select to_char(interval '26 hours 3 minutes', 'HH24:MI') a", "26:03"),
        ("select to_date('2024-03-09','YYYY-MM-DD') a, to_date('09 Mar 2024','DD Mon YYYY') b, to_date('20240309','YYYYMMDD') c, to_date('3/9/2024','MM/DD/YYYY') d, to_date('March 9, 2024', 'FMMonth DD, YYYY') e", "2024-03-09 2024-03-09 2024-03-09 2024-03-09 2024-03-09"),
        ("select to_date('2024-13-01','YYYY-MM-DD')", "error: names a day or a time that there is not"),
        ("select to_date('2024-02-30','YYYY-MM-DD')", "error: names a day or a time that there is not"),
        ("select to_date('abc','YYYY-MM-DD')", "error: 'abc' does not have the form of its pattern"),
        ("select to_char(date '2024-01-01', 'FXYYYY')", "error: FX in the pattern 'FXYYYY' is not supported"),
        ("select to_char(1, 'RN')", "error: is not supported"),
        ("select to_char('x', 'YYYY')", "error: to_char(varchar, varchar) is no function here"),
        ("select to_char(timestamp '2024-03-09 15:04:05', '%Y-%m'), to_date('31/01/2024','%d/%m/%Y')", "2024-03 2024-01-31"),
    ])
    .await;
}

#[tokio::test]
async fn intervals_add_multiply_and_compare() {
    check(&[
        ("select date '2024-01-31' + interval '1 month' a, date '2024-03-31' - interval '1 month' b, timestamp '2024-02-29 10:00' + interval '1 year' c, date '2024-01-31' + interval '1 month' + interval '1 month' d, date '2024-01-31' + interval '2 months' e", "2024-02-29T00:00:00 2024-02-29T00:00:00 2025-02-28T10:00:00 2024-03-29T00:00:00 2024-03-31T00:00:00"),
        ("select interval '1 month' = interval '30 days' a, interval '1 day' = interval '24 hours' b, interval '1 year' > interval '364 days' c, interval '2 hours' < interval '90 minutes' d, interval '1 day' <> interval '1 day' e", "true true false false false"),
        ("select extract(year from age(timestamp '2024-03-01', timestamp '1990-05-15')) a", "33"),
        ("select date_part('year', age(date '2024-03-01', date '1990-05-15')) a, date_part('month', age(date '2024-03-01', date '1990-05-15')) b", "33 9"),
        ("select extract(epoch from interval '1 day 2 hours') a, extract(hour from interval '26 hours') b, extract(day from interval '40 days') c, extract(month from interval '14 months') d, extract(minute from interval '90 minutes') e", "93600.000000 26 40 2 30"),
        ("select current_date - 1 < current_date a, now() - interval '1 day' < now() b", "true true"),
        ("select (date_trunc('month', date '2024-02-10') + interval '1 month - 1 day')::date a", "2024-02-29"),
        ("select (timestamp '2024-03-01 10:00' - timestamp '2024-02-28 12:30')::text, (interval '1 year 2 months 3 days' * 2)::text", "1 day 21:30:00 2 years 4 mons 6 days"),
        ("select (-interval '1 month 2 days')::text, (interval '1 day' / 2)::text, (interval '1 month' / 2)::text", "-1 mons -2 days 12:00:00 15 days"),
        ("select age(timestamp '2024-03-01', timestamp '2023-01-15')::text, age(date '2023-01-15', date '2024-03-01')::text", "1 year 1 mon 17 days -1 years -1 mons -17 days"),
        ("select x from (values (interval '40 days'), (interval '1 month'), (interval '1 day')) t(x) order by x", "1 days | 1 mons | 40 days"),
        ("select interval '1 fortnight'", "error: '1 fortnight' is no interval"),
        ("select timestamp '2024-03-01' - timestamp '2024-02-28' > interval '1 day', interval '5 days' between '1 day' and '1 week'", "true true"),
    ])
    .await;
}

#[tokio::test]
async fn a_wall_clock_and_a_moment_are_two_things() {
    check(&[
        ("select cast(timestamptz '2024-07-01 02:00:00+00' as varchar) a", "2024-07-01 02:00:00+00"),
        ("select timestamp '2024-07-01 12:00:00' at time zone 'America/New_York' a", "2024-07-01T16:00:00Z"),
        ("select (timestamptz '2024-07-01 16:00:00+00' at time zone 'America/New_York') a, (timestamptz '2024-07-01 16:00:00+00' at time zone 'America/New_York')::date b", "2024-07-01T12:00:00 2024-07-01"),
        ("select timezone('America/New_York', timestamptz '2024-07-01 16:00:00+00') a, timezone('America/New_York', timestamp '2024-07-01 16:00:00') b", "2024-07-01T12:00:00 2024-07-01T20:00:00Z"),
        ("select timestamptz '2024-07-01 16:00:00-05' a, '2024-07-01T16:00:00Z'::timestamptz b, timestamptz '2024-07-01 16:00:00 America/New_York' c", "2024-07-01T21:00:00Z 2024-07-01T16:00:00Z 2024-07-01T20:00:00Z"),
        ("select timestamp '2024-03-31 02:30:00' at time zone 'Europe/Berlin' a, timestamp '2024-11-03 01:30:00' at time zone 'America/New_York' b", "2024-03-31T01:30:00Z 2024-11-03T06:30:00Z"),
        ("select timestamp '2024-01-01' at time zone '+05'", "error: the time zone '+05' is ambiguous"),
        ("select timestamp '2024-01-01' at time zone 'Europe/Nowhere'", "error: there is no time zone 'Europe/Nowhere'"),
    ])
    .await;
}

#[tokio::test]
async fn is_distinct_from_binds_tighter_than_and() {
    check(&[
        ("select a is distinct from b or c = false from (values (false, false, false)) t(a, b, c)", "true"),
        ("select a is distinct from 1 and b from (values (1, true), (2, true), (null, false)) t(a, b)", "false | true | false"),
        ("select x and a is distinct from b or c from (values (false, true, true, true)) t(x, a, b, c)", "true"),
        ("select not a is distinct from b or c from (values (1, 2, true)) t(a, b, c)", "true"),
        ("select a is not distinct from (b and c) from (values (false, false, true)) t(a, b, c)", "true"),
        ("select x and (a or b) from (values (false, true, true)) t(x, a, b)", "false"),
        ("select count(*) from (values (1, 1)) a(x, y) join (values (1, 1)) b(x, y) on a.x is not distinct from b.x and a.y = b.y", "1"),
    ])
    .await;
}

#[tokio::test]
async fn texts_are_cut_matched_and_joined_as_in_postgresql() {
    check(&[
        ("select substring('abcdef', 2, 3) a, substring('abcdef' from 2) b, substring('abcdef' for 2) c, substring('abcdef', 0, 3) d, substring('abcdef', -1, 4) e, substr('abc',2) f, substring('abc123' from '[0-9]+') g", "bcd bcdef ab ab ab bc 123"),
        ("select position('b' in 'abc') a, strpos('abc','c') b, position('' in 'abc') c", "2 3 1"),
        ("select split_part('a,b,c', ',', 2) a, split_part('a,b,c', ',', 5) b, split_part('a,b,c', ',', -1) c, split_part('abc', '', 1) d", "b  c abc"),
        ("select left('abc', -1) a, right('abc', -1) b, left('abc', 10) c, right('abc', 0) d, left('äöü',2) e", "ab bc abc  äö"),
        ("select lpad('abcdef', 3) a, rpad('abcdef', 3, 'x') b, lpad('a', 4, 'xy') c, lpad('a', 0) d, lpad('a',5) || '|' e, lpad('x', 3, '') f", "abc abc xyxa      a| x"),
        (r#"select regexp_replace('abc abc', 'b', 'X') a, regexp_replace('abc abc', '(a)(b)', '\2\1', 'g') b, regexp_replace('ABC', 'b', 'x', 'i') c, regexp_replace('a.b.c', '\.', '', 'g') d"#, "aXc abc bac bac AxC abc"),
        ("select 'abc' ~ 'B' a, 'abc' ~* 'B' b, 'abc' !~ 'b' c, 'abc' !~* 'B' d, regexp_count('abcabc','b') e, regexp_substr('abc123','[0-9]+') f, regexp_instr('abc123','[0-9]') g", "false true false false 2 123 4"),
        ("select 'a' || 1 a, 1 || 'a' b, 'a' || 1.50 c, 'a' || true d, 'a' || date '2024-01-01' e", "a1 1a a1.50 atrue a2024-01-01"),
        (r#"select 'a%b' like 'a\%b' a, 'axb' like 'a\%b' b, 'a_b' like 'a!_b' escape '!' c, 'abc' like 'A%' d, 'abc' ilike 'A%' e, 'abc' not like 'a%' f, null like 'a' g, 'a\b' like 'a\\b' h, 'ab' like 'a_' i"#, "true false true false true false NULL true true"),
        ("select 'abc' similar to 'abc' a, 'abc' similar to 'a' b, 'abc' similar to '%(b|d)%' c, 'abc' similar to '(b|c)%' d, 'abc' not similar to 'x%' e, 'a.c' similar to 'a.c' f, 'abc' similar to 'a.c' g, 'aab' similar to 'a+b' h, 'ab' similar to 'a_' i", "true false true false true true false true true"),
        ("select md5('abc') a, encode(sha256('abc'), 'hex') b, chr(65) c, ascii('A') d, chr(8364) e, ascii('€') f, length('äö') g, char_length('abc') h, octet_length('äö') i, bit_length('a') j", "900150983cd24fb0d6963f7d28e17f72 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad A 65 € 8364 2 3 4 8"),
        ("select length('') a, length(null) b, coalesce('', 'x') c, nullif('', '') d, upper(null) e", "0 NULL  NULL NULL"),
        ("select 'a' < 'B' a, 'Z' < 'a' b, 'é' > 'z' c", "false true true"),
        (r#"select 'it''s' a, E'a\tb' b, U&'\0041' c"#, "it's a	b A"),
        ("select cast('abc' as varchar(2)) a, 'abc'::char(2) b, 'abc'::varchar(5) c, 'abc'::text d", "ab ab abc abc"),
        ("select 'a'::char(3) || '|' a, cast(123 as varchar) b, 12.50::text c, 1e20::text d, true::text e, (1.0/3)::numeric(10,4)::text f", "a| 123 12.50 1e20 true 0.3333"),
        ("select 'true'::boolean a, 'off'::boolean b, 't'::bool c, '1'::bool d, 'no'::bool e, ' yes '::bool f", "true false true true false true"),
        ("select true::int a, 1::boolean b, 0::bool c", "1 true false"),
        ("select true and null a, false and null b, true or null c, not null::bool d, null is true e, null is not false f", "NULL false true NULL false true"),
        ("select x like 'a!_b' escape '!' from (values ('a_b'), ('axb')) t(x)", "true | false"),
        ("select 'a' similar to word from t", "error: SIMILAR TO takes a pattern that is written out"),
        ("select concat('a', null, 1, true), timestamp '2024-03-01 10:00:00' || '', concat_ws('-', date '2024-01-01', timestamp '2024-03-01 00:00:00.5')", "a1true 2024-03-01 10:00:00 2024-01-01-2024-03-01 00:00:00.5"),
        ("select regexp_substr('abc123', '[0-9]+'), substring('abc123' from '([a-z])[0-9]')", "123 c"),
        ("select lead(x, 2) ignore nulls over (order by n), lead(x) ignore nulls over (order by n), first_value(n) over (order by n) from (values (1,'a'),(2,null),(3,'b'),(4,'c'),(5,null)) t(n,x) order by n", "c b 1 | c b 1 | NULL c 1 | NULL NULL 1 | NULL NULL 1"),
    ])
    .await;
}

#[tokio::test]
async fn rows_patterns_and_arrays_compare_with_null_as_unknown() {
    check(&[
        ("select (1, 2) = (1, 2), (1, null) = (1, 2), (1, null) = (2, 2), (1, 2) <> (1, null), (1, 2) <> (2, null)", "true NULL false NULL true"),
        ("select (1, 2) < (1, 3), (1, 3) <= (1, 3), (2, null) > (1, 1), (1, null) > (1, 1), row(1, 2) >= row(1, 2)", "true true true NULL true"),
        ("select y from t where (x, y) < (1, 100) or (x, y) = (2, 30) order by y", "10 | 20 | 30"),
        ("select (1, 2) in ((1, 2), (3, null)), (1, 2) in ((1, null)), (1, 2) not in ((2, null)), (1, 2) not in ((1, null))", "true NULL true NULL"),
        ("select y from t where (x, y) not in ((1, 20), (2, null)) order by y", "10"),
        ("select y from t where (y, x) not in (select 10, 0) order by y", "20 | 30 | 40"),
        ("select y from t where (y, x) not in (select 40, 3) order by y", "10 | 20 | 30"),
        ("select (1, 2) = (1, 2, 3)", "error: a row of 2 columns is compared with one of 3"),
        ("select 3 = any (array[1, null]), 1 = any (array[1, null]), not (3 = any (array[1, null])), 3 <> any (array[3, null]), 1 < any (array[0, null])", "NULL true NULL NULL NULL"),
        ("select 3 <> all (array[1, null]), 1 <> all (array[1, null]), 8.55 = any (array[8.550, 1]), null = any (array[1])", "NULL false true NULL"),
        ("select y from t where word = any (string_to_array('7,x1', ',')) order by y", "10 | 30"),
        ("select y from t where not (word = any (array['7', null]))", ""),
        ("select y from t where word like any (array['x%', '7']) order by y", "10 | 30"),
        ("select y from t where word ilike all (array['X%', '%1']) order by y", "30"),
        ("select y from t where word not like all (array['x%', '7']) order by y", "20 | 40"),
        ("select y from t where word like any (string_to_array('7,x1', ','))", "error: LIKE ANY takes an array that is written out"),
        ("select 5 between symmetric 10 and 1, 5 not between symmetric 10 and 1, 5 between 10 and 1, 5 between symmetric null and 1", "true false false NULL"),
        ("select y from t where price between symmetric 200.00 and 8.55 order by y", "10 | 20"),
        ("select array_remove(array[1, 2, 1], 1), array_replace(array[1, 2, 1], 1, 9)", "[2] [9, 2, 9]"),
    ])
    .await;
}

#[tokio::test]
async fn what_differs_in_a_cast_alone_has_a_name_of_its_own() {
    check(&[
        ("select cast(price as int), cast(price as bigint), price::text from t where x = 1", "9 9 8.55"),
        ("select sum(price::int), sum(price) from t", "136 136.04"),
        ("select max(y::varchar) a, max(y) b, count(distinct y::varchar) c, count(distinct y) d from t", "40 40 4 4"),
        ("select price::int, price, count(*) from t group by price::int, price order by 2", "-3 -2.50 1 | 9 8.55 1 | 130 129.99 1 | NULL NULL 1"),
        ("select price::int as a, price::numeric(12,1) as b, count(*) from t group by 1, 2 order by 1", "-3 -2.5 1 | 9 8.6 1 | 130 130.0 1 | NULL NULL 1"),
        ("select sum(y::int) over (order by y), sum(y) over (order by y) from t order by 1", "10 10 | 30 30 | 60 60 | 100 100"),
        ("select x from t group by x having sum(price::int) > 100 and sum(price) > 100 order by sum(price::int), sum(price)", "0"),
        ("select sum(price::int) + sum(price) from t", "272.04"),
        ("select count(*), count(*), 1, 1, null, null from t", "4 4 1 1 NULL NULL"),
        ("select (select max(y) from t), (select min(y) from t), exists (select 1), exists (select 1 where false)", "40 10 true false"),
        ("select x, x from t", "error: Projections require unique expression names"),
        ("select coalesce(x, 0), round(avg(y), 1) from t group by x order by 2, 1", "0 10.0 | 1 20.0 | 2 30.0 | 0 40.0"),
        ("select y * 2 from t group by y order by 1 desc limit 1", "80"),
    ])
    .await;
}

/// The page that documents these rules for users.
#[tokio::test]
async fn the_page_about_sql_is_true_beside_numbers() {
    let page = include_str!("../../../../docs/sql.md");
    let mut examples = vec![];
    for section in ["## Times", "## Queries", "## Texts"] {
        let section = page.split(section).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        for line in section.lines().filter(|l| l.starts_with("| `")) {
            let line = line.replace("\\|", "\u{1}");
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [_, written, answer, _, _] = cells[..] else {
                panic!("a line of the page has another form: {line}");
            };
            let text = |cell: &str| cell.trim_matches('`').replace('\u{1}', "|");
            examples.push((format!("select {}", text(written)), text(answer)));
        }
    }
    assert!(examples.len() > 40, "{} examples", examples.len());
    let examples: Vec<_> = examples
        .iter()
        .map(|(sql, answer)| (sql.as_str(), answer.as_str()))
        .collect();
    check(&examples).await;
}
