"""Tables: names of libraries by where they are, and how a name is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NO_CALLS: Final = re.compile(r"(Error|Exception|Warning|Timeout)\Z")


class Table:
    """Names of libraries by where they are: from a module's (or class's) name to a pattern of what is in it.

    The longest name that fits decides. What ends in `Error` and the like never matches.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = {name: re.compile(rf"(?:{pattern})\Z") for name, pattern in patterns.items()}

    def has(self, name: str) -> bool:
        """Tell whether a dotted name is in the table."""
        if _NO_CALLS.search(name):
            return False
        owner, _, rest = name.rpartition(".")
        while owner:
            pattern = self._patterns.get(owner)
            if pattern is not None:
                return pattern.match(rest) is not None
            owner, _, last = owner.rpartition(".")
            rest = f"{last}.{rest}"
        return False


def show_name(name: str) -> str:
    """Write a dotted name as people do: `open`, not `builtins.open`."""
    return name.removeprefix("builtins.")
