"""Makes tables that were evolved, imported or partitioned in ways in which our programs make none: one for each rule of
reading that docs/iceberg.md names. Prints the names of those that PyIceberg reads back, with their rows.
"""

import datetime
import decimal
import json
import pathlib
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform, TruncateTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

import lake

UTC = datetime.timezone.utc


def field(id, name, kind, required=False):
    return NestedField(id, name, kind, required=required)


class Lake:
    def __init__(self, options):
        self.catalog = lake.open_catalog(options)
        self.catalog.properties["warehouse"] = options.warehouse
        self.catalog.create_namespace_if_not_exists("ice")
        self.folder = pathlib.Path(options.warehouse.removeprefix("file://")) / "imported"
        self.folder.mkdir(parents=True, exist_ok=True)

    def table(self, name, *fields, spec=PartitionSpec(), **properties):
        properties = {key.replace("__", ".").replace("_", "-"): value for key, value in properties.items()}
        return self.catalog.create_table(
            f"ice.{name}", schema=Schema(*fields), partition_spec=spec, properties=properties
        )

    def append(self, table, rows):
        """Appends rows in the table's current schema."""
        table.append(pa.Table.from_pylist(rows, schema=table.schema().as_arrow()))

    def file(self, path, rows):
        """A Parquet file without field ids, as any program writes one."""
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, path)
        return f"file://{path}"

    def add(self, table, path, rows, partition=Record(), **more):
        """Adds a file to the table by its path and row count alone, without any metrics."""
        file = DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=path,
            file_format=more.get("format", FileFormat.PARQUET),
            partition=partition,
            record_count=rows,
            file_size_in_bytes=pathlib.Path(path.removeprefix("file://")).stat().st_size,
            column_sizes={},
            value_counts={},
            null_value_counts={},
            nan_value_counts={},
            lower_bounds={},
            upper_bounds={},
            split_offsets=[4],
            key_metadata=more.get("key"),
        )
        file.spec_id = table.spec().spec_id
        with table.transaction() as transaction:
            with transaction.update_snapshot().fast_append() as append:
                append.append_data_file(file)


def nested(here):
    """Every kind of change inside a struct, a list and a map, between two appends."""
    line = StructType(field(10, "sku", StringType()), field(11, "amount", IntegerType()))
    note = StructType(field(12, "text", StringType()), field(13, "by", StringType()))
    place = StructType(
        field(5, "city", StringType()),
        field(6, "zip", IntegerType()),
        field(7, "geo", StructType(field(8, "lat", DoubleType()), field(9, "lon", FloatType()))),
    )
    table = here.table(
        "nested",
        field(1, "id", LongType()),
        field(2, "place", place),
        field(3, "lines", ListType(14, line, element_required=False)),
        field(4, "notes", MapType(15, StringType(), 16, note, value_required=False)),
    )
    first = {
        "id": 1,
        "place": {"city": "Ulm", "zip": 89073, "geo": {"lat": 48.5, "lon": 9.75}},
        "lines": [{"sku": "a", "amount": 1}, {"sku": "b", "amount": 2}],
        "notes": {"k": {"text": "late", "by": "eva"}},
    }
    here.append(table, [first, {"id": 2, "place": None, "lines": None, "notes": None}])
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.rename_column(("place", "city"), "town")
        update.update_column(("place", "zip"), LongType())
        update.move_first(("place", "zip"))
        update.add_column(("place", "country"), StringType())
        update.delete_column(("place", "geo", "lat"))
        update.update_column(("place", "geo", "lon"), DoubleType())
        update.rename_column(("lines", "sku"), "code")
        update.update_column(("lines", "amount"), LongType())
        update.add_column(("lines", "unit"), StringType())
        update.delete_column(("notes", "by"))
    with table.update_schema() as update:
        update.add_column(("place", "geo", "lat"), StringType())
        update.add_column(("notes", "by"), IntegerType())
    second = {
        "id": 3,
        "place": {"zip": 5_000_000_000, "town": "Bonn", "geo": {"lon": 7.5, "lat": "north"}, "country": "DE"},
        "lines": [{"code": "c", "amount": 5_000_000_000, "unit": "kg"}],
        "notes": {"k": {"text": "ok", "by": 7}},
    }
    here.append(table, [second])


