"""The dev server as lines: what it serves, how the last reload went, what it said. Pure.

What happened is said in the words of its own terminal (`wfstudio.text.dev_lines`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wfstudio.core.live import GAP, LiveEvent
from wfstudio.text import dev_lines as words
from wfstudio.text.dev_lines import Painter
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable
from wfstudio.text.widths import cell_width, wrap
from wfstudio.tui.columns import Column

_PAINT: Final = re.compile(r"\x1b\[[\d;]*m")
REMEDIES: Final = {
    "keep": "it goes on with the code that started it",
    "fork": "a new run shares its history up to where the two part, and goes on with today's code; this one ends",
    "restart": "a new run with the same arguments, from the beginning; this one ends",
    "cancel": "it is cancelled; its clean-up runs, with its own code",
}
COLUMNS: Final = (
    Column("run", 14, share=2),
    Column("workflow", 10, share=1),
    Column("event", 5, align="right"),
    Column("recorded there", 14, share=3),
)


def draw_status(pen: Pen, status: Mapping[str, Any] | None, url: str | None) -> list[str]:
    """Draw what is served now; `status` None: no dev server runs."""
    if status is None:
        return ["no wf dev runs beside this world", "", "start it in the project, and it appears here:", "", "  wf dev"]
    painter = _painter(pen)
    lines = []
    current = status.get("current")
    if current is None:
        lines.append(pen.paint("nothing is loaded", "red"))
    else:
        lines.append(f"{pen.paint('serves', 'green')}   {printable(current['deployment_id'])}  {_served(current)}")
    for pegged in status.get("pegged", ()):
        lines.append(f"{pen.paint('pegged', 'yellow')}   {printable(pegged['deployment_id'])}  {_served(pegged)}")
    if url is not None:
        lines.append(f"{pen.paint('studio', 'dim')}   {url}")
    if status.get("is_paused"):
        lines.append(pen.paint("reloading is paused", "yellow"))
    if status.get("error") is not None:
        lines += [pen.paint("the code on the disk does not load:", "red")]
        lines += words.show_error(painter, status["error"]).split("\n")
    for verdict in status.get("nondeterministic", ()):
        lines += ["", *words.show_finding(painter, verdict).split("\n")]
    return lines


def draw_verdict(pen: Pen, verdict: Mapping[str, Any] | None) -> list[str]:
    """Draw what differs in a run that does not fit today's code, and what can be done about it."""
    if verdict is None:
        return [pen.paint("every run in flight fits the code as it is", "green")]
    trouble = verdict["trouble"]
    lines = [f"{pen.paint(printable(verdict['run_id']), 'bold')}  {printable(verdict['workflow'])}"]
    for key in ("recorded", "actual"):
        if trouble.get(key):
            name = "recorded" if key == "recorded" else "now"
            lines.append(f"{pen.paint(f'{name:<8}', 'dim')}  {printable(trouble[key])}")
    if not trouble.get("recorded"):
        lines.append(printable(trouble["message"]))
    if trouble.get("where"):
        lines.append(f"{pen.paint('at      ', 'dim')}  {printable(trouble['where'])}")
    return lines


def make_command(verdict: Mapping[str, Any], action: str) -> str:
    """Give the command that does what a remedy does, as far as one does."""
    run_id = verdict["run_id"]
    place = max(1, (verdict["trouble"].get("seq") or 2) - 1)
    return {
        "keep": f"wf inspect {run_id}",
        "fork": f"wf fork {run_id} --from {place}",
        "restart": f"wf fork {run_id} --from 1",
        "cancel": f"wf cancel {run_id}",
    }[action]


class Diverging:
    """The rows of runs that do not fit today's code."""

    def __init__(self, verdicts: Sequence[Mapping[str, Any]] = ()) -> None:
        self.verdicts = list(verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def cells(self, index: int) -> Sequence[str | tuple[str, str]]:
        verdict = self.verdicts[index]
        trouble = verdict["trouble"]
        recorded = trouble.get("recorded") or trouble["message"]
        seq = trouble.get("seq")
        return (verdict["run_id"], verdict["workflow"], "" if seq is None else str(seq), (recorded, "warning"))


def draw_news(pen: Pen, events: Sequence[LiveEvent]) -> list[str]:
    """Draw what the dev server said, oldest first."""
    return [part for event in events for line in draw_event(pen, event) for part in _wrap(pen, line)]


def _wrap(pen: Pen, line: str) -> list[str]:
    """Break a line that has no room; then without its colours, which end where a line does."""
    plain = _PAINT.sub("", line)
    if cell_width(plain) <= pen.width:
        return [line]
    indent = len(plain) - len(plain.lstrip(" "))
    first, *rest = wrap(plain, max(20, pen.width - indent - 2))
    return [first, *(" " * (indent + 2) + part for part in rest)]


def draw_event(pen: Pen, event: LiveEvent) -> list[str]:
    painter, facts = _painter(pen), event.data
    match event.kind:
        case "reload":
            text = words.show_reload(painter, facts).replace(" [d]", "")
        case "worker":
            text = words.show_worker(painter, facts)
        case "nondeterminism":
            text = words.show_finding(painter, facts)
        case "check":
            text = words.show_check(painter, facts) if facts.get("findings") or facts.get("before") else ""
        case "fault":
            text = words.show_fault(painter, facts)
        case "error":
            text = words.show_error(painter, facts.get("error", facts))
        case _:
            text = "" if event.kind == GAP else f"{printable(event.kind)}"
    return text.split("\n") if text else []


def _painter(pen: Pen) -> Painter:
    return Painter(is_coloured=pen.has_colour)


def _served(served: Mapping[str, Any]) -> str:
    count, pids = len(served["workflows"]), served["pids"]
    workflows = "1 workflow" if count == 1 else f"{count} workflows"
    alive = f"process {', '.join(map(str, pids))}" if pids else "no process"
    return f"{workflows}, {alive}"
