"""Which trials the words of a command name."""

import pytest

from amlc.collect.rows import Row
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.model import Trial


class Results:
    """The rows of trials with these ids."""

    def __init__(self, *ids):
        self.ids = ids

    def rows(self):
        return [Row(Trial(one, number, {})) for number, one in enumerate(self.ids)]


IDS = ("0123456789abcdef", "0123ffffffffffff", "9999999999999999", "00000004aaaaaaaa")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("0", 0), ("#1", 1), ("03", 3), ("0123456789a", 0), ("0123456789ABCDEF", 0), ("0123F", 1), ("9999999999999999", 2), ("0123ffffffffffff", 1), ("00000004a", 3),
    ],
)  # fmt: skip
def test_a_trial_is_its_number_or_the_start_of_its_id(name, number):
    assert [row.trial.sequence for row in chosen(Results(*IDS), [name])] == [number]


@pytest.mark.parametrize("name", ["4", "999", "9" * 15, "0123456789abcdef0", "", "#", "abc", "-1", "²", "fff"])
def test_a_name_that_fits_no_trial_is_said(name):
    with pytest.raises(UsageError, match=f"^{name or 'an empty name'}: no trial has this number or id"):
        chosen(Results(*IDS), [name])


def test_a_name_that_fits_two_trials_is_said_with_both():
    with pytest.raises(UsageError, match=r"0123a?: 2 trials have .* \(0123a000, 0123afff\)"):
        chosen(Results("0123a000", "0123afff"), ["0123a"])


def test_digits_alone_are_a_number_unless_they_are_a_whole_id():
    results = Results("1000000000000000", "2222222222222222")
    with pytest.raises(UsageError, match="1000: no trial"):
        chosen(results, ["1000"])
    assert [row.trial.sequence for row in chosen(results, ["2222222222222222"])] == [1]


def test_all_are_found_in_the_order_of_their_names():
    assert [row.trial.sequence for row in chosen(Results(*IDS), ["2", "0", "2"])] == [2, 0, 2]
    assert chosen(Results(*IDS), []) == []


@pytest.mark.parametrize("digits", ["12345678", "0012"])
def test_a_number_is_never_the_start_of_an_id(digits):
    rows = [Row(Trial("1234567890123456", 0, {})), Row(Trial("0012345678901234", 1, {})), Row(Trial("f" * 16, 12, {}))]

    class Three:
        def rows(self):
            return iter(rows)

    found = {"12345678": [], "0012": [rows[2]]}[digits]
    if found:
        assert chosen(Three(), [digits]) == found
    else:
        with pytest.raises(UsageError, match="no trial has this number"):
            chosen(Three(), [digits])
    assert chosen(Three(), ["1234567890123456"]) == [rows[0]]
