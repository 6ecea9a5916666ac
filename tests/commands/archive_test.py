"""An experiment as one file: it opens elsewhere, and nothing gets out of its folder or over what is there."""

import gzip
import io
import json
import shutil
import tarfile

import pytest

from amlc.commands.archive import load, save
from amlc.config import load_experiment
from amlc.errors import LockedError, UsageError
from amlc.files import lock
from amlc.folders import Folders
from tests.conftest import need_data_filter


@pytest.fixture
def done(project, monkeypatch):
    """A project that ran, with outputs, links and a space in a file of its own."""
    script = 'echo result > "$NNI_OUTPUT_DIR/model.txt"; ln -s model.txt "$NNI_OUTPUT_DIR/link"\nln -s /etc/passwd "$NNI_OUTPUT_DIR/out"'
    project.write(script, values=range(2), searchSpace="space.json")
    config = json.loads((project.root / "experiment.yml").read_text())
    config["searchSpaceFile"] = config.pop("searchSpace")
    (project.root / "experiment.yml").write_text(json.dumps(config))
    (project.root / "space.json").write_text('{"x": {"_type": "choice", "_value": [0, 1]}}')
    project.amlc("run", "experiment.yml")
    monkeypatch.chdir(project.root)
    return project


def saved(project, name="a.tar.gz"):
    experiment, _ = load_experiment(project.root / "experiment.yml", environ={})
    return save(project.manifest, experiment, project.root / name, folders=project.folders)


@pytest.fixture
def elsewhere(make_project, monkeypatch):
    """A folder on another machine, which can unpack."""
    need_data_filter()
    project = make_project("elsewhere")
    monkeypatch.chdir(project.root)
    return project


def test_it_opens_elsewhere_and_goes_on(done, elsewhere, monkeypatch):
    monkeypatch.chdir(done.root)
    assert saved(done).outside == []
    rows = done.amlc("collect").stdout
    shutil.move(done.root / "a.tar.gz", elsewhere.root)
    shutil.rmtree(done.root)
    assert elsewhere.amlc("load", "a.tar.gz").stderr == "probe: 2 of 2 trials done (experiment.yml)\n"
    assert elsewhere.amlc("collect").stdout == rows
    assert elsewhere.amlc("compile", "experiment.yml", "--check")
    (model,) = elsewhere.root.glob(f".amlc/probe/runs/*{elsewhere.trials[0]}*/outputs/**/model.txt")
    assert model.read_text() == "result\n"
    assert (model.parent / "link").readlink().as_posix() == "model.txt"
    assert not (model.parent / "out").is_symlink()  # it led out of the folder
    space = elsewhere.root / "space.json"
    space.write_text('{"x": {"_type": "choice", "_value": [0, 1, 2]}}')
    elsewhere.amlc("compile", "experiment.yml")
    assert "1 submitted, 3 of 3 trials done" in elsewhere.amlc("submit").stderr


def test_it_is_the_same_file_every_time_and_no_trial_code(done):
    saved(done), saved(done, "b.tar.gz")
    assert (done.root / "a.tar.gz").read_bytes() == (done.root / "b.tar.gz").read_bytes()
    (done.root / "code" / "c.tar.gz").write_bytes((done.root / "a.tar.gz").read_bytes())
    assert done.amlc("compile", "experiment.yml", "--check")


def test_nothing_in_it_says_where_it_was(done):
    saved(done)
    with tarfile.open(done.root / "a.tar.gz") as archive:
        members = archive.getmembers()
        texts = [archive.extractfile(one).read() for one in members if one.isreg() and one.name.startswith(("amlc", "files"))]
    assert not [one.name for one in members if one.name.startswith(("/", "..")) or ".." in one.name.split("/")]
    assert not [one.linkname for one in members if one.linkname.startswith("/")]
    assert {one.uname for one in members} == {""}
    assert not [text for text in texts if str(done.root).encode() in text]


def test_what_lies_outside_is_left_out_and_said(done, tmp_path):
    (tmp_path / "space.json").write_text((done.root / "space.json").read_text())
    config = json.loads((done.root / "experiment.yml").read_text())
    (done.root / "experiment.yml").write_text(json.dumps({**config, "searchSpaceFile": "../space.json"}))
    said = done.amlc("save", "a.tar.gz").stderr
    assert f"warning: {tmp_path}/space.json: outside of this folder, and left out." in said


@pytest.mark.parametrize("is_near", [True, False])
def test_checkpoints_are_in_it_also_beside_another_state_folder(project, monkeypatch, tmp_path, is_near):
    folder = (project.root if is_near else tmp_path) / "kept"
    tuner = {"name": "PBT", "classArgs": {"all_checkpoint_dir": str(folder), "optimize_mode": "minimize"}}
    project.write(tuner=tuner, maxTrialNumber=1).compile()
    (folder / "0" / "0").mkdir(parents=True)
    (folder / "0" / "0" / "n").touch()
    monkeypatch.chdir(project.root)
    assert saved(project).outside == ([] if is_near else [folder])
    with tarfile.open("a.tar.gz") as archive:
        assert ("files/kept/0/0/n" in archive.getnames()) == is_near


def test_nothing_is_saved_over_a_file_or_while_a_submit_is_at_work(done):
    (done.root / "a.tar.gz").write_text("mine")
    with pytest.raises(UsageError, match="is there already, and nothing was written"):
        saved(done)
    with lock(done.folders.lock("probe")), pytest.raises(LockedError):
        saved(done, "b.tar.gz")
    assert (done.root / "a.tar.gz").read_text() == "mine"
    assert not (done.root / "b.tar.gz").exists()


