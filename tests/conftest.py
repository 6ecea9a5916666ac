"""What tests share: an experiment on disk, amlc run in its folder as a user would, and no network."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from amlc.attempts import fold
from amlc.collect.results import Results
from amlc.commands.compile import compile_
from amlc.config import load_experiment
from amlc.folders import Folders
from amlc.ledger import open_ledger
from amlc.manifest import read_manifest
from tests import forking

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 60
BRINGS = "is missing: make test-all"
"""What a reason to skip says when `make test-all` installs what is missing."""
WEIRD = 'it\'s a "weird" $(path) & ünïcödé ✓ #1 %d'
FINAL = """final() { printf "NNISDK_MEb'%s'\\n" '{"type":"FINAL","sequence":0,"value":"'"$1"'"}'; }\n"""
FINAL += FINAL.replace("final()", "intermediate()").replace("FINAL", "PERIODICAL")
"""Shell: `final 1.5` reports a final result, as nni does when a trial reports one; `intermediate 1` another one."""

# Wall time is the machine's: a test that waits for its turn behind others is not a slow one.
# In CI the same examples come each time; elsewhere others do, which is how they find something.
settings.register_profile(
    "amlc", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("amlc")

LONG = (
    "adaptive_test.py", "api/experiment_test.py", "architecture_test.py", "azure/adaptive_test.py",
    "azure/by_hand_test.py", "azure/damaged_test.py", "azure/data_matrix_test.py", "azure/distributed_test.py",
    "azure/emulator_test.py", "azure/endings_test.py", "azure/examples_test.py", "azure/identity_storage_test.py",
    "azure/lately_test.py", "azure/latent_test.py", "azure/matrix_test.py", "azure/reproduce_test.py",
    "azure/saying_test.py", "azure/spoiled_test.py", "azure/submit_test.py", "azure/sweep_test.py",
    "checkpoints_test.py", "ci_test.py", "commands/", "compatibility/local_mode_test.py",
    "compatibility/nni_experiment_test.py", "compatibility/nnictl_test.py", "compatibility/old_experiments_test.py",
    "compatibility/own_class_test.py", "config/fuzz_test.py", "crash_test.py", "damage_test.py", "drive_test.py",
    "editors/", "faults/faults_test.py", "fuzz/fuzz_test.py", "ledger_test.py", "make_test.py", "matrix_test.py",
    "metamorphic_test.py", "output_test.py", "packs_test.py", "parallel_test.py", "pbt_example_test.py",
    "readme_test.py", "reconcile_test.py", "render/form_test.py", "report/browser_test.py", "runner/", "runner_test.py",
    "serve/", "simulate_test.py", "starting/project_test.py", "targets/local/", "targets/toy_test.py",
    "tuners/kernels_blas_test.py", "tuners/model_based_test.py", "tuners/zoo_test.py", "viewers/mlflow_test.py",
    "viewers/tensorboard_test.py", "viewers/wandb_test.py", "warm_start_test.py", "write_test.py",
    "azure/walk_test.py::test_refresh", "azure/walk_test.py::test_results_are_those",
    "azure/walk_test.py::test_the_seeds_experiment_goes_from_submit_to_results[camelCase",
    "cli/compiling_test.py::test_init", "cli/process_test.py::test_a_closed_pipe",
    "cli/process_test.py::test_any_locale", "identity_test.py::test_after_an_edit",
    "refused_test.py::test_validate_and_compile", "tuners/gridsearch_test.py::test_any_space",
    "tuners/random_test.py::test_any_space",
)  # fmt: skip
"""What `-m 'not long'` leaves out: the slowest files, and those that the versions of libraries mean little to.

