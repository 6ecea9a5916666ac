"""Read a manifest and a ledger as one would who only wants the values: each line and each row, its JSON made a value.

python plain_reader.py MANIFEST LEDGER; the floor of what `amlc` reads, checks, joins and prints of both.
"""

import json
import sqlite3
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        if '"sha256"' in line:
            json.loads(line.lstrip(",").rstrip("\n,"))
with sqlite3.connect(sys.argv[2]) as ledger:
    for columns, table in (
        ("number, at, kind, job, data", "events"),
        ("job, trial, kind, sequence, at, value", "metrics"),
    ):
        for row in ledger.execute(f"SELECT {columns} FROM {table}"):
            json.loads(row[-1] if table == "metrics" else row[4])
