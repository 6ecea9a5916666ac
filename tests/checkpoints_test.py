"""Trials that go on from others' checkpoints, wherever the experiment has been moved, and no other's is saved over."""

import csv
import io
import shutil

import pytest

from amlc.checkpoints import LOAD, SAVE, folder_then, here, moved
from tests.conftest import need_data_filter

# The result is how many trials have gone on from one another, itself among them.
COUNTS = """
of() { sed 's/.*"'$1'": *"\\([^"]*\\)".*/\\1/; s/\\\\u002f/\\//g' "$NNI_SYS_DIR/parameter.cfg"; }
n=$(cat "$(of load_checkpoint_dir)/n" 2> /dev/null)
mkdir -p "$(of save_checkpoint_dir)"
echo $((n + 1)) > "$(of save_checkpoint_dir)/n"
[ ! -e "$PROBE/fail" ] || exit 3
final $((n + 1)); exit 0
"""
TUNERS = {
    "PBT": {"population_size": 2},
    "Hyperband": {"R": 2, "eta": 2, "all_checkpoint_dir": True},
    "BOHB": {"min_budget": 1, "max_budget": 2, "eta": 2, "all_checkpoint_dir": True},
}
TRIALS = 6


def begun(project, tuner, code=0, **more):
    """Write an experiment and run its first round."""
    arguments = {"optimize_mode": "maximize", **TUNERS[tuner], **more}
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    keys = {"searchSpace": space, "tuner": {"name": tuner, "classArgs": arguments}, "maxTrialNumber": TRIALS}
    project.write(COUNTS, **keys).compile().amlc("submit", "--rounds", "1", code=code)
    return project


def rows(project, code=0):
    return list(csv.DictReader(io.StringIO(project.amlc("collect", code=code).stdout.decode())))


def folders(row):
    return row[f"param.{LOAD}"], row[f"param.{SAVE}"]


def check_each_went_on(rows, folder, *, trials=TRIALS):
    saved = {folders(row)[1]: int(row["metric.default"]) for row in rows}
    assert len(saved) == len(rows) == trials
    assert {int(row["metric.default"]) for row in rows} > {1}
    for row in rows:
        load, save = folders(row)
        assert int(row["metric.default"]) == (1 if load == save else saved[load] + 1)
        assert save.startswith(f"{folder}/")


def left(project):
    """Return the checkpoints that there are, with what is in them."""
    files = project.root.glob(".amlc/probe/checkpoints/*/*/n")
    return {file.relative_to(project.root): file.read_text() for file in files}


def by_mv(project, elsewhere):
    elsewhere.root.rmdir()
    project.root.rename(elsewhere.root)


def by_archive(project, elsewhere):
    need_data_filter()
    project.amlc("save", str(elsewhere.root / "a.tar.gz"))
    shutil.rmtree(project.root)
    elsewhere.amlc("load", "a.tar.gz")


@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.parametrize("move", [by_mv, by_archive])
def test_it_goes_on_from_its_checkpoints_wherever_it_is_moved(project, make_project, tuner, move):
    before = rows(begun(project, tuner), code=4)
    elsewhere = make_project("elsewhere")
    move(project, elsewhere)
    elsewhere.amlc("submit")
    after = rows(elsewhere)
    check_each_went_on(after, elsewhere.root / ".amlc/probe/checkpoints")
    assert [row["trial"] for row in after[: len(before)]] == [row["trial"] for row in before]
    assert not project.root.exists()


def test_a_folder_that_the_user_named_is_where_it_was(project, make_project, tmp_path):
    elsewhere, named = make_project("elsewhere"), tmp_path / "named"
    by_mv(begun(project, "PBT", all_checkpoint_dir=str(named)), elsewhere)
    elsewhere.amlc("submit")
    check_each_went_on(rows(elsewhere), named)


def test_what_was_compiled_before_it_was_moved_runs_again_when_it_is_compiled(project, make_project):
    elsewhere = make_project("elsewhere")
    by_mv(begun(project, "PBT"), elsewhere)
    for command in (["retry", "0"], ["submit", "--rounds", "1"]):
        said = elsewhere.amlc(*command, code=2).told
        assert said == (
            f"error: what is compiled leads trials to checkpoints in {project.root}/.amlc/probe/checkpoints/, and they "
            f"are in {elsewhere.root}/.amlc/probe/checkpoints/ now. Compile it: amlc compile experiment.yml.\n"
        )
    elsewhere.compile().amlc("retry", "0")
    assert rows(elsewhere, code=4)[0]["metric.default"] == "2"  # from its own, as where it was not moved
    assert not project.root.exists()


