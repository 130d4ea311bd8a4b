"""Reading the configuration, and documenting it from its own models."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from viamachinae.config import Model, ScanConfig
from viamachinae.errors import BadInputError


@dataclass(frozen=True)
class Option:
    """One option: its dotted path, type in words, default as JSON, and description."""

    path: str
    type: str
    default: str
    description: str


def read_config(path: Path, overrides: Sequence[str] = ()) -> ScanConfig:
    """Read a YAML configuration and apply overrides ``key.subkey=value``.

    Raises
    ------
    BadInputError
        If the file cannot be read, or an option is unknown or has a value that does not fit.
    """
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be read ({error.strerror}); name a YAML file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise BadInputError(f"{path}: is not valid YAML ({where})") from None
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise BadInputError(f"{path}: must hold options as `key: value`, one configuration a file")
    for override in overrides:
        _override(given, override)
    return parse_config(given, str(path))


def parse_config(given: dict[str, Any], name: str) -> ScanConfig:
    """Validate options; `name` is what messages call their origin.

    Raises
    ------
    BadInputError
        If an option is unknown or has a value that does not fit.
    """
    try:
        return ScanConfig.model_validate(given)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        n = len({tuple(_place(problem["loc"]).names) for problem in problems})
        more = f" (and {n - 1} more)" if n > 1 else ""
        raise BadInputError(f"{name}: {_sentence(problems[0])}{more}") from None


def _override(given: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise BadInputError(f"--set {override}: write it as key.subkey=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    *parents, last = key.split(".")
    for parent in parents:
        below = given.setdefault(parent, {})
        if not isinstance(below, dict):
            raise BadInputError(f"--set {override}: {parent} holds a value, not options")
        given = below
    given[last] = value


def _sentence(problem: ErrorDetails) -> str:
    place = _place(problem["loc"])
    path = ".".join(place.names) or "the configuration"
    if problem["type"] == "extra_forbidden":
        return f"{path} {_why_not_here(place)}"
    if problem["type"] == "missing":
        return f"{path} is needed and not given"
    if problem["type"] == "union_tag_not_found":
        return f"{path}.{_tag_name(place.variants[0])} is needed and not given"
    if problem["type"] == "union_tag_invalid":
        words = " or ".join(_tag(model) for model in place.variants)
        tag = problem["ctx"]["tag"]
        return f"{path}.{_tag_name(place.variants[0])}: must be {words} (given: {tag!r})"
    message = problem["msg"].removeprefix("Value error, ").partition(" for <class")[0]
    given = "" if isinstance(problem["input"], dict) else f" (given: {problem['input']!r})"
    return f"{path}: {message[:1].lower()}{message[1:]}{given}"


class _Place(NamedTuple):
    """Where an error is: names of the option, models that may stand there, all their variants."""

    names: list[str]
    models: list[type[Model]]
    variants: list[type[Model]]


def _place(loc: tuple[int | str, ...]) -> _Place:
    """Follow an error's place through the models.

    Pydantic puts more into it than names: behind a section with variants the tag of one, behind
    an option of several types the one that was tried.
    """
    names, models, variants = list[str](), list[type[Model]]([ScanConfig]), list[type[Model]]()
    for part in map(str, loc):
        if len(models) > 1:
            models = [model for model in models if _tag(model) == part]
            continue
        field = models[0].model_fields.get(part) if models else None
        if field:
            models = variants = _models_in(field.annotation)
        if field or "[" not in part:
            names.append(part)
    return _Place(names, models, variants)


def _why_not_here(place: _Place) -> str:
    """What to say of an unknown option."""
    *section, name = place.names
    others = [model for model in place.variants if name in model.model_fields]
    if others:
        tag = ".".join([*section, _tag_name(others[0])])
        words = " or ".join(_tag(model) for model in others)
        return f"needs {tag}: {words} (here it is {_tag(place.models[0])})"
    here = {field: field for field in place.models[0].model_fields}
    elsewhere = {option.path.split(".")[-1]: option.path for option in reversed(options())}
    for known in (here, elsewhere):
        if close := difflib.get_close_matches(name, known, n=1, cutoff=0.75):
            return f"is not an option here; did you mean {known[close[0]]}?"
    return "is not an option here; `viamachinae config --table` lists all"


def _models_in(annotation: Any) -> list[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def options(model: type[Model] = ScanConfig, prefix: str = "") -> list[Option]:
    """All options in the order of the models; those of a variant carry its name in brackets."""
    found: list[Option] = []
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        inner = _models_in(field.annotation)
        many = get_origin(field.annotation) is list
        if not inner or many:
            found.append(Option(path, _type(field.annotation), _default(field), _words(field)))
        below = f"{path}[]" if many else path
        for variant in inner:
            tag = f"({_tag(variant)})" if len(inner) > 1 else ""
            found += options(variant, f"{below}{tag}.")
    return found


def _tag_name(model: type[Model]) -> str:
    """The option that names the variant that a model is; empty where it is no variant."""
    names = ("tiling", "source", "kind", "family", "method")
    return next((name for name in names if name in model.model_fields), "")


def _tag(model: type[Model]) -> str:
    """Name of the variant that a model is; empty where it is no variant."""
    name = _tag_name(model)
    return str(get_args(model.model_fields[name].annotation)[0]) if name else ""


def _type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0])
    if origin is Literal:
        return " | ".join(str(part) for part in parts)
    if origin in (Union, types.UnionType):
        return " | ".join(_type(part) for part in parts)
    if origin is not None:
        return f"{origin.__name__}[{', '.join(_type(part) for part in parts)}]"
    if annotation is type(None):
        return "null"
    return str(getattr(annotation, "__name__", annotation))


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    return "needed" if default is PydanticUndefined else json.dumps(default, default=str)


def _words(field: FieldInfo) -> str:
    return field.description or "Which variant of the section this is."


def option_table() -> str:
    """Markdown table of all options."""
    rows = [
        f"| `{o.path}` | {_cell(o.type)} | `{o.default}` | {o.description} |" for o in options()
    ]
    head = ["| option | type | default | meaning and source |", "|---|---|---|---|"]
    return "\n".join(head + rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def json_schema() -> str:
    """JSON schema of the configuration."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**dialect, **ScanConfig.model_json_schema()}, indent=2) + "\n"


def to_yaml(config: ScanConfig) -> str:
    """YAML that reads back as the same configuration."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def defaults_yaml() -> str:
    """YAML of all defaults, each with its meaning as a comment."""
    return "\n".join(_commented(ScanConfig(), "")) + "\n"


def _commented(model: Model, indent: str) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, Model):
            yield f"{indent}{name}:"
            yield from _commented(value, indent + "  ")
            continue
        yield f"{indent}# {_words(field)}"
        content = model.model_dump(mode="json")[name]
        text = yaml.safe_dump(content, default_flow_style=True, width=10_000)
        yield f"{indent}{name}: {text.removesuffix('...' + chr(10)).strip()}"
