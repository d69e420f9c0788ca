"""Devalue: the text in which Vercel's SDKs write values, read as a value of ours (docs/event-log.md §5).

A devalue text is a flat JSON array. Its first slot is the value; an array or object holds the numbers of
the slots of its members; an array that begins with a text is a tagged value; numbers under 0 are values
that JSON lacks. The tag of a built-in is followed by its content as JavaScript's library writes it, or, in
the JavaScript SDK, by the slot of another form of it: `["Set", 1, 2]` and `["Set", 1]` are both sets.

1. Nothing is built but JSON: no class is looked up, no code runs.
2. What it expands to is bounded: slots may be named many times over, so that few bytes mean many.
3. A value that has no counterpart keeps its tag: `{"$object": ["js:RegExp", …]}`. What refers to itself is
   `{"$circular": true}` there.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from wf import codec
from wfstudio.history.vercel.names import read_name, read_stream_name

MAX_DEPTH: Final = 200
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of the JSON that a value expands to: what one payload may hold here."""

_UNDEFINED, _HOLE, _NAN, _INFINITY, _MINUS_INFINITY, _MINUS_ZERO, _SPARSE = range(-1, -8, -1)
_LITERALS: Final[dict[int, Any]] = {
    _UNDEFINED: None,
    _HOLE: None,
    _NAN: {"$float": "nan"},
    _INFINITY: {"$float": "inf"},
    _MINUS_INFINITY: {"$float": "-inf"},
    _MINUS_ZERO: -0.0,
}
_LARGEST: Final = 2**63
_MAX_LENGTH: Final = 2**20
"""Of an array with holes: its length is written, not its members."""
_MAX_DIGITS: Final = 4_000

_BYTES: Final = frozenset({"Uint8Array", "Uint8ClampedArray", "Int8Array", "DataView"})
_NUMBERS: Final = {
    "Int16Array": "h", "Uint16Array": "H", "Int32Array": "i", "Uint32Array": "I", "Float16Array": "e",
    "Float32Array": "f", "Float64Array": "d", "BigInt64Array": "q", "BigUint64Array": "Q",
}  # fmt: skip

_ERRORS: Final = {
    "FatalError": "wf.errors:FatalError",
    "RetryableError": "wf.errors:RetryableError",
    "TypeError": "builtins:TypeError",
    "RangeError": "builtins:ValueError",
    "SyntaxError": "builtins:SyntaxError",
    "ReferenceError": "builtins:NameError",
    "URIError": "builtins:ValueError",
    "EvalError": "js:EvalError",
    "AggregateError": "js:AggregateError",
    "DOMException": "js:DOMException",
    "HookConflictError": "js:HookConflictError",
    "Error": "js:Error",
}


class DevalueError(ValueError):
    """A text is no devalue, or one that is not taken in. Internal: see `payloads`."""


def read_devalue(text: str, *, is_python: bool, run_id: str) -> bytes:
    """Give a devalue text as an encoded value. `is_python` tells which SDK wrote it, where both read alike."""
    try:
        parsed = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DevalueError(f"it is no JSON: {error}") from None
    return read_parsed(parsed, is_python=is_python, run_id=run_id)


