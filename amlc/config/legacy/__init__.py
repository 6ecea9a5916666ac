"""NNI's v1 format, read as the keys of today; every value keeps its place in the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from amlc.config.legacy.signs import PLATFORM, SERVICE, is_legacy
from amlc.model import Document, JsonPath

if TYPE_CHECKING:  # of today's files none of it is needed
    from amlc.config.legacy.moves import Move

__all__ = ["is_legacy", "modern"]


def modern(document: Document) -> Document:
    """Return a v1 file in today's keys, each at the place of its v1 key; others as they are.

    What is wrong with the v1 keys, and which of them have no effect, is added to the remarks.
    """
    if not is_legacy(document):
        return document
    from amlc.config.legacy.moves import moves, to_v2
    from amlc.config.legacy.remarks import corrected, remarks

    found = list(moves(document.data))
    block = f"{document.data.get(PLATFORM)}Config"
    places: dict[JsonPath, JsonPath] = {
        (SERVICE,): (block if block in document.data else PLATFORM,)
    }
    for move in found:
        if move.new is not None:
            for length in range(1, len(move.new)):
                places.setdefault(move.new[:length], _parent(move, length))
            places[move.new] = move.old
    return replace(
        document,
        data=to_v2(found),
        moved=places,
        meant=_ends(moves(corrected(document.data))) - _ends(found),
        remarks=(*document.remarks, *remarks(document, found)),
    )


def _ends(found: Iterable[Move]) -> frozenset[JsonPath]:
    """Return the paths of today that keys of v1 become, and those above them."""
    paths = [move.new for move in found if move.new is not None]
    return frozenset(path[:length] for path in paths for length in range(1, len(path) + 1))


def _parent(move: Move, length: int) -> JsonPath:
    """Return the block of the v1 file for the first `length` keys of a path of today."""
    assert move.new is not None
    depth = len(move.old) - (len(move.new) - length)
    return move.old[: max(depth, min(1, len(move.old)))]
