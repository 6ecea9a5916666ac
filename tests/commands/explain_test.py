"""Every code has something to say, offline."""

import pytest

from amlc.commands.explain import explain, pages
from amlc.errors import UsageError


@pytest.mark.parametrize("code", ["E-alias", "e-ALIAS", "[E-alias]", " E-alias "])
def test_a_code_is_found_however_it_is_copied(code):
    page = explain(code)
    assert page.code == "E-alias"
    assert "**To mend it:**" in page.text
    assert "## " not in page.text


@pytest.mark.parametrize(
    ("code", "near"), [("E-aliaz", "E-alias"), ("W-alias", "E-alias"), ("E-unknwon-key", "E-unknown-key")]
)
def test_an_unknown_code_names_the_nearest(code, near):
    with pytest.raises(UsageError, match=f"Did you mean '{near}'"):
        explain(code)
    with pytest.raises(UsageError, match="amlc explain lists all"):
        explain("0" * 100)


def test_no_page_is_without_its_three_parts():
    assert len(pages()) > 60
    for page in pages().values():
        assert page.title, page.code
        assert "```text\n" in page.text, page.code
        assert "**To mend it:**" in page.text, page.code
