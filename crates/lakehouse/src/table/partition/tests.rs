use datafusion::arrow::array::{
    Date32Array, Decimal128Array, StringArray, TimestampMicrosecondArray,
};
use iceberg::spec::{NestedField, PrimitiveType};
use proptest::prelude::*;
use url::form_urlencoded;

use super::*;

fn hash_of(column: impl Array + 'static) -> i32 {
    // With the largest bucket count the bucket is the hash without its sign bit.
    buckets(i32::MAX as u32, &(Arc::new(column) as ArrayRef))
        .unwrap()
        .value(0)
}

fn expected(hash: i32) -> i32 {
    ((hash as u32 & i32::MAX as u32) % i32::MAX as u32) as i32
}

#[test]
fn bucket_hashes_are_those_of_the_specification() {
    assert_eq!(hash_of(Int32Array::from(vec![34])), expected(2_017_239_379));
    assert_eq!(
        hash_of(StringArray::from(vec!["iceberg"])),
        expected(1_210_000_089)
    );
    let decimal = Decimal128Array::from(vec![1420])
        .with_precision_and_scale(9, 2)
        .unwrap();
    assert_eq!(hash_of(decimal), expected(-500_754_589));
    assert_eq!(
        hash_of(Date32Array::from(vec![17_486])),
        expected(-653_330_422)
    );
    let time = TimestampMicrosecondArray::from(vec![1_510_871_468_000_000]);
    assert_eq!(hash_of(time), expected(-2_047_944_441));
}

#[test]
fn times_before_the_epoch_fall_into_the_earlier_partition() {
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
        Some(-1),
        Some(0),
        None,
    ]));
    let days = values(Transform::Day, &times).unwrap();
    assert_eq!(days.as_primitive::<Int32Type>().value(0), -1);
    assert_eq!(days.as_primitive::<Int32Type>().value(1), 0);
    assert!(days.is_null(2));
    let months = values(Transform::Month, &times).unwrap();
    assert_eq!(months.as_primitive::<Int32Type>().value(0), -1);
}

#[test]
fn a_partition_field_is_a_column_or_a_function_of_one() {
    assert_eq!(
        parse("order_date"),
        Some((Transform::Identity, "order_date"))
    );
    assert_eq!(
        parse("month( order_date )"),
        Some((Transform::Month, "order_date"))
    );
    assert_eq!(parse("bucket(16, id)"), Some((Transform::Bucket(16), "id")));
    assert_eq!(parse("bucket(0, id)"), None);
    assert_eq!(parse("week(ts)"), None);
}

#[test]
fn decimals_take_as_few_bytes_as_they_need() {
    assert_eq!(minimal_big_endian(0), [0]);
    assert_eq!(minimal_big_endian(-1), [0xff]);
    assert_eq!(minimal_big_endian(128), [0, 0x80]);
    assert_eq!(minimal_big_endian(-129), [0xff, 0x7f]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_partitions_folders_name_its_fields_and_values(
        names in prop::sample::subsequence(vec!["a", "naïve", "x=y", "s/t", "50%"], 1..=5),
        texts in prop::collection::vec(any::<String>(), 5),
    ) {
        let field = |(id, name): (i32, &&str)| {
            NestedField::optional(id, *name, Type::Primitive(PrimitiveType::String)).into()
        };
        let fields = (1..).zip(&names).map(field).collect::<Vec<_>>();
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        let mut spec = PartitionSpec::builder(schema.clone());
        for name in &names {
            spec = spec.add_partition_field(*name, *name, Transform::Identity).unwrap();
        }
        let partition = texts.iter().map(|text| Some(Literal::string(text)));
        let path = path(&spec.build().unwrap(), &schema, &Struct::from_iter(partition.take(names.len())));

        let shown: Vec<(String, String)> = path
            .split('/')
            .flat_map(|folder| form_urlencoded::parse(folder.as_bytes()).into_owned())
            .collect();
        let wanted = names.iter().zip(&texts).map(|(name, text)| ((*name).to_owned(), text.clone()));
        prop_assert_eq!(shown, wanted.collect::<Vec<_>>(), "{}", path);
        prop_assert!(path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.*_+%=/".contains(&b)), "{}", path);
    }
}
