"""What NNI leaves of an experiment: its database, and what `nnictl experiment export` writes.

Source of the format: NNI 3.0, `nni_node/core/nniDataStore.js` and `sqlDatabase.js`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from amlc.elsewhere import Ended, read_only
from amlc.errors import UsageError, printable
from amlc.model import Parameters, Status

_STATUSES: Final = {
    "WAITING": Status.WAITING,
    "RUNNING": Status.RUNNING,
    "SUCCEEDED": Status.SUCCEEDED,
    "FAILED": Status.FAILED,
    "USER_CANCELED": Status.CANCELED,
    "USER_TO_CANCEL": Status.CANCELED,
    # NNI's manager ended it together with itself.
    "SYS_CANCELED": Status.UNFINISHED,
    "EARLY_STOPPED": Status.EARLY_STOPPED,
}


@dataclass(slots=True)
class _Told:
    """What the events of one trial add up to, as NNI's own replay of them does.

    made: the id of the parameters with which it was recorded. had: of those that its metrics are
    of.
    """

    made: str | None = None
    had: str | None = None
    status: Status = Status.UNKNOWN
    started: float | None = None
    ended: float | None = None
    message: str | None = None
    final: tuple[Any, ...] = ()
    history: list[tuple[int, Any]] = field(default_factory=list)

    def take(self, event: str, at: float, message: str | None) -> None:
        """Take up the next event."""
        if event in _STATUSES:
            self.status = _STATUSES[event]
        if event == "RUNNING" or (self.started is None and event != "ADD_CUSTOMIZED"):
            self.started = at
        if self.status.ended:
            self.ended = at
        self.message = message


def read_database(path: Path) -> Iterator[Ended]:
    """Yield the trials of a `db/nni.sqlite`, in the order in which they were made.

    Of several final results the first counts, as in NNI. NNI 3.0 gives parameters to trials in the
    order in which they ask (`training_service/v3/compat.js`), and records them in that of their
    start. Side by side, trials have each other's; only the metrics tell whose they are.
    """
    told: dict[str, _Told] = {}
    sets: dict[str, Parameters] = {}
    try:
        with closing(read_only(path)) as connection:
            for trial, data, *event in connection.execute(
                "SELECT trialJobId, data, event, timestamp / 1000.0, message FROM TrialJobEvent "
                "ORDER BY rowid"
            ):
                if not trial:
                    continue
                one = told.setdefault(trial, _Told())
                one.take(*event)
                if one.made is None and data:
                    one.made = _take_parameters(sets, unpacked(data))
            for trial, parameters, kind, sequence, data in connection.execute(
                "SELECT trialJobId, parameterId, type, sequence, data FROM MetricData "
                "ORDER BY rowid"
            ):
                if trial in told:
                    told[trial].had = str(parameters)
                    _take_metric(told[trial], kind, sequence, unpacked(data))
    except (sqlite3.Error, UnicodeDecodeError) as err:
        text = printable(f"{path}: {err}. Is it whole? Copy it while NNI is stopped.")
        raise UsageError(text) from err
    _pair(told.values(), sets)
    for trial, one in told.items():
        one.history.sort(key=lambda report: report[0])
        yield Ended(
            where=f"{path}: trial {trial}",
            parameters=sets.get(one.had or ""),
            why="its parameters are not on record",
            status=one.status,
            final=one.final,
            history=tuple(value for _, value in one.history),
            started=one.started,
            ended=one.ended,
            error=one.message if one.status is Status.FAILED else None,
        )


def _take_parameters(sets: dict[str, Parameters], made: Any) -> str | None:
    """Take up what NNI's tuner made; return its id."""
    found = made.get("parameters") if isinstance(made, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    name = str(made.get("parameter_id"))
    sets[name] = found
    return name


def _pair(trials: Iterable[_Told], sets: Mapping[str, Parameters]) -> None:
    """Let each trial have had a parameter set: its metrics', its own, or one that is left."""
    taken = {one.had for one in trials}
    others = []
    for one in trials:
        if one.had in sets:
            continue
        if one.made is not None and one.made not in taken:
            one.had = one.made
            taken.add(one.made)
        else:
            others.append(one)
    left = (name for name in sets if name not in taken)
    for one in others:
        one.had = next(left, None)


def _take_metric(told: _Told, kind: str, sequence: int, value: Any) -> None:
    if kind == "PERIODICAL":
        # What reports come close together NNI writes down in any order.
        told.history.append((sequence, value))
    elif kind == "FINAL" and not told.final:
        told.final = (value,)


def read_export(path: Path, rows: Iterable[Mapping[str, Any]]) -> Iterator[Ended]:
    """Yield the trials of a JSON export, whose values are JSON within JSON."""
    for number, fields in enumerate(rows):
        parameters = unpacked(fields.get("parameter", fields.get("parameters")))
        value = unpacked(fields.get("value"))
        final = () if value is None else (value,)
        yield Ended(
            where=f"{path}: item {number}",
            parameters=parameters if isinstance(parameters, Mapping) else None,
            why="it has no parameters",
            final=final,
            history=history_of(fields.get("intermediate"), final),
        )


def history_of(reports: Any, final: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the intermediate results of an export, in which the final one stands among them."""
    if not isinstance(reports, Sequence) or isinstance(reports, str):
        return ()
    values = [unpacked(report) for report in reports]
    for place in reversed(range(len(values))):
        if final and values[place] == final[0]:
            del values[place]
            break
    return tuple(values)


def unpacked(value: Any) -> Any:
    """Return what a JSON text means, and that of JSON within it; what is no JSON as it is."""
    while isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
