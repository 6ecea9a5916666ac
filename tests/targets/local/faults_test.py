"""A fault at every write of both supervisors and at every file that the local back end opens, lists, makes or removes.

No trial that ended well runs again, nothing raises but BackendError, and one job's damage is that job's alone.
"""

import errno
import os
import re
import sys
import time
from itertools import count

import pytest

from amlc.errors import BackendError
from amlc.folders import Folders
from amlc.model import Status
from amlc.targets.local import backend as local
from amlc.targets.local import start
from tests.targets.local.backend_test import Here

SUPERVISOR = start._SUPERVISOR.read_text()
FORK_SERVER = start._FORK_SERVER.read_text()
WRITES = {
    "the process id": ('write supervisor.tmp "$$"', "supervisor.tmp"),
    "the beginning": ('write started "$$"', "started"),
    "the exit code": ('write exit_code.tmp "$code"', "exit_code.tmp"),
    "the time limit": ("true > timed_out", "timed_out"),
    "the process id's name": ("mv -f supervisor.tmp supervisor", None),
    "the exit code's name": ("mv -f exit_code.tmp exit_code", None),
}
PLACES = {"full": "/dev/full", "no folder": "/nonexistent/file", "a folder": "."}
FAULTS = [("shell", name, place) for name, (_, file) in WRITES.items() for place in PLACES if file or place == "full"]
FAULTS += [("fork", name, "full") for name in WRITES]
SUPERVISORS = pytest.mark.parametrize("supervisor", ["shell", "fork"])
ENDS = {
    "": Status.SUCCEEDED,
    "echo why >&2; exit 3": Status.FAILED,
    "sleep 60": Status.EARLY_STOPPED,
}


def sabotage(monkeypatch, folder, supervisor, write, place, *, times=0):
    """Let a write of the supervisors of one kind fail always or, with `times`, so often."""
    text = faulty(write, place, times=times) if supervisor == "shell" else faulty_fork(write, times=times)
    file = folder / "faulty"
    file.write_text(text)
    if supervisor == "shell":
        monkeypatch.setattr(start, "_SUPERVISOR", file)
        monkeypatch.setattr(start.Starter, "_forking", lambda *_: None)
    else:
        monkeypatch.setattr(start, "_FORK_SERVER", file)
        monkeypatch.setattr(start, "_Shell", None)


def faulty(write, place, *, times):
    """The shell with a write that fails; it does not wait long for better."""
    line, file = WRITES[write]
    bad = line.replace(file, PLACES[place]) if file else "false"
    text = SUPERVISOR.replace("sleep 1\n", "sleep 0.01\n").replace("tries=20", "tries=4")
    assert line in text
    if not times:
        return text.replace(line, bad)
    ask = f"fail() {{ [ -e ../failed.{times} ] || {{ touch ../failed.{times}; return 0; }}; return 1; }}\n"
    if "again " + line in text:
        name = re.sub(r"\W", "_", write)
        return ask + f"{name}() {{ if fail; then {bad}; false; else {line}; fi; }}\n" + text.replace(line, name)
    return ask + text.replace(line, f"fail || {line}")


def faulty_fork(write, *, times):
    """The fork server with a supervisor whose write fails; it does not wait long for better."""
    line, file = WRITES[write]
    name = file or line.split()[2]
    assert f'"{name}"' in FORK_SERVER
    main = 'if __name__ == "__main__":\n'
    assert FORK_SERVER.count(main) == 1
    strikes = f"""
TRIES, PAUSE_S = 4, 0.01
whole = {"_write" if file else "os.rename"}
def struck(name, *rest):
    if name == {name!r} and not ({times} and os.path.exists("../failed.{times}")):
        open("../failed.{times}", "w").close()
        raise OSError(28, "No space left on device")
    whole(name, *rest)
{"_write" if file else "os.rename"} = struck
"""
    return FORK_SERVER.replace(main, strikes + main)


def test_every_write_of_the_supervisors_is_struck():
    code = re.sub(r"#.*|\S*> /dev/null|>&1|write\(\).*", "", SUPERVISOR)
    files = re.findall(r"> ?(\S+)|\bwrite (\S+)", code)
    struck = sorted(filter(None, (file for _, file in WRITES.values())))
    assert struck == sorted(a or b for a, b in files)
    assert struck == sorted(re.findall(r'\b_write\("(.+?)"', FORK_SERVER))
    renames = re.findall(r"\bmv -f (\S+) (\S+)", SUPERVISOR)
    assert renames == re.findall(r'\bos.rename\("(.+?)", "(.+?)"', FORK_SERVER)
    assert len(renames) == 2


