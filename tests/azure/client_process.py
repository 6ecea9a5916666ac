"""Run amlc as processes that have imported the Azure libraries already: a parent that forks one for each command."""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from functools import cache
from pathlib import Path

from amlc.attempts import fold
from amlc.folders import Folders
from amlc.ledger import open_ledger
from amlc.manifest import read_manifest
from tests.forking import load

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240  # the machine may be busy


class Parent:
    """The process that forks the clients; one for each process of pytest."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._process.kill)

    def start(self, arguments, env, folder):
        """Start a client and return its process id; one at a time."""
        self._process.stdin.write(json.dumps([arguments, env, str(folder)]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self):
        """Return the exit code, stdout and stderr of the client."""
        timer = threading.Timer(TIMEOUT_S, self._process.kill)
        timer.start()
        answer = json.loads(self._process.stdout.readline())
        timer.cancel()
        return answer


@cache
def parent():
    """Start the parent of all clients, once."""
    return Parent()


class AzureProject:
    """A folder with an experiment on the emulator's workspace, and amlc to run in it, pointed there from outside."""

    def __init__(self, root, azure, *, recipe="proxy", **environ):
        self.root, self.azure = root, azure
        root.mkdir(parents=True, exist_ok=True)
        self.environ = azure.environ(recipe, **environ)
        self.folders = Folders(root / "build", root / ".amlc")

    @property
    def service(self):
        """The trainingService of the emulator's workspace."""
        azure = self.azure
        return {
            "platform": "aml",
            "dockerImage": "msranni/nni",
            "subscriptionId": azure.subscription,
            "resourceGroup": azure.resource_group,
            "workspaceName": azure.workspace,
            "computeTarget": "cpu-cluster",
        }

    def write(self, *, values=range(2), script="final 1.5", service=None, **keys):
        (self.root / "code").mkdir(exist_ok=True)
        final = """final() { printf "NNISDK_MEb'%s'\\n" '{"type":"FINAL","sequence":0,"value":"'"$1"'"}'; }\n"""
        (self.root / "code" / "trial.sh").write_text(final + script + "\n", encoding="utf-8")
        config = {
            "experimentName": "probe",
            "searchSpace": {"x": {"_type": "choice", "_value": list(values)}},
            "trialCommand": "sh trial.sh",
            "trialCodeDirectory": "code",
            "trialConcurrency": 1000,
            "maxTrialDuration": "1h",  # without one each submit warns, since a trial that hangs is paid for
            "tuner": {"name": "GridSearch"},
            "trainingService": {**self.service, **(service or {})},
            **keys,
        }
        (self.root / "experiment.yml").write_text(json.dumps(config), encoding="utf-8")
        self.amlc("compile", "experiment.yml")
        return self

    def start(self, *arguments, env=None):
        """Start amlc; returns its process id and a function that waits for its end."""
        pid = parent().start(arguments, {**self.environ, **(env or {})}, self.root)

        def wait():
            code, out, err = parent().wait()
            return subprocess.CompletedProcess(arguments, code, out, err)

        return pid, wait

    def amlc(self, *arguments, code=0, env=None):
        _, wait = self.start(*arguments, env=env)
        done = wait()
        assert code is None or done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def collect(self, code=0):
        return self.amlc("collect", code=code).stdout

    @property
    def manifest(self):
        return read_manifest(next(self.folders.build.glob("*/manifest.json")).parent)

    @property
    def names(self):
        """The names of the compiled jobs, in order."""
        return [entry.name for entry in self.manifest.entries()]

    def attempts(self):
        with open_ledger(self.folders.ledger("probe")) as ledger:
            return list(fold(ledger.events()).values())


class Forked:
    """What makes things by the client, forked off a process that has imported it; as `maker.start` makes one."""

    def __init__(self):
        asked, ask = os.pipe()
        answer, answered = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, from Python 3.12 on
            self.pid = os.fork()
        if self.pid == 0:
            os.close(ask)
            os.close(answer)
            os.dup2(asked, 0)
            os.dup2(answered, 1)
            from amlc.targets.aml import making

            sys.stdin = os.fdopen(0, encoding="utf-8")
            try:
                making.main()
            finally:
                os._exit(1)
        os.close(asked)
        os.close(answered)
        self.stdin, self.stdout = os.fdopen(ask, "w", encoding="utf-8"), os.fdopen(answer, encoding="utf-8")

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _child(arguments, env, folder, out, err):
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["amlc", *arguments]
    from amlc.cli import entry_point
    from amlc.targets.aml import maker

    maker.start = Forked

    try:
        entry_point()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)
    except BaseException:  # noqa: BLE001 - what Python does at the end of a process
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    os._exit(1)


def main():
    load("azure.ai.ml", "azure.identity", "azure.storage.blob", "amlc.targets.aml.making", "amlc.targets.aml.backend")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        arguments, env, folder = json.loads(line)
        out, err = Path(folder, ".stdout"), Path(folder, ".stderr")
        pid = os.fork()
        if pid == 0:
            _child(arguments, env, folder, out, err)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        texts = [path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in (out, err)]
        print(json.dumps([os.waitstatus_to_exitcode(status), *texts]), flush=True)


if __name__ == "__main__":
    main()