One way at least through each library stays: azure/walk_test and signin_test, load_job_test, api/docs_test,
targets/contract_test, the tuners' own tests, and report_test.
"""


# A shell starts what it puts into the background with ^C ignored, and nohup ignores the end of the terminal; the tests
# that interrupt a process need both as they are otherwise.
for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, default)


def need_data_filter():
    """Skip where `amlc load` refuses every archive, as it says: Python 3.11.2 (Debian 12) is one of those."""
    if not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python's tarfile cannot unpack safely (3.10.12, 3.11.4 and later can)")


def work(function) -> int:
    """Return how many calls `function` makes: what it costs, on any machine and however busy that is."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def _wait_until(condition, timeout_s=TIMEOUT_S):
    """Return what `condition` returns as soon as that is true; fail when it hangs, on however busy a machine."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"still waiting for {condition}"
        time.sleep(0.005)
    return found


class Done(subprocess.CompletedProcess):
    """A command that has ended."""

    @property
    def told(self):
        """What it said, without the line of each trial that ended."""
        return re.sub(r"^#\d+ .*; \d+( of \d+)? ended.*\n", "", self.stderr, flags=re.MULTILINE)


class Project:
    """A folder with an experiment, whose trials note their start in `starts`, outside of every run folder."""

    def __init__(self, root):
        self.root = root
        root.mkdir(parents=True)
        self.mark = f"PROBE={root}"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AMLC_", "NNI_", "CUDA_VISIBLE"))},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PROBE": str(root),
            "STARTS": str(root / "starts"),
        }
        self.folders = Folders(root / "build", root / ".amlc")

    def write(self, script="", *, values=range(4), **keys):
        """Write a grid over x in `values`; its trials note their start, do `script` (for /bin/sh) and report 1.5."""
        (self.root / "code").mkdir(exist_ok=True)
        text = f'echo "$NNI_TRIAL_JOB_ID" >> "$STARTS"\n{FINAL}{script}\nfinal 1.5\n'
        (self.root / "code" / "trial.sh").write_text(text, encoding="utf-8")
        config = {
            "experimentName": "probe",
            "searchSpace": {"x": {"_type": "choice", "_value": list(values)}},
            "trialCommand": "sh trial.sh",
            "trialCodeDirectory": "code",
            "trialConcurrency": 2,
            "tuner": {"name": "GridSearch"},
            "trainingService": {"platform": "local"},
            **keys,
        }
        (self.root / "experiment.yml").write_text(json.dumps(config), encoding="utf-8")
        return self

    def compile(self):
        """Compile in this process, which is quick."""
        experiment, _ = load_experiment(self.root / "experiment.yml", environ=os.environ)
        compile_(experiment, backend=None, folders=self.folders)
        return self

    def start(self, *arguments, env=None, **popen):
        """Start amlc in the project's folder."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
        return subprocess.Popen(
            [sys.executable, "-m", "amlc", *arguments], cwd=self.root, env={**self.environ, **(env or {})}, **streams
        )

    def amlc(self, *arguments, code=0, **options):
        """Run amlc in the project's folder; the result has stdout as bytes and stderr as text."""
        environ = {**self.environ, **(options.get("env") or {})}
        is_short = not options.keys() - {"env"} and forking.is_possible(environ)
        with forking.Forked(arguments, environ, self.root) if is_short else self.start(*arguments, **options) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT_S)
            finally:
                process.kill()
        err = (err or b"").decode(errors="replace")
        assert process.returncode == code, err
        assert "Traceback" not in err
        return Done(arguments, process.returncode, out, err)

    @property
    def manifest(self):
        return read_manifest(next(self.folders.build.glob("*/manifest.json")).parent)

    @property
    def trials(self):
        """The ids of all compiled trials, in order."""
        return [trial.id for entry in self.manifest.entries() for trial in entry.trials]

    @property
    def starts(self):
        """The ids of the trials that were started, in order."""
        path = self.root / "starts"
        return path.read_text().split() if path.exists() else []

    def ledger(self):
        return open_ledger(self.folders.ledger(self.manifest.header.experiment))

    def attempts(self):
        with self.ledger() as ledger:
            return list(fold(ledger.events()).values())

    def events(self):
        with self.ledger() as ledger:
            return list(ledger.events())

    def statuses(self):
        """The trials' statuses as recorded, in order."""
        with self.ledger() as ledger:
            return [row.status.value for row in Results(self.manifest, ledger).rows()]

    def run_folder(self, trial):
        """The run folder of a trial's only attempt."""
        (found,) = self.folders.runs("probe").glob(f"*{trial}*")
        return found

    def processes(self):
        """The ids of all processes that were started from here and are there still, but a back end's that waits."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                try:
                    mine = os.fsencode(self.mark) in (folder / "environ").read_bytes().split(b"\0")
                    state, parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[:2]
                    is_server = int(parent) == os.getpid() and b"fork_server.py" in (folder / "cmdline").read_bytes()
                    if mine and state != "Z" and not is_server:
                        found.append(int(folder.name))
                except OSError:
                    continue  # gone, or not ours
        return found

    def kill_all(self):
        while pids := self.processes():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Let four workers share a core: most of the time a test waits for a process."""
    return min(4 * (os.cpu_count() or 1), 16)


def pytest_collection_modifyitems(items):
    """Mark what is named in LONG."""
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(LONG):
            item.add_marker("long")


# NNI 3.0 has wheels for x86 alone, and no source: elsewhere, what compares with it has nothing to compare with.
HAS_NNI = importlib.util.find_spec("nni") is not None
collect_ignore = [] if HAS_NNI else ["compatibility", "config/legacy", "api/nni_test.py"]


def _skip_without_nni(report, error):
    """Make a test that fails for want of NNI one that skips."""
    named = str(getattr(error, "name", "")).partition(".")[0] == "nni"
    if not HAS_NNI and (named or "needs NNI, which is not installed" in str(error)):
        report.outcome = "skipped"
        report.longrepr = (str(report.fspath), report.location[1], "Skipped: nni has no wheel for this machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let a test fail that skips under CI=true: there, everything that tests need has to be installed."""
    report = yield
    _skip_without_nni(report, call.excinfo and call.excinfo.value)
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"CI must not skip: {report.longrepr[2]}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Say at the end, in one line, what was skipped because something is not installed, and what installs it."""
    yield
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ())]
    found = [words.removeprefix("Skipped: ").partition(" is missing: ") for words in reasons if BRINGS in words]
    if found:
        names = " and ".join(sorted({name for name, _, _ in found}))
        terminalreporter.write_line(f"Skipped {len(found)} tests for want of {names}. Run them too: make test-all")


@pytest.fixture
def wait_until():
    """Wait for a condition: `wait_until(lambda: ..., timeout_s)`."""
    return _wait_until


@pytest.fixture
def make_project(tmp_path):
    """Make projects below tmp_path; none of their processes outlives the test."""
    made = []

    def make(name="project"):
        made.append(Project(tmp_path / name))
        return made[-1]

    yield make
    for project in made:
        project.kill_all()


@pytest.fixture
def project(make_project):
    """A project whose path is nothing special."""
    return make_project()


@pytest.fixture
def weird_project(make_project):
    """A project in a folder whose name has spaces, quotes and more."""
    return make_project(WEIRD)


@pytest.fixture(scope="session", autouse=True)
def _no_network():
    """Refuse connections to everything but this machine."""
    connect = socket.socket.connect

    def local_only(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests have no network: {address}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_only)
        yield
