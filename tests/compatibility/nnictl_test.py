"""Each row of the table in docs/from-nni.md is tried: what it says to type in place of an nnictl command does that."""

import argparse
import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from tests.conftest import need_data_filter

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "from-nni.md"
SAME = "the same"


def rows():
    """What the table has, by nnictl command; a row that says `the same` has what stands above it."""
    found = {}
    text = ""
    for command, said in re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        text = text if said == SAME else said
        found[command] = text
    return found


ROWS = rows()


def leaves(parser, words=()):
    """The commands of nnictl's own parser; an alias is none."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(words)
    for group in groups:
        known = set()
        for name, inner in group.choices.items():
            if id(inner) not in known:
                known.add(id(inner))
                yield from leaves(inner, (*words, name))


@pytest.mark.filterwarnings("ignore")
def test_every_command_of_nnictl_has_a_row(monkeypatch):
    monkeypatch.setitem(sys.modules, "pkg_resources", types.ModuleType("pkg_resources"))  # it asks for its version
    from nni.tools.nnictl import nnictl

    assert set(leaves(nnictl.get_parser())) == set(ROWS)
    assert set(TRIED) == set(ROWS)


class Folder:
    """A folder in which what a row says is typed."""

    def __init__(self, root):
        self.root = root
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AMLC_", "NNI_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environ = {**own, "PATH": path, "PYTHONPATH": str(ROOT)}

    def type(self, command, *, code=0):
        if command == "amlc serve":
            return self.serve()
        command = re.sub(r"\bFILE\b", "experiment.yml", re.sub(r"\bTRIAL\b", "0", command))
        done = subprocess.run(
            ["sh", "-c", command.removeprefix("watch ")],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def serve(self):
        """Start what goes on for ever, and end it once it has said where it is."""
        with subprocess.Popen(
            ["amlc", "serve"], cwd=self.root, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as server:
            line = server.stdout.readline()
            server.send_signal(signal.SIGINT)
        assert "http://127.0.0.1:" in line
        return subprocess.CompletedProcess("amlc serve", 0, line, "")

    def said(self, row):
        """The commands that a row names, in order."""
        return re.findall(r"`((?:watch )?(?:amlc|rm|cat) [^`]+)`", ROWS[row])

    def do(self, row):
        """Type all of them; return what the last one printed."""
        for command in self.said(row):
            done = self.type(command)
        return done.stdout + done.stderr

    def change(self, **keys):
        file = self.root / "experiment.yml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **keys}))

    @property
    def statuses(self):
        table = csv.DictReader(io.StringIO(self.type("amlc collect || true").stdout))
        return [row["status"] for row in table]


EXPERIMENT = {
    "experimentName": "moved",
    "searchSpace": {"x": {"_type": "choice", "_value": [1, 2]}},
    "trialCommand": "python3 trial.py",
    "trialConcurrency": 2,
    "tuner": {"name": "GridSearch"},
    "trainingService": {"platform": "local"},
}
TRIAL = "import nni\nx = nni.get_next_parameter()['x']\nprint('hello', x)\nnni.report_intermediate_result(x)\n"
TRIAL += "nni.report_final_result(x)\n"


@pytest.fixture
def fresh(tmp_path):
    """An experiment that nobody has compiled."""
    (tmp_path / "folder").mkdir()
    folder = Folder(tmp_path / "folder")
    (folder.root / "experiment.yml").write_text(yaml.safe_dump(EXPERIMENT))
    (folder.root / "trial.py").write_text(TRIAL)
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("template"))
    (folder.root / "experiment.yml").write_text(yaml.safe_dump(EXPERIMENT))
    (folder.root / "trial.py").write_text(TRIAL)
    folder.type("amlc run experiment.yml")
    return folder.root


@pytest.fixture
def done(tmp_path, template):
    """An experiment with two trials that succeeded."""
    shutil.copytree(template, tmp_path / "done", symlinks=True)
    return Folder(tmp_path / "done")


def at_work(folder):
    (folder.root / "trial.py").write_text("import time\ntime.sleep(60)\n")
    folder.type("amlc compile experiment.yml && amlc submit --no-wait", code=0)
    return folder


def create(fresh, done):
    blocking, *returning = fresh.said("create")
    assert "2 of 2 trials done" in fresh.type(blocking).stderr
    assert fresh.statuses == ["succeeded"] * 2
    shutil.rmtree(fresh.root / ".amlc")
    for command in returning:
        fresh.type(command)
    assert set(fresh.statuses) <= {"waiting", "running", "succeeded"}


def resume(fresh, done):
    shutil.rmtree(done.root / ".amlc" / "moved" / "runs")
    done.change(searchSpace={"x": {"_type": "choice", "_value": [1, 2, 3]}})
    done.type("amlc compile experiment.yml")
    assert "1 submitted, 3 of 3 trials done" in done.do("resume")


def view(fresh, done):
    assert "succeeded" in done.do("view")
    assert "<!DOCTYPE html>" in (done.root / "report.html").read_text()


def stop(fresh, done):
    at_work(fresh)
    assert "canceling 2 jobs" in fresh.do("stop")
    fresh.type("amlc submit")
    assert fresh.statuses == ["canceled"] * 2


def update(**keys):
    def tried(fresh, done):
        done.change(**keys)
        (command,) = done.said("update trialnum")
        assert "trials done" in done.type(command).stderr
        assert done.statuses[:1] == ["succeeded"]

    return tried


def update_space(fresh, done):
    done.change(searchSpace={"x": {"_type": "choice", "_value": [1, 2, 3]}})
    assert "1 submitted, 3 of 3 trials done" in done.do("update searchspace")


def trial_ls(fresh, done):
    assert "param.x" in done.do("trial ls")


def trial_kill(fresh, done):
    at_work(fresh)
    assert "canceling 1 job with trial 0" in fresh.do("trial kill")
    fresh.type("amlc cancel --all")


def show(fresh, done):
    (one,) = json.loads(done.do("experiment show"))
    assert one["statuses"] == {"succeeded": 2}
    assert one["complete"]


def printed(row, text):
    def tried(fresh, done):
        assert text in done.do(row)

    return tried


def delete(fresh, done):
    done.do("experiment delete")
    assert "no experiments yet" in done.type("amlc list").stderr


def import_(fresh, done):
    fresh.change(tuner={"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}, maxTrialNumber=3)
    (fresh.root / "export.json").write_text('[{"parameter": {"x": 1}, "value": "0.5", "trialJobId": "a"}]')
    learnt, own = fresh.said("experiment import")
    assert "1 result learnt from" in fresh.type(learnt).stderr
    shutil.rmtree(fresh.root / ".amlc")
    shutil.rmtree(fresh.root / "build")
    assert "1 trial imported" in fresh.type(f"{own} experiment.yml").stderr


def export(fresh, done):
    done.do("experiment export")
    exported = json.loads((done.root / "export.json").read_text())
    assert [(one["parameter"], one["value"]) for one in exported] == [({"x": 1}, "1"), ({"x": 2}, "2")]
    assert done.type("amlc collect --as nni-csv").stdout.startswith("trialJobId,x,reward\n")
    assert '"intermediate": ["1", "1"]' in done.type("amlc collect --as nni-json --history").stdout


def save_and_load(fresh, done):
    need_data_filter()
    assert "moved, " in done.do("experiment save")
    other = done.root.parent / "other"
    other.mkdir()
    shutil.copy(done.root / "experiment.tar.gz", other)
    assert "moved: 2 of 2 trials done" in Folder(other).do("experiment load")
    assert Folder(other).statuses == ["succeeded"] * 2


def webui(fresh, done):
    report, page = done.said("webui url")
    done.type(report)
    assert "has no pages" in done.type(page, code=2).stderr


def nothing(*words):
    """There is nothing to type; what the row says is there is there."""

    def tried(fresh, done):
        for word in words:
            assert word in ROWS["platform clean"] + "".join(ROWS.values())

    return tried


def space(fresh, done):
    """An annotated script gets its search space from migrate."""
    old = {
        "trialConcurrency": 1,
        "maxTrialNum": 2,
        "trainingServicePlatform": "local",
        "useAnnotation": True,
        "tuner": {"builtinTunerName": "GridSearch"},
        "trial": {"command": "python3 trial.py", "codeDir": "."},
    }
    (fresh.root / "experiment.yml").write_text(yaml.safe_dump(old))
    (fresh.root / "trial.py").write_text(
        '"""@nni.variable(nni.choice(1, 2), name=x)"""\nx = 1\n"""@nni.report_final_result(x)"""\n'
    )
    (command,) = fresh.said("ss_gen")
    fresh.type(command)
    (found,) = fresh.root.glob("*space*.json")
    assert json.loads(found.read_text()) == {"x": {"_type": "choice", "_value": [1, 2]}}
    fresh.type("amlc run experiment.yml")


def registered(fresh, done):
    """A class of the user's own is named in the file, as the row says, where NNI had it registered."""
    assert "className" in ROWS["algo register"]
    own = "class Mine:\n    pass\n"
    (fresh.root / "mine.py").write_text(own)
    fresh.change(tuner={"className": "mine.Mine", "codeDirectory": "."}, maxTrialNumber=2)
    assert "moved is valid" in fresh.type("amlc validate experiment.yml").stderr