def imported(here):
    """Files without ids, one before and one after a rename: the name mapping has both names, also inside."""
    kinds = pa.struct([("city", pa.string()), ("zip", pa.int32())])
    old = pa.table({"id": pa.array([1], pa.int64()), "amount": pa.array([10], pa.int32()),
                    "place": pa.array([{"city": "Ulm", "zip": 1}], kinds), "tags": pa.array([["x", "y"]], pa.list_(pa.string())),
                    "extra": pa.array(["not a column"])})
    table = here.table(
        "imported",
        field(1, "id", LongType()),
        field(2, "amount", IntegerType()),
        field(3, "place", StructType(field(5, "city", StringType()), field(6, "zip", IntegerType()))),
        field(4, "tags", ListType(7, StringType(), element_required=False)),
    )
    table.add_files([here.file("old.parquet", old.drop_columns("extra"))])
    here.add(table, here.file("extra.parquet", old.set_column(0, "id", pa.array([4], pa.int64()))), 1)
    with table.update_schema() as update:
        update.rename_column("amount", "total")
        update.rename_column(("place", "city"), "town")
    new = pa.table({"id": pa.array([2], pa.int64()), "total": pa.array([20], pa.int32()),
                    "place": pa.array([{"zip": 2, "town": "Bonn"}], pa.struct([("zip", pa.int32()), ("town", pa.string())])),
                    "tags": pa.array([["z"]], pa.list_(pa.string()))})
    here.add(table, here.file("new.parquet", new), 1)


def two_names(here):
    """A file that has a column under both names that the mapping has for it."""
    table = here.table("two_names", field(1, "id", LongType()), field(2, "amount", IntegerType()))
    table.add_files([here.file("a.parquet", pa.table({"id": pa.array([1], pa.int64()), "amount": pa.array([1], pa.int32())}))])
    with table.update_schema() as update:
        update.rename_column("amount", "total")
    both = pa.table({"id": pa.array([1], pa.int64()), "amount": pa.array([1], pa.int32()), "total": pa.array([2], pa.int32())})
    here.add(table, here.file("both.parquet", both), 1)


def without_ids(here):
    table = here.table("without_ids", field(1, "id", LongType()))
    here.add(table, here.file("plain.parquet", pa.table({"id": pa.array([1], pa.int64())})), 1)


def hive(here):
    """Files of Hive's folders: the partition's columns are in the path and in the manifest, not in the file."""
    spec = PartitionSpec(
        PartitionField(2, 1000, IdentityTransform(), "region"),
        PartitionField(3, 1001, IdentityTransform(), "day"),
        PartitionField(4, 1002, IdentityTransform(), "price"),
    )
    fields = [field(1, "id", LongType()), field(2, "region", StringType()), field(3, "day", DateType()),
              field(4, "price", DecimalType(9, 2)), field(5, "shop", IntegerType())]
    mapping = json.dumps([{"field-id": i, "names": [name]} for i, name in enumerate(["id", "region", "day", "price", "shop"], 1)])
    table = here.table("hive", *fields, spec=spec, schema__name_mapping__default=mapping)
    for index, (region, day, price) in enumerate(
        [("North West", datetime.date(2024, 2, 29), decimal.Decimal("9.99")), ("a/b", None, decimal.Decimal("-0.01")), (None, datetime.date(1969, 12, 31), None)]
    ):
        folder = f"region={['North%20West', 'a%2Fb', '__HIVE_DEFAULT_PARTITION__'][index]}"
        path = here.file(f"{folder}/f.parquet", pa.table({"id": pa.array([10 * index, 10 * index + 1], pa.int64())}))
        days = None if day is None else (day - datetime.date(1970, 1, 1)).days
        here.add(table, path, 2, Record(region, days, price))
    with table.update_schema() as update:
        update.rename_column("region", "area")
    with table.update_spec() as update:
        update.remove_field("region")
    here.append(table, [{"id": 90, "area": "South", "day": datetime.date(2024, 3, 1), "price": decimal.Decimal("1.00"), "shop": 5}])


