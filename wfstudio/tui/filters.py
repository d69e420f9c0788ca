"""Filters of runs: the language of the browser's filter bar, and what fits.

    status:failed,cancelled workflow:create_site attr:tenant=acme after:1h before:2026-01-02T03:04:05Z words
    !status:completed                   a `!` in front: those that do not fit

1. What the language does not know is a problem that is shown, never silently a search for it.
2. Words are looked for in id, workflow, status, attributes, the code of an error and of an attention.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from wf.durations import parse_duration, to_instant
from wfstudio.tui.listed import Fits, Listed

STATUSES: Final = ("pending", "running", "completed", "failed", "cancelled")
KEYS: Final = ("status", "workflow", "attr", "after", "before")
_TOKEN: Final = re.compile(r'(?:"[^"]*"?|[^\s"])+')


class Filter(msgspec.Struct, frozen=True):
    """`after` and `before` bound the creation, in microseconds."""

    statuses: tuple[str, ...] = ()
    workflow: str | None = None
    attributes: tuple[str, ...] = ()
    after: int | None = None
    before: int | None = None
    words: tuple[str, ...] = ()
    is_inverse: bool = False

    @property
    def is_empty(self) -> bool:
        return self == Filter(is_inverse=self.is_inverse)


def read_filter(text: str, now_us: int) -> tuple[Filter, str | None]:
    """Read a filter; give what is wrong with it, too. What is wrong is left out of it."""
    found: dict[str, list[str]] = {key: [] for key in (*KEYS, "words")}
    problem: str | None = None
    text = text.strip()
    is_inverse = text.startswith("!")
    for token in _TOKEN.findall(text.removeprefix("!")):
        bare = token.replace('"', "")
        key, colon, value = bare.partition(":")
        if not colon or key not in KEYS:
            found["words"] += [bare.lower()] if bare else []
            continue
        wrong = _check(key, value, now_us)
        if wrong is None:
            found[key] += value.split(",") if key == "status" else [value]
        problem = problem or wrong
    return (
        Filter(
            statuses=tuple(found["status"]),
            workflow=found["workflow"][-1] if found["workflow"] else None,
            attributes=tuple(found["attr"]),
            after=_last_moment(found["after"], now_us),
            before=_last_moment(found["before"], now_us),
            words=tuple(found["words"]),
            is_inverse=is_inverse,
        ),
        problem,
    )


def make_test(filter: Filter, *, is_errors_only: bool = False) -> Fits | None:
    """Make the test of a filter, as quick as a hundred thousand runs ask for; None where everything fits."""
    tests = [] if filter.is_empty else [_make_fits(filter)]
    if is_errors_only:
        tests.append(lambda run: run.is_error)
    if len(tests) == 2:
        first, second = tests
        return lambda run: second(run) and first(run)
    return tests[0] if tests else None


def _make_fits(filter: Filter) -> Fits:
    tests = list(_list_tests(filter))

    def fits(run: Listed) -> bool:
        return all(test(run) for test in tests) is not filter.is_inverse

    return fits


def _list_tests(filter: Filter) -> list[Callable[[Listed], bool]]:
    tests: list[Callable[[Listed], bool]] = []
    statuses, workflow, after, before = frozenset(filter.statuses), filter.workflow, filter.after, filter.before
    if statuses:
        tests.append(lambda run: run.status in statuses)
    if workflow is not None:
        tests.append(lambda run: _is_named(run.workflow, workflow))
    if after is not None:
        tests.append(lambda run: run.created_at >= after)
    if before is not None:
        tests.append(lambda run: run.created_at < before)
    tests += [lambda run, pair=pair: f"\n{pair}\n" in f"\n{run.attributes}\n" for pair in filter.attributes]  # type: ignore[misc]
    tests += [lambda run, word=word: word in _text(run) for word in filter.words]  # type: ignore[misc]
    return tests


def _is_named(workflow: str, asked: str) -> bool:
    """Tell whether a workflow has this id or this short name."""
    return workflow == asked or workflow.endswith((f":{asked}", f".{asked}"))


def _text(run: Listed) -> str:
    parts = (run.run_id, run.workflow, run.status, run.attributes, run.error_code or "", run.attention or "")
    return "\n".join(parts).lower()


def _check(key: str, value: str, now_us: int) -> str | None:
    if not value:
        return f"{key}: has no value yet"
    if key == "status":
        wrong = [status for status in value.split(",") if status not in STATUSES]
        return f"no status is called {wrong[0]!r:.40}; there are {', '.join(STATUSES)}" if wrong else None
    if key == "attr" and "=" not in value.strip("="):
        return f"attr:{value:.40} is not like attr:key=value"
    if key in ("after", "before") and _read_moment(value, now_us) is None:
        return f"{key}:{value:.40} is no time; write 1h, 2d or 2026-01-02T03:04:05Z"
    return None


def _last_moment(values: list[str], now_us: int) -> int | None:
    return _read_moment(values[-1], now_us) if values else None


def _read_moment(text: str, now_us: int) -> int | None:
    """Read a duration before now, or an instant; without a zone it is local time."""
    try:
        return now_us - parse_duration(text)
    except ValueError:
        pass
    try:
        return to_instant(datetime.fromisoformat(text).astimezone(), "moment")
    except (ValueError, OverflowError, OSError):
        return None
