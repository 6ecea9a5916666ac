"""A job that is forked is what it would be if the shell had started it, and nothing depends on the server."""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from amlc.model import Status
from amlc.targets.local import fork_server, origin, processes, start
from tests.targets.local.backend_test import GATE, Here

SEEN = """
{
    env | grep -v -e '^_' -e '^SHLVL=' -e '^OLDPWD=' | sort
    pwd; umask; ulimit -a; nice; cat /proc/self/oom_score_adj
    grep -e ^SigBlk -e ^SigCgt /proc/self/status  # SigIgn: what a shell puts into the background ignores ^C
    for fd in 0 1 2 4 5 6 7 8 9; do  # 3 is the shell's own
        echo "fd $fd $(readlink "/proc/$$/fd/$fd" | sed 's/[0-9]*:\\[[0-9]*\\]//')"
    done
} > "$PROBE/seen-$NNI_TRIAL_SEQ_ID"
"""


def server_of(pid):
    """The process that a supervisor is a fork of."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def command(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def supervisor(here, job):
    return int((here.folder(job) / "supervisor").read_text())


def test_a_trial_sees_the_same_whoever_started_its_job(project, monkeypatch):
    here = Here(project.write(SEEN, values=range(2)).compile(), LC_ALL="C")
    ended = here.follow(*here.submit(0))
    monkeypatch.setattr(start.Starter, "_forking", lambda *_: None)
    ended += here.follow(*here.submit(1))
    assert [one.status for one in ended] == [Status.SUCCEEDED] * 2
    forked, alone = (
        re.sub(
            rf"/proc/\d+/|{project.trials[n]}|SEQ_ID={n}|seen-{n}|PYTHONPATH=.*?/amlc_standin",
            "",
            (project.root / f"seen-{n}").read_text(),
        ).splitlines()
        for n in range(2)
    )
    assert forked == alone
    assert f"PROBE={project.root}" in forked
    assert {"fd 0 /dev/null", f"fd 1 {project.root}/", "fd 2 pipe", "fd 4 "} <= set(forked)


def test_jobs_are_forks_of_one_server_each_with_the_mark_of_its_own(project, wait_until):
    here = Here(project.write(GATE, values=range(3)).compile())
    jobs = here.submit(0, 1, 2)
    wait_until(lambda: len(project.starts) == 3)
    pids = [supervisor(here, job) for job in jobs]
    (server,) = {server_of(pid) for pid in pids}
    assert command(server) == [*command(pids[0])]
    for pid, job in zip(pids, jobs, strict=True):
        mark = origin.read(here.folder(job)).mark
        assert [processes.is_marked(other, mark) for other in (*pids, server)] == [other == pid for other in (*pids, server)]
        assert os.getsid(pid) == pid
    (project.root / "go").touch()
    assert [one.exit_code for one in here.follow(*jobs)] == [0, 0, 0]
    del here
    wait_until(lambda: not Path(f"/proc/{server}").exists())


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_without_its_server_a_job_goes_on_and_the_shell_starts_the_next(project, monkeypatch, wait_until, sent):
    monkeypatch.setattr(start, "_ANSWER_S", 0.5 if sent == signal.SIGSTOP else 60)
    here = Here(project.write(GATE, values=range(2)).compile())
    (first,) = here.submit(0)
    wait_until(lambda: project.starts)
    os.kill(server := server_of(supervisor(here, first)), sent)
    (second,) = here.submit(1)
    wait_until(lambda: len(project.starts) == 2)
    assert command(supervisor(here, second))[0] == b"/bin/sh"
    (project.root / "go").touch()
    assert [one.exit_code for one in here.follow(first, second)] == [0, 0]
    assert not Path(f"/proc/{server}").exists()
    assert sorted(project.starts) == sorted(project.trials)


def test_a_job_that_was_forked_although_nobody_heard_of_it_is_not_started_again(project, monkeypatch, wait_until):
    """The server dies between the fork and its answer."""
    dying = start._FORK_SERVER.read_text().replace("requests.sendall(", "os._exit(1) or (")
    file = project.root / "dying.py"
    file.write_text(dying)
    monkeypatch.setattr(start, "_FORK_SERVER", file)
    monkeypatch.setattr(start, "_Shell", None)
    here = Here(project.write("sleep 0.5", values=[1]).compile())
    (seen,) = here.follow(*here.submit())
    assert (seen.status, project.starts) == (Status.SUCCEEDED, project.trials)


def test_what_cannot_be_forked_is_started_by_the_shell(project, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    here = Here(project.write(values=[1]).compile())
    assert here.run().status is Status.SUCCEEDED


def test_what_a_forked_job_leaves_is_ended_by_its_supervisor_if_who_submitted_is_gone(project, wait_until):
    left = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    project.write(f'python3 -c "{left}" > "$PROBE/left"\n{GATE}', values=[1]).compile()
    with project.start("submit") as submit:
        wait_until(lambda: project.starts and (project.root / "left").exists() and (project.root / "left").read_text())
        submit.kill()
    (project.root / "go").touch()
    wait_until(lambda: not project.processes())


def test_a_disk_that_is_full_for_a_moment_is_tried_again(monkeypatch):
    monkeypatch.setattr(fork_server, "PAUSE_S", 0)
    tried = []

    def act():
        tried.append(1)
        if len(tried) < 3:
            raise OSError

    assert fork_server._again(act)
    assert len(tried) == 3
    with suppress(ZeroDivisionError):
        assert not fork_server._again(lambda: 1 / 0), "what is no trouble of the disk's is not tried again"
