"""Signatures: a call's arguments as they are recorded, by parameter name, and back again.

1. One call, one record. `f(1)` and `f(x=1)` give the same dict in the same order, the order of
   the parameters. What was not given is not recorded: no defaults, no empty `*args` or `**kwargs`.
2. `*name` is recorded under `"*name"` as a list and `**name` under `"**name"` as a dict, so that
   they never meet a parameter's name.
3. What Python refuses is refused in Python's own words: binding is a call of a function compiled
   with the same parameters, so the interpreter itself binds, and writes the message.

A record is applied to the code of today, which may have other parameters than the code that wrote
it: known names are given by place where that is possible and by name where it is not, a gap takes
the parameter's default, and what no longer fits is left for Python to refuse at the call.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Signature:
    """The parameters of one function, with a fast way to bind calls to them."""

    __slots__ = ("_binder", "_names", "name", "parameters")

    def __init__(self, func: Callable[..., Any]) -> None:
        self.name: str = getattr(func, "__qualname__", None) or repr(func)
        self.parameters = _read_parameters(func)
        self._names = tuple(p.name for p in self.parameters.parameters.values() if p.kind in _BY_PLACE)
        self._binder: Callable[..., dict[str, Any]] | None = None

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Give a call's recorded arguments; raise the `TypeError` that the call itself would."""
        binder = self._binder
        if binder is None:  # compiled at the first call: 0.1 ms that most imports need not pay
            binder = self._binder = _compile_binder(self.name, self.parameters)
        return binder(*args, **kwargs)

    def apply(self, recorded: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the `args` and `kwargs` that call the function with recorded arguments."""
        given = tuple(recorded)
        if given == self._names[: len(given)]:
            return tuple(recorded.values()), {}
        return self._apply_any(recorded)

    def _apply_any(self, recorded: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        named: dict[str, Any] = {}
        extra: list[Any] = []
        extra_named: dict[str, Any] = {}
        for name, value in recorded.items():
            if name.startswith("**"):
                extra_named.update(value)
            elif name.startswith("*"):
                extra.extend(value)
            else:
                named[name] = value
        args: list[Any] = []
        last = self._last_place(named, bool(extra))
        for name in self._names[:last]:
            if name in named:
                args.append(named.pop(name))
                continue
            default = self.parameters.parameters[name].default
            if default is Parameter.empty:
                raise TypeError(f"{self.name}() missing 1 required positional argument: {name!r}")
            args.append(default)
        return (*args, *extra), {**named, **extra_named}

    def _last_place(self, named: Mapping[str, Any], has_extra: bool) -> int:
        """How many parameters must go by place: all before `*args` or a positional-only one."""
        if has_extra:
            return len(self._names)
        last = 0
        for place, name in enumerate(self._names, 1):
            is_next = place == last + 1
            is_place_only = self.parameters.parameters[name].kind is Parameter.POSITIONAL_ONLY
            if name in named and (is_next or is_place_only):
                last = place
        return last


def _read_parameters(func: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        # Annotations are evaluated when asked for; one that names a type imported only for checkers must not raise.
        from annotationlib import Format

        return inspect.signature(func, annotation_format=Format.FORWARDREF)
    else:
        return inspect.signature(func)


def _compile_binder(name: str, signature: inspect.Signature) -> Callable[..., dict[str, Any]]:
    """Compile a function with the same parameters that returns what it was given.

    0.3 µs a call. `inspect.Signature.bind` takes ten times that and words its errors differently.
    """
    taken = set(signature.parameters)
    missing, record, make_list = _unused("missing", taken), _unused("record", taken), _unused("list", taken)
    head: list[str] = []
    body: list[str] = []
    only_by_place = only_by_name = False
    for word, parameter in signature.parameters.items():
        kind = parameter.kind
        if only_by_place and kind is not Parameter.POSITIONAL_ONLY:
            head.append("/")
        only_by_place = kind is Parameter.POSITIONAL_ONLY
        if kind is Parameter.KEYWORD_ONLY and not only_by_name:
            head.append("*")
        only_by_name = only_by_name or kind in (Parameter.VAR_POSITIONAL, Parameter.KEYWORD_ONLY)
        if kind is Parameter.VAR_POSITIONAL:
            head.append(f"*{word}")
            body.append(f" if {word}: {record}['*{word}'] = {make_list}({word})")
        elif kind is Parameter.VAR_KEYWORD:
            head.append(f"**{word}")
            body.append(f" if {word}: {record}['**{word}'] = {word}")
        elif parameter.default is Parameter.empty:
            head.append(word)
            body.append(f" {record}['{word}'] = {word}")
        else:
            head.append(f"{word}={missing}")
            body.append(f" if {word} is not {missing}: {record}['{word}'] = {word}")
    if only_by_place:
        head.append("/")
    source = "\n".join([f"def bind({', '.join(head)}):", f" {record} = {{}}", *body, f" return {record}"])
    names: dict[str, Any] = {missing: object(), make_list: list}
    exec(compile(source, f"<arguments of {name}>", "exec"), names)
    binder: Callable[..., dict[str, Any]] = names["bind"]
    binder.__qualname__ = name  # the name that the interpreter puts into its errors
    return binder


def _unused(word: str, taken: set[str]) -> str:
    while word in taken:
        word = f"_{word}"
    return word
