"""A first experiment is written, of whatever there is, and nothing is replaced."""

import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from amlc.commands.compile import compile_
from amlc.commands.init import Wishes, init, scripts
from amlc.config import load_experiment
from amlc.config.schema import schema_text
from amlc.errors import ConfigError, UsageError
from amlc.folders import Folders

ROOT = Path(__file__).parents[2]
BESIDE = {"Makefile", ".github/workflows/experiment.yml", ".gitignore", ".amlignore", "experiment.schema.json"}
SCRIPT = "import nni\nparams = nni.get_next_parameter()\nnni.report_final_result(params['lr'] * params.get('x', 2))\n"
AZURE = {f"AZURE_{name}": "x" for name in ("SUBSCRIPTION_ID", "RESOURCE_GROUP", "WORKSPACE", "COMPUTE")}
V1 = {
    "authorName": "me",
    "experimentName": "old",
    "trialConcurrency": 1,
    "maxTrialNum": 3,
    "trainingServicePlatform": "local",
    "searchSpacePath": "space.json",
    "tuner": {"builtinTunerName": "Random"},
    "trial": {"command": "python3 t.py", "codeDir": ".", "gpuNum": 0},
}
V2 = {
    "experiment_name": "new",
    "searchSpaceFile": "space.json",
    "trial_command": "python3 t.py",
    "trialConcurrency": 1,
    "maxTrialNumber": 3,
    "tuner": {"name": "Random"},
    "trainingService": {"platform": "local"},
}
SPACE = {"lr": {"_type": "loguniform", "_value": [1e-05, 0.1]}}


def loaded(begun):
    """The experiment that was written: it validates, here and in an editor, and compiles."""
    experiment, problems = load_experiment(begun.file, environ=AZURE)
    assert problems == ()
    text = begun.file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=experiment.schema.json\n")
    jsonschema.Draft7Validator(json.loads(schema_text())).validate(yaml.safe_load(text))
    folder = begun.file.parent
    compile_(experiment, backend=None, folders=Folders(folder / "build", folder / ".amlc"))
    return experiment


def test_the_first_experiment_is_a_valid_one(tmp_path):
    folder = tmp_path / "new" / "one"
    begun = init(folder)
    assert begun.file == folder / "experiment.yml"
    assert set(begun.written) == {"experiment.yml", "trial.py", *BESIDE}
    experiment = loaded(begun)
    assert (experiment.name, experiment.tuner.name) == ("first", "TPE")
    compile((folder / "trial.py").read_text(), "trial.py", "exec")


def test_what_comes_next_is_said(project):
    said = project.amlc("init", "new").stderr
    assert said.startswith("new/experiment.yml: written, with trial.py, Makefile, ")
    assert said.endswith("Next: amlc run new/experiment.yml\n")


def test_nothing_is_said_that_was_not_asked_for(project):
    assert project.amlc("init", "new", "-q").stderr == ""


@pytest.mark.parametrize("name", ["experiment.yml", "trial.py"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_there_stays_as_it_is(tmp_path, name, kind):
    path = tmp_path / name
    path.write_text("mine") if kind == "file" else path.symlink_to("nowhere")
    with pytest.raises(UsageError, match=f"{name} is there already, and nothing was written"):
        init(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", sorted(BESIDE))
def test_files_beside_it_that_are_there_stay_and_are_named(project, name):
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine", encoding="utf-8")
    said = project.amlc("init").stderr
    assert f"there already, and left as they are: {name}\n" in said
    assert path.read_text(encoding="utf-8") == "mine"
    for other in BESIDE - {name}:
        assert (project.root / other).stat().st_size > 10


def test_a_script_s_parameters_become_a_search_space(tmp_path):
    source = tmp_path / "my train.py"
    source.write_text(SCRIPT, encoding="utf-8")
    begun = init(tmp_path, source)
    experiment = loaded(begun)
    assert (experiment.name, experiment.command) == ("my_train", "python3 'my train.py'")
    assert [dimension.name for dimension in experiment.space] == ["lr", "x"]
    assert begun.remarks == ("2 parameters of my train.py: look at the ranges",)
    assert "# line 3: by its name" in begun.file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["digits", "digits-pbt"])
def test_the_examples_can_be_begun_from_their_scripts(tmp_path, name):
    experiment = loaded(init(tmp_path, ROOT / "examples" / name / "train.py"))
    theirs, _ = load_experiment(ROOT / "examples" / name / "experiment.yml", environ={})
    mine = {dimension.name for dimension in experiment.space}
    assert mine >= {dimension.name for dimension in theirs.space}
    assert experiment.code == theirs.code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("print(1)\n", r"t\.py: never asks for parameters"),
        ("import nni\nf(nni.get_next_parameter())\n", r"t\.py: no parameter of it can be seen"),
        ("import nni\nprint 1\n", r"t\.py:2:1: not Python"),
        ("a = '\0'\n", r"t\.py(:1:1)?: not Python"),  # Python 3.10 names no place
        (b"\xff\xfe", r"t\.py: not Python"),
    ],
)
def test_a_script_that_says_nothing_is_refused_and_nothing_is_written(tmp_path, text, said):
    source = tmp_path / "t.py"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=said):
        init(tmp_path, source)
    assert [one.name for one in tmp_path.iterdir()] == ["t.py"]


