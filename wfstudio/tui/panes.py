"""Panes: the parts of a screen that can grow, one at a time: as they are, half, or all of it."""

from __future__ import annotations

from typing import Final, Literal

from textual.widget import Widget

Mode = Literal["normal", "half", "full"]
MODES: Final[tuple[Mode, ...]] = ("normal", "half", "full")

CSS: Final = """
.-aside {
    display: none !important;
}
.-grown-row {
    width: 3fr !important;
    max-width: 100% !important;
}
.-grown-column {
    height: 3fr !important;
    max-height: 100% !important;
}
.-shrunk-row {
    width: 1fr !important;
    min-width: 8 !important;
}
.-shrunk-column {
    height: 1fr !important;
    min-height: 2 !important;
}
.-whole {
    width: 1fr !important;
    height: 1fr !important;
    max-width: 100% !important;
    max-height: 100% !important;
}
"""
_CLASSES: Final = ("-aside", "-grown-row", "-grown-column", "-shrunk-row", "-shrunk-column", "-whole")


def next_mode(mode: Mode, by: int) -> Mode:
    """Give the mode that `+` or `_` leads to; the ends stay."""
    return MODES[max(0, min(MODES.index(mode) + by, len(MODES) - 1))]


def find_pane(widget: Widget | None) -> Widget | None:
    """Give the pane that a widget is or lies in."""
    while widget is not None and not widget.has_class("pane"):
        widget = widget.parent if isinstance(widget.parent, Widget) else None
    return widget


def grow(body: Widget, pane: Widget, mode: Mode) -> None:
    """Let a pane take most of a body, or all of it, at the expense of what lies beside it; `normal` undoes it."""
    for widget in body.walk_children(Widget):
        widget.remove_class(*_CLASSES, update=False)
    body.app.update_styles(body, animate=False)  # what was hidden is there again, before it is asked who is
    node: Widget = pane
    while mode != "normal" and node is not body and isinstance(node.parent, Widget):
        beside = [other for other in node.parent.children if other is not node and other.display]
        if mode == "full":
            _mark(node, "-whole")
            for other in beside:
                _mark(other, "-aside")
        elif rivals := [other for other in beside if find_pane(other) is other or other.query(".pane")]:
            along = "row" if getattr(node.parent.styles.layout, "name", "") == "horizontal" else "column"
            _mark(node, f"-grown-{along}")
            for other in rivals:
                _mark(other, f"-shrunk-{along}")
        node = node.parent
    body.app.update_styles(body, animate=False)
    body.refresh(layout=True)


def _mark(widget: Widget, name: str) -> None:
    widget.add_class(name, update=False)
