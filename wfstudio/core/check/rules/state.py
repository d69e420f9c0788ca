"""Rules on state that outlives a run: variables of modules, classes and outer functions, shared defaults."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from wfstudio.core.check.events import Changed, Entered, Read
from wfstudio.core.check.inference import Inference, Place
from wfstudio.core.check.kinds import Inside, Outside, Type
from wfstudio.core.check.rules.rule import Problem, Rule
from wfstudio.core.check.scopes import Assigned, Function, Scope
from wfstudio.core.check.visiting import MUTATORS, find_root
from wfstudio.core.check.walking import Walk


class OuterState(Rule):
    """A body changes what outlives the run

    Found are assignments by `global`, and by `nonlocal` to a variable of a function around the workflow;
    changes of containers, objects, classes and modules that stand outside of the body: `SEEN.append(x)`,
    `CACHE[key] = value`, `Counter.total += 1`. What belongs to the body itself, its helpers' variables
    included, is free to change.

    ## Why

    A variable of a module belongs to the process, not to the run. All runs share it, a replay changes it once
    more, and after a restart it is as new: what the body does by it differs from the log.

    ## Fix

    Keep it in a variable of the body: that is the same at every replay, and survives restarts with the run.
    What runs are to share belongs into a database, behind a step. For numbers about runs there are attributes
    (`wf.set_attributes`) and the history (`wf query`).

    ## Example

    ```python
    import wf


    class Totals:
        orders = 0


    @wf.workflow
    async def wrong(order: str) -> int:
        Totals.orders += 1
        return Totals.orders


    @wf.step
    async def count_order(order: str) -> int: ...


    @wf.workflow
    async def right(order: str) -> int:
        return await count_order(order)
    ```
    """

    code = "WF301"
    why = "it belongs to the process: a replay changes it again, and after a restart it is as new"
    fix = "keep it in a variable of the body, or behind a step"
    events = (Changed,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        if not isinstance(event, Changed):
            return
        name = event.root.id
        home = walk.find_home(name)
        if home is None:
            return
        if event.how == "assigned":
            if name in walk.function.scope.globals or (home is not walk.function.scope and _is_around(home, walk)):
                yield Problem(event.node, f"`{name}`, {_describe(home)}, is assigned")
            return
        if home.is_module or _is_around(home, walk):
            kind = walk.inference.look_up(name, Place(walk.function.scope))
            if isinstance(kind, Outside) and kind.name == "os.environ":
                yield Problem(event.node, "`os.environ` is changed")
            elif not _is_import_of_library(kind):
                yield Problem(event.node, f"`{_show(event.node, name)}`, {_describe(home, kind)}, is changed")


def _is_import_of_library(kind: Any) -> bool:
    return isinstance(kind, Outside)


def _is_around(home: Scope, walk: Walk) -> bool:
    """Tell whether a scope is that of a function in which workflows are defined: it is no part of a run."""
    owner = home.owner
    if not isinstance(owner, Function) or owner is walk.function or walk.inference.role_of(owner):
        return False
    for function in walk.module.functions.values():
        parent = function.outer_function
        while parent is not None and parent is not owner:
            parent = parent.outer_function
        if parent is owner and walk.inference.role_of(function) == "workflow":
            return True
    return False


def _describe(home: Scope, kind: Any = None) -> str:
    if isinstance(kind, Type):
        return "a class"
    if isinstance(kind, Inside):
        return "a module"
    if home.is_module:
        return "a variable of the module"
    owner = home.owner
    return f"a variable of `{owner.name}`, around the workflow" if isinstance(owner, Function) else "an outer variable"


def _show(node: ast.AST, name: str) -> str:
    """Write what is changed: the container or object, as the code names it."""
    match node:
        case ast.Call(func=ast.Attribute(value=value)) | ast.Subscript(value=value):
            text = ast.unparse(value)
        case ast.Attribute():
            text = ast.unparse(node)
        case _:
            text = name
    return text if len(text) <= 40 and "\n" not in text else name


class ChangingGlobal(Rule):
    """A body reads a variable that the program changes

    Found is a variable of a module which some function assigns by `global`, read in a body. A constant is
    fine, and so is a variable that is only set when the module is imported.

    ## Why

    The variable has whatever value the process has given it by then. A replay in another process, or only
    later, finds another one.

    ## Fix

    Pass the value in as an argument, or read it in a step.

    ## Example

    ```python
    import wf

    mode = "fast"


    def set_mode(value: str) -> None:
        global mode
        mode = value


    @wf.step
    async def read_mode() -> str:
        return mode


    @wf.workflow
    async def wrong() -> str:
        return mode


    @wf.workflow
    async def right() -> str:
        return await read_mode()
    ```
    """

    code = "WF302"
    why = "its value is the process's: a replay in another process, or later, finds another one"
    fix = "pass it in as an argument, or read it in a step"
    events = (Read,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        if not isinstance(event, Read):
            return
        name = event.node.id
        changed_by = walk.module.rebound.get(name)
        if not changed_by or name in walk.function.scope.globals:  # then its change is told
            return
        home = walk.find_home(name)
        if home is not None and home.is_module:
            yield Problem(event.node, f"`{name}` is read, which `{changed_by[0].name}` changes by `global`")


_MUTABLE: Final = frozenset(
    {
        "builtins.list", "builtins.dict", "builtins.set", "builtins.bytearray", "collections.deque",
        "collections.defaultdict", "collections.Counter", "collections.OrderedDict",
    }
)  # fmt: skip


class SharedDefault(Rule):
    """A default is a container that all calls share

    Found are defaults of workflows, and of helpers that bodies call, which are a list, a dict, a set or the
    like. It is an error where the function changes it, else a warning.

    ## Why

    Python makes a default once. What one run puts into it, the next run of the process finds in it; and after
    a restart it is empty again.

    ## Fix

    Take `None` or an empty tuple as the default, and make the container in the body.

    ## Example

    ```python
    import wf


    @wf.step
    async def look_up(name: str) -> str: ...


    @wf.workflow
    async def wrong(name: str, found: list[str] = []) -> list[str]:
        found.append(await look_up(name))
        return found


    @wf.workflow
    async def right(name: str, found: tuple[str, ...] = ()) -> list[str]:
        return [*found, await look_up(name)]
    ```
    """

    code = "WF303"
    why = "a default is made once: what one run puts into it, the next one finds there"
    fix = "take `None` or `()` as the default, and make the container in the body"
    severity = "warning"
    events = (Entered,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        if not isinstance(event, Entered) or event.role == "step":
            return
        given = event.function.node.args
        positional = [*given.posonlyargs, *given.args]
        pairs = [
            *zip(positional[len(positional) - len(given.defaults) :], given.defaults, strict=True),
            *zip(given.kwonlyargs, given.kw_defaults, strict=True),
        ]
        for parameter, default in pairs:
            if default is not None and _is_mutable(walk.inference, default, event.function):
                is_changed = _is_changed(event.function, parameter.arg)
                yield Problem(
                    default,
                    f"the default of `{parameter.arg}` is one container for all runs"
                    + (", and the body changes it" if is_changed else ""),
                    severity="error" if is_changed else None,
                )


def _is_mutable(inference: Inference, node: ast.expr, function: Function) -> bool:
    match node:
        case ast.List() | ast.Dict() | ast.Set() | ast.ListComp() | ast.DictComp() | ast.SetComp():
            return True
        case ast.Call():
            kind = inference.infer(node.func, Place(function.outer))
            return isinstance(kind, Outside) and kind.name in _MUTABLE
        case _:
            return False


def _is_changed(function: Function, name: str) -> bool:
    """Tell whether a function changes what a parameter holds, and has not put something else into it."""
    bindings = function.scope.bindings.get(name, ())
    if any(isinstance(binding, Assigned) for binding in bindings):
        return False
    for node in ast.walk(function.node):
        match node:
            case ast.Call(func=ast.Attribute(attr=attr, value=owner)) if attr in MUTATORS:
                pass
            case ast.Subscript(ctx=ast.Store() | ast.Del(), value=owner):
                pass
            case ast.AugAssign(target=owner):
                pass
            case _:
                continue
        root = find_root(owner)
        if root is not None and root.id == name:
            return True
    return False


RULES: Final = (OuterState, ChangingGlobal, SharedDefault)

__all__ = ["RULES", "ChangingGlobal", "OuterState", "SharedDefault"]