def test_checkpoints_that_were_not_brought_along_are_missed(project):
    begun(project, "PBT")
    shutil.rmtree(project.root / ".amlc/probe/checkpoints")
    said = project.amlc("compile", "experiment.yml").stderr
    assert f"warning: {project.root}/.amlc/probe/checkpoints/ is not there, and 2 trials had to save" in said
    assert "is not there" in project.amlc("submit").stderr
    assert "is not there" not in project.amlc("compile", "experiment.yml").stderr


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_row_that_is_reproduced_saves_over_no_checkpoint(project, tuner):
    begun(project, tuner).amlc("submit")
    before = left(project)
    for row in rows(project):
        result = row["metric.default"]
        said = project.amlc("reproduce", row["sequence"]).stdout.decode()
        assert f"  default  {result}  {result}  same\n" in said
        assert "not as it was" not in said
        again = project.root / ".amlc/probe/again" / f"{row['sequence']}-1" / "checkpoints"
        assert [file.read_text() for file in again.glob("*/*/n")] == [f"{result}\n"]
    assert left(project) == before


def test_a_row_is_reproduced_where_it_was_moved_to(project, make_project):
    begun(project, "PBT").amlc("submit")
    elsewhere = make_project("elsewhere")
    by_mv(project, elsewhere)
    for number in (0, TRIALS - 1):
        assert "same\n" in elsewhere.amlc("reproduce", str(number)).stdout.decode()
    assert not project.root.exists()


def test_what_a_reproduced_row_began_with_and_is_not_there_is_said(project):
    (project.root / "fail").touch()
    begun(project, "PBT", code=1, population_size=1)
    (project.root / "fail").unlink()
    project.amlc("retry", "0")
    said = project.amlc("reproduce", "0", code=1).stdout.decode()
    assert "  not as it was: an earlier attempt may have left a checkpoint to go on from; it began with none\n" in said
    project.amlc("submit")
    load, save = folders(rows(project)[1])
    assert load != save
    shutil.rmtree(load)
    said = project.amlc("reproduce", "1", code=1).stdout.decode()
    assert f"  not as it was: the checkpoint that it began with, {load}/, is not there\n" in said


OWN = "/old/.amlc/e/checkpoints"


@pytest.mark.parametrize(
    ("load", "save", "folder", "expected"),
    [
        (f"{OWN}/0/0", f"{OWN}/0/1", "/new/.amlc/e/checkpoints", ("/new/.amlc/e/checkpoints/0/0", "/new/.amlc/e/checkpoints/0/1")),
        (f"{OWN}/0/0", f"{OWN}/0/1", OWN, (f"{OWN}/0/0", f"{OWN}/0/1")),
        # Of another experiment, whose results were imported.
        ("/a/.amlc/e/checkpoints/3/4", f"{OWN}/0/0", "/new/.amlc/e/checkpoints", ("/a/.amlc/e/checkpoints/3/4", "/new/.amlc/e/checkpoints/0/0")),
        # Of other names, or named by the user.
        (f"{OWN}/0/0", f"{OWN}/0/1", "/new/.amlc/f/checkpoints", (f"{OWN}/0/0", f"{OWN}/0/1")),
        (f"{OWN}/0/0", f"{OWN}/0/1", "/data/e/checkpoints", (f"{OWN}/0/0", f"{OWN}/0/1")),
        ("/data/0/0", "/data/0/1", "/more/data", ("/data/0/0", "/data/0/1")),
        ("/data/0/0", "/data/0/1", None, ("/data/0/0", "/data/0/1")),
    ],
)  # fmt: skip
def test_the_default_folder_is_beside_the_experiment_and_others_stay(load, save, folder, expected):
    parameters = {"x": f"{OWN}/0/0", LOAD: load, SAVE: save}
    found = here(parameters, folder)
    assert (found[LOAD], found[SAVE]) == expected
    assert found["x"] == parameters["x"]
    assert list(found) == list(parameters)


def test_without_checkpoints_nothing_is_moved():
    for parameters in ({"x": 1}, {SAVE: 1, LOAD: 2}, {SAVE: "/a/0/0"}):
        assert folder_then(parameters) is None
        assert here(parameters, "/new") == parameters == moved(parameters, "/new")
