//! Every node of ours means after the wire what it meant before it.

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{JoinType, NullEquality};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode,
};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlanProperties, Partitioning, displayable};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use retail_connect::checked_cast::{CastColumn, CheckedCastExec};
use retail_connect::text_scan::{
    CellRule, CsvFormat, JsonFormat, Origin, TextColumn, TextFormat, TextScan, TextScanExec,
};

use super::*;
use crate::round_trip::sent;
use retail_operators::partitioned_topk::testing::{described, topk};

type Plan = Arc<dyn ExecutionPlan>;

fn name() -> impl Strategy<Value = String> {
    "[a-zé_\" .]{0,8}"
}

/// Types that cells of files have, which a top-k can order by, too.
fn data_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        Just(DataType::Boolean),
        Just(DataType::Int16),
        Just(DataType::Int64),
        Just(DataType::Float64),
        Just(DataType::Utf8),
        Just(DataType::Utf8View),
        Just(DataType::Date32),
        (1..=38_u8, 0..=12_i8).prop_map(|(digits, scale)| {
            DataType::Decimal128(digits, scale.min(digits.cast_signed()))
        }),
        option::of(Just("+00:00"))
            .prop_map(|zone| { DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into)) }),
    ]
}

fn schema() -> impl Strategy<Value = SchemaRef> {
    vec((name(), data_type(), any::<bool>()), 1..6).prop_map(|columns| {
        let field = |(name, data_type, nullable)| Field::new(name, data_type, nullable);
        Arc::new(Schema::new(
            columns.into_iter().map(field).collect::<Vec<_>>(),
        ))
    })
}

/// Columns in a few partitions.
fn over(schema: SchemaRef, partitions: usize) -> Plan {
    let rows = Arc::new(EmptyExec::new(schema));
    let dealt = RepartitionExec::try_new(rows, Partitioning::RoundRobinBatch(partitions));
    Arc::new(dealt.unwrap())
}

fn input() -> impl Strategy<Value = Plan> {
    (schema(), 1..5_usize).prop_map(|(schema, partitions)| over(schema, partitions))
}

fn rule() -> impl Strategy<Value = CellRule> {
    (data_type(), any::<bool>(), option::of(any::<u32>())).prop_map(
        |(data_type, guessed, max_chars)| CellRule {
            data_type,
            guessed,
            max_chars,
        },
    )
}

fn checked_cast() -> impl Strategy<Value = Plan> {
    let columns = vec(
        (
            name(),
            rule(),
            option::of(any::<prop::sample::Index>()),
            any::<bool>(),
        ),
        1..5,
    );
    (input(), columns).prop_map(|(input, columns)| {
        let width = input.schema().fields().len();
        let columns = columns
            .into_iter()
            .map(|(name, rule, from, checked)| CastColumn {
                name,
                // A cast's types are declared.
                rule: CellRule {
                    guessed: false,
                    ..rule
                },
                from: from.map(|from| from.index(width)),
                checked,
            });
        let columns = Arc::new(columns.collect());
        Arc::new(CheckedCastExec::try_new(input, columns).unwrap()) as _
    })
}

fn text_format() -> impl Strategy<Value = TextFormat> {
    let texts = || vec(name(), 1..4);
    prop_oneof![
        (any::<[u8; 2]>(), any::<[bool; 2]>(), texts(), texts()).prop_map(
            |([delimiter, quote], [header, newlines_in_values], null_values, names)| {
                TextFormat::Csv(CsvFormat {
                    delimiter,
                    quote,
                    header,
                    newlines_in_values,
                    null_values,
                    names,
                })
            }
        ),
        (texts(), any::<bool>(), texts()).prop_map(|(names, ignore_others, null_values)| {
            TextFormat::Json(JsonFormat {
                names,
                ignore_others,
                null_values,
            })
        }),
    ]
}

fn text_scan() -> impl Strategy<Value = Plan> {
    let compression = prop::sample::select(vec![
        FileCompressionType::UNCOMPRESSED,
        FileCompressionType::GZIP,
        FileCompressionType::ZSTD,
        FileCompressionType::BZIP2,
        FileCompressionType::XZ,
    ]);
    let columns = vec((name(), rule(), 0..3_u8, 0..1_usize), 1..5);
    (input(), text_format(), compression, columns).prop_map(
        |(input, format, compression, columns)| {
            let columns = columns
                .into_iter()
                .map(|(name, rule, from, place)| TextColumn {
                    name,
                    rule,
                    from: match from {
                        0 => Origin::File(place),
                        1 => Origin::Path(place),
                        _ => Origin::Missing,
                    },
                });
            let scan = TextScan {
                format,
                compression,
                columns: columns.collect(),
            };
            Arc::new(TextScanExec::try_new(input, Arc::new(scan)).unwrap()) as _
        },
    )
}

