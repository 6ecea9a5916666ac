"""On how many nodes the jobs run, which is what is paid for."""

from __future__ import annotations

from amlc import files
from amlc.manifest import Manifest
from amlc.targets import target


def nodes(manifest: Manifest) -> int:
    """Return on how many nodes each job runs, by the first job's file; this machine is one."""
    first = next(manifest.entries(), None)
    if first is None or target(manifest.header.backend).RUNS_ANY:
        return 1
    from amlc.render.scalars import from_yaml  # here: it brings YAML, and jobs may run right here

    text = files.read_or_none(manifest.folder / first.file)
    job = from_yaml(text) if text else {}
    resources = job.get("resources") or (job.get("trial") or {}).get("resources") or {}
    count = resources.get("instance_count")
    return count if type(count) is int else 1
