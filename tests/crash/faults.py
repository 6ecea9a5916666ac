"""Run `amlc submit` again and again, with a fault at its first effect, at its second, ... until it gets through.

Arguments: `full` (the effect fails with ENOSPC) or `kill` (the process gets SIGKILL just before it), the number of the
first effect to strike at, and the step to the next, so that several of these can share the work. The current folder
holds a compiled experiment `probe`. Prints the number of the last fault; a broken promise is an AssertionError.
"""

import errno
import os
import signal
import sqlite3
import sys
import threading
import traceback
from itertools import count
from pathlib import Path

import amlc.cli
import amlc.commands.submit
import amlc.targets.local.backend
from amlc.attempts import fold
from amlc.ledger import open_ledger
from amlc.manifest import read_manifest

EFFECTS = {"os.mkdir", "os.rename", "os.symlink", "os.truncate", "sqlite3.connect", "subprocess.Popen", "fcntl.flock"}
sys.dont_write_bytecode = True  # those writes are Python's
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
WORDS = ("INSERT", "DELETE", "COMMIT", "BEGIN", "PRAGMA", "CREATE")


class Fault:
    """Strikes at the effect number `at` of the main thread."""

    def __init__(self, at, kind):
        self.left = at
        self.kind = kind

    def effect(self):
        if threading.current_thread() is not threading.main_thread():
            return False
        self.left -= 1
        if self.left == 0 and self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return self.left == 0

    def audit(self, event, arguments):
        # A descriptor that is open already (a stream under PYTHONUNBUFFERED) is wrapped, not opened.
        named = event == "open" and not isinstance(arguments[0], int) and arguments[0] != os.devnull
        writes = named and arguments[2] & WRITING
        if (writes or event in EFFECTS) and self.effect():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))

    def connection(fault):
        class Connection(sqlite3.Connection):
            def execute(self, statement, *rest):
                if statement.startswith(WORDS) and fault.effect():
                    raise sqlite3.OperationalError("database or disk is full")
                return super().execute(statement, *rest)

            def executemany(self, *arguments):
                if fault.effect():
                    raise sqlite3.OperationalError("database or disk is full")
                return super().executemany(*arguments)

        return Connection


def submit(state, fault):
    """Run submit in a fork; return its exit code (negative: signal), what it wrote, and whether the fault struck."""
    (reader, writer), (told, tell) = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(writer, 2)
        os.environ["STARTS"] = f"{state}.starts"
        sys.argv[1:] = ["--state", state, "submit"]
        try:
            if fault:
                connect, factory = sqlite3.connect, fault.connection()
                sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=factory)
                sys.addaudithook(fault.audit)
            amlc.cli.entry_point()
        except SystemExit as end:
            code = end.code
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            code = 99
        os.write(tell, b"1" if fault and fault.left <= 0 else b"0")
        os._exit(code)
    os.close(writer)
    os.close(tell)
    with os.fdopen(reader) as stream:
        text = stream.read()
    with os.fdopen(told) as stream:
        struck = stream.read() != "0"
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text, struck


def main():
    manifest = read_manifest(Path("build/probe"))
    trials = [entry.id for entry in manifest.entries()]
    first, step = map(int, sys.argv[2:4])
    kind = sys.argv[1]
    for at in count(first, step):
        state = os.path.abspath(f"state{at}")
        code, text, struck = submit(state, Fault(at, kind))
        about = f"fault {at}: exit code {code}, {text}"
        if not struck:
            assert code == 0, about
            print(at - step)
            return
        assert "Traceback" not in text, about
        if kind == "full":
            assert code in (0, 5), about
            assert code == 0 or ("No space left" in text or "is full" in text), about
            assert code == 0 or text.splitlines()[-1].startswith("error: "), about
        code, text, _ = submit(state, None)
        about += f"then exit code {code}, {text}"
        assert code == 0, about
        assert f"{len(trials)} of {len(trials)} trial" in text, about
        assert sorted(Path(f"{state}.starts").read_text().split()) == sorted(trials), about
        with open_ledger(Path(state, "probe", "ledger.db")) as ledger:
            attempts = fold(ledger.events())
            assert len(attempts) == len(trials), about
            assert len(list(ledger.metrics("final"))) == len(trials), about


if __name__ == "__main__":
    main()
