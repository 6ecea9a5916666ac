"""Read mutated files for some minutes: `python -m tests.fuzz --minutes 10`, or `make fuzz MINUTES=10`.

Files of all kinds in turn are mutated at random, by their structure and by their bytes; `tests/fuzz/guided.py` follows
what the code does with one kind of file. A finding (anything
raised but an AmlcError, over 5 s, over 1 GB) is kept in tests/fuzz/corpus/READER/, which fuzz_test reads again each time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz import readers
from tests.fuzz.grammar import HOSTILE, _paths, _with
from tests.fuzz.seeds import seeds

CORPUS = Path(__file__).parent / "corpus"
SECONDS, BYTES = 5, 1_000_000_000
PLACES = [b"\0", b"[" * 2_000, b'{"a":' * 2_000, b"\xff", b"9" * 401, b"NaN", b"1e999", b"'", b'"', b"\n", b"${", b"{{", b"&a", b"*a"]


class TooLongError(Exception):
    """An input took more than five seconds."""


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return other bytes: by the structure of JSON, or whatever it is."""
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        data = _structured(data, chance) if chance.random() < 0.5 else _garbled(data, chance)
    return data


def _structured(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    number = chance.randrange(len(lines))
    before, brace, text = lines[number].partition(chance.choice([b"{", b"["]))
    try:
        value = json.loads(brace + text.rstrip(b"'"))
    except (ValueError, RecursionError):
        return _garbled(data, chance)
    path = chance.choice(_paths(value))
    other: Any = chance.choice([*HOSTILE, None, True, -1, 0, 1e308, float("nan"), 2**63, 10**400, [], {}, [[]], {"": {}}])
    lines[number] = before + json.dumps(_with(value, path, other)).encode("utf-8", "surrogatepass")
    return b"\n".join(lines)


def _garbled(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    end = min(len(data), place + chance.choice([1, 1, 2, 8, 50]))
    match chance.randrange(6):
        case 0:
            return data[:place] + data[end:]
        case 1:
            return data[:place] + bytes(byte ^ 1 << chance.randrange(8) for byte in data[place:end]) + data[end:]
        case 2:
            return data[:place] + chance.choice(PLACES) + data[end:]
        case 3:
            return data[:place] + chance.randbytes(end - place) + data[end:]
        case 4:
            return data[:place]
        case _:
            other = chance.randrange(len(data) + 1)
            return data[:place] + data[other : other + 50] + data[place:]


def found(name: str, data: bytes, error: BaseException) -> None:
    """Keep a finding, and say it."""
    path = CORPUS / name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    where = traceback.extract_tb(error.__traceback__)[-1]
    print(f"{path}: {type(error).__name__}: {str(error)[:100]} ({where.filename}:{where.lineno})", flush=True)


def _alarm(*_: object) -> None:
    raise TooLongError


def at_random(minutes: float, seed: int, only: str | None) -> int:
    """Mutate for some minutes; return how many findings there were."""
    chance, end, counts = random.Random(seed), time.monotonic() + 60 * minutes, Counter[str]()
    known = {name: list(some) for name, some in seeds().items() if only in (None, name)}
    findings: set[tuple[str, str]] = set()
    signal.signal(signal.SIGALRM, _alarm)
    limited(BYTES)
    while time.monotonic() < end:
        name = chance.choice(list(known))
        data = mutated(chance.choice(known[name]), chance)
        counts[name] += 1
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            said = readers.read(name, data)
        except BaseException as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if isinstance(error, KeyboardInterrupt):
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            if (name, f"{where.filename}:{where.lineno}") not in findings:
                findings.add((name, f"{where.filename}:{where.lineno}"))
                found(name, data, error)
            continue
        signal.setitimer(signal.ITIMER_REAL, 0)
        # What is still read as a whole, or says something new, is worth going on from.
        if said is None and len(known[name]) < 500 and len(data) < 20_000:
            known[name].append(data)
    for name in sorted(counts):
        print(f"{name:12} {counts[name]:>10,}")
    print(f"{'all':12} {sum(counts.values()):>10,} inputs, {len(findings)} findings, seed {seed}")
    return len(findings)


def limited(size: int) -> None:
    """Let what takes more memory than that fail as a MemoryError."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=readers.READERS)
    given = parser.parse_args()
    with readers.tidied():
        sys.exit(bool(at_random(given.minutes, given.seed, given.only)))


if __name__ == "__main__":
    main()
