"""How values are declared of which there may be a million, and what of them stays unread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

__all__ = ["Unread", "light", "parse"]

_decode = json.JSONDecoder().raw_decode

if TYPE_CHECKING:
    from dataclasses import dataclass as light
else:

    def light(*, frozen: bool, **options: Any) -> Any:
        """Make a dataclass that is frozen to the type checker alone.

        At run time `object.__setattr__` would set each field, which takes four times as long. All
        else, its hash too, is as if it were frozen.
        """
        return dataclass(unsafe_hash=frozen, **options)


def parse(text: str) -> Any:
    """Return what JSON says that was written without space around it. Raises ValueError."""
    value, end = _decode(text)
    if end != len(text):
        raise ValueError(text)
    return value


class Unread:
    """A value of which one field, `UNREAD`, may be JSON that is read when somebody asks for it.

    text: that JSON, where there is any. Whoever makes such a value knows that it is whole.
    """

    __slots__ = ("text",)
    UNREAD: ClassVar[str]
    text: str

    if not TYPE_CHECKING:  # a type checker would believe that it has any attribute

        def __getattr__(self, name: str) -> Any:  # which is not set
            if name != self.UNREAD:
                raise AttributeError(f"{type(self).__name__} has no {name!r}")
            value = parse(self.text)
            setattr(self, name, value)
            return value
