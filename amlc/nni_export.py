"""Results as `nnictl experiment export` writes them.

Source: NNI 3.0, `nni/tools/nnictl/nnictl_utils.py` (`export_trials_data`) and
`nni_node/core/nniDataStore.js` (`exportTrialHpConfigs`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from amlc.collect.rows import Row
from amlc.collect.spool import spooled
from amlc.ledger import Ledger
from amlc.model import MetricKind, Status


def export(rows: Iterable[Row], ledger: Ledger, *, history: bool) -> Iterator[Mapping[str, Any]]:
    """Yield what NNI exports of each trial that succeeded with a result.

    `parameter`, `value` (JSON within the JSON) and `trialJobId`. history: and `intermediate`, all
    that it reported, each as JSON, its result the last of them.
    """
    for row in rows:
        if row.status is not Status.SUCCEEDED or not row.final:
            continue
        value = json.dumps(row.final[0])
        one = {"parameter": row.trial.parameters, "value": value, "trialJobId": row.trial.id}
        if history:
            one["intermediate"] = [*_reports(row, ledger), value]
        yield one


def _reports(row: Row, ledger: Ledger) -> Iterator[str]:
    assert row.attempt is not None  # it has a result
    for _, metric in ledger.metrics(MetricKind.INTERMEDIATE, job=row.attempt.job):
        if metric.trial == row.trial.id:
            yield json.dumps(metric.value)


def write_json(exported: Iterable[Mapping[str, Any]], out: BinaryIO) -> None:
    """Write one JSON array."""
    separator = "["
    for one in exported:
        out.write((separator + json.dumps(one)).encode())
        separator = ", "
    out.write(b"]" if separator == ", " else b"[]")


def write_csv(exported: Iterable[Mapping[str, Any]], out: BinaryIO) -> None:
    """Write a line for each trial: a column for each parameter, and `reward` or the result's names.

    NNI's columns are in no order; here they are in that of their first appearance. A value that is
    neither a number nor a mapping, at which NNI fails, goes by `reward` too.
    """
    columns: dict[str, None] = {}
    with spooled() as spool:
        for one in exported:
            cells = _cells(one)
            columns |= dict.fromkeys(cells)
            spool.put(cells)
        text = io.TextIOWrapper(
            out, encoding="utf-8", errors="backslashreplace", newline="", write_through=True
        )
        writer = csv.DictWriter(text, list(columns))
        writer.writeheader()
        writer.writerows(spool.rows())
        text.detach()  # closed, it would close `out`


def _cells(one: Mapping[str, Any]) -> Mapping[str, Any]:
    value = json.loads(one["value"])
    result = value if isinstance(value, Mapping) else {"reward": value}
    cells = {"trialJobId": one["trialJobId"], **one["parameter"], **result}
    cells["trialJobId"] = one["trialJobId"]  # as in NNI, also where a result has that name
    if "intermediate" in one:
        cells["intermediate"] = f"[{','.join(one['intermediate'])}]"
    return cells


WRITERS: Final[Mapping[str, Callable[[Iterable[Mapping[str, Any]], BinaryIO], None]]] = {
    "nni-json": write_json,
    "nni-csv": write_csv,
}