def partitions(here):
    """A spec that changes: none, identity, bucket and truncate, and a field that is gone."""
    mapping = json.dumps([{"field-id": i, "names": [name]} for i, name in enumerate(["id", "shop", "at"], 1)])
    fields = [field(1, "id", LongType()), field(2, "shop", StringType()), field(3, "at", TimestampType())]
    table = here.table("partitions", *fields, schema__name_mapping__default=mapping)
    row = lambda id, shop: {"id": id, "shop": shop, "at": datetime.datetime(2024, 1, 1, id)}
    here.append(table, [row(1, "a"), row(2, "b")])
    with table.update_spec() as update:
        update.add_identity("shop")
    here.append(table, [row(3, "a"), row(4, "b")])
    with table.update_spec() as update:
        update.remove_field("shop")
        update.add_field("id", BucketTransform(4), "id_bucket")
        update.add_field("shop", TruncateTransform(1), "shop_trunc")
        update.add_field("at", DayTransform(), "at_day")
    rows = pa.Table.from_pylist([row(5, "a"), row(6, "ab")])
    here.add(table, here.file("partitions.parquet", rows), 2, Record(0, "a", 19723))


def promoted(here):
    """Columns that were promoted, with bounds from before."""
    table = here.table("promoted", field(1, "n", IntegerType()), field(2, "f", FloatType()), field(3, "d", DecimalType(5, 2)))
    here.append(table, [{"n": -7, "f": 0.5, "d": decimal.Decimal("-1.25")}, {"n": 7, "f": 1.5, "d": decimal.Decimal("999.99")}])
    with table.update_schema() as update:
        update.update_column("n", LongType())
        update.update_column("f", DoubleType())
        update.update_column("d", DecimalType(12, 2))
    here.append(table, [{"n": 5_000_000_000, "f": 1e300, "d": decimal.Decimal("9999999999.99")}])


