mod places;

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::SessionContext;
use datafusion_proto::physical_plan::AsExecutionPlan;
use retail_storage::{ObjectStores, StorageConfig};

use super::*;
use retail_engine::{EngineConfig, RetailPhysicalCodec, TaskPlan};

/// `t`: x 0, 1, 2, NULL; y 10, 20, 30, 40; price 129.99, 8.55, -2.50, NULL; weight 0.1, 2.5, NaN, NULL; word.
fn session() -> SessionContext {
    let stores = ObjectStores::new(StorageConfig::default());
    let session = retail_engine::session(&EngineConfig::default(), 2, &stores).unwrap();
    let price = Decimal128Array::from(vec![Some(12999), Some(855), Some(-250), None])
        .with_precision_and_scale(12, 2)
        .unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "x",
            Arc::new(Int32Array::from(vec![Some(0), Some(1), Some(2), None])),
        ),
        ("y", Arc::new(Int64Array::from(vec![10, 20, 30, 40]))),
        ("price", Arc::new(price)),
        (
            "weight",
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                Some(2.5),
                Some(f64::NAN),
                None,
            ])),
        ),
        (
            "word",
            Arc::new(StringArray::from(vec!["7", " 8 ", "x1", ""])),
        ),
    ];
    let t =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)));
    let t = t.unwrap();
    let cents: Decimal128Array = (1..=20_000_i128).map(Some).collect();
    let cents = cents.with_precision_and_scale(12, 2).unwrap();
    let cents = RecordBatch::try_from_iter([("price", Arc::new(cents) as ArrayRef)]).unwrap();
    for (name, rows) in [("t", t), ("cents", cents)] {
        let halves = vec![
            vec![rows.slice(0, rows.num_rows() / 2)],
            vec![rows.slice(rows.num_rows() / 2, rows.num_rows() - rows.num_rows() / 2)],
        ];
        let table = MemTable::try_new(rows.schema(), halves).unwrap();
        session.register_table(name, Arc::new(table)).unwrap();
    }
    session
}

/// Rows as text: columns apart by a space, rows by a bar.
async fn answer(session: &SessionContext, sql: &str) -> Result<String> {
    let state = session.state();
    let logical = plan(&state, sql).await?;
    let declared = logical.schema().as_arrow().clone();
    let physical = state.create_physical_plan(&logical).await?;
    for (a, b) in declared.fields().iter().zip(physical.schema().fields()) {
        assert_eq!(
            a.data_type(),
            b.data_type(),
            "the type of {} changed: {sql}",
            a.name()
        );
    }
    let batches = collect(physical, session.task_ctx()).await?;
    let mut rows = vec![];
    for batch in &batches {
        let options = FormatOptions::default().with_null("NULL");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|c| ArrayFormatter::try_new(c, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<_> = columns.iter().map(|c| c.value(row).to_string()).collect();
            rows.push(cells.join(" "));
        }
    }
    Ok(rows.join(" | "))
}

