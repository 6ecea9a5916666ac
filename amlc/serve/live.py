"""What is on record of an experiment, drawn anew when it changed, for however many readers."""

from __future__ import annotations

import gzip
import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from amlc.collect.results import Results
from amlc.collect.verdict import verdict
from amlc.commands.download import Left, outputs_of
from amlc.commands.logs import logged, printed, recorded
from amlc.commands.observe import backend_named
from amlc.commands.report import experiment_of
from amlc.errors import AmlcError, DamageWarning, UsageError, os_text
from amlc.folders import Folders
from amlc.ledger import read_ledger
from amlc.manifest import FILE_NAME, Manifest, read_manifest
from amlc.plural import plural
from amlc.report.columns import as_json
from amlc.report.page import (
    Drawn,
    bar,
    drawn,
    policy,
    scripts,
    style,
    summary,
    template,
    whole_page,
)

_REST: Final = 4.0
"""How long nothing is drawn after a drawing, in times of what that took: a fifth of a core at the
most."""

_SETTLE_S: Final = 1.0
"""When a change is looked at a second time: a commit is in the file a moment before it counts."""

_MOST_FILES = 1_000  # of a trial, that are listed

_PAGE = 'live(start(JSON.parse(document.getElementById("data").textContent)), "{version}");'
_SELF = "'self'"


@dataclass(frozen=True, slots=True)
class Answer:
    """What readers are given: JSON, packed by gzip. version: tells it from any other."""

    version: str
    packed: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """What a job prints. printed: all of it so far. is_at_work: whether there may be more."""

    printed: Callable[[], Iterable[bytes]]
    is_at_work: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a trial left: its size in bytes, and its content."""

    size: int
    chunks: Iterator[bytes]


class Live:
    """One thing that changes: it is made anew only after `mark` changed, and by one reader alone.

    mark: says cheaply whether something may have changed. make: returns it as JSON text. clock:
    in seconds.
    """

    def __init__(
        self,
        mark: Callable[[], Any],
        make: Callable[[], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mark, self._make, self._clock = mark, make, clock
        self._lock = threading.Lock()
        self._seen: Any = None
        self._next, self._again = 0.0, math.inf
        self._answer: Answer | None = None

    def answer(self) -> Answer:
        """Return the newest answer there is; the first one is waited for."""
        if self._answer is None:
            with self._lock:
                if self._answer is None:
                    self._renew()
        elif self._lock.acquire(blocking=False):  # another reader is at it
            try:
                if self._is_due(self._clock()):
                    self._renew()
            finally:
                self._lock.release()
        assert self._answer is not None
        return self._answer

    def _is_due(self, now: float) -> bool:
        return now >= self._next and (now >= self._again or self._mark() != self._seen)

    def _renew(self) -> None:
        start, seen = self._clock(), self._mark()  # before it is read: what comes then is news
        text = self._make()
        version = version_of(text)
        if self._answer is None or self._answer.version != version:
            self._answer = Answer(version, gzip.compress(text.encode(), compresslevel=1, mtime=0))
        self._again = math.inf if seen == self._seen else self._clock() + _SETTLE_S
        self._seen = seen
        self._next = self._clock() + _REST * (self._clock() - start)


class Experiments:
    """The experiments of a folder, as they are on record: no back end is asked."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._live: dict[str, Live] = {}
        self._list = Live(self._mark_of_all, lambda: _listed(tuple(self._standing())))

    @property
    def names(self) -> tuple[str, ...]:
        """The build folders' names: what an address may name, and nothing else."""
        with _in_words():
            return tuple(path.name for path in self._folders.compiled_folders())

    def list_page(self) -> bytes:
        """Return the page that lists them."""
        found = tuple(self._standing())
        start = f'liveList("{version_of(_listed(found))}");'
        return _plain(title="Experiments", start=start, experiments=found)

    def list_answer(self) -> Answer:
        """Return the list as its page asks for it."""
        return self._list.answer()

    def page(self, name: str) -> bytes:
        """Return the page of an experiment that `names` has."""
        found = self._drawn(name)
        return whole_page(
            found,
            experiment_of(self.manifest(name)),
            start=_PAGE.format(version=version_of(_shown(found))),
            more=("live",),
            home="../",
            connect=_SELF,
        )

    def answer(self, name: str) -> Answer:
        """Return what its page shows now, as that asks for it."""
        with self._lock:
            live = self._live.get(name)
            if live is None:
                live = Live(lambda: self._mark(name), lambda: _shown(self._drawn(name)))
                self._live[name] = live
        return live.answer()

    def log_page(self, name: str, trial: int) -> bytes:
        """Return the page on which a trial's log is followed."""
        return _of_trial(name, trial, start="liveLog();", kind="log")

    def outputs_page(self, name: str, trial: int) -> bytes:
        """Return the page that lists the files that a trial has left so far."""
        found: list[tuple[str, str, int]] = []
        try:
            files = self._left(name, trial).files
            found = [(file, quoted(file), size) for file, (_, size) in files.items()]
            note = f"{plural(len(found), 'file')}."
            if len(found) > _MOST_FILES:
                note += f" The first {_MOST_FILES:,} are listed; amlc download {trial} fetches all."
        except AmlcError as err:
            note = str(err)
        return _of_trial(name, trial, kind="outputs", note=note, files=found[:_MOST_FILES])

    def output(self, name: str, trial: int, file: str) -> Output | None:
        """Return one of those files, None for a name that is none of them.

        So an address is never a path: it names what the back end has.
        """
        left = self._left(name, trial)
        if file not in left.files:
            return None
        source, size = left.files[file]
        return Output(size, left.backend.output(left.job, source, start=0))

    def log(self, name: str, trial: int) -> Log:
        """Return the log of a trial's last attempt. Raises UsageError when there is none."""
        manifest = self.manifest(name)
        identity, attempt = logged(manifest, str(trial), folders=self._folders)
        backend = backend_named(attempt.backend, manifest, self._folders)

        def is_at_work() -> bool:
            path = self._folders.ledger(manifest.header.experiment)
            with read_ledger(path, tolerant=True) as ledger:
                now = ledger.attempts([identity]).get(identity)
            return now is not None and now.job == attempt.job and now.working

        def text() -> Iterator[bytes]:
            try:
                return printed(backend, attempt, identity, follow=False)
            except UsageError:  # there is no log yet
                return iter(())

        return Log(text, is_at_work)

    def manifest(self, name: str) -> Manifest:
        """Return the manifest of an experiment that `names` has."""
        with _in_words():
            return read_manifest(self._folders.build / name)

    def _left(self, name: str, trial: int) -> Left:
        manifest = self.manifest(name)
        row = recorded(manifest, str(trial), self._folders)
        if row.attempt is not None and row.attempt.number == 0:
            raise UsageError(f"trial {trial} was imported. Its outputs are where it ran.")
        return outputs_of(manifest, row, folders=self._folders)

    def _drawn(self, name: str) -> Drawn:
        manifest = self.manifest(name)
        path = self._folders.ledger(manifest.header.experiment)
        with read_ledger(path, tolerant=True) as ledger, ledger.snapshot():
            found = drawn(Results(manifest, ledger), ledger)
        data = {**found.data, "live": {"log": "log/", "outputs": "outputs/"}}
        return replace(found, data=data)

    def _mark(self, name: str) -> tuple[Any, ...]:
        state = self._folders.state / name
        files = (
            self._folders.build / name / FILE_NAME,
            state / "ledger.db",
            state / "ledger.db-wal",
        )
        return tuple(map(_stamp, files))

    def _mark_of_all(self) -> tuple[Any, ...]:
        return tuple((name, self._mark(name)) for name in self.names)

    def _standing(self) -> Iterator[dict[str, Any]]:
        for name in self.names:
            try:
                manifest = self.manifest(name)
                path = self._folders.ledger(manifest.header.experiment)
                with read_ledger(path, tolerant=True) as ledger, ledger.snapshot():
                    found = verdict(Results(manifest, ledger))
                    text = "; ".join((str(found), *ledger.damage))
                one = {"name": manifest.header.experiment, "folder": name, "text": text}
                yield one | {"bar": bar(found.statuses)}
            except (AmlcError, DamageWarning) as err:
                yield {"name": name, "folder": "", "text": str(err), "bar": ()}


