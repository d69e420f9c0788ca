"""A step that was carried out once more, as a reader sees it."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from wfstudio.core.bench.views import ChangeView, EffectView, OutcomeView, StepReplayView
from wfstudio.text.moments import show_ms
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, to_json
from wfstudio.text.tracebacks import describe_error
from wfstudio.text.widths import cut

_SAID: Final = {
    "same": ("green", "completed", "same as recorded"),
    "differs": ("red", "failed", "differs from what is recorded"),
    "timed_out": ("red", "failed", "took too long, and was stopped"),
    "unrecorded": ("dim", "pending", "nothing is recorded to compare it with"),
}
MOST_ALIKE: Final = 3
_KEY: Final = 9
_WIDEST_PIPED: Final = 2_000


def draw_step_replay(pen: Pen, view: StepReplayView) -> list[str]:
    """Draw what came of a step: the verdict, both ends, what differs, what it printed and would have done."""
    style, status, said = _SAID[view.outcome]
    said = f"{pen.sign(status)} {said}" if pen.is_tty else said
    lines = [
        f"{pen.paint(view.id, 'bold')}  {pen.paint(said, style)}  {printable(view.name)}",
        pen.paint(f"  attempt {view.attempt} once more, by {view.deployment_id}, {show_ms(view.duration_ms)}", "dim"),
        _fact(pen, "input", to_json(view.input) + (" (edited)" if view.is_edited else "")),
        _fact(pen, "recorded", _say(view.recorded)),
        _fact(pen, "actual", _say(view.actual)),
    ]
    if view.changes:
        lines += ["", *(f"  {_say_change(pen, change)}" for change in view.changes)]
    if view.more_changes:
        lines.append(f"  … and {view.more_changes} more")
    if view.actual.error is not None and view.outcome != "same":
        lines += ["", *describe_error(view.actual.error)]
    if view.logs:
        lines += ["", pen.paint("printed", "bold")]
        lines += [
            f"  {pen.paint(line.source.removeprefix('logging:'), 'dim')} {printable(line.text)}" for line in view.logs
        ]
    if view.effects:
        lines += ["", pen.paint("not done", "bold")]
        lines += _list_effects(pen, view.effects)
    return lines


def _list_effects(pen: Pen, effects: list[EffectView]) -> list[str]:
    """Say what was not done; of much of one kind in a row, as a stream's chunks are, the beginning."""
    lines = []
    for text, row in groupby(effects, lambda effect: effect.text):
        alike = list(row)
        lines += [f"  {printable(text)}{_show(pen, effect.data)}" for effect in alike[:MOST_ALIKE]]
        if len(alike) > MOST_ALIKE:
            lines.append(f"  … and {len(alike) - MOST_ALIKE} more of these")
    return lines


def _fact(pen: Pen, key: str, text: str) -> str:
    return f"  {pen.paint(key.ljust(_KEY), 'dim')} {cut(printable(text), _room(pen), pen.ellipsis)}"


def _room(pen: Pen) -> int:
    return max(pen.width - _KEY - 4, 20) if pen.is_tty else _WIDEST_PIPED


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


def _say_change(pen: Pen, change: ChangeView) -> str:
    path = pen.paint(printable(change.path), "bold")
    before, after = to_json(change.before), to_json(change.after)
    match change.kind:
        case "added":
            return f"{path}: + {pen.paint(after, 'green')}"
        case "removed":
            return f"{path}: - {pen.paint(before, 'red')}"
        case "changed":
            return f"{path}: {pen.paint(before, 'red')} -> {pen.paint(after, 'green')}"
        case "retyped":
            return f"{path}: the same, of another type"


def _show(pen: Pen, data: Any) -> str:
    return "" if data is None else f" {cut(to_json(data), _room(pen), pen.ellipsis)}"
