"""A job's working directory, and the runner as a real process in it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

RUNNER = Path(__file__).parents[2] / "amlc" / "runner"
PARTS = ", ".join(sorted({path.stem for path in RUNNER.glob("amlc_runner_lib/*.py")} - {"__init__"}))
ID = "0123456789abcdef"
PARAMETERS = {"lr": 1, "name": 'it\'s "#1" // \\" # a'}
PYTHON = shlex.quote(sys.executable)
BARE = f"{PYTHON} -S"  # without site-packages: quick to start, and no nni
TIMEOUT_S = 120


class JobFolder:
    """A job's working directory, and the way to run the runner in it."""

    def __init__(self, root):
        self.root = root
        root.mkdir(parents=True)
        shutil.copytree(RUNNER, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))

    def environment(self, command, trials, env):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AMLC_", "MLFLOW_", "NNI_", "AZUREML_"))}
        inherited.pop("CUDA_VISIBLE_DEVICES", None)
        own = {"AMLC_EXPERIMENT": json.dumps("it's an ex"), "AMLC_COMMAND": json.dumps(command)}
        own.update({f"AMLC_TRIAL_{i}": json.dumps(trial) for i, trial in enumerate(trials)})
        merged = {**inherited, **own, **(env or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def start(self, command, *, trials=None, env=None, python=sys.executable, patch=None, **popen):
        """Start the runner; `patch` is code that runs first, with the runner's parts by their names."""
        trials = [one_trial()] if trials is None else trials
        arguments = [python, "amlc_runner.py"]
        if patch:
            program = f"import sys\nfrom amlc_runner_lib import {PARTS}\n{patch}\nsys.exit(main.main())"
            arguments = [python, "-c", program]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
        return subprocess.Popen(arguments, cwd=self.root, env=self.environment(command, trials, env), **streams)

    def run(self, command, **options):
        with self.start(command, **options) as process:
            out, err = process.communicate(timeout=TIMEOUT_S)
        return Done(process.returncode, out, err.decode())

    def script(self, text, name="trial.py"):
        (self.root / name).write_text(text, encoding="utf-8")
        return f"{BARE} {name}"

    def home(self, identifier=ID):
        return self.root / "outputs" / "amlc" / identifier

    def result(self, identifier=ID):
        return json.loads((self.home(identifier) / "result.json").read_text())

    def metrics(self, identifier=ID):
        lines = (self.home(identifier) / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def values(self, identifier=ID):
        return [(record["type"], record["sequence"], record["value"]) for record in self.metrics(identifier)]


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


def one_trial(identifier=ID, sequence=7, parameters=PARAMETERS):
    return {"id": identifier, "sequence": sequence, "parameters": parameters}


def trials(count):
    return [one_trial(f"{i:016x}", i, {"n": i}) for i in range(count)]


def metric_line(value, *, kind="PERIODICAL", sequence=0):
    message = {"parameter_id": 7, "trial_job_id": ID, "type": kind, "sequence": sequence, "value": json.dumps(value)}
    return f"NNISDK_MEb'{json.dumps(message)}'"


def wait_until(condition):
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def is_alive(pid):
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


@cache  # to start them all takes seconds
def interpreters():
    """Return the path of every Python from 3.6 on that this machine has, this one at least, by its version."""
    found = {f"3.{sys.version_info.minor}": sys.executable}
    for version in (f"3.{minor}" for minor in range(6, 20)):
        pyenv = sorted(Path(os.environ.get("PYENV_ROOT", "/nowhere"), "versions").glob(f"{version}.*/bin/python"))
        for python in [*map(str, pyenv), shutil.which(f"python{version}")]:
            # pyenv's shims are there for versions that are not.
            if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
                found.setdefault(version, python)
    return found
