"""Everything in README.md and docs/ that can be typed is run as it stands, and every option that they name is there.

README.md and the tutorial are followed from their first line to their last, in one shell in an empty home; of the other
pages each block runs alone, beside the experiment of `amlc init`. A `text` block below a `sh` block is what that prints.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that `tests.azure` is found however pytest is started

from amlc.cli.everything import main  # noqa: E402
from docs import generate  # noqa: E402
from tests.azure.conftest import missing  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TIMEOUT_S = 240

# Every line of a command block runs but these: a line (without its comment), what runs in its place, and why.
NOT_RUN = {
    "make run": ("make -n run", "installs from a package index; .ci/run runs it"),
    "make test": ("make -n test", "this is it; .ci/run runs it"),
    "pip install '.[azure]'": ("", "installs from a package index; what it installs is what these tests run with"),
    "pip install '.[azure,tuners]'": ("", "as above"),
    "pip install .": ("", "as above; in README.md it runs"),
    "pip install --no-compile .": ("", "as above"),
    "pip uninstall --yes sqlalchemy alembic mako": ("", "these tests need them; extras_test runs without them"),
    'az ml model create --name mnist --type custom_model --path "azureml://jobs/$(amlc best --job)/outputs/model/paths/"': (
        "", "the emulator's az does no more than sign in"
    ),
    "amlc collect --to mlflow http://localhost:5000": ("", "tests/viewers/mlflow_test has a real server"),
    "mlflow server --backend-store-uri sqlite:///mlflow.db": ("", "it never ends; as above"),
    "wandb sync runs/*/offline-run-*": ("", "it needs an account; tests/viewers/wandb_test runs it"),
    "tensorboard --logdir runs": ("", "it never ends; tests/viewers/tensorboard_test runs it"),
    "az login": ("", "a person signs in, in a browser; the emulator's az is signed in"),
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; number: which of its page's, from 1."""

    page: Path
    number: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page.stem}-{self.number}-{self.language or 'without-a-language'}"


