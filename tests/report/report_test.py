"""The report: what it shows, what it withstands, and how large it gets."""

import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from amlc.collect.results import Results
from amlc.commands.report import report
from amlc.console import Console
from amlc.display.results import show_report
from amlc.errors import UsageError
from amlc.events import Event, observed
from amlc.folders import Folders
from amlc.ledger import open_ledger, read_ledger
from amlc.manifest import Entry, Header, entry_line, head_lines, tail_lines
from amlc.model import Metric, Observation, Status, Trial
from amlc.numbers import number

from amlc.report.overview import evenly, shown
from amlc.report.page import drawn as drawn_page

ATTACK = (
    "</script><script>document.documentElement.dataset.hacked = 1</script><img src=x onerror=alert(1)>%{x} $x$ &lt;"
)
REVISION = "ab" * 32
START = 1_700_000_000.0


def trial(parameters, final=None, *, curve=(), status=Status.SUCCEEDED, error=None, seconds=10.0, url=None):
    return SimpleNamespace(parameters=parameters, final=final, curve=curve, status=status, error=error, seconds=seconds, url=url)


def experiment(root, trials, *, name="tiny", mode="maximize", replicates=1):
    """Write the build folder and the ledger of an experiment whose trials became what `trials` say."""
    folders = Folders(root / "build", root / "state")
    header = Header(
        experiment=name, backend="local", revision=REVISION, concurrency=2, retries=2, max_seconds=None,
        optimize_mode=mode, gpus_per_trial=None, trials_per_gpu=1, target={},
        replicates=replicates,
    )  # fmt: skip
    entries = [entry(index, given) for index, given in enumerate(trials)]
    folder = root / "build" / "tiny"
    folder.mkdir(parents=True)
    lines = [entry_line(one, first=index == 0) for index, one in enumerate(entries)]
    text = head_lines(header) + "".join(lines) + tail_lines(jobs=len(entries), trials=len(entries))
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    path = folders.ledger(name)
    with open_ledger(path) as ledger:
        ledger.append([event for one, given in zip(entries, trials, strict=True) for event in events(one, given)])
    with sqlite3.connect(path) as connection:  # all at once: thousands of small transactions take long
        rows = [row for one, given in zip(entries, trials, strict=True) for row in metrics(one, given)]
        connection.executemany("INSERT INTO metrics (job, trial, kind, sequence, at, value) VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    return folders


def entry(index, given):
    one = Trial(f"{index:016x}", index, given.parameters)
    return Entry(one.id, f"tiny-{one.id}", f"jobs/{index:05}.yml", "0" * 64, (one,))


def events(one, given):
    if given.status is Status.PENDING:
        return
    trials = [{"id": t.id, "sequence": t.sequence, "parameters": t.parameters} for t in one.trials]
    start = START + one.trials[0].sequence
    intent = {"id": one.id, "attempt": 1, "trials": trials, "revision": REVISION, "backend": "local", "losses": 0}
    yield Event(kind="intent", at=start, job=one.name, data=intent)
    end = start + given.seconds if given.status.ended else None
    seen = Observation(job=one.name, status=given.status, started=start, ended=end, error=given.error, url=given.url)
    yield observed(seen, at=start)


def metrics(one, given):
    found = [
        Metric(trial=one.id, kind="intermediate", sequence=i, value=v, at=START) for i, v in enumerate(given.curve)
    ]
    if given.final is not None:
        found.append(Metric(trial=one.id, kind="final", sequence=0, value=given.final, at=START))
    for metric in found:
        yield one.name, metric.trial, metric.kind, metric.sequence, metric.at, json.dumps(metric.value)


def page(folders, target=None):
    return report(folders.manifest(target), folders=folders).page


def drawn(folders):
    """Return the overview, and what the page's script is given."""
    manifest = folders.manifest(None)
    with read_ledger(folders.ledger(manifest.header.experiment)) as ledger:
        found = drawn_page(Results(manifest, ledger), ledger)
    return found.overview, found.data


def column(part, name, group="fixed"):
    """Return the values of a column of trials or sets, None where there is none."""
    (found,) = (one for one in part[group] if one["name"] == name)
    if "json" in found:
        return [json.loads(found["json"][place]) if place >= 0 else None for place in found["values"]]
    if "words" in found:
        prefix = found.get("prefix", "")
        return [prefix + found["words"][place] if place >= 0 else None for place in found["values"]]
    return found["values"]


def data_in(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html).group(1))


