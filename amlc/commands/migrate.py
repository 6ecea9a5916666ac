"""`amlc migrate`: an experiment file in NNI's v1 format, written in the keys of today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from amlc.config.legacy import refuse_legacy, to_v2
from amlc.config.load import load_document
from amlc.errors import UsageError


@dataclass(frozen=True, slots=True)
class Migrated:
    """A file in the keys of NNI v3, and those of its old keys that have no successor."""

    config: Mapping[str, Any]
    dropped: Sequence[str]

    @property
    def text(self) -> str:
        """The file as YAML. Comments do not survive."""
        text: str = yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True)
        return text


def migrate(file: Path) -> Migrated:
    """Convert a file of NNI v1. Raises UsageError for any other."""
    document = load_document(file)
    if not isinstance(document.data, Mapping) or refuse_legacy(document) is None:
        raise UsageError(
            f"{file}: not in NNI's v1 format, so there is nothing to convert. Try: "
            f"amlc validate {file}."
        )
    return Migrated(*to_v2(document.data))
