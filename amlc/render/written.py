"""Know what amlc itself wrote: it may lie among the trial code, and is none."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from amlc.names import DOWNLOADED, MANIFEST

ARCHIVE: Final = "amlc-experiment"
"""What the gzip of an archive of `amlc save` has for a name."""

_SUFFIXES = frozenset(
    {
        "",
        ".csv",
        ".json",
        ".jsonl",
        ".ndjson",
        ".parquet",
        ".html",
        ".htm",
        ".txt",
        ".log",
        ".out",
        ".err",
        ".tmp",
        ".md",
        ".xml",
        ".sarif",
        ".gz",
        ".tgz",
        ".lock",
    }
)
_HEAD = 512
_SHORTEST = 12
# The tables of collect and status (a row has its columns in their order in each format), the
# report, the first line of what status, plan, submit, run and compile say, findings as JSON, SARIF
# and JUnit, what NNI would export, what `code`, `schema` and `list --format json` print, and the
# lock of a build folder.
_BEGINNING = rb"""
    sequence,(?:trial,(?:status|attempt)|trials),
    | (?:\[\n)? \{"sequence":\ \d+,\ "trial":\ "[0-9a-f]{16}",\ "(?:status|attempt)":
    | (?:\[\n)? \{"sequence":\ \d+,\ "trials":\ \d+,
    | <!DOCTYPE\ html>\n<!--\ written\ by\ amlc\ report\ -->
    | [^\n]{0,250}? \d\ of\ [\d,]+\ trials?\ done
    | [^\n]{1,250}? :\ [\d,]+\ trials?\ in\ [\d,]+\ jobs?,\ revision\ [0-9a-f]{6},
    | [^\n]{1,250}? :\ the\ tuner\ is\ asked\ for\ trials\ as\ it\ runs,\ revision\ [0-9a-f]{6},
    | \[\{"parameter":\ \{[^\n]{0,480}"trialJobId":\ "[0-9a-f]{16}"
    | \{\n\ "\$schema":\ "[^"\n]{0,99}sarif[^"\n]{0,99}",[^"]{0,99}"version".{0,99}"name":\ "amlc",
    | <!--\ written\ by\ amlc\ plan\ -->
    | [^\n]{1,250}?\ against\ [^\n]{1,99}?\ \([0-9a-f]{7}\):\ \+\d
    | <\?xml[^\n]{0,99}\n<testsuites\ name="amlc[ ]
    | trialJobId,[^\n]{0,480}\r\n[0-9a-f]{16},
    | \{\n\ "command":\ "(?:[^"\n\\]|\\.)*(?:",\n\ "environment":\ (?:null|"[^\n]*),\n|\Z)
    | \{\n\ \ "\$schema":\ "[^"\n]{0,99}",\n\ \ "\$id":\ "https://json\.schemastore\.org/amlc\.json",
    | \[\n\ \ \{\n\ {4}"experiment":\ "[^\n]{0,400}",\n\ {4}"working":\ \d
    | process\ \d+\ on\ [^\n]+\n\Z
    """
# What a plan that was sealed, any findings as JSON, and an archive of `amlc save` begin as,
# whatever the file is called.
_ENVELOPE = re.compile(
    rb'\{\n "schema_version": 1,\n "command": "[a-z]+",\n|\x1f\x8b\x08\x08.{6}amlc-experiment\0',
    re.DOTALL,
)
_LOGS = frozenset({"", ".txt", ".log", ".out", ".err"})
# The first line of what a command says beside its data, or of a text that is its data.
_SAID = rb"""
    (?:error|warning):\ [^\n]
    | amlc\ \d+\.\d+
    | Usage:\ amlc
    | \#\d+\ [a-z_]+(?::[^\n]+)?;\ \d+(?:\ of\ \d+)?\ (?:ended|done)
    | \#\d+\ at\ revision\ [0-9a-f]{6}:
    | trials?\ \d[\d,\ \xe2\x80\xa6]*\ of\ \d+\ first:
    | [\d,]+\ submitted,\ | stopped:\ (?:maxExp|it\ was|\d+\ failed) | nothing\ more\ is\ submitted:
    | \d+\ running,\ \d+\ (?:ended|done),\ \d+\ failed
    | [^\n]+\ The\ jobs\ run\ on\ meanwhile;
    | [^\n]+:\ [\d,]+\ results?\ (?:learnt\ from|known\ already)
    | [^\n]+:\ (?:nothing\ is\ at\ work,\ so|canceling\ [\d,]+\ job)
    | [^\n]+:\ [\d,]+\ trials?\ imported
    | [^\n]+:\ (?:mlflow|wandb|tensorboard)\ has\ [\d,]+\ run
    | [^\n]+:\ [\d,]+\ (?:run\ folders?|jobs?)[^\n,]*,\ [\d,]+\ of\ them\ new
    | [^\n]+:\d+:\d+[:\ ][^\n]+\ \[[EWN]-[a-z-]+\]\n
    | [^\n]+\.ya?ml:\d+:\d+[:\ ][^\n]{200}
    | [^\n]+\.(?:ya?ml|json):\ [^\n]+\ is\ valid
    | (?:ok\ {6}|warned\ \ |failed\ \ )[^\n:]+:\ [^\n]
    | [EWN]-[a-z-]+(?::\ |\ {2,})
    | trials?\ [^\n]{1,200}(?:default\ =|,\ the\ best\ by|:\ \d+\ files?,)
    | [^\n]+:\ not\ compiled;\ results\ are\ on\ record
    | [^\n]+:\ written,\ with\ | [^\n]+:\ [^\n]+,\ [\d,]+\ files?\n
    | [^\n]+:\ [\d,]+\ files?,\ revision\ [0-9a-f]{6}\n
    | removed\ [\d,]+\ files?\ of\ code\ with
    | http://127\.0\.0\.1:\d+/
    | (?:[+~-]|---)\ [^\n]*(?:/jobs/|/code/|/manifest\.json|/revision\.json)
    """
_BUILT = re.compile(rb'\{\n "format": \d+,\n "experiment": "')
_PARQUET = b"PAR1"
_PARQUET_COLUMNS = re.compile(rb"sequence.{1,40}trial(?:s|.{1,40}(?:status|attempt))", re.DOTALL)


def _matches(pattern: bytes, head: bytes) -> bool:
    """Tell whether a file begins so; the patterns are long, and compiled when there is a file."""
    return re.match(pattern, head, re.VERBOSE | re.DOTALL) is not None


def output_finder() -> Callable[[os.DirEntry[str]], bool]:
    """Return the function that says whether a file is output of amlc's, by one of two rules.

    It is what this process's stdout or stderr goes to, which the shell has just opened; or a table,
    a report or a text that amlc wrote, known by how it begins. An empty file may be anything, so it
    is the user's.
    """
    streams = frozenset(filter(None, map(_file_behind, (1, 2))))

    def is_output(entry: os.DirEntry[str]) -> bool:
        status = entry.stat()
        if (status.st_dev, status.st_ino) in streams:
            return True
        return status.st_size >= _SHORTEST and is_written(entry.path)

    return is_output


def is_own_folder(folder: str) -> bool:
    """Tell whether a compile or a download wrote a folder, wherever it lies.

    A build (`build/<experiment>`) that was cut short has no manifest yet.
    """
    marks = (DOWNLOADED, os.path.join("code", "amlc_runner.py"))
    if any(os.path.isfile(os.path.join(folder, mark)) for mark in marks):
        return True
    with suppress(OSError), open(os.path.join(folder, MANIFEST), "rb", buffering=0) as file:
        return _BUILT.match(file.read(_HEAD)) is not None
    return False


def _file_behind(descriptor: int) -> tuple[int, int] | None:
    """Return device and inode of the regular file that a descriptor writes to.

    None for anything else.
    """
    with suppress(OSError):  # it is closed
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return status.st_dev, status.st_ino
    return None


def is_written(path: str) -> bool:
    """Tell whether amlc wrote a file, by how it begins.

    But for what is ours whatever it is called, only with a suffix that such a file gets.
    """
    suffix = os.path.splitext(path)[1].lower()
    # What cannot be read the snapshot says.
    with suppress(OSError), open(path, "rb", buffering=0) as file:
        head = file.read(_HEAD)
        if _ENVELOPE.match(head) or (suffix in _LOGS and _matches(_SAID, head)):
            return True
        if suffix not in _SUFFIXES:
            return False
        if not head.startswith(_PARQUET):
            return _matches(_BEGINNING, head)
        file.seek(-8, os.SEEK_END)  # a Parquet file names its columns at its end
        length = int.from_bytes(file.read(4), "little")
        file.seek(-min(length + 8, os.path.getsize(path)), os.SEEK_END)
        return _PARQUET_COLUMNS.search(file.read(_HEAD)) is not None
    return False