def blocks():
    for page in PAGES:
        found = re.findall(r"^```(\S*).*?\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        for number, (language, text) in enumerate(found, start=1):
            yield Block(page, number, language.strip(), text)


BLOCKS = list(blocks())


FOLLOWED = ("README", "tutorial")
ALONE = [block for block in BLOCKS if block.page.stem not in FOLLOWED or block.language in ("jinja", "text")]


def walk(stem):
    """What somebody types who follows a page."""
    return [block for block in BLOCKS if block not in ALONE and block.page.stem == stem]


def printed(block):
    """The `text` block below a `sh` block, as lines: what it prints."""
    after = block.page.read_text(encoding="utf-8").split(f"```{block.language}\n{block.text}```\n")[1]
    found = re.match(r"\n?```text\n(.*?)^```$", after, re.DOTALL | re.MULTILINE)
    return found[1].splitlines() if found else []


def bare(line):
    """A line of a shell block without its comment."""
    return re.sub(r"(^|\s+)#.*", "", line).strip()


def as_run(text):
    """A shell block with what stands for it in place of each line that is not run."""
    return "\n".join(NOT_RUN.get(bare(line), (line,))[0] for line in text.splitlines()) + "\n"


class Folder:
    """Where a block is run: as new as a user's, with an amlc on the PATH."""

    def __init__(self, root, environ=None):
        self.root = root
        root.mkdir()
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AMLC_", "NNI_"))}
        environ = own if environ is None else environ
        before, _, rest = environ["PATH"].partition(os.pathsep)  # the emulator's `az` comes first
        path = os.pathsep.join([before, str(Path(sys.executable).parent), rest])
        self.environ = {**environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def run(self, *command, code=0):
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def prepare(self, **keys):
        """Write the experiment of `amlc init`, with `keys` in place of its own."""
        self.run("amlc", "init")
        file = self.root / "experiment.yml"
        config = {**yaml.safe_load(file.read_text(encoding="utf-8")), "maxTrialNumber": 6, **keys}
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        shutil.copytree(ROOT / "requirements", self.root / "requirements")
        for name in ("Makefile", "pyproject.toml"):  # as in a checkout
            shutil.copy(ROOT / name, self.root)
        shutil.copytree(ROOT / "examples", self.root / "examples")
        return self

    @property
    def jobs(self):
        files = sorted(self.root.glob("build/*/jobs/*.yml"))
        return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]


@pytest.fixture
def azure(tmp_path):
    """An emulated workspace with the names that docs/azure.md gives it."""
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from tests.azure.emulator import Emulator

    (tmp_path / "emulator").mkdir()
    service = azure_service()
    names = {"resource_group": service["resourceGroup"], "workspace": service["workspaceName"]}
    with Emulator(tmp_path / "emulator", **names) as emulator:
        yield emulator
    assert emulator.crashes == []


def azure_service():
    """The trainingService that docs/azure.md shows."""
    (found,) = [yaml.safe_load(block.text) for block in BLOCKS if block.text.startswith("trainingService:")]
    return found["trainingService"]


def on_azure(tmp_path, request, **keys):
    """A folder whose experiment runs on the emulator."""
    azure = request.getfixturevalue("azure")
    environ = azure.environ("proxy", AZURE_SUBSCRIPTION_ID=azure.subscription)
    return Folder(tmp_path / "folder", environ).prepare(**{"trainingService": azure_service(), **keys})


def statuses(table):
    with table.open(encoding="utf-8", newline="") as file:
        return [row["status"] for row in csv.DictReader(file)]


def run_sh(block, tmp_path, request):
    """What a shell block leaves behind in results.csv are the results of the whole experiment."""
    keys = {"azure": {}, "sweep": {"tuner": {"name": "Random"}, "amlc": {"target": "sweep"}}}.get(block.page.stem)
    folder = Folder(tmp_path / "folder").prepare() if keys is None else on_azure(tmp_path, request, **keys)
    script = as_run(block.text)
    done = folder.run("sh", "-e", "-c", re.sub(r"\bFILE\b", "experiment.yml", script))
    assert set(printed(block)) <= {*done.stdout.splitlines(), *done.stderr.splitlines()}
    if "> results.csv" in script:
        assert statuses(folder.root / "results.csv") == ["succeeded"] * 6
        assert "6 of 6 trials done\n" in done.stderr


def run_yaml(block, tmp_path, request):
    """It is part of an experiment on Azure ML, which takes the jobs; those of docs/ci.md ci_test looks at."""
    if block.page.stem == "ci":
        return
    keys = {"tuner": {"name": "Random"}, "maxTrialDuration": "1h", **yaml.safe_load(block.text), "maxTrialNumber": 2}
    folder = on_azure(tmp_path, request, **keys)
    (folder.root / "train.py").touch()  # which the command names
    azure = request.getfixturevalue("azure")
    told = folder.run("amlc", "validate", "experiment.yml").stderr
    assert re.fullmatch(r"experiment.yml: first is valid(: \d+ combinations, 2 trials by maxTrialNumber)?\n", told)
    folder.run("amlc", "compile", "experiment.yml")
    folder.run("amlc", "submit", "--no-wait")
    assert azure.count("PUT", "/jobs/") == (1 if block.page.stem == "sweep" else 2)


def run_jinja(block, tmp_path, request):
    """It is a template that an experiment's jobs are made of."""
    space = {"lr": {"_type": "choice", "_value": [0.01, 0.5]}}
    folder = Folder(tmp_path / "folder").prepare(
        searchSpace=space, tuner={"name": "GridSearch"}, trainingService=azure_service(), amlc={"templates": "mine"}
    )
    folder.environ["AZURE_SUBSCRIPTION_ID"] = "00000000-0000-0000-0000-000000000001"
    (folder.root / "mine").mkdir()
    (folder.root / "mine" / "command-job.yml.j2").write_text(block.text, encoding="utf-8")
    folder.run("amlc", "compile", "experiment.yml")
    assert [job["compute"] for job in folder.jobs] == ["azureml:cpu", "azureml:gpu"]


def run_python(block, tmp_path, request):
    """It runs beside the experiment of `amlc init`, and all that it ran ended well."""
    folder = Folder(tmp_path / "folder").prepare()
    (folder.root / "train.py").write_text("import nni\nnni.report_final_result(nni.get_next_parameter()['lr'])\n")
    folder.run(sys.executable, "-c", f"import amlc\n{block.text}")
    for name in (path for path in folder.root.glob("build/*") if path.is_dir()):
        done = folder.run("amlc", "collect", name.name)
        assert {row["status"] for row in csv.DictReader(done.stdout.splitlines())} == {"succeeded"}


def run_toctree(block, *_):
    """Each page that it names is there, or made by docs/generate.py."""
    names = [line for line in block.text.splitlines() if line and not line.startswith(":")]
    made = {f"reference/{name}" for name in generate.pages()}
    assert [name for name in names if name not in made and not (ROOT / "docs" / f"{name}.md").is_file()] == []


# A block in any other language fails: nothing that can be typed is forgotten. `text` is a drawing.
RUN = {
    "sh": run_sh,
    "yaml": run_yaml,
    "jinja": run_jinja,
    "python": run_python,
    "text": lambda *_: None,
    "{toctree}": run_toctree,
    "{include}": lambda block, *_: None,
    "json": lambda block, *_: json.loads(block.text),
}


@pytest.mark.parametrize("block", ALONE, ids=str)
def test_every_block_runs_as_printed(block, tmp_path, request):
    assert block.language in RUN, f"{block}: say what it is, and how it is run"
    RUN[block.language](block, tmp_path, request)


def test_no_block_is_overlooked():
    fences = [
        line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines() if re.search("```|~~~", line)
    ]
    assert len(fences) == 2 * len(BLOCKS) > 10


def test_what_is_not_run_is_there():
    lines = {bare(line) for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()}
    assert NOT_RUN.keys() <= lines
    assert all(reason for _, reason in NOT_RUN.values())


def clone(folder):
    """Copy what git has of this repository, changed or not."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True, timeout=TIMEOUT_S,
        ).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "tests", "results.csv"))
        return
    names = [name for name in os.fsdecode(listed).split("\0") if name and not name.startswith("tests/")]
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def without_an_index(home):
    """An environment in which pip builds and installs the clone, and nothing else comes from anywhere.

    What amlc needs is found where these tests find it: `PYTHONPATH` heeds no .pth file, so amlc itself is not.
    """
    path = os.pathsep.join(os.get_exec_path())
    own = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": sysconfig.get_path("purelib"), **own}


def typed(block):
    """The lines that a reader pastes into a shell; Python goes to a Python."""
    return f"python3 - <<'PYTHON'\n{block.text}PYTHON\n" if block.language == "python" else as_run(block.text)


def follow(blocks, folder, environ):
    """Paste the blocks into one shell; return what each of them said, once it is all that stands below it."""
    marked = [f"echo '=== {n}'; echo '=== {n}' >&2\n{typed(block)}" for n, block in enumerate(blocks)]
    # As pasted: the shell reads what comes next from where its commands could read, too.
    done = subprocess.run(
        ["bash", "-e"],
        cwd=folder,
        env=environ,
        input="".join(marked),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    out, err = (re.split(r"^=== \d+\n", text, flags=re.MULTILINE)[1:] for text in (done.stdout, done.stderr))
    assert len(out) == len(err) == len(blocks) > 4
    said = ["".join(both) for both in zip(out, err, strict=True)]
    for block, text in zip(blocks, said, strict=True):
        assert set(printed(block)) <= {line.strip() for line in text.splitlines()} | set(text.splitlines()), block
    return said


def test_readme_can_be_followed_in_an_empty_home(tmp_path, monkeypatch):
    monkeypatch.setitem(NOT_RUN, "pip install .", ("pip install --quiet .", "what is missing is no index's affair"))
    home = tmp_path / "home"
    clone(home / "amlc")
    said = follow(walk("README"), home / "amlc", without_an_index(home))
    (made,) = [text for text in said if "-m pytest" in text]
    assert "amlc --build build run examples/digits/experiment.yml" in made
    assert statuses(home / "tour" / "results.csv") == ["succeeded"] * 4
    assert (home / "amlc" / ".venv" / "bin" / "amlc").is_file()


def test_the_tutorial_can_be_followed_in_a_clone(tmp_path):
    clone(tmp_path / "clone")
    folder = Folder(tmp_path / "folder")
    said = follow(walk("tutorial"), tmp_path / "clone", folder.environ)
    assert "train.py" in said[-1]
    assert "ended at revision" in said[-1]
    assert statuses(tmp_path / "clone" / "examples" / "digits" / "results.csv") == ["succeeded"] * 6


def test_the_first_thing_that_readme_types_installs_amlc():
    assert "pip install ." in walk("README")[0].text
    assert "amlc --version" in walk("README")[0].text


def test_blocks_can_be_pasted_and_the_tour_is_short():
    lines = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]
    assert [line for line in lines if line.startswith(("$ ", "> ", "% "))] == []
    tour = [block.text for block in walk("README") if block.language == "sh" and "make run" not in block.text]
    assert sum(text.count("\n") for text in tour) <= 35
    assert sum(text.count("amlc ") for text in tour) > 8


# Nobody may be sent to what is somebody else's on the package index.
OURS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "pyproject.toml", "Makefile")


def test_nothing_says_to_install_the_package_of_another_project_by_our_name():
    files = [*(ROOT / name for name in OURS), *(ROOT / "docs").rglob("*.*"), *(ROOT / "examples").rglob("*.*")]
    files += [path for path in (ROOT / "amlc").rglob("*") if path.suffix in (".py", ".j2", ".json", ".html")]
    wrong = re.compile(r"\bamlc\[[a-z]|(?:pipx?|uvx?)( tool| pip)? (?:install|run|add)[^|;&`\n]*?[ \t]'?\"?amlc(?![\w-])")
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.is_file() and path.suffix not in (".pyc", ".png")}
    assert len(texts) > 100
    assert [str(path) for path, text in texts.items() if wrong.search(text)] == []
    assert wrong.search("pip install amlc")
    assert wrong.search("pip install 'amlc[azure]'")
    assert not wrong.search("pip install amlc-toolkit")


def options(command):
    """The options that a command's --help lists."""
    text = command.get_help(click.Context(command, info_name=command.name, help_option_names=["-h", "--help"]))
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


OPTIONS = {verb: options(command) for verb, command in main.commands.items()}


def rows_of_commands():
    """Yield the verbs and the whole text of each row of the README's command table."""
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `amlc "):
            yield re.findall(r"`amlc ([a-z]+)", line.split("|")[1]), line


def test_the_table_of_commands_lists_every_command():
    listed = [verb for verbs, _ in rows_of_commands() for verb in verbs]
    assert set(listed) == set(main.commands)


def test_the_options_of_a_row_are_those_of_its_command():
    for verbs, line in rows_of_commands():
        for option in re.findall(r"`(--?[a-z][a-z-]*)", line):
            for verb in verbs:
                assert option in OPTIONS[verb], f"{verb} {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_option_that_a_page_names_is_one_of_the_commands(page):
    text = page.read_text(encoding="utf-8")
    everything = set().union(*OPTIONS.values(), options(main))
    fenced = [line for block in BLOCKS if block.page == page for line in block.text.splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    for piece in [*map(bare, fenced), *spans]:
        words = [] if piece.startswith(("az ", "pip ", "check-jsonschema ", "mlflow ", "tensorboard ")) else piece.split()  # those options are their own
        named = [re.sub(r"=.*", "", word) for word in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word)]
        verbs = [after for before, after in zip(["amlc", *words], words, strict=False) if before == "amlc"]
        known = OPTIONS.get(verbs[0], everything) if verbs else everything
        assert set(named) <= known, piece
