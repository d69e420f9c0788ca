"""Resources: which screens there are, by the names that `:` takes.

A screen is named here and imported when it is first shown, so that the first one is there at once.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final, NamedTuple


class Resource(NamedTuple):
    """`place` is `module:class` in `wfstudio.tui.screens`; `aliases` are other names that `:` takes."""

    name: str
    place: str
    summary: str
    aliases: tuple[str, ...] = ()


RESOURCES: Final[dict[str, Resource]] = {
    resource.name: resource
    for resource in (
        Resource("runs", "runs:RunsScreen", "All runs, newest first, live", ("r", "run")),
        Resource("workflows", "workflows:WorkflowsScreen", "What can be started, and how it fares", ("w", "workflow")),
        Resource("hooks", "hooks:HooksScreen", "What waits for an answer", ("h", "hook")),
        Resource("query", "query:QueryScreen", "SQL over all history", ("q", "sql")),
        Resource("dev", "dev:DevScreen", "wf dev: reloads, verdicts, news", ("d", "code")),
    )
}
FIRST: Final = "runs"
RUN: Final = "run:RunScreen"
"""One run, `RunScreen(run_id, span)`: shown over whatever led to it."""


def load_screen(place: str) -> Any:
    """Import a screen's class."""
    module, _, name = place.partition(":")
    return getattr(import_module(f"wfstudio.tui.screens.{module}"), name)


def find_resource(word: str) -> Resource | None:
    """Give the resource that a word after `:` means: a name, an alias, or a beginning that only one name has."""
    asked = word.strip().lstrip(":").lower()
    for resource in RESOURCES.values():
        if asked == resource.name or asked in resource.aliases:
            return resource
    begun = [resource for resource in RESOURCES.values() if asked and resource.name.startswith(asked)]
    return begun[0] if len(begun) == 1 else None


def suggest_resource(word: str) -> str:
    """Say what may have been meant by a word that is no resource's."""
    close = get_close_matches(word.strip().lower(), RESOURCES, n=1, cutoff=0.5)
    return f"did you mean `:{close[0]}`?" if close else f"there are {', '.join(f':{name}' for name in RESOURCES)}"
