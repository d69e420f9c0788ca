"""Redaction: what a run was given, made unrecognizable.

What goes into a body is redacted: its arguments, what steps gave and raised, payloads of hooks, results of
children, reasons of cancels. What the body made of it follows: `retelling` has the code make its calls anew, from
the redacted values. So the history stays one that this code could have had, or it is refused.

1. A text becomes another one of the same length and shape: letters for letters, digits for digits, a date for a
   date. Equal texts become equal ones, so that comparisons and keys still hold. Which ones is drawn anew each
   time: nobody can tell the old text from the new one.
2. Types stay. Numbers, booleans, enums and times stay, too, since bodies count and decide by them, and so do
   the names of fields and the keys of dicts. `hide` names places where those are blanked as well, `keep`
   places where nothing is changed.
3. Ids stay: of runs, workflows, steps, and classes. Tokens of hooks that were drawn are drawn anew.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, Final

import msgspec

from wf import events
from wf.codec.walk import dump, load
from wf.events import Event
from wfstudio.core.bench.wire import Log
from wfstudio.core.errors import UsageError

INPUT: Final = "input"

_FIELDS: Final = re.compile(r"\.")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?=\Z|[T ])")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_HEX: Final = re.compile(r"(?:[0-9a-f]{8,}|[0-9A-F]{8,})\Z")
_TEXTS: Final = frozenset({"$path", "$pureposixpath", "$purewindowspath"})
_NAMED: Final = frozenset({"$dataclass", "$struct", "$namedtuple", "$pydantic", "$secret", "$object"})
_MOMENTS: Final = {
    "$datetime": "2000-01-01T00:00:00+00:00",
    "$date": "2000-01-01",
    "$time": "00:00:00",
    "$timedelta": [0, 0, 0],
}
_NUMBERS: Final = {"$int": "0x0", "$float": "0", "$decimal": "0", "$fraction": [0, 1], "$complex": [0.0, 0.0]}


class Place(msgspec.Struct, frozen=True):
    """A part of what a run was given: `name` is `input`, or that of a step, hook or child; `path` are fields.

    Places in lists, tuples and sets have no name: a path goes through them.
    """

    name: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join([self.name, *self.path])


class Redaction(msgspec.Struct, frozen=True):
    """What is asked for. With `is_all` all texts; `hide` names more, of any type; `keep` is left as it was."""

    is_all: bool = False
    keep: tuple[Place, ...] = ()
    hide: tuple[Place, ...] = ()

    @property
    def is_wanted(self) -> bool:
        return self.is_all or bool(self.hide)


class Input(msgspec.Struct, frozen=True):
    """An event that gave a body something, and the names by which its value may be meant."""

    seq: int
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.names[0]


def list_inputs(log: Log) -> list[Input]:
    """List what a run was given, in order."""
    hooks = {event.correlation_id: event.name or "hook" for event, _ in log if event.type == events.HOOK_CREATED}
    found = []
    for event, data in log:
        if data is None:
            continue
        match event.type:
            case events.RUN_CREATED:
                names: tuple[str, ...] = (INPUT,)
            case events.STEP_COMPLETED | events.STEP_FAILED | events.STEP_RETRYING | events.CHILD_COMPLETED:
                names = _name(event.name or "run", event.correlation_id)
            case events.HOOK_RECEIVED:
                names = _name(hooks.get(event.correlation_id, "hook"), event.correlation_id)
            case events.CANCEL_REQUESTED:
                names = ("reason",)
            case _:
                continue
        found.append(Input(event.seq, names))
    return found


def _name(id: str, number: int | None) -> tuple[str, ...]:
    short = id.rpartition("/")[2].rpartition(":")[2]
    return tuple(dict.fromkeys([short, short.rpartition(".")[2], id, str(number)]))


def read_places(texts: Sequence[str], log: Log, option: str) -> tuple[Place, ...]:
    """Read places as a command line names them: `input.user`, `charge.card`, `flow:charge`, `4.card`.

    Raises `UsageError` for a name that this run has nothing of.
    """
    known = {name: item.name for item in list_inputs(log) for name in item.names}
    return tuple(_read_place(text, known, option) for text in texts)


def _read_place(text: str, known: dict[str, str], option: str) -> Place:
    parts = text.split(".")
    for size in range(len(parts), 0, -1):  # names may have dots of their own
        name = ".".join(parts[:size])
        if name in known:
            return Place(name, tuple(part.partition("[")[0] for part in parts[size:]))
    close = get_close_matches(parts[0], known, n=1, cutoff=0.5)
    hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(dict.fromkeys(known.values())) or 'none'}"
    raise UsageError(f"{option}: {text!r:.80} is nothing that this run was given", hint)


# -- the whole log ------------------------------------------------------------------------------


class Redactor:
    """Redacts a log. `secret` is drawn for it and then forgotten. `changed` are the texts that it replaced."""

    def __init__(self, redaction: Redaction, secret: bytes) -> None:
        self._redaction = redaction
        self._secret = secret
        self.changed: dict[str, str] = {}

    def redact(self, log: Log, keep: Sequence[Place] = ()) -> Log:
        """Give the log with other inputs; what the body made of them is still the old. `keep` is kept, too."""
        inputs = {item.seq: item for item in list_inputs(log)}
        kept = (*self._redaction.keep, *keep)
        return [self._redact_event(event, data, inputs.get(event.seq), kept) for event, data in log]

    def _redact_event(
        self, event: Event, data: bytes | None, item: Input | None, keep: Sequence[Place]
    ) -> tuple[Event, bytes | None]:
        meta = event.meta
        if self._redaction.is_all:
            meta = self._redact_meta(event)
        if event.type == events.HOOK_CREATED and data is not None and '"generated"' in (event.meta or ""):
            data = self._redact_token(data)
        if item is not None and data is not None:
            walk = _Walk(self, item, keep, self._redaction)
            tree = load(data)
            if item.name == INPUT:
                tree = {name: walk.go(value, (name.lstrip("*"),)) for name, value in tree.items()}
            else:
                tree = walk.go(tree, ())
            data = dump(tree)
        return msgspec.structs.replace(event, meta=meta), data

    def _redact_meta(self, event: Event) -> str | None:
        """Redact values of attributes that are no call's, and leave out where this machine was reached."""
        if event.meta is None:
            return None
        meta = msgspec.json.decode(event.meta)
        if event.type == events.RUN_STARTED:
            meta.pop("url", None)
        if event.type == events.RUN_CREATED and "attributes" in meta:
            meta["attributes"] = {key: self.swap(value) for key, value in meta["attributes"].items()}
        if event.type == events.ATTRIBUTES_SET and event.correlation_id is None:
            meta["set"] = {key: value if value is None else self.swap(value) for key, value in meta["set"].items()}
        return msgspec.json.encode(meta).decode() if meta else None

    def _redact_token(self, data: bytes) -> bytes:
        record = load(data)
        record["token"] = self.swap(record["token"])
        return dump(record)

    # -- texts

    def swap(self, text: str) -> str:
        """Give the text that stands for another one from now on."""
        if text not in self.changed:
            self.changed[text] = self._swap(text)
        return self.changed[text]

    def _swap(self, text: str) -> str:
        draw = _Draw(self._secret, text)
        scheme = _SCHEME.match(text)
        head = scheme[0] if scheme is not None else ""
        rest = text[len(head) :]
        date = _DATE.match(rest)
        if date is not None:
            day = f"{2000 + draw.below(27)}-{1 + draw.below(12):02}-{1 + draw.below(28):02}"
            return head + day + "".join(_TIMES.get(c, c) if c.isdigit() else c for c in rest[10:])
        if _UUID.match(rest):
            kept = {14: rest[14], 19: rest[19]}  # its version and variant
            return head + "".join(kept.get(n, draw.like_hex(c)) for n, c in enumerate(rest))
        if _HEX.match(rest):
            return head + "".join(draw.like_hex(c) for c in rest)
        return head + "".join(draw.like(c, is_first=n == 0 or not rest[n - 1].isalnum()) for n, c in enumerate(rest))

    def swap_bytes(self, data: bytes) -> bytes:
        """Give other bytes of the same length; text stays text."""
        try:
            return self.swap(data.decode("ascii")).encode()
        except UnicodeDecodeError:
            draw = _Draw(self._secret, data.hex())
            return bytes(draw.below(256) for _ in data)


