"""Verdicts: what replaying a run's log against some code came to, as a reader sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wfstudio.core.bench.views import LineView, ReplayView
from wfstudio.text.moment import draw_source
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable

OUTCOMES: Final = {
    "clean": ("green", "completed"),
    "extends": ("yellow", "cancelled"),
    "diverges": ("red", "failed"),
    "cannot_load": ("red", "failed"),
}
_SAID: Final = {"cannot_load": "cannot load"}
_SAID_OF_SEVERAL: Final = {"extends": "extend", "diverges": "diverge", **_SAID}


def name_outcome(outcome: str, count: int = 1) -> str:
    """Write an outcome in words: that of a run, or of so many."""
    return (_SAID if count == 1 else _SAID_OF_SEVERAL).get(outcome, outcome)


def draw_verdict(pen: Pen, view: ReplayView, source: tuple[Sequence[LineView], int] | None = None) -> list[str]:
    """Draw a verdict; with `source` also the lines around the one that differs, and its number."""
    style, status = OUTCOMES[view.outcome]
    said = f"{pen.sign(status)} {_say(view)}" if pen.is_tty else _say(view)
    head = f"{pen.paint(view.run_id, 'bold')}  {pen.paint(said, style)}  {printable(view.workflow)}"
    if view.outcome == "clean":
        count = f"{view.events} event{'' if view.events == 1 else 's'}"
        return [head, f"  {count} fit the code {view.deployment_id}"]
    facts = [
        ("recorded", view.recorded),
        ("actual", view.actual),
        ("because", view.message if view.recorded is None else None),
        ("at", view.where),
        ("code", view.deployment_id),
    ]
    lines = [head, *(f"  {pen.paint(key.ljust(9), 'dim')} {printable(text)}" for key, text in facts if text)]
    if source is not None:
        lines += ["", *draw_source(pen, *source), ""]
    hint = view.hint or _CURES.get(view.outcome)
    return [*lines, f"  fix: {printable(hint)}"] if hint else lines


_CURES: Final = {
    "diverges": "put the call back, or keep the run on its own code; docs/changing-code.md says what can be done",
    "extends": "what is recorded fits; a run in flight needs its own code up to its end",
}


def _say(view: ReplayView) -> str:
    word = name_outcome(view.outcome)
    return f"{word} at event {view.seq}" if view.seq is not None and view.outcome in ("extends", "diverges") else word
