"""Say in one sentence what the stand-in does not have, and where it is."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def sentence(name: str) -> str:
    """Return why `name` is not here."""
    return (
        f"{name} is not in amlc's stand-in, which has NNI's trial API alone; "
        "it is in the package: pip install nni"
    )


class Absent:
    """The last of the finders: it says what `nni.NAME` is, where nobody else has such a module."""

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> None:
        """Raise ModuleNotFoundError for a module of NNI."""
        if name.startswith("nni."):
            raise ModuleNotFoundError(sentence(name), name=name)


def install() -> None:
    """Put the finder behind all others."""
    sys.meta_path.append(Absent())
