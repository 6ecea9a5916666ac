"""Stand in for NNI's trial API where the trial's Python cannot import nni.

Standard library only, Python 3.6 or later. The runner puts the folder above on PYTHONPATH, which
goes before site-packages; so this module first looks for a real nni and, if there is one, steps
aside for it. Else it speaks the protocol of NNI 3.0: parameters from $NNI_SYS_DIR/parameter.cfg,
metrics as lines on stdout; without NNI_PLATFORM the standalone mode, which has no parameters and
logs the metrics.

Each trial compiles what it imports of this: nobody keeps the bytecode, which a full disk leaves cut
short. So what only few trials need is imported when it is asked for.

Not here: everything of NNI that is not for trial scripts (tuners, experiments, NAS, compression).
Who asks for it is told so, and where it is.
"""

import importlib.machinery
import os
import sys

TYPE_CHECKING = False  # importing typing would cost more than all of this
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any


def _find_real(name: str) -> "ModuleSpec | None":
    """Return the spec of another regular package `name`.

    It is found as the import system would find it without this folder.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    path = [entry for entry in sys.path if not _is_same(entry, os.path.dirname(here))]
    for finder in sys.meta_path:
        if not hasattr(finder, "find_spec"):
            continue
        # Only the path finder takes a path for a top-level name; others (editable installs) know
        # their own places.
        spec = finder.find_spec(name, path if finder is importlib.machinery.PathFinder else None)
        # A folder of that name without __init__.py is the user's data; its spec has no origin (3.6:
        # "namespace").
        if spec is None or spec.loader is None or spec.origin in (None, "namespace"):
            continue
        if not _is_same(os.path.dirname(spec.origin), here):
            return spec
    return None


def _is_same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _step_aside() -> bool:
    """Put the real package in this one's place; return whether that worked."""
    spec = _find_real(__name__)
    if spec is None or spec.loader is None:
        return False
    import importlib.util  # here: it takes contextlib along

    standin, before, path = sys.modules[__name__], set(sys.modules), list(sys.path)
    real = importlib.util.module_from_spec(spec)
    sys.modules[__name__] = real
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [entry for entry in path if not _is_same(entry, root)]
    try:
        spec.loader.exec_module(real)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the trial API can do without
        # A missing dependency, or a Python too new for it: take out its pieces and stay.
        for name in set(sys.modules) - before:
            if name.startswith(__name__ + "."):
                del sys.modules[name]
        sys.modules[__name__] = standin
        sys.path[:] = path
        sys.stderr.write(
            f"amlc: nni is installed but cannot be imported ({error!r}); "
            "a stand-in takes its place\n"
        )
        return False
    return True


if not _step_aside():
    from . import _absent
    from ._trial import (
        __version__,
        get_current_parameter,
        get_experiment_id,
        get_next_parameter,
        get_next_parameters,
        get_sequence_id,
        get_trial_id,
        report_final_result,
        report_intermediate_result,
    )

    class NoMoreTrialError(Exception):
        """Raised by a tuner that has nothing more to propose.

        A trial may meet it in code that it shares with one.
        """

        def __init__(self, ErrorInfo: str = "Search space fully explored") -> None:  # noqa: N803 - NNI's name
            super().__init__(ErrorInfo)
            self.errorinfo = ErrorInfo

    if TYPE_CHECKING or sys.version_info < (3, 7):
        from ._serialize import dump, load, trace

    def __getattr__(name: str) -> "Any":  # Python 3.7 and later ask it
        if name not in ("dump", "load", "trace"):
            raise AttributeError(_absent.sentence("nni." + name))
        from . import _serialize

        return getattr(_serialize, name)

    _absent.install()

    __all__ = [
        "NoMoreTrialError",
        "__version__",
        "dump",
        "get_current_parameter",
        "get_experiment_id",
        "get_next_parameter",
        "get_next_parameters",
        "get_sequence_id",
        "get_trial_id",
        "load",
        "report_final_result",
        "report_intermediate_result",
        "trace",
    ]
