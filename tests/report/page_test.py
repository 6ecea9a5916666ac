"""The parts of the report's page that Python writes: facts, revisions, its policy, and what it is made of."""

import hashlib
import json
import sqlite3
import zipfile
from base64 import b64encode
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from amlc.collect.results import Results
from amlc.ledger import read_ledger
from amlc.model import Status
from amlc.report import page
from amlc.report.overview import read_overview
from amlc.report.payload import left_out
from tests.report.report_test import drawn, experiment, trial
from tests.report.report_test import page as page_of

VENDOR = Path(page.__file__).parent / "vendor"


@pytest.fixture
def overview(tmp_path):
    def make(trials):
        folders = experiment(tmp_path, trials)
        with read_ledger(folders.ledger("tiny")) as ledger:
            return read_overview(Results(folders.manifest(None), ledger))

    return make


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (119.9, "119.9 s"), (120, "2.0 min"), (7_199, "120.0 min"), (7_200, "2.0 h"), (172_800, "2.0 d")],
)
def test_a_duration_has_the_unit_in_which_it_is_at_least_two(overview, seconds, text):
    found = overview([trial({"x": 1}, 1, seconds=seconds)])
    assert dict(page._facts(found))["time in trials"] == text


def test_too_many_columns_are_left_out_with_a_note(tmp_path):
    folders = experiment(tmp_path, [trial({f"p{n:02}": n for n in range(45)}, {f"m{n:02}": n for n in range(33)})])
    overview, data = drawn(folders)
    assert (len(data["trials"]["metrics"]), len(data["trials"]["parameters"])) == (30, 40)
    assert left_out(overview) == "8 more columns are in amlc collect."
    assert data["partial"] is True


def test_what_it_cost_is_a_fact_where_it_costs(tmp_path):
    folders = experiment(tmp_path, [trial({"lr": 0.1}, 1.0, seconds=3600.0)])
    with read_ledger(folders.ledger("tiny")) as ledger:
        here = read_overview(Results(folders.manifest(None), ledger))
        assert "cost" not in dict(page._facts(here))
        with closing(sqlite3.connect(folders.ledger("tiny"))) as writing, writing:
            writing.execute("UPDATE events SET data = replace(data, '\"local\"', '\"aml\"'), sum = NULL")
        manifest = folders.manifest(None)
        there = replace(manifest, header=replace(manifest.header, backend="aml", price=3.0))
        overview = read_overview(Results(there, ledger))
    assert dict(page._facts(overview))["cost"] == "1.00 node-hours, 3.00 at amlc.prices"


def test_several_revisions_are_listed_with_how_their_trials_stand(overview):
    one = overview([trial({"x": 1}, 1)])
    assert tuple(page._revisions(one)) == ()
    totals = replace(one.totals, revisions={"aaaaaa": {Status.SUCCEEDED: 1_000, Status.FAILED: 2}, "bbbbbb": {Status.RUNNING: 1}})
    found = tuple(page._revisions(replace(one, totals=totals)))
    assert found == (("aaaaaa", "1,000 succeeded, 2 failed"), ("bbbbbb", "1 running"))


def test_the_policy_names_the_scripts_and_the_style_and_nothing_else():
    digest = b64encode(hashlib.sha256(b"run()").digest()).decode()
    found = page.policy("run()", style="a{}")
    assert f"script-src 'sha256-{digest}';" in found
    assert "default-src 'none'" in found
    assert "connect-src 'none'" in found
    assert "unsafe" not in found


def test_the_vendored_library_is_what_its_record_says():
    record = json.loads((VENDOR / "record.json").read_text())
    assert set(record["files"]) == {path.name for path in VENDOR.iterdir()} - {"record.json"}
    for name, known in record["files"].items():
        data = (VENDOR / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (known["bytes"], known["sha256"])
    pinned = json.loads((Path(__file__).parents[2] / "tools/charts/package.json").read_text())
    wanted = pinned["dependencies"] | pinned["devDependencies"]
    assert record["versions"] == wanted
    licence = (VENDOR / "LICENSE").read_text()
    assert all(f"----- {name}: LICENSE" in licence for name in pinned["dependencies"])


def test_no_script_of_the_page_compiles_code_from_text(tmp_path):
    html = page_of(experiment(tmp_path, [trial({"x": 1}, 1)])).decode()
    assert not [words for words in ("eval(", "Function(", "setTimeout('", 'setTimeout("') if words in html]
    own = [(VENDOR.parent / "web" / f"{name}.js").read_text(encoding="utf-8") for name in page.SCRIPTS]
    assert not [script for script in own if "innerHTML" in script]


def test_a_wheel_has_all_that_the_page_is_made_of(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    root = Path(__file__).parents[2]
    with zipfile.ZipFile(next(iter(WheelBuilder(str(root)).build(directory=str(tmp_path))))) as wheel:
        names = set(wheel.namelist())
    wanted = {path.relative_to(root).as_posix() for room in ("vendor", "web") for path in (VENDOR.parent / room).iterdir()}
    assert wanted <= names
    assert any(name.endswith("licenses/amlc/report/vendor/LICENSE") for name in names)