class Elements(HTMLParser):
    """The elements of a page, and the text outside of scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self._inside = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text.append(data)


SOME = [
    trial({"lr": 0.1, "net": {"_name": "cnn", "depth": 3}}, 0.5, curve=[0.1, 0.3, 0.5]),
    trial({"lr": 0.001, "net": {"_name": "mlp"}}, {"default": 0.75, "loss": 1.5}, curve=[0.2, {"default": 0.7}]),
    trial({"lr": 0.01, "net": {"_name": "mlp"}}, status=Status.FAILED, error="exit code 3"),
    trial({"lr": 0.02, "net": {"_name": "mlp"}}, status=Status.RUNNING, curve=[0.4]),
    trial({"lr": 0.03, "net": {"_name": "cnn", "depth": 5}}, status=Status.PENDING),
]
ODD_RESULTS = [float("nan"), float("inf"), "good", True, [0.5, 0.6], {}, {"loss": 1}, 10**400, {"default": None}, 1e308]


# --- what it shows ----------------------------------------------------------------------------------------------


def test_page_shows_verdict_best_trial_and_errors_also_without_scripts(tmp_path):
    text = " ".join(Elements(page(experiment(tmp_path, SOME)).decode()).text)
    for expected in (
        "2 of 5 trials done",
        "0.75",
        "trial #1",
        "exit code 3",
        "net._name",
    ):
        assert expected in text


@pytest.mark.parametrize(("mode", "best"), [("maximize", 1), ("minimize", 0)])
def test_best_follows_optimize_mode(tmp_path, mode, best):
    overview, data = drawn(experiment(tmp_path, SOME, mode=mode))
    assert overview.best.sequence == best
    assert data["steps"][-1][1] == (0.75 if best else 0.5)
    assert data["maximize"] is (mode == "maximize")


FAILED_LATE = [
    trial({"lr": 0.1}, 1.0),
    trial({"lr": 0.2}, 9.0, status=Status.FAILED, error="exit code 1"),
    trial({"lr": 0.3}, {"loss": 1.0}, status=Status.FAILED, error="exit code 1"),
    trial({"lr": 0.4}, 3.0),
]


def test_what_did_not_succeed_has_its_number_in_the_table_and_counts_nowhere(tmp_path):
    overview, data = drawn(experiment(tmp_path, FAILED_LATE))
    assert (overview.best.sequence, overview.best.score) == (3, 3.0)
    assert [row.sequence for row in overview.scored.rows] == [0, 3]
    assert ([list(step) for step in data["steps"]], data["odd"]) == ([[0, 1.0], [3, 3.0]], 0)
    assert column(data["trials"], "default", "metrics") == [1.0, 9.0, None, 3.0]


def test_script_is_given_every_trial_with_its_parameters_and_all_metrics(tmp_path):
    _, data = drawn(experiment(tmp_path, SOME))
    trials = data["trials"]
    assert column(trials, "#") == [0, 1, 2, 3, 4]
    assert column(trials, "status") == ["succeeded", "succeeded", "failed", "running", "pending"]
    assert column(trials, "duration") == [10.0, 10.0, 10.0, None, None]
    assert column(trials, "error") == [None, None, "exit code 3", None, None]
    assert column(trials, "default", "metrics") == [0.5, 0.75, None, None, None]
    assert column(trials, "loss", "metrics") == [None, 1.5, None, None, None]
    assert column(trials, "net.depth", "parameters") == [3, None, None, None, 5]
    assert [one.get("path") for one in trials["parameters"]] == [None, ("net", "_name"), ("net", "depth")]


def test_parameters_that_never_vary_are_known(tmp_path):
    _, data = drawn(experiment(tmp_path, [trial({"a": 1, "b": index}, index) for index in range(3)]))
    assert [one.get("varies", True) for one in data["trials"]["parameters"]] == [False, True]


def test_curves_are_of_every_metric(tmp_path):
    _, data = drawn(experiment(tmp_path, [trial({"x": 1}, 1, curve=[{"default": 1, "loss": 9}, {"default": 2, "loss": 8}])]))
    curves = data["curves"]
    assert (curves["metrics"], curves["trials"], curves["curves"]) == (("default", "loss"), [0], [[[[1, 2]], [[9, 8]]]])


def replicated(*sets):
    """Return the trials of parameter sets from the results of each."""
    return [trial({"x": index}, value) for index, values in enumerate(sets) for value in values]


def test_replicates_are_one_point_with_their_mean_and_a_row_each(tmp_path):
    trials = replicated((0.9, 0.1, 0.2), (0.5, 0.6, 0.7), (0.3, None, 0.5))
    folders = experiment(tmp_path, trials, replicates=3)
    overview, data = drawn(folders)
    assert (overview.best.sequence, overview.best.origin) == (3, "mean of 3 trials: #3, #4, #5")
    sets = data["sets"]
    assert (column(sets, "#"), column(sets, "default", "metrics")) == ([0, 3, 6], [0.4, 0.6, 0.4])
    assert column(sets, "of")[2] == "mean of 2 of 3 trials: #6, #8"
    assert sets["members"] == [(0, 1, 2), (3, 4, 5), (6, 7, 8)]
    assert data["steps"] == [[0, 0.4], [3, 0.6]]
    assert data["trials"]["count"] == 9
    assert "mean of 3 trials: #3, #4, #5" in page(folders).decode()


def test_means_of_a_set_are_of_every_metric(tmp_path):
    trials = [trial({"x": 1}, {"default": k, "loss": 10 * k, "word": "a"}) for k in range(3)]
    _, data = drawn(experiment(tmp_path, trials, replicates=3))
    assert column(data["sets"], "loss", "metrics") == [10]
    assert column(data["sets"], "word", "metrics") == [None]


def test_best_set_is_one_whose_trials_have_all_ended(tmp_path):
    trials = [*replicated((0.5, 0.5)), trial({"x": 1}, 0.9), trial({"x": 1}, status=Status.RUNNING)]
    overview, data = drawn(experiment(tmp_path, trials, replicates=2))
    assert overview.best.origin == "mean of 2 trials: #0, #1"
    assert column(data["sets"], "default", "metrics") == [0.5, 0.9]
    assert data["steps"] == [[0, 0.5]]


def test_failures_with_one_cause_are_shown_once(tmp_path):
    failed = [trial({"x": index}, status=Status.FAILED, error=f"exit code {1 + index % 2}") for index in range(11)]
    unfinished = trial({"x": 11}, status=Status.UNFINISHED, error="the job was cut short")
    html = page(experiment(tmp_path, [*failed, unfinished, trial({"x": 12})])).decode()
    text = " ".join("".join(Elements(html).text).split())
    assert "Why trials failed 6exit code 1 #0, #2, #4, #6, #8, … 5exit code 2 #1, #3, #5, #7, #9" in text
    assert "1the job was cut short unfinished: #11" in text
    assert "1 unfinished" in text
    assert "1 without a final result" in text


def test_page_without_failures_has_no_list_of_causes(tmp_path):
    assert "Why trials failed" not in page(experiment(tmp_path, [trial({"x": 1}, 0.5)])).decode()


# --- what it withstands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trials",
    [
        pytest.param([], id="no trial"),
        pytest.param([trial({"lr": 0.1}, status=Status.PENDING)], id="nothing submitted"),
        pytest.param([trial({"lr": 0.1}, 0.5)], id="one trial"),
        pytest.param([trial({}, 0.5), trial({}, 0.5)], id="no parameters"),
        pytest.param([trial({"lr": 0.1}, 0.5)] * 3, id="all the same"),
        pytest.param([trial({"x": index}, final) for index, final in enumerate(ODD_RESULTS)], id="odd results"),
        pytest.param([trial({"x": 0}, 0.1, curve=ODD_RESULTS)], id="odd intermediates"),
        pytest.param([trial({"x": value}, 0.1) for value in (float("nan"), 1e308, -1e308, 5e-324)], id="odd numbers"),
        pytest.param([trial({"x": 1}, {"\udfff": "\ud800", "default": 2})], id="half a surrogate pair"),
        pytest.param([trial({"x": "a" * 1_000_000}, 0.1)], id="a megabyte of text"),
    ],
)
def test_page_is_written_and_its_data_is_json(tmp_path, trials):
    html = page(experiment(tmp_path, trials)).decode()
    assert html.endswith("</html>")
    assert len(html) < 1_000_000
    data_in(html)


def test_only_finite_numbers_are_scores():
    assert [number(value) for value in ODD_RESULTS] == [None] * 3 + [1.0] + [None] * 5 + [1e308]
    assert [number(value) for value in (1, 0.5, False, None)] == [1.0, 0.5, 0.0, None]


def test_true_and_false_are_results_as_for_the_tuners(tmp_path):
    trials = [trial({"k": k}, k, curve=[k]) for k in (0.5, True, "x", False)]
    overview, data = drawn(experiment(tmp_path, trials))
    assert (overview.best.sequence, overview.best.score, data["odd"]) == (1, 1.0, 1)
    assert data["steps"] == [[0, 0.5], [1, 1]]
    (column,) = data["trials"]["metrics"]
    assert [column["json"][at] for at in column["values"]] == ["0.5", "1", '"x"', "0"]
    assert data["curves"]["trials"] == [0, 1, 3]


def test_names_and_values_never_become_markup(tmp_path):
    attacked = [
        trial({ATTACK: ATTACK, "n": {ATTACK: index}}, {"default": index, ATTACK: ATTACK}, curve=[1, 2], error=ATTACK,
              status=status)
        for index, status in enumerate((Status.SUCCEEDED, Status.FAILED))
    ]  # fmt: skip
    folders = experiment(tmp_path, attacked, name=ATTACK)
    elements = Elements(page(folders, target="tiny").decode())
    assert [tag for tag, _ in elements.tags].count("script") == 3
    assert not any("style" in attributes for _, attributes in elements.tags)
    assert "img" not in [tag for tag, _ in elements.tags]
    assert not any(name.startswith("on") for _, attributes in elements.tags for name in attributes)
    assert " ".join(elements.text).count("</script><script>") >= 4  # as text, it is all there


def test_page_loads_nothing(tmp_path):
    elements = Elements(page(experiment(tmp_path, SOME)).decode())
    for tag, attributes in elements.tags:
        assert tag not in ("link", "img", "iframe", "base")
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    policy = next(attributes["content"] for _, attributes in elements.tags if "http-equiv" in attributes)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe" not in policy


def test_same_ledger_gives_the_same_bytes(tmp_path):
    folders = experiment(tmp_path, SOME)
    assert page(folders) == page(folders)


def test_terminal_gets_no_page(tmp_path):
    out = io.StringIO()
    out.isatty = lambda: True
    folders = experiment(tmp_path, SOME)
    with pytest.raises(UsageError, match=r"amlc report > report\.html"):
        show_report(folders.manifest(None), Console(out, io.StringIO()), folders)


# --- how large it gets ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    trials = [
        trial({"lr": 0.1 / (index + 1), "units": index % 7, "kind": f"k{index % 50}", "x": index * 0.1},
              {"default": index % 997, "loss": 1 / (index + 1)}, curve=range(index % 20))
        for index in range(10_000)
    ]  # fmt: skip
    return experiment(tmp_path_factory.mktemp("many"), trials)


def test_page_of_10000_trials_has_them_all(many):
    html = page(many).decode()
    assert len(html) < 3_000_000
    trials = data_in(html)["trials"]
    assert (trials["count"], trials["every"]) == (10_000, 10_000)
    curves = data_in(html)["curves"]
    assert (curves["looked"], curves["candidates"], len(curves["trials"]) <= 1_000) == (1_000, 10_000, True)


def test_of_more_trials_half_are_the_best_and_the_totals_are_true(many, monkeypatch):
    monkeypatch.setattr("amlc.report.overview.MOST_ROWS", 2_000)
    monkeypatch.setattr("amlc.report.payload.MOST_ROWS", 2_000)
    overview, data = drawn(many)
    assert len(overview.rows) <= 3_000
    assert (overview.sample.every, overview.scored.every, overview.totals.attempted) == (10_000,) * 3
    assert overview.totals.seconds == 100_000
    assert (overview.best.sequence, overview.best.score) == (996, 996)
    assert overview.steps == tuple((index, index) for index in range(997))
    assert data["last"] == 9_999
    trials = data["trials"]
    assert (trials["count"], trials["every"]) == (2_000, 10_000)
    assert max(column(trials, "default", "metrics")) == 996  # the best are always among them
    spread = Counter(sequence // 100 for sequence in column(trials, "#"))
    assert set(spread) == set(range(100))


def test_columns_that_would_be_too_large_are_cut_or_have_fewer_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("amlc.report.payload._MOST_BYTES", 30_000)
    _, data = drawn(experiment(tmp_path, [trial({"x": f"{index} {'long' * 200}"}, index) for index in range(300)]))
    (x,) = data["trials"]["parameters"]
    assert x["cut"] is True
    assert max(map(len, x["json"])) <= 80
    assert data["trials"]["count"] == 300


def test_page_with_few_results_among_many_trials_shows_them_all(tmp_path, monkeypatch):
    monkeypatch.setattr("amlc.report.overview.MOST_ROWS", 1_000)
    monkeypatch.setattr("amlc.report.payload.MOST_ROWS", 1_000)
    trials = [trial({"x": index}, index / 7 if index % 10 == 0 else None) for index in range(4_000)]
    _, data = drawn(experiment(tmp_path, trials))
    scored = [value for value in column(data["trials"], "default", "metrics") if value is not None]
    assert len(scored) == 400


def test_page_of_1000_trials_with_curves_is_at_most_2_megabytes(tmp_path):
    trials = [
        trial({"lr": 0.1 / (index + 1), "kind": f"k{index % 5}", "x": index * 0.137},
              {"default": index / 997, "loss": 1 / (index + 1)},
              curve=[{"default": index / 997 + step / 300, "loss": 1 / (step + index + 1)} for step in range(100)])
        for index in range(1_000)
    ]  # fmt: skip
    assert len(page(experiment(tmp_path, trials))) <= 2_000_000


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_evenly_keeps_to_its_bound(most):
    assert len(evenly(range(100), most)) == most


@pytest.mark.parametrize(
    ("value", "text"),
    [("a" * 9, "a" * 9), ("a" * 11, "a" * 9 + "…"), (0.1 + 0.2, "0.3"), (1e-05, "1e-05"), (True, "true"), (7, "7"),
     (None, "null"), ([1, "é"], '[1, "é"]'), (float("nan"), "nan")],
)  # fmt: skip
def test_values_are_shown_short(value, text):
    assert shown(value, 10) == text


# --- end to end -------------------------------------------------------------------------------------------------

TINY = """\
experimentName: end to end
searchSpace: {x: {_type: choice, _value: [1, 2, 3]}}
trialCommand: python3 -S trial.py
trialConcurrency: 2
tuner: {name: GridSearch, classArgs: {optimize_mode: minimize}}
trainingService: {platform: local}
"""
TRIAL = """\
import nni
x = nni.get_next_parameter()["x"]
nni.report_intermediate_result(x + 1)
nni.report_final_result(x)
"""


def test_command_writes_the_report_of_a_real_run(tmp_path):
    (tmp_path / "experiment.yml").write_text(TINY)
    (tmp_path / "trial.py").write_text(TRIAL)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def amlc(*words):
        return subprocess.run(
            [sys.executable, "-m", "amlc", *words], cwd=tmp_path, env=env, capture_output=True, check=True
        )

    amlc("run", "experiment.yml")
    first, second = amlc("report"), amlc("report", "end to end")
    assert first.stdout == second.stdout
    assert first.stderr.decode().strip() == "end to end: 3 of 3 trials done"
    data = data_in(first.stdout.decode())
    assert column(data["trials"], "default", "metrics") == [1, 2, 3]
    assert "GridSearch" in first.stdout.decode()
