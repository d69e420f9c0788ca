"""Rules on what a workflow or step says it takes and gives."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from wfstudio.core.check.carrying import Carrier, Refusal
from wfstudio.core.check.events import Declared
from wfstudio.core.check.rules.rule import Problem, Rule
from wfstudio.core.check.scopes import Function
from wfstudio.core.check.walking import Walk


class Uncarried(Rule):
    """A workflow or step takes or gives what cannot be carried

    Found are annotations of parameters and results that name functions, classes, generators, coroutines,
    locks, open files, sockets, modules, clients, arrays and tables of the common libraries, and classes of
    the project that are neither a dataclass, a named tuple, an enum, an exception, a `TypedDict`, a pydantic
    model or a msgspec `Struct`, nor marked with `@wf.serializable`. Subclasses of `str`, `list` and their
    like are not carried either: they would come back as another type. It is a warning where a union has other
    members, which are carried. Without an annotation, nothing is found.

    ## Why

    Arguments and results are written to the log. What has no form there raises a
    [SerializationError](../errors/serialization.md) when the step is called, or when it is done.

    ## Fix

    Pass data: a dataclass, a path instead of an open file, a name instead of a function. Make clients and
    connections in the step that needs them. Return a list instead of a generator, or write to
    `wf.get_writable()`. For a class of your own `@dataclass` is enough as a rule, `@wf.serializable` says how
    else.

    ## Example

    ```python
    from collections.abc import Iterator
    from dataclasses import dataclass

    import wf


    class Cart:
        def __init__(self, items: list[str]) -> None:
            self.items = items


    @wf.step
    async def wrong(cart: Cart) -> Iterator[str]:
        return iter(cart.items)


    @dataclass
    class Basket:
        items: list[str]


    @wf.step
    async def right(basket: Basket) -> list[str]:
        return basket.items
    ```
    """

    code = "WF501"
    why = "arguments and results are written to the log, and this has no form there: the call raises SerializationError"
    fix = "pass data instead: a dataclass, a list, a path, a name"
    events = (Declared,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        if not isinstance(event, Declared):
            return
        function, carrier = event.function, event.carrier
        assert isinstance(carrier, Carrier)
        if isinstance(function.node, ast.Lambda):
            return
        for place, parameter in enumerate(function.parameters):
            if parameter.annotation is not None:
                refusal = carrier.judge(parameter.annotation, function.outer)
                if refusal is not None:
                    yield _report(parameter.annotation, f"parameter `{parameter.arg}`", event.role, function, refusal)
            elif place == 0 and event.role == "step" and _is_instance(function, walk):
                refusal = carrier.judge_owner(function.cls) if function.cls is not None else None
                if refusal is not None:
                    yield _report(parameter, f"parameter `{parameter.arg}`", event.role, function, refusal)
        if function.node.returns is not None:
            refusal = carrier.judge(function.node.returns, function.outer)
            if refusal is not None:
                yield _report(function.node.returns, "result", event.role, function, refusal)


def _is_instance(function: Function, walk: Walk) -> bool:
    if function.cls is None:
        return False
    return not walk.inference.name_decorators(function) & {"builtins.staticmethod", "builtins.classmethod"}


def _report(node: ast.AST, what: str, role: str, function: Function, refusal: Refusal) -> Problem:
    may = "may be" if refusal.is_partly else "is"
    text = f"the {what} of {role} {function.name} {may} {refusal.what.rstrip(',')}, and that cannot be carried"
    return Problem(node, text, severity="warning" if refusal.is_partly else None)


RULES: Final = (Uncarried,)
