"""The report in a real Chromium: it draws, every control does what it says, and nothing complains."""

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from amlc.commands.report import report
from amlc.model import Status
from tests.report.report_test import ATTACK, FAILED_LATE, SOME, experiment, page, trial

CHARTS = ("metric", "parameters", "slices", "curves", "pair", "importance", "time")
READY = "[...document.querySelectorAll('.card > .chart')].filter((c) => c.id !== 'chart-selected').every((c) => ['yes', 'nothing'].includes(c.dataset.drawn))"


@pytest.fixture(scope="session")
def axe():
    """The text of axe-core, which finds faults that people with a screen reader or a keyboard have."""
    version = json.loads(Path(__file__).with_name("package.json").read_text())["dependencies"]["axe-core"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    script = cache / "amlc-axe-core" / version / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.skip("axe-core is missing: make test-all brings it")
    return script.read_text(encoding="utf-8")


def show(tab, folder, html):
    file = folder / "report.html"
    file.write_bytes(html)
    tab.open(file.as_uri())
    draw_all(tab)


def draw_all(tab):
    """Have also those charts drawn that are out of sight, as for a printer."""
    tab.settle()  # the page knows what is in sight, and does not learn it after this
    tab.run("window.dispatchEvent(new Event('beforeprint'))")
    tab.wait(READY)


def drawn(tab):
    return {key for key in CHARTS if tab.run(f"document.getElementById('chart-{key}').dataset.drawn") == "yes"}


def numbers(tab):
    """The trials in the table, in its order."""
    return [int(n) for n in tab.run("[...document.querySelectorAll('#table tbody tr')].map((r) => r.id.slice(6)).join(' ')").split()]


def text(tab, selector):
    return tab.run(f"document.querySelector({json.dumps(selector)}).textContent")


def many(count, *, replicates=1):
    for index in range(count):
        score = ((index * 37) % 101) / 101
        net = {"_name": "cnn", "depth": index % 9} if index % 3 else {"_name": "mlp"}
        parameters = {"lr": 10.0 ** -(1 + index % 97 / 25), "optimizer": ("adam", "sgd", "rmsprop")[index % 3], "units": index % 64, "net": net}
        failed = index % 20 == 7
        yield trial(
            parameters, None if failed else {"default": score, "loss": 1 - score},
            curve=[{"default": score * step / 9, "loss": 1 / (step + 1)} for step in range(10)] if index < 1_000 else (),
            status=Status.FAILED if failed else Status.SUCCEEDED, error=f"exit code {index % 3}" if failed else None,
            seconds=60 + index % 50,
        )  # fmt: skip


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    return page(experiment(tmp_path_factory.mktemp("thousand"), list(many(1_000))))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return page(experiment(tmp_path_factory.mktemp("large"), list(many(10_000))))


@pytest.fixture
def tab(browser, tmp_path, thousand):
    """The page of 1,000 trials, which has to stay without a complaint and to ask for nothing."""
    with browser.tab() as found:
        show(found, tmp_path, thousand)
        yield found
        assert found.complaints == []
        assert all(address.startswith("file:") for address in found.requests)


def attacked():
    return [
        trial({ATTACK: ATTACK * index, "x": index / 7, "n": {ATTACK: index}}, {"default": index, ATTACK: ATTACK}, curve=[1, {ATTACK: 2}],
              error=ATTACK, status=(Status.SUCCEEDED, Status.FAILED)[index % 2])
        for index in range(24)
    ]  # fmt: skip


ODD = [
    trial({"x": float("nan"), "y": 10**400, "z": "✓"}, {"default": 1e308, "\udfff": float("inf"), "w": "\ud800"}),
    trial({"x": 1e308, "y": [1, {"a": None}], "z": "\u202e evil"}, {"default": -1e308}),
    trial({"x": "a" * 100_000, "y": {}, "z": None}, "good", curve=[float("nan"), "a", 1e308, -1e308]),
    trial({"x": 5e-324}, 5e-324),
]


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        pytest.param(SOME, {"metric", "parameters", "slices", "curves", "pair", "time"}, id="some"),
        pytest.param(attacked(), set(CHARTS), id="attacked"),
        pytest.param(ODD, {"metric", "parameters", "slices", "curves", "pair", "time"}, id="odd"),
        pytest.param([], set(), id="no trial"),
        pytest.param([trial({"lr": 0.1}, status=Status.PENDING)], set(), id="nothing submitted"),
        pytest.param([trial({"lr": 0.1}, status=Status.RUNNING)], set(), id="one is running"),
        pytest.param([trial({}, 0.5), trial({}, 0.5)], {"metric", "time"}, id="no parameters"),
    ],
)
def test_page_is_drawn_without_a_complaint(browser, tmp_path, trials, expected):
    with browser.tab() as tab:
        show(tab, tmp_path, page(experiment(tmp_path, trials, name=ATTACK), target="tiny"))
        assert drawn(tab) == expected
        for number in range(min(2, len(trials))):
            tab.click(f"#trial-{number} input")
        tab.wait(READY)
        assert tab.complaints == []
        assert tab.run("document.documentElement.dataset.hacked ?? document.querySelectorAll('img, iframe, main script').length") == 0


