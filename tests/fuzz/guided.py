"""Let atheris look for inputs that go new ways through amlc: `python -m tests.fuzz.guided READER --minutes 5`.

It is not among the locked packages, for it has no wheel for every Python: `pip install atheris`.
"""

from __future__ import annotations

import argparse
import sys

import atheris

with atheris.instrument_imports(include=["amlc"]):
    from tests.fuzz import readers
from tests.fuzz.__main__ import SECONDS, found
from tests.fuzz.seeds import seeds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided")
    parser.add_argument("reader", choices=readers.READERS)
    parser.add_argument("--minutes", type=float, default=1.0)
    given = parser.parse_args()

    def one(data: bytes) -> None:
        try:
            readers.read(given.reader, data)
        except Exception as error:
            found(given.reader, data, error)
            raise

    place = readers.folder() / f"corpus-{given.reader}"
    place.mkdir()
    for number, data in enumerate(seeds()[given.reader]):
        (place / str(number)).write_bytes(data)
    limits = [f"-max_total_time={int(given.minutes * 60)}", f"-timeout={SECONDS}", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", "-verbosity=0", str(place)], one)
    atheris.Fuzz()  # it ends the process


if __name__ == "__main__":
    main()
