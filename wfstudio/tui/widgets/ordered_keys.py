"""Keys in their order, for widgets in which one types.

Textual's Input and TextArea take letters at once, but what is bound (Backspace, arrows) only after the key has gone up
to the application and come back: of a Backspace and a letter that arrive together, the letter is written first and
then deleted. Here both are done where they arrive.
"""

from __future__ import annotations

from textual import events
from textual.binding import NoBinding
from textual.widget import Widget
from textual.widgets import Input, TextArea


class OrderedKeys:
    """To be mixed in. No widget itself: textual takes styles from the first of a class's bases that is one."""

    async def _on_key(self, event: events.Key) -> None:
        assert isinstance(self, Widget)
        try:
            bindings = self._bindings.get_bindings_for_key(event.key)
        except NoBinding:
            return
        # Only textual's own, which have no ids: the others may have other keys by now (`preferences`).
        own = next((binding for binding in bindings if binding.id is None), None)
        if own is None or self.check_consume_key(event.key, event.character):
            return
        if await self.app.run_action(own.action, self):
            event.stop()
            event.prevent_default()


class TextLine(OrderedKeys, Input):
    """A line to type in."""


class TextBox(OrderedKeys, TextArea):
    """Some lines to type in."""