def targets(fresh, done):
    assert re.search(r"--backend \[[a-z|]*aml", done.do("trainingservice list"))


def notebook(fresh, done):
    assert "import amlc" in ROWS["jupyter-extension install"]
    code = "import amlc; print(amlc.load('experiment.yml').results()._repr_html_())"
    assert "<table>" in done.type(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}").stdout


def hello(fresh, done):
    (fresh.root / "experiment.yml").unlink()
    (fresh.root / "trial.py").unlink()
    fresh.do("hello")
    assert (fresh.root / "experiment.yml").exists()


TRIED = {
    "create": create,
    "resume": resume,
    "view": view,
    "stop": stop,
    "update searchspace": update_space,
    "update concurrency": update(trialConcurrency=1),
    "update duration": update(maxExperimentDuration="1h"),
    "update trialnum": update(maxTrialNumber=1),
    "trial ls": trial_ls,
    "trial kill": trial_kill,
    "experiment show": show,
    "experiment status": printed("experiment status", "2 of 2 trials done"),
    "experiment list": printed("experiment list", "moved: 2 of 2 trials done on local (experiment.yml)"),
    "experiment delete": delete,
    "experiment import": import_,
    "experiment export": export,
    "experiment save": save_and_load,
    "experiment load": save_and_load,
    "platform clean": nothing("workspace"),
    "webui url": webui,
    "config show": printed("config show", '"experiment": "moved"'),
    "log stdout": printed("log stdout", "0 submitted, 2 of 2 trials done"),
    "log stderr": printed("log stderr", "0 submitted, 2 of 2 trials done"),
    "log trial": printed("log trial", "hello 1"),
    "top": printed("top", "moved: 2 of 2 trials done"),
    "ss_gen": space,
    "algo register": registered,
    "algo unregister": registered,
    "algo show": registered,
    "algo list": printed("algo list", "GridSearch"),
    "trainingservice register": targets,
    "trainingservice unregister": targets,
    "trainingservice list": targets,
    "package": registered,
    "jupyter-extension install": notebook,
    "jupyter-extension uninstall": notebook,
    "hello": hello,
}


@pytest.mark.parametrize("command", sorted(ROWS))
def test_what_a_row_says_does_what_nnictl_did(command, fresh, done):
    TRIED[command](fresh, done)
