"""Opens a lake's tables with PyIceberg and with DuckDB, and sums their rows up so that readers can be compared.

Both readers are given nothing but the catalog's address: PyIceberg opens the catalog's database itself, DuckDB reads
the metadata file that the catalog names. Neither knows the programs that wrote the tables.
"""

import argparse
import datetime
import decimal
import hashlib
import importlib.util
import pathlib

import duckdb
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

EPOCH = datetime.datetime(1970, 1, 1)
EPOCH_DAY = EPOCH.date()
MICROSECOND = datetime.timedelta(microseconds=1)


def arguments(description):
    """The options that every script takes: where the catalog is and how to reach its files."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--catalog", required=True, help="sqlite:///abs/catalog.db or postgresql://…")
    parser.add_argument("--name", default="retail", help="the catalog's name, part of every table's key")
    parser.add_argument("--s3-endpoint")
    parser.add_argument("--s3-key")
    parser.add_argument("--s3-secret")
    return parser


def open_catalog(options):
    """PyIceberg's SQL catalog over the same database."""
    uri = options.catalog
    if uri.startswith("sqlite:///"):  # SQLAlchemy: three slashes are relative, four absolute
        uri = "sqlite:////" + uri.removeprefix("sqlite://").lstrip("/")
    elif uri.startswith("postgresql://"):
        uri = uri.replace("postgresql://", "postgresql+psycopg2://", 1)
    properties = {"uri": uri}
    if options.s3_endpoint:
        properties |= {
            "s3.endpoint": options.s3_endpoint,
            "s3.access-key-id": options.s3_key,
            "s3.secret-access-key": options.s3_secret,
            "s3.region": "us-east-1",
        }
    return SqlCatalog(options.name, **properties)


def open_duckdb(options=None):
    """DuckDB with its Iceberg extension, which lies beside it as a file: nothing is downloaded."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    with_s3 = options is not None and options.s3_endpoint
    for extension in ["avro", "httpfs", "iceberg"] if with_s3 else ["avro", "iceberg"]:
        connection.load_extension(str(extension_file(extension)))
    connection.execute("SET TimeZone = 'UTC'")
    if with_s3:
        endpoint = options.s3_endpoint.removeprefix("http://")
        connection.execute(
            f"""CREATE SECRET (TYPE s3, KEY_ID '{options.s3_key}', SECRET '{options.s3_secret}', REGION 'us-east-1',
                               ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)"""
        )
    return connection


def extension_file(extension):
    """The extension's file in its Python package."""
    package = importlib.util.find_spec(f"duckdb_extension_{extension}")
    [file] = pathlib.Path(package.submodule_search_locations[0]).rglob(f"{extension}.duckdb_extension")
    return file


def tables(catalog):
    """Every table of the catalog as (namespace.name, PyIceberg table), by name. Views are not tables."""
    names = [name for namespace in catalog.list_namespaces() for name in catalog.list_tables(namespace)]
    return [(".".join(name), catalog.load_table(name)) for name in sorted(names)]


def read_with_pyiceberg(table):
    return table.scan().to_arrow()


def read_with_duckdb(connection, table):
    location = table.metadata_location.removeprefix("file://")
    return connection.execute("SELECT * FROM iceberg_scan(?)", [location]).to_arrow_table()


def summary(rows: pa.Table):
    """Row count and checksum of all rows, whatever their order.

    A row is its values' texts joined with 0x1f; the checksum is the sum, modulo 2^64, of the first eight bytes of each
    row's SHA-256. The Rust tests compute the same.
    """
    columns = [[text(value) for value in column.to_pylist()] for column in rows.columns]
    total = 0
    for row in zip(*columns):
        total += int.from_bytes(hashlib.sha256("\x1f".join(row).encode()).digest()[:8], "big")
    return {"rows": rows.num_rows, "checksum": f"{total % 2**64:016x}"}


def text(value):
    """One value as text; the same for every reader of the same table."""
    match value:
        case None:
            return "\\N"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():  # ten digits: sums of floats differ in their last bits
            if value != value:
                return "NaN"
            mantissa, exponent = f"{value:.9e}".split("e") if abs(value) != float("inf") else (str(value), "0")
            return f"{mantissa}e{int(exponent)}"
        case decimal.Decimal():
            return format(value, "f")
        case datetime.datetime():  # microseconds since 1970
            if value.tzinfo is not None:
                value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
            return str((value - EPOCH) // MICROSECOND)
        case datetime.date():  # days since 1970
            return str((value - EPOCH_DAY).days)
        case bytes():
            return value.hex()
        case list():
            return "[" + ",".join(text(item) for item in value) + "]"
        case dict():
            return "{" + ",".join(text(item) for item in value.values()) + "}"
        case tuple():  # a map's entry
            return ":".join(text(item) for item in value)
    raise TypeError(f"no text for a value of type {type(value).__name__}: {value!r}")
