"""Who waits idly is not waited for; who computes is."""

import threading
import time

import pytest

from amlc.tuners.custom import patience
from amlc.tuners.custom.patience import answered


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(patience, "_IDLE_S", 1.0)
    monkeypatch.setattr(patience, "_LITTLE_S", 0.02)


def test_an_answer_is_given():
    assert answered(lambda: 7) == 7


def test_an_error_is_raised_where_the_answer_was_asked_for():
    with pytest.raises(ZeroDivisionError):
        answered(lambda: 1 / 0)


def test_who_waits_idly_is_given_up_and_ends():
    ended = threading.Event()

    def wait():
        try:
            while True:
                time.sleep(0.05)
        finally:
            ended.set()

    assert answered(wait) is None
    assert ended.wait(5)


def test_who_computes_is_waited_for():
    def compute():
        deadline = time.process_time() + 1.5
        while time.process_time() < deadline:
            pass
        return "done"

    assert answered(compute) == "done"


def test_who_is_idle_for_a_moment_is_waited_for():
    assert answered(lambda: time.sleep(0.2)) is None
    assert answered(lambda: time.sleep(0.2) or 1) == 1
