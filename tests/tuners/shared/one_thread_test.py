"""Linear algebra stays on one thread as long as a model computes, and no longer."""

import sys

import pytest

from amlc.tuners.shared.one_thread import one_thread


def threads():
    import scipy.linalg  # noqa: F401  so that there is a library to ask
    from threadpoolctl import threadpool_info

    return [library["num_threads"] for library in threadpool_info()]


def test_there_is_one_thread_meanwhile_and_after_an_error():
    before = threads()
    with one_thread():
        assert set(threads()) <= {1}
    assert threads() == before
    with pytest.raises(ValueError, match="x"), one_thread():
        raise ValueError("x")
    assert threads() == before


@pytest.mark.parametrize("library", ["scipy.linalg", "threadpoolctl"])
def test_without_the_libraries_nothing_is_held(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with one_thread() as found:
        assert found is None
