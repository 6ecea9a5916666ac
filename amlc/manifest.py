"""The manifest.

What a build folder holds, one job a line, so that it can be read and reviewed in any size. Each
line of a job, the header and the end have a checksum, `sum`, of their bytes: a bit that a disk
flipped is found, and costs the job of its line at the most.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from json.encoder import encode_basestring as _quoted
from pathlib import Path
from typing import Any
from zlib import crc32

from amlc import files
from amlc.errors import AmlcError, IncompleteError, UsageError, printable
from amlc.light import light
from amlc.model import ONE_TRIAL, Algorithm, Trial
from amlc.names import MANIFEST

FILE_NAME = MANIFEST
_FORMAT = 4
_OPEN = '"jobs": ['
_CLOSE = "],"
_COUNTS = re.compile(rb'"counts": \{"jobs": (\d{1,18}), "trials": (\d{1,18}), ')
_SUM_OF_LINE = b',"sum":"%08x"}\n'
_LENGTH_OF_SUM = len(_SUM_OF_LINE % 0)
_decode = json.JSONDecoder().raw_decode
_OPTIONAL = ("optimize_mode", "assessor", "source", "search", "code", "price", "sweep", "namespace")
_OF_SPACE = ("combinations", "excluded")
_OF_PACKS = ("trials_per_job", "abreast", "job_start")
_OF_COST = ("trial_seconds", "nodes", "budget_trials", "budget_node_hours")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What holds for the whole build, and all that running it needs to know of the experiment.

    revision: 64 hex digits, of which names and tables show six. concurrency: of trials.
    max_seconds, max_trials: None is unlimited. replicates: trials of each parameter set. search: 16
    hex digits of what decides which trials a tuner that learns proposes; None when all trials are
    compiled at once. target: what the experiment says to its target, as JSON, by that one's name:
    the back end that runs it may be another. optimize_mode: `maximize` or `minimize`, None if
    nothing says so: smaller is taken for better then. source: the experiment file. code: the folder
    that trials run in on this machine, None for a copy of the snapshot. Both, and the folder of an
    assessor class of the user's own, are relative to the build folder. price: of a node-hour, None
    if nobody says. trial_seconds: a trial's time limit, None without one. nodes: of each job, None
    for one. budget_*: `amlc.budget`. combinations: parameter sets of a finite space, where not each
    becomes a trial. excluded: how many of them by the constraints, None: nobody counted.
    given: what the experiment's file leaves open, as it was when this was compiled: by the name of
    a `${NAME}` in its search space or in arguments, or by the key of a `--set`.
    trials_per_job: of a packed one, None: one. abreast: how many trials of a packed job run side by
    side, None: as many as there is room for. job_start: how many
    seconds a job takes to start, where that decided how many trials it has. sweep: how a sweep's
    trials get their parameters, `index`: by their numbers, `latent`: of what the platform draws;
    None: each job says what it runs. namespace: where ids are still to be made of drawn parameters.
    """

    experiment: str
    backend: str
    revision: str
    concurrency: int
    retries: int
    max_seconds: int | None
    optimize_mode: str | None = None
    gpus_per_trial: int | None
    trials_per_gpu: int
    target: Mapping[str, Any]
    replicates: int = 1
    max_trials: int | None = None
    search: str | None = None
    source: str | None = None
    code: str | None = None
    price: float | None = None
    trial_seconds: int | None = None
    nodes: int | None = None
    budget_trials: int | None = None
    budget_node_hours: float | None = None
    combinations: int | None = None
    excluded: int | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    trials_per_job: int | None = None
    abreast: int | None = None
    job_start: int | None = None
    sweep: str | None = None
    namespace: str | None = None
    assessor: Algorithm | None = None


_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("experiment", "backend", "revision"), str),
    **dict.fromkeys(("optimize_mode", "search", "source", "code"), (str, type(None))),
    **dict.fromkeys(("sweep", "namespace"), (str, type(None))),
    **dict.fromkeys(("concurrency", "retries", "trials_per_gpu", "replicates"), int),
    **dict.fromkeys(("max_seconds", "max_trials", "gpus_per_trial"), (int, type(None))),
    **dict.fromkeys(("trial_seconds", "nodes", "budget_trials"), (int, type(None))),
    **dict.fromkeys(("combinations", "excluded"), (int, type(None))),
    **dict.fromkeys(_OF_PACKS, (int, type(None))),
    **dict.fromkeys(("price", "budget_node_hours"), (int, float, type(None))),
    **dict.fromkeys(("target", "given"), dict),
}


