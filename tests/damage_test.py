"""A damaged file is a sentence that names the record, and all that is whole is still shown."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from amlc.collect.results import Results
from amlc.commands.collect import collected
from amlc.commands.list_ import experiments
from amlc.commands.status import Chosen, status
from amlc.errors import AmlcError, DamageWarning
from amlc.folders import Folders
from amlc.ledger import open_ledger, read_ledger
from amlc.manifest import read_manifest
from amlc.model import Status
from tests.conftest import Project

TRIALS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Project:
    """An experiment of which all trials have run."""
    made = Project(tmp_path_factory.mktemp("whole") / "p")
    made.write("intermediate 1", values=range(TRIALS)).compile()
    made.amlc("-q", "submit")
    with made.ledger() as ledger:
        assert len(list(ledger.events())) > TRIALS
    return made


@pytest.fixture
def copy(whole, tmp_path) -> Project:
    made = Project(tmp_path / "p")
    shutil.copytree(whole.root, made.root, symlinks=True, dirs_exist_ok=True)
    return made


def shown(folders: Folders) -> tuple[dict[str, tuple[str, object]], list[str]]:
    """What `status`, `collect` and `list` show of each trial, and what they say."""
    said: list[str] = []
    rows: dict[str, tuple[str, object]] = {}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            manifest = read_manifest(folders.build / "probe")
            standing = status(manifest, folders=folders, chosen=Chosen.ALL)
            rows = {row.trial.id: (row.status.value, dict(row.result)) for row in standing.rows}
            str(standing.verdict)
            with collected(manifest, folders=folders) as table:
                list(table.table.rows)
            list(experiments(folders))
        except AmlcError as err:
            said.append(str(err))
    said += [str(one.message) for one in told if issubclass(one.category, DamageWarning)]
    assert all("\n" not in text and text.isprintable() for text in said)
    return rows, said


def rows_of(path: Path, query: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(query, values)


DAMAGED = [
    *["", "{", "null", "[]", "{}", '{"status": "succeeded', '{"status": "nothing"}', '{"status": "succeeded", "outcomes": 1}'],
    *['{"status": "succeeded", "started": "x"}', b"\xff\xfe", None, 5, "[" * 100_000],
]


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: str(data)[:30] or "empty")
def test_a_damaged_event_costs_its_own_job_at_the_most(copy, data):
    path = copy.folders.ledger("probe")
    rows_of(path, "CREATE TABLE copy AS SELECT * FROM events")  # without NOT NULL
    rows_of(path, "DROP TABLE events")
    rows_of(path, "ALTER TABLE copy RENAME TO events")
    with closing(sqlite3.connect(path)) as connection:
        (number, job), *_ = connection.execute("SELECT number, job FROM events WHERE kind = 'observed' ORDER BY number DESC")
    rows_of(path, "UPDATE events SET data = ? WHERE number = ?", data, number)
    rows, said = shown(copy.folders)
    assert any(f"event {number} of job {job} is damaged" in text for text in said)
    assert len(rows) == TRIALS
    mine = next(trial for trial in rows if trial in job)
    assert all(row == ("succeeded", {"default": 1.5}) for trial, row in rows.items() if trial != mine)
    with open_ledger(path) as ledger, pytest.raises(AmlcError, match=f"event {number} of job {job} is damaged"):
        list(ledger.events())


def test_what_is_missing_in_a_damaged_ledger_is_not_said_to_be_pending(copy):
    path = copy.folders.ledger("probe")
    rows_of(path, "UPDATE events SET data = 'x' WHERE kind = 'intent' AND number < 5")
    rows, said = shown(copy.folders)
    assert said
    assert {status for status, _ in rows.values()} == {"succeeded", "unknown"}


def test_status_says_what_is_damaged_and_does_not_exit_with_0(copy):
    rows_of(copy.folders.ledger("probe"), "UPDATE metrics SET value = '{' WHERE kind = 'final' AND rowid = (SELECT min(rowid) FROM metrics WHERE kind = 'final')")
    for command in ("status", "collect", "list"):
        done = copy.amlc(command, code=4)
        assert "the final result of trial" in done.stderr or "a report of trial" in done.stderr
        assert done.stdout
    assert "is damaged" in copy.amlc("-q", "status", code=4).stderr


@pytest.mark.parametrize("command", ["status", "collect", "report"])
def test_a_ledger_that_is_lost_is_said_not_taken_for_a_beginning(copy, command):
    lost(copy)
    told = copy.amlc(command, code=4)
    assert "it is lost, and jobs were run. Mend it: amlc refresh" in told.stderr
    assert "pending" not in told.stderr
    copy.amlc("refresh")
    assert "lost" not in copy.amlc(command).stderr


@pytest.mark.parametrize("command", ["plan", "submit", "retry 0", "run experiment.yml"])
def test_who_would_submit_refuses_a_lost_ledger_until_it_is_made_anew(copy, command):
    lost(copy)
    assert "it is lost, and jobs were run. Mend it: amlc refresh" in copy.amlc(*command.split(), code=4).stderr
    copy.amlc("refresh")
    before = len(copy.starts)
    copy.amlc(*command.split())
    assert len(copy.starts) == before + (command == "retry 0")


@pytest.mark.parametrize("command", ["plan", "submit", "retry 0", "run experiment.yml"])
def test_so_it_is_with_a_tuner_that_learns(project, command):
    project.write(values=range(2), tuner={"name": "TPE"}, maxTrialNumber=2).amlc("run", "experiment.yml")
    lost(project)
    assert "it is lost, and jobs were run. Mend it: amlc refresh" in project.amlc(*command.split(), code=4).stderr


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("damage", ["lost", "a record", "no database"])
def test_without_a_build_folder_compile_says_what_is_wrong_and_refresh_mends_it(project, learns, damage):
    tuner = {"tuner": {"name": "TPE"}, "maxTrialNumber": 3} if learns else {}
    project.write(values=range(3), **tuner).amlc("run", "experiment.yml")
    starts = sorted(project.starts)
    if damage == "lost":
        lost(project)
    elif damage == "a record":
        rows_of(project.folders.ledger("probe"), "UPDATE events SET data = '{' WHERE number = 2")
    else:
        project.folders.ledger("probe").write_bytes(b"no database" * 1000)
    shutil.rmtree(project.folders.build)
    assert "probe is not compiled, and its run folders say nothing" in project.amlc("refresh", code=2).stderr
    if damage == "lost":
        told = project.amlc("run", "experiment.yml", code=4).stderr
        assert "Compile the experiment: amlc compile FILE. Then mend it: amlc refresh." in told
    told = project.amlc("compile", "experiment.yml", code=4).stderr
    assert "Mend it: amlc refresh" in told
    assert project.folders.ledger("probe").exists() == (damage != "lost")
    project.amlc("submit", code=4)
    project.amlc("refresh")
    project.amlc("compile", "experiment.yml")
    assert "3 of 3 trials done" in project.amlc("submit").stderr
    assert sorted(project.starts) == starts
    assert project.statuses() == ["succeeded"] * 3


def test_a_row_that_the_index_lacks_is_put_back_by_who_submits(copy):
    rows_of(copy.folders.ledger("probe"), "DELETE FROM trials WHERE trial = (SELECT min(trial) FROM trials)")
    assert "its index lacks trial" in copy.amlc("status", code=4).stderr
    starts = sorted(copy.starts)
    assert "0 submitted, 4 of 4 trials done" in copy.amlc("submit").stderr
    assert shown(copy.folders)[1] == []
    assert sorted(copy.starts) == starts


def test_a_damaged_job_of_the_manifest_costs_itself_alone(copy):
    path = copy.folders.build / "probe" / "manifest.json"
    lines = path.read_bytes().splitlines(keepends=True)
    first = lines.index(b'"jobs": [\n') + 1
    lines[first + 1] = b"\0" * 50 + b"\n"
    path.write_bytes(b"".join(lines))
    rows, said = shown(copy.folders)
    assert f"{path}:{first + 2}: this job is damaged. Compile again." in said
    assert len(rows) == TRIALS - 1
    assert {status for status, _ in rows.values()} == {"succeeded"}
    assert "this job is damaged" in copy.amlc("plan", code=4).stderr
    copy.amlc("submit", code=4)
    copy.amlc("compile", "experiment.yml")
    assert shown(copy.folders)[1] == []


def test_a_manifest_that_lost_a_line_says_so(copy):
    path = copy.folders.build / "probe" / "manifest.json"
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[lines.index(b'"jobs": [\n') + 2]
    path.write_bytes(b"".join(lines))
    rows, said = shown(copy.folders)
    assert len(rows) == TRIALS - 1
    assert any("its end, or one of its jobs, is damaged" in text for text in said)


def test_each_bit_that_is_flipped_in_the_manifest_is_found(copy):
    """Read alone: a manifest has thousands of bits."""
    path = copy.folders.build / "probe" / "manifest.json"
    whole = path.read_bytes()
    entries = list(read_manifest(path.parent).entries())
    lines = whole.splitlines(keepends=True)
    first = lines.index(b'"jobs": [\n') + 1
    of_jobs = range(len(b"".join(lines[:first])), len(b"".join(lines[: first + TRIALS])))
    kept, said = [], set()
    for place in range(len(whole)):
        bit = 1 << place % 8 if place in of_jobs else 1 << (place * 5 + 3) % 8
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        damage: dict[str, None] = {}
        try:
            left = list(read_manifest(path.parent).entries(damage=damage))
        except AmlcError as err:
            said.add(str(err).rpartition(". ")[2])
            continue
        assert damage, (place, bit)
        assert all(entry in entries for entry in left)
        kept.append(place)
    assert said == {"Compile again.", "Delete the folder and compile again."}
    # All other jobs are shown, but for the line end behind which the end begins.
    assert [place for place in of_jobs if place not in kept] == [of_jobs[-1]]


@pytest.mark.parametrize("part", ["header", "job", "end"])
def test_compile_mends_a_flipped_bit_in_the_manifest(copy, part):
    path = copy.folders.build / "probe" / "manifest.json"
    whole = path.read_bytes()
    place = {"header": whole.index(b"probe"), "job": whole.index(b'"sequence":1'), "end": whole.index(b'"counts": {') + 19}[part]
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    done = copy.amlc("status", code=4)
    what = {"header": ": its header is damaged", "job": "this job is damaged", "end": ": its end is damaged"}[part]
    assert f"{what}. Compile again." in done.stderr
    assert bool(done.stdout) == (part == "job")
    for command in ("submit", "refresh", "refresh probe"):
        assert f"{what}. Compile again." in copy.amlc(*command.split(), code=4).stderr
    copy.amlc("compile", "experiment.yml")
    assert path.read_bytes() == whole
    copy.amlc("status")


@pytest.mark.parametrize("column", ["kind", "job", "data"])
def test_a_bit_that_is_flipped_in_a_value_is_found(copy, column):
    path = copy.folders.ledger("probe")
    with closing(sqlite3.connect(path)) as connection:
        (number, text), *_ = connection.execute(f"SELECT number, {column} FROM events WHERE kind = 'intent'")
    rows_of(path, f"UPDATE events SET {column} = ? WHERE number = ?", text[:-3] + chr(ord(text[-3]) ^ 1) + text[-2:], number)
    rows, said = shown(copy.folders)
    assert any(f"event {number} " in text and "is damaged" in text for text in said)
    assert sorted(status for status, _ in rows.values()) == ["succeeded"] * (TRIALS - 1) + ["unknown"]


def test_a_result_in_which_a_digit_is_another_is_found(copy):
    query = "UPDATE metrics SET value = '1.4' WHERE kind = 'final' AND trial = ?"
    rows_of(copy.folders.ledger("probe"), query, copy.trials[0])
    rows, said = shown(copy.folders)
    assert any(f"the final result of trial {copy.trials[0]}" in text for text in said)
    assert rows[copy.trials[0]] == ("succeeded", {})


@pytest.mark.parametrize(
    "change",
    ["job = 'x' || job", "trial = substr(trial, 2)", "kind = 'fina1'", "sequence = 7", "sequence = 0.5", "at = at + 1", "at = 'now'",
     "value = '1.25'", "value = '{'", "value = CAST(X'fffe' AS TEXT)", "value = CAST(value AS BLOB) || 'a'", "sum = sum + 1"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["intermediate", "final"])
def test_a_report_of_which_any_column_changed_is_found_and_no_other(copy, kind, change):
    path = copy.folders.ledger("probe")
    with read_ledger(path, tolerant=True) as ledger:
        ledger.check()
        assert ledger.damage == ()
    rows_of(path, f"UPDATE metrics SET {change} WHERE rowid = (SELECT min(rowid) FROM metrics WHERE kind = ?)", kind)
    with read_ledger(path, tolerant=True) as ledger:
        ledger.check()
        (said,) = ledger.damage
        assert "a report of trial" in said
        assert "is damaged" in said


def hidden(path: Path, kind: str) -> None:
    """Take the first report of that kind out of the index by which a job's are found, as a flipped bit in it would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        (index,) = connection.execute("SELECT * FROM sqlite_schema WHERE name = 'metrics_by_kind'")
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'metrics_by_kind'")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE metrics SET rowid = 999 WHERE rowid = (SELECT min(rowid) FROM metrics WHERE kind = ?)", (kind,))
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)