def read_parsed(parsed: Any, *, is_python: bool, run_id: str) -> bytes:
    """Give a devalue text that is parsed already, as version 1 of their format keeps it, as an encoded value."""
    if type(parsed) is int and parsed in _LITERALS:
        return msgspec.json.encode(_LITERALS[parsed])
    if not isinstance(parsed, list) or not parsed:
        raise DevalueError("it is no devalue: neither an array nor a number under 0")
    reader = _Reader(parsed, is_python, run_id)
    try:
        return msgspec.json.encode(reader.take(0, 0))
    except DevalueError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise DevalueError(f"a value in it is malformed: {error}") from None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def write_text(text: str) -> Any:
    """Give a text as a part of an encoded value; one with lone surrogates is tagged."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return msgspec.Raw(codec.encode(text, "text"))
    return text


def write_object(pairs: list[tuple[Any, Any]]) -> Any:
    """Give an object; one that JSON does not hold, or that would look like a tag, is a `$dict`."""
    names = [key for key, _ in pairs]
    is_plain = all(type(key) is str for key in names) and len(set(names)) == len(names)
    if is_plain and not (len(names) == 1 and names[0].startswith("$")):
        return dict(pairs)
    return {"$dict": [[key, value] for key, value in pairs]}


def write_error(
    type_: str, message: str, stack: Any = None, cause: Any = None, members: list[Any] | None = None
) -> dict[str, Any]:
    """Give an exception as a part of an encoded value."""
    content: dict[str, Any] = {"type": type_, "message": write_text(message), "args": [write_text(message)]}
    if isinstance(cause, dict) and "$exception" in cause:
        content["cause"] = cause
    if members is not None:
        content["members"] = [member for member in members if isinstance(member, dict) and "$exception" in member]
    if isinstance(stack, str) and stack:
        content["traceback"] = write_text(stack)
    return {"$exception": content}


class _Reader:
    """One text: its slots, and what became of them."""

    def __init__(self, slots: list[Any], is_python: bool, run_id: str) -> None:
        self._slots = slots
        self._is_python = is_python
        self._run_id = run_id
        self._known: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._bytes = 0

    def take(self, slot: Any, depth: int) -> Any:
        """Give the value of a slot, and count what it expands to."""
        if type(slot) is not int:
            return None  # JavaScript reads undefined there
        if slot in _LITERALS:
            return self._count(_LITERALS[slot], 5)
        if not 0 <= slot < len(self._slots):
            return self._count(None, 5)
        known = self._known.get(slot)
        if known is not None:
            return self._count(*known)
        if slot in self._open:
            return self._count({"$circular": True}, 20)
        if depth > MAX_DEPTH:
            raise DevalueError(f"it is nested over {MAX_DEPTH} deep")
        before = self._bytes
        self._open.add(slot)
        value = self._read(self._slots[slot], depth)
        self._open.discard(slot)
        self._known[slot] = (value, self._bytes - before)
        return value

    def _count(self, value: Any, size: int) -> Any:
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise DevalueError(f"it expands to over {MAX_BYTES} bytes")
        return value

    def _read(self, content: Any, depth: int) -> Any:
        if isinstance(content, str):
            return self._text(content)
        if isinstance(content, dict):
            return write_object([(self._text(key), self.take(slot, depth + 1)) for key, slot in content.items()])
        if isinstance(content, list):
            self._count(None, 2)
            if content and isinstance(content[0], str):
                return self._tagged(content[0], content[1:], depth + 1)
            if content and content[0] == _SPARSE and type(content[0]) is int:
                return self._sparse(content[1:], depth)
            return [self.take(slot, depth + 1) for slot in content]
        return self._number(content)

    def _text(self, text: str) -> Any:
        return self._count(write_text(text), len(text) + 3)

    def _number(self, number: Any) -> Any:
        self._count(None, 8)
        if type(number) is int and not -_LARGEST <= number < _LARGEST:
            return _float(float(number))  # a JavaScript number is no integer beyond 53 bits
        return _float(number) if type(number) is float else number

    def _sparse(self, content: list[Any], depth: int) -> list[Any]:
        length = content[0]
        if type(length) is not int or not 0 <= length <= _MAX_LENGTH:
            raise DevalueError(f"an array with holes has the length {length!r:.40}")
        self._count(None, 5 * length)
        found: list[Any] = [None] * length
        for place in range(1, len(content) - 1, 2):
            found[content[place]] = self.take(content[place + 1], depth + 1)
        return found

    # -- tagged values

    def _tagged(self, tag: str, content: list[Any], depth: int) -> Any:
        read = _TAGS.get(tag)
        if read is not None:
            return read(self, content, depth)
        if tag in _BYTES or tag in _NUMBERS:
            return self._typed_array(tag, content, depth)
        if tag in _ERRORS:
            return self._error(tag, content, depth)
        if tag.startswith("Temporal."):
            return self._scalar(content, depth)
        return self._js(tag, self._inner(content, depth))

    def _inner(self, content: list[Any], depth: int) -> Any:
        """Give what a tag stands before: a slot, or a value written right there."""
        if not content:
            return None
        if type(content[0]) is int:
            return self.take(content[0], depth)
        return self._read(content[0], depth) if isinstance(content[0], str) else None

    def _js(self, name: str, value: Any) -> Any:
        return self._count({"$object": [f"js:{name}", value]}, len(name) + 20)

    def _scalar(self, content: list[Any], depth: int) -> Any:
        return self._inner(content, depth)

    def _raw(self, content: list[Any]) -> Any:
        """Give the text that a built-in has: right there, or in a slot."""
        found = content[0]
        return self._slots[found] if type(found) is int and 0 <= found < len(self._slots) else found

    def _date(self, content: list[Any], depth: int) -> Any:
        text = self._raw(content)
        if not isinstance(text, str) or text in ("", "."):
            return None  # an invalid date
        try:
            found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:  # of a year that Python does not have
            return self._js("Date", self._text(text))
        return self._count(msgspec.Raw(codec.encode(found, "date")), 50)

    def _big_integer(self, content: list[Any], depth: int) -> Any:
        text = str(self._raw(content))
        if len(text) > _MAX_DIGITS:
            return self._js("BigInt", self._text(text))
        return self._count(msgspec.Raw(codec.encode(int(text), "integer")), len(text) + 10)

    def _pattern(self, content: list[Any], depth: int) -> Any:
        if type(content[0]) is int:
            return self._js("RegExp", self.take(content[0], depth))
        flags = content[1] if len(content) > 1 else ""
        return self._js("RegExp", {"source": self._text(str(content[0])), "flags": self._text(str(flags))})

    def _set(self, content: list[Any], depth: int) -> Any:
        slots = content
        if len(content) == 1 and not self._is_python:
            inner = self._raw(content)
            if isinstance(inner, list) and not (inner and isinstance(inner[0], str)):
                slots = inner
        members = {msgspec.json.encode(self.take(slot, depth)) for slot in slots}
        return {"$set": [msgspec.Raw(member) for member in sorted(members)]}

    def _map(self, content: list[Any], depth: int) -> Any:
        if len(content) == 1:
            pairs = [self._slots[slot] for slot in self._raw(content)]
        else:
            pairs = [content[place : place + 2] for place in range(0, len(content) - 1, 2)]
        return write_object([(self.take(key, depth), self.take(value, depth)) for key, value in pairs])

    def _plain_object(self, content: list[Any], depth: int) -> Any:
        pairs = [content[place : place + 2] for place in range(0, len(content) - 1, 2)]
        return write_object([(self._text(str(key)), self.take(slot, depth)) for key, slot in pairs])

    def _buffer(self, content: list[Any], depth: int) -> Any:
        return {"$bytearray": self._count(_base64(self._decode(content)), len(str(self._raw(content))))}

    def _decode(self, content: list[Any]) -> bytes:
        text = self._raw(content)
        return b"" if text == "." else base64.b64decode(text)

    def _typed_array(self, tag: str, content: list[Any], depth: int) -> Any:
        inner = self._raw(content)
        if isinstance(inner, list):  # a view of an ArrayBuffer
            data = self._decode(inner[1:])
            if len(content) > 2:
                width = struct.calcsize(_NUMBERS.get(tag, "b"))
                data = data[content[1] : content[1] + content[2] * width]
        else:
            data = self._decode(content)
        self._count(None, 2 * len(data))
        if tag in _BYTES:
            return {"$bytes": _base64(data)}
        form = _NUMBERS[tag]
        count = len(data) // struct.calcsize(form)
        return self._js(
            tag, [_float(n) for n in struct.unpack(f"<{count}{form}", data[: count * struct.calcsize(form)])]
        )

    def _error(self, tag: str, content: list[Any], depth: int) -> Any:
        found = self._fields(content)
        name = self._word(found.get("name"))
        type_ = f"js:{name}" if tag == "Error" and name not in ("", "Error") else _ERRORS[tag]
        members = self.take(found["errors"], depth) if "errors" in found else None
        cause = self.take(found["cause"], depth) if "cause" in found else None
        message, stack = self._word(found.get("message")), self._word(found.get("stack"))
        self._count(None, 2 * len(message) + len(stack) + 80)
        return write_error(type_, message, stack, cause, members if isinstance(members, list) else None)

    def _fields(self, content: list[Any]) -> dict[str, Any]:
        """Give the slots of what a tag stands before, which is an object."""
        found = self._raw(content)
        return found if isinstance(found, dict) else {}

    def _word(self, slot: Any) -> str:
        """Give a slot's text; none for one that holds none."""
        found = self._slots[slot] if type(slot) is int and 0 <= slot < len(self._slots) else None
        return found if isinstance(found, str) else ""

    def _instance(self, content: list[Any], depth: int) -> Any:
        found = self._fields(content)
        class_id, data = self._word(found.get("classId")), self.take(found.get("data"), depth)
        write = _INSTANCES.get(class_id)
        try:
            if write is not None:
                return write(data)
        except (TypeError, ValueError, KeyError):
            pass  # not what their class writes: shown as any other
        name = read_name(class_id)
        return self._count({"$object": [name if ":" in name else f"js:{name}", data]}, len(class_id) + 20)

    def _stream(self, content: list[Any], depth: int) -> Any:
        found = self._fields(content)
        name, run_id = self._word(found.get("name")), self._word(found.get("runId"))
        if not name:
            return self._js("Stream", self._inner(content, depth))
        known = read_stream_name(name)
        return {"$stream": list(known) if known is not None else [run_id or self._run_id, name]}


