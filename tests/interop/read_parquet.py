"""Prints the row count and checksum of one Parquet file, as JSON."""

import json
import sys

import pyarrow.parquet as pq

import lake

if __name__ == "__main__":
    print(json.dumps(lake.summary(pq.read_table(sys.argv[1]))))
