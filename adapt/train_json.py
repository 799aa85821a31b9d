"""A configuration as JSON, and back: dataclasses of dataclasses, paths and tuples."""

import dataclasses
import types
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

Config = TypeVar("Config")


def to_json(config: Any) -> Any:
    """Return `config` as JSON data."""
    if dataclasses.is_dataclass(config):
        return {
            field.name: to_json(getattr(config, field.name)) for field in dataclasses.fields(config)
        }
    if isinstance(config, tuple | list):
        return [to_json(item) for item in config]
    return str(config) if isinstance(config, Path) else config


def from_json(kind: type[Config], data: Any) -> Config:
    """Read what `to_json` made. A field that is missing takes its default.

    Raises:
        TypeError: A value is not of its field's type.
        ValueError: There is a field that `kind` does not have.
        UserError: The configuration refuses a value.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__} is {data!r}, and should be an object")
    hints = get_type_hints(kind, include_extras=True)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{kind.__name__} has no {unknown[0]!r}")
    return kind(**{name: _value(hints[name], value) for name, value in data.items()})


def _value(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        return _value(get_args(hint)[0], value)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return _value(kinds[0], value) if len(kinds) == 1 else value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    if origin is tuple:
        kinds = list(get_args(hint))
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            kinds = kinds[:1] * len(value)
        return tuple(_value(kind, item) for kind, item in zip(kinds, value, strict=True))
    return Path(value) if hint is Path else value
