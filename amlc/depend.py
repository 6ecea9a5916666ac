"""Write the rules by which make knows what a manifest is made of: files, and the environment."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from amlc.model import Experiment
from amlc.render.engine import template_files
from amlc.render.snapshot import Snapshot

_PLAIN: Final = frozenset(string.ascii_letters + string.digits + "_./+,@-")
_OTHER: Final = "amlc-other-environment"
_OWN: Final = re.compile(r"SHELL|CURDIR|MAKE\w*|MFLAGS")
"""Variables that are make's own, whatever the environment says."""


def rules(
    experiment: Experiment, manifest: Path, backend: str, code: Snapshot, depends: Sequence[Path]
) -> str:
    """Return the text of `depend.mk`.

    Paths are relative to the current folder. depends: further files that count.
    """
    target = _path(manifest)
    inputs = [
        *experiment.inputs,
        *template_files(experiment.templates),
        *sorted({file.source for file in code.files}),
        *code.folders,
        *depends,
    ]
    names = list(dict.fromkeys(_path(path) for path in inputs))
    lines = [
        "# Written by amlc compile: what the manifest is made of.",
        f"AMLC_MANIFEST.{backend}.{_path(experiment.source)} := {target}",
        f"{target}: \\",
        *(f"  {name} \\" for name in names),
        "",
        "# An input that is gone means: compile again, not: stop.",
        *(f"{name}:" for name in names),
        *_of_variables(experiment.variables, target),
    ]
    return "\n".join(lines) + "\n"


def _of_variables(variables: Mapping[str, str], target: str) -> Iterator[str]:
    """Yield the rule that compiles again where a variable has another value than it had.

    Only a checksum of all of them stands there: a value may be nobody's business. It is made of
    what make has for them, which `make NAME=value` says too, and which recipes get.
    """
    names = [name for name in variables if not _OWN.fullmatch(name)]
    if not names:
        return
    quoted = " ".join(f"'$(subst ','\\'',$(value {name}))'" for name in names)
    text = "".join(f"{variables[name]}\n" for name in names)
    yield ""
    yield "# So does another value of what stands for a ${NAME}."
    yield f"ifneq ($(shell printf '%s\\n' {quoted} | cksum),{cksum(os.fsencode(text))})"
    yield f".PHONY: {_OTHER}"
    yield f"{target}: {_OTHER}"
    yield "endif"


def cksum(content: bytes) -> str:
    """Return what the program cksum of POSIX prints for a content: checksum, and length."""
    length = len(content)
    tail = length.to_bytes((length.bit_length() + 7) // 8, "little")
    return f"{~_crc((*content, *tail)) & 0xFFFFFFFF} {length}"


def _crc(content: Iterable[int]) -> int:
    crc = 0
    for byte in content:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    return crc


def _path(path: Path) -> str:
    """Return `path` for make, what means something there as the wildcard that also matches it."""
    text = (
        os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd().resolve()) else str(path)
    )
    return re.sub(r"[\x00-\x7f]", lambda match: match[0] if match[0] in _PLAIN else "?", text)