def times(here):
    """A wall clock and an instant that show the same digits, and the types that few tables have."""
    table = here.table(
        "times", field(1, "id", LongType()), field(2, "wall", TimestampType()), field(3, "instant", TimestamptzType()), field(4, "t", TimeType()),
        field(5, "u", UUIDType()), field(6, "fx", FixedType(3)), field(7, "b", BinaryType()), field(8, "ok", BooleanType()),
    )
    wall = datetime.datetime(2024, 3, 31, 2, 30, 0, 1)
    rows = {
        "id": pa.array([1, 2], pa.int64()),
        "wall": pa.array([wall, None], pa.timestamp("us")),
        "instant": pa.array([wall.replace(tzinfo=UTC), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "t": pa.array([datetime.time(23, 59, 59, 999999), None], pa.time64("us")),
        "u": pa.array([uuid.UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7").bytes, None], pa.binary(16)),
        "fx": pa.array([b"abc", None], pa.binary(3)),
        "b": pa.array([b"\x00\xff", b""], pa.large_binary()),
        "ok": pa.array([True, None]),
    }
    table.append(pa.table(rows))


def units(here):
    """Timestamps in other units than Iceberg's, and Spark's old INT96."""
    def one(name, kind, values, **options):
        path = here.folder / f"{name}.parquet"
        pq.write_table(pa.table({"at": pa.array(values, kind)}), path, **options)
        table = here.table(name, field(1, "at", TimestamptzType() if kind.tz else TimestampType()),
                           schema__name_mapping__default='[{"field-id": 1, "names": ["at"]}]')
        here.add(table, f"file://{path}", len(values))

    one("milliseconds", pa.timestamp("ms"), [1_500, None])
    one("nanoseconds", pa.timestamp("ns"), [1_500_000, None])
    one("lost_nanoseconds", pa.timestamp("ns"), [1_500_001])
    one("int96", pa.timestamp("us", "UTC"), [-2_208_988_800_000_000, 1_500], use_deprecated_int96_timestamps=True)
    path = here.folder / "zoneless.parquet"
    pq.write_table(pa.table({"at": pa.array([1_500], pa.timestamp("us"))}), path)
    table = here.table("zone_mixed", field(1, "at", TimestamptzType()), schema__name_mapping__default='[{"field-id": 1, "names": ["at"]}]')
    here.add(table, f"file://{path}", 1)


def floats(here):
    """NaN, which no bound holds, zeros of both signs, and a column that is all NaN."""
    table = here.table("floats", field(1, "id", LongType()), field(2, "x", DoubleType()), field(3, "y", FloatType()))
    nan = float("nan")
    here.append(table, [{"id": 1, "x": nan, "y": nan}, {"id": 2, "x": -0.0, "y": nan}, {"id": 3, "x": 1.0, "y": nan}])
    here.append(table, [{"id": 4, "x": 5.0, "y": None}, {"id": 5, "x": 0.0, "y": 2.0}])


def texts(here):
    """Text bounds, which PyIceberg cuts to 16 characters, and one that cannot be rounded up."""
    table = here.table("texts", field(1, "id", LongType()), field(2, "code", StringType()))
    top = "\U0010ffff" * 20
    here.append(table, [{"id": 1, "code": "k" * 30}, {"id": 2, "code": "k" * 16}])
    here.append(table, [{"id": 3, "code": top}, {"id": 4, "code": None}])
    table.append(pa.table({"id": pa.array([5], pa.int64()), "code": pa.array(["z" * 40])}))


def spelled(here):
    """Names that differ in case only, and names that engines give to columns of their own."""
    table = here.table("spelled", field(1, "Amount", LongType()), field(2, "amount", LongType()), field(3, "_file", StringType()), field(4, "_pos", LongType()))
    here.append(table, [{"Amount": 1, "amount": 2, "_file": "f", "_pos": 9}])


def required(here):
    """A required column that a file does not have."""
    table = here.table("required", field(1, "id", LongType()), field(2, "must", LongType(), required=True),
                       schema__name_mapping__default='[{"field-id": 1, "names": ["id"]}, {"field-id": 2, "names": ["must"]}]')
    here.add(table, here.file("must.parquet", pa.table({"id": pa.array([1], pa.int64())})), 1)


def refused(here):
    """Files of other formats, and an encrypted one."""
    for name, more in {"orc": {"format": FileFormat.ORC}, "avro": {"format": FileFormat.AVRO}, "encrypted": {"key": b"k"}}.items():
        table = here.table(name, field(1, "id", LongType()))
        here.add(table, here.file(f"{name}.parquet", pa.table({"id": pa.array([1], pa.int64())})), 1, **more)


CASES = [nested, imported, two_names, without_ids, hive, partitions, promoted, times, units, floats, texts, spelled, required, refused]

if __name__ == "__main__":
    parser = lake.arguments(__doc__)
    parser.add_argument("--warehouse", required=True, help="file:///abs/folder")
    here = Lake(parser.parse_args())
    for case in CASES:
        case(here)
    read = {}
    for name, table in lake.tables(here.catalog):
        try:
            read[name] = [[lake.text(value) for value in row.values()] for row in lake.read_with_pyiceberg(table).to_pylist()]
        except Exception as error:  # what PyIceberg refuses is reported, not hidden
            read[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(read, indent=1))
