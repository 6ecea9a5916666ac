"""Strike one system call of one process of a command, do it again unharmed, and see whether the answer is right."""

from __future__ import annotations

import csv
import io
import re
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from amlc.backends import run_folder
from amlc.model import Status
from tests.conftest import Project

KINDS = ("ENOSPC", "EIO", "EMFILE", "EACCES", "SHORT", "KILL", "GROUP")
_ENDS_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Command:
    """A command to strike: what comes before it, its words, the words after it that set all right, its processes."""

    prepare: Callable[[Project], object]
    words: tuple[str, ...]
    again: tuple[tuple[str, ...], ...]
    roles: tuple[str, ...]
    trials: int = 0
    ends: str = Status.SUCCEEDED.value


@dataclass(slots=True)
class Finding:
    """What came of one strike. at: the number of the call; struck: which it was, empty when there was no such call."""

    command: str
    role: str
    kind: str
    at: int
    struck: str = ""
    wrong: list[str] = field(default_factory=list)


_ONCE = '[ -e "$PROBE/again" ] || [ "$(wc -l < "$STARTS")" -gt 2 ] || exit 3'


def _grid(project: Project, script: str = "", count: int = 4, **keys: object) -> Project:
    return project.write(script, values=range(count), **keys)


def _submitted(project: Project) -> None:
    _grid(project).compile().amlc("submit")


def _failed(project: Project) -> None:
    _grid(project, '[ -e "$PROBE/again" ] || exit 3').compile().amlc("submit", code=1)
    (project.root / "again").touch()


def _at_work(project: Project) -> None:
    _grid(project, "sleep 60", trialConcurrency=4).compile().amlc("submit", "--no-wait")


def _many(project: Project) -> None:
    _grid(project, count=600)


def _tuned(project: Project) -> None:
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    tuner = {"name": "TPE", "classArgs": {"optimize_mode": "minimize"}}
    project.write(searchSpace=space, tuner=tuner, maxTrialNumber=5)


def _packed(project: Project) -> None:
    _grid(project, count=6, amlc={"trialsPerJob": 3})


SUBMIT, COLLECT = ("submit",), ("collect",)
RUN, COMPILE = ("run", "experiment.yml"), ("compile", "experiment.yml")
_WORK = ("amlc", "supervisor", "runner")
COMMANDS: Mapping[str, Command] = {
    "compile": Command(_grid, COMPILE, (COMPILE, SUBMIT), ("amlc",), 4),
    "compile 600": Command(_many, COMPILE, (COMPILE,), ("worker",), 600, Status.PENDING.value),
    "submit": Command(lambda project: _grid(project).compile(), SUBMIT, (SUBMIT,), _WORK, 4),
    "run, TPE": Command(_tuned, RUN, (RUN,), _WORK, 5),
    "run, packed": Command(_packed, RUN, (RUN,), _WORK, 6),
    "retry": Command(_failed, (*SUBMIT, "--retry", "failed"), ((*SUBMIT, "--retry", "failed"),), _WORK, 4),
    "cancel": Command(_at_work, ("cancel", "--all"), (("cancel", "--all"),), ("amlc",), 4, Status.CANCELED.value),
    "collect": Command(_submitted, COLLECT, (COLLECT,), ("amlc",), 4),
    "report": Command(_submitted, ("report",), (("report",),), ("amlc",), 4),
}
SHORT = ("compile", "cancel", "collect", "report")
"""The commands of which every call is struck in CI."""


@cache
def library() -> Path:
    """Build the library that is loaded into the processes. Raises FileNotFoundError without a C compiler."""
    folder = Path(tempfile.mkdtemp(prefix="amlc-faults-"))
    made, source = folder / "inject.so", Path(__file__).with_name("inject.c")
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl", "-lpthread"], check=True)
    return made