def test_a_search_space_with_a_key_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "space.yml").write_text("5: {_type: choice, _value: [1, 2]}\n")
    with pytest.raises(ConfigError, match=r"space\.yml:1:1: the key 5 is not text"):
        init(tmp_path, tmp_path / "space.yml")
    assert os.listdir(tmp_path) == ["space.yml"]


def test_a_search_space_is_taken_as_it_lies_there(tmp_path):
    source = tmp_path / "spaces" / "s.json"
    source.parent.mkdir()
    source.write_text(json.dumps(SPACE), encoding="utf-8")
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "mine.py").write_text(SCRIPT, encoding="utf-8")
    experiment = loaded(init(folder, source))
    assert experiment.command == "python3 mine.py"
    assert "1e-05" in repr(experiment.space)


@pytest.mark.parametrize("config", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("suffix", ["json", "yml"])
def test_a_config_of_nni_s_is_written_as_of_today(tmp_path, config, suffix):
    source = tmp_path / f"config.{suffix}"
    dump = json.dumps if suffix == "json" else yaml.safe_dump
    source.write_text(dump(config), encoding="utf-8")
    (tmp_path / "space.json").write_text(json.dumps(SPACE), encoding="utf-8")
    experiment = loaded(init(tmp_path, source))
    theirs, _ = load_experiment(source, environ={})
    assert (experiment.name, experiment.command, experiment.space) == (theirs.name, theirs.command, theirs.space)


def test_a_config_keeps_its_folder_for_its_paths_count_from_there(tmp_path):
    source = tmp_path / "config.json"
    source.write_text(json.dumps(V2), encoding="utf-8")
    with pytest.raises(UsageError, match=r"has to lie there: amlc init .* --from .*config\.json"):
        init(tmp_path / "elsewhere", source)
    assert not (tmp_path / "elsewhere").exists()


def test_a_config_that_is_wrong_is_refused_where_it_is_wrong(tmp_path):
    source = tmp_path / "config.json"
    source.write_text(json.dumps({**V2, "trialConcurrency": 0}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.json:1:\d+ /trialConcurrency"):
        init(tmp_path, source)
    assert [one.name for one in tmp_path.iterdir()] == ["config.json"]


def test_wishes_are_fulfilled(tmp_path):
    wishes = Wishes(name="mine", maximize=False, trials=7, concurrency=3, platform="aml")
    experiment = loaded(init(tmp_path, wishes=wishes))
    assert (experiment.name, experiment.max_trials, experiment.concurrency) == ("mine", 7, 3)
    assert type(experiment.target).__name__ == "AmlTarget"
    assert experiment.tuner.class_args["optimize_mode"] == "minimize"


def test_only_scripts_that_ask_for_parameters_are_proposed(tmp_path):
    (tmp_path / "b.py").write_text(SCRIPT)
    (tmp_path / "a.py").write_text("print(1)")
    (tmp_path / "c.py").mkdir()
    assert scripts(tmp_path) == ["b.py"]


def test_the_folder_of_the_source_is_where_it_goes(project):
    (project.root / "sub").mkdir()
    (project.root / "sub" / "t.py").write_text(SCRIPT, encoding="utf-8")
    said = project.amlc("init", "--from", "sub/t.py").stderr
    assert "Next: amlc run sub/experiment.yml" in said
    assert os.listdir(project.root) == ["sub"]


def test_a_script_is_read_and_not_run(tmp_path):
    source = tmp_path / "t.py"
    source.write_text(f"open('{tmp_path}/ran', 'w')\n{SCRIPT}", encoding="utf-8")
    init(tmp_path, source)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("script", ["digits/train.py", "digits-pbt/train.py"])
def test_what_is_written_has_nothing_odd(project, script):
    shutil.copy(ROOT / "examples" / script, project.root)
    project.amlc("init", "--from", "train.py")
    assert project.amlc("validate", "experiment.yml").stderr == "experiment.yml: train is valid\n"


def test_the_example_has_nothing_odd(project):
    project.amlc("init")
    assert project.amlc("validate", "experiment.yml").stderr == "experiment.yml: first is valid\n"
