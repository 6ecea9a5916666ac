"""A call to the service that is spoiled: done again, the answer is right. `make faults` does more of it."""

import pytest

from tests.faults.service import strike


@pytest.mark.usefixtures("_can_emulate")
@pytest.mark.parametrize(
    ("command", "kind", "at"),
    [("submit", "reset after", 9), ("run, TPE", "500 after", 12), ("collect", "429", 2)],
)
def test_a_spoiled_call_loses_nothing_and_doubles_nothing(tmp_path, command, kind, at):
    found = strike(tmp_path / "strike", command, kind, at)
    assert found.struck
    assert found.wrong == []
