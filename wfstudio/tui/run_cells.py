"""How a run is drawn in a list: one cell a column. Pure; the clock is given."""

from __future__ import annotations

from collections.abc import Container
from datetime import timedelta
from typing import Final

from wf.durations import from_instant
from wfstudio.core.reasons import short_name
from wfstudio.text.moments import show_ms, show_relative
from wfstudio.text.pen import Pen
from wfstudio.text.told_reasons import tell_reason
from wfstudio.tui.columns import Column
from wfstudio.tui.listed import Listed

COLUMNS: Final = (
    Column("status", 11),
    Column("workflow", 12, share=2),
    Column("run", 11, from_width=84),
    Column("created", 9, align="right"),
    Column("took", 8, align="right"),
    Column("about", 12, share=6),
)
STYLES: Final = {
    "pending": "secondary",
    "running": "primary",
    "completed": "success",
    "failed": "error",
    "cancelled": "warning",
}
MARK: Final = "▌"
_PEN: Final = Pen(width=80)
Cell = str | tuple[str, str]


def draw_cells(
    run: Listed, *, now_us: int, reason: str | None, id_width: int, marked: Container[str] = ()
) -> tuple[Cell, ...]:  # fmt: skip
    """Draw a run's cells. `reason` says why it rests, or of what it failed, if known by now."""
    style = STYLES.get(run.status, "")
    sign = MARK if run.run_id in marked else _PEN.sign(run.status)
    created = from_instant(run.created_at)
    now = created + timedelta(microseconds=max(0, now_us - run.created_at))
    return (
        (f"{sign} {run.status}", style),
        short_name(run.workflow),
        (shorten_id(run.run_id, id_width), "secondary"),
        (show_relative(created, now), "secondary"),
        _took(run, now_us),
        _about(run, tell_reason(reason, now)),
    )


def shorten_id(run_id: str, width: int) -> str:
    """Cut an id to what tells it from others: one that was drawn begins with the time, and differs at its end."""
    if len(run_id) <= width or not run_id.startswith("wrun_"):
        return run_id
    return "…" + run_id[-(width - 1) :]


def _took(run: Listed, now_us: int) -> str:
    if run.started_at is None:
        return ""
    return show_ms(max(0, (now_us if run.ended_at is None else run.ended_at) - run.started_at) / 1000)


def _about(run: Listed, reason: str | None) -> Cell:
    """Say what is to be known of a run at a glance: what is wrong, else why it rests, else how it is tagged."""
    if run.attention is not None:
        return f"! {run.attention}", "error"
    if run.status == "failed":
        # That it was an exception of the run's own is what its class says.
        code = None if reason is not None and run.error_code == "USER_ERROR" else run.error_code
        name = None if reason is None else reason.rpartition(".")[2]
        return " ".join(part for part in (code, name, _tags(run)) if part), "error"
    if reason is not None and run.status in ("pending", "running"):
        return reason
    return _tags(run), "secondary"


def _tags(run: Listed) -> str:
    return run.attributes.replace("\n", "  ")
