"""What every screen of the studio is: a headline, its own body, a line to type in, the keys.

    class HooksScreen(StudioScreen):
        crumb = "hooks"
        def compose_body(self): ...                     # its widgets, in `#body`
        def command(self): return "wf hooks"            # the command for what is shown
        async def on_changed(self, run_ids): ...        # read anew what changed; [] = everything may have

1. `on_changed` and `on_dev` are called for the screen that is shown only; one that is shown again gets
   `on_changed([])` first. What they raise of `WorkflowError` is said; anything else is a bug and ends the app.
2. Every action has an id, `<screen>.<verb>`, by which its key can be changed.
3. A widget that can grow (`+`, `_`) has the class `pane`, and a `border_title` that names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, TextArea

from wfstudio.core.client import Client
from wfstudio.core.live import LiveEvent
from wfstudio.tui import panes
from wfstudio.tui.widgets.headline import Headline
from wfstudio.tui.widgets.jumping import JumpScreen, find_targets
from wfstudio.tui.widgets.keyline import KeyLine
from wfstudio.tui.widgets.keysheet import make_sheet
from wfstudio.tui.widgets.prompt import FILTER, GO, Prompt

if TYPE_CHECKING:
    from wfstudio.tui.app import StudioApp

TYPING_SECONDS: Final = 0.12
"""How long after a key a filter is applied: who types a word does not wait for each of its letters."""
_FILTERING = ("open_filter", "toggle_errors")
_PROMPTING = ("open_filter", "open_go")


class StudioScreen(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "studio_back", "Back", id="studio.back", show=False),
        # With priority, and refused where a text is being typed: else what is typed right behind them goes astray.
        Binding("slash", "open_filter", "Filter", id="studio.filter", priority=True),
        Binding("e", "toggle_errors", "Errors", id="studio.errors"),
        Binding("colon", "open_go", "Go to", id="studio.go", priority=True),
        Binding("y", "show_command", "Command", id="studio.command"),
        Binding("ctrl+o", "jump", "Jump", id="studio.jump", show=False),
        Binding("plus", "grow(1)", "Larger pane", id="studio.larger", show=False),
        Binding("underscore", "grow(-1)", "Smaller pane", id="studio.smaller", show=False),
        Binding("question_mark", "show_keys", "Keys and help", id="studio.keys", show=False),
    ]
    DEFAULT_CSS = (
        """
    StudioScreen {
        layout: vertical;
    }
    StudioScreen > #body {
        height: 1fr;
    }
    StudioScreen .pane {
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
    }
    StudioScreen .pane:focus, StudioScreen .pane:focus-within {
        border: round $border;
        border-title-color: $primary;
        border-title-style: bold;
    }
    """
        + panes.CSS
    )
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012

    crumb = ""
    can_filter: ClassVar[bool] = False
    """Whether `/` and the errors-only toggle mean something here: then `apply_filter` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.filter_text = ""
        self.is_errors_only = False
        self.pane_mode: panes.Mode = "normal"
        self._filter_before = ""
        self._typing: Timer | None = None

    # -- what a screen gives

    def compose_body(self) -> Iterable[Widget]:
        """Give the screen's own widgets."""
        return ()

    def command(self) -> str:
        """Give the `wf` command for what is shown or selected."""
        return "wf inspect"

    async def on_changed(self, run_ids: list[str]) -> None:
        """Hear which runs changed, at most ten times a second; [] means that everything may have."""

    async def on_dev(self, event: LiveEvent) -> None:
        """Hear what the dev server says."""

    def apply_filter(self) -> str | None:
        """List what `filter_text` and `is_errors_only` leave; give what is wrong with the text, if it is."""
        return None

    def note(self) -> str:
        """Say what of all there is is shown: for the headline."""
        parts = ["errors only"] if self.is_errors_only else []
        return " · ".join([*parts, f"/{self.filter_text}"] if self.filter_text else parts)

    def go_back(self) -> bool:
        """Take back the last thing that was opened on this screen; False: there is none, leave it."""
        return False

    # -- what it has

    @property
    def studio(self) -> StudioApp:
        return cast("StudioApp", self.app)

    @property
    def client(self) -> Client:
        return self.studio.attachment.client

    def refresh_headline(self) -> None:
        """Draw the headline anew: call it when the crumb or the note changed."""
        attachment = self.studio.attachment
        for headline in self.query(Headline):
            headline.show(
                self.studio.crumbs(),
                attachment.label,
                attachment.short_label,
                is_well=attachment.link is not None and attachment.trouble is None,
                note=self.note(),
            )

    # -- made of

    def compose(self) -> ComposeResult:
        yield Headline()
        with Vertical(id="body"):
            yield from self.compose_body()
        yield Prompt()
        yield KeyLine()

    def on_screen_resume(self) -> None:
        self.refresh_headline()
        self.studio.tell_changed(self)
        self.call_after_refresh(self.studio.settle, type(self).__name__)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in _PROMPTING and isinstance(self.focused, Input | TextArea):
            return False
        return self.can_filter or action not in _FILTERING

    # -- verbs

    async def action_studio_back(self) -> None:
        if self.pane_mode != "normal":
            self.action_grow(-2)
        elif self.filter_text or self.is_errors_only:
            self.set_filter("", is_errors_only=False)
        elif self.go_back():
            return
        elif isinstance(self.focused, Input | TextArea):
            self.set_focus(None)  # single keys are keys again, and not what is typed
        else:
            await self.studio.leave(self)

    def action_show_command(self) -> None:
        command = self.studio.complete(self.command())
        self.app.copy_to_clipboard(command)
        self.studio.say(f"{command}\ncopied, where the terminal lets programs copy")

    def action_jump(self) -> None:
        def go(widget: Widget | None) -> None:
            if widget is not None:
                widget.focus()

        self.app.push_screen(JumpScreen(find_targets(self)), go)

    def action_grow(self, by: int) -> None:
        pane = panes.find_pane(self.focused)
        if pane is None:
            pane = next(iter(self.query(".pane")), None)
        if pane is not None:
            self.pane_mode = panes.next_mode(self.pane_mode, by)
            panes.grow(self.query_one("#body"), pane, self.pane_mode)

    def action_show_keys(self) -> None:
        self.app.push_screen(make_sheet(self))

    def action_toggle_errors(self) -> None:
        self.set_filter(self.filter_text, is_errors_only=not self.is_errors_only)

    # -- the prompt

    def action_open_go(self) -> None:
        self._open_prompt(GO, "")

    def action_open_filter(self) -> None:
        self._open_prompt(FILTER, self.filter_text)

    def _open_prompt(self, sign: str, text: str) -> None:
        self._filter_before = self.filter_text
        self.query_one(Prompt).open(sign, text)

    def set_filter(self, text: str, *, is_errors_only: bool | None = None) -> None:
        """List what a filter leaves, and say so in the headline; what is wrong with it is said in the prompt."""
        self.filter_text = text.strip()
        if is_errors_only is not None:
            self.is_errors_only = is_errors_only
        self.query_one(Prompt).complain(self.apply_filter() or "")
        self.refresh_headline()

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        if event.sign == FILTER:
            self._stop_typing()
            self._typing = self.set_timer(TYPING_SECONDS, partial(self.set_filter, event.text))

    def _stop_typing(self) -> None:
        if self._typing is not None:
            self._typing.stop()

    async def on_prompt_taken(self, event: Prompt.Taken) -> None:
        self._stop_typing()
        self._close_prompt()
        if event.sign == FILTER:
            self.set_filter(event.text)
        elif event.text.strip():
            await self.studio.switch(event.text)

    def on_prompt_given_up(self, event: Prompt.GivenUp) -> None:
        self._stop_typing()
        prompt = self.query_one(Prompt)
        self._close_prompt()
        if prompt.sign == FILTER:
            self.set_filter(self._filter_before)

    def _close_prompt(self) -> None:
        self.query_one(Prompt).close()
        self.restore_focus()

    def restore_focus(self) -> None:
        """Give the keys back to what had them before the prompt: the first pane, unless a screen knows better."""
        first = next((widget for widget in self.focus_chain), None)
        if first is not None:
            first.focus()
