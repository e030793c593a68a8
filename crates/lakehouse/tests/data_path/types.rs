use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::{
    DataType, Field, Fields, Int32Type, IntervalUnit, Schema, TimeUnit,
};
use retail_lakehouse::LakehouseError;

use crate::harness::{Harness, error_of, named, options, rows};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(
        Arc::new(schema),
        columns.into_iter().map(|(_, array)| array).collect(),
    )
    .unwrap()
}

/// Every supported type: a value, an extreme or negative one, and null.
fn every_type() -> RecordBatch {
    let decimal = |values: Vec<Option<i128>>, p, s| {
        Arc::new(
            Decimal128Array::from(values)
                .with_precision_and_scale(p, s)
                .unwrap(),
        ) as ArrayRef
    };
    let micros = |zone: Option<&str>| {
        let times =
            TimestampMicrosecondArray::from(vec![Some(1_510_871_468_000_001), Some(-1), None]);
        Arc::new(times.with_timezone_opt(zone.map(str::to_owned))) as ArrayRef
    };
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        Some(vec![]),
        None,
    ]);
    let inner = Fields::from(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
    ]);
    let nested = StructArray::try_new(
        inner,
        vec![
            Arc::new(Int64Array::from(vec![Some(7), None, None])),
            Arc::new(StringArray::from(vec!["x", "y", "z"])),
        ],
        Some(vec![true, true, false].into()),
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(5);
    map.append(true).unwrap();
    map.append(true).unwrap();
    map.append(false).unwrap();
    batch(vec![
        (
            "boolean",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        (
            "int8",
            Arc::new(Int8Array::from(vec![Some(-128), Some(127), None])),
        ),
        (
            "int16",
            Arc::new(Int16Array::from(vec![Some(-32768), Some(1), None])),
        ),
        (
            "int32",
            Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(1), None])),
        ),
        (
            "int64",
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(1), None])),
        ),
        (
            "uint32",
            Arc::new(UInt32Array::from(vec![Some(u32::MAX), Some(1), None])),
        ),
        (
            "uint64",
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(1), None])),
        ),
        (
            "float32",
            Arc::new(Float32Array::from(vec![Some(f32::NAN), Some(-0.5), None])),
        ),
        (
            "float64",
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(-1.5), None])),
        ),
        (
            "small_decimal",
            decimal(vec![Some(1420), Some(-1), None], 7, 2),
        ),
        (
            "decimal",
            decimal(vec![Some(123_456_789_012), Some(-129), None], 18, 4),
        ),
        (
            "big_decimal",
            decimal(
                vec![Some(10i128.pow(30)), Some(-(10i128.pow(30))), None],
                38,
                10,
            ),
        ),
        (
            "date",
            Arc::new(Date32Array::from(vec![Some(17_486), Some(-1), None])),
        ),
        ("ts", micros(None)),
        ("tz", micros(Some("+00:00"))),
        (
            "ns",
            Arc::new(TimestampNanosecondArray::from(vec![
                Some(1_510_871_468_000_001_000),
                Some(-1000),
                None,
            ])),
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![Some("größe"), Some(""), None])),
        ),
        (
            "view",
            Arc::new(StringViewArray::from(vec![
                Some("a text that is longer than a view"),
                Some("b"),
                None,
            ])),
        ),
        (
            "large",
            Arc::new(LargeStringArray::from(vec![Some("l"), Some("m"), None])),
        ),
        (
            "binary",
            Arc::new(BinaryArray::from(vec![
                Some(&b"\x00\xff"[..]),
                Some(&b""[..]),
                None,
            ])),
        ),
        (
            "dictionary",
            Arc::new(
                vec![Some("web"), Some("shop"), None]
                    .into_iter()
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
        ("list", Arc::new(list)),
        ("nested", Arc::new(nested.unwrap())),
        ("map", Arc::new(map.finish())),
    ])
}

