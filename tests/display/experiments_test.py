"""How the experiments of a folder are printed."""

import io
import json

from amlc.commands.list_ import Listed
from amlc.console import Console
from amlc.display.experiments import show, show_json
from amlc.folders import Folders


def printed(function, *listed, folders=()):
    out, err = io.StringIO(), io.StringIO()
    function(iter(listed), Console(out, err), *folders)
    return out.getvalue(), err.getvalue()


def test_a_line_for_each():
    lost, broken = Listed("lost", 2), Listed("broken", 0, problem="x: not a manifest.")
    out, _ = printed(show, lost, broken, folders=[Folders()])
    assert out == "lost: not compiled; results are on record, 2 jobs at work\nbroken: x: not a manifest.\n"


def test_none_is_said():
    assert printed(show, folders=[Folders()]) == ("", "build/ and .amlc/: no experiments yet.\n")


def test_as_json():
    out, _ = printed(show_json, Listed("broken", 1, problem="x"))
    assert json.loads(out) == [{"experiment": "broken", "working": 1, "problem": "x"}]