@pytest.mark.parametrize("many", [False, True])
def test_a_final_result_that_nobody_would_find_is_missed(copy, many, monkeypatch):
    if many:
        monkeypatch.setattr("amlc.ledger._MOST_REPORTS", 0)
    path = copy.folders.ledger("probe")
    hidden(path, "final")
    with read_ledger(path, tolerant=True) as ledger:
        ledger.check()
        assert any("index" in text for text in ledger.damage)


def test_of_very_many_reports_those_that_are_shown_are_looked_at(copy, monkeypatch):
    monkeypatch.setattr("amlc.ledger._MOST_REPORTS", 0)
    path = copy.folders.ledger("probe")
    rows_of(path, "UPDATE metrics SET value = '1.25' WHERE kind = 'intermediate' AND trial = ?", copy.trials[0])
    with read_ledger(path, tolerant=True) as ledger:
        ledger.check()
        assert ledger.damage == ()
        assert len(list(ledger.metrics("intermediate"))) == TRIALS - 1
        assert len(ledger.damage) == 1


def test_reports_of_a_version_without_checksums_are_whole_unless_they_cannot_be_read(copy):
    path = copy.folders.ledger("probe")
    rows_of(path, "UPDATE metrics SET sum = NULL")
    with read_ledger(path, tolerant=True) as ledger:
        ledger.check()
        assert ledger.damage == ()
    rows_of(path, "UPDATE metrics SET value = '{' WHERE rowid = 1")
    with read_ledger(path, tolerant=True) as ledger:
        ledger.check()
        assert len(ledger.damage) == 1


