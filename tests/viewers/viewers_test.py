"""Which place a viewer takes; what it is told never says a password."""

import pytest

from amlc.errors import BackendError, UsageError
from amlc.viewers import open_viewer

SECRET = "geheim"


@pytest.mark.parametrize("viewer", ["wandb", "tensorboard"])
def test_an_address_is_no_folder(story, viewer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"--to {viewer} takes a folder, not an address") as caught:
        open_viewer(viewer, f"https://me:{SECRET}@host/x", story().project.manifest.header)
    assert SECRET not in str(caught.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "project"]


@pytest.mark.parametrize(
    "place",
    [
        "mlruns", "sqlite:///mlflow.db", "", "http://", f"ftp://me:{SECRET}@host", f"//me:{SECRET}@host", f"me:{SECRET}@host:5000",
        f"http://me:{SECRET}@host:port", f"http://me:{SECRET}@[::1", f"http://host?token={SECRET}", f"http://host#{SECRET}",
    ],
)  # fmt: skip
def test_mlflow_is_at_an_address(story, place):
    with pytest.raises(UsageError, match="--to mlflow takes the http or https address") as caught:
        open_viewer("mlflow", place, story().project.manifest.header)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("place", [f"http://me:{SECRET}@127.0.0.1:1/a b/ü", f"http://{SECRET}@[::1]:1"])
def test_who_cannot_be_reached_is_said_in_one_line_without_the_password(story, place):
    with pytest.raises(BackendError, match=r"cannot be reached: .*To start one: mlflow server") as caught:
        story().everything().send("mlflow", place)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_says_what_became_of_how_many(story):
    project = story().everything().project
    done = project.amlc("collect", "--to", "tensorboard", "tb", code=4)
    assert done.stdout == b""
    assert "probe: tensorboard has 11 runs: 11 new\n" in done.stderr
    assert "What there is was sent all the same." in done.stderr
    again = project.amlc("collect", "--to", "tensorboard", "tb", code=4)
    assert "probe: tensorboard has 11 runs: 11 unchanged\n" in again.stderr


def test_no_trial_is_no_run_and_no_error_of_its_own(story):
    done = story().project.amlc("collect", "--to", "wandb", "wb", code=4)
    assert "probe: wandb has 0 runs\n" in done.stderr


@pytest.mark.parametrize("viewer", ["wandb", "tensorboard"])
def test_a_folder_that_cannot_be_written_is_said_in_one_line(story, viewer):
    project = story().everything().project
    (project.root / "taken").write_text("")
    done = project.amlc("collect", "--to", viewer, "taken", code=2)
    assert done.stderr.startswith("error: taken")
    assert done.stderr.count("\n") == 1


def test_a_password_on_the_command_line_is_nowhere(story):
    project = story().everything().project
    done = project.amlc("collect", "--to", "mlflow", f"http://me:{SECRET}@127.0.0.1:1", code=5)
    assert SECRET not in done.stderr
    written = [path for path in project.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert written == []
