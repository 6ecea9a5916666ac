"""Write Protocol Buffers: the fields of a message, by number, as bytes.

The few messages that TensorBoard and Weights & Biases read are as old as they are and keep their
numbers for ever. A library that writes them is 60 MB for each, and neither lets the time be said.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """Return a number from -2^63 to 2^64-1 as the format has it, seven bits a byte."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    """Return a whole number, a truth value or one of an enumeration."""
    return varint(field << 3 | _VARINT) + varint(value)


def double(field: int, value: float) -> bytes:
    """Return a float of 64 bits."""
    return varint(field << 3 | _DOUBLE) + struct.pack("<d", value)


def single(field: int, value: float) -> bytes:
    """Return a float of 32 bits; what is too large for one is infinite."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return varint(field << 3 | _FLOAT) + packed


def block(field: int, content: bytes) -> bytes:
    """Return bytes, or a message within a message."""
    return varint(field << 3 | _BYTES) + varint(len(content)) + content


def text(field: int, content: str) -> bytes:
    """Return a text; half a surrogate pair, which JSON may hold, becomes `?`."""
    return block(field, content.encode("utf-8", errors="replace"))


def mapping(field: int, entries: Mapping[str, bytes]) -> bytes:
    """Return a map of texts to messages, in its order."""
    return b"".join(block(field, text(1, key) + block(2, entries[key])) for key in entries)
