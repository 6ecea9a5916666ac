"""Runs the user's own classes.

Finds them, constructs them, and calls them so that the same calls do the same.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import inspect
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Final

from amlc.errors import AmlcError, did_you_mean
from amlc.model import Algorithm

_AMLC = Path(__file__).parent
_PYTHON = (contextlib.__file__, importlib.__file__)
_imported: dict[str, set[str]] = {}
"""The modules in each code directory that were imported for a class of it."""

_ENVIRONMENT: Final = {
    "NNI_MODE": "create",
    "NNI_LOG_LEVEL": "info",
    "NNI_INCLUDE_INTERMEDIATE_RESULTS": "false",
    "NNI_TUNER_COMMAND_CHANNEL": "ws://amlc",
}
"""What NNI 3.0's manager sets for the process that runs such classes. Not SDK_PROCESS, which takes
the trial's half from every `import nni`; and not its two folders, since a path of this machine
could become part of parameters, and so of trial ids."""


class UserCodeError(AmlcError):
    """A class of the user's failed, or is none that can be used; shows its traceback."""

    exit_code = 1


class Stage:
    """Where the code of one object runs.

    Its import path, its environment, its random numbers, and standard error for what it prints.
    `random`, `numpy.random` and the generators of numpy that are made without a seed give the
    object the same numbers in every process, and nothing that runs elsewhere notices.
    """

    def __init__(self, algorithm: Algorithm, kind: str, *, seed: int) -> None:
        self.where = f"{kind} {algorithm.class_name} ({algorithm.code_directory})"
        self._algorithm = algorithm
        self._seed = seed
        self._is_open = False
        self._entropy = random.Random()  # noqa: S311 - no secrets
        self._random, self._numpy = self._start()

    def _start(self) -> tuple[Any, Any]:
        from numpy.random import RandomState

        states = random.Random(self._seed).getstate(), RandomState(self._seed % 2**32).get_state()  # noqa: S311
        # At last, because RandomState draws from it, even with a seed.
        self._entropy.seed(f"entropy {self._seed}")
        return states

    @contextmanager
    def open(self, doing: str) -> Iterator[None]:
        """Run the object's code; an exception becomes a UserCodeError that says `doing`."""
        try:
            with self.kept_open():
                yield
        except UserCodeError:
            raise
        except (Exception, SystemExit) as err:
            raise UserCodeError(f"{self.where}: {doing} failed.\n{_traceback(err)}") from err

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Open the stage for many calls, each of which says what it does by `open`.

        Changing scenes takes a while.
        """
        if self._is_open:
            yield
            return
        with self._path(), _environment(), self._random_numbers(), redirect_stdout(sys.stderr):
            self._is_open = True
            try:
                yield
            finally:
                self._is_open = False

    def construct(self) -> Any:
        """Return an instance of the class, constructed with `classArgs`.

        To be called on the open stage. Raises UserCodeError when NNI or the class is not there, or
        does not take the arguments.
        """
        wanted, arguments = self._class(), copy.deepcopy(dict(self._algorithm.class_args))
        try:
            signature = inspect.signature(wanted)
            signature.bind(**arguments)
        except ValueError:  # a class that cannot be inspected
            pass
        except TypeError as err:
            raise UserCodeError(
                f"{self.where}: classArgs do not fit: {err}. It takes {signature}."
            ) from err
        return wanted(**arguments)

    def _class(self) -> Callable[..., Any]:
        self.need_nni()
        module_name, _, name = (self._algorithm.class_name or "").rpartition(".")
        module = self._module(module_name)
        found: Callable[..., Any] | None = getattr(module, name, None)
        if not callable(found):
            classes = [key for key, value in vars(module).items() if inspect.isclass(value)]
            raise UserCodeError(
                f"{self.where}: '{module_name}' has no class '{name}'.{did_you_mean(name, classes)}"
            )
        return found

    def need_keywords(self, instance: Any, calls: Mapping[str, tuple[int, Sequence[str]]]) -> None:
        """Refuse methods that take all of NNI's call but its keyword arguments.

        So do those that were written for an NNI which had none.
        calls: how many arguments, and which keywords, by the method's name. Raises UserCodeError
        that names all of them.
        """
        old = []
        for name, (count, keywords) in calls.items():
            method: Any = getattr(instance, name, None)
            if _takes(method, count) and not _takes(method, count, keywords):
                taken = f"{name}{inspect.signature(method)}"
                old.append(f"{taken} does not take {' and '.join(keywords)}")
        if old:
            raise UserCodeError(
                f"{self.where}: it is written for an older NNI: {', '.join(old)}. "
                "Add **kwargs to the parameters."
            )

    def need_nni(self) -> None:
        """Import NNI, without what it writes to standard output.

        Raises UserCodeError if it is not there.
        """
        if sys.modules.get("nni") is not None:
            return
        if importlib.util.find_spec("nni") is None:
            raise UserCodeError(
                f"{self.where} needs NNI, which is not installed here: pip install nni."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NNI's own, nothing that the user could mend
            import nni
        nni.silence_stdout()  # its progress; warnings and errors still come, on standard error

    def _module(self, name: str) -> Any:
        """Return the module, imported anew for each instance.

        What stands at its top level may be part of its state.
        """
        if not self._forget():
            # What it needs is loaded now, and draws no random numbers the second time.
            self._import(name)
            self._forget()
            _set(*self._start())
        return self._import(name)

    def _import(self, name: str) -> Any:
        directory, before = self._algorithm.code_directory, set(sys.modules)
        importlib.invalidate_caches()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return importlib.import_module(name)
        except ModuleNotFoundError as err:
            if err.name is None:
                raise
            if not f"{name}.".startswith(f"{err.name}."):
                raise UserCodeError(f"{self.where}: {_missing(err.name, err)}") from err
            raise UserCodeError(f"{self.where}: codeDirectory has no module '{err.name}'.") from err
        finally:
            new = {key for key in set(sys.modules) - before if _lies_in(key, directory)}
            _imported.setdefault(str(directory), set()).update(new)

    def _forget(self) -> bool:
        """Forget the users' modules that were imported.

        Return whether those of this class were among them.
        """
        for names in _imported.values():
            for name in names:
                sys.modules.pop(name, None)
        return str(self._algorithm.code_directory) in _imported

    @contextmanager
    def _path(self) -> Iterator[None]:
        """Put the code directory behind what is installed, as NNI does.

        For the object's late imports too.
        """
        directory = str(self._algorithm.code_directory or "")
        sys.path.append(directory)
        try:
            yield
        finally:
            with suppress(ValueError):
                sys.path.reverse()  # the last one is ours: the directory may be on the path anyway
                sys.path.remove(directory)
            sys.path.reverse()

    @contextmanager
    def _random_numbers(self) -> Iterator[None]:
        import numpy.random as np_random

        outer = random.getstate(), np_random.get_state()  # noqa: NPY002
        _set(self._random, self._numpy)
        try:
            # What default_rng() and RandomState() seed themselves with, NNI's own Evolution and TPE
            # for example.
            with swapped(np_random.bit_generator, "randbits", self._entropy.getrandbits):
                yield
        finally:
            self._random, self._numpy = random.getstate(), np_random.get_state()  # noqa: NPY002
            _set(*outer)


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _takes(method: Any, count: int, keywords: Sequence[str] = ()) -> bool:
    try:
        inspect.signature(method).bind(*range(count), **dict.fromkeys(keywords))
    except ValueError:  # a callable that cannot be inspected
        return True
    except TypeError:
        return False
    return True


def _missing(module: str, err: BaseException) -> str:
    """Say in a line which module the user's code lacks, where it asks for it, and what to do."""
    last = next(
        frame
        for frame in reversed(traceback.extract_tb(err.__traceback__))
        if not (frame.filename.startswith("<frozen importlib") or frame.filename in _PYTHON)
    )
    place = f"{Path(last.filename).name}:{last.lineno} imports '{module}'"
    if not module.startswith("nni."):
        return f"{place}, which is not in codeDirectory, nor installed here."
    return f"{place}, which NNI 3.0 does not have. {_moved(module)}"


