"""How trials stand, as a user reads it."""

from amlc.cli import watching


def test_status_fits_into_80_columns(project, cli, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "x" * 300
    project.write(
        f'[ "$NNI_TRIAL_SEQ_ID" != 1 ] || exit 3; final "{{\\\\"{long}\\\\": 1}}"; ', values=range(2)
    ).compile()
    cli("submit", code=1)
    _, out, _ = cli("status", code=0)
    lines = out.splitlines()
    assert len(lines) == 5  # the verdict, the header, two trials, why one of them failed
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "probe: 1 of 2 trials done: 1 failed"
    assert lines[1].split() == ["#", "trial", "status", "try", "time", "result,", "or", "why", "there", "is", "none"]
    assert lines[3].rstrip().endswith("exit code 3")
    assert lines[4] == "1 failed: exit code 3 (trial 1)"
    assert "\x1b" not in out


def test_status_of_many_trials_is_cut_and_says_so(project, cli):
    project.write(values=range(50)).compile()
    lines = cli("status", code=0)[1].splitlines()
    assert lines[-1] == "… and 10 more: amlc status --all"
    assert len(cli("status", "--all", code=0)[1].splitlines()) == 52


def test_logs_are_the_bytes_that_the_trial_printed(project, call, capfdbinary):
    project.write("printf 'a\\000\\377\\n'", values=range(1)).compile().amlc("-q", "submit")
    capfdbinary.readouterr()
    call(watching.logs, "0")
    assert b"a\0\xff\n" in capfdbinary.readouterr().out
