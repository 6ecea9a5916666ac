"""amlc in this process, and a call of one command."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from amlc.cli.invocation import Invocation
from amlc.cli.process import entry_point
from tests.conftest import TIMEOUT_S


@pytest.fixture
def cli(project, monkeypatch, capfd):
    """Run amlc in this process, in the project's folder; return its exit code, stdout and stderr."""

    def run(*arguments, code=None):
        monkeypatch.chdir(project.root)
        monkeypatch.setattr(sys, "argv", ["amlc", *map(str, arguments)])
        for name, value in project.environ.items():
            if name in ("PATH", "PROBE", "STARTS"):
                monkeypatch.setenv(name, value)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            entry_point()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert code is None or end.value.code == code, err
        return end.value.code, out, err

    return run


@pytest.fixture
def unprivileged():
    """Let amlc run where a file or folder of the project may not be read, for root as for anybody."""
    drop = []
    if os.geteuid() == 0:
        rights = "-dac_override,-dac_read_search"
        drop = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
        if shutil.which("setpriv") is None or subprocess.run([*drop, "true"], check=False).returncode:
            pytest.skip("root can read anything here")

    @contextmanager
    def closed(project, path):
        place = project.root / path
        mode = place.stat().st_mode

        def run(*arguments):
            words = [*drop, sys.executable, "-m", "amlc", *arguments]
            return subprocess.run(words, cwd=project.root, env=project.environ, capture_output=True, text=True,
                                  timeout=TIMEOUT_S, check=False)  # fmt: skip

        place.chmod(0)
        try:
            yield run
        finally:
            place.chmod(mode)

    return closed


@pytest.fixture
def done(project, cli):
    """A project of which all trials have run: numbers 0 and 1 well, number 2 not."""
    project.write('[ "$NNI_TRIAL_SEQ_ID" != 2 ] || { echo sorry; exit 3; }', values=range(3)).compile()
    cli("-q", "submit", code=1)
    return project


@pytest.fixture
def call(project):
    """Call one command as `main` does, in the project's folders: its answer, or the error that it raises."""

    def made(command, *arguments):
        invocation = Invocation()
        invocation.place(project.folders.build, project.folders.state)
        return command.main(list(map(str, arguments)), prog_name="amlc", standalone_mode=False, obj=invocation)

    return made
