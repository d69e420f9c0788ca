"""Faults: what is done to runs on purpose under `wf dev`, to see what becomes of them.

A rule names runs and steps (or a hook), and what befalls them: `fail`, `delay`, `crash`, or `twice`.

1. Whether a rule strikes is a function of its seed, the run, the call and the attempt: the same run with the
   same seed meets the same faults, whatever process carries it out.
2. Every fault is recorded on the run, durable before it strikes (`wf.worker.interference`).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from wf.durations import parse_duration
from wf.errors import WorkflowError, shorten
from wfstudio.core.errors import UsageError

Action = Literal["fail", "delay", "crash", "twice"]

ACTIONS: Final = ("fail", "delay", "crash", "twice")
LONGEST_DELAY_US: Final = 24 * 3600 * 1_000_000
MOST_RULES: Final = 100
DEFAULT_ERROR: Final = ("ConnectionError", "injected fault")


class FaultError(WorkflowError):
    """No fault can be injected: there is no `wf dev`, or no such rule."""

    slug = "fault"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class FaultRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule. It strikes attempts of `run`, or of runs of `workflow`; only of `step`, only the `attempt`th.

    Actions: `fail` raises `error` with `message`, `delay` waits for `delay_ms` first, `crash` kills the worker
    process, `twice` delivers a payload of `hook` (of any, if none is named) twice. `probability` is how often, and
    `seed` which of them. Workflows and steps go by their ids or short names; a step also by its number, a
    hook by its token, name or number.
    """

    id: str
    action: Action
    run: str | None = None
    workflow: str | None = None
    step: str | None = None
    hook: str | None = None
    attempt: int | None = None
    probability: float = 1.0
    seed: int = 0
    error: str | None = None
    message: str | None = None
    delay_ms: float | None = None


def make_rule(id: str, action: str, **fields: Any) -> FaultRule:
    """Make a rule of what people ask for: an action is `fail`, `fail=Type: message`, `delay=2s`, `crash` or `twice`.

    Raises `UsageError`.
    """
    kind, mark, text = action.partition("=")
    if kind not in ACTIONS or (mark and kind in ("crash", "twice")):
        raise UsageError(f"{action!r:.80} is no fault", "fail, fail=Type:message, delay=2s, crash, or twice")
    given = {name: value for name, value in fields.items() if value is not None}
    if kind == "fail":
        name, _, message = text.partition(":")
        given["error"], given["message"] = (name.strip(), message.strip()) if mark else DEFAULT_ERROR
        if not given["error"]:
            raise UsageError("the fault names no exception", "`fail=ValueError: no`, or `fail` alone")
    elif kind == "delay":
        given["delay_ms"] = _read_delay(text)
    rule = msgspec.convert({"id": id, "action": kind, **given}, FaultRule)
    _check(rule)
    return rule


def _read_delay(text: str) -> float:
    try:
        delay = parse_duration(float(text) if text.replace(".", "", 1).isdecimal() else text, "delay")
    except (TypeError, ValueError) as error:
        raise UsageError(str(error), "`delay=2s`") from None
    if delay > LONGEST_DELAY_US:
        raise UsageError(f"the delay {shorten(text)} is over a day")
    return delay / 1000


def _check(rule: FaultRule) -> None:
    if rule.run is None and rule.workflow is None:
        raise UsageError("the fault names no run and no workflow", "say which: --run RUN, or --workflow NAME")
    if rule.run is not None and rule.workflow is not None:
        raise UsageError("the fault names a run and a workflow", "name one of them")
    if rule.action == "twice" and (rule.step is not None or rule.attempt is not None):
        raise UsageError(
            "a payload is delivered twice to a hook, not to a step", "--hook TOKEN, or nothing for any hook"
        )
    if rule.action != "twice" and rule.hook is not None:
        raise UsageError(f"a hook does not {rule.action}", "a hook's fault is `twice`")
    if not 0 < rule.probability <= 1:
        raise UsageError(f"a probability of {rule.probability:g} is not between 0 and 1")
    if rule.attempt is not None and rule.attempt < 1:
        raise UsageError(f"there is no attempt {rule.attempt}: they count from 1")


# -- when it strikes ------------------------------------------------------------------------------


def strikes(rule: FaultRule, run_id: str, number: int, attempt: int) -> bool:
    """Tell whether a rule strikes an attempt of a call that it is about; for a hook, `attempt` counts payloads."""
    if rule.probability >= 1:
        return True
    text = f"{rule.seed}\0{run_id}\0{number}\0{attempt}\0{rule.action}"
    return int.from_bytes(sha256(text.encode()).digest()[:7], "big") / (1 << 56) < rule.probability


def is_about_run(rule: FaultRule, run_id: str, workflow: str) -> bool:
    return rule.run == run_id if rule.run is not None else is_named(rule.workflow or "", workflow)


def is_about_attempt(rule: FaultRule, name: str, number: int, attempt: int) -> bool:
    if rule.action == "twice" or rule.attempt not in (None, attempt):
        return False
    return rule.step is None or rule.step == str(number) or is_named(rule.step, name)


def is_about_hook(rule: FaultRule, names: Mapping[str, str], number: int) -> bool:
    if rule.action != "twice":
        return False
    hook = rule.hook
    return hook is None or hook == str(number) or hook in names.values() or is_named(hook, names["name"])


def is_named(text: str, id: str) -> bool:
    """Tell whether people mean this id: all of it, without its module, or a function's bare name."""
    return text in (id, id.rpartition(":")[2], id.rpartition(".")[2].rpartition(":")[2])


def describe(rule: FaultRule) -> str:
    """Say what a rule does: `fail=ConnectionError: injected fault`."""
    if rule.action == "fail":
        return f"fail={rule.error}" + (f": {rule.message}" if rule.message else "")
    return f"delay={(rule.delay_ms or 0) / 1000:g}s" if rule.action == "delay" else rule.action
