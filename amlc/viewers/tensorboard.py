"""Runs as TensorBoard reads them: a folder each, with an event file for HParams and scalars.

Sources: tensorboard's `event.proto`, `summary.proto` and `plugin_data.proto`; TensorFlow's
`record_writer.cc` for the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from amlc.files import read_or_none, replace
from amlc.space.points import flattened
from amlc.viewers.protobuf import block, double, integer, mapping, single, text
from amlc.viewers.runs import Run, Sent, numbers, own_folder, words
from amlc.viewers.runs import text as as_text

_FILE: Final = "events.out.tfevents.amlc"
_NO_TENSOR: Final = integer(1, 1) + block(2, block(2, integer(1, 0)))  # of floats, shape (0,)
_STRING: Final = 7  # TensorFlow's DT_STRING
_SUCCESS, _FAILURE = 1, 2
_LASTING: Final = ("trial", "number", "set", "attempt", "job", "revision")
"""What is known of a run from its begin, and stays so."""


def send(runs: Iterable[Run], folder: Path, *, experiment: str) -> Iterator[Sent]:
    """Write each run into a folder of its own below `folder`, and say what that did.

    A file that only got longer is appended to, so that a TensorBoard which is open reads on.
    """
    place = own_folder(folder, experiment)
    known = {path.name.rpartition("-")[2]: path for path in place.iterdir() if path.is_dir()}
    for run in runs:
        own = place / f"{run.number:05}-{run.id}"
        if run.id in known and known[run.id] != own:  # the space was edited: it has a new number
            known[run.id].rename(own)
        own.mkdir(exist_ok=True)
        yield _write(own / _FILE, b"".join(map(_record, _events(run))))


def _write(path: Path, content: bytes) -> Sent:
    old = read_or_none(path)
    if old == content:
        return Sent.SAME
    if old and content.startswith(old):
        with path.open("ab") as stream:
            stream.write(content[len(old) :])
    else:
        replace(path, content)
    return Sent.NEW if old is None else Sent.CHANGED


def _events(run: Run) -> Iterator[bytes]:
    """Yield the events of a file; what may still change stands last."""
    at = run.started or 0.0
    yield double(1, at) + text(3, "brain.Event:2")
    yield _event(at, 0, _hparams("_hparams_/session_start_info", block(3, _session(run))))
    yield _event(at, 0, _table({name: run.about[name] for name in _LASTING if name in run.about}))
    for report in run.reports:
        values = numbers(report.values)
        if values:
            scalars = [text(1, name) + single(2, value) for name, value in values.items()]
            yield _event(report.at, report.step, *scalars)
    if run.ended is not None:
        end = integer(1, _SUCCESS if run.is_well else _FAILURE) + double(2, run.ended)
        yield _event(run.ended, 0, _hparams("_hparams_/session_end_info", block(4, end)))
        rest = {f"result {name}": one for name, one in words(run.result).items()}
        yield _event(run.ended, 1, _table({**run.about, **rest}))


def _session(run: Run) -> bytes:
    """Return the parameters; replicates are one group, of which TensorBoard shows the mean."""
    values = {name: _value(value) for name, value in flattened(run.parameters).items()}
    group, job, page = (run.about.get(name, "") for name in ("set", "job", "page"))
    return (
        mapping(1, values)
        + (text(2, job) + text(3, page) + text(4, group))
        + double(5, run.started or 0.0)
    )


def _value(value: Any) -> bytes:
    """Return a parameter as one of the three types that HParams knows."""
    if isinstance(value, bool):
        return integer(4, value)
    if isinstance(value, (int, float)):
        try:
            return double(2, float(value))
        except OverflowError:
            pass
    return text(3, as_text(value))


def _table(shown: Mapping[str, str]) -> bytes:
    """Return a table for the page Text: what HParams and scalars have no place for."""
    lines = ["| | |", "|---|---|", *(f"| {_cell(key)} | {_cell(shown[key])} |" for key in shown)]
    tensor = integer(1, _STRING) + block(2, b"") + text(8, "\n".join(lines))
    return text(1, "amlc") + block(8, tensor) + block(9, block(1, text(1, "text")))


def _cell(said: str) -> str:
    return " ".join(said.replace("|", "\\|").split())


def _hparams(tag: str, data: bytes) -> bytes:
    plugin = block(1, text(1, "hparams") + block(2, data))
    return text(1, tag) + block(8, _NO_TENSOR) + block(9, plugin)


def _event(at: float, step: int, *values: bytes) -> bytes:
    return double(1, at) + integer(2, step) + block(5, b"".join(block(1, one) for one in values))


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C of the data."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _remainders() -> Iterator[int]:
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        yield value


_TABLE: Final = tuple(_remainders())
