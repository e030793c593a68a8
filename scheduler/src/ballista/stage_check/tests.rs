use std::fmt::Write;
use std::path::Path;

use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionContext};
use retail_engine::{EngineConfig, Execution, session_config, session_state};
use retail_storage::ObjectStores;

use super::*;

/// A session as the scheduler has it, over `sales` in four files, `products` in one and `nothing` without rows, all as
/// Parquet or as CSV.
async fn session(dir: &Path, parquet: bool) -> SessionContext {
    let csv = |name: &str, text: &str| {
        let file = dir.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    for day in 1..=4 {
        let mut text = "sale_id,product_id,qty,price,day\n".to_owned();
        for n in 0..20 {
            writeln!(
                text,
                "{},{},{},{}.50,2024-03-0{day}",
                day * 100 + n,
                n % 7,
                n % 3,
                n
            )
            .unwrap();
        }
        csv(&format!("sales/{day}.csv"), &text);
    }
    csv(
        "products/all.csv",
        "product_id,sku,category\n1,a,food\n2,b,toys\n3,c,food\n",
    );
    csv("nothing/all.csv", "product_id,sku\n");
    let config = EngineConfig::default();
    let runtime = retail_engine::runtime_env(&ObjectStores::default(), None).unwrap();
    let state = session_state(
        session_config(&config, 4),
        runtime,
        true,
        Execution::InStages,
    );
    let session = SessionContext::new_with_state(state);
    for name in ["sales", "products", "nothing"] {
        let path = dir.join(name);
        let path = path.to_str().unwrap();
        let read = CsvReadOptions::new();
        if !parquet || name == "nothing" {
            session.register_csv(name, path, read).await.unwrap();
            continue;
        }
        let packed = dir.join(format!("{name}-parquet/"));
        let packed = packed.to_str().unwrap();
        let rows = session.read_csv(path, read).await.unwrap();
        let write = DataFrameWriteOptions::new();
        rows.write_parquet(packed, write, None).await.unwrap();
        let read = ParquetReadOptions::new();
        session.register_parquet(name, packed, read).await.unwrap();
    }
    session
}

async fn violation_of(session: &SessionContext, sql: &str) -> Option<String> {
    let plan = session.state().create_logical_plan(sql).await.unwrap();
    let physical = session.state().create_physical_plan(&plan).await.unwrap();
    find_violation(&physical, &session.state())
}

/// Ordinary SQL, none of which needs to give up stages.
const STAGED: &str = include_str!("staged.sql");

#[tokio::test]
async fn ordinary_sql_runs_in_stages() {
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = String::new();
    for parquet in [false, true] {
        let session = session(dir.path(), parquet).await;
        let statements = STAGED.split(";\n").map(str::trim);
        for sql in statements.filter(|sql| !sql.is_empty()) {
            if let Some(reason) = violation_of(&session, sql).await {
                writeln!(wrong, "{sql}\n    {reason}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Plans whose pieces would give other rows, and the reason reported.
const ONE_TASK: [(&str, &str); 3] = [
    (
        "with recursive n as (select 1 as a union all select a + 1 from n where a < 5) select sum(a) from n",
        "recursive",
    ),
    (
        "select sale_id, row_number() over (partition by product_id order by sale_id) from sales where product_id = 3",
        "order requirements",
    ),
    (
        "select product_id, sum(qty) over (partition by product_id, day order by sale_id) from sales where day = '2024-03-02'",
        "order requirements",
    ),
];

#[tokio::test]
async fn a_plan_that_stages_would_change_runs_as_one_task() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), false).await;
    for (sql, expected) in ONE_TASK {
        let query = session.state().create_logical_plan(sql).await.unwrap();
        let planned = plan(&query, &session.state(), true).await.unwrap();
        let reason = planned.one_task_because.unwrap_or_default();
        assert!(reason.contains(expected), "{sql}: {reason}");
        let found = find_violation(&planned.plan, &session.state());
        assert_eq!(found, None, "{sql}");
    }
}

#[tokio::test]
async fn a_task_that_would_lose_a_limit_is_found() {
    let sql = "values (1), (2), (3) limit 2";
    let runtime = retail_engine::runtime_env(&ObjectStores::default(), None).unwrap();
    let config = session_config(&EngineConfig::default(), 4);
    let found = async |execution| {
        let state = session_state(config.clone(), Arc::clone(&runtime), true, execution);
        violation_of(&SessionContext::new_with_state(state), sql).await
    };
    assert_eq!(found(Execution::InStages).await, None);
    let lost = found(Execution::InProcess).await.unwrap_or_default();
    assert!(lost.contains("would lose its limit of rows, 2"), "{lost}");
}

/// A rule of the optimizer that fails at exchanges, as rules do at plans that nobody thought of.
#[derive(Debug)]
struct NoExchange;

impl PhysicalOptimizerRule for NoExchange {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match has(&plan, &|node| node.is::<RepartitionExec>()) {
            true => Err(violation("an exchange that cannot be planned")),
            false => Ok(plan),
        }
    }

    fn name(&self) -> &'static str {
        "NoExchange"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_query_whose_stages_cannot_be_planned_runs_as_one_task() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), false).await;
    let state = SessionStateBuilder::new_from_existing(session.state())
        .with_physical_optimizer_rule(Arc::new(NoExchange))
        .build();
    let sql = "select category, count(*) as n from sales join products using (product_id) group by category order by 1";
    let query = state.create_logical_plan(sql).await.unwrap();
    let error = state.create_physical_plan(&query).await.unwrap_err();
    assert!(error.to_string().contains("an exchange"), "{error}");

    let planned = plan(&query, &state, true).await.unwrap();
    assert_eq!(
        planned.one_task_because.as_deref(),
        Some("its stages cannot be planned")
    );
    assert_eq!(planned.plan.output_partitioning().partition_count(), 1);
    let rows = collect(planned.plan, state.task_ctx()).await.unwrap();
    let counted: usize = rows.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(counted, 2);

    // A query that one task cannot run either is refused in the words for its stages, not for the task.
    let sql =
        "select (select p.sku from products p where p.product_id > s.product_id) from sales s";
    let query = state.create_logical_plan(sql).await.unwrap();
    let alone = state.create_physical_plan(&query).await.unwrap_err();
    let refused = plan(&query, &state, true).await.unwrap_err();
    assert_eq!(refused.to_string(), alone.to_string());
}
