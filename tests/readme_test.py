"""The README's tour is run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def tour():
    """Yield (command with its continuation lines, expected lines of output) from the README's console block."""
    block = re.search(r"```console\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for part in re.split(r"^\$ ", block[1], flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        more = [line.removeprefix(">").removeprefix(" ") for line in lines[1:] if line.startswith(">")]
        yield "\n".join([lines[0], *more]), [line for line in lines[1:] if not line.startswith(">")]


def test_the_tour_of_the_readme_runs_as_printed(tmp_path):
    script = "set -e\n" + "\n".join(f"echo '=== {n}'\n{command}" for n, (command, _) in enumerate(tour()))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines() + done.stderr.splitlines()
    for _, expected in tour():
        for line in expected:
            assert line in printed
    assert (tmp_path / "tour" / "results.csv").read_bytes().count(b"\r\n") == 5
    assert len(list(tour())) > 8


def test_the_tour_is_short():
    assert sum(command.count("\n") + 1 for command, _ in tour()) <= 30
