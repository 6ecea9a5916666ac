"""What a command that has jobs run makes of its arguments."""

import pytest

import amlc.commands.doctor
import amlc.commands.submit
from amlc.backends import Check
from amlc.cli import running
from amlc.commands.options import Options
from amlc.errors import UsageError


@pytest.mark.parametrize("arguments", [[], ["0", "--all"]], ids=" ".join)
def test_to_cancel_is_some_or_all(call, arguments):
    with pytest.raises(UsageError, match="name the trials to cancel"):
        call(running.cancel, *arguments)


def test_a_retry_is_a_submit_of_those_alone(project, call, monkeypatch):
    project.write().compile()
    monkeypatch.setattr(amlc.commands.submit, "submit", lambda manifest, options, **_: options)
    assert call(running.retry, "1", "2", "--parallel", "3") == Options(backend=None, only=("1", "2"), parallel=3)


def test_a_dry_run_is_the_plan_and_submits_nothing(project, call, capsys):
    project.write(values=range(2)).compile()
    call(running.plan)
    planned = capsys.readouterr()
    call(running.submit, "--dry-run")
    assert capsys.readouterr() == planned
    assert "2" in planned.out
    assert project.starts == []


def test_the_doctor_says_each_check_in_a_line(project, call, capsys, monkeypatch):
    project.write().compile()
    checks = [
        Check("disk", is_well=True, text="10 GB"),
        Check("gpu", is_well=True, text="none", is_warned=True),
        Check("sign-in", is_well=False, text="az login"),
    ]
    monkeypatch.setattr(amlc.commands.doctor, "doctor", lambda *_, **__: iter(checks))
    assert call(running.doctor) == checks
    assert capsys.readouterr().out == "ok      disk: 10 GB\nwarned  gpu: none\nfailed  sign-in: az login\n"