@light(frozen=True, slots=True)
class Entry:
    """One compiled job.

    Its id, the name of its first attempt, its file (below the build folder) and that's SHA-256.
    sweep: children of the job run its trials, each by itself. alone: it is one trial of a sweep, by
    itself; the file is the sweep's. draws: the numbers of the trials that the platform draws, of
    which `trials` are those that are known; empty: all are.
    """

    id: str
    name: str
    file: str
    sha256: str
    trials: tuple[Trial, ...]
    sweep: bool = False
    alone: bool = False
    draws: range = range(0)

    def spread(self) -> Iterator[Entry]:
        """Yield the job and, of a sweep, then each of its trials as a job of its own."""
        yield self
        for trial in self.trials if self.sweep else ():
            base, _, revision = self.name.rpartition("-")
            name = f"{base.removesuffix(self.id)}{trial.id}-{revision}"
            yield Entry(trial.id, name, self.file, self.sha256, (trial,), alone=True)


def head_lines(header: Header) -> str:
    """Return the manifest's text before the first job."""
    values = asdict(header)
    for name in (*_OPTIONAL, *_OF_COST, *_OF_SPACE, *_OF_PACKS):
        if values[name] is None:
            del values[name]
    if not header.given:
        del values["given"]
    values.get("assessor", {}).pop("search_space", None)  # which only tuners have
    text = json.dumps({"format": _FORMAT, **values}, indent=1, ensure_ascii=False, default=str)
    text = text.removesuffix("\n}") + ",\n"
    return f'{text}"sum": "{_sum(text)}",\n{_OPEN}\n'


def entry_line(entry: Entry, *, first: bool, records: Sequence[str] | None = None) -> str:
    """Return the line of one job.

    Every line but the first begins with the comma that separates them. records: its trials as
    compact JSON, where that is known.
    """
    if records is None:
        records = [trial.as_json() for trial in entry.trials]
    text = f'{{"id":{_quoted(entry.id)},"name":{_quoted(entry.name)},"file":{_quoted(entry.file)}'
    text += f',"sha256":{_quoted(entry.sha256)}'
    if entry.sweep:
        text += ',"sweep":true'
    if entry.draws:
        text += f',"draws":[{entry.draws.start},{entry.draws.stop}]'
    text += f',"trials":[{",".join(records)}]'
    return f'{"" if first else ","}{text},"sum":"{_sum(text)}"}}\n'


def tail_lines(*, jobs: int, trials: int) -> str:
    """Return the manifest's text after the last job."""
    counts = f'"counts": {{"jobs": {jobs}, "trials": {trials}, '
    return f'{_CLOSE}\n{counts}"sum": "{_sum(counts)}"}}\n}}\n'


def _sum(text: str) -> str:
    return f"{crc32(text.encode()):08x}"


class ManifestError(UsageError):
    """The manifest is damaged, or of another amlc: nobody knows what is compiled."""

    exit_code = IncompleteError.exit_code


