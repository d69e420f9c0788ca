"""A list with a form beside it: what the screens of hooks and workflows have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from wfstudio.tui.studio_screen import StudioScreen
from wfstudio.tui.widgets.detail import Detail
from wfstudio.tui.widgets.form_pane import FormPane
from wfstudio.tui.widgets.grid import Grid


class FormGrid(Grid):
    """The list: Enter goes to the form of what is under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Fill in", id="grid.choose")]


class ListWithForm(StudioScreen):
    """What is under the cursor is shown beside the list, and Enter goes there."""

    DEFAULT_CSS = """
    ListWithForm #body {
        layout: horizontal;
    }
    ListWithForm Grid {
        width: 1fr;
        min-width: 26;
        max-width: 60;
    }
    ListWithForm Detail {
        width: 2fr;
    }
    """

    can_filter = True

    # -- for the screens that are ones

    def make_grid(self) -> Grid:
        """Make the list; its id is the screen's crumb."""
        raise NotImplementedError

    def list_rows(self) -> None:
        """List what is looked for."""
        raise NotImplementedError

    def choose(self, index: int) -> None:
        """Show what stands at a place of the list; −1 is none."""
        raise NotImplementedError

    # -- made of

    def compose_body(self) -> Iterable[Widget]:
        grid = self.make_grid()
        grid.border_title = self.crumb
        yield grid
        yield Detail()

    @property
    def grid(self) -> Grid:
        return self.query_one(Grid)

    @property
    def detail(self) -> Detail:
        return self.query_one(Detail)

    @property
    def pane(self) -> FormPane | None:
        return self.detail.pane

    # -- showing

    def apply_filter(self) -> str | None:
        self.list_rows()
        return None

    def on_grid_highlighted(self, event: Grid.Highlighted) -> None:
        self.choose(event.index)

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        self.detail.enter()
