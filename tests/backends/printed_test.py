"""What `amlc logs` shows: all that was printed but the metrics, however the stream is cut into chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.backends.printed import LONGEST, MARKER, Printed, shown

METRIC = MARKER + b'{"type": "FINAL", "sequence": 0, "value": "1.5"}' + b"'"
CASES = [
    pytest.param(b"a\nb\n", b"a\nb\n", id="nothing of it"),
    pytest.param(METRIC + b"\n", b"", id="a metric alone"),
    pytest.param(b"a\n" + METRIC + b"\nb\n", b"a\nb\n", id="between two lines"),
    pytest.param(b"loss 0.5 " + METRIC + b"\nb\n", b"loss 0.5 \nb\n", id="what stands before it"),
    pytest.param(METRIC * 2 + b"\nb\n", b"b\n", id="two in a line"),
    pytest.param(b"50%\r" + METRIC + b"\n60%\r", b"50%\r60%\r", id="a progress bar"),
    pytest.param(METRIC + b"\r\nb\r\n", b"b\r\n", id="both characters at the end"),
    pytest.param(METRIC + b"\r\n\nb", b"\nb", id="an empty line behind it"),
    pytest.param(METRIC + b"\r" + METRIC + b"\nb", b"b", id="each with its own end"),
    pytest.param(b"a\n" + METRIC, b"a\n", id="without an end"),
    pytest.param(METRIC[:-1] + b"\nb\n", METRIC[:-1] + b"\nb\n", id="without its quote"),
    pytest.param(METRIC + b"x\n", METRIC + b"x\n", id="with more behind it"),
    pytest.param(MARKER + b"\n", MARKER + b"\n", id="the marker alone"),
    pytest.param(MARKER[:-1] + b"\n" + MARKER[-1:], MARKER[:-1] + b"\n'", id="a marker in two lines"),
    pytest.param(b"NNI NNISDK NNISDK_M", b"NNI NNISDK NNISDK_M", id="beginnings of it"),
    pytest.param(b"", b"", id="nothing"),
]


@pytest.mark.parametrize(("printed", "expected"), CASES)
def test_metrics_are_left_out_wherever_the_stream_is_cut(printed, expected):
    assert b"".join(shown([printed])) == expected
    for cut in range(len(printed) + 1):
        assert b"".join(shown([printed[:cut], printed[cut:]])) == expected
    assert b"".join(shown(printed[at : at + 1] for at in range(len(printed)))) == expected


PIECES = st.sampled_from([b"a", b"\n", b"\r", b"'", MARKER, MARKER[:4], METRIC, METRIC + b"\n"])


@given(st.lists(PIECES), st.data())
def test_any_two_ways_to_cut_a_stream_show_the_same(pieces, data):
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert b"".join(shown(parts)) == b"".join(shown([whole]))


def test_what_comes_at_once_is_shown_at_once():
    printed = Printed()
    assert printed.feed(b"password: ") == b"password: "
    assert printed.feed(b"ends with N") == b"ends with "


@pytest.mark.parametrize("front", [b"", MARKER])
def test_a_line_without_end_takes_no_memory(front):
    printed, size = Printed(), 0
    size += len(printed.feed(front))
    for _ in range(50):
        size += len(printed.feed(b"x" * 100_000))
        assert len(printed._held) <= LONGEST
    size += len(printed.feed(MARKER + b"y'\nb\n"))
    assert size + len(printed.close()) >= len(front) + 5_000_000
