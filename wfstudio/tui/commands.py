"""The `wf` command that does what a screen does, to be copied into a shell.

What a shell or a terminal would take for something else is quoted: control characters and bidirectional marks too, as
`$'…'` of bash and zsh has them, so that what is shown is what is run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from wfstudio.text.printable import printable, to_json


def command_of(*words: str) -> str:
    return " ".join(["wf", *map(quote, words)])


def start_command(workflow: str, args: Sequence[Any], kwargs: Mapping[str, Any], id: str | None = None) -> str:
    """Write `wf start` with arguments by place and by name."""
    given = [*map(to_json, args), *(f"{name}={to_json(value)}" for name, value in kwargs.items())]
    return command_of("start", workflow, *given, *(["--id", id] if id else []))


def resume_command(token: str, payload: Any) -> str:
    return command_of("resume", token, to_json(payload))


def query_command(sql: str, *options: str, values: Mapping[str, str] | None = None) -> str:
    """Write `wf query` on one line: comments out, white space as one. `values` are for its `$name`s."""
    bare = re.sub(r"^\s*--.*$", "", sql, flags=re.MULTILINE)
    is_plain = "'" not in bare and '"' not in bare and "--" not in bare and "/*" not in bare
    given = [part for name, text in (values or {}).items() for part in ("--param", f"{name}={text}")]
    return command_of("query", " ".join(bare.split()) if is_plain else bare.strip(), *given, *options)


def curl_command(url: str, body: Any) -> str:
    """Write the request that does the same through a server; its token is the reader's to put in."""
    return f'curl {quote(url)} -H "Authorization: Bearer $TOKEN" --json {quote(to_json(body))}'


def quote(word: str) -> str:
    """Quote a word for a POSIX shell, or for bash and zsh where it holds what cannot be shown."""
    if printable(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(_escape(character) for character in word) + "'"


def _escape(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    code = ord(character)
    if printable(character) == character:
        return character
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"  # above, `\x` would be a byte and no character
