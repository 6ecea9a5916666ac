"""Data on stdout, all else on stderr, and what quiet leaves out."""

import io

import pytest

from amlc.console import Console


@pytest.mark.parametrize(
    ("quiet", "err"), [(False, "a note\nwarning: a warning\nit matters\n"), (True, "it matters\n")]
)
def test_quietly_only_data_and_what_matters_is_said(quiet, err):
    console = Console(io.StringIO(), io.StringIO(), quiet)
    console.write("data")
    console.note("a note")
    console.warn("a warning")
    console.insist("it matters")
    assert (console.out.getvalue(), console.err.getvalue()) == ("data\n", err)


def test_tables_and_pages_go_where_the_text_goes():
    raw = io.BytesIO()
    assert Console(io.TextIOWrapper(raw), io.StringIO()).binary is raw