_TIMES: Final = {str(number): "0" for number in range(10)}


class _Draw:
    """A row of numbers that follow from a text and a secret."""

    def __init__(self, secret: bytes, text: str) -> None:
        self._key = hmac.digest(secret, text.encode("utf-8", "surrogatepass"), sha256)
        self._count = 0
        self._left = b""

    def below(self, limit: int) -> int:
        if len(self._left) < 2:
            self._left = hmac.digest(self._key, self._count.to_bytes(8, "big"), sha256)
            self._count += 1
        number, self._left = int.from_bytes(self._left[:2], "big"), self._left[2:]
        return number % limit

    def like(self, character: str, *, is_first: bool) -> str:
        """Give a character of the same sort. A number that did not begin with 0 does not begin with it."""
        if character.isdigit():
            return "0" if character == "0" and is_first else str(1 + self.below(9) if is_first else self.below(10))
        if character.isupper():
            return chr(ord("A") + self.below(26))
        return chr(ord("a") + self.below(26)) if character.isalpha() else character

    def like_hex(self, character: str) -> str:
        if character == "-":
            return character
        drawn = "0123456789abcdef"[self.below(16)]
        return drawn.upper() if character.isupper() else drawn


class _Walk:
    """The walk over one value."""

    def __init__(self, redactor: Redactor, item: Input, keep: Sequence[Place], redaction: Redaction) -> None:
        self._redactor = redactor
        self._redaction = redaction
        self._keep = [place.path for place in keep if place.name in item.names]
        self._hide = [place.path for place in redaction.hide if place.name in item.names]

    def go(self, tree: Any, path: tuple[str, ...]) -> Any:
        if any(path[: len(kept)] == kept for kept in self._keep):
            return tree
        is_hidden = any(path[: len(hidden)] == hidden for hidden in self._hide)
        match tree:
            case str():
                return self._redactor.swap(tree) if is_hidden or self._redaction.is_all else tree
            case bool():
                return False if is_hidden else tree
            case int() | float():
                return type(tree)(0) if is_hidden else tree
            case list():
                return [self.go(item, path) for item in tree]
            case dict() if len(tree) == 1 and next(iter(tree))[:1] == "$":
                [(tag, content)] = tree.items()
                return {tag: self._go_tagged(tag, content, path, is_hidden=is_hidden)}
            case dict():
                return {key: self.go(value, (*path, key)) for key, value in tree.items()}
            case _:
                return tree

    def _go_tagged(self, tag: str, content: Any, path: tuple[str, ...], *, is_hidden: bool) -> Any:
        is_text = is_hidden or self._redaction.is_all
        match tag:
            case "$bytes" | "$bytearray":
                return _encode(self._redactor.swap_bytes(_decode(content))) if is_text else content
            case "$str":
                swapped = self._redactor.swap(_decode(content).decode("utf-8", "surrogatepass")) if is_text else ""
                return _encode(swapped.encode("utf-8", "surrogatepass")) if is_text else content
            case "$uuid":
                return self._redactor.swap(content) if is_text else content
            case "$ip":
                return _hide_address(content) if is_text else content
            case "$url":
                return [content[0], self._redactor.swap(content[1]) if is_text else content[1]]
            case "$tuple" | "$set" | "$frozenset":
                return [self.go(item, path) for item in content]
            case "$deque":
                return [[self.go(item, path) for item in content[0]], content[1]]
            case "$dict" | "$ordereddict" | "$counter":
                return [[key, self.go(value, _below(path, key))] for key, value in content]
            case "$defaultdict":
                return [content[0], [[key, self.go(value, _below(path, key))] for key, value in content[1]]]
            case "$exception":
                return self._go_exception(content, path)
        if tag in _TEXTS:
            return self.go(content, path)
        if tag in _NAMED:
            return [content[0], *(self.go(part, path) for part in content[1:])]
        if is_hidden and (tag in _MOMENTS or tag in _NUMBERS):
            return _MOMENTS.get(tag) or _NUMBERS.get(tag)
        return content

    def _go_exception(self, content: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        """Redact what an exception says. Its traceback names files of this machine, and is left out."""
        found: dict[str, Any] = {"type": content["type"], "message": self.go(content["message"], path)}
        for name in ("args", "members"):
            if name in content:
                found[name] = [self.go(item, path) for item in content[name]]
        if "attributes" in content:
            found["attributes"] = {key: self.go(value, (*path, key)) for key, value in content["attributes"].items()}
        for name in ("cause", "context"):
            if name in content:
                found[name] = self.go(content[name], path)
        if "suppress" in content:
            found["suppress"] = content["suppress"]
        return found


def _below(path: tuple[str, ...], key: Any) -> tuple[str, ...]:
    return (*path, key) if isinstance(key, str) else path


def _hide_address(content: list[str]) -> list[str]:
    """Give an address of those that are kept for documents."""
    kind, text = content
    host = "2001:db8::1" if "6" in kind else "192.0.2.1"
    if "Network" in kind:
        return [kind, "2001:db8::/32" if "6" in kind else "192.0.2.0/24"]
    return [kind, host + (f"/{text.partition('/')[2]}" if "/" in text else "")]


def _decode(text: str) -> bytes:
    return a2b_base64(text, strict_mode=True)


def _encode(data: bytes) -> str:
    return b64encode(data).decode()


def list_paths(data: bytes) -> Iterator[tuple[str, ...]]:
    """Give the paths of all texts in a value, each once."""
    found: dict[tuple[str, ...], None] = {}
    stack: list[tuple[Any, tuple[str, ...]]] = [(load(data), ())]
    while stack:
        tree, path = stack.pop()
        if isinstance(tree, list):
            stack += [(item, path) for item in tree]
        elif isinstance(tree, dict):
            for key, value in tree.items():
                stack.append((value, path if key[:1] == "$" else (*path, key)))
        elif isinstance(tree, str):
            found[path] = None
    yield from sorted(found)
