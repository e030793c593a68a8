"""Compares the 22 queries of TPC-H with DuckDB: generates the data, publishes it to Iceberg, asks both.

    tests/tpch/run                          scale factor 0.1, on 1 and on 3 executors
    tests/tpch/run --scale 0.01 --executors 2 --queries 4 17
    tests/tpch/run --keep /tmp/tpch         leaves data, tables and answers there; a second run publishes nothing again
"""

import argparse
import contextlib
import csv
import decimal
import importlib.util
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import duckdb

# Tables of several files, and what cuts them.
FILES = {"lineitem": ("l_orderkey", 8), "orders": ("o_orderkey", 4), "partsupp": ("ps_partkey", 3)}
# Decimals that are quotients are rounded at a scale of ours and are doubles in DuckDB.
ROUNDED = decimal.Decimal("0.000002")


def extension_file():
    """DuckDB's generator, which lies in its Python package: nothing is downloaded."""
    package = importlib.util.find_spec("duckdb_extension_tpch")
    [file] = pathlib.Path(package.submodule_search_locations[0]).rglob("tpch.duckdb_extension")
    return file


def generate(connection, scale, folder):
    """Writes the tables as Parquet and the project that publishes them."""
    connection.execute(f"CALL dbgen(sf = {scale})")
    tables = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
    models = folder / "project" / "models"
    models.mkdir(parents=True, exist_ok=True)
    (folder / "project" / "dbt_project.yml").write_text(
        "name: tpch\nmodels:\n  tpch:\n    +materialized: table\n    +schema: main\n"
    )
    sources = "version: 2\nsources:\n  - name: raw\n    tables:\n"
    for table in tables:
        (folder / "input" / table).mkdir(parents=True, exist_ok=True)
        key, files = FILES.get(table, ("0", 1))
        for number in range(files):
            path = folder / "input" / table / f"{number}.parquet"
            connection.execute(f"COPY (SELECT * FROM {table} WHERE {key} % {files} = {number}) TO '{path}'")
        sources += f"      - name: {table}\n        meta: {{external_location: \"{folder}/input/{table}/*.parquet\"}}\n"
        (models / f"{table}.sql").write_text(f"select * from {{{{ source('raw', '{table}') }}}}\n")
    (models / "sources.yml").write_text(sources)


def submit(program, *arguments):
    done = subprocess.run([program, *arguments, "--no-color"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"tpch: {' '.join(arguments[:1])} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def ours(program, folder, sql, executors):
    text = submit(
        program, "sql", sql, "--format", "csv", "--local", "--dir", str(folder / "lake"), "--executors", str(executors)
    )
    return [[cell(value) for value in row] for row in list(csv.reader(io.StringIO(text)))[1:]]


def cell(value):
    """A number, or else a text; the client writes dates as DuckDB's Python does."""
    if value is None or value == "":
        return None
    try:
        return decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        return str(value).removesuffix(" 00:00:00").removesuffix("T00:00:00")


def same(one, other):
    if isinstance(one, decimal.Decimal) and isinstance(other, decimal.Decimal):
        return abs(one - other) <= ROUNDED * max(1, abs(one), abs(other))
    return one == other


def difference(mine, theirs):
    """Where two results differ, in words; empty where they do not. All queries order their rows, some with ties."""
    if len(mine) != len(theirs):
        return f"{len(mine)} rows, {len(theirs)} in DuckDB"
    key = lambda row: [str(value if not isinstance(value, decimal.Decimal) else round(value, 2)) for value in row]
    for number, (one, other) in enumerate(zip(sorted(mine, key=key), sorted(theirs, key=key)), 1):
        if len(one) != len(other) or not all(map(same, one, other)):
            return f"row {number} is {one}, {other} in DuckDB"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="retail-submit")
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--executors", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--queries", type=int, nargs="+", default=list(range(1, 23)))
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for data and tables")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retail-tpch-")))
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["RETAIL__SOURCES__ALLOW"] = str(folder / "input")
        connection = duckdb.connect()
        connection.load_extension(str(extension_file()))
        generate(connection, options.scale, folder)
        if not (folder / "lake").exists():
            started = time.monotonic()
            submit(options.program, "run", "--project", str(folder / "project"), "--local", "--dir", str(folder / "lake"))
            print(f"published in {time.monotonic() - started:.0f} s", flush=True)
        queries = dict(connection.execute("SELECT query_nr, query FROM tpch_queries()").fetchall())
        wrong = 0
        for number in options.queries:
            theirs = [[cell(value) for value in row] for row in connection.execute(queries[number]).fetchall()]
            for executors in options.executors:
                started = time.monotonic()
                found = difference(ours(options.program, folder, queries[number], executors), theirs)
                wrong += bool(found)
                outcome = found or f"the same {len(theirs)} rows"
                print(f"query {number:2}, {executors} executors: {outcome} ({time.monotonic() - started:.1f} s)", flush=True)
        total = len(options.queries) * len(options.executors)
        print(f"{total - wrong} of {total} as DuckDB has them")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
