"""The key sheet: what the focused widget is for, and every key that works now, by whose it is."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static


class KeySheet(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Close", id="keys.close"),
    ]
    DEFAULT_CSS = """
    KeySheet {
        align: center middle;
    }
    KeySheet > VerticalScroll {
        width: 90%;
        max-width: 92;
        height: auto;
        max-height: 90%;
        border: round $primary;
        background: $surface;
        padding: 0 1;
        scrollbar-size: 1 1;
    }
    KeySheet Static {
        width: 100%;
    }
    """

    def __init__(self, title: str, text: Text) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Text(self._title).plain
            box.border_subtitle = "esc closes"
            yield Static(self._text)

    async def action_dismiss(self, result: None = None) -> None:
        self.dismiss()


def make_sheet(screen: Screen[Any]) -> KeySheet:
    """Make the sheet for what is focused on a screen now."""
    focused = screen.focused
    colours = screen.app.theme_variables
    text = Text()
    if focused is not None:
        text.append(describe(focused) + "\n")
    groups = group_keys(screen)
    width, words = (max((len(row[place]) for _, keys in groups for row in keys), default=0) for place in (0, 1))
    for title, keys in groups:
        text.append(f"\n{title}\n", style=f"bold {colours['primary']}")
        for key, what, action_id in keys:
            text.append(f"  {key:<{width}}  ", style="bold")
            text.append(f"{what:<{words}}  " if action_id else what)
            text.append(f"{action_id}\n", style=colours["secondary"])
    return KeySheet(name_widget(focused or screen), text)


def describe(widget: Widget) -> str:
    """Say what a widget is for: its `HELP`, or the first paragraph of what its class says."""
    found = getattr(widget, "HELP", None) or type(widget).__doc__ or ""
    return " ".join(cleandoc(found).partition("\n\n")[0].split())


def name_widget(node: DOMNode) -> str:
    """Name a widget as people do: by what it is called, its title, its id or kind."""
    title = getattr(node, "called", None) or getattr(node, "border_title", None)
    text = Content.from_markup(title).plain if title else node.id or type(node).__name__
    return text.replace("-", " ").lower()


def group_keys(screen: Screen[Any]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Give the live keys by whose they are: key, what it does, and the action's id by which it is changed."""
    groups: dict[str, dict[str, tuple[list[str], str, str]]] = {}
    for active in screen.active_bindings.values():
        if not active.binding.description or active.binding.system:
            continue
        keys = groups.setdefault(_owner(active, screen), {})
        entry = keys.setdefault(active.binding.action, ([], active.binding.description, active.binding.id or ""))
        entry[0].append(screen.app.get_key_display(active.binding))
    return [
        (owner, [(" ".join(keys), what, action_id) for keys, what, action_id in found.values()])
        for owner, found in groups.items()
    ]


def _owner(active: ActiveBinding, screen: Screen[Any]) -> str:
    if isinstance(active.node, App):
        return "everywhere"
    return "this screen" if active.node is screen else f"here: {name_widget(active.node)}"