#[tokio::test]
async fn every_type_comes_back_as_it_was() {
    let harness = Harness::new().await;
    let original = every_type();
    let written = harness.write_batch("lake.t", original.clone(), &[]).await;
    assert_eq!(written.table.row_count(), 3);
    let back = harness.query("lake.t", "SELECT * FROM t").await;
    // Texts do not distinguish 1.0 from 1, so that a widened type shows the same; the types are compared below.
    assert_eq!(back, rows(&[original]));

    let types = [
        ("int8", DataType::Int32),
        ("int16", DataType::Int32),
        ("uint32", DataType::Int64),
        ("uint64", DataType::Decimal128(20, 0)),
        ("small_decimal", DataType::Decimal128(7, 2)),
        ("ts", DataType::Timestamp(TimeUnit::Microsecond, None)),
        (
            "tz",
            DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        ),
        ("ns", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("view", DataType::Utf8),
        ("large", DataType::Utf8),
        ("dictionary", DataType::Utf8),
    ];
    for (name, expected) in types {
        let schema = written.table.arrow_schema();
        assert_eq!(
            schema.field_with_name(name).unwrap().data_type(),
            &expected,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_zone_is_the_same_moment_in_utc() {
    let harness = Harness::new().await;
    let times = TimestampSecondArray::from(vec![1_510_871_468]).with_timezone("+02:00");
    harness
        .write_batch("lake.t", batch(vec![("at", Arc::new(times))]), &[])
        .await;
    let back = harness
        .query("lake.t", "SELECT CAST(at AS bigint) FROM t")
        .await;
    assert_eq!(back, ["1510871468000000"]);
}

#[tokio::test]
async fn a_wall_clock_is_published_as_one_and_an_instant_in_utc() {
    let harness = Harness::new().await;
    // Half past two in Berlin, and the instant at which clocks there show it.
    let wall = TimestampMicrosecondArray::from(vec![1_719_801_000_000_000]);
    let instant = TimestampMicrosecondArray::from(vec![1_719_793_800_000_000]);
    let instant = instant.with_timezone("Europe/Berlin");
    let columns: Vec<(&str, ArrayRef)> =
        vec![("wall", Arc::new(wall)), ("instant", Arc::new(instant))];
    let written = harness.write_batch("lake.t", batch(columns), &[]).await;
    let schema = written.metadata.current_schema();
    let of = |name: &str| schema.field_by_name(name).unwrap().field_type.to_string();
    assert_eq!(
        (of("wall"), of("instant")),
        ("timestamp".to_owned(), "timestamptz".to_owned())
    );
    assert_eq!(
        harness.query("lake.t", "SELECT wall, instant FROM t").await,
        ["2024-07-01T02:30:00 2024-07-01T00:30:00Z"]
    );
    // A column that changes from one to the other is another column.
    let later = TimestampMicrosecondArray::from(vec![1_719_801_000_000_000]);
    let written = harness
        .write_batch("lake.t", batch(vec![("instant", Arc::new(later))]), &[])
        .await;
    let schema = written.metadata.current_schema();
    let field = schema.field_by_name("instant").unwrap();
    assert_eq!(
        (field.id, field.field_type.to_string()),
        (3, "timestamp".to_owned())
    );
}

#[tokio::test]
async fn metrics_describe_the_file() {
    let harness = Harness::new().await;
    let written = harness.write_batch("lake.t", every_type(), &[]).await;
    let [file] = written.files.as_slice() else {
        panic!("{} files", written.files.len())
    };
    let path = file.file_path().strip_prefix("file://").unwrap();
    assert_eq!(
        file.file_size_in_bytes(),
        std::fs::metadata(path).unwrap().len()
    );
    assert_eq!(file.record_count(), 3);
    let schema = written.metadata.current_schema();
    let id = |name: &str| schema.field_id_by_name(name).unwrap();
    let bounds = |name: &str| {
        let bound = |bounds: &std::collections::HashMap<i32, iceberg::spec::Datum>| {
            bounds.get(&id(name)).map(ToString::to_string)
        };
        (bound(file.lower_bounds()), bound(file.upper_bounds()))
    };
    let expected = |low: &str, high: &str| (Some(low.to_owned()), Some(high.to_owned()));
    assert_eq!(bounds("small_decimal"), expected("-0.01", "14.20"));
    assert_eq!(bounds("decimal"), expected("-0.0129", "12345678.9012"));
    assert_eq!(
        bounds("big_decimal"),
        expected(
            "-100000000000000000000.0000000000",
            "100000000000000000000.0000000000"
        )
    );
    assert_eq!(bounds("date"), expected("1969-12-31", "2017-11-16"));
    assert_eq!(bounds("int64"), expected(&i64::MIN.to_string(), "1"));
    assert_eq!(file.null_value_counts()[&id("int64")], 1);
    assert_eq!(file.value_counts()[&id("int64")], 3);
    assert_eq!(file.nan_value_counts()[&id("float64")], 1);
    assert_eq!(file.nan_value_counts()[&id("float32")], 1);
}

#[tokio::test]
async fn a_long_texts_upper_bound_is_not_below_it() {
    let harness = Harness::new().await;
    let long = "k".repeat(100);
    let at_limit = format!("{}\u{10ffff}tail", "z".repeat(63));
    let texts = StringArray::from(vec![long.as_str(), at_limit.as_str()]);
    let written = harness
        .write_batch("lake.t", batch(vec![("code", Arc::new(texts))]), &[])
        .await;
    let file = &written.files[0];
    let bytes = |bound: &iceberg::spec::Datum| bound.to_bytes().unwrap().into_vec();
    assert!(bytes(&file.upper_bounds()[&1]) >= at_limit.clone().into_bytes());
    assert!(bytes(&file.upper_bounds()[&1]).len() < 80);
    assert_eq!(bytes(&file.lower_bounds()[&1]), "k".repeat(64).into_bytes());
    for text in [&long, &at_limit] {
        let found = harness
            .query(
                "lake.t",
                &format!("SELECT count(*) FROM t WHERE code = '{text}'"),
            )
            .await;
        assert_eq!(found, ["1"]);
    }
}

#[tokio::test]
async fn an_unsupported_type_is_named_with_its_column() {
    let harness = Harness::new().await;
    for data_type in [
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Null,
    ] {
        let inner = Fields::from(vec![Field::new("deep", data_type.clone(), true)]);
        for (column, data_type) in [("wait", data_type), ("outer.deep", DataType::Struct(inner))] {
            let name = column.split('.').next().unwrap();
            let columns = Arc::new(Schema::new(vec![Field::new(name, data_type, true)]));
            let error = error_of(harness.lakehouse.begin_write(
                &named("lake.t"),
                None,
                &columns,
                &options(&[]),
            ));
            assert!(
                matches!(error, LakehouseError::UnsupportedType { .. }),
                "{error}"
            );
            assert!(
                error
                    .to_string()
                    .contains(&format!("column {column} of table lake.t")),
                "{error}"
            );
        }
    }
}
