//! The Python scripts and this crate sum rows up the same way; the scenarios rely on it.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, ListArray,
    RecordBatch, StringViewArray, StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::parquet::arrow::ArrowWriter;

use crate::support::checksum::{Summary, summary};
use crate::support::prerequisites;

#[test]
fn python_and_rust_agree_on_checksums() {
    let Some(python) = prerequisites::python() else {
        return;
    };
    let sizes = StructArray::from(vec![(
        Arc::new(Field::new("w", DataType::Int32, true)),
        Arc::new(Int32Array::from(vec![Some(7), None, Some(9)])) as ArrayRef,
    )]);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let decimals = Decimal128Array::from(vec![Some(110), Some(-5), None])
        .with_precision_and_scale(12, 2)
        .unwrap();
    let columns: [(&str, ArrayRef); 8] = [
        ("id", Arc::new(Int32Array::from(vec![1, -2, 3]))),
        (
            "name",
            Arc::new(StringViewArray::from(vec![Some("a"), None, Some("ü|,")])),
        ),
        ("price", Arc::new(decimals)),
        (
            "ratio",
            Arc::new(Float64Array::from(vec![0.1 + 0.2, 1e300, -2.5e-7])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(19_782), None, Some(-1)])),
        ),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![0, -1, 1_700_000_000_123_456])
                    .with_timezone("UTC"),
            ),
        ),
        (
            "current",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        ("sizes", Arc::new(sizes)),
    ];
    let mut columns = columns.to_vec();
    columns.push(("list", Arc::new(lists)));
    let batch = RecordBatch::try_from_iter(columns).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.parquet");
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let printed = python.run("read_parquet.py", &[file.to_str().unwrap()]);
    assert_eq!(Summary::from_json(&printed), summary(&[batch]));
}
