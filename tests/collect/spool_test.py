"""Rows that wait on disk come back as they were."""

import math

from amlc.collect.spool import spooled


def test_rows_come_back_in_their_order_with_values_that_json_has_not():
    rows = [{"n": n, "x": [n, None, "ü\ud800"], "big": 10**30 + n} for n in range(1_000)]
    with spooled() as spool:
        for row in [*rows, {"x": math.inf}]:
            spool.put(row)
        assert list(spool.rows()) == [*rows, {"x": math.inf}]
        assert list(spool.rows())[-1] == {"x": math.inf}  # again, as a table of two passes needs it


def test_nothing_put_is_nothing_back():
    with spooled() as spool:
        assert list(spool.rows()) == []
