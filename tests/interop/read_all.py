"""Reads every table of a catalog with PyIceberg and with DuckDB and prints what each saw, as one JSON object:
{"marts.dim_date": {"columns": […], "snapshot": 1, "pyiceberg": {"rows", "checksum"}, "duckdb": {"rows", "checksum"}}}
"""

import json

import lake

if __name__ == "__main__":
    parser = lake.arguments(__doc__)
    parser.add_argument("--tables", nargs="*", help="only these (namespace.name)")
    options = parser.parse_args()
    duckdb = lake.open_duckdb(options)
    seen = {}
    for name, table in lake.tables(lake.open_catalog(options)):
        if options.tables and name not in options.tables:
            continue
        snapshot = table.current_snapshot()
        seen[name] = {
            "columns": [field.name for field in table.schema().fields],
            "snapshot": snapshot.snapshot_id if snapshot else None,
            "pyiceberg": lake.summary(lake.read_with_pyiceberg(table)),
            "duckdb": lake.summary(lake.read_with_duckdb(duckdb, table)),
        }
    print(json.dumps(seen, indent=1))
