"""What users' programs wrote, made safe to show.

A name, a payload, an error or a log line may hold ANSI sequences that rewrite the screen, or
bidirectional marks that show another text than the one there is. `printable` escapes all of them;
`to_json` does it in JSON's own notation, so that the value stays the same.
"""

from __future__ import annotations

import re
from typing import Any, Final

# C0 and C1 controls, DEL, line and paragraph separators, bidirectional marks, joiners, lone surrogates.
_UNSAFE: Final = "\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
_CONTROL = re.compile(f"[{_UNSAFE}]")
_CONTROL_BUT_LINES = re.compile(f"(?![\t\n])[{_UNSAFE}]")


def printable(text: str) -> str:
    """Escape what could steer a terminal; the text stays on one line."""
    return _CONTROL.sub(_escape, text)


def printable_lines(text: str) -> str:
    """Escape what could steer a terminal, but keep newlines and tabs."""
    return _CONTROL_BUT_LINES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    named = {9: r"\t", 10: r"\n", 13: r"\r"}.get(code)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def to_json(value: Any, *, indent: bool = False) -> str:
    """Write a view as JSON that holds no control character."""
    import msgspec  # 25 ms that `wf --help` need not pay

    data = msgspec.json.encode(value)
    if indent:
        data = msgspec.json.format(data, indent=2)
    text = data.decode()
    return _CONTROL_BUT_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
