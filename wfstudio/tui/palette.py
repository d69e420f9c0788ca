"""The palette: everything that can be done now, every screen, and the newest runs, found by typing a part of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import FuzzySearch
from textual.markup import escape
from textual.screen import Screen

from wf.world import RunFilter, RunRow
from wfstudio.text.printable import printable
from wfstudio.tui.resources import RESOURCES

if TYPE_CHECKING:
    from wfstudio.tui.app import StudioApp

NEWEST: Final = 500
"""Runs that are looked through."""
MOST_HITS: Final = 20
MOST_OFFERED: Final = 5


class Everything(Provider):
    """The screens, what the keys of this one do, runs, and the rest. One provider, so that their order is ours."""

    @property
    def studio(self) -> StudioApp:
        return cast("StudioApp", self.app)

    async def startup(self) -> None:
        world = self.studio.attachment.client.session.world
        self._runs: list[RunRow] = await world.list_runs(RunFilter(limit=NEWEST))

    async def discover(self) -> Hits:
        for name, resource in RESOURCES.items():
            yield DiscoveryHit(f":{name}", partial(self.studio.switch, name), help=resource.summary)
        for text, what, run in self._list_actions():
            yield DiscoveryHit(text, run, help=what)
        for row in self._runs[:MOST_OFFERED]:
            yield DiscoveryHit(Content(row.run_id), partial(self.studio.open_run, row.run_id), help=_describe(row))
        for command in self.studio.get_system_commands(self.screen):
            yield DiscoveryHit(command.title, command.callback, help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, resource in RESOURCES.items():
            score = max(matcher.match(f":{name}"), matcher.match(resource.summary) * 0.9)
            if score > 0:
                run = partial(self.studio.switch, name)
                yield Hit(score, matcher.highlight(f":{name}"), run, text=f":{name}", help=resource.summary)
        for text, what, do in self._list_actions():
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), do, text=text, help=what)
        for score, row in self._find_runs(query):
            show = partial(self.studio.open_run, row.run_id)
            yield Hit(score, Content(row.run_id), show, text=row.run_id, help=_describe(row))
        for command in self.studio.get_system_commands(self.screen):
            score = matcher.match(command.title)
            if score > 0:
                yield Hit(score, matcher.highlight(command.title), command.callback, help=command.help)

    def _list_actions(self) -> list[tuple[str, str, Callable[[], Awaitable[object]]]]:
        found: dict[str, tuple[str, str, Callable[[], Awaitable[object]]]] = {}
        bindings = self.screen.active_bindings.values()
        for active in sorted(bindings, key=lambda active: (active.binding.id or "").startswith("studio.")):
            binding = active.binding
            is_ours = binding.id and isinstance(active.node, App | Screen)  # what moves about in a widget is left out
            if is_ours and binding.description and active.enabled and binding.action != "command_palette":
                run = partial(self.app.run_action, binding.action, active.node)
                found.setdefault(binding.action, (binding.description, self.app.get_key_display(binding), run))
        return list(found.values())

    def _find_runs(self, query: str) -> list[tuple[float, RunRow]]:
        fuzzy = FuzzySearch()
        scored = [(fuzzy.match(query, f"{row.run_id} {row.workflow} {row.status}")[0], row) for row in self._runs]
        return sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])[:MOST_HITS]


def _describe(row: RunRow) -> str:
    return escape(printable(f"{row.workflow}, {row.status}"))
