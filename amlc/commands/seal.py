"""The seal of a plan: by what `amlc submit --plan` knows that it would still do exactly that."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from amlc.commands.options import Options
from amlc.errors import AmlcError, UsageError, printable
from amlc.files import mode_of, open_regular, read_bounded, write_out
from amlc.ledger import Ledger
from amlc.manifest import FILE_NAME, Manifest
from amlc.reconcile import Action

_MOST_BYTES: Final = 1_000_000_000
_OURS: Final = ("parallel", "among")  # no part of what the user decides about
_SEALED: Final = tuple(field.name for field in fields(Options) if field.name not in _OURS)


class StaleError(AmlcError):
    """The plan is not what a submit would do any more."""

    exit_code = 1
    code = "E-stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a plan was made of.

    manifest: the SHA-256 of the manifest. ledger: the number of the last event, 0 without any.
    options: those of the submit. submissions: job name and attempt of each, in order, with the ids
    of its trials.
    """

    experiment: str
    manifest: str
    ledger: int
    options: Mapping[str, Any]
    submissions: Sequence[Mapping[str, Any]] = ()


def sealed(manifest: Manifest, ledger: Ledger, options: Options, actions: Sequence[Action]) -> Seal:
    """Return the seal of what is compiled and recorded now."""
    submissions = tuple(
        {
            "job": action.name,
            "attempt": action.number,
            "reason": action.reason.value,
            "trials": [trial.id for trial in action.trials],
        }
        for action in actions
    )
    values = asdict(options)
    return Seal(
        experiment=manifest.header.experiment,
        manifest=_digest(manifest),
        ledger=ledger.last_number,
        options={
            name: list(values[name]) if isinstance(values[name], (set, tuple)) else values[name]
            for name in _SEALED
        },
        submissions=submissions,
    )


def read_seal(file: Path) -> Seal:
    """Read the seal of a plan that `amlc plan -o` wrote. Raises UsageError when it has none."""
    try:
        value = json.loads(read_bounded(file, _MOST_BYTES))["seal"]
        return Seal(**{field.name: value[field.name] for field in fields(Seal)})
    except OSError as err:
        raise UsageError(printable(f"{file}: cannot be read: {err.strerror}.")) from err
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise UsageError(
            printable(f"{file}: not a sealed plan. Write one, to another file: amlc plan -o FILE.")
        ) from err


def write_seal(file: Path, plan: str) -> None:
    """Write a sealed plan, in the place of an older one, or of an empty file, as mktemp makes it.

    Raises UsageError where there is another file, which stays as it was.
    """
    if stat.S_ISREG(mode_of(file)) and file.stat().st_size and not _is_sealed_plan(file):
        raise UsageError(
            printable(
                f"{file} is there already, and no sealed plan: nothing was written. "
                "Name another file."
            )
        )
    write_out(file, plan.encode())


def _is_sealed_plan(file: Path) -> bool:
    """Tell whether `amlc plan -o` wrote a file, of whichever version."""
    with open_regular(file) as stream:
        if stream.read(1) != b"{":  # of what is no JSON object not all has to be read
            return False
    try:
        value = json.loads(read_bounded(file, _MOST_BYTES))
        return value["command"] == "plan" and isinstance(value["seal"], dict)
    except (ValueError, KeyError, RecursionError):
        return False


def options_of(seal: Seal, *, parallel: int) -> Options:
    """Return the options that a plan was made with."""
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in seal.options.items()
    }
    try:
        return Options(**given, parallel=parallel)
    except TypeError as err:
        raise UsageError("the plan is of another version of amlc. Make it again.") from err


def check_seal(seal: Seal, manifest: Manifest, ledger: Ledger) -> None:
    """Raise StaleError if what is compiled or recorded is not what the plan was made of."""
    if seal.experiment != manifest.header.experiment:
        why = f"it is a plan of '{seal.experiment}', and this is '{manifest.header.experiment}'"
    elif seal.manifest != _digest(manifest):
        why = "what is compiled is not what was compiled then"
    elif seal.ledger != ledger.last_number:
        why = "something was recorded since then: a submit, or how a job stands"
    else:
        return
    raise StaleError(f"the plan is stale: {why}. Make it again: amlc plan -o FILE.")


def _digest(manifest: Manifest) -> str:
    digest = hashlib.sha256()
    with (manifest.folder / FILE_NAME).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
