"""The hooks: what waits for somebody, and a form made from its schema to answer it.

1. What was typed for a hook stays while others are looked at, and while the list changes.
2. A hook that somebody else resumed is said to be gone; it stays with its form until another one is chosen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final
from urllib.parse import quote

from textual.binding import Binding, BindingType

from wf.errors import RunNotFoundError
from wfstudio.core.views import HookView
from wfstudio.text.moments import show_relative
from wfstudio.text.pen import Pen
from wfstudio.tui import clock
from wfstudio.tui.columns import Column
from wfstudio.tui.commands import command_of, curl_command, resume_command
from wfstudio.tui.commands import quote as quote_word
from wfstudio.tui.descriptions import draw_hook, name_hook
from wfstudio.tui.earlier import recall_payloads
from wfstudio.tui.forms.fields import describe
from wfstudio.tui.forms.form import Form, make_form
from wfstudio.tui.looking import is_wanted
from wfstudio.tui.screens.list_with_form import FormGrid, ListWithForm
from wfstudio.tui.tasks import begin_newest
from wfstudio.tui.widgets.form_pane import FormPane
from wfstudio.tui.widgets.grid import Cell, Grid

LOOK_SECONDS: Final = 1.5
"""How often it is looked for hooks of which nobody rang, as in the browser."""
FEW: Final = 500
SELDOM: Final = 10
"""Where there are more than a few hooks, only every so manieth look is taken."""
REST: Final = 4
"""So many times as long as reading all hooks took they are not all read again."""
AT_ONCE: Final = 50
"""Runs that are asked one by one; where more changed, all hooks are read."""
COLUMNS: Final = (
    Column("hook", 12, share=3),
    Column("since", 5, align="right"),
    Column("of", 12, share=1, from_width=60),
)

Key = tuple[str, int]


class HookRows:
    """The hooks that are listed, as a grid shows them."""

    def __init__(self) -> None:
        self.hooks: list[HookView] = []
        self.gone: HookView | None = None

    def __len__(self) -> int:
        return len(self.hooks)

    def cells(self, index: int) -> Sequence[Cell]:
        hook = self.hooks[index]
        if hook is self.gone:
            return [(name_hook(hook), "dim"), ("gone", "warning"), (hook.name or hook.kind, "dim")]
        since = show_relative(datetime.fromisoformat(hook.created_at), clock.now()).removesuffix(" ago")
        return [name_hook(hook), (since, "dim"), (hook.name or hook.kind, "dim")]


class HooksScreen(ListWithForm):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open_run", "Its run", id="hooks.open_run"),
    ]

    crumb = "hooks"

    def __init__(self) -> None:
        super().__init__()
        self.all: list[HookView] = []
        self.rows = HookRows()
        self._shown: HookView | None = None
        self._target: Key | bool | None = None
        self._forms: dict[Key, Form] = {}
        self._sent: set[Key] = set()
        self._is_read = False
        self._looks = 0
        self._not_before = 0.0

    # -- made of

    def make_grid(self) -> Grid:
        return FormGrid(COLUMNS, self.rows, id="hooks", classes="pane")

    def on_mount(self) -> None:
        self.set_interval(LOOK_SECONDS, self._look)

    # -- reading

    def _look(self) -> None:
        self._looks += 1
        if self.is_current and (len(self.all) <= FEW or self._looks % SELDOM == 0):
            self.studio.tell_changed(self)

    async def on_changed(self, run_ids: list[str]) -> None:
        if self._is_read and 0 < len(run_ids) <= AT_ONCE:
            await self._read_hooks_of(run_ids)
        elif not self._is_read or time.monotonic() >= self._not_before:
            began = time.monotonic()
            self.all = await self.client.list_hooks()
            self._not_before = time.monotonic() + REST * (time.monotonic() - began)
        self._is_read = True
        self.list_rows()
        if self.pane is not None:
            self.pane.draw_facts()

    async def _read_hooks_of(self, run_ids: list[str]) -> None:
        """Read the hooks of runs that changed: opening all of ten thousand takes a third of a second."""
        changed = set(run_ids)
        hooks = [hook for hook in self.all if hook.run_id not in changed]
        for run_id in changed:
            with suppress(RunNotFoundError):  # it is gone, and its hooks with it
                hooks += await self.client.list_hooks(run_id)
        self.all = sorted(hooks, key=lambda hook: hook.created_at)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "toggle_errors" and super().check_action(action, parameters)

    def list_rows(self) -> None:
        """List what is looked for, and keep the one that is shown under the cursor, also when it is gone."""
        there = {_key(hook) for hook in self.all}
        shown = self._shown
        if shown is not None and _key(shown) not in there:
            if _key(shown) in self._sent:  # we did it: on to the next one
                self._sent.discard(_key(shown))
                shown = self._shown = self._target = None
            else:
                self.rows.gone = shown
        hooks = [*self.all, *([self.rows.gone] if self.rows.gone is not None else [])]
        hooks.sort(key=lambda hook: hook.created_at)
        self.rows.hooks = [hook for hook in hooks if is_wanted(_text(hook), self.filter_text)]
        keys = [_key(hook) for hook in self.rows.hooks]
        place = keys.index(_key(shown)) if shown is not None and _key(shown) in keys else None
        self.grid.refresh_rows(place)
        count = sum(hook is not self.rows.gone for hook in self.rows.hooks)
        self.grid.border_subtitle = str(count) if count == len(self.all) else f"{count} of {len(self.all)}"
        if place is None:
            self.choose(self.grid.cursor)
        elif self.rows.gone is not None:
            self.detail.say_gone("This hook is gone: it was resumed, or its run has ended.")

    # -- showing

    def choose(self, index: int) -> None:
        """Show a hook of the list; where there is none, say why."""
        hook = self.rows.hooks[index] if 0 <= index < len(self.rows.hooks) else None
        target = bool(self.all) if hook is None else _key(hook)
        if not self._is_read or target == self._target:
            return
        self._keep()
        self._shown, self._target = hook, target
        if self.rows.gone is not None and hook is not self.rows.gone:
            self.rows.gone = None
            self.list_rows()
        self.detail.expect()
        begin_newest(self, "detail", partial(self._show, hook))

    def _keep(self) -> None:
        """Keep what was typed, for when its hook is chosen again."""
        form = None if self.pane is None else self.pane.form
        if form is not None and self._shown is not None and self._shown is not self.rows.gone:
            self._forms[_key(self._shown)] = form

    async def _show(self, hook: HookView | None) -> None:
        await self.detail.settle()
        if hook is None:
            await self.detail.show_nothing(_draw_empty if not self.all else lambda pen: ["None is like that."])
            return
        is_asked = hook.token is not None and hook.path is None
        form = self._forms.get(_key(hook)) or make_form(describe(hook.schema)) if is_asked else None
        pane = FormPane(
            lambda pen: draw_hook(pen, hook, clock.now()),
            form,
            title="Resume it",
            verb="Resume",
            write=lambda value, _: self._write_commands(hook, value),
        )
        pane.border_title = "hook"
        await self.detail.show(pane)
        if is_asked:
            await pane.offer_earlier(await recall_payloads(self.client, hook))

    def _write_commands(self, hook: HookView, value: Any) -> list[str]:
        link = self.studio.attachment.link
        if hook.token is None:
            return []
        if hook.path is not None:
            origin = "http://127.0.0.1:4600" if link is None else link.server.url
            return [f"curl -X POST {quote_word(origin + hook.path)} --json '{{}}'"]
        commands = [resume_command(hook.token, value)]
        if link is not None:
            url = f"{link.server.url}/api/hooks/{quote(hook.token, safe='')}/resume"
            commands.append(curl_command(url, {"payload": value}))
        return commands

    # -- verbs

    def command(self) -> str:
        pane = self.pane
        commands = pane.commands() if pane is not None and self.detail.has_focus_within else ()
        return commands[0] if commands else command_of("hooks")

    def go_back(self) -> bool:
        if not self.detail.has_focus_within:
            return False
        self.grid.focus()
        return True

    def action_open_run(self) -> None:
        if self._shown is not None:
            self.studio.open_run(self._shown.run_id, self._shown.correlation_id)

    async def on_form_pane_sent(self, event: FormPane.Sent) -> None:
        hook = self._shown
        if hook is None or hook.token is None:
            return
        command = resume_command(hook.token, event.value)
        work = self.client.resume(hook.token, event.value)
        resumed = await self.studio.act(command, work, lambda hook: f"{name_hook(hook)} was resumed")
        if resumed is not None:
            self._forms.pop(_key(hook), None)
            self._sent.add(_key(hook))  # it may take more than one payload: whether it goes is seen in the list
            self.grid.focus()
            if self.pane is not None:
                await self.pane.clear()
            await self.on_changed([])


def _key(hook: HookView) -> Key:
    return hook.run_id, hook.correlation_id


def _text(hook: HookView) -> str:
    return f"{hook.token} {hook.name} {hook.kind} {hook.run_id}"


def _draw_empty(pen: Pen) -> list[str]:
    return [
        pen.paint("Nothing waits for you", "bold"),
        "",
        "A run that awaits `Model.wait()` or `wf.hook()` is listed here until somebody resumes it.",
    ]
