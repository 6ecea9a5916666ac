"""`amlc migrate`: an experiment file in NNI's v1 format, written in the keys of today."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import yaml

from amlc.config.legacy import refuse_legacy, to_v2
from amlc.config.load import load_document
from amlc.errors import UsageError


def migrate(*, file: Path, out: TextIO, err: TextIO, quiet: bool) -> int:
    """Print the file as YAML of NNI v3, and on `err` which of its keys have no successor. Comments do not survive."""
    document = load_document(file)
    if not isinstance(document.data, Mapping) or refuse_legacy(document) is None:
        raise UsageError(f"{file}: not in NNI's v1 format, so there is nothing to convert. Try: amlc validate {file}.")
    config, dropped = to_v2(document.data)
    yaml.safe_dump(config, out, sort_keys=False, allow_unicode=True)
    for key in () if quiet else dropped:
        print(f"{file}: '{key}' has no successor and is left out.", file=err)
    return 0