def test_replicates_are_drawn_as_sets_and_selected_as_trials(browser, tmp_path):
    trials = [trial({"x": index}, index + part / 10, curve=[1, 2]) for index in range(12) for part in range(3)]
    with browser.tab() as tab:
        show(tab, tmp_path, page(experiment(tmp_path, trials, replicates=3)))
        assert "12 points" in tab.run("document.getElementById('chart-metric').getAttribute('aria-label')")
        assert len(numbers(tab)) == 36
        tab.choose("#top", "10")
        assert numbers(tab) == [30, 31, 32, 33, 34, 35]
        tab.click("#trial-31 input")
        assert text(tab, "#compare th a") == "#31"
        assert tab.complaints == []


def test_what_did_not_succeed_is_in_the_table_and_in_no_chart_of_results(browser, tmp_path):
    with browser.tab() as tab:
        show(tab, tmp_path, page(experiment(tmp_path, FAILED_LATE)))
        label = tab.run("document.querySelector('#chart-metric').getAttribute('aria-label')")
        assert label.startswith("Scatter plot of default by trial number: 2 points, from 1 to 3. The best is 3, of trial #3")
        assert numbers(tab) == [0, 1, 2, 3]


def test_every_chart_is_drawn_and_has_words_for_who_does_not_see_it(tab):
    assert drawn(tab) == set(CHARTS)
    for key in CHARTS:
        assert len(tab.run(f"document.getElementById('chart-{key}').getAttribute('aria-label')")) > 30


def test_search_filters_the_table_and_the_charts_and_clear_lets_go(tab):
    tab.write("#search", "optimizer=adam units<3 -failed")
    tab.wait("document.getElementById('count').textContent.includes('pass')")
    found = numbers(tab)
    assert found == [n for n in range(1_000) if n % 3 == 0 and n % 64 < 3 and n % 20 != 7]
    assert f"{len(found)} of 1,000 trials pass" in text(tab, "#count")
    tab.wait(READY)
    assert f"{len(found)} points" in tab.run("document.getElementById('chart-metric').getAttribute('aria-label')")
    tab.click("#clear")
    assert text(tab, "#count") == "1,000 trials."


def test_only_succeeded_and_the_best_part_are_kept(tab):
    tab.click("#succeeded")
    assert "950 of 1,000" in text(tab, "#count")
    tab.choose("#top", "1")
    assert len(numbers(tab)) == 10
    tab.choose("#better", "less")
    worst = min((trial.final["default"], n) for n, trial in enumerate(many(1_000)) if trial.final)[1]
    assert worst in numbers(tab)