def _float(number: Any) -> Any:
    """Give a number; one that JSON lacks is tagged."""
    if type(number) is float and (number != number or number in (float("inf"), float("-inf"))):
        return {"$float": str(number)}
    return number


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_TAGS: Final[dict[str, Callable[[_Reader, list[Any], int], Any]]] = {
    "Date": _Reader._date,
    "BigInt": _Reader._big_integer,
    "RegExp": _Reader._pattern,
    "Set": _Reader._set,
    "Map": _Reader._map,
    "null": _Reader._plain_object,
    "Object": _Reader._scalar,
    "ArrayBuffer": _Reader._buffer,
    "URL": _Reader._scalar,
    "URLSearchParams": _Reader._scalar,
    "Instance": _Reader._instance,
    "WritableStream": _Reader._stream,
    "ReadableStream": _Reader._stream,
}

_INSTANCES: Final[dict[str, Callable[[Any], Any]]] = {
    "class//decimal//Decimal": lambda data: {"$decimal": _text_of(data)},
    "class//uuid//UUID": lambda data: {"$uuid": _text_of(data)},
    "class//datetime//date": lambda data: {"$date": _text_of(data)},
    "class//datetime//time": lambda data: {"$time": _text_of(data)},
    "class//datetime//timedelta": lambda data: {
        "$timedelta": [int(data["days"]), int(data["seconds"]), int(data["microseconds"])]
    },
    "class//pathlib//Path": lambda data: {"$path": _text_of(data)},
}


def _text_of(data: Any) -> str:
    if not isinstance(data, str):
        raise TypeError("not a text")
    return data
