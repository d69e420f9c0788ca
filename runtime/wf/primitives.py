"""What a workflow body, and where it makes sense a step, may ask of its run.

Time, randomness and ids here are the same at every replay. Outside a run each raises `NotInRunError`.
"""

from __future__ import annotations

import random as random_module
import uuid
from collections.abc import Awaitable, Generator, Mapping
from datetime import datetime
from typing import Any, NoReturn

from wf.context import StepInfo, WorkflowInfo, current_attempt, current_body
from wf.durations import Duration, from_instant, parse_duration, to_instant
from wf.engine.body import check_attributes
from wf.errors import FatalError, NotInRunError, shorten
from wf.run import running_body


def _refuse(what: str) -> NoReturn:
    if current_attempt.get() is not None:
        raise NotInRunError(f"`wf.{what}` was called in a step; it belongs in a workflow body")
    raise NotInRunError(f"`wf.{what}` was called outside a workflow body")


def _body(what: str) -> Any:
    body = running_body()
    if body is None:
        _refuse(what)
    return body


# -- time ---------------------------------------------------------------------------------------


async def sleep(duration: Duration | datetime) -> None:
    """Sleep for a duration (seconds, `"1h 30m"`, a timedelta) or until an aware datetime.

    Never ends early, and survives restarts. `wake_up` of the run ends it.
    """
    body = _body("sleep")
    if isinstance(duration, datetime):
        await body.sleep_until(to_instant(duration, "sleep"))
    else:
        await body.sleep_until(body.loop.now_us + parse_duration(duration, "sleep"))


def now() -> datetime:
    """Give the time of the last event that reached the body: aware, UTC, the same at every replay."""
    return from_instant(_body("now").loop.now_us)


def time_ns() -> int:
    """Give `now()` as nanoseconds since 1970 UTC."""
    return int(_body("time_ns").loop.now_us) * 1000


# -- randomness ---------------------------------------------------------------------------------


def random() -> random_module.Random:
    """Give the run's own random numbers: one generator a run, seeded by its id. Not for secrets."""
    return _random(_body("random"))


def uuid4() -> uuid.UUID:
    """Draw a UUID from the run's own random numbers."""
    return uuid.UUID(int=_random(_body("uuid4")).getrandbits(128), version=4)


def _random(body: Any) -> random_module.Random:
    if body.random is None:
        body.random = random_module.Random(body.seed)
    found: random_module.Random = body.random
    return found


# -- attributes ---------------------------------------------------------------------------------


class _Recorded:
    """Awaitable that is done already: the change was recorded by the call."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


def set_attributes(
    mapping: Mapping[str, str | None] | None = None,
    /,
    *,
    allow_reserved_attributes: bool = False,
    **attributes: str | None,
) -> Awaitable[None]:
    """Set the run's attributes: plain text tags, last write wins, None deletes.

    The change is recorded by the call, awaited or not; in a step the await ends when it is durable.
    A key, value or number over the limits raises `FatalError` and writes nothing.
    """
    try:
        changes: dict[str, str | None] = {**dict(mapping or {}), **attributes}
    except (TypeError, ValueError):
        raise FatalError(f"set_attributes: {shorten(mapping)} is not a mapping of texts") from None
    attempt = current_attempt.get()
    if attempt is not None:
        durable: Awaitable[None] | None = attempt.set_attributes(changes, allow_reserved=allow_reserved_attributes)
        return durable or _Recorded()
    body = _body("set_attributes")
    check_attributes(body.attributes, changes, allow_reserved=allow_reserved_attributes)
    if changes:
        body.set_attributes(changes)
    return _Recorded()


def remove_attributes(*keys: str, allow_reserved_attributes: bool = True) -> Awaitable[None]:
    """Delete attributes of the run; one that is not set is nothing.

    Reserved ones, too: `allow_reserved_attributes` is accepted for programs of Vercel's SDK.
    """
    return set_attributes(dict.fromkeys(keys), allow_reserved_attributes=True)


# -- metadata -----------------------------------------------------------------------------------


def get_workflow_metadata() -> WorkflowInfo:
    """Say which run this is. Works in bodies, in steps, and in helpers that either calls."""
    attempt = current_attempt.get()
    if attempt is not None:
        info: WorkflowInfo = attempt.workflow_info
        return info
    body = current_body.get()
    if body is None:
        raise NotInRunError("`wf.get_workflow_metadata` was called outside a run")
    found: WorkflowInfo = body.info
    return found


def get_step_metadata() -> StepInfo:
    """Say which step and attempt this is. Works in helpers that the step calls, and in its thread."""
    attempt = current_attempt.get()
    if attempt is None:
        raise NotInRunError("`wf.get_step_metadata` was called outside a step")
    info: StepInfo = attempt.info
    return info