def test_another_metric_is_drawn_and_ranked(tab):
    assert tab.run("[...document.getElementById('metric').options].map((o) => o.value)") == ["default", "loss"]
    tab.choose("#metric", "loss")
    tab.wait(READY)
    assert "of loss by trial" in tab.run("document.getElementById('chart-metric').getAttribute('aria-label')")
    assert tab.run("document.getElementById('curve-metric').value") == "loss"
    tab.choose("#curve-metric", "default")
    tab.wait(READY)
    assert "default by step" in tab.run("document.getElementById('chart-curves').getAttribute('aria-label')")


def test_dragging_along_an_axis_filters_the_table_and_its_chip_lets_go(tab):
    tab.middle("#chart-parameters")
    box = tab.run("(({left, top}) => [left, top])(document.getElementById('chart-parameters').getBoundingClientRect())")
    tab.drag((box[0] + 70, box[1] + 70), (box[0] + 70, box[1] + 190))  # the upper part of the first axis
    tab.wait("document.querySelector('#chips button') !== null")
    chip = text(tab, "#chips button")
    assert chip.startswith("lr: 0.0")
    kept = numbers(tab)
    assert 0 < len(kept) <= 50
    low = float(re.search(r"lr: ([\d.]+) to", chip).group(1))
    assert all(10.0 ** -(1 + n % 97 / 25) >= low * 0.99 for n in kept)
    assert "pass" in text(tab, "#count")
    tab.click("#chips button")
    assert text(tab, "#count") == "1,000 trials."


