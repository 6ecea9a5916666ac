"""What amlc prints into the folder of the trial code changes nothing: the build is a function of its inputs."""

from __future__ import annotations

import subprocess

import pytest

# What each command prints, by its arguments; the second stream has what is not data.
KNOWN = (
    *[["collect", *rest] for rest in ([], ["--format", "json"], ["--format", "jsonl"], ["--format", "parquet"])],
    *[["collect", "--history", *rest] for rest in ([], ["--format", "json"], ["--format", "jsonl"])],
    ["collect", "--history", "--format", "parquet"],
    *[["status", *rest] for rest in ([], ["--format", "csv"], ["--format", "json"], ["--format", "jsonl"])],
    ["report"],
    ["plan"],
    *[["plan", "--format", name] for name in ("json", "sarif", "junit")],
    ["run", "experiment.yml"],
)
WHILE_OPEN = (
    ["compile", "experiment.yml"],
    ["compile", "experiment.yml", "--check"],
    ["compile", "experiment.yml", "--diff"],
    ["validate", "experiment.yml"],
    ["submit"],
    *KNOWN,
)


@pytest.fixture
def done(project):
    project.write("intermediate 1", values=range(2)).compile().amlc("submit")
    return project


def into(project, arguments, *, stdout, stderr):
    """Run a command with its streams redirected into the trial code, as a shell does."""
    with (project.root / stdout).open("wb") as out, (project.root / stderr).open("wb") as err:
        project.amlc(*arguments, stdout=out, stderr=err)


def test_output_in_the_trial_code_changes_no_revision(done) -> None:
    before = done.manifest.header.revision
    changed = []
    for arguments in KNOWN:
        path = done.root / "code" / "output.txt"
        into(done, arguments, stdout=path, stderr="/dev/null")
        assert path.stat().st_size, arguments
        if done.compile().manifest.header.revision != before:
            changed.append(" ".join(arguments))
        path.unlink()
    assert changed == []


def test_a_command_that_compiles_does_not_take_its_own_output_along(done) -> None:
    before = done.manifest.header.revision
    changed = []
    for arguments in WHILE_OPEN:
        into(done, arguments, stdout="code/out.py", stderr="code/err.py")
        if done.manifest.header.revision != before:
            changed.append(" ".join(arguments))
        (done.root / "code" / "out.py").unlink()
        (done.root / "code" / "err.py").unlink()
    assert changed == []


def test_what_compile_and_submit_say_is_no_trial_code(done) -> None:
    before = done.manifest.header.revision
    for arguments in (["compile", "experiment.yml"], ["submit"], ["run", "experiment.yml"]):
        into(done, arguments, stdout="/dev/null", stderr="code/amlc.log")
        assert done.compile().manifest.header.revision == before, arguments


def test_a_shell_redirection_of_the_report_changes_nothing(done) -> None:
    """As the help of `amlc report` has it."""
    before = done.manifest.header.revision
    subprocess.run(
        'amlc() { python -m amlc --build ../build --state ../.amlc "$@"; }\n'
        "amlc report > report.html && amlc compile ../experiment.yml > compile.out 2> compile.err",
        shell=True, check=True, cwd=done.root / "code", env=done.environ, timeout=60,
    )  # fmt: skip
    assert done.manifest.header.revision == before
    assert not (done.manifest.folder / "code" / "report.html").exists()


@pytest.mark.parametrize("own", ["out", "deep/er/out", "code/out", "."])
@pytest.mark.parametrize("committed", [False, True], ids=["", "in git"])
def test_two_build_folders_never_take_each_other_along(project, own, committed) -> None:
    """Each lies among the trial code of the experiment of the other."""
    project.write(trialCodeDirectory=".", values=range(2)).compile()
    first = project.manifest.header.revision
    files = sum(path.is_file() for path in project.manifest.folder.rglob("*"))
    if committed:
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
        for words in (["init", "-q"], ["add", "-Af", "."], ["commit", "-qm", "x"]):
            subprocess.run([*git, *words], cwd=project.root, check=True)
    for _ in range(2):
        project.amlc("--build", own, "compile", "experiment.yml")
        project.compile()
        assert project.manifest.header.revision == first
        assert sum(path.is_file() for path in project.manifest.folder.rglob("*")) == files
        other = project.root / own / "probe"
        assert sum(path.is_file() for path in other.rglob("*")) == files
