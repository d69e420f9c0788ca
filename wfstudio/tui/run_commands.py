"""The `wf` commands that do what the run screen does. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from wfstudio.core.forks import ForkRequest
from wfstudio.core.reasons import short_name
from wfstudio.core.traces import Span


def write_command(*words: str) -> str:
    """Write a command line for a shell."""
    return " ".join(shlex.quote(word) for word in words)


def name_call(run_id: str, spans: Sequence[Span], span: Span) -> str:
    """Name a call as `--from`, `--set` and `--step` take it (`wfstudio.core.calls`).

    That is its name, `name#2` where it is the second step of this name, else its number.
    """
    name = short_name(span.name)
    alike = [other for other in spans if name in _names(other)]
    if span.kind not in ("step", "child") or any(other.kind != span.kind for other in alike):
        return f"{run_id}:{span.id}"
    return name if len(alike) == 1 else f"{name}#{alike.index(span) + 1}"


def _names(span: Span) -> tuple[str, ...]:
    """List what a call may be called; the run itself is none."""
    if span.kind == "run":
        return ()
    return span.name, short_name(span.name), span.name.rpartition(".")[2].rpartition(":")[2]


def inspect_command(run_id: str, span: Span | None, kind: str | None = None) -> str:
    """Show what is shown: a step, else the run, or a list of what it has."""
    if kind is not None:
        return write_command("wf", "inspect", kind, run_id)
    if span is not None and span.kind == "step":
        return write_command("wf", "inspect", "step", f"{run_id}:{span.id}")
    return write_command("wf", "inspect", run_id)


def cancel_command(run_id: str, reason: str | None, *, is_forced: bool) -> str:
    words = ["wf", "cancel", run_id]
    words += ["--reason", reason] if reason else []
    return write_command(*words, *(["--force"] if is_forced else []))


def fork_command(run_id: str, request: ForkRequest) -> str:
    words = ["wf", "fork", run_id]
    words += ["--from", str(request.start)] if request.start is not None else []
    for option, values in (("--set", request.outputs), ("--payload", request.payloads)):
        for name, value in values.items():
            words += [option, f"{name}={_write_json(value)}"]
    for name, error in request.errors.items():
        words += ["--raise", f"{name}={error}"]
    words += ["--input", _write_json(request.input)] if request.input is not None else []
    return write_command(*words, *(["--keep-tokens"] if request.keeps_tokens else []))


def replay_step_command(run_id: str, call: str, edited: Mapping[str, Any]) -> str:
    words = ["wf", "replay", run_id, "--step", call]
    return write_command(*words, *(["--input", _write_json(dict(edited))] if edited else []))


def _write_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