fn join() -> impl Strategy<Value = Plan> {
    let joined = prop::sample::select(vec![
        JoinType::Inner,
        JoinType::Left,
        JoinType::Right,
        JoinType::Full,
        JoinType::LeftSemi,
        JoinType::RightAnti,
    ]);
    let kind = (0..3_u8, joined, any::<[bool; 3]>());
    (schema(), 1..5_usize, 1..5_usize, kind).prop_map(
        |(schema, left, right, (kind, joined, [collected, nulls_match, one_task]))| {
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(schema.field(0).name(), 0));
            let (left, right) = (over(Arc::clone(&schema), left), over(schema, right));
            let join: Plan = match kind {
                0 => Arc::new(CrossJoinExec::new(left, right)),
                1 => {
                    Arc::new(NestedLoopJoinExec::try_new(left, right, None, &joined, None).unwrap())
                }
                _ => {
                    let mode = match collected {
                        true => PartitionMode::CollectLeft,
                        false => PartitionMode::Partitioned,
                    };
                    let nulls = match nulls_match {
                        true => NullEquality::NullEqualsNull,
                        false => NullEquality::NullEqualsNothing,
                    };
                    let on = vec![(Arc::clone(&column), column)];
                    let join = HashJoinExec::try_new(
                        left, right, on, None, &joined, None, mode, nulls, false,
                    );
                    Arc::new(join.unwrap())
                }
            };
            Arc::new(PlannedJoinExec::new(join, one_task)) as _
        },
    )
}

fn gather() -> impl Strategy<Value = Plan> {
    (schema(), vec(1..5_usize, 1..4)).prop_map(|(schema, partitions)| {
        let inputs = partitions.into_iter().map(|n| over(Arc::clone(&schema), n));
        Arc::new(GatherExec::try_new(inputs.collect()).unwrap()) as _
    })
}

fn unclaimed() -> impl Strategy<Value = Plan> {
    // The others stand in plans that are still being made.
    let forget = prop_oneof![Just(Forget::All), Just(Forget::Windows)];
    (input(), forget).prop_map(|(input, forget)| Arc::new(UnclaimedExec::new(input, forget)) as _)
}

fn recursive() -> impl Strategy<Value = Plan> {
    (name(), schema(), any::<bool>()).prop_map(|(name, schema, distinct)| {
        let table = WorkTableExec::new(name.clone(), Arc::clone(&schema), None).unwrap();
        let fixed = over(Arc::clone(&schema), 1);
        let query =
            RecursiveQueryExec::try_new(name, schema, fixed, Arc::new(table), distinct).unwrap();
        Arc::new(query) as _
    })
}

fn node() -> impl Strategy<Value = Plan> {
    let node = prop_oneof![
        checked_cast(),
        text_scan(),
        join(),
        gather(),
        unclaimed(),
        recursive(),
        input().prop_flat_map(topk),
    ];
    (node, any::<bool>()).prop_map(|(node, whole)| match whole {
        true => Arc::new(OneTaskExec::new(node)) as _,
        false => node,
    })
}

/// What a node knows and does not show.
fn hidden(node: &Plan) -> String {
    if let Some(scan) = node.downcast_ref::<TextScanExec>() {
        format!("{:?}", scan.read())
    } else if let Some(cast) = node.downcast_ref::<CheckedCastExec>() {
        format!("{cast:?}")
    } else if let Some(join) = node.downcast_ref::<PlannedJoinExec>() {
        let requirements = join.input_distribution_requirements();
        let inputs: Vec<_> = requirements.per_child_distributions().collect();
        format!("{} {} {inputs:?}", join.join().name(), join.one_task())
    } else if let Some(unclaimed) = node.downcast_ref::<UnclaimedExec>() {
        format!("{:?}", unclaimed.forget())
    } else if let Some(task) = node.downcast_ref::<OneTaskExec>() {
        format!("{}\n{}", tree(task.plan()), hidden(task.plan()))
    } else {
        described(node)
    }
}

fn tree(plan: &Plan) -> String {
    displayable(plan.as_ref()).indent(true).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_node_is_after_the_wire_what_it_was_before(node in node()) {
        let received = sent(&node, &TaskContext::default()).unwrap();
        prop_assert_eq!(tree(&received), tree(&node));
        prop_assert_eq!(hidden(&received), hidden(&node));
        prop_assert_eq!(received.schema(), node.schema());
        let dealt = |plan: &Plan| plan.output_partitioning().to_string();
        prop_assert_eq!(dealt(&received), dealt(&node));
        prop_assert_eq!(received.output_ordering(), node.output_ordering());
        prop_assert_eq!(received.boundedness(), node.boundedness());
        prop_assert_eq!(received.pipeline_behavior(), node.pipeline_behavior());
        prop_assert_eq!(received.maintains_input_order(), node.maintains_input_order());
    }
}
