"""Which code a row was made by, and what of it may go."""

import pytest

from amlc.commands.code import changes, gc, other_changes, revision_named
from amlc.errors import UsageError
from amlc.ledger import DamageError


@pytest.fixture
def edited(project):
    """Of four trials the first two ran with a script that was changed since; the others did not run yet."""
    project.write("exit 0").compile()
    project.amlc("submit", "--max-failures", "1")
    project.write("# better").compile()
    project.amlc("retry", "2", "3")
    return project


def test_a_row_has_the_code_of_its_own_last_attempt(edited):
    old = revision_named(edited.manifest, "0", folders=edited.folders)
    new = revision_named(edited.manifest, "3", folders=edited.folders)
    assert old.name != new.name == edited.manifest.header.revision
    assert b"exit 0" in old.kept.content(old.contents.files["trial.sh"])
    assert b"# better" in new.kept.content(new.contents.files["trial.sh"])
    assert list(changes(new, edited.manifest)) == []
    diff = list(changes(old, edited.manifest))
    assert diff[:2] == ["--- then/trial.sh\n", "+++ now/trial.sh\n"]
    assert "-exit 0\n" in diff
    assert "+# better\n" in diff


def test_gc_removes_only_what_no_row_was_made_by(edited):
    folder = edited.folders.kept_code("probe")
    assert len(list(folder.iterdir())) == 2
    assert gc(edited.manifest, folders=edited.folders).files == 0
    edited.amlc("retry", "0", "1")
    done = gc(edited.manifest, folders=edited.folders)
    assert (done.files, done.size > 0) == (1, True)
    assert gc(edited.manifest, folders=edited.folders).files == 0
    assert revision_named(edited.manifest, "0", folders=edited.folders).contents.files


def test_what_is_not_kept_is_said_and_not_taken_for_empty(edited):
    old = revision_named(edited.manifest, "0", folders=edited.folders)
    (edited.folders.kept_code("probe") / old.contents.files["trial.sh"]).unlink()
    with pytest.raises(UsageError, match="is not kept"):
        list(changes(old, edited.manifest))


def test_what_else_changed_is_said_too(edited):
    old = revision_named(edited.manifest, "0", folders=edited.folders)
    assert other_changes(old, edited.manifest) == []
    edited.write("# better", trialCommand="sh trial.sh --more").compile()
    assert other_changes(old, edited.manifest) == ["trialCommand changed"]


def test_files_without_content_and_modes_differ_too(edited):
    script = edited.root / "code" / "trial.sh"
    (edited.root / "code" / "__init__.py").touch()
    script.chmod(0o755)
    edited.compile()
    old = revision_named(edited.manifest, "3", folders=edited.folders)
    said = list(changes(old, edited.manifest))
    assert said == ["Only in now: __init__.py, which is empty\n", "Only the mode of trial.sh differs\n"]


def test_gc_removes_no_code_while_nobody_knows_what_a_row_was_made_by(edited):
    for path in edited.folders.ledger("probe").parent.glob("ledger.db*"):
        path.unlink()
    with pytest.raises(DamageError, match="it is lost"):
        gc(edited.manifest, folders=edited.folders)
    edited.amlc("refresh")
    assert "all code is kept" in edited.amlc("gc").stderr
    assert len(list(edited.folders.kept_code("probe").iterdir())) == 2


def test_a_row_that_did_not_run_has_none(project):
    project.write().compile()
    with pytest.raises(UsageError, match="#2 was not run yet"):
        revision_named(project.manifest, "2", folders=project.folders)


def test_a_row_that_was_imported_has_none(project):
    project.write(values=range(2)).compile()
    (project.root / "results.csv").write_text("param.x,metric.default\n1,0.5\n")
    project.amlc("import", "results.csv")
    with pytest.raises(UsageError, match="#1 was imported: nothing is known of its code"):
        revision_named(project.manifest, "1", folders=project.folders)


def test_what_a_rebuilt_ledger_does_not_know_is_said(project):
    project.write(values=range(1)).amlc("run", "experiment.yml")
    for path in project.folders.ledger("probe").parent.glob("ledger.db*"):
        path.unlink()
    project.amlc("refresh")
    with pytest.raises(UsageError, match="nothing is on record of what its revision"):
        revision_named(project.manifest, "0", folders=project.folders)
