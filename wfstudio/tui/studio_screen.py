"""What every screen of the studio is: a headline, its own body, a line to type in, the keys.

    class HooksScreen(StudioScreen):
        crumb = "hooks"
        def compose_body(self): ...                     # its widgets
        def command(self): return "wf hooks"            # the command for what is shown
        async def on_changed(self, run_ids): ...        # read anew what changed; [] = everything may have

1. `on_changed` and `on_dev` are called for the screen that is shown only; one that is shown again gets
   `on_changed([])` first. What they raise of `WorkflowError` is said; anything else is a bug and ends the app.
2. Every action has an id, `<screen>.<verb>`, by which its key can be changed.
3. A widget that can grow (`+`, `_`) has the class `pane`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer

from wfstudio.core.client import Client
from wfstudio.core.live import LiveEvent
from wfstudio.tui.widgets.headline import Headline

if TYPE_CHECKING:
    from wfstudio.tui.app import StudioApp


class StudioScreen(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "studio_back", "Back", id="studio.back", show=False),
        Binding("y", "show_command", "Command", id="studio.command"),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012

    crumb = ""

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

    def note(self) -> str:
        """Say what of all there is is shown: for the headline."""
        return ""

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
        yield from self.compose_body()
        yield Footer(show_command_palette=False)

    def on_screen_resume(self) -> None:
        self.refresh_headline()
        self.studio.tell_changed(self)

    # -- verbs

    async def action_studio_back(self) -> None:
        if not self.go_back():
            await self.studio.leave(self)

    def action_show_command(self) -> None:
        command = self.command()
        self.app.copy_to_clipboard(command)
        self.studio.say(f"{command}\ncopied", "information")
