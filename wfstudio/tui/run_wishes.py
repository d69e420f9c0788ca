"""What is typed into the dialogs of the run screen, read into what is to be done. Pure; raises `UsageError`."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

import msgspec

from wfstudio.core.errors import UsageError
from wfstudio.core.forks import ForkRequest

Instead = Literal["same", "output", "error", "payload", "input"]
"""What a fork hears otherwise: nothing, what a step or child gave or raised, what a hook was sent, the arguments."""

_LONGEST: Final = 200_000
"""Characters of a recorded value that are offered for editing."""


class ForkForm(msgspec.Struct, frozen=True):
    """A fork as it is typed. `call` is the call that the cursor is on, as `--from` names it; None: the run."""

    start: str = ""
    instead: Instead = "same"
    text: str = ""
    call: str | None = None
    keeps_tokens: bool = False


def read_fork(form: ForkForm) -> ForkRequest:
    """Read a fork."""
    start: int | str | None = form.start.strip() or None
    if start is not None and str(start).isascii() and str(start).isdecimal() and len(str(start)) < 10:
        start = int(start)
    match form.instead:
        case "same":
            return ForkRequest(start=start, keeps_tokens=form.keeps_tokens)
        case "input":
            value = read_json(form.text)
            if not isinstance(value, (dict, list)):
                raise UsageError("arguments are an object by name, or a list in order", '`{"name": value}`')
            return ForkRequest(start=start, input=value, keeps_tokens=form.keeps_tokens)
        case "error":
            if not form.text.strip():
                raise UsageError("name the exception", "`shop.Declined: stolen card`")
            return ForkRequest(start=start, errors={_call(form): form.text.strip()}, keeps_tokens=form.keeps_tokens)
        case "output":
            outputs = {_call(form): read_json(form.text)}
            return ForkRequest(start=start, outputs=outputs, keeps_tokens=form.keeps_tokens)
        case "payload":
            payloads = {_call(form): read_json(form.text)}
            return ForkRequest(start=start, payloads=payloads, keeps_tokens=form.keeps_tokens)


def _call(form: ForkForm) -> str:
    if form.call is None:
        raise UsageError("put the cursor on the call that is to be answered otherwise")
    return form.call


def read_json(text: str) -> Any:
    """Read a JSON value."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        quoted = json.dumps(text.strip(), ensure_ascii=False)
        raise UsageError(f"it is not JSON: {error}", f"a text has quotes: {quoted:.60}") from None


def read_arguments(text: str, recorded: dict[str, Any] | None) -> dict[str, Any]:
    """Read a step's arguments by name, and give those that differ from what is recorded."""
    given = read_json(text)
    if not isinstance(given, dict):
        raise UsageError("a step's arguments are an object by name", '`{"amount": 5}`')
    known = recorded or {}
    return {name: value for name, value in given.items() if name not in known or known[name] != value}


def write_json(value: Any) -> str:
    """Write a value for editing; nothing where it is too long for that."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if len(text) <= _LONGEST else ""