def test_table_sorts_pages_and_leaves_out_columns(tab):
    tab.click("#table button[data-key='m:default']")
    up = numbers(tab)
    tab.click("#table button[data-key='m:default']")
    down = numbers(tab)
    scores = [trial.final["default"] if trial.final else None for trial in many(1_000)]
    assert [scores[n] for n in up] == sorted(filter(lambda s: s is not None, scores))[:50]
    assert [scores[n] for n in down] == sorted(filter(lambda s: s is not None, scores), reverse=True)[:50]
    assert tab.run("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "descending"
    tab.click("#page-last")
    assert text(tab, "#position") == "951 to 1,000 of 1,000"
    assert all(scores[n] is None for n in numbers(tab))  # what has no value is last in both directions
    tab.click("#page-first")
    tab.click("#page-next")
    tab.click("#page-previous")
    tab.choose("#page-size", "200")
    assert len(numbers(tab)) == 200
    tab.click("#trials summary")
    before = tab.run("document.querySelectorAll('#table thead tr:last-child th').length")
    tab.run("[...document.querySelectorAll('#columns label')].find((l) => l.textContent.trim() === 'loss').querySelector('input').click()")
    assert tab.run("document.querySelectorAll('#table thead tr:last-child th').length") == before - 1


def test_up_to_ten_trials_are_compared_and_their_parameters_copied(tab):
    tab.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    for number in range(11):
        tab.click(f"#trial-{number} input")
    assert "At most 10" in text(tab, "#said")
    assert tab.run("document.querySelectorAll('#compare thead th').length") == 10
    assert tab.run("document.querySelectorAll('#compare tr.differs').length") >= 4
    tab.wait("document.getElementById('chart-selected').dataset.drawn === 'yes'")
    tab.click("#compare button[data-copy='json'][data-trial='4']")
    assert json.loads(tab.run("window.copied")) == list(many(5))[4].parameters
    tab.click("#compare button[data-copy='python'][data-trial='4']")
    assert eval(tab.run("window.copied")) == list(many(5))[4].parameters
    assert "amlc logs 4" in text(tab, "#compare")
    tab.click("#compare button[data-copy=''][data-trial='4']")
    assert tab.run("document.querySelectorAll('#compare thead th').length") == 9
    tab.click("#select-none")
    assert tab.run("document.getElementById('selected').hidden") is True


def test_what_a_local_run_left_is_linked_to_by_a_page_above_it_and_by_no_other(browser, project):
    project.write("echo hello", values=[1]).compile()
    project.amlc("submit")
    manifest = project.folders.manifest(None)
    for place, text_of_log in ((project.root, "amlc logs 0 · open"), (project.root.parent, "amlc logs 0 · open"), (project.root / "build", "amlc logs 0")):
        file = place / "report of it.html"
        file.write_bytes(report(manifest, folders=project.folders, place=place).page)
        with browser.tab() as tab:
            tab.open(file.as_uri())
            tab.click("#trial-0 input")
            rows = tab.run("Object.fromEntries([...document.querySelectorAll('#compare tbody tr')].filter((r) => r.cells.length > 1).map((r) => [r.cells[0].textContent, r.cells[1].textContent]))")
            assert rows["log"] == text_of_log
            links = tab.run("[...document.querySelectorAll('#compare a[target]')].map((a) => a.href)")
            if not links:
                assert str(project.root) not in file.read_text()
                continue
            log, outputs = links
            tab.open(log)
            assert "hello" in text(tab, "body")
            tab.open(outputs)
            assert "amlc" in text(tab, "body")


def test_a_job_of_azure_is_linked_to_its_page(browser, tmp_path):
    one = trial({"x": 1}, 0.5)
    one.url = "https://ml.azure.com/runs/tiny-0000000000000000?wsid=/a&b=<c>"
    with browser.tab() as tab:
        show(tab, tmp_path, page(experiment(tmp_path, [one])))
        tab.click("#trial-0 input")
        (href,) = tab.run("[...document.querySelectorAll('#compare a[target]')].map((a) => a.getAttribute('href'))")
        assert href == one.url
        assert tab.complaints == []


def test_two_parameters_importance_and_time_have_their_choices(tab):
    for selector, value, chart, words in (
        ("#pair-mode", "rank", "pair", "Rank plot"), ("#pair-x", "p:units", "pair", "by units"), ("#pair-y", "p:optimizer", "pair", "and optimizer"),
        ("#time-mode", "timeline", "time", "Timeline"),
    ):  # fmt: skip
        tab.choose(selector, value)
        tab.wait(READY)
        assert words in tab.run(f"document.getElementById('chart-{chart}').getAttribute('aria-label')")
    assert "PED-ANOVA" in text(tab, "#note-importance")


def test_importance_is_told_by_fanova_too_of_what_is_shown(tab):
    by_ped = tab.run("document.getElementById('chart-importance').getAttribute('aria-label')")
    tab.choose("#importance-mode", "fanova")
    tab.wait(READY)
    assert "fANOVA over 300 trials of those that are shown" in text(tab, "#note-importance")
    by_fanova = tab.run("document.getElementById('chart-importance').getAttribute('aria-label')")
    assert by_fanova != by_ped
    tab.write("#search", "#0..99")
    tab.wait("document.getElementById('note-importance').textContent.includes('over 95 trials')")
    tab.write("#search", "#0..5")
    tab.wait("document.getElementById('note-importance').textContent.includes('no estimate')")


def test_results_are_drawn_by_time_and_as_a_distribution(tab):
    label = "document.getElementById('chart-metric').getAttribute('aria-label')"
    tab.choose("#metric-mode", "end")
    tab.wait(READY)
    assert "by the time at which 950 trials ended" in tab.run(label)
    tab.choose("#metric-mode", "share")
    tab.wait(READY)
    scores = sorted(trial.final["default"] for trial in many(1_000) if trial.final)
    median = re.search(r"the median is ([\d.]+)\.$", tab.run(label))[1]
    assert float(median) == pytest.approx(scores[474], abs=2e-6)
    tab.click("#chart-metric")  # a step is of no trial
    assert tab.run("document.getElementById('selected').hidden") is True


def test_the_scale_of_results_and_the_smoothing_of_curves_are_chosen(tab):
    pictures = set()
    for field, value in (("#scale", "log"), ("#scale", "linear"), ("#smooth", "0.9")):
        tab.choose(field, value)
        tab.wait(READY)
        pictures.add(tab.run("document.querySelector('#chart-curves canvas').toDataURL()"))
    assert len(pictures) == 2  # curves begin with 0 here: no log


def saved(browser, name, wait_until):
    file = browser.saved / name
    wait_until(lambda: file.exists() and file.stat().st_size > 0)
    return file.read_bytes()


def test_the_table_is_saved_as_it_is_shown_and_each_chart_as_a_picture(tab, browser, wait_until):
    shutil.rmtree(browser.saved, ignore_errors=True)  # of other tests
    tab.write("#search", "optimizer=adam units<3")
    tab.wait("document.getElementById('count').textContent.includes('pass')")
    tab.click("#save-table")
    lines = list(csv.DictReader(io.StringIO(saved(browser, "tiny.csv", wait_until).decode())))
    assert [int(line["sequence"]) for line in lines] == [n for n in range(1_000) if n % 3 == 0 and n % 64 < 3]
    trials = list(many(1_000))
    for line in lines:
        one = trials[int(line["sequence"])]
        assert (line["param.optimizer"], line["param.units"], line["status"]) == ("adam", str(one.parameters["units"]), one.status.value)
        assert float(line["param.lr"]) == one.parameters["lr"]
        assert line["metric.default"] == ("" if one.final is None else line["metric.default"])
        assert one.final is None or float(line["metric.default"]) == pytest.approx(one.final["default"], rel=1e-7)
    for key in CHARTS:
        tab.run(f"document.querySelector('#chart-{key} + .save').click()")
        assert saved(browser, f"tiny {key}.png", wait_until).startswith(b"\x89PNG")


def test_chosen_parameters_are_those_that_are_drawn(tab):
    tab.click("section[aria-labelledby='title-parameters'] summary")
    tab.click("#axes label:nth-child(2) input")
    tab.wait(READY)
    assert "optimizer" not in tab.run("document.getElementById('chart-slices').getAttribute('aria-label')")


def point_of(tab, key, colour):
    """Return the middle of what has a colour in a chart, in pixels of the window."""
    return tab.run(f"""(() => {{
        const canvas = document.querySelector("#chart-{key} canvas");
        const box = canvas.getBoundingClientRect();
        const {{ data, width }} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let [x, y, count] = [0, 0, 0];
        for (let at = 0; at < data.length; at += 4) {{
            if ({json.dumps(colour)}.every((part, index) => Math.abs(data[at + index] - part) < 12) && data[at + 3] > 150) {{
                x += (at / 4) % width; y += Math.floor(at / 4 / width); count += 1;
            }}
        }}
        return [box.x + x / count, box.y + y / count];
    }})()""")


def test_a_click_on_a_point_leads_to_its_row(tab):
    tab.write("#search", "#500")
    tab.wait("document.getElementById('count').textContent.startsWith('1 of')")
    tab.wait(READY)
    tab.middle("#chart-metric")
    tab.click_at(*point_of(tab, "metric", (59, 127, 180)))
    tab.wait("!document.getElementById('selected').hidden")
    assert text(tab, "#compare th a") == "#500"
    assert tab.run("document.activeElement.getAttribute('href')") == "#trial-500"


def test_a_link_to_a_trial_turns_to_its_page_of_the_table(tab):
    tab.click("#summary a[href='#trial-7']")
    assert tab.run("document.querySelector('#trial-7').className.includes('hit')") is True
    tab.run("document.querySelector('#summary .best a').click()")
    assert tab.run("document.querySelector('#table tr.hit').id") == tab.run("document.querySelector('#summary .best a').getAttribute('href').slice(1)")


def test_all_of_it_works_by_keyboard(tab):
    tab.run("document.body.focus()")
    tab.press("Tab")
    assert tab.run("document.activeElement.className") == "skip"
    seen = []
    for _ in range(110):
        tab.press("Tab")
        seen.append(tab.run("document.activeElement.id || document.activeElement.dataset?.key || document.activeElement.getAttribute('href') || document.activeElement.tagName"))
    for wanted in ("theme", "metric", "scale", "metric-mode", "smooth", "importance-mode", "save-table", "better", "top", "succeeded", "search", "clear", "curve-metric", "pair-x", "time-mode", "page-next", "page-size", "m:default", "#trial-0"):
        assert wanted in seen
    tab.run("document.querySelector('#table button[data-key=\"m:default\"]').focus()")
    tab.press("Enter")
    assert tab.run("document.activeElement.dataset.key") == "m:default"  # it stays there
    tab.run("document.querySelector('#table tbody input').focus()")
    tab.press(" ")
    assert tab.run("document.activeElement.checked") is True
    assert tab.run("document.getElementById('selected').hidden") is False


def test_dark_follows_the_system_or_the_readers_choice(tab):
    page_colour = "getComputedStyle(document.body).backgroundColor"
    light = tab.run(page_colour)
    tab.scheme("dark")
    assert tab.run(page_colour) != light
    tab.choose("#theme", "light")
    assert tab.run(page_colour) == light
    tab.scheme("light")
    tab.choose("#theme", "dark")
    assert tab.run(page_colour) != light
    tab.wait(READY)


@pytest.mark.parametrize("width", [400, 800, 1_400])
def test_page_fits_its_window_and_parallel_coordinates_give_way_to_slices(browser, tmp_path, thousand, width):
    with browser.tab(width) as tab:
        show(tab, tmp_path, thousand)
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert ("parameters" in drawn(tab)) is (width > 600)
        assert "slices" in drawn(tab)
        tab.size(700)
        tab.wait(READY)
        assert tab.run("document.documentElement.scrollWidth") <= 700
        assert tab.complaints == []


def test_long_names_fit_a_small_window_too(browser, tmp_path):
    long = [trial({f"{'p' * 90}{k}": index % (k + 2) for k in range(3)}, {"m" * 90: index, "default": index}, curve=[{"m" * 90: 1}]) for index in range(12)]
    with browser.tab(400) as tab:
        show(tab, tmp_path, page(experiment(tmp_path, long, name="e" * 90)))
        draw_all(tab)
        assert tab.run("document.documentElement.scrollWidth") <= 400
        assert tab.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1_400])