def _moved(module: str) -> str:
    """Return where a module of older versions of NNI is now."""
    if module in ("nni.protocol", "nni.runtime.protocol"):
        return (
            "CommandType is in nni.runtime.tuner_command_channel, and send(…) is self.send(…) now."
        )
    name = module.split(".")[1]
    for package in ("nni.runtime", "nni.algorithms.hpo"):
        if importlib.util.find_spec(f"{package}.{name}") is not None:
            return f"It is {package}.{name} now."
    return "The class needs a change."


def _set(of_random: Any, of_numpy: Any) -> None:
    from numpy.random import set_state

    random.setstate(of_random)
    set_state(of_numpy)  # noqa: NPY002 - the state that the user's code draws from


@contextmanager
def swapped(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an attribute another value for a while, if it is there at all."""
    if not hasattr(owner, name):
        yield
        return
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _lies_in(module: str, directory: Path | None) -> bool:
    """Return whether it is a module of the user's, not of an environment installed there."""
    file = getattr(sys.modules[module], "__file__", None)
    if file is None or directory is None or not Path(file).is_relative_to(directory):
        return False
    return "site-packages" not in Path(file).relative_to(directory).parts


def _traceback(err: BaseException) -> str:
    """Return the user's part of the traceback: from where amlc called the user's code."""
    here = err.__traceback__
    while here is not None and _between(here.tb_frame.f_code.co_filename):
        here = here.tb_next
    return "".join(traceback.format_exception(type(err), err, here)).rstrip()


def _between(file: str) -> bool:
    return (
        Path(file).is_relative_to(_AMLC) or file.startswith("<frozen importlib") or file in _PYTHON
    )
