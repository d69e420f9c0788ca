"""Fault injection: the plan that the studio holds, and the worker's half, which carries it out.

1. The studio hands the whole plan to every worker, also to those that come later, before they serve. An
   addition is answered when all workers that are alive have it.
2. A worker records a fault on the run, and waits until that is durable, before it strikes: even a crash is
   told by the log.
3. A plan lives as long as its `wf dev`. A worker that was not given one has none.
"""

from __future__ import annotations

import asyncio
import builtins
import functools
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import msgspec

from wf import errors
from wf.errors import StepError
from wfstudio.core.errors import UsageError
from wfstudio.core.faults import (
    MOST_RULES,
    FaultError,
    FaultRule,
    describe,
    is_about_attempt,
    is_about_hook,
    is_about_run,
    make_rule,
    strikes,
)

if TYPE_CHECKING:
    from wf.engine.body import HookState
    from wf.worker.attempts import Attempt
    from wf.worker.live import LiveRun

log = logging.getLogger("wf.fault")

OWN: Final = "wf/"
LONGEST_FAULT: Final = 100
"""Characters of what a fault does in what is told of it, so that there is room to say where."""


class FaultPlan:
    """The studio's half. `spread` gives all workers the rules, and the exceptions that none of them knows."""

    def __init__(
        self,
        spread: Callable[[list[FaultRule]], Awaitable[list[str]]],
        publish: Callable[[str, dict[str, Any]], object],
    ) -> None:
        self._spread = spread
        self._publish = publish
        self._rules: dict[str, FaultRule] = {}
        self._count = 0
        self._turn = asyncio.Lock()  # guards the order of changes: workers hear of them one after the other

    def list_rules(self) -> list[FaultRule]:
        return list(self._rules.values())

    async def add(self, action: str, **fields: Any) -> FaultRule:
        """Add a rule, and give it when all workers have it. Raises `UsageError`, `FaultError` for too many."""
        async with self._turn:
            if len(self._rules) >= MOST_RULES:
                raise FaultError(f"there are {MOST_RULES} faults already", "`wf fault clear` takes them back")
            rule = make_rule(f"f{self._count + 1}", action, **fields)
            unknown = await self._spread([*self._rules.values(), rule])
            if rule.error in unknown:
                await self._spread(self.list_rules())
                hint = "write `ValueError`, or `module.Class` for one of your own"
                raise UsageError(
                    f"no exception is called {errors.shorten(rule.error)} in the code that is loaded", hint
                )
            self._count += 1
            self._rules[rule.id] = rule
        self._publish("fault", {"change": "added", **msgspec.to_builtins(rule), "text": describe(rule)})
        return rule

    async def clear(self, ids: Sequence[str] | None = None) -> int:
        """Take rules back, all or some, and say how many. Raises `FaultError` for one that is not there."""
        async with self._turn:
            for id in ids or ():
                if id not in self._rules:
                    raise FaultError(f"there is no fault {errors.shorten(id)}", "`wf fault list` lists them")
            gone = list(self._rules if ids is None else dict.fromkeys(ids))
            for id in gone:
                del self._rules[id]
            await self._spread(self.list_rules())
        if gone:
            self._publish("fault", {"change": "cleared", "ids": gone})
        return len(gone)


class WorkerFaults:
    """The worker's half: what `wf.worker.interference` asks."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []

    def set_rules(self, rules: Sequence[FaultRule]) -> list[str]:
        """Go by these rules from now on; give the names of the exceptions that are not known here."""
        self.rules = list(rules)
        return [rule.error for rule in rules if rule.error is not None and find_exception(rule.error) is None]

    async def meet(self, attempt: Attempt) -> None:
        live, number = attempt.live, attempt.number
        if attempt.name.startswith(OWN):
            return
        for rule in self.rules:
            if (
                is_about_run(rule, live.run_id, live.row.workflow)
                and is_about_attempt(rule, attempt.name, number, attempt.attempt)
                and strikes(rule, live.run_id, number, attempt.attempt)
            ):
                await self._strike(rule, attempt)

    async def _strike(self, rule: FaultRule, attempt: Attempt) -> None:
        where = f"{_shorten(attempt.name)} (position {attempt.number}), attempt {attempt.attempt}"
        text = f"{describe(rule)[:LONGEST_FAULT]} in {where}, by {rule.id} seed {rule.seed}"
        log.warning("injected: %s", text)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        attempt.live.note_fault(text, functools.partial(_settle, durable))
        await durable
        if rule.action == "delay":
            await asyncio.sleep((rule.delay_ms or 0) / 1000)
        elif rule.action == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        elif rule.action == "fail":
            raise _make_exception(rule, attempt)

    def repeat(self, run: LiveRun, hook: HookState) -> str | None:
        number = hook.correlation_id
        names = {"name": hook.name, "token": hook.token, "given": hook.given}
        for rule in self.rules:
            if (
                is_about_hook(rule, names, number)
                and is_about_run(rule, run.run_id, run.row.workflow)
                and strikes(rule, run.run_id, number, hook.count)
            ):
                return f"twice at hook {_shorten(hook.name)} (position {number}), by {rule.id} seed {rule.seed}"
        return None


def _shorten(id: str) -> str:
    return id.rpartition(":")[2]


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


# -- exceptions ---------------------------------------------------------------------------------


def find_exception(name: str, module: str | None = None) -> type[Exception] | None:
    """Find a class of Python, of wf or of a loaded module: `ValueError`, `shop.Declined`. Nothing is imported.

    A bare name of the user's own is found in `module`, else in whatever module of theirs has it.
    """
    for place in (builtins, errors):
        known = vars(place).get(name)
        if _is_exception(known):
            return known
    parts = name.replace(":", ".").split(".")
    for cut in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:cut]))
        for part in parts[cut:]:
            found = getattr(found, part, None)
        if _is_exception(found):
            return found
    if len(parts) > 1:
        return None
    modules = [sys.modules[module]] if module in sys.modules else list(sys.modules.values())
    own = [vars(one).get(name) for one in modules if getattr(one, "__file__", None) and hasattr(one, "__dict__")]
    return next((found for found in own if _is_exception(found)), None)


def _is_exception(found: object) -> TypeGuard[type[Exception]]:
    return isinstance(found, type) and issubclass(found, Exception)


def _make_exception(rule: FaultRule, attempt: Attempt) -> Exception:
    """Make what a rule raises, marked as such; a `StepError` where its class is not here, or wants other arguments."""
    name, message = rule.error or "", rule.message or ""
    cls = find_exception(name, attempt.step.func.__module__)
    error: Exception
    try:
        error = StepError(name, message) if cls is None else cls(message) if message else cls()
    except Exception:  # its own `__init__` may ask for anything
        error = StepError(name, message)
    error.add_note(f"injected by `wf fault` ({rule.id}, seed {rule.seed})")
    return error
