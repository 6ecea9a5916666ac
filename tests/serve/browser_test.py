"""A served page in a real Chromium: it is up to date, and the reader's place stays where it was."""

from contextlib import contextmanager

import pytest

from amlc.ledger import open_ledger
from amlc.model import Status
from amlc.serve import server as serving
from tests.report.browser_test import axe, draw_all, faults, many, text  # noqa: F401 - a fixture
from tests.report.report_test import events, experiment, metrics
from tests.serve.server_test import served


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Look often, and draw anew at once."""
    monkeypatch.setattr(serving, "_LOOK_S", 0.05)
    monkeypatch.setattr(serving, "_LOG_S", 0.05)
    monkeypatch.setattr("amlc.serve.live._REST", 0.0)


def finish(folders, trials, numbers):
    """Let some trials that run come to a good end."""
    entries = list(folders.manifest(None).entries())
    with open_ledger(folders.ledger("tiny")) as ledger:
        for number in numbers:
            one = trials[number]
            one.status, one.final, one.error = Status.SUCCEEDED, {"default": 0.999, "loss": 0.001}, None
            ledger.append(list(events(entries[number], one))[1:])
            rows = metrics(entries[number], one)
            ledger._connection.executemany(
                "INSERT INTO metrics (job, trial, kind, sequence, at, value) VALUES (?, ?, ?, ?, ?, ?)",
                [row for row in rows if row[2] == "final"],
            )


@contextmanager
def ended(project):
    """Let the trial that waits for it come to its end, also where a test fails."""
    try:
        yield
    finally:
        (project.root / "go").touch()


def running(count, most):
    trials = list(many(count))
    for one in trials[-most:]:
        one.status, one.final, one.error = Status.RUNNING, None, None
    return trials


@pytest.mark.parametrize("count", [200, 10_000])
def test_a_page_is_up_to_date_and_the_readers_place_stays(browser, tmp_path, count):
    trials = running(count, 20)
    folders = experiment(tmp_path, trials)
    with served(folders) as server, browser.tab() as tab:
        tab.open(f"{server.address}tiny/")
        tab.write("#search", "status:succeeded")
        tab.wait("document.getElementById('count').textContent.includes('pass')")
        tab.choose("#page-size", "20")
        tab.click("#table button[data-key='m:default']")
        tab.click("#table button[data-key='m:default']")
        tab.click("#page-next")
        tab.click("#table tbody tr input")
        selected = text(tab, "#compare th a")
        tab.run("document.getElementById('pair-mode').focus()")
        tab.choose("#pair-mode", "rank")
        tab.click("#trials summary")
        tab.run("document.getElementById('page-next').focus()")
        tab.run("window.scrollTo(0, document.getElementById('trials').offsetTop)")
        before = tab.run("[window.scrollY, document.getElementById('search').value, document.getElementById('position').textContent]")
        verdict = text(tab, ".verdict")
        finish(folders, trials, [count - 1, count - 3])
        tab.wait(f"document.querySelector('.verdict').textContent !== {verdict!r}")
        tab.wait("document.getElementById('count').textContent.includes('pass')")
        scroll, search, position = tab.run("[window.scrollY, document.getElementById('search').value, document.getElementById('position').textContent]")
        assert abs(scroll - before[0]) < 40
        assert (search, position.split(" of ")[0]) == (before[1], before[2].split(" of ")[0])
        assert text(tab, "#compare th a") == selected
        assert tab.run("document.activeElement.id") == "page-next"
        assert tab.run("document.getElementById('pair-mode').value") == "rank"
        assert tab.run("document.querySelector('#trials details').open") is True
        tab.click("#page-first")
        for number in (count - 1, count - 3):  # the best now; each came by itself
            tab.wait(f"document.getElementById('trial-{number}') !== null")
        draw_all(tab)
        assert tab.complaints == []
        assert all(address.startswith((server.address, "blob:")) for address in tab.requests)


def test_all_experiments_are_listed_and_a_log_is_followed(browser, project):
    project.write('echo hello; echo weights > "$NNI_OUTPUT_DIR/weights"; while [ ! -e "$PROBE/go" ]; do sleep 0.05; done; echo good bye', values=[1]).compile()
    with served(project.folders) as server, browser.tab() as tab:
        tab.open(server.address)
        assert "0 of 1 trial done" in text(tab, "#list")
        with project.start("submit") as submitting, ended(project):
            tab.wait("document.getElementById('list').textContent.includes('running')")
            tab.click("#list a")
            tab.wait("document.querySelector('#table tbody input') !== null")
            tab.click("#table tbody input")
            address = tab.wait("document.querySelector('#compare a[target]')?.href")
            with browser.tab() as log:
                log.open(address)
                log.wait("document.getElementById('log').textContent.includes('hello')")
                assert "followed" in text(log, "#state")
                (project.root / "go").touch()
                log.wait("document.getElementById('log').textContent.includes('good bye')")
                log.wait("document.getElementById('state').textContent === 'The job has ended.'")
                assert log.complaints == []
                submitting.communicate(timeout=60)
                log.run("document.querySelector('nav a[href*=outputs]').click()")
                log.wait("document.querySelector('h2')?.textContent === 'What it left'")
                assert text(log, ".plain-table a") == "nnioutput/weights"
                saved = log.run("fetch(document.querySelector('.plain-table a').href).then((answer) => answer.text())")
                assert saved == "weights\n"
                assert log.complaints == []
            assert tab.run("document.querySelectorAll('#compare a[target]')[1].href") == address.replace("/log/", "/outputs/")
        tab.wait("document.querySelector('.verdict').textContent.startsWith('1 of 1')")
        assert tab.complaints == []


def test_a_change_while_there_was_no_connection_is_shown_when_there_is_one(browser, tmp_path):
    trials = running(20, 2)
    folders = experiment(tmp_path, trials)
    with served(folders) as server, browser.tab() as tab:
        tab.call("Network.setBlockedURLs", urls=["*/events"])
        tab.open(f"{server.address}tiny/")
        before = text(tab, ".verdict")
        finish(folders, trials, [18, 19])
        assert text(tab, ".verdict") == before
        tab.call("Network.setBlockedURLs", urls=[])
        tab.wait(f"document.querySelector('.verdict').textContent !== {before!r}")
        assert text(tab, "#said") == ""


def test_nothing_is_made_anew_between_a_press_and_its_release(browser, tmp_path):
    trials = running(20, 2)
    folders = experiment(tmp_path, trials)
    with served(folders) as server, browser.tab() as tab:
        tab.open(f"{server.address}tiny/")
        before = text(tab, ".verdict")
        x, y = tab.middle("#table tbody input")
        tab.mouse("mousePressed", x, y)
        tab.run("window.asked = 0; const ask = window.fetch; window.fetch = (...all) => { window.asked += 1; return ask(...all); }; 0")
        finish(folders, trials, [18, 19])
        tab.wait("window.asked > 0")
        tab.settle()
        assert text(tab, ".verdict") == before
        tab.mouse("mouseReleased", x, y)
        tab.wait(f"document.querySelector('.verdict').textContent !== {before!r}")
        assert tab.run("document.querySelectorAll('#table tbody input:checked').length") == 1


def test_a_server_that_is_gone_is_said(browser, tmp_path):
    with browser.tab() as tab:
        with served(experiment(tmp_path, list(many(20)))) as server:
            tab.open(f"{server.address}tiny/")
            tab.wait("document.getElementById('said').textContent === ''")
        tab.wait("document.getElementById('said').textContent.includes('amlc serve is gone')")


def test_axe_finds_no_fault_with_any_page_and_each_fits(browser, tmp_path, axe):  # noqa: F811 - the fixture
    name = "n" * 150
    folders = experiment(tmp_path, list(many(50)), name=name)
    kept = folders.runs(name) / next(folders.manifest(None).entries()).name / "outputs"
    kept.mkdir(parents=True)
    (kept / "a file").write_bytes(b"1" * 12_345)
    with served(folders) as server, browser.tab(400) as tab:
        for path in ("", "tiny/", "tiny/log/0/", "tiny/outputs/0/"):
            tab.open(server.address + path)
            assert (path, faults(tab, axe)) == (path, [])
            assert (path, tab.run("document.documentElement.scrollWidth")) == (path, 400)
            if not path:
                assert tab.run("[...document.querySelectorAll('#list rect')].map((part) => part.className.baseVal)") == ["s-succeeded", "s-failed"]
