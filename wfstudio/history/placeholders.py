"""Placeholders: the `$name`s of a query, and what is given for them.

A `$` within a text, a quoted name, a comment or a text between dollars (`$$…$$`, `$tag$…$tag$`) stands for nothing.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

LARGEST_WHOLE: Final = 2**63 - 1
_TOKENS: Final = re.compile(
    r"--[^\n]*"
    r"|/\*.*?(?:\*/|\Z)"
    r"|'(?:[^']|'')*(?:'|\Z)"
    r'|"(?:[^"]|"")*(?:"|\Z)'
    r"|\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)"
    r"|(?<!\w)\$(?P<name>\w+)",
    re.DOTALL,
)


def find_placeholders(sql: str) -> list[str]:
    """List the names that a query wants values for, without their `$`, each once, in order."""
    return list(dict.fromkeys(found["name"] for found in _TOKENS.finditer(sql) if found["name"]))


def read_value(text: str) -> Any:
    """Read what is given for a name: a JSON text, number, `true`, `false` or `null` is what it says, else a text."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    # What has no parameter of its own can be cast from its text: `$ids::JSON`, `$n::HUGEINT`.
    is_other = isinstance(value, (dict, list)) or (isinstance(value, int) and abs(value) > LARGEST_WHOLE)
    return text if is_other else value
