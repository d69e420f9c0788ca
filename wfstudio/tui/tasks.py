"""Tasks of which only the newest counts: what a cursor rests on is read, not all that it passed.

A world that does not answer is said; anything else is a bug, and ends the app.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from textual.dom import DOMNode

from wf.errors import WorkflowError

if TYPE_CHECKING:
    from wfstudio.tui.app import StudioApp


def begin_newest(node: DOMNode, group: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do something in a task of its own, in the place of whatever is under way in the group.

    What is given is called when its turn comes: a coroutine made before, and displaced, would never be awaited, of
    which Python complains.
    """

    async def run() -> None:
        try:
            await work()
        except WorkflowError as error:
            cast("StudioApp", node.app).say(f"{error}", "error")

    node.run_worker(cast("Any", run), group=group, exclusive=True)
