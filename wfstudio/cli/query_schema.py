"""The schema of `wf query` on a terminal: tables, columns and functions."""

from __future__ import annotations

from typing import Final

from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal
from wfstudio.history.schema import MACROS, VIEWS, View

_COLUMNS: Final = (Column("column"), Column("type"), Column("", is_flexible=True))
_NAMES: Final = (Column("name"), Column("", is_flexible=True))


def find_views(name: str | None) -> list[View]:
    """Give one table, or all. Raises `Misuse` for one that there is not."""
    found = [view for view in VIEWS if name is None or view.name == name]
    if not found:
        names = [view.name for view in VIEWS]
        hint = suggest(name or "", names) or f"there are {', '.join(names)}"
        raise Misuse(f"there is no table {name!r:.80}", hint=hint)
    return found


def draw_names(terminal: Terminal) -> list[str]:
    """Give what tables and functions there are, a line each."""
    rows = [[view.name, view.doc] for view in VIEWS]
    rows += [[f"{macro.name}({macro.parameters})", macro.doc] for macro in MACROS]
    return draw_table(terminal, _NAMES, rows)


def draw_view(terminal: Terminal, view: View) -> list[str]:
    """Give a table's columns, under its name."""
    rows = [[column.name, _shorten(column.type), column.doc] for column in view.columns]
    title = f"{terminal.paint(view.name, 'bold')}: {view.doc}"
    return [title, *draw_table(terminal, _COLUMNS, rows)]


def draw_functions(terminal: Terminal) -> list[str]:
    rows = [[f"{macro.name}({macro.parameters})", macro.doc] for macro in MACROS]
    return [terminal.paint("functions", "bold"), *draw_table(terminal, _NAMES, rows)]


def _shorten(type: str) -> str:
    return type.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
