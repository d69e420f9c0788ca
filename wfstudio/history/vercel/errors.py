"""Errors: what Vercel's rows say of an exception, as one of ours.

The JavaScript SDK writes the thrown value; the Python SDK its message, and its traceback beside it. So its
class is found in the traceback's last line, or in a message that begins as Python prints exceptions.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from wfstudio.history.vercel.devalue import write_error

LONGEST: Final = 1_000
"""Characters of a text that stands in clear: a name, an attribute, a class."""

_HEAD: Final = re.compile(r"([A-Za-z_][\w.]*)(?::\s|$)")
_ERROR: Final = re.compile(r"\w*(?:Error|Exception|Warning|Interrupt|Exit)")


def read_text(value: Any) -> str:
    """Give a text that a name or a clear column may hold; none for anything else."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def describe_error(field: str | dict[str, Any], stack: Any, code: str, *, is_python: bool) -> tuple[str, bytes]:
    """Give the class of an error that is written in words, as `module.qualname`, and the encoded exception.

    `code` names the class where nothing better is known.
    """
    message = read_text(field)
    if isinstance(field, dict):
        message, stack = read_text(field.get("message")), field.get("stack", stack)
        code = read_text(field.get("name")) or code or read_text(field.get("code"))
    stack = read_text(stack)
    named = _guess_class(stack, message) or (code if _ERROR.fullmatch(code) else "Error")
    module, _, name = named.rpartition(".")
    module = module or ("builtins" if is_python and named != "Error" else "js")
    return f"{module}.{name}"[:LONGEST], msgspec.json.encode(write_error(f"{module}:{name}", message, stack))


def type_of_exception(data: bytes) -> str | None:
    """Give the class that an encoded exception names, as `module.qualname`; None for any other value."""
    tree = msgspec.json.decode(data)
    found = tree.get("$exception") if isinstance(tree, dict) else None
    return str(found["type"]).replace(":", ".")[:LONGEST] if isinstance(found, dict) else None


def _guess_class(stack: str, message: str) -> str:
    lines = stack.strip().splitlines()
    is_python = bool(lines) and lines[0].startswith("Traceback")
    for line in [*(lines[::-1] if is_python else lines[:1]), message]:
        match = _HEAD.match(line)
        if match is not None and _ERROR.fullmatch(match[1].rpartition(".")[2]):
            return match[1]
    # A class of another name is the last line of its traceback, if its message has but one.
    match = _HEAD.match(lines[-1]) if is_python else None
    return match[1] if match is not None else ""
