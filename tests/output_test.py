"""What amlc prints into the folder of the trial code changes nothing: the build is a function of its inputs."""

from __future__ import annotations

import subprocess

import pytest

from amlc.render.written import is_written

# What each command prints, by its arguments; the second stream has what is not data.
KNOWN = (
    *[["collect", *rest] for rest in ([], ["--format", "json"], ["--format", "jsonl"], ["--format", "parquet"])],
    *[["collect", "--history", *rest] for rest in ([], ["--format", "json"], ["--format", "jsonl"])],
    ["collect", "--history", "--format", "parquet"],
    *[["status", *rest] for rest in ([], ["--format", "csv"], ["--format", "json"], ["--format", "jsonl"])],
    ["report"],
    ["code", "0"],
    ["schema"],
    ["list"],
    ["list", "--format", "json"],
    ["summary"],
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


# Data that are the user's own, or a part of them: parameters, an address, a trial's output.
NOT_KNOWN = {"best", "best --job", "logs 0", "download 0 x", "download --best best", "migrate experiment.yml"}
SPEAKING = (
    *WHILE_OPEN,
    *[["best"], ["best", "--job"], ["logs", "0"], ["doctor"], ["--version"], ["gc"], ["explain"], ["explain", "E-space"]],
    *[["submit", *rest] for rest in (["--retry", "succeeded"], ["--canary", "--retry", "succeeded"])],
    *[["cancel", "--all"], ["refresh"], ["migrate", "experiment.yml"], ["reproduce", "0"]],
    *[["download", "0", "x"], ["download", "--best", "best"], ["code", "0", "--to", "then"]],
    *[["save", "/tmp/nowhere/x.tgz"], ["run", "nothing.yml"], ["status", "nothing"], ["run", "wrong.yml"], []],
    *[["--help"], ["no-such-command"], ["submit", "--no-such-option"], ["--build", "nothing", "submit"]],
    *[["plan", "--against", "HEAD"], ["plan", "-o", "p.seal"], ["collect", "--to", "tensorboard", "tb"]],
    *[["compile", "odd.yml"], ["validate", "odd.yml", "wrong.yml"], ["run", "odd.yml"], ["retry", "0"]],
)


def test_the_first_line_of_whatever_a_command_prints_is_known(done) -> None:
    """Of its data, of what it says beside them, and of both in one file."""
    text = (done.root / "experiment.yml").read_text()
    (done.root / "wrong.yml").write_text(text.replace("trialCommand", "trialComand"))
    (done.root / "odd.yml").write_text(text.replace("probe", "odd").replace("sh trial.sh", "sh no.sh"))
    unknown = []
    out, err, both = (done.root / f"{name}.log" for name in ("out", "err", "both"))
    for arguments in SPEAKING:
        for paths in ((out, err), (both, both)):
            if paths == (both, both) and not (out.stat().st_size and err.stat().st_size):
                both.write_bytes(out.read_bytes() or err.read_bytes())
                break  # a file for both is what either of them has
            with paths[0].open("ab") as one, paths[1].open("ab") as two:
                words = done.start(*arguments, stdout=one, stderr=two)
                words.wait(timeout=60)
        for path in (out, err, both):
            is_broken = path == both and "parquet" in arguments
            if path.stat().st_size and not is_broken and not is_written(str(path)):
                unknown.append(f"{path.stem} of {' '.join(arguments)}: {path.read_bytes()[:150]!r}")
            path.unlink()
        (done.root / "p.seal").unlink(missing_ok=True)
    found = [one for one in unknown if one.partition(" of ")[2].partition(":")[0] not in NOT_KNOWN]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("words", [["download", "--best", "code/best"], ["download", "0", "code/a/b"], ["save", "code/x.tar"]])
def test_outputs_and_archives_in_the_trial_code_change_no_revision(project, words) -> None:
    body = 'mkdir -p "$NNI_OUTPUT_DIR"\necho 1 > "$NNI_OUTPUT_DIR/model"\nfinal $x'
    project.write(body, values=range(2)).compile().amlc("submit")
    before = project.manifest.header.revision
    project.amlc(*words)
    assert (project.root / words[-1]).exists()
    assert project.compile().manifest.header.revision == before


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
