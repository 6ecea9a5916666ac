"""Progress in a notebook."""

import sys
from types import SimpleNamespace

from amlc.api.notebook import in_notebook, line, progress
from amlc.drive import Progress


def test_elsewhere_only_who_asked_is_told():
    seen = []
    with progress("probe", most=3, watch=seen.append) as tell:
        tell(Progress())
    assert len(seen) == 1
    with progress("probe", most=3, watch=None) as tell:
        tell(Progress())


def test_a_line_says_how_far_it_is_and_what_is_wrong():
    now = Progress()
    now.before, now.ended, now.failed, now.running = 1, 2, 1, 4
    assert (
        line("a<b", 10, now)
        == '<progress value="3" max="10"></progress> a&lt;b: 3 of 10 trials done, 4 running, 1 failed'
    )
    now.outage = "down & out"
    assert line("x", None, now) == "x: 3 trials done, 4 running, 1 failed<br>down &amp; out"


def test_a_notebook_is_known_by_its_kernel(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    for shell, expected in ((None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert in_notebook() is expected
