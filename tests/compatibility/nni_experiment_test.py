"""An experiment that NNI 3.0 itself has run: what it left, imported, is what NNI exports, and amlc's own run repeats it."""

import json
import socket
import subprocess
import sys

import pytest
import yaml

EXPERIMENT = {
    "experimentName": "probe",
    "searchSpace": {
        "lr": {"_type": "loguniform", "_value": [0.0001, 0.1]},
        "units": {"_type": "quniform", "_value": [2, 32, 2]},
        "depth": {"_type": "randint", "_value": [1, 6]},
        "dropout": {"_type": "choice", "_value": [0.5, 1.0, "none"]},
        "layer": {
            "_type": "choice",
            "_value": [{"_name": "flat"}, {"_name": "conv", "k": {"_type": "choice", "_value": [3, 5]}}],
        },
    },
    "trialCommand": f"{sys.executable} trial.py",
    "trialCodeDirectory": ".",
    "trialConcurrency": 1,  # side by side, NNI 3.0 exports results beside the parameters of other trials
    "maxTrialNumber": 6,
    "tuner": {"name": "Random", "classArgs": {"seed": 7}},
    "trainingService": {"platform": "local"},
}
TRIAL = """
import nni
p = nni.get_next_parameter()
for epoch in range(3):
    nni.report_intermediate_result({"default": p["lr"] * epoch, "epoch": epoch} if p["depth"] == 2 else p["lr"] * epoch)
if p["depth"] == 5:
    raise SystemExit(3)
nni.report_final_result({"default": p["lr"] * p["units"], "other": [1]} if p["depth"] == 2 else p["lr"] * p["units"])
"""
# NNI's own Python API and server, in a process and a home of their own.
DRIVER = """
import json, sys, time, urllib.request
from nni.experiment import Experiment
from nni.experiment.config import ExperimentConfig
config = ExperimentConfig.load("experiment.yml")
config.experiment_working_directory = sys.argv[1]
experiment = Experiment(config)
port = int(sys.argv[2])
experiment.start(port)
def get(what):
    return json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/nni/{what}").read())
try:
    while experiment.get_status() not in ("DONE", "ERROR"):
        time.sleep(0.5)
    told = {name: get(name) for name in ("export-data", "metric-data", "trial-jobs")}
    with open("told.json", "w") as file:
        json.dump({"id": experiment.id, "status": experiment.get_status(), **told}, file)
finally:
    experiment.stop()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def nni(tmp_path_factory):
    """Where NNI ran the experiment, and what its server said at the end."""
    root = tmp_path_factory.mktemp("nni")
    (root / "experiment.yml").write_text(yaml.safe_dump(EXPERIMENT))
    (root / "trial.py").write_text(TRIAL)
    (root / "home").mkdir()
    command = [sys.executable, "-c", DRIVER, str(root / "home" / "experiments"), str(free_port())]
    done = subprocess.run(
        command, cwd=root, env={"HOME": str(root / "home"), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert (root / "told.json").exists(), f"NNI did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    told = json.loads((root / "told.json").read_text())
    assert told["status"] == "DONE"
    return root / "home" / "experiments" / told["id"], told


@pytest.fixture
def own(make_project):
    """The same experiment in a folder of amlc's."""
    project = make_project()
    (project.root / "experiment.yml").write_text(yaml.safe_dump(EXPERIMENT))
    (project.root / "trial.py").write_text(TRIAL)
    return project


def exported(project):
    """What amlc exports: parameters, values, and intermediate results, by trial."""
    done = project.amlc("collect", "--as", "nni-json", "--history", code=4)
    return [(one["parameter"], json.loads(one["value"]), told(one["intermediate"])) for one in json.loads(done.stdout)]


def told(reports):
    return sorted(json.dumps(json.loads(report), sort_keys=True) for report in reports)


def test_what_is_imported_is_what_nni_exports(nni, own):
    folder, said = nni
    out = own.amlc("import", str(folder), "experiment.yml")
    assert out.stderr == "probe: 6 trials imported\n"
    metrics = {}
    for metric in said["metric-data"]:
        metrics.setdefault(metric["trialJobId"], []).append(json.loads(metric["data"]))
    theirs = [
        (one["parameter"], json.loads(one["value"]), told(metrics[one["trialJobId"]])) for one in said["export-data"]
    ]
    assert exported(own) == theirs
    assert len(theirs) >= 3
    jobs = said["trial-jobs"]
    table = json.loads(own.amlc("collect", "--format", "json", code=4).stdout)
    assert [row["status"] for row in table] == [job["status"].lower() for job in jobs]
    assert {row["status"] for row in table} == {"succeeded", "failed"}
    assert [round(1000 * row["duration_s"]) for row in table] == [job["endTime"] - job["startTime"] for job in jobs]
    with own.ledger() as ledger:
        of_failed = [metric for _, metric in ledger.metrics("intermediate")]
    assert len(of_failed) == 3 * 6


def test_nothing_of_it_is_run_again_and_a_run_of_amlc_is_the_same(nni, own, make_project):
    folder, _ = nni
    own.amlc("import", str(folder), "experiment.yml")
    imported, ids = exported(own), own.trials
    assert "nothing to submit" in own.amlc("plan").stdout.decode()
    assert b"param.lr" in own.amlc("run", "experiment.yml", code=1).stdout
    assert exported(own) == imported
    fresh = make_project("fresh")
    (fresh.root / "experiment.yml").write_text(yaml.safe_dump(EXPERIMENT))
    (fresh.root / "trial.py").write_text(TRIAL)
    fresh.amlc("run", "experiment.yml", code=1)
    assert fresh.trials == ids
    assert exported(fresh) == imported


@pytest.mark.parametrize("kind", ["json", "csv"])
@pytest.mark.parametrize("intermediate", [True, False])
def test_its_export_is_imported_too(nni, own, tmp_path, kind, intermediate, monkeypatch):
    _, said = nni
    path = tmp_path / f"export.{kind}"
    export(said, path, kind, intermediate, monkeypatch)
    own.amlc("import", str(path), "experiment.yml")
    values = [(one["parameter"], json.loads(one["value"])) for one in said["export-data"]]
    assert [(parameters, value) for parameters, value, _ in exported(own)] == values
    count = {len(reports) for *_, reports in exported(own)}
    assert count == ({4} if intermediate else {1})


def export(said, path, kind, intermediate, monkeypatch):
    """Let NNI's own code write the export."""
    import types

    monkeypatch.setitem(sys.modules, "pkg_resources", types.ModuleType("pkg_resources"))
    from nni.tools.nnictl import nnictl_utils as theirs

    answers = {"export": said["export-data"], "metrics": said["metric-data"]}
    known = types.SimpleNamespace(get_all_experiments=lambda: {"x": {"port": 1, "pid": 1}})
    monkeypatch.setattr(theirs, "Experiments", lambda: known)
    monkeypatch.setattr(theirs, "get_config_filename", lambda args: "x")
    monkeypatch.setattr(theirs, "detect_process", lambda pid: True)
    monkeypatch.setattr(theirs, "check_rest_server_quick", lambda port: (True, None))
    monkeypatch.setattr(theirs, "export_data_url", lambda port: "export")
    monkeypatch.setattr(theirs, "metric_data_url", lambda port: "metrics")
    monkeypatch.setattr(theirs, "check_response", lambda response: True)
    monkeypatch.setattr(theirs, "rest_get", lambda url, _: types.SimpleNamespace(text=json.dumps(answers[url])))
    theirs.export_trials_data(types.SimpleNamespace(type=kind, path=str(path), intermediate=intermediate))
