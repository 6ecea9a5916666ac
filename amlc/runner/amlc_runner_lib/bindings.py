"""Put the job's inputs and outputs into the trial command, quoted as the shell reads them there."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PREFIXES = {b"inputs": b"AMLC_INPUT_", b"outputs": b"AMLC_OUTPUT_"}
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")
_BEFORE_COMMENT = b" \t\n;&|("
_ACTIVE = b'\\"$`'  # between double quotes


def named_in(command: bytes) -> "Iterator[tuple[bytes, bytes]]":
    """Yield each `${{inputs.NAME}}` and `${{outputs.NAME}}` of a command, with its variable."""
    start = command.find(b"${{")
    while start >= 0:
        text, name = _expression(command, start)
        if name:
            yield text, name
        start = command.find(b"${{", start + 3)


def bound(
    command: bytes, environ: "Mapping[bytes, bytes]", trial_id: str, *, is_alone: bool
) -> bytes:
    """Return the command of a trial. Raises OSError when the folder of an output cannot be made.

    is_alone: whether the job has no other trial; of several each has a folder in an output.
    """

    def value(name: bytes) -> bytes:
        found = environ[name]
        if not name.startswith(_PREFIXES[b"outputs"]) or b"://" in found:  # written by its address
            return found
        found = os.path.abspath(found)
        if not is_alone:
            found = os.path.join(found, trial_id.encode())
            os.makedirs(found, exist_ok=True)
        return found

    return _filled(command, value)


def _filled(command: bytes, value: "Callable[[bytes], bytes]") -> bytes:
    result, quote, place = [], b"", 0
    while place < len(command):
        text, name = _expression(command, place)
        if name:
            piece, shown = text, _quoted(value(name), quote)
        else:
            piece = _piece(command, place, quote)
            shown = piece
            if piece in (b"'", b'"'):
                quote = b"" if quote == piece else quote or piece
        result.append(shown)
        place += len(piece)
    return b"".join(result)


def _piece(command: bytes, place: int, quote: bytes) -> bytes:
    """Return what the shell takes together: a comment, or a character, perhaps escaped."""
    one = command[place : place + 1]
    if one == b"#" and not quote and (place == 0 or command[place - 1] in _BEFORE_COMMENT):
        end = command.find(b"\n", place)
        return command[place : len(command) if end < 0 else end]
    return command[place : place + 2] if one == b"\\" and quote != b"'" else one


def _quoted(value: bytes, quote: bytes) -> bytes:
    """Return a value for a place between these quotes, or without any."""
    if quote == b'"':
        return b"".join(b"\\%c" % byte if byte in _ACTIVE else b"%c" % byte for byte in value)
    if not quote and value and _PLAIN.issuperset(value):
        return value
    inner = value.replace(b"'", b"'\\''")
    return inner if quote else b"'" + inner + b"'"


def _expression(command: bytes, place: int) -> "tuple[bytes, bytes]":
    """Return the expression that begins there, and its variable; nothing when none does."""
    end = command.find(b"}}", place) if command.startswith(b"${{", place) else -1
    if end < 0:
        return b"", b""
    section, dot, name = command[place + 3 : end].strip().partition(b".")
    if section not in _PREFIXES or not dot or not name or set(name) & set(b" \t\n{}"):
        return b"", b""
    return command[place : end + 2], _PREFIXES[section] + name
