"""A step that was carried out once more, as a reader sees it."""

from __future__ import annotations

from typing import Any, Final

from wfstudio.cli.failures import describe_error
from wfstudio.cli.moments import show_ms
from wfstudio.cli.terminal import Terminal, printable, to_json
from wfstudio.cli.widths import cut
from wfstudio.core.bench.views import ChangeView, OutcomeView, StepReplayView

_SAID: Final = {
    "same": ("green", "completed", "same as recorded"),
    "differs": ("red", "failed", "differs from what is recorded"),
    "timed_out": ("red", "failed", "took too long, and was stopped"),
    "unrecorded": ("dim", "pending", "nothing is recorded to compare it with"),
}
_KEY: Final = 9
_WIDEST_PIPED: Final = 2_000


def draw_step_replay(terminal: Terminal, view: StepReplayView) -> list[str]:
    """Draw what came of a step: the verdict, both ends, what differs, what it printed and would have done."""
    style, status, said = _SAID[view.outcome]
    said = f"{terminal.sign(status)} {said}" if terminal.is_tty else said
    lines = [
        f"{terminal.paint(view.id, 'bold')}  {terminal.paint(said, style)}  {printable(view.name)}",
        terminal.paint(
            f"  attempt {view.attempt} once more, by {view.deployment_id}, {show_ms(view.duration_ms)}", "dim"
        ),
        _fact(terminal, "input", to_json(view.input) + (" (edited)" if view.is_edited else "")),
        _fact(terminal, "recorded", _say(view.recorded)),
        _fact(terminal, "actual", _say(view.actual)),
    ]
    if view.changes:
        lines += ["", *(f"  {_say_change(terminal, change)}" for change in view.changes)]
    if view.more_changes:
        lines.append(f"  … and {view.more_changes} more")
    if view.actual.error is not None and view.outcome != "same":
        lines += ["", *describe_error(view.actual.error)]
    if view.logs:
        lines += ["", terminal.paint("printed", "bold")]
        lines += [
            f"  {terminal.paint(line.source.removeprefix('logging:'), 'dim')} {printable(line.text)}"
            for line in view.logs
        ]
    if view.effects:
        lines += ["", terminal.paint("not done", "bold")]
        lines += [f"  {printable(effect.text)}{_show(terminal, effect.data)}" for effect in view.effects]
    return lines


def _fact(terminal: Terminal, key: str, text: str) -> str:
    return f"  {terminal.paint(key.ljust(_KEY), 'dim')} {cut(printable(text), _room(terminal), terminal.ellipsis)}"


def _room(terminal: Terminal) -> int:
    return max(terminal.width - _KEY - 4, 20) if terminal.is_tty else _WIDEST_PIPED


def _say(outcome: OutcomeView) -> str:
    match outcome.kind:
        case "returned":
            return f"returned {to_json(outcome.value)}"
        case "raised":
            error = outcome.error
            return "raised" if error is None else f"raised {error.type}: {error.message}"
        case "timed_out":
            return "took too long"
        case "none":
            return "has not ended"


def _say_change(terminal: Terminal, change: ChangeView) -> str:
    path = terminal.paint(printable(change.path), "bold")
    before, after = to_json(change.before), to_json(change.after)
    match change.kind:
        case "added":
            return f"{path}: + {terminal.paint(after, 'green')}"
        case "removed":
            return f"{path}: - {terminal.paint(before, 'red')}"
        case "changed":
            return f"{path}: {terminal.paint(before, 'red')} -> {terminal.paint(after, 'green')}"
        case "retyped":
            return f"{path}: the same, of another type"


def _show(terminal: Terminal, data: Any) -> str:
    return "" if data is None else f" {cut(to_json(data), _room(terminal), terminal.ellipsis)}"
