//! Every order that is claimed of a function's values, given the order of its argument, is the order they have.

use datafusion::arrow::compute::{SortOptions, concat_batches, sort};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlanProperties;
use retail_storage::ObjectStores;
use std::sync::Arc;

use crate::EngineConfig;

/// Values of x with a type each, and functions of x.
const FUNCTIONS: [(&str, &[&str]); 5] = [
    (
        "(timestamp '2024-01-01 23:00:00'), (timestamp '2024-01-02 01:00:00'), (null), (timestamp '2024-03-01 12:30:00'),
         (timestamp '2023-05-05 05:05:05'), (timestamp '1969-12-31 23:59:59'), (timestamp '2024-02-29 00:00:00')",
        &[
            "cast(x as time)", "cast(x as date)", "date_trunc('month', x)", "date_trunc('week', x)", "date_part('year', x)",
            "extract(month from x)", "extract(hour from x)", "cast(x as varchar)", "to_char(x, 'DD')", "x + interval '1 month'",
            "x - interval '1 month'", "x at time zone 'America/New_York'", "date_bin(interval '15 minutes', x)", "year(x)",
            "month(x)", "extract(epoch from x)", "timestamp '2024-01-01' - x", "x - timestamp '2024-01-01'",
            "cast(x as timestamptz)", "cast(x as date) - date '2024-01-31'", "date '2024-01-31' - cast(x as date)",
            "cast(x as date) + 1", "datediff('month', x, timestamp '2024-01-01')", "last_day(cast(x as date))", "dayofweek(x)",
            "age(x, timestamp '2020-01-01')", "cast(x as date) + interval '1 month'", "interval '1 day' + x",
        ],
    ),
    (
        "(3), (-5), (null), (10), (0), (7), (-1), (12), (3)",
        &[
            "cast(x as varchar)", "-x", "x * -2", "x * 2", "x / 2", "x / -2", "x % 3", "abs(x)", "x + 1", "10 - x",
            "10 / nullif(x, 0)", "x * x", "x + x", "x - x", "x > 2", "not (x > 2)", "2 > x", "x = 3", "x <> 3", "x is null",
            "x is not null", "cast(x as double)", "cast(x as decimal(10,2))", "power(x, 2)", "sign(x)", "least(x, 2)",
            "greatest(x, 2)", "coalesce(x, 5)", "nullif(x, 3)", "case when x > 2 then 1 else 2 end", "x between 0 and 5",
            "x in (3, 7)", "x # 3", "x & 3", "x | 3", "x << 1", "x >> 1", "interval '1 day' * x", "date '2024-01-01' + x",
            "date '2024-01-01' - x", "exp(x)", "atan(x)", "sin(x)", "chr(x + 65)", "x is distinct from 3", "cast(x as boolean)",
            "cast(x as smallint)", "x = x", "x > 0 or x < -3", "x > 0 and x < 9", "array[x]", "to_hex(x)", "x / 2.0", "x * 0",
        ],
    ),
    (
        "(3.5e0), (-5.25e0), (null), (10e0), (0.5e0), (7.49e0), (-1.5e0), (200e0), ('NaN'::double), ('-inf'::double)",
        &[
            "floor(x)", "ceil(x)", "round(x)", "trunc(x)", "abs(x)", "-x", "1 / x", "exp(x)", "x * 0.5", "x * -0.5e0",
            "cast(x as varchar)", "cos(x)", "tan(x)", "atan(x)", "cbrt(x)", "degrees(x)", "radians(x)", "sinh(x)", "cosh(x)",
            "tanh(x)", "asinh(x)", "signum(x)", "isnan(x)", "x > 1", "1 < x", "x = x", "cast(x as real)", "x - x", "x + x",
            "nanvl(x, 3)", "atan2(x, -1)", "atan2(-1, x)", "power(2, x)", "iszero(x)", "trunc(x, 1)", "round(x, 1)",
        ],
    ),
    (
        "(3.55), (-5.25), (null), (10.00), (0.05), (7.49), (-1.50), (200.99)",
        &[
            "cast(x as int)", "floor(x)", "ceil(x)", "round(x)", "round(x, 1)", "trunc(x, 1)", "abs(x)", "-x", "1 / x", "x * 0.5",
            "x * -0.5", "cast(x as varchar)", "cast(x as double)", "x / 3", "3 / x", "x % 2", "100 - x", "x + x", "x - x",
            "x * x", "cast(x as decimal(12,1))", "cast(x as decimal(12,1)) + 0.1", "round(x, 0)", "sqrt(abs(x))", "ln(abs(x))",
            "log(10, abs(x))", "log(abs(x) + 1.5, 10)", "gcd(cast(x as int), 4)",
        ],
    ),
    (
        "('b'), ('a10'), ('a9'), (null), (''), ('B'), ('Ab'), ('-5'), ('10')",
        &[
            "upper(x)", "lower(x)", "length(x)", "substr(x, 2)", "x || 'a'", "'a' || x", "reverse(x)", "try_cast(x as int)",
            "left(x, 1)", "right(x, 1)", "trim(x)", "replace(x, 'a', 'z')", "md5(x)", "x like 'a%'", "x > 'a'", "ascii(x)",
            "concat(x, 'z')", "concat('z', x)", "concat_ws('-', x, 'z')", "initcap(x)", "strpos(x, 'a')", "lpad(x, 3, '0')",
            "rpad(x, 3, '0')", "repeat(x, 2)", "starts_with(x, 'a')", "split_part(x, '1', 1)", "translate(x, 'ab', 'zy')",
            "btrim(x, 'a')", "octet_length(x)", "coalesce(x, 'b')", "cast(x as varchar(1))", "x in ('b', '10')",
        ],
    ),
];

