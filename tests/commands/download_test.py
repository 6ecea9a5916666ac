"""`amlc download`: the files of a trial, none twice, whatever it was cut short by."""

import json
from dataclasses import dataclass, field

import pytest

from amlc.commands import download as module
from amlc.commands.download import download, trial_named
from amlc.errors import BackendError, UsageError
from amlc.model import Status

FILES = {"model/weights": b"0123456789", "plot.txt": b"plot", "empty": b""}


@dataclass
class Kept:
    """A back end that keeps these files, and may break off; asked: the file and the first byte of each read."""

    files: dict
    breaks_at: int | None = None
    asked: list = field(default_factory=list)

    def outputs(self, job):
        return {name: len(content) for name, content in self.files.items()}

    def output(self, job, name, *, start):
        self.asked.append((name, start))
        rest = self.files[name][start:]
        for at in range(0, len(rest), 4):
            if self.breaks_at is not None and start + at >= self.breaks_at:
                raise BackendError("the line is cut")
            yield rest[at : at + 4]


@pytest.fixture
def fetch(story, monkeypatch):
    """Download the outputs of a trial from a back end with these files."""

    def run(backend, to=None, number="0"):
        monkeypatch.setattr(module, "backend_named", lambda *_: backend)
        seen = []
        row = trial_named(story.manifest, number, folders=story.folders)
        found = download(story.manifest, row, to, folders=story.folders, watch=lambda *told: seen.append(told))
        return found, seen

    return run


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".amlc-download"
    }


def test_the_files_are_put_where_amlc_keeps_them_or_where_it_is_told(story, fetch, tmp_path):
    job = story.end(0, final=1)
    found, seen = fetch(Kept(FILES))
    assert found.folder == story.folders.state / "probe" / "downloads" / job
    assert (content(found.folder), found.files, found.size) == (FILES, 3, 14)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1:] == (14, 14)
    there, _ = fetch(Kept(FILES), tmp_path / "new" / "place")
    assert content(there.folder) == FILES


def test_it_goes_on_where_it_stopped(story, fetch, tmp_path):
    story.end(0, final=1)
    to = tmp_path / "out"
    for breaks_at in (4, 8):
        with pytest.raises(BackendError, match="the line is cut"):
            fetch(Kept(FILES, breaks_at), to)
    last = Kept(FILES)
    fetch(last, to)
    assert content(to) == FILES
    assert ("model/weights", 8) in last.asked
    again = Kept(FILES)
    fetch(again, to)
    assert again.asked == [], "what is there is not fetched again"


def test_a_file_that_comes_short_is_not_taken_for_whole(story, fetch, tmp_path):
    class Short(Kept):
        def outputs(self, job):
            return {"model": 100}

    story.end(0, final=1)
    with pytest.raises(BackendError, match=r"3 of 100 bytes came. Download again"):
        fetch(Short({"model": b"abc"}), tmp_path / "out")
    assert not (tmp_path / "out" / "model").exists()


def test_a_part_that_is_too_long_is_of_another_file(story, fetch, tmp_path):
    story.end(0, final=1)
    to = tmp_path / "out"
    fetch(Kept({}), to)
    (to / "a.amlc-part").write_bytes(b"12345678")
    fetch(Kept({"a": b"ab"}), to)
    assert content(to) == {"a": b"ab"}


def test_outputs_of_two_trials_never_mix(story, fetch, tmp_path):
    story.end(0, final=1)
    story.end(1, final=2)
    to = tmp_path / "out"
    fetch(Kept(FILES), to)
    with pytest.raises(UsageError, match="there are the outputs of another trial in it"):
        fetch(Kept({**FILES, "plot.txt": b"diff"}), to, "1")
    assert content(to) == FILES
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("precious")
    with pytest.raises(UsageError, match="there are other files in it"):
        fetch(Kept(FILES), other)


@pytest.mark.parametrize("name", ["../out", "a/../../b", "/etc/passwd"])
def test_no_file_leaves_its_folder(story, fetch, tmp_path, name):
    story.end(0, final=1)
    with pytest.raises(BackendError, match="leads out of its folder"):
        fetch(Kept({name: b"x"}), tmp_path / "in" / "out")


def test_what_is_not_there_is_said(story, fetch):
    with pytest.raises(UsageError, match="it was not submitted yet, so it has no outputs"):
        fetch(Kept(FILES))
    story.end(0, final=1)
    with pytest.raises(BackendError, match="the back end 'local' keeps no files of jobs"):
        fetch(object())


def test_a_job_at_work_is_left_to_end(story, fetch, monkeypatch):
    monkeypatch.setattr("amlc.commands.observe._observe", lambda *_: None)
    story.end(0, Status.RUNNING)
    with pytest.raises(UsageError, match="its job is running, and its outputs are not complete"):
        fetch(Kept(FILES))


def test_of_a_packed_job_each_trial_has_its_own(story, fetch, tmp_path):
    story.project.write(amlc={"trialsPerJob": 2}).compile()
    story.end(0, final=1)
    one, two = (trial.id for trial in story.entries[0].trials)
    records = {f"amlc/{one}/result.json": b"{}", f"amlc/{one}/nnioutput/log": b"mine", f"amlc/{two}/nnioutput/log": b"no"}
    files = {**records, f"model/{one}/w": b"1", f"model/{two}/w": b"2", "shared": b"both", "deep/shared": b"too"}
    found, _ = fetch(Kept(files), tmp_path / "out")
    assert content(found.folder) == {"model/w": b"1", "nnioutput/log": b"mine", "shared": b"both", "deep/shared": b"too"}


# --- by the command ---


@pytest.fixture
def ran(project):
    project.write(
        'echo "model of $NNI_TRIAL_SEQ_ID" > "$1/w"; final "$NNI_TRIAL_SEQ_ID"; exit',
        values=range(2),
        trialCommand="sh trial.sh ${{outputs.m}}",
        amlc={"job": {"outputs": {"m": {"type": "uri_folder"}}}},
        tuner={"name": "GridSearch", "classArgs": {"optimize_mode": "maximize"}},
    ).compile()
    project.amlc("submit")
    return project


def test_a_trial_or_the_best_one_goes_where_it_is_wanted(ran):
    done = ran.amlc("download", "--best", "model")
    assert done.stdout == b"model\n"
    assert (ran.root / "model" / "m" / "w").read_text() == "model of 1\n"
    assert done.stderr == f"trial {ran.trials[1]} (#1): 1 file, 11 bytes\n"
    done = ran.amlc("download", "0")
    assert (ran.root / done.stdout.decode().strip() / "m" / "w").read_text() == "model of 0\n"
    ran.amlc("download", "0", "zero", "-e", "probe", "-q")
    assert json.loads((ran.root / "zero" / ".amlc-download").read_text())["trial"] == ran.trials[0]


@pytest.mark.parametrize("arguments", [[], ["--best", "a", "b"], ["1", "2", "3"]])
def test_too_much_and_too_little_is_wrong_usage(ran, arguments):
    assert "name a trial and perhaps a folder" in ran.amlc("download", *arguments, code=2).stderr


def test_the_best_ones_job_is_named(ran):
    done = ran.amlc("best", "--job")
    (job,) = [attempt.job for attempt in ran.attempts() if attempt.trials[0].id == ran.trials[1]]
    assert done.stdout.decode() == f"{job}\n"
    assert done.stderr == f"trial {ran.trials[1]} (#1)\n"
