"""Render job files from Jinja templates in a sandbox, and read every one back before it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Protocol

import jinja2
import yaml

from amlc.errors import Sentence, TemplateError
from amlc.model import Experiment, Trial
from amlc.plan import Job
from amlc.render.context import STANDARD_KEYS, in_two
from amlc.render.form import Blank, filled
from amlc.render.readback import read_job
from amlc.render.scalars import to_yaml
from amlc.render.sweep import OF_SWEEP, flat, is_sweep
from amlc.resources import templates_dir
from amlc.sandbox import MOST_SIZE, BoundedSandbox

TEMPLATE = "command-job.yml.j2"
SWEEP_TEMPLATE = "sweep-job.yml.j2"

_OF_SWEEP = STANDARD_KEYS | {*OF_SWEEP, "trial"}


class Render(Protocol):
    """What gives the bytes of a job's file. records: those of the job, where they are known."""

    def __call__(self, job: Job, records: Sequence[str] | None = ...) -> bytes: ...


def renderer(experiment: Experiment, *, revision: str, folder: Path | None = None) -> Render:
    """Return what turns a job into the bytes of its file, by the user's templates or amlc's.

    folder: the build folder.

    The returned function raises TemplateError when the template fails, when its output is not one
    YAML mapping, or when that does not carry the job's name, tags and environment variables
    unchanged.
    """
    environment = _environment(experiment.templates)
    name = SWEEP_TEMPLATE if experiment.sweep else TEMPLATE
    templates = {name: _load(environment, experiment.templates, name)}
    own, whole = in_two(experiment, revision=revision, folder=folder)

    def template_of(mapping: Mapping[str, Any]) -> jinja2.Template:
        name = SWEEP_TEMPLATE if is_sweep(mapping) else TEMPLATE
        if name not in templates:  # what ran before there was a sweep
            templates[name] = _load(environment, experiment.templates, name)
        return templates[name]

    def printed(mapping: Mapping[str, Any], trials: Sequence[Trial] = ()) -> str:
        known = _OF_SWEEP if is_sweep(mapping) else STANDARD_KEYS
        more = {key: value for key, value in mapping.items() if key not in known}
        template = template_of(mapping)
        try:
            environment.begin()
            return template.render(
                job=mapping, experiment=experiment, trials=trials, revision=revision, more=more
            )
        # A template can raise anything, and every one of them is the template's fault.
        except Exception as err:
            raise _failure(template, err) from err

    def checked(mapping: Mapping[str, Any], trials: Sequence[Trial] = ()) -> str:
        text = printed(mapping, trials)
        _check(text, mapping, f"{_name(template_of(mapping))}: job {mapping.get('name')}")
        return text

    fill = filled(printed, checked) if experiment.templates is None else None

    def render(job: Job, records: Sequence[str] | None = None) -> bytes:
        values = own(job, job.records() if records is None else records)
        if fill and not job.sweep:
            alike = job.file.count("/"), len(job.trials)
            return fill(values, alike, partial(whole, job)).encode()
        return checked(whole(job, values), job.trials).encode()

    return render


def template_files(folder: Path | None) -> tuple[Path, ...]:
    """Return the template files that can decide the output.

    All of amlc's and all of the user's folder.
    """
    folders = [templates_dir(), *([folder] if folder else [])]
    return tuple(sorted(path for root in folders for path in root.rglob("*") if path.is_file()))


class _Sandbox(BoundedSandbox):
    """The sandbox, in which paths are names to print, not files to read or remove."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        # The sandbox looks for an attribute first, which takes long: `job.name` is a key.
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_callable(self, obj: Any) -> bool:
        if isinstance(getattr(obj, "__self__", None), PurePath):
            return False
        return super().is_safe_callable(obj)


def _yaml(value: Any) -> str:
    # What is undefined says so when it is printed, and a blank prints as its place.
    return str(value) if isinstance(value, (jinja2.Undefined, Blank)) else to_yaml(value)


def _environment(folder: Path | None) -> BoundedSandbox:
    own = jinja2.FileSystemLoader(templates_dir())
    users = [jinja2.FileSystemLoader(folder)] if folder else []
    environment = _Sandbox(
        loader=jinja2.ChoiceLoader([*users, jinja2.PrefixLoader({"amlc": own}), own]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = environment.counted("yaml", _yaml)
    return environment


def _load(environment: BoundedSandbox, folder: Path | None, name: str) -> jinja2.Template:
    try:
        return environment.get_template(name)
    except jinja2.TemplateSyntaxError as err:
        raise TemplateError(f"{err.filename or err.name}:{err.lineno}: {err.message}") from err
    except UnicodeDecodeError as err:
        raise TemplateError(f"{folder or templates_dir()}/{name}: not UTF-8: {err}") from err
    except jinja2.TemplateNotFound as err:
        raise TemplateError(
            f"{folder or templates_dir()}: there is no template {err.message!r}"
        ) from err


def _name(template: jinja2.Template) -> str:
    return template.filename or template.name or TEMPLATE


def _failure(template: jinja2.Template, err: Exception) -> TemplateError:
    """Return the error with the template line that failed.

    Jinja rewrites tracebacks to template files.
    """
    if isinstance(err, jinja2.TemplateSyntaxError):  # in one that this one extends or includes
        return TemplateError(f"{err.filename or err.name}:{err.lineno}: {err.message}")
    place, trace = _name(template), err.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(".j2"):
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return TemplateError(f"{place}: {type(err).__name__}: {err}")


def _check(text: str, mapping: Mapping[str, Any], where: str) -> None:
    """Raise TemplateError unless `text` reads back as a job that carries what the plan says."""
    if len(text) > MOST_SIZE:
        raise TemplateError(
            Sentence(
                f"{where}: the output has {len(text):,} characters, and a job file {MOST_SIZE:,} "
                "at the most.",
                hint="Print less.",
            )
        )
    try:
        job = read_job(text)
    except yaml.YAMLError as err:
        raise TemplateError(
            f"{where}: the output is not YAML: {' '.join(str(err).split())}"
        ) from err
    if not isinstance(job, dict):
        raise TemplateError(
            Sentence(
                f"{where}: the output is not one mapping.",
                hint=f"Start from the blocks of amlc/{TEMPLATE}.",
            )
        )
    if is_sweep(mapping):
        for key in (*OF_SWEEP, "limits"):
            _expect(where, key, job.get(key), mapping.get(key))
        job, mapping = flat(job), flat(mapping)
    _expect(where, "name", job.get("name"), mapping.get("name"))
    for section in ("environment_variables", "tags"):
        found, planned = job.get(section), mapping.get(section)
        if found != planned and isinstance(planned, Mapping):
            _check_section(where, section, found if isinstance(found, dict) else {}, planned)
    for key in ("command", "environment"):
        if key not in job:
            raise TemplateError(
                f"{where}: the output has no '{key}', without which AML takes no job."
            )


def _check_section(
    where: str, section: str, found: Mapping[str, Any], planned: Mapping[str, Any]
) -> None:
    for key, value in planned.items():
        if key.startswith(("AMLC_", "amlc.")):
            _expect(where, f"{section}.{key}", found.get(key), value)


def _expect(where: str, key: str, found: object, expected: object) -> None:
    if found != expected or type(found) is not type(expected):
        raise TemplateError(
            Sentence(
                f"{where}: '{key}' reads back as {_short(found)}, and the plan says "
                f"{_short(expected)}.",
                hint="Print every value through '| yaml'.",
            )
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
