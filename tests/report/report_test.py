"""The report: what it shows, what it withstands, and how large it gets."""

import io
import json
import os
import re
import shutil
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
from amlc.report.figures import figures
from amlc.report.overview import MOST_STEPS, evenly, read_curves, read_overview, shown, thinned

ATTACK = (
    "</script><script>document.documentElement.dataset.hacked = 1</script><img src=x onerror=alert(1)>%{x} $x$ &lt;"
)
REVISION = "ab" * 32
START = 1_700_000_000.0


def trial(parameters, final=None, *, curve=(), status=Status.SUCCEEDED, error=None, seconds=10.0):
    return SimpleNamespace(parameters=parameters, final=final, curve=curve, status=status, error=error, seconds=seconds)


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
    seen = Observation(job=one.name, status=given.status, started=start, ended=end, error=given.error)
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
    """Return the overview and the charts by key."""
    manifest = folders.manifest(None)
    with read_ledger(folders.ledger(manifest.header.experiment)) as ledger:
        overview = read_overview(Results(manifest, ledger))
        curves = read_curves(ledger, overview.rows)
    return overview, {chart.key: chart for chart in figures(overview, curves, candidates=len(overview.rows))}


def charts_in(html):
    return json.loads(re.search(r'<script type="application/json" id="charts">(.*?)</script>', html).group(1))


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


def test_page_shows_verdict_best_trial_errors_and_every_trial(tmp_path):
    text = " ".join(Elements(page(experiment(tmp_path, SOME)).decode()).text)
    for expected in (
        "2 of 5 trials done",
        "0.75",
        "trial #1",
        "exit code 3",
        "net.depth",
        "metrics",
        "early" * 0,
        "#4",
    ):
        assert expected in text


@pytest.mark.parametrize(("mode", "best"), [("maximize", 1), ("minimize", 0)])
def test_best_follows_optimize_mode(tmp_path, mode, best):
    overview, charts = drawn(experiment(tmp_path, SOME, mode=mode))
    assert overview.best.sequence == best
    curve = charts["metric"].traces[1]
    assert curve["y"][-1] == (0.75 if best else 0.5)


def test_parameters_become_axes_with_decades_names_and_a_place_for_absent_ones(tmp_path):
    finished = [trial({"lr": 10.0**-k, "net": {"_name": "ab"[k % 2], **({"d": k * 1.5} if k % 2 else {})}}, k / 10)
                for k in range(5)]  # fmt: skip
    _, charts = drawn(experiment(tmp_path, finished))
    lr, name, depth, metric = charts["parameters"].traces[0]["dimensions"]
    assert (lr["label"], lr["values"]) == ("lr", [0, -1, -2, -3, -4])
    assert lr["ticktext"] == ["0.0001", "0.001", "0.01", "0.1", "1"]
    assert (name["label"], name["ticktext"]) == ("net._name", ["a", "b"])
    assert depth["ticktext"][0] == "absent"
    assert depth["values"][0] == depth["tickvals"][0] < min(depth["values"][1], depth["values"][3])
    assert metric["values"] == [0, 0.1, 0.2, 0.3, 0.4]


def test_choices_that_only_their_type_tells_apart_stay_apart(tmp_path):
    values = [1, "1", True, None, "", [1], 1.5, "2020-01-01"]
    _, charts = drawn(experiment(tmp_path, [trial({"a": value}, 1.0) for value in values]))
    axis = charts["parameters"].traces[0]["dimensions"][0]
    assert sorted(axis["values"]) == list(range(len(values)))
    labels = [axis["ticktext"][place] for place in axis["values"]]
    assert labels == ["1", "1", "true", "null", "(empty)", "[1]", "1.5", "2020-01-01"]


def test_constant_parameters_are_left_out_and_said_to_be(tmp_path):
    _, charts = drawn(experiment(tmp_path, [trial({"a": 1, "b": index}, index) for index in range(3)]))
    assert [d["label"] for d in charts["parameters"].traces[0]["dimensions"]] == ["b", "default"]
    assert "1 that never vary" in charts["parameters"].note