@pytest.mark.parametrize("script", ENDS, ids=["succeeds", "fails", "exceeds its time"])
@pytest.mark.parametrize(("supervisor", "write", "place"), FAULTS, ids=lambda value: value.replace(" ", "-"))
def test_a_write_of_the_supervisor_that_fails_costs_no_result(
    project, monkeypatch, tmp_path, supervisor, write, place, script
):
    sabotage(monkeypatch, tmp_path, supervisor, write, place)
    here = Here(project.write(script, values=[1], maxTrialDuration="1s").compile())
    seen = here.follow_or_lose(*here.submit())
    if write in ("the process id", "the beginning"):
        assert (seen, project.starts) == (None, []), "what cannot be recorded does not begin"
        return
    assert (seen.status, seen.infrastructure) == (ENDS[script], False)
    assert len(project.starts) == 1
    assert here.again().poll([seen.job], timeout_s=0) == [seen]


@SUPERVISORS
def test_a_job_without_its_process_id_can_be_canceled_by_who_started_it(
    project, monkeypatch, tmp_path, supervisor, wait_until
):
    sabotage(monkeypatch, tmp_path, supervisor, "the process id's name", "full")
    here = Here(project.write("sleep 60", values=[1]).compile())
    monkeypatch.setattr(local, "_GRACE_S", 1.0)
    (job,) = here.submit()
    wait_until(lambda: project.starts)
    here.backend.cancel([job])
    assert here.follow(job)[0].status is Status.CANCELED


@SUPERVISORS
@pytest.mark.parametrize("write", [name for name in WRITES if name != "the time limit"])
def test_a_disk_that_is_full_for_a_moment_costs_nothing(project, monkeypatch, tmp_path, supervisor, write):
    sabotage(monkeypatch, tmp_path, supervisor, write, "full", times=1)
    here = Here(project.write(values=[1]).compile())
    seen = here.follow_or_lose(*here.submit())
    assert (seen.status, seen.exit_code) == (Status.SUCCEEDED, 0)
    assert list(project.root.rglob("failed.1")), "it was struck"


@pytest.mark.parametrize("part", ["main.py", "metrics.py"])
def test_a_part_of_the_runner_that_cannot_be_read_is_a_loss_of_the_machines(project, part):
    here = Here(project.write(values=[1]).compile())
    (here.manifest.folder / "code" / "amlc_runner_lib" / part).unlink()
    seen = here.follow_or_lose(*here.submit())
    assert (seen.status, seen.infrastructure, seen.exit_code) == (Status.FAILED, True, 1)
    assert len(project.starts) == (part == "metrics.py")


# --- exit codes that are odd -----------------------------------------------------------------------------------------

ODD = {
    "missing": None, "empty": b"", "half": b"1x\n", "text": b"\xff\xfe", "large": b"4096", "negative": b"-1",
    "endless": b"0" * 10_000_000,
}  # fmt: skip


@pytest.mark.parametrize("content", ODD.values(), ids=list(ODD))
def test_an_odd_exit_code_is_the_loss_of_that_job_alone_and_only_where_nothing_else_says_its_end(project, content):
    here = Here(project.write(values=range(3)).compile())
    jobs = here.submit(0, 1, 2)
    here.follow(*jobs)
    for job in jobs[:2]:
        path = here.folder(job) / "exit_code"
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    trial = here.entries[1].trials[0].id
    (here.folder(jobs[1]) / "outputs" / "amlc" / trial / "result.json").unlink()
    ended, lost, other = here.again().poll(jobs, timeout_s=0)
    assert (ended.status, ended.exit_code, other.status) == (Status.SUCCEEDED, 0, Status.SUCCEEDED)
    assert (lost.status, lost.infrastructure) == (Status.FAILED, True)
    assert lost.error


@pytest.mark.parametrize("name", ["exit_code", "job.yml", "lock", "supervisor", "canceled", "outputs", "gpus"])
@pytest.mark.parametrize("kind", ["folder", "loop", "gone"])
@pytest.mark.filterwarnings("ignore:.*its reports are left out")
def test_a_damaged_run_folder_is_no_error_and_its_trial_does_not_run_again(project, name, kind):
    here = Here(project.write(values=range(2), trialGpuNumber=0).compile())
    jobs = here.submit(0, 1)
    here.follow(*jobs)
    path = here.folder(jobs[0]) / name
    if path.is_dir():
        path.rename(path.with_name("away"))
    else:
        path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    if kind == "loop":
        path.symlink_to(name)
    backend = here.again()
    first, second = backend.poll(jobs, timeout_s=0)
    canceled = name == "canceled" and kind == "folder" and not first.exit_code
    assert first.status is Status.SUCCEEDED or canceled
    assert second.status is Status.SUCCEEDED
    assert [answer.job for answer in backend.adopt(dict.fromkeys(jobs))] == jobs
    backend.cancel(jobs)
    fetched = [backend.fetch(job) for job in jobs]
    assert [metric.value for metric in fetched[1].metrics] == [1.5]
    assert bool(fetched[0].metrics) == (name != "outputs")
    for job in jobs:
        assert b"".join(backend.log(job, follow=False)) == b""


# --- every file operation --------------------------------------------------------------------------------------------

