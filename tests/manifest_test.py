"""The manifest reads back, line by line, as it was written."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amlc.errors import UsageError
from amlc.manifest import Entry, Header, ManifestError, entry_line, head_lines, read_manifest, tail_lines, with_drawn
from amlc.model import Trial

HEADER = Header(
    experiment="exp", backend="local", revision="a" * 64, concurrency=2, retries=1, max_seconds=None,
    optimize_mode="minimize", gpus_per_trial=None, trials_per_gpu=1, target={"local": {}},
)  # fmt: skip
NASTY = ["\u2028", "\u2029", "\x85", "\r", "\n", "],", '"jobs": [', "\ufeff", "é🙂", "\x1c", "\0", "", " ", '"\\']


def entry(number: int, *trials: Trial) -> Entry:
    return Entry(
        f"{number:016x}", f"exp-{number}", f"jobs/{number:05d}.yml", "b" * 64, trials or (Trial("t", number, {}),)
    )


def write(folder: Path, header: Header, entries: list[Entry]) -> None:
    lines = [entry_line(one, first=index == 0) for index, one in enumerate(entries)]
    trials = sum(len(one.trials) for one in entries)
    text = head_lines(header) + "".join(lines) + tail_lines(jobs=len(entries), trials=trials)
    (folder / "manifest.json").write_bytes(text.encode())


def check(folder: Path, header: Header, entries: list[Entry]) -> None:
    write(folder, header, entries)
    found = read_manifest(folder)
    assert found.header == header
    assert list(found.entries()) == entries
    assert (found.jobs, found.trials) == (len(entries), sum(len(one.trials) for one in entries))
    whole = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [one["id"] for one in whole["jobs"]] == [one.id for one in entries]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_jobs_read_back_in_order(tmp_path, count) -> None:
    check(tmp_path, HEADER, [entry(number) for number in range(count)])


def test_what_a_sweep_drew_gets_into_its_line_and_the_counts(tmp_path) -> None:
    sweep = replace(entry(1), trials=(), sweep=True, draws=range(1, 4))
    check(tmp_path, HEADER, [entry(0), sweep, entry(2)])
    trials = (Trial("a", 1, {"x": "],\n"}), Trial("b", 2, {}))
    manifest = read_manifest(tmp_path)
    assert with_drawn(manifest, "no such sweep", trials) == manifest
    for some in (trials[:1], trials, trials):
        found = with_drawn(manifest, sweep.id, some)
        assert found == read_manifest(tmp_path)
        assert list(found.entries()) == [entry(0), replace(sweep, trials=some), entry(2)]
        assert (found.jobs, found.trials) == (3, 2 + len(some))
    assert [one.id for one in list(found.entries())[1].spread()] == [sweep.id, "a", "b"]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_any_text_reads_back(tmp_path, text) -> None:
    header = replace(HEADER, experiment=f"e{text}", optimize_mode=text)
    check(
        tmp_path,
        header,
        [entry(0, Trial("a", 0, {text: [text, {"_name": text}]}), Trial("b", 1, {"x": 1e-05})), entry(1)],
    )


def test_every_field_of_the_header_reads_back(tmp_path) -> None:
    check(tmp_path, replace(HEADER, max_seconds=90, gpus_per_trial=0, target={"local": {"gpu_indices": [0, 3]}}), [])


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)


@settings(
    max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4), name=st.text())
def test_any_parameters_read_back(tmp_path, rows, name) -> None:
    entries = [entry(number, Trial("t", number, row)) for number, row in enumerate(rows)]
    check(tmp_path, replace(HEADER, experiment=name), entries)


def test_jobs_are_read_as_they_are_asked_for(tmp_path) -> None:
    write(tmp_path, HEADER, [entry(number) for number in range(10)])
    with (tmp_path / "manifest.json").open("a") as stream:
        stream.write("what comes behind is never read by entries")
    text = (tmp_path / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.removesuffix("what comes behind is never read by entries"))
    assert [one.id for one in islice(read_manifest(tmp_path).entries(), 3)] == [f"{number:016x}" for number in range(3)]


def test_no_manifest_is_a_clear_error(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"manifest\.json: there is no such file\. Compile the experiment first"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: "", id="empty"),
        pytest.param(lambda text: text[: len(text) // 2], id="cut short"),
        pytest.param(lambda text: "[]", id="another file"),
        pytest.param(lambda text: text.replace('"format": 4', '"format": 3'), id="another version"),
        pytest.param(lambda text: text.replace('"retries"', '"tries"'), id="an unknown key"),
        pytest.param(lambda text: text.replace('"jobs": [', '"nothing": ['), id="no jobs"),
        pytest.param(lambda text: text.encode() + b"\xff", id="not UTF-8"),
    ],
)
def test_a_manifest_that_amlc_did_not_write_is_a_clear_error(tmp_path, change) -> None:
    write(tmp_path, HEADER, [entry(0)])
    path = tmp_path / "manifest.json"
    changed = change(path.read_text())
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises(ManifestError, match=r"manifest\.json: .*[Cc]ompile again"):
        read_manifest(tmp_path)
