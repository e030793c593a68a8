"""Answers queries with DuckDB: reads {"sql": …} line by line, writes {"types": …, "rows": …} or {"error": …} for each.

A cell is null, a boolean, a text, {"exact": "1.50"}, {"float": "0.5"} or {"time": "2024-03-01 12:00:00"}.
"""

import datetime
import decimal
import json
import sys

import duckdb


def cell(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, decimal.Decimal)):
        return {"exact": format(value, "f") if isinstance(value, decimal.Decimal) else str(value)}
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, datetime.datetime):
        return {"time": value.isoformat(sep=" ")}
    return str(value)


def answer(connection, sql):
    try:
        result = connection.execute(sql)
        types = [str(column[1]) for column in result.description or []]
        return {"types": types, "rows": [[cell(value) for value in row] for row in result.fetchall()]}
    except duckdb.Error as error:
        return {"error": str(error)}


def main():
    connection = duckdb.connect()
    # As PostgreSQL and our engine have it: NULLs are greatest, and whole numbers divide to whole numbers.
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET default_null_order = 'NULLS_LAST_ON_ASC_FIRST_ON_DESC'")
    connection.execute("SET integer_division = true")
    connection.execute("SET threads = 1")
    for line in sys.stdin:
        print(json.dumps(answer(connection, json.loads(line)["sql"])), flush=True)


if __name__ == "__main__":
    main()