def test_durations_are_grouped_by_status(tmp_path):
    _, charts = drawn(experiment(tmp_path, SOME))
    assert [(trace["name"], trace["x"]) for trace in charts["durations"].traces] == [
        ("succeeded", [0, 1]),
        ("failed", [2]),
    ]


def test_charts_are_valid_for_plotly(tmp_path):
    from plotly.graph_objects import Figure

    _, charts = drawn(experiment(tmp_path, SOME))
    for chart in charts.values():
        Figure(data=list(chart.traces), layout=chart.layout)  # raises for an attribute that there is not


def replicated(*sets):
    """Return the trials of parameter sets from the results of each."""
    return [trial({"x": index}, value) for index, values in enumerate(sets) for value in values]


def test_replicates_are_one_point_with_their_mean_and_a_row_each(tmp_path):
    trials = replicated((0.9, 0.1, 0.2), (0.5, 0.6, 0.7), (0.3, None, 0.5))
    folders = experiment(tmp_path, trials, replicates=3)
    overview, charts = drawn(folders)
    assert (overview.best.sequence, overview.best.origin) == (3, "mean of 3 trials: #3, #4, #5")
    points, line = charts["metric"].traces
    assert (points["x"], points["y"]) == ([0, 3, 6], [0.4, 0.6, 0.4])
    assert points["text"][2].startswith("mean of 2 of 3 trials: #6, #8<br>default = 0.4")
    assert (line["x"], line["y"]) == ([0, 3, 6], [0.4, 0.6, 0.6])
    assert charts["parameters"].traces[0]["dimensions"][-1]["values"] == [0.4, 0.6, 0.4]
    for key in ("metric", "parameters"):
        assert "is a parameter set, with the mean of its trials' results" in charts[key].note
    html = page(folders).decode()
    assert "mean of 3 trials: #3, #4, #5" in html
    assert html.count("<tr id=") == 9


def test_best_set_is_one_whose_trials_have_all_ended(tmp_path):
    trials = [*replicated((0.5, 0.5)), trial({"x": 1}, 0.9), trial({"x": 1}, status=Status.RUNNING)]
    overview, charts = drawn(experiment(tmp_path, trials, replicates=2))
    assert overview.best.origin == "mean of 2 trials: #0, #1"
    assert charts["metric"].traces[0]["y"] == [0.5, 0.9]
    assert charts["metric"].traces[1]["y"][-1] == 0.5


def test_curve_of_a_replicate_below_zero_has_a_colour_on_a_scale_of_decades(tmp_path):
    trials = replicated((-0.001, 0.003), *((2.0**k, 2.0**k) for k in range(9)))
    trials[0].curve = [1, 2]
    _, charts = drawn(experiment(tmp_path, trials, mode="minimize", replicates=2))
    assert charts["metric"].layout["yaxis"]["type"] == "log"
    assert charts["intermediate"].traces[0]["line"]["color"].startswith("#")


def test_failures_with_one_cause_are_shown_once(tmp_path):
    failed = [trial({"x": index}, status=Status.FAILED, error=f"exit code {1 + index % 2}") for index in range(11)]
    unfinished = trial({"x": 11}, status=Status.UNFINISHED, error="the job was cut short")
    html = page(experiment(tmp_path, [*failed, unfinished, trial({"x": 12})])).decode()
    text = " ".join("".join(Elements(html).text).split())
    assert "Why trials failed 6exit code 1 #0, #2, #4, #6, #8, … 5exit code 2 #1, #3, #5, #7, #9" in text
    assert "1the job was cut short #11" in text
    assert "1 unfinished" in text
    assert "no final result" in text


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
def test_page_is_written_and_its_charts_are_json(tmp_path, trials):
    html = page(experiment(tmp_path, trials)).decode()
    assert html.endswith("</html>")
    assert len(html) < 5_500_000
    charts_in(html)


def test_only_finite_numbers_are_scores():
    assert [number(value) for value in ODD_RESULTS] == [None] * 9 + [1e308]
    assert [number(value) for value in (1, 0.5, False, None)] == [1.0, 0.5, None, None]


