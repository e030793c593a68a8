//! Memory, spilling, partial passes and the codec.

use datafusion::arrow::compute::SortOptions;
use datafusion::common::stats::Precision;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{StatisticsArgs, StatisticsContext};
use futures::StreamExt;
use prost::Message;

use super::*;
use crate::partitioned_topk::spec::{OrderColumn, Spec};
use crate::partitioned_topk::{decode, encode};

fn runtime(bytes: usize, disk: DiskManagerMode) -> Arc<RuntimeEnv> {
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(bytes)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
        .build_arc()
        .unwrap()
}

fn source(rows: usize) -> Arc<dyn ExecutionPlan> {
    let batch = generate(rows, 3);
    let batches = (0..rows)
        .step_by(100)
        .map(|at| batch.slice(at, 100.min(rows - at)))
        .collect();
    MemorySourceConfig::try_new_exec(&[batches], batch.schema(), None).unwrap()
}

/// Keeps the first row by `o_int DESC` per value of one column.
fn topk(rows: usize, key: &str, mode: Mode) -> HashTopKExec {
    let source = source(rows);
    let options = SortOptions {
        descending: true,
        nulls_first: true,
    };
    let spec = Spec {
        keys: vec![source.schema().index_of(key).unwrap()],
        order_by: vec![OrderColumn {
            column: source.schema().index_of("o_int").unwrap(),
            options,
        }],
        limit: 1,
    };
    HashTopKExec::try_new(source, spec, mode).unwrap()
}

const QUERIES: [&str; 3] = [
    "SELECT id, payload FROM (SELECT *, row_number() OVER (PARTITION BY k_view ORDER BY o_int, id) AS rn FROM t) q \
     WHERE rn = 1",
    "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY k_int, k_date ORDER BY id DESC) AS rn FROM t) q \
     WHERE rn <= 2",
    "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY o_str) AS rn FROM t) q WHERE rn = 1",
];

/// Ids of the rows, sorted here: a sort in the plan would want memory too.
async fn ids(session: &SessionContext, plan: &Arc<dyn ExecutionPlan>) -> Vec<i64> {
    let mut ids = Vec::new();
    for batch in collect(Arc::clone(plan), session.task_ctx()).await.unwrap() {
        let column = batch.column_by_name("id").unwrap();
        ids.extend(
            column
                .as_any()
                .downcast_ref::<Int64Array>()
                .unwrap()
                .values(),
        );
    }
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_small_pool_makes_it_spill_and_the_rows_stay_the_same() {
    for sql in QUERIES {
        let setup = |rule, runtime| Setup {
            rule,
            batch_size: 512,
            rows: 12_000,
            runtime,
            ..Setup::default()
        };
        let small = setup(true, runtime(700_000, DiskManagerMode::OsTmpDirectory)).session();
        let large = setup(false, Arc::default()).session();
        let plan_small = plan(&small, sql).await;
        assert!(is_rewritten(&plan_small));
        let expected = ids(&large, &plan(&large, sql).await).await;
        assert_eq!(ids(&small, &plan_small).await, expected, "{sql}");
        assert!(
            metric(&plan_small, Mode::Final, MetricsSet::spill_count) > 1,
            "{sql} did not spill"
        );
        assert!(metric(&plan_small, Mode::Final, MetricsSet::spilled_rows) > 0);
        assert_eq!(small.runtime_env().memory_pool.reserved(), 0);
    }
}

#[tokio::test]
async fn a_tiny_pool_makes_spilled_partitions_spill_again() {
    let setup = |runtime| Setup {
        batch_size: 64,
        rows: 12_000,
        runtime,
        ..Setup::default()
    };
    let small = setup(runtime(30_000, DiskManagerMode::OsTmpDirectory)).session();
    let large = setup(Arc::default()).session();
    let plan_small = plan(&small, QUERIES[2]).await;
    assert_eq!(
        ids(&small, &plan_small).await,
        ids(&large, &plan(&large, QUERIES[2]).await).await
    );
    assert!(
        metric(&plan_small, Mode::Final, MetricsSet::spilled_rows) > 12_000,
        "partitions were not spilled again"
    );
}

#[tokio::test]
async fn without_disk_a_small_pool_is_an_error() {
    let setup = Setup {
        batch_size: 512,
        rows: 12_000,
        runtime: runtime(200_000, DiskManagerMode::Disabled),
        ..Setup::default()
    };
    let session = setup.session();
    let error = collect(plan(&session, QUERIES[2]).await, session.task_ctx())
        .await
        .unwrap_err();
    assert!(
        matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)),
        "{error}"
    );
    assert_eq!(session.runtime_env().memory_pool.reserved(), 0);
}