def test_nothing_is_saved_while_jobs_are_at_work(story, monkeypatch, tmp_path):
    story.intent(0, backend="local")
    (story.folders.runs("probe") / story.entries[0].name).mkdir(parents=True)
    monkeypatch.setattr("amlc.commands.archive.up_to_date", _as_recorded)
    with pytest.raises(UsageError, match="1 job is at work"):
        save(story.manifest, None, tmp_path / "a.tar.gz", folders=story.folders)


def _as_recorded(manifest, folders):
    from contextlib import contextmanager

    from amlc.collect.results import Results
    from amlc.ledger import read_ledger

    @contextmanager
    def opened():
        with read_ledger(folders.ledger(manifest.header.experiment)) as ledger:
            yield Results(manifest, ledger)

    return opened()


# --- what a stranger's archive may hold ---


def rebuilt(done, change):
    """Save, and let `change` edit the list of (member, content)."""
    saved(done)
    with tarfile.open(done.root / "a.tar.gz") as archive:
        members = [(one, archive.extractfile(one).read() if one.isreg() else b"") for one in archive.getmembers()]
    members = change(members)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def member(name, kind=tarfile.REGTYPE, link="", content=b"x"):
    one = tarfile.TarInfo(name)
    one.type, one.linkname = kind, link
    return one, content if kind == tarfile.REGTYPE else b""


BAD = {
    "a name that climbs": (member("files/../../x"), "belongs nowhere"),
    "an absolute name": (member("/x"), "belongs nowhere"),
    "an absolute name within": (member("files//etc/x"), "belongs nowhere"),
    "a part that is none": (member("other/x"), "belongs nowhere"),
    "a link that leads out": (member("state/x", tarfile.SYMTYPE, "../../../etc"), "outside the destination"),
    "an absolute link": (member("state/x", tarfile.SYMTYPE, "/etc"), "absolute"),
    "a hard link": (member("state/x", tarfile.LNKTYPE, "files/space.json"), "hard link|outside"),
    "a device": (member("state/x", tarfile.CHRTYPE), "special file|device"),
    "a name twice": (member("build/manifest.json"), "is there twice"),
}


@pytest.mark.parametrize(("extra", "message"), BAD.values(), ids=BAD)
def test_a_bad_member_leaves_nothing_behind(done, elsewhere, monkeypatch, extra, message):
    monkeypatch.chdir(done.root)
    content = rebuilt(done, lambda members: [*members, extra])
    monkeypatch.chdir(elsewhere.root)
    (elsewhere.root / "bad.tar.gz").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load(elsewhere.root / "bad.tar.gz", folders=elsewhere.folders)
    left = {path.relative_to(elsewhere.root).as_posix() for path in elsewhere.root.rglob("*") if path.is_file()}
    assert left == {"bad.tar.gz", ".amlc/.gitignore"}


@pytest.mark.parametrize(
    "content", [b"no tar", gzip.compress(b"no tar"), gzip.compress(b"\0" * 10240), b""], ids=["text", "gz", "empty", "nothing"]
)
def test_what_is_no_archive_is_said(elsewhere, content):
    (elsewhere.root / "x").write_bytes(content)
    with pytest.raises(UsageError, match=r"x: no archive"):
        load(elsewhere.root / "x", folders=elsewhere.folders)


def test_an_archive_that_is_cut_short_leaves_nothing_behind(done, elsewhere, monkeypatch):
    monkeypatch.chdir(done.root)
    saved(done)
    content = (done.root / "a.tar.gz").read_bytes()
    monkeypatch.chdir(elsewhere.root)
    (elsewhere.root / "x").write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match="no archive that can be read"):
        load(elsewhere.root / "x", folders=elsewhere.folders)
    assert not list(elsewhere.folders.build.iterdir())


def test_one_that_is_too_large_is_not_unpacked(done, elsewhere, monkeypatch):
    monkeypatch.chdir(done.root)
    saved(done)
    monkeypatch.chdir(elsewhere.root)
    with pytest.raises(UsageError, match=r"unpacks to more than 1e-06 GB .*--max-gb"):
        load(done.root / "a.tar.gz", folders=elsewhere.folders, most_bytes=1000)


def test_what_is_there_is_not_replaced(done):
    need_data_filter()
    saved(done)
    with pytest.raises(UsageError, match=r"build/probe/ is there already"):
        load(done.root / "a.tar.gz", folders=done.folders)
    folders = Folders(done.root / "b", done.root / "s")
    (done.root / "space.json").write_text("mine")
    with pytest.raises(UsageError, match=r"space\.json is there already and is another file"):
        load(done.root / "a.tar.gz", folders=folders)
    assert (done.root / "space.json").read_text() == "mine"
    assert not (folders.build / "probe").exists()
    shutil.copy(done.root / "a.tar.gz", done.root / "c.tar.gz")


def test_nothing_is_put_through_a_link_in_the_folder(done, elsewhere, monkeypatch, tmp_path):
    monkeypatch.chdir(done.root)
    saved(done)
    monkeypatch.chdir(elsewhere.root)
    (tmp_path / "outside").mkdir()
    (elsewhere.root / "code").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="leads out of this folder"):
        load(done.root / "a.tar.gz", folders=elsewhere.folders)
    assert not list((tmp_path / "outside").iterdir())


def test_a_python_that_cannot_unpack_safely_is_told_apart(done, make_project, monkeypatch):
    saved(done)
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.chdir(make_project("there").root)
    with pytest.raises(UsageError, match=r"this Python cannot unpack archives safely\. Use 3\.10\.12, 3\.11\.4"):
        load(done.root / "a.tar.gz", folders=Folders())