@pytest.fixture
def at_work(make_project, wait_until) -> Project:
    """An experiment of which one trial has ended and two are at work."""
    made = make_project("p")
    made.write("[ $NNI_TRIAL_SEQ_ID = 0 ] || exec sleep 600", values=range(3), trialConcurrency=3).compile()
    made.amlc("submit", "--no-wait")
    wait_until(lambda: len(made.starts) == 3)
    wait_until(lambda: b"succeeded" in made.amlc("status").stdout)
    with closing(sqlite3.connect(made.folders.ledger("probe"))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def flipped(project: Project, kind: str, column: str, place: int) -> None:
    """Flip a bit in a column of an event of that kind, of the last trial's job or, observed, of the first one's."""
    trial = project.trials[0 if kind == "observed" else -1]
    path = project.folders.ledger("probe")
    with closing(sqlite3.connect(path)) as connection:
        query = f"SELECT number, {column} FROM events WHERE kind = ? AND job LIKE ? ORDER BY number DESC"
        (number, text), *_ = connection.execute(query, (kind, f"%{trial}%"))
    text = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
    rows_of(path, f"UPDATE events SET {column} = ? WHERE number = ?", text, number)


def cut(project: Project, share: float) -> None:
    path = project.folders.ledger("probe")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def older(project: Project) -> None:
    """A backup in its place, from before the last two jobs."""
    path = project.folders.ledger("probe")
    for trial in project.trials[1:]:
        rows_of(path, "DELETE FROM events WHERE job LIKE ?", f"%{trial}%")
        rows_of(path, "DELETE FROM trials WHERE trial = ?", trial)


def lost(project: Project) -> None:
    for path in project.folders.ledger("probe").parent.glob("ledger.db*"):
        path.unlink()


DAMAGES = {
    **{f"intent, {column}": (lambda p, c=column: flipped(p, "intent", c, 3)) for column in ("kind", "job", "data")},
    **{f"observed, {column}": (lambda p, c=column: flipped(p, "observed", c, 3)) for column in ("kind", "job", "data")},
    "an id": lambda project: flipped(project, "intent", "data", 10),
    **{f"cut at {share}": (lambda p, s=share: cut(p, s)) for share in (0, 0.01, 0.3, 0.7, 0.95)},
    "lost": lost,
    "an older one": older,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_cancel_on_a_damaged_ledger_says_so_and_works_after_refresh(at_work, wait_until, damage) -> None:
    """It never says that it canceled while a job is at work: not a word of that, until the ledger is mended."""
    DAMAGES[damage](at_work)
    said = at_work.amlc("cancel", "--all", code=4).stderr
    assert said.startswith("error: nothing was canceled")
    assert said.count("\n") == 1
    assert "ledger.db" in said
    assert "amlc refresh" in said
    assert "canceling" not in said
    at_work.amlc("refresh")
    assert "canceling 2 jobs with trials 1, 2" in at_work.amlc("cancel", "--all").stderr
    wait_until(lambda: not at_work.processes(), 5)
    assert at_work.statuses() == ["succeeded", "canceled", "canceled"]
    starts = sorted(at_work.starts)
    assert "0 submitted" in at_work.amlc("submit").stderr
    assert sorted(at_work.starts) == starts


def test_a_ledger_of_which_a_job_is_damaged_keeps_all_that_is_whole(copy) -> None:
    """A trial whose run folder was removed too keeps its result, if not that is what is damaged."""
    path = copy.folders.ledger("probe")
    before, _ = shown(copy.folders)
    shutil.rmtree(copy.run_folder(copy.trials[3]))
    rows_of(path, "UPDATE metrics SET value = '1.4' WHERE trial = ?", copy.trials[0])
    rows_of(path, "UPDATE events SET data = 'x' WHERE kind = 'observed' AND job LIKE ?", f"%{copy.trials[1]}%")
    with read_ledger(path, tolerant=True) as ledger:
        sessions = list(ledger.events(kind="session"))
    (path.parent / ".refresh" / "probe").mkdir(parents=True)  # of one that was killed
    assert "damaged-1.db is what it was" in copy.amlc("refresh").stderr
    assert not (path.parent / ".refresh").exists()
    assert shown(copy.folders) == (before, [])
    with open_ledger(path) as ledger:
        assert list(ledger.events(kind="session")) == sessions
    assert "0 submitted" in copy.amlc("submit").stderr


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return content with a flipped bit, cut short, zeroed in part or as a whole, or with garbage in it."""
    kind = chance.choice(["bit", "bit", "bit", "bits", "cut", "zero", "garbage", "gone", "nothing", "twice", "long"])
    if not content or kind == "nothing":
        return b""
    place = chance.randrange(len(content))
    end = min(len(content), place + chance.choice([1, 8, 100, 4096]))
    match kind:
        case "bit":
            return content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :]
        case "bits":
            return bytes(byte ^ (chance.random() < 0.001) << chance.randrange(8) for byte in content)
        case "cut":
            return content[:place]
        case "zero":
            return content[:place] + bytes(end - place) + content[end:]
        case "garbage":
            return content[:place] + chance.randbytes(end - place) + content[end:]
        case "gone":
            return content[:place] + content[end:]
        case "twice":
            return content + content
        case _:
            return content[:place] + b"[" * 100_000 + content[place:]


def test_no_mutation_is_more_than_a_sentence(whole, tmp_path):
    """Some hundreds of them with a fixed seed; tests/fuzz goes on with others."""
    chance = random.Random(15)
    run = whole.folders.runs("probe")
    targets = [whole.folders.ledger("probe"), whole.folders.build / "probe" / "manifest.json"]
    targets += sorted(run.glob("*/job.yml"))[:1]
    targets += sorted(run.glob("*/outputs/amlc/*/*.json*"))[:2]
    expected, said = shown(whole.folders)
    assert said == []
    lost, silent = 0, []
    for _ in range(300):
        target = chance.choice(targets[:2]) if chance.random() < 0.8 else chance.choice(targets)
        before, after = target.read_bytes(), None
        after = mutated(before, chance)
        try:
            target.write_bytes(after)
            rows, said = shown(whole.folders)
        finally:
            for name in ("-wal", "-shm"):
                target.with_name(target.name + name).unlink(missing_ok=True)
            target.write_bytes(before)
        if after != before and rows != expected:
            lost += bool(said)
            if not said and target == targets[0]:
                silent.append((len(after), after[:20], rows))
    assert lost > 20
    assert silent == []


def test_a_trial_cannot_speak_for_another(project):
    """It writes the ids of all others into its own reports, results and folder; each row stays its own."""
    project.write(values=range(3)).compile()
    ids = project.trials
    one = json.dumps({"type": "final", "sequence": 0, "at": 1.0, "value": 666, "trial": "ID", "trial_id": "ID"})
    end = json.dumps({"end": "exited", "exit_code": 0, "started": 1.0, "ended": 2.0, "error": None, "trial": "ID"})
    script = "".join(
        f"mkdir -p outputs/amlc/{name}\n"
        f"echo '{one.replace('ID', name)}' >> outputs/amlc/{name}/metrics.jsonl\n"
        f"echo '{end.replace('ID', name)}' > outputs/amlc/{name}/result.json\n"
        for name in ids
    )
    script = f'if [ "$NNI_TRIAL_SEQ_ID" = 1 ]; then\n{script}rm -f ../job.yml; mkfifo outputs/amlc/fifo\nfi\n'
    project.write(script + '[ "$NNI_TRIAL_SEQ_ID" != 2 ] || exit 3\n', values=range(3)).compile()
    project.amlc("-q", "submit", code=1)
    with read_ledger(project.folders.ledger("probe")) as ledger:
        rows = list(Results(project.manifest, ledger).rows())
    assert [row.trial.id for row in rows] == project.trials
    assert [row.status for row in rows][::2] == [Status.SUCCEEDED, Status.FAILED]
    assert dict(rows[0].result) == {"default": 1.5}
    assert not rows[2].final


@pytest.mark.parametrize("name", ["metrics.jsonl", "result.json"])
def test_a_fifo_among_a_trials_records_is_not_waited_for(copy, name):
    from amlc.backends.run_folder import fetched

    trial = copy.trials[0]
    run = copy.run_folder(trial)
    before = fetched(run)
    assert before.metrics
    (file,) = run.glob(f"outputs/amlc/{trial}/{name}")
    file.unlink()
    os.mkfifo(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        after = fetched(run)
    assert len(after.metrics) + len(after.outcomes) < len(before.metrics) + len(before.outcomes)
