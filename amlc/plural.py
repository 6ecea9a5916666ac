"""Write a number and what it counts: `1 trial`, `1,000 trials`."""

from __future__ import annotations


def plural(number: int, noun: str, many: str | None = None) -> str:
    """Return the number with the noun, in the plural unless it is 1.

    many: the plural, where an `s` does not make it.
    """
    return f"{number:,} {noun if number == 1 else many or f'{noun}s'}"
