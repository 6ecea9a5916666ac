"""The runner of the jobs that run where the code lies: one copy, whatever becomes of the snapshot."""

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from amlc.resources import runner_dir
from amlc.targets.local.shared_runner import shared_runner

IMPORTS = "import nni, nni.trial, nni.utils; print(nni.__version__, nni.load(nni.dump(1)))"


@pytest.fixture
def snapshot(tmp_path):
    code = tmp_path / "build" / "code"
    for name in ("amlc_runner_lib/main.py", "amlc_standin/nni/trial.py", "amlc_runner.py", "mine/train.py"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text(name)
    return code


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def test_it_has_the_runner_alone_and_once(snapshot, state):
    made = shared_runner(snapshot, state)
    assert sorted(path.name for path in made.iterdir()) == ["amlc_runner.py", "amlc_runner_lib", "amlc_standin"]
    before = made.stat().st_ino
    (snapshot / "mine" / "train.py").write_text("changed")
    assert shared_runner(snapshot, state) == made
    assert made.stat().st_ino == before
    assert list(state.iterdir()) == [made]


def test_another_runner_lies_beside_it(snapshot, state):
    old = shared_runner(snapshot, state)
    (snapshot / "amlc_runner_lib" / "main.py").write_text("of a newer amlc")
    new = shared_runner(snapshot, state)
    assert (old / "amlc_runner_lib" / "main.py").read_text() == "amlc_runner_lib/main.py"
    assert (new / "amlc_runner_lib" / "main.py").read_text() == "of a newer amlc"


@pytest.mark.parametrize("damage", ["", "zeros\0", None])
def test_one_that_is_not_whole_is_replaced(snapshot, state, damage):
    made = shared_runner(snapshot, state)
    part = made / "amlc_runner_lib" / "main.py"
    part.unlink() if damage is None else part.write_text(damage)
    assert shared_runner(snapshot, state) == made
    assert part.read_text() == "amlc_runner_lib/main.py"
    assert list(state.iterdir()) == [made]


def bytecode(folder):
    return [path for path in folder.rglob("*.pyc") if path.is_file()]


def test_a_trials_python_keeps_no_bytecode_in_it_which_a_full_disk_would_leave_cut_short(tmp_path, state):
    snapshot = tmp_path / "code"
    shutil.copytree(runner_dir(), snapshot, ignore=shutil.ignore_patterns("__pycache__"))
    made = shared_runner(snapshot, state)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-S", "-c", IMPORTS]  # without the real nni
    done = subprocess.run(
        command, env={**env, "PYTHONPATH": str(made / "amlc_standin")}, capture_output=True, check=True, text=True
    )
    assert (done.stdout, done.stderr) == ("3.0+amlc 1\n", "")
    assert bytecode(made) == []
    assert shared_runner(snapshot, state).stat().st_ino == made.stat().st_ino


def test_one_with_bytecode_that_was_cut_short_is_replaced(snapshot, state):
    made = shared_runner(snapshot, state)
    cache = made / "amlc_standin" / "nni" / "__pycache__"
    cache.unlink()
    cache.mkdir()
    (cache / "trial.cpython-311.pyc").write_bytes(bytes(16))
    assert shared_runner(snapshot, state) == made
    assert bytecode(made) == []


def test_what_cannot_be_copied_leaves_nothing(snapshot, state):
    (snapshot / "amlc_standin" / "gone").symlink_to("nowhere")
    with pytest.raises(OSError, match="gone") as error:
        shared_runner(snapshot, state)
    assert (error.value.errno, error.value.strerror) == (errno.ENOENT, "No such file or directory")
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("is_made", [False, True])
def test_what_one_that_was_killed_left_is_removed_and_nobody_elses(snapshot, state, is_made):
    if is_made:
        shared_runner(snapshot, state)
    gone = subprocess.Popen(["true"])
    gone.wait()
    left, working = (state / f".runner.ab_c.{pid}.tmp" for pid in (gone.pid, os.getpid()))
    for folder in (left, working):
        (folder / "amlc_runner_lib").mkdir(parents=True)
    made = shared_runner(snapshot, state)
    assert sorted(state.iterdir()) == sorted([working, made])


def test_several_at_once_all_have_it(snapshot, state):
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: shared_runner(snapshot, state), range(24)))
    assert len(made) == 1
    assert list(state.iterdir()) == [*made]
