"""From nothing, or an old file, to one that compiles."""

import json

import pytest

from amlc.cli import compiling
from amlc.config.schema import schema_text


def test_init_writes_what_runs_and_replaces_nothing(project, cli):
    cli("init", "mine", code=0)
    _, out, _ = cli("-q", "run", "mine/experiment.yml", code=0)
    assert len(out.splitlines()) == 11
    _, _, err = cli("init", "mine", code=2)
    assert "mine/experiment.yml is there already" in err


def test_migrate_prints_what_validates(project, cli):
    old = {
        "authorName": "me",
        "experimentName": "old",
        "trialConcurrency": 1,
        "maxTrialNum": 3,
        "trainingServicePlatform": "local",
        "searchSpacePath": "space.json",
        "useAnnotation": False,
        "tuner": {"builtinTunerName": "TPE", "classArgs": {"optimize_mode": "maximize"}},
        "trial": {"command": "python3 trial.py", "codeDir": ".", "gpuNum": 0},
    }
    (project.root / "space.json").write_text('{"x": {"_type": "uniform", "_value": [0, 1]}}')
    (project.root / "old.yml").write_text(json.dumps(old))
    _, out, err = cli("migrate", "old.yml", code=0)
    assert "no effect: authorName" in err
    assert "translated: maxTrialNum → maxTrialNumber" in err
    (project.root / "new.yml").write_text(out)
    cli("validate", "new.yml", code=0)
    _, out, _ = cli("-q", "migrate", "old.yml", "--diff", code=0)
    assert out.startswith("--- a/old.yml\n+++ b/old.yml\n")
    before = (project.root / "old.yml").read_text()
    _, shown, _ = cli("migrate", "old.yml", "--in-place", "--diff", code=0)
    assert shown == out
    (project.root / "old.yml").write_text(before)
    _, out, err = cli("migrate", "old.yml", "--in-place", code=0)
    assert (out, err.splitlines()[-1]) == ("", "old.yml: written")
    assert (project.root / "old.yml").read_text() == (project.root / "new.yml").read_text()
    _, _, err = cli("migrate", "new.yml", code=2)
    assert "not in NNI's v1 format" in err


@pytest.mark.parametrize(("option", "shown"), [("--check", ""), ("--diff", "jobs/")])
def test_a_preview_writes_nothing(project, call, capsys, option, shown):
    file = project.write(values=range(2)).root / "experiment.yml"
    build = call(compiling.compile_, file, option)
    assert build.preview
    assert build.changes
    assert not project.folders.build.exists()
    assert shown in "".join(capsys.readouterr())


def test_the_schema_is_the_one_for_editors(call, capsys):
    call(compiling.schema)
    assert capsys.readouterr().out == schema_text()


def test_validate_of_an_untrusted_file_reads_nothing_beyond_its_folder(project, cli):
    (project.root / "secret.json").write_text('{"hunter2": "hunter2"}')
    file = project.root / "code" / "experiment.yml"
    project.write(searchSpace=None, searchSpaceFile="../secret.json", trialCodeDirectory=".")
    (project.root / "experiment.yml").rename(file)
    _, out, err = cli("validate", "--untrusted", file, code=1)
    assert "[E-outside]" in err
    assert "hunter2" not in out + err


def test_validate_looks_at_what_compile_would_make(project, cli):
    project.write()
    for command in ("validate", "compile"):
        assert "platform local has no sweeps" in cli(command, "experiment.yml", "--target", "sweep", code=1)[2]
