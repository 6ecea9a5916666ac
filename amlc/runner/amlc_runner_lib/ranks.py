"""Tell which process of a distributed trial this is: of many that run it, one records it."""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Who am I, and of how many: PyTorch's launchers, Open MPI, and Azure ML for a node. A rank without
# others is none.
_RANKS = (
    (b"RANK", b"WORLD_SIZE"),
    (b"OMPI_COMM_WORLD_RANK", b"OMPI_COMM_WORLD_SIZE"),
    (b"AZUREML_CR_NODE_RANK", b"AZUREML_NODE_COUNT"),
)
_CHIEFS = ("chief", "master", "worker")  # TensorFlow's: the first kind that a cluster has


def rank_of(environ: "Mapping[bytes, bytes]") -> str:
    """Return the rank of this process as a word for file names, "" for the one that records."""
    task = _tensorflow_task(environ.get(b"TF_CONFIG", b""))
    if task is not None:
        return task
    for name, size in _RANKS:
        rank, count = environ.get(name, b""), environ.get(size, b"")
        if rank.isdigit() and count.isdigit() and int(count) > 1:
            return str(int(rank)) if int(rank) else ""
    return ""


def is_awaited(rank: str) -> bool:
    """Tell whether the trial needs this process to end well.

    A parameter server serves until it is ended.
    """
    return not rank.startswith("ps-")


def _tensorflow_task(text: bytes) -> "str | None":
    try:
        config = json.loads(text.decode("utf-8"))
        cluster, kind, index = config["cluster"], config["task"]["type"], config["task"]["index"]
        tasks = sum(len(hosts) for hosts in cluster.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if tasks < 2 or not isinstance(kind, str) or not kind.isalnum() or not isinstance(index, int):
        return None
    chief = [name for name in _CHIEFS if name in cluster][:1]
    return "" if [kind] == chief and index == 0 else f"{kind}-{index}"