/// Runs all, so that one run shows every difference.
pub(crate) async fn check(expected: &[(&str, &str)]) {
    let session = session();
    let mut wrong = vec![];
    for (sql, right) in expected {
        let given = match answer(&session, sql).await {
            Ok(rows) => rows,
            Err(error) => format!("error: {}", error.strip_backtrace()),
        };
        let same = match right.strip_prefix("error: ") {
            Some(words) => given.starts_with("error: ") && given.contains(words),
            None => given == *right,
        };
        if !same {
            wrong.push(format!("{sql}\n  is    {given}\n  right {right}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The plan that runs, as text.
async fn physical_plan(session: &SessionContext, sql: &str) -> String {
    let logical = plan(&session.state(), sql).await.unwrap();
    let physical = session
        .state()
        .create_physical_plan(&logical)
        .await
        .unwrap();
    displayable(physical.as_ref()).indent(false).to_string()
}

/// Runs all, each behind the same beginning and before the same end.
pub(crate) async fn check_within(begin: &str, end: &str, expected: &[(&str, &str)]) {
    let whole: Vec<_> = (expected.iter().map(|(sql, _)| format!("{begin}{sql}{end}"))).collect();
    let rights = expected.iter().map(|(_, right)| *right);
    let cases: Vec<_> = whole.iter().map(String::as_str).zip(rights).collect();
    check(&cases).await;
}

#[tokio::test]
async fn numbers_have_the_type_they_are_written_with() {
    check(&[
        ("select arrow_typeof(129.99)", "Decimal128(5, 2)"),
        ("select arrow_typeof(.5), arrow_typeof(1.), 1., .5", "Decimal128(1, 1) Decimal128(1, 0) 1 0.5"),
        ("select arrow_typeof(-0.05), -0.05", "Decimal128(2, 2) -0.05"),
        ("select arrow_typeof(1e3), 1e3, -1e3, 1.5e0, 1E-3", "Float64 1000.0 -1000.0 1.5 0.001"),
        ("select arrow_typeof(7), 1_000", "Int64 1000"),
        ("select 12345678901234567890, arrow_typeof(12345678901234567890)", "12345678901234567890 Decimal128(20, 0)"),
        ("select -9223372036854775808, arrow_typeof(-9223372036854775808)", "-9223372036854775808 Int64"),
        ("select 123456789012345678901234567890.12", "123456789012345678901234567890.12"),
        ("select 1234567890123456789012345678901234567.89", "error: a number has 39 digits"),
        ("select 0.000000000000000000000000000000000000001", "error: a number has 39 digits"),
        ("select arrow_typeof(cast(1 as float)), arrow_typeof(2::real), arrow_typeof(3::float8), arrow_typeof(4::double precision)", "Float64 Float32 Float64 Float64"),
        ("select arrow_typeof(cast(1 as float(24))), arrow_typeof(cast(2 as float(25)))", "Float32 Float64"),
        ("select cast(1 as decimal(40,2))", "error: is no type here"),
        ("select cast(1 as decimal(4,5))", "error: is no type here"),
    ])
    .await;
}

#[tokio::test]
async fn describe_names_types_as_sql_does() {
    check(&[
        ("describe t", "x integer YES | y bigint YES | price decimal(12,2) YES | weight double YES | word varchar YES"),
        (
            "describe select sum(x) total, 2.00 / 3 part, avg(price) mean, count(*) n, date '2024-01-31' + 1 day from t",
            "total bigint YES | part decimal(7,6) NO | mean decimal(16,6) YES | n bigint NO | day date NO",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_price_is_found_by_its_own_text() {
    let session = session();
    for cents in (1..=20_000).step_by(97).chain([12_999, 855, 1999, 6499]) {
        let sql = format!(
            "select count(*) from cents where price = {}.{:02}",
            cents / 100,
            cents % 100
        );
        assert_eq!(answer(&session, &sql).await.unwrap(), "1", "{sql}");
    }
    check(&[
        (
            "select count(*) from cents where price in (16.99, 17.99, 64.99, 129.99)",
            "4",
        ),
        (
            "select count(*) from cents where price between 129.99 and 130.01",
            "3",
        ),
        ("select count(*) from cents where price >= 129.99", "7002"),
        ("select count(*) from cents where price <= 16.99", "1699"),
        ("select count(*) from cents where price <> 129.99", "19999"),
        (
            "select count(*) from cents where price = 129.990 or price = 129.991",
            "1",
        ),
        (
            "select count(*) filter (where price = 8.55) from cents",
            "1",
        ),
        (
            "select sum(case when price = 8.55 then 1 else 0 end) from cents",
            "1",
        ),
        (
            "select price from cents group by price having sum(price) = 8.55",
            "8.55",
        ),
        (
            "select count(*) from cents join (values (8.55), (129.99), (1.5)) v(p) on price = p",
            "3",
        ),
        ("select count(*) from cents where price = '129.99'", "1"),
        ("select count(*) from cents where price = 130", "1"),
        ("select count(*) from cents where price < all (select 2.5e0)", "249"),
        ("select count(*) from cents where price > '9'", "19100"),
        (
            "select count(*) from cents where price in (select 8.55)",
            "1",
        ),
        (
            "select count(*) from cents where price in (select 2.5e0 union all select 1e0)",
            "2",
        ),
        (
            "select count(*) from cents where price = 2.5e0 or price = cast(0.07 as double)",
            "2",
        ),
        (
            "select count(*) from t where weight = 0.1 or weight between 2.4 and 2.6",
            "2",
        ),
        ("select count(*) from t where weight in (0.1, 2.5)", "2"),
        ("select cast('99999999999999999999999999999999999999' as decimal(38,0)) > 0.5", "true"),
        ("select sum(y) > 0.5 a, sum(y) in (100, 0.5) b, sum(y) between 99.5 and 100.5 c, sum(y) = 100 d from t", "true true true true"),
        ("select count(*) from t a join (select sum(y) s from t) b on a.y * 2.50 = b.s", "1"),
        (
            "select case when x = 0 then weight else 0.5 end from t where x < 2 order by x",
            "0.1 | 0.5",
        ),
        (
            "select coalesce(weight, 0.25) from t where x is null",
            "0.25",
        ),
        (
            "select p from (select 1.5 p union all select 1e20) u order by p",
            "1.5 | 1e20",
        ),
    ])
    .await;
}

#[tokio::test]
async fn money_stays_exact() {
    check(&[
        ("select 0.1 + 0.2, 1.1 * 1.1, 0.1 + 0.2 = 0.3", "0.3 1.21 true"),
        ("select price * 0.05, arrow_typeof(price * 0.05) from t where x = 0", "6.4995 Decimal128(15, 4)"),
        ("select price * (1 - 0.1) from t where x = 1", "7.695"),
        ("select sum(price * 0.05), round(sum(price * 0.0725), 2) from t", "6.8020 9.86"),
        ("select round(2.5), round(-2.5), round(0.125, 2), round(1.005, 2), round(1234.5, -2)", "3 -3 0.13 1.01 1200"),
        ("select arrow_typeof(round(price * 0.05, 2)) from t limit 1", "Decimal128(15, 2)"),
        ("select ceil(-1.5), floor(-1.5), trunc(-1.79, 1), abs(-1.50)", "-1.0 -2.0 -1.70 1.50"),
        ("select 10.50 % 3, -7.5 % 2, mod(7, 3)", "1.50 -1.5 1"),
        ("select coalesce(price, 0) from t where price is null", "0.00"),
        ("select nullif(8.55, 8.550), greatest(1, 2.5, 2.25), least(1.5, 2)", "NULL 2.50 1.5"),
        ("select case when x = 1 then price else 0 end from t order by y", "0.00 | 8.55 | 0.00 | 0.00"),
        ("select case when x = 1 then 1 else 2.5 end from t order by y", "2.5 | 1.0 | 2.5 | 2.5"),
        ("select case when x = 1 then 0 else price end / 3 from t where x = 0", "43.330000"),
        ("select -price from t where x = 0", "-129.99"),
            ("select round(price * 0.05, 1 + 1) from t where x = 0", "6.50"),
        ("select 12345678901234567890.12 * 12345678901234567890.12", "error: out of range"),
        ("select cast('99999999999999999999999999999999999999' as decimal(38,0)) + 1", "error: out of range"),
        ("select sum(v) from (values (99999999999999999999999999999999999999.), (99999999999999999999999999999999999999.)) s(v)", "error: out of range"),
        ("select sum(v) over () from (values (99999999999999999999999999999999999999.), (99999999999999999999999999999999999999.)) s(v)", "error: out of range"),
    ])
    .await;
}

#[tokio::test]
async fn quotients_and_averages_round_half_away_from_zero() {
    check(&[
        ("select cast(2 as decimal(12,2)) / cast(3 as decimal(12,2))", "0.666667"),
        ("select -2.0 / 3, 1 / 3.0, 10.00 / 4, 0.0000005 / 1", "-0.666667 0.333333 2.500000 0.00000050000"),
        ("select 7 / 2, -7 / 2, -7 % 3, 7 % -3", "3 -3 -1 1"),
        ("select avg(v), arrow_typeof(avg(v)) from (values (1.00), (1.00), (2.00)) s(v)", "1.333333 Decimal128(7, 6)"),
        ("select avg(v) from (values (-1.00), (-1.00), (-3.00)) s(v)", "-1.666667"),
        ("select avg(distinct v), sum(distinct v) from (values (1.00), (1.00), (2.01)) s(v)", "1.505000 3.01"),
        ("select avg(price) from t", "45.346667"),
        ("select avg(x), avg(y), avg(weight) from t where x < 2", "0.5 15.0 1.3"),
        ("select avg(price) over (order by y rows between 1 preceding and current row) from t order by y", "129.990000 | 69.270000 | 3.025000 | -2.500000"),
        ("select mean(price) from t", "45.346667"),
        ("select 1.0 / 0, 2", "error: division by zero"),
        ("select y / (x - x) from t", "error: division by zero"),
        ("select y % (x - x) from t", "error: division by zero"),
        ("select cast(1 as double) / 0", "inf"),
    ])
    .await;
}

#[tokio::test]
async fn integers_that_do_not_fit_are_errors() {
    check(&[
        ("select cast(100 as int) * cast(24500000 as int)", "error: 100 * 24500000 does not fit into integer; cast an operand to bigint"),
        ("select cast(2147483647 as int) + cast(1 as int)", "error: does not fit into integer"),
        ("select 9223372036854775807 + 1", "error: does not fit into bigint"),
        ("select y + 9223372036854775807 from t", "error: does not fit into bigint"),
        ("select 9223372036854775807 + y from t", "error: does not fit into bigint"),
        ("select y - (-9223372036854775807) from t", "error: does not fit into bigint"),
        ("select -y - 9223372036854775807 from t", "error: does not fit into bigint"),
        ("select y * 1000000000000000000 from t", "error: does not fit into bigint"),
        ("select -(-9223372036854775808)", "error: does not fit into bigint"),
        ("select -(y - 9223372036854775807 - 11) from t", "error: does not fit into bigint"),
        ("select abs(-9223372036854775808)", "error: abs of the least bigint does not fit into bigint"),
        ("select x + y, x - y, x * y, y + 1, 1 + y, y - 1, 1 - y, -x from t order by y", "10 -10 0 11 11 9 -9 0 | 21 -19 20 21 21 19 -19 -1 | 32 -28 60 31 31 29 -29 -2 | NULL NULL NULL 41 41 39 -39 NULL"),
        ("select arrow_typeof(x + x), arrow_typeof(x + 1), arrow_typeof(x * y) from t limit 1", "Int32 Int64 Int64"),
        ("select sum(v), arrow_typeof(sum(v)) from (values (9223372036854775807), (9223372036854775807)) s(v)", "18446744073709551614 Decimal128(38, 0)"),
        ("select sum(x), arrow_typeof(sum(x)), sum(distinct x % 2), count(*) from t", "3 Int64 1 4"),
        ("select sum(y) over (order by y rows between 1 preceding and current row) from t order by y", "10 | 30 | 50 | 70"),
        ("select sum(distinct y / 20) over (order by y rows between 1 preceding and current row) from t order by y", "0 | 1 | 1 | 3"),
        ("select x, sum(y) filter (where x > 0), sum(price) from t group by x order by x nulls last", "0 NULL 129.99 | 1 20 8.55 | 2 30 -2.50 | NULL NULL NULL"),
        ("select sum(x) from t where x > 100", "NULL"),
        ("select arrow_typeof(row_number() over (order by y)), arrow_typeof(rank() over (order by y)), arrow_typeof(dense_rank() over (order by y)), arrow_typeof(ntile(2) over (order by y)), arrow_typeof(count(*) over ()) from t limit 1", "Int64 Int64 Int64 Int64 Int64"),
        ("select row_number() over (order by y) - 2, rank() over (order by x % 2), ntile(2) over (order by y) from t order by y", "-1 1 1 | 0 3 1 | 1 1 2 | 2 4 2"),
    ])
    .await;
}

#[tokio::test]
async fn casts_round_and_refuse() {
    check(&[
        ("select cast(2.75 as int), cast(2.5 as int), cast(-2.75 as int), cast(-2.5 as bigint)", "3 3 -3 -3"),
        ("select cast(2.75e0 as int), cast(2.5e0 as int), cast(3.5e0 as int), cast(-2.5e0 as int)", "3 2 4 -2"),
        ("select cast(1e300 as bigint)", "error: out of range"),
        ("select cast(cast('NaN' as double) as int)", "error: out of range"),
        ("select cast(3000000000 as int)", "error: "),
        ("select cast(3000000000.0 as int)", "error: out of range"),
        ("select try_cast(3000000000.0 as int), try_cast('x1' as int), try_cast('12.5' as int), try_cast('7' as int)", "NULL NULL NULL 7"),
        ("select cast(' 12 ' as int), cast('1e3' as double), cast('-7' as bigint), cast('+7' as bigint)", "12 1000.0 -7 7"),
        ("select cast('12.5' as int)", "error: cannot cast '12.5' to integer"),
        ("select cast('12.345' as decimal(10,2)), cast('-0.005' as decimal(10,2)), cast(' 1e2 ' as decimal(10,2))", "12.35 -0.01 100.00"),
        ("select cast('1,234.50' as decimal(10,2))", "error: cannot cast '1,234.50' to decimal(10,2)"),
        ("select cast('123456789.00' as decimal(10,2))", "error: out of range"),
        ("select cast(1.005e0 as decimal(10,2)), cast(2.675e0 as decimal(10,2)), cast(2.675 as decimal(10,2))", "1.01 2.68 2.68"),
        ("select cast('yes' as boolean), cast(' T ' as boolean), cast('off' as boolean), cast('0' as boolean)", "true true false false"),
        ("select cast('maybe' as boolean)", "error: cannot cast 'maybe' to boolean"),
        ("select try_cast(word as int) from t order by y", "7 | 8 | NULL | NULL"),
        ("select cast(word as int) from t", "error: cannot cast"),
        ("select cast(price as int) a, price::bigint b from t order by y", "130 130 | 9 9 | -3 -3 | NULL NULL"),
        ("select cast('1e400' as double)", "error: out of range"),
        ("select cast('Infinity' as double), cast(' 1.5 ' as double)", "inf 1.5"),
    ])
    .await;
}

#[tokio::test]
async fn what_can_fail_waits_for_what_guards_it() {
    check(&[
        ("select y from t where x <> 0 and y / x > 14", "20 | 30"),
        ("select y from t where y / x > 14 and x <> 0", "20 | 30"),
            ("select y from t where x <> 0 and y / x > 14 and y / x < 17 and y / x <> 1", "30"),
            ("select y from t where x <> 0 and y / x > 14 or x = 0 and y / x > 1 and false", "20 | 30"),
        ("select y from t where x = 0 or y / x > 16 order by y", "10 | 20"),
        ("select y from t where not (x = 0 or y / x <= 16) order by y", "20"),
        ("select y, x <> 0 and y / x > 16 from t order by y", "10 false | 20 true | 30 false | 40 NULL"),
        ("select r from (select y / x r from t where x <> 0) s where r > 16", "20"),
        ("select r from (select x, 100 / x r from t) s where x <> 0 and r > 60", "100"),
        ("select case when x = 0 then 0 else y / x end from t order by y", "0 | 20 | 15 | NULL"),
        ("select case when x = 99 then 1 / 0 else 0 end from t where x = 0", "0"),
        ("select y from t where case when x = 0 then false else y / x > 16 end", "20"),
        ("select sum(y / x) filter (where x <> 0), count(y / x) filter (where x > 1) from t", "35 1"),
        ("select sum(y / x) filter (where x <> 0) over () from t limit 1", "35"),
        ("select y from t where word ~ '^[0-9]+$' and cast(word as int) = 7", "10"),
        ("select count(*) from t a join t b on a.y = b.y and a.x <> 0 and b.y / a.x > 16", "1"),
        ("select count(*) from t a left join t b on a.y = b.y and a.x <> 0 and b.y / a.x > 16 and b.x is not null", "4"),
        ("select y from t where x is null or (x > 0 and y / x > 16 and 10 / (x - 2) < 0)", "20 | 40"),
        ("select 1 where false and 1 / 0 = 1", ""),
        ("select coalesce(y / nullif(x, 0), 0) from t order by y", "0 | 20 | 15 | 0"),
    ])
    .await;
}

#[tokio::test]
async fn functions_without_a_real_result_refuse() {
    check(&[
        ("select sqrt(2.25), sqrt(4), exp(0.0), power(10, 2), power(10, 20), ln(1.0), log10(1000), log(2, 8)", "1.5 2.0 1.0 100.0 1e20 0.0 3.0 3.0"),
        ("select sqrt(-1)", "error: "),
        ("select ln(0)", "error: ln(0) has no result that is a number"),
        ("select ln(x) from t", "error: ln(0) has no result that is a number"),
        ("select ln(x) from t where x = 1", "0.0"),
        ("select log10(-1)", "error: log10(-1) has no result"),
        ("select power(-8, 0.5)", "error: power(-8, 0.5) has no result"),
        ("select power(0, -1)", "error: "),
        ("select power(10, 400)", "error: power(10, 400) has no result"),
        ("select min(weight), max(weight) from t", "0.1 NaN"),
        ("select avg(weight) from t", "NaN"),
        ("select y from t where weight > 1e6", "30"),
        // What a processor makes of these is another NaN than the one of a text, and a zero with a sign.
        ("select count(*) from t where cast('inf' as double) * (weight - weight) = cast('NaN' as double)", "3"),
        ("select count(*) from t where cast('inf' as double) * (weight - weight) > 1e300", "3"),
        ("select w, count(*) from (select cast('inf' as double) * (weight - weight) as w from t union all select weight from t) s group by w order by w", "0.1 1 | 2.5 1 | NaN 4 | NULL 2"),
        ("select count(distinct w) from (select weight - weight as w from t where y < 30 union all select -(weight - weight) from t where y < 30) s", "1"),
        ("select x, row_number() over (partition by -(weight - weight) * x order by x) as n from t where x < 2 order by x", "0 1 | 1 2"),
        ("select sum(v) = cast('NaN' as double), avg(v) > 1e300 from (values (cast('inf' as double)), (cast('-inf' as double))) s(v)", "true true"),
        ("select sum(v) over (order by v) as s from (values (cast('inf' as double)), (cast('-inf' as double))) s(v) order by s", "-inf | NaN"),
        ("select count(*) from t a join (select sum(v) as v from (values (cast('inf' as double)), (cast('-inf' as double))) s(v)) b on a.weight = b.v", "1"),
        ("select weight * 0 = 0 as zero, (weight * -0.0e0)::varchar as text from t where y = 10", "true 0.0"),
        ("select approx_percentile_cont(y, 0.5) is not null, percentile_cont(0.5) within group (order by y), median(y) from t", "true 25.0 25.0"),
        ("select percentile_cont(0.1) within group (order by y) a, percentile_cont(0.1) within group (order by y desc) b, percentile_cont(1) within group (order by price) c from t", "13.0 37.0 129.99"),
        ("select percentile_cont(0.1) within group (order by v) from (values (89.38), (89.45)) s(v)", "89.387"),
        ("select x % 2 as g, percentile_cont(0.5) within group (order by y) from t group by x % 2 order by 1", "0 20.0 | 1 20.0 | NULL 40.0"),
        ("select median(v), arrow_typeof(median(v)), median(distinct v) is null from (values (1.00), (1.01)) s(v)", "1.005000 Decimal128(7, 6) false"),
        ("select median(price), median(v) from t, (values (1.00)) s(v)", "8.550000 1.000000"),
        ("select sum(word) from t", "error: sum(string) has no meaning: it takes numbers"),
    ])
    .await;
}

/// What an executor decodes is what was planned.
#[tokio::test]
async fn a_plan_comes_through_the_codec() {
    let session = session();
    session.deregister_table("t").unwrap();
    let state = session.state();
    let sql = "with t(x, y, price, word) as (select cast(value as int) a, value b, value * 0.25 c, cast(value as varchar) d \
               from generate_series(1, 50)) \
               select x, sum(y + 1), avg(price * 0.05), sum(-x), sum(distinct price), sum(cast(word as int)), \
               max(try_cast(price as int)), max(y / x) filter (where x <> 0 and y % x = 0), \
               row_number() over (order by sum(price)), ln(x) from t group by x order by x";
    let logical = plan(&state, sql).await.unwrap();
    let physical = state.create_physical_plan(&logical).await.unwrap();
    let codec = RetailPhysicalCodec::default();
    let sent = TaskPlan::try_from_physical_plan(Arc::clone(&physical), &codec).unwrap();
    let received = sent
        .try_into_physical_plan(&session.task_ctx(), &codec)
        .unwrap();
    let (a, b) = (
        collect(physical, session.task_ctx()).await.unwrap(),
        collect(received, session.task_ctx()).await.unwrap(),
    );
    assert_eq!(a, b);
}

/// Row groups are still left out by the bounds of a decimal column.
#[tokio::test]
async fn a_price_prunes_row_groups() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.parquet");
    let rows = session.table("cents").await.unwrap();
    let path = path.to_str().unwrap();
    let options = datafusion::dataframe::DataFrameWriteOptions::new().with_single_file_output(true);
    rows.write_parquet(path, options, None).await.unwrap();
    session
        .register_parquet("p", path, Default::default())
        .await
        .unwrap();
    for sql in [
        "select * from p where price = 129.99 and price / 2 > 1",
        "select * from p where price in (8.5, 129.99)",
        "select * from p where price between 1 and 2.505 and price <> 0.1",
    ] {
        let shown = physical_plan(&session, sql).await;
        assert!(
            shown.contains("pruning_predicate") && shown.contains("price_min"),
            "{sql}\n{shown}"
        );
    }
}

#[tokio::test]
async fn a_long_sum_is_sent_as_one_call() {
    let ones = vec!["y"; 120].join(" + ");
    let prices = vec!["price * 1.0"; 60].join(" - ");
    let sql = format!("select {ones} as n, {prices} as p from t where x = 1");
    check(&[
        (sql.as_str(), "2400 -495.900"),
        (
            "select 7 - 2 - 1, 100 / 5 / 2, 2 * 3 * 4.5, 10 % 4 % 2, 1 + 2 + 0.5 + 1e0",
            "4 10 27.0 0 4.5",
        ),
        (
            "select cast(2147483647 as int) + cast(1 as int) + cast(1 as bigint)",
            "error: does not fit into integer",
        ),
        ("select y from t where x <> 0 and y / x / 2 > 5", "20 | 30"),
        ("select mod(7, 3, 2)", "error: mod"),
        ("select date '2024-03-05' - date '2024-03-01' - 1, date '2024-03-05' - date '2024-03-01' + 1 + 2", "3 7"),
    ])
    .await;
    let shown = physical_plan(&session(), &sql).await;
    assert_eq!(shown.matches("checked_add(").count(), 1, "{shown}");
    assert_eq!(shown.matches("checked_subtract(").count(), 1, "{shown}");
}

#[tokio::test]
async fn a_chain_of_steps_is_sent_as_one_call() {
    let steps: Vec<_> = (1..30)
        .map(|i| format!("c{i} as (select n + 1 as n from c{})", i - 1))
        .collect();
    let sql = format!(
        "with c0 as (select count(*) n from t), {} select n from c29",
        steps.join(", ")
    );
    check(&[(sql.as_str(), "33")]).await;
    let shown = physical_plan(&session(), &sql).await;
    assert!(shown.matches("checked_add(").count() <= 1, "{shown}");
}

/// The page that documents these rules for users.
#[tokio::test]
async fn the_page_about_sql_is_true() {
    let page = include_str!("../../../docs/sql.md");
    let section = page.split("## Numbers").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut examples = vec![];
    for line in section.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, written, answer, _, _] = cells[..] else {
            continue;
        };
        let sql = format!("select {}", written.trim_matches('`'));
        examples.push((sql, answer.trim_matches('`').to_string()));
    }
    assert!(examples.len() > 20);
    let examples: Vec<_> = examples
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    check(&examples).await;
}
