"""Appends a copy of some of a table's own rows with PyIceberg, and prints what the table holds then, as JSON."""

import json

import lake

if __name__ == "__main__":
    parser = lake.arguments(__doc__)
    parser.add_argument("--table", required=True, help="namespace.name")
    parser.add_argument("--rows", type=int, default=3, help="how many rows to append")
    options = parser.parse_args()
    table = lake.open_catalog(options).load_table(options.table)
    copy = lake.read_with_pyiceberg(table).slice(0, options.rows)
    table.append(copy)
    table.refresh()
    print(json.dumps({"appended": copy.num_rows, **lake.summary(lake.read_with_pyiceberg(table))}))