def test_axe_finds_no_fault(browser, tmp_path, thousand, axe, width, dark):
    with browser.tab(width, dark=dark) as tab:
        show(tab, tmp_path, thousand)
        tab.click("#trial-0 input")
        tab.click("#trial-1 input")
        tab.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        tab.write("#search", "adam")
        tab.wait("document.getElementById('count').textContent.includes('pass')")
        assert faults(tab, axe) == []


def faults(tab, axe):
    """Return what axe finds wrong with a page: the rule, and where."""
    tab.run(f"{axe}; 0")
    found = tab.run("axe.run().then((found) => found.violations)")
    return [(one["id"], node["html"][:200], node.get("failureSummary", "")[:200]) for one in found for node in one["nodes"][:3]]


@pytest.mark.parametrize("size", ["thousand", "large"])
def test_every_control_of_a_page_is_clicked(browser, tmp_path, request, size):
    with browser.tab() as tab:
        file = tmp_path / "report.html"
        file.write_bytes(request.getfixturevalue(size))
        tab.open(file.as_uri())  # as a reader has it: what is out of sight is not drawn yet
        tab.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for field in tab.run("[...document.querySelectorAll('select')].map((one) => one.id)"):
            for value in tab.run(f"[...document.getElementById('{field}').options].map((one) => one.value)"):
                tab.choose(f"#{field}", value)
        tab.click("#clear")
        tab.choose("#page-size", "20")
        assert tab.run("document.querySelectorAll('button.save').length") == len(CHARTS) + 1
        count = tab.run("document.querySelectorAll('button, main input[type=checkbox]').length")
        for index in range(count):
            tab.run(f"[...document.querySelectorAll('button, main input[type=checkbox]')][{index}]?.click()")
        tab.settle()
        tab.click("#clear")
        tab.choose("#metric", "default")
        draw_all(tab)
        assert drawn(tab) >= {"metric", "curves", "importance", "time"}
        assert tab.complaints == []
