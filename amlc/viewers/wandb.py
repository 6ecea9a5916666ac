"""Runs as Weights & Biases keeps them offline: a folder each, for `wandb sync`.

Sources: wandb's `wandb_internal.proto`; LevelDB's log format, of which the file is one, with a head
of its own and zlib's checksum.
"""

from __future__ import annotations

import json
import re
import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from amlc.files import read_or_none, replace
from amlc.viewers.protobuf import block, integer, text
from amlc.viewers.runs import Run, Sent, own_folder

_HEAD: Final = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
_BLOCK: Final = 1 << 15  # bytes
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_SYNCED: Final = (".synced", ".syncstate")
"""What `wandb sync` leaves beside a file that it has sent, and passes over from then on."""
_PROJECT_LENGTH: Final = 128


def send(
    runs: Iterable[Run], folder: Path, *, experiment: str, replicates: int = 1
) -> Iterator[Sent]:
    """Write each run into a folder of its own below `folder`, and say what that did.

    replicates: of how many a parameter set has, those are a group.
    """
    place = own_folder(folder, experiment)
    known = {path.name.rpartition("-")[2]: path for path in place.glob("offline-run-*-*")}
    project = re.sub(r"[/\\#?%:]", "-", experiment)[:_PROJECT_LENGTH]
    for run in runs:
        begun = time.strftime("%Y%m%d_%H%M%S", time.gmtime(run.started or 0))
        own = known.get(run.id) or place / f"offline-run-{begun}-{run.id}"
        group = run.about["set"][:12] if replicates > 1 else ""
        yield _write(own / f"run-{run.id}.wandb", _file(_records(run, project, group)))


def _write(path: Path, content: bytes) -> Sent:
    old = read_or_none(path)
    if old == content:
        return Sent.SAME
    path.parent.mkdir(exist_ok=True)
    replace(path, content)
    for suffix in _SYNCED:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return Sent.NEW if old is None else Sent.CHANGED


def _records(run: Run, project: str, group: str) -> Iterator[bytes]:
    yield block(21, block(1, text(1, "0.19.0") + text(2, "0.19.0")))  # who wrote it, who can read
    yield block(17, _head(run, project, group))
    for report in run.reports:
        yield block(2, _history(run, report.values, report.step, report.at))
    yield block(3, _summary(run))
    if run.ended is not None:
        yield block(18, integer(1, not run.is_well) + integer(2, int(_runtime(run, run.ended))))


def _head(run: Run, project: str, group: str) -> bytes:
    config = {"amlc": run.about, **run.parameters}
    items = b"".join(block(1, text(1, key) + text(16, _json(config[key]))) for key in config)
    started = run.started or 0.0
    whole = int(started)
    return b"".join(
        (
            text(1, run.id),
            text(3, project),
            block(4, items),
            text(6, group) if group else b"",
            text(8, run.name),
            text(10, run.status.value),
            block(17, integer(1, whole) + integer(2, int((started - whole) * 1e9))),
        )
    )


def _history(run: Run, values: Mapping[str, Any], step: int, at: float) -> bytes:
    own = {"_step": step, "_timestamp": at, "_runtime": _runtime(run, at)}
    return _items(1, {**values, **own}) + block(2, integer(1, step))


def _summary(run: Run) -> bytes:
    """Return the final result, or what was reported last while there is none."""
    last = run.reports[-1] if run.reports else None
    values = run.result or (last.values if last else {})
    own: dict[str, Any] = {"_wandb": {"runtime": 0}}
    if run.ended is not None:
        own = {"_wandb": {"runtime": int(_runtime(run, run.ended))}}
    if last is not None:
        own |= {"_step": last.step, "_timestamp": last.at, "_runtime": _runtime(run, last.at)}
    return _items(1, {**values, **own})


def _items(field: int, values: Mapping[str, Any]) -> bytes:
    """Return values by name; of a mapping each leaf, by all the names on the way to it."""
    return b"".join(
        block(field, b"".join(text(2, name) for name in path) + text(16, _json(value)))
        for path, value in _leaves(values)
    )


def _leaves(
    values: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, str(name)))
        else:
            yield (*path, str(name)), value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _runtime(run: Run, at: float) -> float:
    return 0.0 if run.started is None else max(0.0, at - run.started)


def _file(records: Iterable[bytes]) -> bytes:
    """Return the records as a file: each in pieces that end where a block ends."""
    out = bytearray(_HEAD)
    for number, record in enumerate(records, 1):
        data = integer(1, number) + record
        is_first = True
        while data or is_first:
            room = _BLOCK - len(out) % _BLOCK
            if room < 7:  # a piece's head does not fit
                out += bytes(room)
                continue
            piece, data = data[: room - 7], data[room - 7 :]
            kind = (_FIRST if data else _FULL) if is_first else (_MIDDLE if data else _LAST)
            checksum = zlib.crc32(piece, zlib.crc32(bytes([kind])))
            out += struct.pack("<IHB", checksum, len(piece), kind) + piece
            is_first = False
    return bytes(out)