#[tokio::test]
async fn a_dropped_stream_gives_its_memory_back() {
    let runtime = runtime(100_000_000, DiskManagerMode::Disabled);
    let session = Setup {
        batch_size: 16,
        runtime,
        ..Setup::default()
    }
    .session();
    let node = topk(600, "id", Mode::Final);
    let mut stream = node.execute(0, session.task_ctx()).unwrap();
    assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    assert!(session.runtime_env().memory_pool.reserved() > 0);
    drop(stream);
    assert_eq!(session.runtime_env().memory_pool.reserved(), 0);
}

#[tokio::test]
async fn output_comes_in_batches_of_the_session() {
    let session = Setup {
        batch_size: 50,
        ..Setup::default()
    }
    .session();
    let plan: Arc<dyn ExecutionPlan> = Arc::new(topk(600, "id", Mode::Final));
    let sizes: Vec<usize> = collect(plan, session.task_ctx())
        .await
        .unwrap()
        .iter()
        .map(RecordBatch::num_rows)
        .collect();
    assert_eq!(sizes, [50; 12]);
}

#[tokio::test]
async fn a_partial_pass_drops_what_it_can() {
    let session = Setup::default().session();
    let node = topk(600, "k_small", Mode::Partial).with_tuning(Tuning {
        probe_rows: 200,
        ..Tuning::default()
    });
    let plan: Arc<dyn ExecutionPlan> = Arc::new(node);
    let kept: usize = collect(Arc::clone(&plan), session.task_ctx())
        .await
        .unwrap()
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    assert_eq!(kept, 5, "four keys and null");
    assert_eq!(
        metric(&plan, Mode::Partial, |m| Some(
            m.sum_by_name("duplicates_dropped")?.as_usize()
        )),
        595
    );
    assert_eq!(metric(&plan, Mode::Partial, MetricsSet::output_rows), 5);
}

#[tokio::test]
async fn a_partial_pass_over_new_keys_gives_up_and_lets_rows_pass_in_order() {
    let session = Setup {
        batch_size: 50,
        ..Setup::default()
    }
    .session();
    let node = topk(600, "id", Mode::Partial).with_tuning(Tuning {
        probe_rows: 200,
        ..Tuning::default()
    });
    let pool = Arc::clone(&session.runtime_env().memory_pool);
    let mut stream = node.execute(0, session.task_ctx()).unwrap();
    let mut seen = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        seen.extend(
            batch
                .column(0)
                .as_any()
                .downcast_ref::<Int64Array>()
                .unwrap()
                .values()
                .to_vec(),
        );
        assert!(
            seen.len() <= 200 || pool.reserved() == 0,
            "memory is held while rows pass"
        );
    }
    assert_eq!(seen, (0..600).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_partial_pass_without_memory_emits_instead_of_spilling() {
    let runtime = runtime(20_000, DiskManagerMode::Disabled);
    let session = Setup {
        batch_size: 50,
        runtime,
        ..Setup::default()
    }
    .session();
    let plan: Arc<dyn ExecutionPlan> = Arc::new(topk(600, "id", Mode::Partial));
    assert_eq!(ids(&session, &plan).await, (0..600).collect::<Vec<i64>>());
}

#[tokio::test]
async fn input_statistics_become_an_upper_bound() {
    let node = topk(600, "id", Mode::Final);
    let statistics = StatisticsContext::new()
        .compute(&node, &StatisticsArgs::new())
        .unwrap();
    assert_eq!(statistics.num_rows, Precision::Inexact(600));
}

#[test]
fn the_codec_brings_back_the_same_node() {
    for mode in [Mode::Partial, Mode::Final] {
        let node = topk(10, "k_str", mode);
        let (input, spec) = (Arc::clone(node.children()[0]), node.spec().clone());
        let node: Arc<dyn ExecutionPlan> = Arc::new(node);
        let bytes = encode(&node).unwrap().encode_to_vec();
        let message = retail_proto::v1::PartitionedTopK::decode(bytes.as_slice()).unwrap();
        let back = decode(&message, input).unwrap();
        let back = back.downcast_ref::<HashTopKExec>().unwrap();
        assert_eq!((back.spec(), back.mode()), (&spec, mode));
    }
    assert!(encode(&source(10)).is_none());
}

#[test]
fn a_message_that_does_not_fit_its_input_is_refused() {
    let node: Arc<dyn ExecutionPlan> = Arc::new(topk(10, "k_str", Mode::Final));
    let message = encode(&node).unwrap();
    let float = source(10).schema().index_of("o_float").unwrap() as u32;
    for broken in [
        retail_proto::v1::PartitionedTopK {
            keys: vec![99],
            ..message.clone()
        },
        retail_proto::v1::PartitionedTopK {
            keys: vec![float],
            ..message.clone()
        },
        retail_proto::v1::PartitionedTopK {
            keys: vec![],
            ..message.clone()
        },
        retail_proto::v1::PartitionedTopK {
            limit: 0,
            ..message.clone()
        },
        retail_proto::v1::PartitionedTopK {
            limit: u64::MAX,
            ..message.clone()
        },
    ] {
        assert!(decode(&broken, source(10)).is_err(), "{broken:?}");
    }
}