@contextmanager
def _in_words() -> Iterator[None]:
    """Make an error of what the system refuses that readers are told."""
    try:
        yield
    except OSError as err:
        raise UsageError(os_text(err)) from err


def version_of(text: str) -> str:
    """Return what tells this text from any other: so a page knows whether it shows it."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def quoted(name: str) -> str:
    """Return a file's name as it stands in an address, also where it is no UTF-8."""
    return quote(name, errors="surrogateescape")


def _shown(found: Drawn) -> str:
    return as_json({"summary": summary(found), "data": found.data})


def _listed(experiments: tuple[dict[str, Any], ...]) -> str:
    return as_json({"list": template("list.html.j2").render(experiments=experiments)})


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _of_trial(name: str, trial: int, **values: Any) -> bytes:
    return _plain(title=f"{name}: trial {trial}", home="../../", trial=trial, **values)


def _plain(*, title: str, start: str = "", **values: Any) -> bytes:
    from markupsafe import Markup

    script = f'"use strict";\n(() => {{\n{scripts("live")}\n{start}\n}})();'
    known = {"kind": "list", "home": "", "experiments": (), "files": (), "note": ""} | values
    return (
        template("plain.html.j2")
        .render(
            title=title,
            policy=policy(script, style=style(), connect=_SELF),
            style=Markup(style()),  # noqa: S704 - our own style
            script=Markup(script),  # noqa: S704 - our own script
            **known,
        )
        .encode("utf-8", "replace")
    )
