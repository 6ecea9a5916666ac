"""The code of a row and that row again, as a user asks for them."""

import json

import pytest

from amlc.cli import reproducing
from amlc.errors import UsageError


def test_the_code_of_a_row_is_shown_compared_and_written(done, cli, call, capfd):
    _, out, _ = cli("code", "1", code=0)
    assert list(json.loads(out)["files"]) == ["trial.sh"]
    assert cli("code", "1", "--diff", code=0)[1] == ""
    done.write("# later").compile()
    assert "+# later" in cli("code", "1", "--diff", code=0)[1]
    cli("code", "1", "--to", "then", code=0)
    assert "sorry" in (done.root / "then" / "trial.sh").read_text()
    with pytest.raises(UsageError, match="then is there already"):
        call(reproducing.code, "1", "--to", "then")


def test_a_row_again_is_a_line_for_each_metric_and_its_exit_code_says_whether_it_agrees(done, cli):
    _, out, _ = cli("reproduce", "1", code=0)
    lines = out.splitlines()
    assert lines[0].startswith("#1 at revision ")
    assert lines[0].endswith(": succeeded then, succeeded again")
    assert lines[1].split() == ["default", "1.5", "1.5", "same"]
    assert lines[2].startswith("  all of it is in .amlc/probe/again/1-1")
    said = cli("reproduce", "2", code=0)[2]  # it failed then, too
    assert "Traceback" not in said
    assert "amlc status" not in said, "of an experiment that is not among the compiled ones"


def test_gc_says_what_it_removed(done, cli):
    assert cli("gc", code=0)[2] == "removed 0 files of code with 0 bytes, 0 reproductions\n"
