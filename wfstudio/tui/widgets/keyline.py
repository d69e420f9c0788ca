"""The key line: what can be pressed now, at the bottom of every screen; a click presses it.

One widget and one line. What does not fit is left out, from the right: `?` lists everything. Textual's Footer makes a
widget of each key anew at every change of focus, and scrolls what has no room out of sight.
"""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.screen import Screen
from textual.widget import Widget

_MORE = ("question_mark", "?", "all keys")


class KeyLine(Widget):
    DEFAULT_CSS = """
    KeyLine {
        height: 1;
        background: $surface;
        color: $text-muted;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[tuple[str, str, str]] = []  # the key, how it is written, what it does
        self._places: list[tuple[int, int, str]] = []  # cells from, to, and the key that is pressed there

    # -- what is shown

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._read_keys)
        self._read_keys(self.screen)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _read_keys(self, screen: Screen[object]) -> None:
        if screen is not self.screen:
            return
        found: dict[str, tuple[str, str, str]] = {}
        for active in sorted(
            screen.active_bindings.values(), key=lambda active: (active.binding.id or "").startswith("studio.")
        ):
            binding = active.binding  # what only this screen can do comes first
            if binding.show and active.enabled and binding.action not in found:
                found[binding.action] = (binding.key, self.app.get_key_display(binding), binding.description)
        self._keys = list(found.values())
        self.refresh()

    # -- pressing

    def on_click(self, event: events.Click) -> None:
        for start, end, key in self._places:
            if start <= event.x < end:
                self.app.simulate_key(key)

    # -- drawing

    def render(self) -> Text:
        key_style = f"bold {self.app.theme_variables['primary']}"
        line, self._places = Text(" ", no_wrap=True, end=""), []
        room = self.size.width - len(f"{_MORE[1]} {_MORE[2]}") - 3
        left_out = [key for key in self._keys if not self._append(line, key, key_style, room)]
        if left_out or not self._keys:
            self._append(line, _MORE, key_style, self.size.width)
        return line

    def _append(self, line: Text, key: tuple[str, str, str], style: str, room: int) -> bool:
        name, shown, description = key
        start = line.cell_len
        if start + len(shown) + 1 + len(description) > room:
            return False
        line.append(shown, style=style).append(f" {description}  ")
        self._places.append((start, line.cell_len - 1, name))
        return True
