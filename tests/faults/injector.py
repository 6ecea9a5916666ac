"""Strike one system call of one process of a command, do it again unharmed, and see whether the answer is right."""

from __future__ import annotations

import atexit
import csv
import io
import os
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from amlc.backends import run_folder
from amlc.model import End, Status
from tests.conftest import Project

KINDS = ("ENOSPC", "EIO", "EMFILE", "EACCES", "SHORT", "KILL", "GROUP", "STOP", "CLOCK", "NOLOCK")
WORKERS_KINDS = ("KILL", "GROUP", "STOP")
"""A compile worker has no files, only pipes, and those do not fail."""
COLUMNS = ("lost", "doubled", "wrong exit", "traceback", "leftovers")
"""What can be wrong."""
_PACKAGE = Path(run_folder.__file__).parents[1]
_ENDS_WITHIN_S = 300  # of a busy machine
STOPPED_S = 2.0
"""How long a suspended process stays so."""


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
    """What came of one strike. at: the number of the call; struck: which it was, empty when there was no such call.

    wrong: what was, each with its column.
    """

    command: str
    role: str
    kind: str
    at: int
    struck: str = ""
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def note(self, column: str, text: str) -> None:
        """Write down what is wrong."""
        assert column in COLUMNS
        self.wrong.append((column, text))


_BESIDE = """
mine="$PROBE/at-work.$NNI_TRIAL_JOB_ID"
if [ -e "$mine" ] && grep -qzFx "PROBE=$PROBE" "/proc/$(cat "$mine")/environ" 2> /dev/null; then
  echo "$NNI_TRIAL_JOB_ID" >> "$PROBE/beside"
fi
echo $$ > "$mine"
"""
"""Shell: notes when an earlier attempt of the same trial is at work still, and not just a process of that number."""


def _grid(project: Project, script: str = "", count: int = 4, **keys: object) -> Project:
    return project.write(f"{_BESIDE}{script}", values=range(count), **keys)


def _submitted(project: Project) -> None:
    _grid(project).compile().amlc("submit")


def _failed(project: Project) -> None:
    _grid(project, '[ -e "$PROBE/again" ] || exit 3').compile().amlc("submit", code=1)
    (project.root / "again").touch()


def _lost(project: Project) -> None:
    _submitted(project)
    for path in project.folders.ledger("probe").parent.glob("ledger.db*"):
        path.unlink()


def _damaged(project: Project) -> None:
    _submitted(project)
    with closing(sqlite3.connect(project.folders.ledger("probe"))) as ledger, ledger:
        ledger.execute("UPDATE events SET data = '{' WHERE number IN (2, 7)")


def _at_work(project: Project) -> None:
    _grid(project, "sleep 600", trialConcurrency=4).compile()
    project.start("submit", "--no-wait").communicate(timeout=_ENDS_WITHIN_S)


def _many(project: Project) -> None:
    _grid(project, count=600)


def _tuned(project: Project) -> None:
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    tuner = {"name": "TPE", "classArgs": {"optimize_mode": "minimize"}}
    project.write(_BESIDE, searchSpace=space, tuner=tuner, maxTrialNumber=5)


def _packed(project: Project) -> None:
    _grid(project, count=6, amlc={"trialsPerJob": 3})


SUBMIT, COLLECT, REFRESH = ("submit",), ("collect",), ("refresh",)
RUN, COMPILE = ("run", "experiment.yml"), ("compile", "experiment.yml")
_WORK = ("amlc", "fork server", "supervisor", "runner")
COMMANDS: Mapping[str, Command] = {
    "compile": Command(_grid, COMPILE, (COMPILE, SUBMIT), ("amlc",), 4),
    "compile 600": Command(_many, COMPILE, (COMPILE,), ("worker",), 600, Status.PENDING.value),
    "submit": Command(lambda project: _grid(project).compile(), SUBMIT, (SUBMIT,), _WORK, 4),
    "run, TPE": Command(_tuned, RUN, (RUN,), _WORK, 5),
    "run, packed": Command(_packed, RUN, (RUN,), _WORK, 6),
    "retry": Command(_failed, (*SUBMIT, "--retry", "failed"), ((*SUBMIT, "--retry", "failed"),), _WORK, 4),
    "cancel": Command(_at_work, ("cancel", "--all"), (("cancel", "--all"),), ("amlc",), 4, Status.CANCELED.value),
    "collect": Command(_submitted, COLLECT, (COLLECT,), ("amlc",), 4),
    "refresh, lost": Command(_lost, REFRESH, (REFRESH, SUBMIT), ("amlc",), 4),
    "refresh, damaged": Command(_damaged, REFRESH, (REFRESH, SUBMIT), ("amlc",), 4),
    "report": Command(_submitted, ("report",), (("report",),), ("amlc",), 4),
}
SHORT = ("compile", "cancel", "collect", "refresh, lost", "refresh, damaged", "report")
"""The commands of which every call is struck in CI."""


