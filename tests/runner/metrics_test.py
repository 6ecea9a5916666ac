"""Which bytes of a trial's stdout are metrics, and which metrics those are; the rule itself is in runner_test.py too."""

import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.runner.amlc_runner_lib.job import Trial
from amlc.runner.amlc_runner_lib import metric_log
from amlc.runner.amlc_runner_lib.metric_log import Lines, MetricLog
from amlc.runner.amlc_runner_lib.metrics import decode_metric
from tests.runner.harness import metric_line


def payloads(*pieces):
    lines = Lines()
    return [payload for piece in pieces for payload in lines.feed(piece)] + lines.close()


PAYLOADS = {
    "one": (b"NNISDK_MEb'x'\n", [b"x"]),
    "after something": (b"10%|# |NNISDK_MEb'x'\n", [b"x"]),
    "without an end": (b"NNISDK_MEb'x'", [b"x"]),
    "carriage returns": (b"NNISDK_MEb'x'\rNNISDK_MEb'y'\r\n", [b"x", b"y"]),
    "an apostrophe in it": (b"NNISDK_MEb'it's'\n", [b"it's"]),
    "two in a line": (b"NNISDK_MEb'x'NNISDK_MEb'y'\n", [b"x", b"y"]),
    "one inside another": (b"NNISDK_MEb'xNNISDK_MEb'y''\n", [b"x", b"y'"]),
    "something after it": (b"NNISDK_MEb'x' y\n", []),
    "nothing in it": (b"NNISDK_MEb''\n", [b""]),
    "only the marker": (b"NNISDK_MEb'\n", []),
    "none": (b"a\nb\n", []),
}


@pytest.mark.parametrize(("printed", "expected"), PAYLOADS.values(), ids=PAYLOADS)
def test_payloads_of_lines(printed, expected):
    assert payloads(printed) == expected


@given(st.lists(st.sampled_from([b"NNISDK_MEb'", b"'", b"\n", b"\r", b"x", b"NNISDK"])), st.data())
def test_payloads_do_not_depend_on_where_the_pieces_end(parts, data):
    printed = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(printed)), max_size=4)))
    pieces = [printed[start:end] for start, end in zip([0, *cuts], [*cuts, len(printed)], strict=True)]
    assert payloads(*pieces) == payloads(printed)


def test_line_without_an_end_is_kept_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(metric_log, "KEPT_OF_A_LINE", 100)
    assert payloads(*[b"y" * 30] * 20, b"NNISDK_MEb'x'\n") == [b"x"]
    assert payloads(b"NNISDK_MEb'", *[b"y" * 30] * 20, b"'\n")[0].startswith(b"y" * 30)


def metric(**more):
    return json.dumps({"type": "FINAL", "sequence": 0, "value": "1", **more}).encode()


@pytest.mark.parametrize("value", [1, -0.5, "text", None, True, [1, [2]], {"default": 1, "x": {}}, 10**4299], ids=str)
def test_value_may_be_any_json(value):
    assert decode_metric(metric(value=json.dumps(value))) == ("final", 0, value)


def test_value_need_not_be_in_quotes_twice():
    assert decode_metric(metric(value={"default": 2})) == ("final", 0, {"default": 2})


def test_intermediate_metric_has_its_sequence():
    assert decode_metric(metric(type="PERIODICAL", sequence=2**63 - 1)) == ("intermediate", 2**63 - 1, 1)


def test_request_for_parameters_is_no_metric():
    assert decode_metric(b'{"type": "REQUEST_PARAMETER", "sequence": 0}') is None


BAD = {
    "no object": (b"[1]", "not an object"),
    "no value": (b'{"type": "FINAL", "sequence": 0}', "not a metric"),
    "another type": (metric(type="OTHER"), "not a metric"),
    "a type that is no text": (metric(type=["FINAL"]), "not a metric"),
    "a sequence that is too great": (metric(sequence=2**63), "not a metric"),
    "a sequence below zero": (metric(sequence=-1), "not a metric"),
    "a boolean sequence": (metric(sequence=True), "not a metric"),
    "too deep": (metric(value="[" * 101 + "]" * 101), "too deep"),
    "a number too long": (metric(value="1" * 4301), "a number too long"),
    "too long": (b" " * 1000000, "too long"),
    "no UTF-8": (b"\xff", "codec can't decode"),
}


@pytest.mark.parametrize(("payload", "message"), BAD.values(), ids=BAD)
def test_bad_metric_is_a_value_error(payload, message):
    with pytest.raises(ValueError, match=message):
        decode_metric(payload)


@pytest.mark.parametrize("failing", [{1}, {1, 2}, {2}, {3}, {2, 3}])
def test_what_cannot_be_written_for_a_while_is_written_later_and_in_order(tmp_path, monkeypatch, failing):
    monkeypatch.chdir(tmp_path)
    trial = Trial("a", 0, {}, 0)
    path = tmp_path / "outputs" / "amlc" / "a" / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    told = []
    log = MetricLog(trial, lambda _, found, at: told.append(found))
    whole, calls = metric_log._write_all, []

    def write(fd, data):
        calls.append(data)
        if len(calls) in failing:
            os.write(fd, data[:5])
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(fd, data)

    monkeypatch.setattr(metric_log, "_write_all", write)
    log.feed(f"{metric_line(1)}\n{metric_line(2)}\n{metric_line(3, kind='FINAL')}".encode())
    log.close()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["value"] for record in records] == [found[2] for found in told] == [1, 2, 3]
    assert trial.counts == {"intermediate": 2, "final": 1}
    assert trial.loss is None


def test_of_what_cannot_be_written_so_much_waits_and_no_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trial = Trial("a", 0, {}, 0)
    (tmp_path / "outputs" / "amlc" / "a").mkdir(parents=True)
    log = MetricLog(trial, lambda *given: pytest.fail("it was not recorded"))

    def write(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(metric_log, "_write_all", write)
    for number in range(metric_log.MOST_WAITING):
        log.feed(f"{metric_line(number)}\n".encode())
    assert trial.loss is None
    log.feed(f"{metric_line(0)}\n".encode())
    assert "No space left on device" in trial.loss
    assert trial.counts == {"intermediate": 0, "final": 0}


def test_metric_is_told_once_it_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trial = Trial("a", 0, {}, 0)
    path = tmp_path / "outputs" / "amlc" / "a" / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    told = []
    log = MetricLog(trial, lambda *given: told.append((*given, len(path.read_text().splitlines()))))
    log.feed(f"{metric_line(1)}\n{metric_line(2, kind='FINAL')}".encode())
    log.close()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(who, found, lines) for who, found, _, lines in told] == [
        (trial, ("intermediate", 0, 1), 1),
        (trial, ("final", 0, 2), 2),
    ]
    assert [now for _, _, now, _ in told] == [record["at"] for record in records]
    assert trial.counts == {"intermediate": 1, "final": 1}
    assert trial.loss is None
