"""What is said of what goes on record, and of what is packed up."""

from pathlib import Path
from types import SimpleNamespace

import pytest

import amlc.commands.archive
import amlc.commands.import_
import amlc.commands.refresh
from amlc.cli import records


@pytest.mark.parametrize(
    ("outside", "said"),
    [
        ([], ""),
        (["/a"], "/a: outside of this folder, and left out.\n"),
        (["/a", "/b", "/c"], "/a and 2 more: outside of this folder, and left out.\n"),
    ],
)
def test_what_an_archive_lacks_is_said_once(project, call, capsys, monkeypatch, outside, said):
    project.write().compile()
    done = SimpleNamespace(outside=[Path(path) for path in outside], experiment="probe", files=3)
    monkeypatch.setattr(amlc.commands.archive, "save", lambda *_, **__: done)
    call(records.save, "probe.tar.gz")
    assert capsys.readouterr().err == f"{'warning: ' if said else ''}{said}probe.tar.gz: probe, 3 files\n"


def test_how_much_may_be_unpacked_is_in_gigabytes(call, tmp_path, monkeypatch):
    given = {}
    done = SimpleNamespace(manifest=SimpleNamespace(header=SimpleNamespace(experiment="e")), verdict="v", source=None)
    monkeypatch.setattr(amlc.commands.archive, "load", lambda *_, **options: given.update(options) or done)
    (tmp_path / "a.tar.gz").touch()
    call(records.load, tmp_path / "a.tar.gz", "--max-gb", "2")
    assert given["most_bytes"] == 2_000_000_000


@pytest.mark.parametrize(
    ("known", "left_out", "more"), [(0, "", ""), (2, "", ", 2 on record already"), (0, "1 odd", ", left out: 1 odd")]
)
def test_an_import_says_what_it_took(project, call, capsys, tmp_path, monkeypatch, known, left_out, more):
    project.write().compile()
    done = SimpleNamespace(manifest=project.manifest, trials=4, known=known, left_out=left_out, beside=0)
    monkeypatch.setattr(amlc.commands.import_, "import_", lambda *_, **__: done)
    call(records.import_, tmp_path)
    assert capsys.readouterr().err == f"probe: 4 trials imported{more}\n"


def test_a_workspace_is_named_by_its_own_options(call, tmp_path, capsys, monkeypatch):
    given = {}
    monkeypatch.setattr(amlc.commands.refresh, "refresh", lambda *_, **options: given.update(options) or "rebuilt")
    (tmp_path / "config.json").touch()
    call(records.refresh, "probe", "--workspace-name", "w", "--config", tmp_path / "config.json")
    assert given["where"] == {
        "subscription_id": None, "resource_group": None, "workspace_name": "w", "config": str(tmp_path / "config.json"),
    }  # fmt: skip
    assert capsys.readouterr().err == "rebuilt\n"