@cache
def library() -> Path:
    """Build the library that is loaded into the processes. Raises FileNotFoundError without a C compiler."""
    folder = Path(tempfile.mkdtemp(prefix="amlc-faults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
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
    project = _prepared(folder, what)
    try:
        code, out = _struck(project, what, finding)
        if not finding.struck:
            return finding
        promised = code == 0 and what.words != COMPILE
        if promised and what.ends == Status.CANCELED.value:
            # Nothing is at work; that it has ended is recorded by whoever reads next, if not by it.
            if at_work := project.processes():
                finding.note("wrong exit", f"exit 0, and at work are {at_work}")
            _clean(project, ("status",), finding)
        if promised:
            _settle(project, what)
            for _, text in _missing(project, what, out):
                finding.note("wrong exit", f"exit 0, and {text}")
        for words in what.again:
            out = _clean(project, words, finding)
        for column, text in (*_missing(project, what, out), *_doubled(project, what), *_left(project)):
            finding.note(column, text)
        return finding
    finally:
        project.kill_all()


def calls(folder: Path, command: str, role: str) -> Mapping[str, int]:
    """Return how many calls of a process of a command each kind can strike."""
    finding = Finding(command, role, "KILL", 0)
    what = COMMANDS[command]
    project = _prepared(folder, what)
    _struck(project, what, finding)
    project.kill_all()
    _, *counts = struct.unpack(f"{1 + len(KINDS)}L", (folder / "count").read_bytes())
    return dict(zip(KINDS, counts, strict=True))


def _prepared(folder: Path, what: Command) -> Project:
    """Return a project as it is before the command; what has no process at work is made once, and copied."""
    project = Project(folder)
    if what.prepare is _at_work:
        what.prepare(project)
    else:
        shutil.copytree(_template(what.prepare), folder, dirs_exist_ok=True)
    return project


_templates = threading.Lock()


def _template(prepare: Callable[[Project], object]) -> Path:
    with _templates:
        return _made_template(prepare)


@cache
def _made_template(prepare: Callable[[Project], object]) -> Path:
    folder = library().parent / f"template{prepare.__name__}"
    prepare(Project(folder))
    return folder


@cache
def _build(prepare: Callable[[Project], object], words: tuple[str, ...]) -> Mapping[str, bytes]:
    """Return the build folder of a command that nothing struck."""
    project = Project(Path(tempfile.mkdtemp(dir=library().parent)) / "clean")
    shutil.copytree(_template(prepare), project.root, dirs_exist_ok=True)
    process = project.start(*words)
    process.communicate(timeout=_ENDS_WITHIN_S)
    assert process.returncode == 0, words
    return _tree(project)


def _tree(project: Project) -> Mapping[str, bytes]:
    """Return the files of the build folder but the one for make, whose paths are this folder's."""
    folder = project.folders.build / "probe"
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "depend.mk")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _struck(project: Project, what: Command, finding: Finding) -> tuple[int | None, bytes]:
    (project.root / "count").write_bytes(bytes(8 * (1 + len(KINDS))))
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
    if finding.kind == "STOP":
        threading.Thread(target=_resume, args=(process, log), daemon=True).start()
    try:
        out, err = process.communicate(timeout=_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        finding.note("wrong exit", "it hangs")
    if log.exists():
        finding.struck = log.read_text().replace(str(project.root), "").splitlines()[0].strip()
    # `python -m` looks for amlc in the current folder first, and fails before there is any amlc; the command does not.
    if b"Traceback" in err and str(_PACKAGE).encode() in err:
        finding.note("traceback", err.decode().strip().splitlines()[-1])
    if process.returncode == 0 and b"amlc: error" in err:
        finding.note("wrong exit", "exit 0 with an error")
    if finding.kind == "NOLOCK" and finding.at == 1 and (finding.struck and process.returncode != 2):
        finding.note("wrong exit", f"exit {process.returncode} without locks")
    return process.returncode, out


def _resume(process: subprocess.Popen[bytes], log: Path) -> None:
    """Let the process that was suspended go on after a while."""
    while process.poll() is None or log.exists():
        if log.exists() and len(lines := log.read_text().splitlines()) == 2:
            time.sleep(STOPPED_S)
            with suppress(ProcessLookupError):
                os.kill(int(lines[1]), signal.SIGCONT)
            return
        time.sleep(0.05)


def _clean(project: Project, words: Sequence[str], finding: Finding) -> bytes:
    """Run a command that nothing strikes, and that has to set all right; return what it prints."""
    process = project.start(*words)
    try:
        out, err = process.communicate(timeout=_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    if process.returncode != 0:
        finding.note("wrong exit", f"amlc {' '.join(words)} afterwards: exit {process.returncode}: {err.decode()}")
    if b"Traceback" in err:
        finding.note("traceback", f"amlc {' '.join(words)} afterwards: {err.decode()}")
    return out


def _settle(project: Project, what: Command) -> None:
    """Wait for jobs that nobody waits for: they end by themselves."""
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while what.ends == Status.SUCCEEDED.value and project.processes() and time.monotonic() < deadline:
        time.sleep(0.02)


def _missing(project: Project, what: Command, out: bytes) -> Iterator[tuple[str, str]]:
    """Yield what is not there that has to be once all is done."""
    if not any(project.folders.build.glob("*/manifest.json")):
        yield "lost", "nothing is compiled"
        return
    statuses = project.statuses()
    if statuses != [what.ends] * what.trials:
        yield "lost", f"the trials stand {statuses}"
    if len(set(project.trials)) != what.trials:
        yield "lost", f"there are {len(set(project.trials))} trials"
    if what.words == COLLECT:
        rows = list(csv.DictReader(io.StringIO(out.decode())))
        if [row["metric.default"] for row in rows] != ["1.5"] * what.trials:
            yield "lost", f"{len(rows)} rows were written"
    if what.words == ("report",) and b"</html>" not in out:
        yield "lost", "the report has no end"
    if what.words in (COMPILE, RUN) and what.prepare is not _tuned:  # what that tuner proposes depends on the results
        found, clean = _tree(project), _build_of(what)
        if found != clean:
            differ = sorted(name for name in {*found, *clean} if found.get(name) != clean.get(name))
            yield "lost", f"build/ has other bytes: {differ}"


def _build_of(what: Command) -> Mapping[str, bytes]:
    with _builds:
        return _build(what.prepare, what.words)


_builds = threading.Lock()


def _doubled(project: Project, what: Command) -> Iterator[tuple[str, str]]:
    if what.ends != Status.SUCCEEDED.value:
        return
    for trial in project.trials:
        if (ended := _ends(project, trial)) > 1:
            yield "doubled", f"trial {trial} ran {ended} times to its end"
    beside = project.root / "beside"
    if beside.exists():
        yield "doubled", f"beside an attempt of its own ran {beside.read_text().split()}"


def _ends(project: Project, trial: str) -> int:
    """Return how many attempts of a trial ended well by their runner's own record; not those whose result was lost."""
    found = 0
    for folder in project.folders.runs("probe").iterdir():
        outcomes = run_folder.fetched(folder).outcomes
        found += any(one.trial == trial and one.exit_code == 0 and one.end != End.LOST for one in outcomes)
    return found


def _left(project: Project) -> Iterator[tuple[str, str]]:
    """Yield what nobody would ever remove: processes, temporary files, working copies of what ended well."""
    if pids := project.processes():
        yield "leftovers", f"{len(pids)} processes are there still: {list(map(_words, pids))}"
    for path in sorted(project.root.glob("**/*")):
        inside = path.relative_to(project.root).as_posix()
        if re.search(r"\.tmp$|~$", inside):
            yield "leftovers", f"{inside} is left"
    for code in project.folders.runs("probe").glob("*/work/amlc_runner.py"):
        run = code.parents[1]
        if run_folder.exit_code(run) != 3:  # of a trial that failed by itself, it is kept
            yield "leftovers", f"{run.name}/work is left"


def _words(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return "gone"
