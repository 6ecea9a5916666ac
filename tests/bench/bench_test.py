"""What of the benchmarks is no measuring: ratios, verdicts, the history, and what is said of what is missing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import dispatch, history, page, peer
from tests.bench.history import Machine, Run
from tests.bench.measure import CPU, WALL, Cost, Effort, FailedError, Unmeasured, command, compared, in_turns

HERE = Machine(architecture="x86_64", cores=2, processor="A", python="3.11", system="Linux")


def cost(wall_s=1.0, cpu_s=1.0, megabytes=0.0):
    return Cost(wall_s=wall_s, cpu_s=cpu_s, megabytes=megabytes)


def row(wall=2.0, cpu=1.5, what="compile", **keys):
    return compared(what, [(cost(wall, cpu), cost())], "writing", **keys)


def run(rows, machine=HERE):
    return Run(date="2026-01-02", revision="abc", machine=machine, rows=rows)


def test_the_ratio_is_the_median_of_the_pairs_and_not_that_of_the_medians() -> None:
    pairs = [(cost(2, 1), cost(1, 1)), (cost(30, 4), cost(10, 2)), (cost(40, 9), cost(10, 1))]
    found = compared("x", pairs, "y")
    assert found.times == {WALL: 3, CPU: 2}
    assert (found.cost.wall_s, found.floor.wall_s) == (30, 10)


def test_memory_is_the_most_of_all_rounds() -> None:
    pairs = [(cost(megabytes=size), cost()) for size in (30, 50, 40)]
    assert compared("x", pairs, "y").cost.megabytes == 50


def test_who_was_last_comes_first_in_the_next_round() -> None:
    order: list[str] = []

    def named(name):
        return lambda: order.append(name) or cost()

    pairs = in_turns(named("amlc"), named("floor"), 3)
    assert order == ["amlc", "floor", "floor", "amlc", "amlc", "floor"]
    assert len(pairs) == 3


@pytest.mark.parametrize(
    ("goal", "missed"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({WALL: 2, CPU: 1.5}, [], id="reached exactly"),
        pytest.param({WALL: 1.9, CPU: 1.5}, [WALL], id="wall"),
        pytest.param({"s of CPU": 1, "MB": 100}, ["s of CPU"], id="seconds"),
        pytest.param({"ms": 1_999}, ["ms"], id="milliseconds"),
        pytest.param({"calls": 1.1}, ["calls"], id="what else was measured"),
    ],
)
def test_a_goal_is_the_most_that_may_be_measured(goal, missed) -> None:
    found = row(goal=goal, others={"calls": 1.2})
    assert found.missed == missed
    verdict = page.line(found, {}).rsplit("|", 2)[1].strip()
    assert verdict == (f"**missed**: {missed[0]}" if missed else "met" if goal else "")


def test_a_rehearsal_has_a_part_of_the_trials() -> None:
    assert [Effort(rounds=1, share=100).of(count) for count in (1_000, 20)] == [10, 2]
    assert (Effort().of(1_000), Effort().long, Effort(rounds=1).long) == (1_000, 3, 1)


def test_a_line_of_the_history_reads_back() -> None:
    one = history.this_run([row(2.3456, 1.5), row(what="peer's", tool="Hydra"), Unmeasured(what="a", reason="b")])
    assert one.rows == {"compile": {WALL: 2.35, CPU: 1.5}}
    other = run({"é": {WALL: 1.0, CPU: 1.0}})
    assert history.read(history.as_line(one) + history.as_line(other)) == (one, other)
    assert history.as_line(one).count("\n") == 1


def test_there_is_no_history_yet(tmp_path) -> None:
    assert history.read_file(tmp_path / "none.jsonl") == ()


def test_each_row_is_compared_with_its_last_run_on_a_like_machine() -> None:
    old, new, foreign = ({WALL: ratio, CPU: ratio} for ratio in (1.0, 2.0, 3.0))
    runs = [run({"a": old, "b": old}), run({"a": new}), run({"a": foreign}, replace(HERE, cores=64))]
    assert history.before(runs, HERE) == {"a": new, "b": old}


@pytest.mark.parametrize(
    ("found", "slower"),
    [
        pytest.param(row(2.4, 1.75), [], id="20 %"),
        pytest.param(row(2.5, 1.75), [WALL], id="wall"),
        pytest.param(row(1.0, 1.9), [CPU], id="CPU"),
        pytest.param(row(9.0, 9.0, what="new"), [], id="a new row"),
        pytest.param(row(9.0, 9.0, tool="Hydra"), [], id="a peer's"),
        pytest.param(Unmeasured(what="compile", reason="no disk"), [], id="not measured"),
        pytest.param(
            compared("compile", [(cost(9e-5, 9e-5), cost(1e-5, 1e-5))], "writing"), [], id="too short for the clock"
        ),
    ],
)
def test_more_than_a_fifth_more_than_last_time_is_a_regression(found, slower) -> None:
    last = {"compile": {WALL: 2.0, CPU: 1.5}}
    assert history.regressions(found, last) == slower
    assert [unit for unit in (WALL, CPU) if f"**slower: {unit}**" in page.line(found, last)] == slower


def test_a_line_has_what_it_took_beside_its_floor_and_the_last_time() -> None:
    one = compared("a|b", [(cost(2, 0.5, 31.4), cost(0.01, 0.25))], "writing", others={"calls": 1.04}, goal={"MB": 100})
    assert page.line(one, {"a|b": {WALL: 210.0, CPU: 2.1}}) == (
        r"| a\|b | 2.00 s, CPU 500 ms, 31 MB; 1.04 calls | 10 ms, CPU 250 ms: writing | 200 wall, 2 CPU "
        "| 210 wall, 2.1 CPU | 100 MB | met |"
    )


def test_every_peer_that_is_not_installed_is_said(monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "PYTHON", dispatch.ROOT / "nowhere" / "python")
    found = list(dispatch.peers(2, Effort(share=1_000)))
    assert [one.tool for one in found] == [title.rstrip(",") for _, _, title, _ in dispatch.PEERS]
    assert {one.reason for one in found} == {"not installed: there is no nowhere/python"}
    assert all("not measured" in page.line(one, {}) for one in found)


def test_a_peer_that_lacks_its_package_is_said(monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(dispatch, "PEERS", (("hydra", "no-such-package", "Hydra", 2),))
    (found,) = dispatch.peers(2, Effort())
    assert "no-such-package" in found.reason
    assert found.reason.startswith("not installed: ")


def test_each_peer_can_be_run() -> None:
    assert {name for name, *_ in dispatch.PEERS} == peer.PEERS.keys()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["dispatch", "disptach"], "there is no disptach; there are start-up, compile", id="unknown"),
        pytest.param(["--rehearse", "--write"], "--write is of rows that are measured", id="a page of a rehearsal"),
    ],
)
def test_what_there_is_not_is_a_usage_error(arguments, said, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        bench.parse(arguments)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def measure(monkeypatch, tmp_path):
    """Return a function that measures groups of rows in full, one of which has these, as `make bench` does."""
    monkeypatch.setenv("PYTHONPATH", "")  # what it sets is undone
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    monkeypatch.setattr(bench, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(history, "FILE", tmp_path / "history.jsonl")

    def measure(*rows, names=(), groups=None):
        groups = groups or {"one": bench.Group("One", lambda effort: rows)}
        monkeypatch.setattr(bench, "GROUPS", groups)
        return bench.main([*names, "--write"])

    return measure


def test_a_run_is_written_and_the_next_one_compared_with_it(measure, tmp_path, capsys) -> None:
    assert measure(row(2.0)) == 0
    assert measure(row(3.0)) == 1
    assert measure(row(3.1)) == 0
    said = capsys.readouterr().out
    assert said.endswith((tmp_path / "page.md").read_text())
    assert "| 2 wall, 1.5 CPU |  | **slower: times the wall** |" in said
    runs = history.read_file(tmp_path / "history.jsonl")
    assert [one.rows["compile"][WALL] for one in runs] == [2.0, 3.0, 3.1]


def groups(*, one=2.0, two=2.0):
    """Return two groups of a row each, with these ratios; a ratio of None is never measured."""

    def rows(ratio, what):
        assert ratio is not None
        return [row(ratio, what=what)]

    return {
        "one": bench.Group("One", lambda effort: rows(one, "a")),
        "two": bench.Group("Two", lambda effort: rows(two, "b")),
    }


def test_a_group_that_is_measured_by_name_takes_its_own_place_in_the_page(measure, tmp_path, capsys) -> None:
    measure(groups=groups())
    measure(names=["one"], groups=groups(one=5.0, two=None))
    text = (tmp_path / "page.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## One", "## Two", "## Where the time goes"]
    assert "| 5 wall, 1.5 CPU | 2 wall, 1.5 CPU |" in text.partition("## Two")[0]
    assert "| 2 wall, 1.5 CPU |  |" in text.partition("## Two")[2]
    assert len(history.read_file(tmp_path / "history.jsonl")) == 3
    capsys.readouterr()
    measure(groups=groups())
    assert (tmp_path / "page.md").read_text() == capsys.readouterr().out


def test_what_was_measured_is_written_if_a_run_is_ended(measure, tmp_path) -> None:
    with pytest.raises(AssertionError):
        measure(groups=groups(two=None))
    assert "| 2 wall, 1.5 CPU |" in (tmp_path / "page.md").read_text()
    assert len(history.read_file(tmp_path / "history.jsonl")) == 1


def test_the_page_of_another_machine_is_not_gone_on_with(measure, monkeypatch, tmp_path) -> None:
    measure(groups=groups())
    monkeypatch.setattr(history, "this_machine", lambda: replace(HERE, cores=1_000))
    measure(names=["two"], groups=groups())
    text = (tmp_path / "page.md").read_text()
    assert "1000 cores" in text
    assert "## One" not in text


def test_a_group_that_fails_is_said_and_the_others_are_measured(measure, monkeypatch, capsys) -> None:
    def fails(effort):
        yield row()
        raise FailedError("amlc submit: no room")

    groups = {"one": bench.Group("One", fails), "two": bench.Group("Two", lambda effort: [row(what="later")])}
    monkeypatch.setattr(bench, "GROUPS", groups)
    assert bench.main([]) == 1
    said = capsys.readouterr().out
    assert "| One | amlc submit: no room |  |  |  |  | not measured |" in said
    assert "| later |" in said


def test_a_command_that_fails_says_its_last_word() -> None:
    with pytest.raises(FailedError, match=r"^sh -c .*: second$"):
        command("sh", "-c", "echo first >&2; echo second >&2; exit 3")


def test_a_command_that_takes_too_long_is_ended() -> None:
    with pytest.raises(FailedError, match=r"^sleep 1000: exit code -9$"):
        command("sleep", "1000", most_s=0.2)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what is orphaned does not count")
def test_what_a_command_leaves_behind_is_waited_for(tmp_path) -> None:
    found = command("sh", "-c", f"(while read line; do :; done; sleep 0.2; echo > {tmp_path}/end) &", text="1\n")
    assert (tmp_path / "end").exists()
    assert found.wall_s > 0
    assert found.cpu_s > 0
    assert found.megabytes > 0
