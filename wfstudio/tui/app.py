"""The application: one mode a resource, each with its stack of screens, over one attachment.

1. News go to the screen that is shown. They are handled one at a time, and never hold a key back.
2. An action is run by `act`: its error is shown with slug, fix and page, and what it did is said with the `wf`
   command that does the same.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shlex
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, ClassVar, Final, Literal, TypeVar, cast

from rich.text import Text
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkerFailed, get_current_worker

from wf.errors import WorkflowError
from wfstudio.core.live import LiveEvent
from wfstudio.text.printable import printable_lines
from wfstudio.tui import palette, themes
from wfstudio.tui.attachment import Attachment
from wfstudio.tui.preferences import Preferences, explain_unknown, find_clashes
from wfstudio.tui.resources import FIRST, RESOURCES, RUN, find_resource, load_screen, suggest_resource
from wfstudio.tui.studio_screen import StudioScreen
from wfstudio.tui.widgets.failure import FailureScreen

T = TypeVar("T")
Severity = Literal["information", "warning", "error"]


BUG: Final = "this is a bug in wf; what was done before is in the world, and nothing of it is lost"
MOST_NEWS: Final = 500
"""What the dev server said last, that is kept for its screen."""
_NOTHING: Final = Preferences()


def _make_screen(place: str) -> Screen[Any]:
    return cast("Screen[Any]", load_screen(place)())


class StudioApp(App[None]):
    """See the laws at the top of this module."""

    TITLE = "wf"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        name: partial(_make_screen, resource.place) for name, resource in RESOURCES.items()
    }
    DEFAULT_MODE = FIRST
    NOTIFICATION_TIMEOUT = 4
    CSS = """
    ToastRack {
        margin-bottom: 1;
    }
    Toast {
        width: auto;
        max-width: 64;
        padding: 0 1;
        margin-top: 0;
    }
    """
    COMMANDS: ClassVar[set[Any]] = {palette.Everything}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+p", "command_palette", "Palette", id="studio.palette", priority=True),
        Binding("q", "quit", "Quit", id="studio.quit"),
        Binding("ctrl+q", "quit", "Quit", id="studio.quit_anywhere", show=False, priority=True),
    ]

    def __init__(
        self, attachment: Attachment, preferences: Preferences = _NOTHING, *, is_own_process: bool = False
    ) -> None:
        # Greys are colours, too: where none are wanted, what is chosen is shown in reverse instead.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        self.attachment = attachment
        self.preferences = preferences
        self._is_own_process = is_own_process
        self._settled: set[str] = set()
        self.dev_news: deque[LiveEvent] = deque(maxlen=MOST_NEWS)
        for known in themes.THEMES:
            self.register_theme(known)
        is_known = preferences.theme in self.available_themes
        self.theme = preferences.theme if is_known and preferences.theme else themes.DARK.name
        self.set_keymap(preferences.keys)

    async def _process_messages(self, *arguments: Any, **options: Any) -> None:
        """Run with tasks that begin in the loop's next turn, as on Python 3.11. From 3.12 on textual has them begin at
        once, and builds the first screen before it is on the stack: a line to type in then finds none."""
        asyncio.get_running_loop().set_task_factory(None)
        await super()._process_messages(*arguments, **options)

    def on_mount(self) -> None:
        self.run_worker(self.attachment.follow_world(self._hear_changed, self._hear_state), name="world")
        self.run_worker(self.attachment.follow_server(self._hear_dev, self._hear_state), name="server")
        self.call_after_refresh(self._check_preferences)

    def settle(self, name: str) -> None:
        """Let garbage collections pass over what was loaded by now. `name` is of what; each is settled once.

        It is there to stay: some 80 000 objects, and to walk through them takes 50 ms, in which no key is answered.
        What is garbage already stays with them, so this is for what is loaded once. Where the process is another's,
        its memory is its own affair.
        """
        if self._is_own_process and name not in self._settled:
            self._settled.add(name)
            gc.freeze()

    # -- moving about

    def crumbs(self) -> list[str]:
        """Give the way here: the names of the screens below this one, and its own."""
        return [screen.crumb for screen in self.screen_stack if isinstance(screen, StudioScreen) and screen.crumb]

    async def switch(self, resource: str) -> None:
        """Show a resource's screen, by what was typed after `:`."""
        found = find_resource(resource)
        if found is None:
            self.say(f"there is no screen {resource!r:.40}: {suggest_resource(resource)}", "warning")
            return
        await self.switch_mode(found.name)
        while len(self.screen_stack) > 1:
            await self.pop_screen()

    def open_run(self, run_id: str, span: int | None = None) -> None:
        """Show one run, over whatever led to it; `span` is the correlation id of the call to begin with."""
        self.push_screen(load_screen(RUN)(run_id, span))

    async def leave(self, screen: StudioScreen) -> None:
        """Go back to what led to a screen; a resource's own screen stays."""
        if len(self.screen_stack) > 1 and self.screen is screen:
            await self.pop_screen()

    # -- saying and doing

    def say(self, text: str, severity: Severity = "information") -> None:
        """Say something in passing."""
        self.notify(text, severity=severity, markup=False)

    async def act(
        self, command: str, work: Awaitable[T], done: Callable[[T], str] | None = None
    ) -> T | None:  # fmt: skip
        """Carry an action out, and say what came of it and the command that does the same.

        Its error is shown, and gives None.
        """
        try:
            result = await work
        except WorkflowError as error:
            self.show_error(error)
            return None
        command = self.complete(command)
        self.say(command if done is None else f"{done(result)}\n{command}")
        return result

    def complete(self, command: str) -> str:
        """Give a command as it must be typed to mean this world."""
        world = self.attachment.named_world
        return command if world is None else f"{command} --world {shlex.quote(world)}"

    def show_error(self, error: WorkflowError) -> None:
        """Show an error with slug, message, where, fix and page."""
        self.push_screen(FailureScreen(error.explain()))

    def _handle_exception(self, error: Exception) -> None:
        """End the studio with a bug of ours; but work whose screen is taken down meanwhile finds nothing there."""
        if isinstance(error, WorkerFailed) and isinstance(error.error, NoMatches):
            node = get_current_worker().node
            if not node.is_attached or not node.is_running:
                return
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End with the traceback of a bug of ours. Textual's own shows local variables, which hold users' payloads."""
        self.bell()
        lines = printable_lines(traceback.format_exc().rstrip())
        self._exit_renderables.append(Text(f"{lines}\n{BUG}"))
        self._close_messages_no_wait()

    # -- news

    async def _hear_changed(self, run_ids: list[str]) -> None:
        await self._tell(lambda screen: screen.on_changed(run_ids))

    async def _hear_dev(self, event: LiveEvent) -> None:
        self.dev_news.append(event)
        await self._tell(lambda screen: screen.on_dev(event))

    def tell_changed(self, screen: StudioScreen) -> None:
        """Have a screen that is shown again read everything anew."""
        self.run_worker(self._tell(lambda shown: shown.on_changed([]), screen), name="resume", group="resume")

    async def _tell(self, tell: Callable[[StudioScreen], Awaitable[None]], only: StudioScreen | None = None) -> None:
        below = (screen for screen in reversed(self.screen_stack) if isinstance(screen, StudioScreen))
        screen = next(below, None) if only is None else only  # a dialog may be over it
        if screen is None or not screen.is_running:
            return
        try:
            await tell(screen)
        except WorkflowError as error:
            self.say(f"{error}", "error")
        except Exception:
            if screen.is_running:  # else it was left meanwhile, and what it looked for is gone
                raise

    def _hear_state(self) -> None:
        if isinstance(self.screen, StudioScreen):
            self.screen.refresh_headline()

    # -- keys and themes

    def _check_preferences(self) -> None:
        """Say which preferences mean nothing. Once the first screen is drawn: the ids are in all of them."""
        theme = self.preferences.theme
        if theme is not None and theme not in self.available_themes:
            self.say(f"there is no theme {theme!r:.60}; the palette lists them", "warning")
        if not self.preferences.keys:
            return
        for place in (RUN, *(resource.place for resource in RESOURCES.values())):
            load_screen(place)
        known = list_actions()
        for action in sorted(self.preferences.keys.keys() - known.keys()):
            self.say(explain_unknown(action, known), "warning")
        for clash in find_clashes(self.preferences.keys, known):
            self.say(clash, "warning")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer what textual offers, in our words: the palette has the actions of the keys already."""
        yield SystemCommand("Theme", "Choose another theme for this session", self.action_change_theme)
        yield SystemCommand("Screenshot", "Keep what is shown as an SVG picture", self.deliver_screenshot)


def list_actions() -> dict[str, str]:
    """List all actions of ours that are loaded, by id, with their keys."""
    found: dict[str, str] = {}
    left: list[type[Any]] = [App, Widget]
    while left:
        cls = left.pop()
        left += cls.__subclasses__()
        if cls.__module__.startswith("wfstudio.tui"):
            bindings: Iterable[Any] = cls.__dict__.get("BINDINGS", ())
            found |= {binding.id: binding.key for binding in bindings if isinstance(binding, Binding) and binding.id}
    return found