@dataclass(frozen=True, slots=True)
class Manifest:
    """A build folder's manifest: the header is read at once, the jobs as they are asked for."""

    folder: Path
    header: Header
    jobs: int
    trials: int

    @property
    def is_outdated(self) -> bool:
        """Whether the experiment's file was written after it was compiled, as make would decide."""
        try:
            written = self.source.stat().st_mtime_ns if self.source is not None else 0
            return written > (self.folder / FILE_NAME).stat().st_mtime_ns
        except OSError:
            return False

    @property
    def source(self) -> Path | None:
        """The experiment's own file if it is here."""
        name = self.header.source
        if not name:
            return None
        file = (self.folder / name).resolve()
        return file if file.is_file() else None

    def entries(self, *, damage: dict[str, None] | None = None) -> Iterator[Entry]:
        """Yield the jobs in order, reading the file line by line.

        damage: takes a sentence for each line that is none, which is left out then. Without it,
        such a line raises ManifestError.
        """
        for number, line in self._lines():
            try:
                entry = None if number is None else _entry(_whole_line(line).decode())
            except (ValueError, KeyError, TypeError, RecursionError):
                entry = None
            if entry is not None:
                yield entry
                continue
            where = f":{number}: this job" if number else ": its end, or one of its jobs,"
            text = f"{self.folder / FILE_NAME}{where} is damaged. Compile again."
            if damage is None:
                raise ManifestError(text)
            damage[text] = None

    def _lines(self) -> Iterator[tuple[int | None, bytes]]:
        """Yield the lines of the jobs, each with its number; one without when some are missing."""
        with (self.folder / FILE_NAME).open("rb") as lines:
            numbered = enumerate(lines, start=1)
            for _, line in numbered:
                if line == _OPEN.encode() + b"\n":
                    break
            count = 0
            for number, line in numbered:
                if line == _CLOSE.encode() + b"\n":
                    break
                count += 1
                yield number, line
            # As it is now: while a submit is at work, jobs are added.
            counted = _counts(lines.read())
            if counted is None or counted[0] != count:
                yield None, b""


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a build folder.

    Raises UsageError when there is none, ManifestError when it is not one that amlc wrote.
    """
    path = folder / FILE_NAME
    try:
        head, tail = _without_jobs(path)
        value = json.loads(head + tail)
        if value.pop("format") != _FORMAT:
            raise ManifestError(f"{path}: written by another version of amlc. Compile again.")
        counts = _counts(tail)
        if counts is None or not _is_whole_head(head):
            what = "its header" if counts else "its end"
            raise ManifestError(f"{path}: {what} is damaged. Compile again.")
        for name in ("counts", "jobs", "sum"):
            value.pop(name)
        return Manifest(folder, _header(value), *counts)
    except FileNotFoundError as err:
        raise UsageError(
            f"{path}: there is no such file. Compile the experiment first: amlc compile FILE."
        ) from err
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise ManifestError(
            f"{path}: not a manifest of amlc's ({printable(str(err))}). Delete the folder and "
            "compile again."
        ) from err


def _whole_line(line: bytes) -> bytes:
    """Return the JSON of a job's line. Raises ValueError when it is not as it was written."""
    text = line.removeprefix(b",")
    if not text.endswith(_SUM_OF_LINE % crc32(text[:-_LENGTH_OF_SUM])):
        raise ValueError(line)
    return text


def _is_whole_head(head: bytes) -> bool:
    """Tell whether the manifest's text before the first job is as it was written."""
    text = head[: head.rfind(b'"sum": ')]
    return head == text + f'"sum": "{crc32(text):08x}",\n{_OPEN}\n'.encode()


def _counts(tail: bytes) -> tuple[int, int] | None:
    """Return how many jobs and trials the end of a manifest counts.

    None when it is not as it was written. tail: with or without the line that ends the jobs.
    """
    found = _COUNTS.search(tail)
    if found is None:
        return None
    jobs, trials = map(int, found.groups())
    whole = tail_lines(jobs=jobs, trials=trials).encode()
    return (jobs, trials) if tail in (whole, whole.removeprefix(f"{_CLOSE}\n".encode())) else None


def _header(value: dict[str, Any]) -> Header:
    assessor = value.pop("assessor", None)
    for name, found in value.items():
        if not isinstance(found, _TYPES[name]) or isinstance(found, bool):
            raise TypeError(f"{name!r} is {type(found).__name__}")
    return Header(**value, assessor=_algorithm(assessor) if assessor else None)


def _algorithm(value: dict[str, Any]) -> Algorithm:
    folder = value.pop("code_directory")
    return Algorithm(**value, code_directory=Path(folder) if folder else None)