def test_names_and_values_never_become_markup(tmp_path):
    attacked = [
        trial({ATTACK: ATTACK, "n": {ATTACK: index}}, {"default": index, ATTACK: ATTACK}, curve=[1, 2], error=ATTACK,
              status=status)
        for index, status in enumerate((Status.SUCCEEDED, Status.FAILED))
    ]  # fmt: skip
    folders = experiment(tmp_path, attacked, name=ATTACK)
    elements = Elements(page(folders, target="tiny").decode())
    assert [tag for tag, _ in elements.tags].count("script") == 3
    assert "img" not in [tag for tag, _ in elements.tags]
    assert not any(name.startswith("on") for _, attributes in elements.tags for name in attributes)
    assert " ".join(elements.text).count("</script><script>") >= 6  # as text, it is all there
    _, charts = drawn(folders)
    hover = charts["metric"].traces[0]["text"][0]
    assert "<" not in hover.replace("<br>", "")
    assert "<" not in charts["parameters"].traces[0]["dimensions"][0]["label"]


def test_page_loads_nothing(tmp_path):
    elements = Elements(page(experiment(tmp_path, SOME)).decode())
    for tag, attributes in elements.tags:
        assert tag not in ("link", "img", "iframe", "base")
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    policy = next(attributes["content"] for _, attributes in elements.tags if "http-equiv" in attributes)
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_same_ledger_gives_the_same_bytes(tmp_path):
    folders = experiment(tmp_path, SOME)
    assert page(folders) == page(folders)


def test_missing_plotly_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(UsageError, match="pip install plotly"):
        page(experiment(tmp_path, SOME))


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


def test_page_of_10000_trials_is_bounded_and_says_what_it_leaves_out(many):
    html = page(many).decode()
    assert len(html) < 9_000_000
    assert "Drawn: 5,000 of 10,000 trials that have a result, half of them the best" in html
    assert "200 of 10,000 trials were looked at" in html
    assert "2,000 of 10,000 trials" in html
    assert html.count("<tr id=") == 2_000
    charts = charts_in(html)
    assert len(charts["metric"]["data"][0]["x"]) == 5_000
    assert max(charts["metric"]["data"][0]["y"]) == 996  # the best are always among them
    assert len(charts["intermediate"]["data"]) <= 200