def inject(folder: Path, command: str, role: str, kind: str, at: int) -> Finding:
    """Run a command in `folder`, which is new, with one call struck, then the clean one; return what was wrong."""
    finding = Finding(command, role, kind, at)
    what = COMMANDS[command]
    project = Project(folder)
    what.prepare(project)
    try:
        code, out = _struck(project, what, finding)
        if not finding.struck:
            return finding
        _settled(project, finding)
        promised = code == 0
        if promised and what.words != COMPILE:
            finding.wrong += [f"exit 0, and {text}" for text in _missing(project, what, out)]
        for words in what.again:
            done = project.start(*words)
            out, err = done.communicate(timeout=_ENDS_WITHIN_S)
            if done.returncode != 0 or b"Traceback" in err:
                finding.wrong.append(f"amlc {' '.join(words)} afterwards: exit {done.returncode}: {err.decode()}")
        finding.wrong += _missing(project, what, out)
        finding.wrong += _left(project)
        return finding
    finally:
        project.kill_all()


def calls(folder: Path, command: str, role: str, kind: str) -> int:
    """Return how many calls of a command a kind can strike."""
    finding = Finding(command, role, kind, 0)
    what = COMMANDS[command]
    project = Project(folder)
    what.prepare(project)
    _struck(project, what, finding)
    project.kill_all()
    return struct.unpack("L", (folder / "count").read_bytes())[0]


def _struck(project: Project, what: Command, finding: Finding) -> tuple[int | None, bytes]:
    (project.root / "count").write_bytes(bytes(8))
    log = project.root / "struck"
    environ = {
        "LD_PRELOAD": str(library()),
        "FAULT_ROLE": finding.role,
        "FAULT_KIND": finding.kind,
        "FAULT_AT": str(finding.at),
        "FAULT_ROOT": str(project.root),
        "FAULT_COUNT": str(project.root / "count"),
        "FAULT_LOG": str(log),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = project.start(*what.words, env=environ, start_new_session=True)
    try:
        out, err = process.communicate(timeout=_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        finding.wrong.append("it hangs")
    if log.exists():
        finding.struck = log.read_text().replace(str(project.root), "").strip()
    if b"Traceback" in err and finding.role in ("amlc", "worker"):
        finding.wrong.append("a traceback: " + err.decode().strip().splitlines()[-1])
    if process.returncode == 0 and b"amlc: error" in err:
        finding.wrong.append("exit 0 with an error")
    return process.returncode, out


def _settled(project: Project, finding: Finding) -> None:
    """Wait for the jobs that nobody waits for: they end by themselves."""
    if COMMANDS[finding.command].ends != Status.SUCCEEDED.value:
        return
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while project.processes():
        if time.monotonic() > deadline:
            finding.wrong.append("processes go on for ever")
            return
        time.sleep(0.02)


def _missing(project: Project, what: Command, out: bytes) -> Iterator[str]:
    """Yield what is not as it has to be once all is done."""
    if not any(project.folders.build.glob("*/manifest.json")):
        yield "nothing is compiled"
        return
    statuses = project.statuses()
    if statuses != [what.ends] * what.trials:
        yield f"the trials stand {statuses}"
    if len(set(project.trials)) != what.trials:
        yield f"there are {len(set(project.trials))} trials"
    if what.words == COLLECT:
        rows = list(csv.DictReader(io.StringIO(out.decode())))
        if [row["metric.default"] for row in rows] != ["1.5"] * what.trials:
            yield f"{len(rows)} rows were written"
    if what.words == ("report",) and b"</html>" not in out:
        yield "the report has no end"
    if what.ends == Status.SUCCEEDED.value:
        yield from _doubled(project)


def _doubled(project: Project) -> Iterator[str]:
    for trial in project.trials:
        if (ended := _ends(project, trial)) > 1:
            yield f"trial {trial} ran {ended} times to its end"


def _ends(project: Project, trial: str) -> int:
    """Return how many attempts of a trial ended well by their runner's own record."""
    found = 0
    for folder in project.folders.runs("probe").iterdir():
        outcomes = run_folder.fetched(folder).outcomes
        found += any(one.trial == trial and one.exit_code == 0 for one in outcomes)
    return found


def _left(project: Project) -> Iterator[str]:
    """Yield what nobody would ever remove: processes, temporary files, working copies of what ended well."""
    if pids := project.processes():
        yield f"{len(pids)} processes are there still"
    for path in sorted(project.root.glob("**/*")):
        inside = path.relative_to(project.root).as_posix()
        if re.search(r"\.tmp$|~$", inside):
            yield f"{inside} is left"
