"""Why trials failed is counted, however many they are."""

import pytest

from amlc.attempts import Attempt
from amlc.collect.causes import Cause, Causes
from amlc.collect.rows import Row
from amlc.model import Observation, Status, Trial


def row(number, error, status=Status.FAILED):
    trial = Trial(f"{number:016x}", number, {})
    latest = Observation(job="j", status=status, error=error)
    attempt = Attempt(
        id="j", number=1, trials=(trial,), revision="0" * 64, backend="local", losses=0, latest=latest
    )
    return Row(trial, attempt, (), status)


def counted(*rows):
    causes = Causes()
    for one in rows:
        causes.count(one)
    return causes


def test_the_most_frequent_reason_comes_first_with_its_first_trials():
    causes = counted(row(0, "rare"), *(row(number, "often") for number in range(1, 8)))
    assert causes.found == (Cause("often", 7, (1, 2, 3, 4, 5)), Cause("rare", 1, (0,)))
    assert list(causes.lines()) == ["7 failed: often (trials 1, 2, 3, 4, 5, …)", "1 failed: rare (trial 0)"]


def test_a_reason_is_one_line_and_may_be_unknown():
    causes = counted(row(0, "two\n  lines"), row(1, None, Status.UNFINISHED))
    assert [cause.why for cause in causes.found] == ["two lines", "no reason is known"]


@pytest.mark.parametrize("status", [one for one in Status if one not in (Status.FAILED, Status.UNFINISHED)])
def test_what_did_not_fail_has_no_cause(status):
    assert counted(row(0, "out of memory", status)).found == ()


def test_reasons_that_are_not_shown_are_counted():
    causes = counted(*(row(number, f"reason {number}") for number in range(13)))
    assert len(causes.found) == 10
    assert causes.rest == "… and for 3 more reasons: amlc collect has them in its column 'error'"
    assert list(causes.lines())[-1] == causes.rest


def test_beyond_a_thousand_reasons_all_new_ones_are_one():
    causes = counted(*(row(number, f"reason {number}") for number in range(1_005)))
    assert causes.found[0].why == "other reasons"
    assert causes.found[0].count == 5