def add_entries(manifest: Manifest, entries: Sequence[Entry]) -> Manifest:
    """Put `entries` behind the others of a manifest, atomically, and return it as it is then.

    The caller holds the experiment's lock, so that nobody else compiles meanwhile.
    """
    path = manifest.folder / FILE_NAME
    tail = tail_lines(jobs=manifest.jobs, trials=manifest.trials).encode()
    jobs = manifest.jobs + len(entries)
    trials = manifest.trials + sum(len(entry.trials) for entry in entries)
    with files.replacing(path) as temporary:
        shutil.copyfile(path, temporary)
        with temporary.open("r+b") as file:
            file.seek(-len(tail), os.SEEK_END)
            file.truncate()
            for number, entry in enumerate(entries, start=manifest.jobs):
                file.write(entry_line(entry, first=number == 0).encode())
            file.write(tail_lines(jobs=jobs, trials=trials).encode())
    return replace(manifest, jobs=jobs, trials=trials)


def with_drawn(manifest: Manifest, job: str, trials: Sequence[Trial]) -> Manifest:
    """Put the trials that a sweep (its job's id) drew into its line, atomically.

    The caller holds the experiment's lock. Nothing is written where they stand there already, or
    where the manifest lacks the sweep.
    """
    path = manifest.folder / FILE_NAME
    now = read_manifest(manifest.folder)
    entries = now.entries(damage={})
    old = next((entry for entry in entries if entry.id == job and entry.draws), None)
    if old is None or old.trials == tuple(trials):
        return now
    line = entry_line(replace(old, trials=tuple(trials)), first=True).encode()
    with path.open("rb") as lines, files.replacing(path) as temporary, temporary.open("wb") as new:
        for text in lines:
            comma = b"," if text.startswith(b",") else b""
            is_it = text.startswith(comma + f'{{"id":"{job}",'.encode())
            new.write(comma + line if is_it else text)
        tail = tail_lines(jobs=now.jobs, trials=now.trials).encode()
        count = now.trials + len(trials) - len(old.trials)
        new.seek(-len(tail), os.SEEK_END)
        new.truncate()
        new.write(tail_lines(jobs=now.jobs, trials=count).encode())
    return replace(now, trials=count)


def _without_jobs(path: Path) -> tuple[bytes, bytes]:
    """Return what stands before the first job, and what stands behind the last one."""
    head: list[bytes] = []
    tail: list[bytes] = []
    with path.open("rb") as lines:
        for line in lines:
            head.append(line)
            if line == f"{_OPEN}\n".encode():
                break
        for line in lines:
            if tail or line == f"{_CLOSE}\n".encode():
                tail.append(line)
    return b"".join(head), b"".join(tail)


# A line of one trial, of which there are most: its parameters can stay unread.
_LINE = re.compile(
    r'\{"id":"([^"\\]*)","name":"([^"\\]*)","file":"([^"\\]*)","sha256":"([^"\\]*)","trials":\['
    + ONE_TRIAL
    + r'\],"sum":"[0-9a-f]{8}"\}\n',
    re.DOTALL,
).fullmatch


def _entry(line: str) -> Entry:
    found = _LINE(line)
    if found is not None:
        identity, name, file, sha256, one, sequence, parameters = found.groups()
        trial = Trial.unread(one, sequence, parameters)
        if trial is not None:
            return Entry(identity, name, file, sha256, (trial,))
    value, _ = _decode(line)
    trials = tuple(map(Trial.of, value["trials"]))
    for one in trials:
        if (type(one.id), type(one.sequence), type(one.parameters)) != (str, int, dict):
            raise ValueError(one)
    texts = value["id"], value["name"], value["file"], value["sha256"]
    sweep = value.get("sweep", False)
    draws = range(*value.get("draws", (0, 0)))
    if not (trials or draws) or set(map(type, texts)) != {str} or type(sweep) is not bool:
        raise ValueError(value)
    return Entry(*texts, trials, sweep, draws=draws)


class CutShortError(AmlcError):
    """A job file is not the one that the manifest names."""

    exit_code = 1


def job_text(folder: Path, entry: Entry) -> bytes:
    """Return the content of a compiled job file, checked against the manifest.

    Raises CutShortError when it is missing or another: edited by hand, or a compile is under way or
    was cut short.
    """
    content = files.read_or_none(folder / entry.file)
    if content is None:
        raise CutShortError(f"{folder / entry.file}: it is gone. Compile and submit again.")
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise CutShortError(
            f"{folder / entry.file}: not the file that was compiled. Compile again; a change by "
            "hand belongs into amlc.job or a template."
        )
    return content
