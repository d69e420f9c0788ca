"""Shaping: plain JSON, as people edit it, becomes a recorded value again.

Who edits a value has what `values.show_value` shows of it: a dataclass is an object, a datetime its text, a
tuple a list. `shape_like` gives an edited one the types of the value that it replaces, by walking both:

1. What was not edited is as it was recorded, secrets among it.
2. A further item of a list takes the type of the last one that was recorded.
3. Nothing is guessed: what fits no recorded type is a `Misfit`; where there is none to go by (`has_new`) an
   object stays one. Whoever has the code may know better.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from wf import codec
from wfstudio.core.values import MAX_DEPTH, show_value

_NEW: Final = object()
"""Stands for no recorded value."""

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Misfit(Exception):
    """Internal: a part of a value has no type of those that were recorded, or is no value. Its text says which."""


class Shaped(NamedTuple):
    """`data` is encoded. With `has_new` there are objects or lists in it that no recorded type is known of."""

    data: bytes
    has_new: bool


class _Place:
    """Where in the value a part is. `news` is the same for all of its parts."""

    __slots__ = ("depth", "news", "path")

    def __init__(self, path: str, depth: int, news: list[str]) -> None:
        self.path = path
        self.depth = depth
        self.news = news

    def item(self, index: int) -> _Place:
        return _Place(f"{self.path}[{index}]", self.depth + 1, self.news)

    def member(self, key: str) -> _Place:
        return _Place(self.path + (f".{key}" if key.isidentifier() else f"[{key!r}]"), self.depth + 1, self.news)

    def inside(self) -> _Place:
        return _Place(self.path, self.depth + 1, self.news)

    def misfit(self, reason: str) -> Misfit:
        return Misfit(f"{self.path}: {reason}")


def shape_like(value: Any, recorded: bytes, path: str) -> Shaped:
    """Encode plain JSON with the types of a recorded value. Raises `Misfit`."""
    at = _Place(path, 0, [])
    return Shaped(_encode(_shape(value, msgspec.json.decode(recorded), at)), bool(at.news))


def shape_plain(value: Any, path: str) -> bytes:
    """Encode plain JSON; bytes may be in it as they are shown. Raises `Misfit`."""
    return _encode(_shape(value, _NEW, _Place(path, 0, [])))


def unwrap_bytes(value: Any) -> Any:
    """Give JSON in which bytes are what a JSON Schema says they are: their base64 text."""
    if type(value) is list:
        return [unwrap_bytes(item) for item in value]
    if type(value) is not dict:
        return value
    if value.keys() == {"$bytes"}:
        return value["$bytes"]
    return {key: unwrap_bytes(item) for key, item in value.items()}


def _shape(value: Any, tree: Any, at: _Place) -> Any:
    if at.depth > MAX_DEPTH:
        raise at.misfit("it is nested too deep")
    tag, content = _open(tree)
    if tag is not None:
        if _is_as_shown(value, tree):
            return tree
        if tag in _SCALARS and type(value) not in (list, dict):
            return _scalar(value, at)
        shape = _TAGS.get(tag)
        if shape is None:
            raise at.misfit(f"it was recorded as {tag}")
        return {tag: shape(value, content, at)}
    if type(value) is list:
        if type(tree) is not list or not tree:
            at.news.append(at.path)
        return _items(value, tree if type(tree) is list else [], at)
    if type(value) is dict:
        if type(tree) is not dict:
            at.news.append(at.path)
        return _object(value, tree if type(tree) is dict else {}, at)
    return _scalar(value, at)


def _scalar(value: Any, at: _Place) -> Any:
    return msgspec.json.decode(codec.encode(value, at.path))


def _open(tree: Any) -> tuple[str | None, Any]:
    """Give the tag of a tagged value with its content, or None."""
    if type(tree) is dict and len(tree) == 1:
        ((tag, content),) = tree.items()
        if tag[:1] == "$":
            return tag, content
    return None, None


def _is_as_shown(value: Any, tree: Any) -> bool:
    """Tell whether a value is what is shown of a recorded one. As text: Python holds 1, 1.0 and true for equal."""
    return _encode_sorted(value) == _encode_sorted(show_value(_encode(tree)))


def _items(value: Any, items: list[Any], at: _Place) -> list[Any]:
    if type(value) is not list:
        raise at.misfit("it was recorded as a list")
    last = items[-1] if items else _NEW
    return [
        _shape(item, items[place] if place < len(items) else last, at.item(place)) for place, item in enumerate(value)
    ]


def _object(value: dict[str, Any], like: dict[str, Any], at: _Place) -> Any:
    if value.keys() == {"$large"}:
        raise at.misfit("it was too large to be shown; give the whole value")
    if value.keys() == {"$bytes"}:
        return {"$bytes": _base64(value["$bytes"], at)}
    shaped = {key: _shape(item, like.get(key, _NEW), at.member(key)) for key, item in value.items()}
    if len(shaped) == 1 and next(iter(shaped))[:1] == "$":  # a dict with one such key is written as pairs
        return {"$dict": [[key, item] for key, item in shaped.items()]}
    return shaped


def _base64(text: Any, at: _Place) -> str:
    if not isinstance(text, str) or _BASE64.fullmatch(text) is None:
        raise at.misfit("its bytes are no base64")
    return text


_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


# -- tags ---------------------------------------------------------------------------------------


def _set(value: Any, content: Any, at: _Place) -> Any:
    members = {_encode(item): item for item in _items(value, content, at)}
    return [members[data] for data in sorted(members)]


def _deque(value: Any, content: Any, at: _Place) -> Any:
    return [_items(value, content[0], at), content[1]]


def _pairs(value: Any, content: Any, at: _Place) -> Any:
    """Shape a dict that JSON lacks: an object by the texts of its keys, or pairs, as it was shown."""
    if type(value) is list:
        return [
            _items(pair, content[min(place, len(content) - 1)] if content else [], at.item(place))
            for place, pair in enumerate(value)
            if _is_pair(pair, at.item(place))
        ]
    if type(value) is not dict:
        raise at.misfit("it was recorded as a dict")
    known = {_show_key(key): (key, item) for key, item in content}
    last_key, last_item = content[-1] if content else ("", _NEW)
    pairs = []
    for text, item in value.items():
        if text not in known and not isinstance(last_key, str):
            raise at.member(text).misfit("the type of a new key cannot be told")
        key, like = known.get(text, (text, last_item))
        pairs.append([key, _shape(item, like, at.member(text))])
    return pairs


def _is_pair(pair: Any, at: _Place) -> bool:
    if type(pair) is not list or len(pair) != 2:
        raise at.misfit("it was recorded as a pair of key and value")
    return True


def _show_key(tree: Any) -> str:
    shown = show_value(_encode(tree))
    return shown if isinstance(shown, str) else _encode(shown).decode()


def _default_dict(value: Any, content: Any, at: _Place) -> Any:
    return [content[0], _pairs(value, content[1], at)]


def _fields(value: Any, content: Any, at: _Place) -> Any:
    """Shape an instance of a class: it has the fields that were recorded, no more and no less."""
    name, fields, *rest = content
    short = name.rpartition(":")[2]
    if type(value) is not dict:
        raise at.misfit(f"it was recorded as {short}")
    for key in fields:
        if key not in value:
            raise at.member(key).misfit(f"it is missing, and {short} was recorded with it")
    for key in value:
        if key not in fields:
            raise at.member(key).misfit(f"{short} was recorded without it")
    return [name, {key: _shape(value[key], fields[key], at.member(key)) for key in fields}, *rest]


def _members(value: Any, content: Any, at: _Place) -> Any:
    if type(value) is not list or len(value) != len(content[1]):
        raise at.misfit(f"it was recorded as {content[0].rpartition(':')[2]} with {len(content[1])} members")
    return [content[0], _items(value, content[1], at)]


def _object_of(value: Any, content: Any, at: _Place) -> Any:
    return [content[0], _shape(value, content[1], at.inside())]


def _text_like(pattern: str) -> Callable[[Any, Any, _Place], Any]:
    form = re.compile(pattern, re.DOTALL)

    def shape(value: Any, content: Any, at: _Place) -> Any:
        if not isinstance(content, str) or not isinstance(value, str) or form.fullmatch(value) is None:
            raise at.misfit("it is not written as the recorded one")
        return value

    return shape


def _decimal(value: Any, content: Any, at: _Place) -> Any:
    text = str(value)
    if isinstance(value, bool) or re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text) is None:
        raise at.misfit("it is no decimal number")
    return text


def _enum(value: Any, content: Any, at: _Place) -> Any:
    """Shape a member of an enum: `Color.RED`, as it is shown, or `RED`."""
    name = content[0]
    member = value.removeprefix(f"{name.rpartition(':')[2]}.") if isinstance(value, str) else ""
    if not member.isidentifier():
        raise at.misfit(f"it is no member of {name.rpartition(':')[2]}")
    return [name, member]


def _second(value: Any, content: Any, at: _Place) -> Any:
    if not isinstance(value, str) or not isinstance(content[1], str):
        raise at.misfit("it was recorded as a text")
    return [content[0], value]


def _bytes(value: Any, content: Any, at: _Place) -> Any:
    if type(value) is dict and len(value) == 1:
        ((tag, inner),) = value.items()
        if tag in ("$bytes", "$bytearray"):
            value = inner
    return _base64(value, at)


_SCALARS: Final = frozenset({"$int", "$float", "$str"})
"""What JSON lacks of numbers and texts. Most numbers and texts it has."""

_TAGS: Final[dict[str, Callable[[Any, Any, _Place], Any]]] = {
    "$tuple": _items,
    "$set": _set,
    "$frozenset": _set,
    "$deque": _deque,
    "$dict": _pairs,
    "$ordereddict": _pairs,
    "$counter": _pairs,
    "$defaultdict": _default_dict,
    "$dataclass": _fields,
    "$struct": _fields,
    "$pydantic": _fields,
    "$namedtuple": _members,
    "$object": _object_of,
    "$bytes": _bytes,
    "$bytearray": _bytes,
    "$decimal": _decimal,
    "$uuid": _text_like(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "$date": _text_like(r"\d{4}-\d\d-\d\d"),
    "$datetime": _text_like(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?"),
    "$time": _text_like(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?"),
    "$path": _text_like(r".*"),
    "$pureposixpath": _text_like(r".*"),
    "$purewindowspath": _text_like(r".*"),
    "$run": _text_like(r"[A-Za-z0-9._:@+=/-]{1,200}"),
    "$enum": _enum,
    "$secret": _second,
    "$url": _second,
}
