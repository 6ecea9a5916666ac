"""Whether a class of the user's own is there, told by its source; nothing of it runs."""

import pytest

from amlc.class_source import missing
from amlc.model import Algorithm

EXPLODES = "raise SystemExit('it was run')\n"


def said(tmp_path, name, *, within=None, **files):
    for path, text in files.items():
        place = tmp_path / path.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_suffix(".py").write_text(text)
    found = missing(Algorithm(class_name=name, code_directory=tmp_path), within=within)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    "text",
    [
        "class T: pass", "def T(): pass", "T = make()", "from x import T", "from x import y as T", "import T",
        "if a:\n    class T: pass", "try:\n    from a import T\nexcept ImportError:\n    T = None", "(a, T) = 1, 2", "T: type = int",
        "def f():\n    global T\n    T = 1", "from x import *", "def __getattr__(name): ...", "globals()['T'] = 1",
        "import sys\nsetattr(sys.modules[__name__], 'T', 1)", "exec('class T: pass')", "not Python (",
    ],
)  # fmt: skip
def test_what_is_there_or_may_be_is_not_missing(tmp_path, text):
    assert said(tmp_path, "mine.T", mine=EXPLODES + text) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.Tuner", "'mine' has no class 'Tuner'. Did you mean 'MyTuner'?"),
        ("mine.Zzz", "'mine' has no class 'Zzz'. It has MyTuner, Other."),
        ("mind.MyTuner", "codeDirectory has no module 'mind'. Did you mean 'mine'?"),
        ("zzz.MyTuner", "codeDirectory has no module 'zzz'. Name the file without '.py', and the class in it."),
        ("parts.tuner.MyTune", "'parts.tuner' has no class 'MyTune'. Did you mean 'MyTuner'?"),
        ("parts.other.MyTuner", "codeDirectory has no module 'parts.other'. Name the file without '.py', and the class in it."),
        ("mine.py.MyTuner", "codeDirectory has no module 'mine.py'. Name the file without '.py', and the class in it."),
        ("empty.T", "'empty' has no class 'T'. It has none."),
    ],
)
def test_what_is_not_there_is_said(tmp_path, name, text):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text(EXPLODES)
    files = {"mine": f"{EXPLODES}class MyTuner: pass\nclass Other: pass\n", "empty": "", "parts__tuner": "class MyTuner: pass"}
    assert said(tmp_path, name, **files) == text


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("json.JSONDecoder", True),  # what is installed goes first, as in NNI
        ("json.Nothing", False),
        ("sys.Nothing", True),  # without a source
        ("os.path.Nothing", True),  # a module that says itself what its parts are
        ("Tuner", True),  # said elsewhere
    ],
)
def test_what_is_installed_counts(tmp_path, name, there):
    assert (said(tmp_path, name) is None) == there


def test_a_package_that_says_where_its_parts_are_is_believed(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("__path__.append('/elsewhere')\n")
    assert said(tmp_path, "parts.tuner.T") is None


def test_a_folder_without_init_is_a_package_too(tmp_path):
    assert said(tmp_path, "parts.tuner.T", parts__tuner="class T: pass") is None
    assert said(tmp_path, "parts.tuner.U", parts__tuner="class T: pass") == "'parts.tuner' has no class 'U'. It has T."


def test_of_a_stranger_s_file_nothing_outside_of_its_folder_is_read(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "mine.py").write_text("class Other: pass")
    (inside / "mine.py").symlink_to(outside / "mine.py")
    assert said(inside, "mine.T", within=inside.resolve()) is None
    assert said(inside, "mine.T") is not None
    assert said(inside, "json.Nothing", within=inside.resolve()) is not None  # nor what is installed
