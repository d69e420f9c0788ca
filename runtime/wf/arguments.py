"""Arguments from outside: JSON values become what a function's annotations say.

Whoever starts a run by name, over HTTP or on a command line, has no classes to make instances of. Such
a run is marked (`plain`), and its body's process makes them, at every replay the same: a text becomes
a datetime, an object a dataclass or a model. A parameter without an annotation, or with one that has no
JSON form, gets the value as it came.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from wf.errors import ValidationError
from wf.schemas import check, describe_schema


def give_types(func: Callable[..., Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Give recorded arguments as their parameters' types. Raises `ValidationError` naming the parameter."""
    hints = _read_hints(inspect.unwrap(func))
    typed: dict[str, Any] = {}
    for name, value in recorded.items():
        hint = hints.get(name.lstrip("*"))
        if hint is None:
            typed[name] = value
        elif name.startswith("**"):
            typed[name] = {key: _check(f"{name}[{key!r}]", item, hint) for key, item in value.items()}
        elif name.startswith("*"):
            typed[name] = [_check(f"{name}[{place}]", item, hint) for place, item in enumerate(value)]
        else:
            typed[name] = _check(name, value, hint)
    return typed


def give_result_type(func: Callable[..., Any], value: Any) -> Any:
    """Give a JSON value as what a function says that it returns. Raises `ValidationError`."""
    hint = _read_hints(inspect.unwrap(func)).get("return")
    return value if hint is None else check(value, hint[0])


def _check(name: str, value: Any, hint: tuple[Any]) -> Any:
    try:
        return check(value, hint[0])
    except ValidationError as error:
        misfit = ValidationError(f"the argument {name} does not fit: {error.__cause__ or error}")
        misfit.hint = "give what the annotation of the parameter says, as JSON"
        raise misfit from None


@functools.lru_cache(maxsize=256)
def _read_hints(func: Callable[..., Any]) -> dict[str, tuple[Any]]:
    """Give the annotations that have a JSON form; each in a tuple, since None is one."""
    try:
        hints = typing.get_type_hints(func, include_extras=True)
    except Exception:  # a name that only checkers see
        return {}
    return {name: (hint,) for name, hint in hints.items() if describe_schema(hint) is not None}