def test_what_is_held_of_10000_trials_is_bounded_and_the_totals_are_true(many):
    overview, charts = drawn(many)
    assert len(overview.rows) <= 7_500
    assert (overview.sample.every, overview.scored.every, overview.totals.attempted, overview.totals.timed) == (
        10_000,
    ) * 4
    assert overview.totals.seconds == 100_000
    assert (overview.best.sequence, overview.best.score) == (996, 996)
    assert overview.steps == tuple((index, index) for index in range(997))
    assert charts["metric"].traces[1]["x"][-1] == 9_999
    assert "1,000 of 10,000 trials that have ended" in charts["durations"].note
    assert all(count <= 10 for count in Counter(row.sequence // 10 for row in overview.rows).values())
    assert {row.sequence // 10 for row in overview.rows} == set(range(1_000))


def test_page_with_few_results_among_many_trials_shows_them_all(tmp_path):
    trials = [trial({"x": index}, index / 7 if index % 10 == 0 else None) for index in range(6_000)]
    html = page(experiment(tmp_path, trials)).decode()
    charts = charts_in(html)
    assert charts["metric"]["data"][0]["x"] == list(range(0, 6_000, 10))
    assert "2,000 of 6,000 trials" in html


def test_long_curve_keeps_its_ends_and_its_spikes(tmp_path):
    values = [0.5] * 20_000
    values[3_333], values[17_777] = -4, 9
    _, charts = drawn(experiment(tmp_path, [trial({"x": 1}, 0.5, curve=values)]))
    curve = charts["intermediate"].traces[0]
    assert len(curve["x"]) <= MOST_STEPS
    assert (curve["x"][0], curve["x"][-1]) == (0, 19_999)
    assert (min(curve["y"]), max(curve["y"])) == (-4, 9)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_evenly_and_thinned_keep_to_their_bound(most):
    items = [(step, float(step % 13)) for step in range(100)]
    assert len(evenly(items, most)) == most
    assert len(thinned(items, max(4, most))) <= max(4, most)


@pytest.mark.parametrize(
    ("value", "text"),
    [("a" * 9, "a" * 9), ("a" * 11, "a" * 9 + "…"), (0.1 + 0.2, "0.3"), (1e-05, "1e-05"), (True, "true"), (7, "7"),
     (None, "null"), ([1, "é"], '[1, "é"]'), (float("nan"), "nan")],
)  # fmt: skip
def test_values_are_shown_short(value, text):
    assert shown(value, 10) == text


# --- in a browser -----------------------------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def browse(file, profile, *options):
    """Return the page's DOM after its scripts have run, and what they wrote to the console."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("Chromium is missing: make test-all brings it")
    command = [
        found, "--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-logging=stderr", "--virtual-time-budget=20000", f"--user-data-dir={profile}", *options,
        "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "GL Driver Message" not in line]
    return done.stdout, said


def attacked_page(root):
    trials = [
        trial({ATTACK: ATTACK * index, "x": index}, {"default": index, ATTACK: ATTACK}, curve=[1, 2], error=ATTACK)
        for index in range(4)
    ]
    return page(experiment(root, trials, name=ATTACK), target="tiny")


@pytest.mark.parametrize("make", [lambda root: page(experiment(root, SOME)), attacked_page], ids=["some", "attacked"])
def test_browser_draws_every_chart_without_a_complaint(tmp_path, make):
    file = tmp_path / "report.html"
    file.write_bytes(make(tmp_path))
    dom, said = browse(file, tmp_path / "profile")
    assert said == []
    assert dom.count('data-drawn="yes"') == 4
    for drawing in ("scatterlayer", "parcoords-line-layers", "barlayer", "best so far"):
        assert drawing in dom
    root, body = dom.split("<body", 1)
    assert "data-hacked" not in root
    assert "<img" not in re.sub(r"<script.*?</script>", "", body, flags=re.DOTALL)
    assert "Share chart" not in body.split('<script type="application/json"')[0]


def scripted(file, html, script):
    """Write the page with a script of the test's own, which the page's policy would not let run."""
    html = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", html)
    file.write_text(html.replace("</body>", f"<script>{script}</script></body>"))


def test_hovering_tells_of_the_trial_and_a_click_leads_to_its_row(tmp_path):
    script = """
    const told = (key) => {
      const chart = document.getElementById("chart-" + key);
      Plotly.Fx.hover(chart, [{curveNumber: 0, pointNumber: 1}]);
      document.body.setAttribute("data-" + key, chart.querySelector(".hoverlayer").textContent);
      return chart;
    };
    setTimeout(() => {
      told("intermediate");
      told("durations");
      told("metric").emit("plotly_click", {points: [{customdata: 3}]});
      document.body.dataset.row = location.hash;
    }, 2000);
    """
    file = tmp_path / "report.html"
    scripted(file, attacked_page(tmp_path).decode(), script)
    dom, said = browse(file, tmp_path / "profile")
    body = dict(Elements(re.search("<body.*?>", dom).group()).tags[0][1])
    assert said == []
    assert body["data-row"] == "#trial-3"
    assert body["data-durations"] == "succeededtrial 1: 10 seconds"
    assert body["data-metric"].startswith("trial #1 · succeededdefault = 1</script><script>")
    assert body["data-intermediate"].startswith("step 1: 2trial #0 · succeededdefault = 0</script><script>")


def test_table_sorts_by_number_and_keeps_empty_cells_last(tmp_path):
    clicks = "const b = [...document.querySelectorAll('th button')].find((e) => e.textContent === 'default');"
    clicks += "b.click(); const up = order(); b.click(); document.body.dataset.order = up + '|' + order();"
    order = "const order = () => [...document.querySelectorAll('tbody tr')].map((r) => r.id.slice(6)).join('');"
    file = tmp_path / "report.html"
    scripted(file, page(experiment(tmp_path, SOME)).decode(), order + clicks)
    dom, said = browse(file, tmp_path / "profile")
    assert said == []
    assert re.search('data-order="(.*?)"', dom).group(1) == "01234|10234"


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
    assert charts_in(first.stdout.decode())["metric"]["data"][0]["y"] == [1, 2, 3]
