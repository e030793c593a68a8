//! What a scan and a write know travels whole.

use iceberg::spec::{MappedField, NameMapping, NestedField, PrimitiveType, Transform, Type};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use retail_api::TableName;

use super::*;

fn table_name() -> impl Strategy<Value = TableName> {
    ("[a-z]{1,4}", "[a-zA-Z0-9_]{1,9}")
        .prop_map(|(namespace, name)| TableName::new(namespace, name))
}

fn primitive() -> impl Strategy<Value = PrimitiveType> {
    prop_oneof![
        Just(PrimitiveType::Boolean),
        Just(PrimitiveType::Int),
        Just(PrimitiveType::Long),
        Just(PrimitiveType::Double),
        Just(PrimitiveType::Date),
        Just(PrimitiveType::Timestamptz),
        Just(PrimitiveType::String),
        (1..=38_u32).prop_map(|precision| PrimitiveType::Decimal {
            precision,
            scale: precision / 2,
        }),
    ]
}

/// Columns of any names and ids, each name and id once.
fn schema() -> impl Strategy<Value = Schema> {
    let column = (any::<String>(), primitive(), any::<bool>());
    (vec(column, 1..6), 1..1000_i32).prop_map(|(columns, first)| {
        let fields = (first..).zip(columns).map(|(id, (name, kind, required))| {
            let name = format!("{id}{name}");
            NestedField::new(id, name, Type::Primitive(kind), required).into()
        });
        let fields: Vec<_> = fields.collect();
        Schema::builder().with_fields(fields).build().unwrap()
    })
}

fn constant() -> impl Strategy<Value = ScalarValue> {
    prop_oneof![
        option::of(any::<i32>()).prop_map(ScalarValue::Int32),
        option::of(any::<i64>()).prop_map(ScalarValue::Int64),
        option::of(any::<String>()).prop_map(ScalarValue::Utf8),
        option::of(any::<i32>()).prop_map(ScalarValue::Date32),
        option::of(any::<i128>()).prop_map(|value| ScalarValue::Decimal128(value, 38, 6)),
        option::of(any::<i64>())
            .prop_map(|value| ScalarValue::TimestampMicrosecond(value, Some("+00:00".into()))),
    ]
}

fn deleted() -> impl Strategy<Value = DeletedRows> {
    let positions = prop::collection::btree_set(prop_oneof![0..9_u64, any::<u64>()], 0..9);
    (any::<String>(), positions, any::<u64>()).prop_map(|(path, positions, more)| {
        let last = positions.last().map_or(0, |last| last.saturating_add(1));
        DeletedRows {
            path,
            rows: last.saturating_add(more),
            positions: positions.into_iter().filter(|at| *at < u64::MAX).collect(),
        }
    })
}

fn mapping() -> impl Strategy<Value = NameMapping> {
    let field = (option::of(any::<i32>()), vec(any::<String>(), 0..3));
    vec(field, 0..3).prop_map(|fields| {
        let fields = fields
            .into_iter()
            .map(|(id, names)| MappedField::new(id, names, vec![]));
        NameMapping::new(fields.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn a_scan_knows_its_table_deletes_and_constants_after_the_wire(
        table in table_name(),
        schema in schema(),
        mapping in option::of(mapping()),
        deleted in vec(deleted(), 0..3),
        files in vec((any::<String>(), vec((any::<i32>(), constant()), 0..4)), 0..3),
    ) {
        let files = files.into_iter().map(|(path, constants)| FileColumns { path, constants });
        let facts = ScanFacts {
            table: Arc::new(TableColumns { table, schema: schema.into(), mapping }),
            deleted,
            files: files.collect(),
        };
        let received = decode_scan(&encode_scan(&facts).unwrap()).unwrap();
        prop_assert_eq!(received.deleted, facts.deleted);
        prop_assert_eq!(received.files, facts.files);
        prop_assert_eq!(&received.table.table, &facts.table.table);
        prop_assert_eq!(&received.table.schema, &facts.table.schema);
        prop_assert_eq!(&received.table.mapping, &facts.table.mapping);
    }

    #[test]
    fn a_write_knows_its_table_and_layout_after_the_wire(
        table in table_name(),
        data_location in any::<String>(),
        schema in schema(),
        buckets in 1..99_u32,
        target_file_bytes in any::<u64>(),
        write_id in any::<String>(),
    ) {
        let first = schema.as_struct().fields()[0].name.clone();
        let transform = match schema.as_struct().fields()[0].field_type.as_ref() {
            Type::Primitive(PrimitiveType::Boolean | PrimitiveType::Double) => Transform::Identity,
            _ => Transform::Bucket(buckets),
        };
        let partition = PartitionSpec::builder(schema.clone())
            .add_partition_field(&first, "the first", transform)
            .unwrap();
        let spec = WriteSpec {
            table,
            data_location,
            schema: schema.into(),
            partition: partition.build().unwrap().into(),
            target_file_bytes,
            write_id,
        };
        let received = decode_write(&encode_write(&spec).unwrap()).unwrap();
        prop_assert_eq!(received.table, spec.table);
        prop_assert_eq!(received.data_location, spec.data_location);
        prop_assert_eq!(received.schema, spec.schema);
        prop_assert_eq!(received.partition, spec.partition);
        prop_assert_eq!(received.target_file_bytes, spec.target_file_bytes);
        prop_assert_eq!(received.write_id, spec.write_id);
    }
}
