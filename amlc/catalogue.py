"""The tuners and assessors that there are, a row each.

Its module, its arguments with defaults and bounds, its space. The names in messages, in the schema
and in docs/tuners.md come from here, and nothing is imported for it: each is loaded only when it is
asked for, since all of them take as long as reading a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One key of `classArgs`. kinds: the types it may have; float takes whole numbers too.

    low, high: inclusive bounds. above: an exclusive lower bound. one_of: the only texts it may be.
    nested: it is a mapping with these keys. instead: what amlc does where NNI would heed the value;
    a warning says so, unless the value is one of `exact`. refused: why it cannot be given at all.
    """

    kinds: tuple[type, ...] = ()
    default: Any = None
    low: float | None = None
    high: float | None = None
    above: float | None = None
    one_of: tuple[str, ...] = ()
    nested: Mapping[str, Argument] = field(default_factory=dict)
    instead: str = ""
    exact: tuple[Any, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """A tuner or assessor, `module` in `amlc.tuners` or `amlc.assessors`. refused.

    Why amlc does not have it instead. Of both. own: NNI does not have it. open: it takes further
    arguments, checked where it is. needs: the extra of amlc that has what has to be installed for
    it, or in words what decides that; modules: what of that it imports first; samplers: the same of
    each sampler that it may be asked for, if any.

    Of a tuner. adaptive: whether results decide what comes next, and its module has `ahead`;
    certain: for the documentation, how many trials are certain nevertheless, in words or as the
    argument that says so. types: what its space may hold; layout: for the documentation, what the
    space is where that does not say it. adds: the parameters that it gives each trial. ends:
    whether it ends by itself when the space is exhausted. schedules: it decides itself how far a
    trial runs. recalls: whether it learns from results of elsewhere, too; wants: the parameter
    without which it cannot use one.

    Of an assessor. among_all: it compares a trial with all others, running, failed and stopped ones
    too, instead of those that succeeded; to it a result that is no finite number is one too, NaN.
    """

    name: str
    module: str = ""
    alias: str = ""
    own: bool = False
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    open: bool = False
    needs: str = ""
    modules: tuple[str, ...] = ()
    samplers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    adaptive: bool = True
    certain: str = ""
    types: frozenset[str] = frozenset()
    layout: str = ""
    adds: tuple[str, ...] = ()
    ends: bool = True
    schedules: bool = False
    recalls: bool = True
    wants: str = ""
    among_all: bool = False
    refused: str = ""


NESTED: Final = "nested choice"
NUMERIC: Final = "choice of numbers"
_SIMPLE = frozenset(
    {"choice", NUMERIC, "randint", "uniform", "quniform", "loguniform", "qloguniform"}
)
_FLAT = _SIMPLE | {"normal", "qnormal", "lognormal", "qlognormal"}
_ALL = _FLAT | {NESTED}
_NUMBERS = _SIMPLE - {"choice"}
_NAS = (
    "it searches network architectures (NAS), whose layer_choice and input_choice are not part of "
    "an experiment file"
)


def _number(default: float, **bounds: Any) -> Argument:
    return Argument(kinds=(int, float), default=default, **bounds)


def _whole(default: int | None, *, low: float | None = 1, **more: Any) -> Argument:
    kinds = (int,) if default is not None else (int, type(None))
    return Argument(kinds=kinds, default=default, low=low, **more)


def _flag(*, default: bool, **more: Any) -> Argument:
    return Argument(kinds=(bool,), default=default, **more)


def _mode(default: str | None) -> Argument:
    return Argument(kinds=(str,), default=default, one_of=("maximize", "minimize"))


_MAXIMIZE = {"optimize_mode": _mode("maximize")}
_MINIMIZE = {"optimize_mode": _mode("minimize")}
_UNSAID = {"optimize_mode": _mode(None)}  # to a tuner that does not learn, it is all the same
_SEED = {"seed": _whole(None, low=0)}
_LIES = "running trials count as bad ones"
_TPE = {
    "constant_liar_type": Argument(
        kinds=(str, type(None)),
        default="best",
        one_of=("best", "worst", "mean"),
        instead=f"{_LIES}; with null, not at all",
        exact=("worst", None),
    ),
    "n_startup_jobs": _whole(10, low=0),
    "n_ei_candidates": _whole(24),
    "linear_forgetting": _whole(25),
    "prior_weight": _number(1.0, above=0),
    "gamma": _number(
        0.25, above=0, instead="0.4 times this is the share of results that count as good ones"
    ),
}
_LIAR = Argument(kinds=(str,), default="min", one_of=("min", "max", "mean"))
_ANNEAL = {**_MINIMIZE, "parallel_optimize": _flag(default=False), "constant_liar_type": _LIAR}
_TPE_LEGACY = {
    **_MINIMIZE,
    "parallel_optimize": _flag(default=False),
    "constant_liar_type": replace(_LIAR, instead=_LIES, exact=("max",)),
}
_FOLDERS = ("load_checkpoint_dir", "save_checkpoint_dir")
_CHECKPOINTS = {"all_checkpoint_dir": Argument(kinds=(str, bool, type(None)), default=None)}
_LARGEST_BUDGET = 10**12
_ASHA = {**_MAXIMIZE, "eta": _whole(3, low=2), "min_budget": _whole(3), "max_budget": _whole(None)}

SAMPLERS: Final = {
    "CmaEsSampler": ("cmaes",),
    "GPSampler": ("scipy", "torch"),
    "QMCSampler": ("scipy",),
}
"""What Optuna's samplers need that it does not install itself."""

TUNERS: Final = (
    BuiltIn(
        name="Random", module="random", adaptive=False, arguments={**_UNSAID, **_SEED}, types=_ALL
    ),
    BuiltIn(name="GridSearch", module="gridsearch", adaptive=False, arguments=_UNSAID, types=_ALL),
    BuiltIn(
        name="Batch",
        module="batch",
        alias="BatchTuner",
        adaptive=False,
        layout="one choice of mappings",
        types=_ALL,
    ),
    BuiltIn(
        name="TPE",
        module="tpe",
        certain="n_startup_jobs",
        arguments={**_MINIMIZE, **_SEED, "tpe_args": Argument(nested=_TPE)},
        types=_ALL,
    ),
    BuiltIn(name="TPE_legacy", module="tpe", certain="20", arguments=_TPE_LEGACY, types=_ALL),
    BuiltIn(
        name="Anneal",
        module="anneal",
        needs="tuners",
        modules=("hyperopt",),
        certain="1",
        arguments=_ANNEAL,
        types=_ALL,
    ),
    BuiltIn(
        name="Evolution",
        module="evolution",
        certain="population_size",
        arguments={**_MAXIMIZE, "population_size": _whole(32, high=99999)},
        types=_ALL,
    ),
    BuiltIn(
        name="SMAC",
        module="smac",
        needs="tuners",
        modules=("sklearn",),
        certain="10",
        arguments={
            **_MAXIMIZE,
            "config_dedup": _flag(
                default=False, instead="a finite space never repeats a trial", exact=(True,)
            ),
        },
        types=frozenset({"choice", NUMERIC, "randint", "uniform", "quniform", "loguniform"}),
    ),
    BuiltIn(
        name="Metis",
        module="metis",
        alias="MetisTuner",
        needs="tuners",
        modules=("sklearn",),
        certain="cold_start_num",
        arguments={
            **_MAXIMIZE,
            "no_resampling": _flag(default=True),
            "no_candidates": _flag(default=False),
            "selection_num_starting_points": _whole(600),
            "cold_start_num": _whole(10),
            "exploration_probability": _number(0.9, low=0, high=1),
        },
        types=frozenset({NUMERIC, "randint", "uniform", "quniform"}),
    ),
    BuiltIn(
        name="GP",
        module="gp",
        alias="GPTuner",
        needs="tuners",
        modules=("scipy",),
        certain="cold_start_num",
        arguments={
            **_MAXIMIZE,
            "utility": Argument(kinds=(str,), default="ei", one_of=("ei", "ucb", "poi")),
            "kappa": _number(5.0, low=0),
            "xi": _number(0.0, low=0),
            "nu": _number(2.5, above=0),
            "alpha": _number(1e-6, above=0),
            "cold_start_num": _whole(10),
            "selection_num_warm_up": _whole(100_000),
            "selection_num_starting_points": _whole(250, low=0),
        },
        types=_NUMBERS,
    ),
    BuiltIn(
        name="PBT",
        module="pbt",
        alias="PBTTuner",
        certain="the generation",
        arguments={
            **_MAXIMIZE,
            "all_checkpoint_dir": Argument(kinds=(str, type(None)), default=None),
            "population_size": _whole(10),
            "factor": _number(0.2, low=0),
            "resample_probability": _number(0.25, low=0, high=1),
            "fraction": _number(0.2, low=0, high=1),
        },
        types=_FLAT,
        adds=_FOLDERS,
        ends=False,
        schedules=True,
        wants="save_checkpoint_dir",
    ),
    BuiltIn(
        name="DNGO",
        module="dngo",
        alias="DNGOTuner",
        needs="tuners",
        modules=("sklearn",),
        certain="trials_per_update",
        arguments={
            **_MAXIMIZE,
            "sample_size": _whole(1000),
            "trials_per_update": _whole(20),
            "num_epochs_per_training": _whole(500),
        },
        types=_NUMBERS,
    ),
    BuiltIn(
        name="Hyperband",
        module="hyperband",
        certain="the first rungs of a cycle",
        arguments={
            **_MAXIMIZE,
            "R": _whole(60, high=_LARGEST_BUDGET),
            "eta": _whole(3, low=2),
            "exec_mode": Argument(
                kinds=(str,), default="parallelism", one_of=("parallelism", "serial")
            ),
            **_CHECKPOINTS,
        },
        types=_FLAT,
        adds=("TRIAL_BUDGET", *_FOLDERS),
        ends=False,
        schedules=True,
        recalls=False,
    ),
    BuiltIn(
        name="BOHB",
        module="bohb",
        certain="what is left of the first rung",
        arguments={
            **_MAXIMIZE,
            "min_budget": _whole(1),
            "max_budget": _whole(3, high=_LARGEST_BUDGET),
            "eta": _whole(3, low=2),
            "min_points_in_model": _whole(None),
            "top_n_percent": _whole(15, high=99),
            "num_samples": _whole(64),
            "random_fraction": _number(1 / 3, low=0, high=1),
            "bandwidth_factor": _number(3.0, above=0),
            "min_bandwidth": _number(1e-3, above=0),
            "config_space": Argument(
                kinds=(str, type(None)), instead="the experiment's search space is searched"
            ),
            **_CHECKPOINTS,
        },
        types=_FLAT,
        adds=("TRIAL_BUDGET", *_FOLDERS),
        ends=False,
        schedules=True,
    ),
    BuiltIn(
        name="Optuna",
        module="optuna_samplers",
        own=True,
        needs="by sampler",
        samplers=SAMPLERS,
        certain="the sampler's random start",
        arguments={**_MINIMIZE, **_SEED, "sampler": Argument(kinds=(str,), default="TPESampler")},
        types=_ALL,
        open=True,
    ),
    BuiltIn(
        name="ASHA",
        module="asha",
        own=True,
        certain="none",
        arguments=_ASHA,
        types=_ALL,
        recalls=False,
    ),
    BuiltIn(name="PPO", alias="PPOTuner", refused=_NAS),
    BuiltIn(name="NetworkMorphism", refused=_NAS),
    BuiltIn(name="RegularizedEvolutionTuner", refused=_NAS),
)
ASSESSORS: Final = (
    BuiltIn(
        name="Medianstop",
        module="medianstop",
        arguments={**_MAXIMIZE, "start_step": _whole(0, low=0, high=9999)},
    ),
    BuiltIn(
        name="Curvefitting",
        module="curvefitting",
        needs="tuners",
        modules=("scipy",),
        arguments={
            "epoch_num": _whole(20, high=9999),
            "start_step": _whole(6, low=0, high=9999),
            "threshold": _number(0.95, low=0, high=9999),
            "gap": _whole(1, high=9999),
        },
    ),
    BuiltIn(name="ASHA", module="asha", own=True, among_all=True, arguments=_ASHA),
)


def find(name: Any, kind: str) -> BuiltIn | None:
    """Return the built-in tuner or assessor (`kind`) of that name or alias, in upper or lower case.

    None if none.
    """
    if not isinstance(name, str):
        return None
    table = ASSESSORS if kind == "assessor" else TUNERS
    return next(
        (known for known in table if name.lower() in (known.name.lower(), known.alias.lower())),
        None,
    )


def names(kind: str) -> tuple[str, ...]:
    """Return the names of the tuners or assessors (`kind`) that amlc has."""
    table = ASSESSORS if kind == "assessor" else TUNERS
    return tuple(known.name for known in table if not known.refused)


def filled(arguments: Mapping[str, Argument], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `given` with the default of every argument that it lacks.

    Keys in the order of the table.
    """
    result = {}
    for key, argument in arguments.items():
        if argument.nested:
            result[key] = filled(argument.nested, given.get(key) or {})
        else:
            result[key] = given.get(key, argument.default)
    return result