#[tokio::test]
async fn an_order_that_is_claimed_of_a_function_is_the_order_of_its_values() {
    let session = crate::session(&EngineConfig::default(), 1, &ObjectStores::default()).unwrap();
    let orders = [(false, false), (false, true), (true, false), (true, true)];
    let (mut wrong, mut claims) = (vec![], 0);
    for (values, functions) in FUNCTIONS {
        for function in functions {
            for (descending, nulls_first) in orders {
                let direction = if descending { "desc" } else { "asc" };
                let nulls = if nulls_first { "first" } else { "last" };
                let query = format!(
                    "select {function} as f from (select x from (values {values}) as t(x)
                     order by x {direction} nulls {nulls} limit 100) as s"
                );
                let plan = retail_sql::plan(&session.state(), &query).await;
                let plan = match plan {
                    Ok(plan) => session.state().create_physical_plan(&plan).await.unwrap(),
                    Err(error) => {
                        wrong.push(format!("{function}: {error}"));
                        break;
                    }
                };
                let claimed: Vec<_> = (orders.iter())
                    .map(|(descending, nulls_first)| SortOptions::new(*descending, *nulls_first))
                    .filter(|options| {
                        let f = PhysicalSortExpr::new(Arc::new(Column::new("f", 0)), *options);
                        plan.equivalence_properties().ordering_satisfy([f]).unwrap()
                    })
                    .collect();
                if claimed.is_empty() {
                    continue;
                }
                claims += claimed.len();
                let schema = plan.schema();
                let rows = datafusion::physical_plan::collect(plan, session.task_ctx()).await;
                let rows = rows.unwrap_or_else(|e| panic!("{query}: {e}"));
                let rows = concat_batches(&schema, &rows).unwrap();
                let f = rows.column(0);
                for options in claimed {
                    if sort(f, Some(options)).unwrap().to_data() != f.to_data() {
                        wrong.push(format!(
                            "{function}: x {direction} nulls {nulls}, claimed {options}"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(claims > 50, "{claims}");
}