EFFECTS = {"open", "os.mkdir", "os.rename", "os.symlink", "os.link", "os.listdir", "os.scandir", "os.remove",
           "os.rmdir", "os.chmod", "os.utime", "os.truncate", "fcntl.flock", "subprocess.Popen"}  # fmt: skip


class Strike:
    """Fails the effect number `at` below `folder`, in whichever thread."""

    def __init__(self, folder, at, number):
        self.folder, self.left, self.number = str(folder), at, number

    def __call__(self, event, arguments):
        if event not in EFFECTS or not arguments:
            return
        where = arguments[0]
        if event not in ("fcntl.flock", "subprocess.Popen") and not (
            isinstance(where, (str, bytes, os.PathLike)) and os.fsdecode(where).startswith(self.folder)
        ):
            return
        self.left -= 1
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number), str(where))


STRIKES = []


def _hook(event, arguments):
    for strike in STRIKES:
        strike(event, arguments)


@pytest.fixture
def strike(monkeypatch):
    if not getattr(sys, "amlc_hook", False):
        sys.addaudithook(_hook)  # for as long as the process lives
        sys.amlc_hook = True
    yield STRIKES
    STRIKES.clear()


def go_through(here, jobs, backend):
    """Submit both jobs and follow them to their end, as submit does; return the last that was said of each."""
    list(backend.submit([here.submission(0), here.submission(1)]))
    seen, deadline = {}, time.monotonic() + 60
    while any(job not in seen or not seen[job].status.ended for job in jobs):
        assert time.monotonic() < deadline, seen
        found = {one.job: one for one in backend.poll(jobs, timeout_s=1)}
        if len(found) < len(jobs):
            return found
        seen.update(found)
    for job in jobs:
        backend.fetch(job)
        if not seen[job].infrastructure:
            list(backend.log(job, follow=True))
    return seen


@pytest.mark.parametrize(
    ("first", "number"), [pytest.param(1, errno.ENOSPC, id="full"), pytest.param(2, errno.EIO, id="broken")]
)
@pytest.mark.filterwarnings("ignore:.*its reports are left out")
def test_a_fault_at_every_file_operation_costs_one_job_at_the_most(project, strike, first, number):
    """Every second operation fails in the one way, and those between them in the other."""
    struck = 0
    project.write(values=range(2)).compile()
    for at in count(first, 2):  # in a state of its own each
        project.folders = Folders(project.root / "build", project.root / f".amlc-{at}")
        (project.root / "starts").unlink(missing_ok=True)
        here = Here(project)
        jobs = [entry.name for entry in here.entries]
        fault = Strike(project.folders.runs("probe"), at, number)
        strike[:] = [fault]
        seen, said = {}, os.strerror(number)
        try:
            seen = go_through(here, jobs, here.backend)
        except BackendError as err:
            said = str(err)
        strike.clear()
        assert os.strerror(number) in said
        if fault.left > 0:
            break
        struck += 1
        backend = here.again()  # the next submit
        there = [answer.job for answer in backend.adopt(dict.fromkeys(jobs))]
        if missing := [n for n, job in enumerate(jobs) if job not in there and job not in seen]:
            list(backend.submit([here.submission(n) for n in missing]))
        found = here.follow(*[job for n, job in enumerate(jobs) if job in there or n in missing], backend=backend)
        bad = [one for one in found if one.status is not Status.SUCCEEDED]
        lost = [one for one in seen.values() if one.infrastructure]
        about = (at, seen, found)
        assert not bad, about
        assert len(lost) <= 1, about
        assert len(set(project.starts)) == len(project.starts), about
        for one in lost:  # it will run again: then it did not run
            assert one.job not in there, about
    assert struck > 20


def test_a_damaged_folder_is_that_jobs_loss_and_the_others_are_submitted(project):
    here = Here(project.write(values=range(3)).compile())
    jobs = [entry.name for entry in here.entries]
    here.folder(jobs[1]).parent.mkdir(parents=True)
    here.folder(jobs[1]).write_text("in the way")
    assert here.submit(0, 1, 2) == jobs
    first, lost, last = here.follow(*jobs)
    assert (first.status, last.status) == (Status.SUCCEEDED, Status.SUCCEEDED)
    assert (lost.status, lost.infrastructure) == (Status.FAILED, True)
    assert "File exists" in lost.error
    found = here.again().poll(jobs, timeout_s=0)
    assert [one.job for one in found] == [jobs[0], jobs[2]], "for another process it never was there"


@pytest.mark.parametrize("lies_apart", [False, True])
def test_what_all_jobs_share_and_cannot_be_copied_is_said_in_a_line(project, lies_apart):
    here = Here(project.write(values=range(2)).compile())
    gone = project.folders.build / "probe" / "code" / "amlc_runner_lib" / "gone"
    gone.symlink_to("nowhere")
    if lies_apart:
        (project.root / "code").rename(project.root / "moved")
    with pytest.raises(BackendError, match=r"^\S+/amlc_runner_lib/gone: No such file or directory\.$"):
        here.submit(0, 1)
