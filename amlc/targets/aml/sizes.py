"""How many GPUs a node of Azure has, by the name of its size, as Microsoft's pages list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_GPUS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("NC6", "NC6S_V2", "NC6S_V3", "ND6S", "NV6", "NV12S_V3"), 1),
    **dict.fromkeys(("NC12", "NC12S_V2", "NC12S_V3", "ND12S", "NV12", "NV24S_V3"), 2),
    **dict.fromkeys(("NC24", "NC24R", "NC24S_V2", "NC24RS_V2", "NC24S_V3", "NC24RS_V3"), 4),
    **dict.fromkeys(("ND24S", "ND24RS", "NV24", "NV48S_V3", "NC64AS_T4_V3"), 4),
    **dict.fromkeys(("NC4AS_T4_V3", "NC8AS_T4_V3", "NC16AS_T4_V3", "NV36ADS_A10_V5"), 1),
    **dict.fromkeys(("NC24ADS_A100_V4", "NC40ADS_H100_V5"), 1),
    **dict.fromkeys(("NC48ADS_A100_V4", "NC80ADIS_H100_V5", "NV72ADS_A10_V5"), 2),
    "NC96ADS_A100_V4": 4,
    **dict.fromkeys(("ND40RS_V2", "ND96ASR_V4", "ND96AMSR_A100_V4"), 8),
    **dict.fromkeys(("ND96ISR_H100_V5", "ND96ISR_H200_V5"), 8),
}


def gpus_of(job: Any) -> int | None:
    """Return how many GPUs the node has that `amlc.job` asks for, None if it does not say."""
    resources = job.get("resources") if isinstance(job, Mapping) else None
    size = resources.get("instance_type") if isinstance(resources, Mapping) else None
    return _GPUS.get(size.upper().removeprefix("STANDARD_")) if isinstance(size, str) else None
