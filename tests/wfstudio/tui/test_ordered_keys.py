"""Keys that arrive together are done in their order, also those that are bound."""

from __future__ import annotations

from textual import events
from textual.app import App, ComposeResult

from wfstudio.tui.widgets.ordered_keys import TextBox, TextLine


class Typing(App[None]):
    def compose(self) -> ComposeResult:
        yield TextLine(id="line", select_on_focus=False)
        yield TextBox(id="box")


def press_at_once(app: App[None], *keys: str) -> None:
    """Press keys before the first of them is handled, as a terminal does that was slow."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


async def test_a_letter_behind_a_backspace_stays() -> None:
    app = Typing()
    async with app.run_test() as pilot:
        for widget in (app.query_one(TextLine), app.query_one(TextBox)):
            widget.focus()
            await pilot.pause()
            press_at_once(app, "a", "b", "backspace", "c", "left", "x", "home", "y", "end", "z")
            await pilot.pause()
            await pilot.pause()
            assert (widget.value if isinstance(widget, TextLine) else widget.text) == "yaxcz"
