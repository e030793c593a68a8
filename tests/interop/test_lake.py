"""The readers agree on tables that neither of our programs wrote: so a difference elsewhere is our table's fault."""

import datetime
import decimal
import os
import tempfile
import types
import unittest

import pyarrow as pa

import lake

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "name": pa.array(["a", None, "ü|\x1e"], pa.string()),
        "price": pa.array([decimal.Decimal("1.10"), decimal.Decimal("-0.05"), None], pa.decimal128(12, 2)),
        "ratio": pa.array([0.1 + 0.2, 1e300, -0.0], pa.float64()),
        "day": pa.array([datetime.date(2024, 2, 29), None, datetime.date(1969, 12, 31)], pa.date32()),
        "at": pa.array([0, -1, 1_700_000_000_123_456], pa.timestamp("us", tz="UTC")),
        "current": pa.array([True, False, None], pa.bool_()),
        "tags": pa.array([["x", "y"], [], None], pa.list_(pa.string())),
        "size": pa.array([{"w": 1, "h": 2}, None, {"w": 3, "h": None}], pa.struct([("w", pa.int32()), ("h", pa.int32())])),
    }
)


class Lake(unittest.TestCase):
    def check(self, options, warehouse):
        catalog = lake.open_catalog(options)
        catalog.properties["warehouse"] = warehouse
        catalog.create_namespace_if_not_exists("interop")
        table = catalog.create_table(f"interop.t{os.getpid()}", schema=ROWS.schema)
        table.append(ROWS)
        table.append(ROWS.slice(1))
        [opened] = [found for name, found in lake.tables(catalog) if name == ".".join(table.name())]
        expected = lake.summary(pa.concat_tables([ROWS.slice(1), ROWS]))
        self.assertEqual(lake.summary(lake.read_with_pyiceberg(opened)), expected)
        self.assertEqual(lake.summary(lake.read_with_duckdb(lake.open_duckdb(options), opened)), expected)

    def test_readers_agree_on_a_local_lake(self):
        with tempfile.TemporaryDirectory() as folder:
            options = types.SimpleNamespace(catalog=f"sqlite:///{folder}/catalog.db", name="retail", s3_endpoint=None)
            self.check(options, f"file://{folder}/warehouse")

    @unittest.skipUnless(os.environ.get("RETAIL_TEST_POSTGRES_URL"), "no PostgreSQL")
    @unittest.skipUnless(os.environ.get("RETAIL_TEST_S3_ENDPOINT"), "no S3 server")
    def test_readers_agree_on_postgres_and_s3(self):
        options = types.SimpleNamespace(
            catalog=os.environ["RETAIL_TEST_POSTGRES_URL"],
            name=f"interop{os.getpid()}",
            s3_endpoint=os.environ["RETAIL_TEST_S3_ENDPOINT"],
            s3_key=os.environ["RETAIL_TEST_S3_KEY"],
            s3_secret=os.environ["RETAIL_TEST_S3_SECRET"],
        )
        self.check(options, f"s3://{os.environ['RETAIL_TEST_S3_BUCKET']}/interop-{os.getpid()}")


if __name__ == "__main__":
    unittest.main()
