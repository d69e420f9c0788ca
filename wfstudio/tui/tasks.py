"""Tasks of which only the newest counts: what a cursor rests on is read, not all that it passed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from textual.dom import DOMNode


def begin_newest(node: DOMNode, group: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do something in a task of its own, in the place of whatever is under way in the group.

    What is given is called when its turn comes: a coroutine made before, and displaced, would never be awaited, of
    which Python complains.
    """
    node.run_worker(cast("Any", work), group=group, exclusive=True)
