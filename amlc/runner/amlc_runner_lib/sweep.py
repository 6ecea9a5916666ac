"""Tell which of a sweep's trials this job runs."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# In lower case, since a service may fold the case of names. The first is the service's own way to
# tell a parameter; the second is filled in where the command names it.
NAMES = (b"azureml_sweep_amlc_trial", b"amlc_sweep_index")


def swept(environ: "Mapping[bytes, bytes]") -> "int | None":
    """Return the trial's place, from 0, or None outside of a sweep.

    Raises ValueError, with a text for the user, when a sweep does not say.
    """
    folded = {name.lower(): value for name, value in environ.items()}
    found = [folded[name] for name in NAMES if name in folded]
    for value in found:
        number = _whole(value)
        if number is not None:
            return number
    if found:
        shown = found[0][:80].decode("utf-8", "replace")
        raise ValueError(f"the sweep does not say which trial this is, but {shown!r}")
    return None


def _whole(text: bytes) -> "int | None":
    """Return the whole number that a text such as `7`, `7.0` or `1E+01` is, None for others."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number == number // 1 and abs(number) < 1e15 else None
