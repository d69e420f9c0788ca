"""Rules on awaiting: calls that nobody awaits, and handlers that swallow a cancel."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any, Final

from wfstudio.core.check.events import Dropped, Misused, Stated
from wfstudio.core.check.kinds import Outside, each
from wfstudio.core.check.rules.rule import Problem, Rule
from wfstudio.core.check.visiting import has_await, walk_here
from wfstudio.core.check.walking import Walk


class NotAwaited(Rule):
    """A call is not awaited

    Found are steps, child runs, sleeps, hooks, locks and the project's own `async def` functions that are
    called while nothing ever awaits what the call gives: as a statement of its own, in a variable that is
    never read, or used as if it were the result (`receipt.id`, `if is_ready():`, an argument of a step). Kept
    for later is fine: in a list for `asyncio.gather`, given to `create_task` or a `TaskGroup`. So is
    `wf.set_attributes(...)`, which is recorded by the call.

    ## Why

    A call is made when it is awaited. Without that a step does not run, a sleep does not wait and a child
    does not start, and nothing says so but a warning of Python's.

    ## Fix

    `await` it. To go on meanwhile, `task = asyncio.create_task(step(...))`, and await the task before the
    end: tasks that are left behind when the body returns are cancelled.

    ## Example

    ```python
    import wf


    @wf.step
    async def charge(order: str) -> str: ...


    @wf.step
    async def send_receipt(receipt: str) -> None: ...


    @wf.workflow
    async def wrong(order: str) -> None:
        receipt = await charge(order)
        send_receipt(receipt)


    @wf.workflow
    async def right(order: str) -> None:
        receipt = await charge(order)
        await send_receipt(receipt)
    ```
    """

    code = "WF401"
    why = "a call is made when it is awaited: as it stands, it comes to nothing"
    fix = "write `await` in front of it"
    events = (Dropped, Misused)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Dropped(node=node, what=what, name=None) if what.startswith("the "):
                fix = "use it: `async with …:`, or `await` it" if "lock" in what or "saga" in what else None
                yield Problem(node, f"{what} is made, and never used", fix)
            case Dropped(node=node, what=what, name=None):
                yield Problem(node, f"{_show(what)} is called, and never awaited")
            case Dropped(node=node, what=what, name=str() as name):
                yield Problem(node, f"{_show(what)} is called into `{name}`, which is never awaited")
            case Misused(node=node, what=what, how=how):
                yield Problem(node, f"{_show(what)} is {how} before it is awaited")


def _show(what: str) -> str:
    """Write a call: `step charge` as it is, a function's name in backticks."""
    return what if what.startswith(("step ", "workflow ")) else f"`{what.removesuffix('()')}`"


_CANCELS: Final = ("builtins.BaseException", "asyncio.CancelledError", "asyncio.exceptions.CancelledError")
_ALL: Final = ("builtins.BaseException", "builtins.BaseExceptionGroup")


class SwallowedCancel(Rule):
    """A handler swallows a cancel

    Found are `except:` and `except BaseException:` around something that is awaited, without a `raise` in the
    handler; `contextlib.suppress(BaseException)`; and `return`, `break` or `continue` in a `finally`. An
    `except asyncio.CancelledError` is fine: who writes it means it. So is a handler behind one that lets the
    cancel pass.

    ## Why

    A cancel reaches a body as `asyncio.CancelledError` at the line where it waits. A handler for everything
    takes it for one of the failures, and the run goes on, cancelled or not. The runtime's own exceptions pass
    through a body in the same way, such as the one by which `wf.continue_as_new` ends it.

    ## Fix

    `except Exception:` catches failures and lets cancels pass. To clean up whatever happens, use `finally`,
    or `raise` at the handler's end.

    ## Example

    ```python
    import wf


    @wf.step
    async def charge(order: str) -> str: ...


    @wf.workflow
    async def wrong(order: str) -> str:
        try:
            return await charge(order)
        except BaseException:
            return "not charged"


    @wf.workflow
    async def right(order: str) -> str:
        try:
            return await charge(order)
        except Exception:
            return "not charged"
    ```
    """

    code = "WF402"
    why = "a cancel arrives as an exception at the line that waits; swallowed, the run goes on as if nothing were"
    fix = "catch `Exception`, or `raise` at the handler's end"
    events = (Stated,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Stated(node=ast.Try() | ast.TryStar() as node):
                yield from self._look_at_try(walk, node)
            case Stated(node=ast.With() | ast.AsyncWith() as node) if has_await(node.body):
                for item in node.items:
                    if isinstance(item.context_expr, ast.Call) and _suppresses_all(walk, item.context_expr):
                        yield Problem(item.context_expr, "`suppress(BaseException)` swallows a cancel")
            case _:
                return

    def _look_at_try(self, walk: Walk, node: ast.Try | ast.TryStar) -> Iterator[Problem]:
        for statement in _list_leaving(node.finalbody):
            text = f"`{ast.unparse(statement).split()[0]}` in a `finally` swallows a cancel"
            yield Problem(statement, text, "let the `finally` come to its end")
        if not has_await(node.body):
            return
        for handler in node.handlers:
            names = _list_names(walk, handler.type)
            if handler.type is not None and not names & set(_ALL):
                if names & set(_CANCELS):
                    return  # it is taken here, on purpose
                continue
            if not any(isinstance(part, ast.Raise) for statement in handler.body for part in walk_here(statement)):
                shown = "`except:`" if handler.type is None else f"`except {ast.unparse(handler.type)}`"
                yield Problem(handler, f"{shown} swallows a cancel")
            return


def _list_names(walk: Walk, node: ast.expr | None) -> set[str]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node] if node is not None else []
    return {kind.name for part in parts for kind in each(walk.kind(part)) if isinstance(kind, Outside)}


def _suppresses_all(walk: Walk, call: ast.Call) -> bool:
    callee = walk.kind(call.func)
    if not isinstance(callee, Outside) or callee.name != "contextlib.suppress":
        return False
    return any(_list_names(walk, arg) & set(_ALL) for arg in call.args)


def _list_leaving(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements that leave a `finally` for somewhere else; a loop of its own may be left."""
    stack: list[tuple[ast.AST, bool]] = [(statement, False) for statement in body]
    while stack:
        node, is_in_loop = stack.pop()
        if isinstance(node, ast.Return) or (isinstance(node, (ast.Break, ast.Continue)) and not is_in_loop):
            yield node
        is_loop = isinstance(node, (ast.For, ast.AsyncFor, ast.While))
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
                stack.append((child, is_in_loop or is_loop))


RULES: Final = (NotAwaited, SwallowedCancel)
