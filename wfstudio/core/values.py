"""Recorded values as plain JSON, for people and programs that do not have the user's classes.

1. Nothing is imported, built or executed: the encoded bytes are walked as the JSON they are.
2. Bytes that no encoder wrote, too, give something to show; showing never raises.
3. A secret (`SecretStr` and its kin) is shown as stars.

What JSON has a natural form for takes it: a tuple is a list, a dataclass the object of its fields, a
datetime its ISO 8601 text, a Decimal its digits. Bytes stay `{"$bytes": base64}`, a value that is too
large to be shown is `{"$large": bytes}`, and a tag that is unknown here stays as it is written.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 250
"""Containers within containers that are shown; the codec writes no deeper ones."""

_MASK: Final = "**********"
_TOO_DEEP: Final = "…"


def show_value(data: bytes | None, max_bytes: int | None = None) -> Any:
    """Give an encoded value as plain JSON; None stands for no value.

    One of more than `max_bytes` is `{"$large": its bytes}`: reading it would keep everybody waiting.
    """
    if data is None:
        return None
    if max_bytes is not None and len(data) > max_bytes:
        return {"$large": len(data)}
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return {"$malformed": base64.b64encode(data[:64]).decode()}
    try:
        return _show(tree, 0)
    except RecursionError:  # only bytes that no encoder wrote nest like this
        return _TOO_DEEP


def show_arguments(data: bytes | None, max_bytes: int | None = None) -> dict[str, Any]:
    """Give recorded arguments by parameter name, as plain JSON."""
    shown = show_value(data, max_bytes)
    return shown if isinstance(shown, dict) else {}


def _show(tree: Any, depth: int) -> Any:
    if type(tree) is list:
        return [_show(item, depth + 1) for item in tree] if depth < MAX_DEPTH else _TOO_DEEP
    if type(tree) is not dict:
        return tree
    if depth >= MAX_DEPTH:
        return _TOO_DEEP
    if len(tree) == 1:
        ((tag, content),) = tree.items()
        if tag[:1] == "$":
            return _show_tagged(tag, content, depth)
    return {key: _show(item, depth + 1) for key, item in tree.items()}


def _show_tagged(tag: str, content: Any, depth: int) -> Any:
    show = _TAGS.get(tag)
    if show is not None:
        try:
            return show(content, depth)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            pass  # nobody's encoder wrote it: it is shown as it is
    return {tag: _show(content, depth + 1)}


# -- tags ---------------------------------------------------------------------------------------


def _list(content: Any, depth: int) -> Any:
    return [_show(item, depth + 1) for item in content]


def _first_list(content: Any, depth: int) -> Any:
    return _list(content[0], depth)


def _pairs(content: Any, depth: int) -> Any:
    """Show a dict with any keys as an object where its keys have texts that differ, else as pairs."""
    shown = [(_show(key, depth + 1), _show(value, depth + 1)) for key, value in content]
    names = _names(key for key, _ in shown)
    if names is None:
        return [list(pair) for pair in shown]
    return {name: value for name, (_, value) in zip(names, shown, strict=True)}


def _names(keys: Iterable[Any]) -> list[str] | None:
    names: list[str] = []
    for key in keys:
        if isinstance(key, (dict, list)):
            return None
        names.append(key if isinstance(key, str) else msgspec.json.encode(key).decode())
    return names if len(set(names)) == len(names) else None


def _default_dict(content: Any, depth: int) -> Any:
    return _pairs(content[1], depth)


def _fields(content: Any, depth: int) -> Any:
    return _show(content[1], depth + 1)


def _members(content: Any, depth: int) -> Any:
    return _list(content[1], depth)


def _text(content: Any, depth: int) -> Any:
    if not isinstance(content, str):
        raise TypeError
    return content


def _moment(content: Any, depth: int) -> Any:
    """A datetime or time: its text, with the name of its zone where that is no offset."""
    if isinstance(content, str):
        return content
    text, zone, _ = content
    if isinstance(zone, list):
        return f"{text}{zone[0]}"
    return text if zone is None else f"{text}[{zone}]" if zone[:1] not in "+-" else f"{text}{zone}"


def _span(content: Any, depth: int) -> Any:
    """A timedelta, as ISO 8601 writes a duration."""
    days, seconds, micros = content
    total = (days * 86_400 + seconds) * 1_000_000 + micros
    sign, total = ("-", -total) if total < 0 else ("", total)
    days, rest = divmod(total, 86_400_000_000)
    seconds, micros = divmod(rest, 1_000_000)
    tail = f"{seconds}.{micros:06}".rstrip("0") if micros else f"{seconds}"
    clock = f"T{tail}S" if seconds or micros else ""
    return f"{sign}P{days}D{clock}" if days else f"{sign}P{clock or 'T0S'}"


def _zone(content: Any, depth: int) -> Any:
    return content[0] if isinstance(content, list) else _text(content, depth)


def _integer(content: Any, depth: int) -> Any:
    # Python refuses to write more than 4300 decimal digits; then the hexadecimal text must do.
    try:
        return str(int(content, 16))
    except ValueError:
        return _text(content, depth)


def _lone_surrogates(content: Any, depth: int) -> Any:
    return base64.b64decode(content).decode("utf-8", "surrogatepass").encode("utf-8", "replace").decode()


def _enum(content: Any, depth: int) -> Any:
    name, member = content
    short = name.rpartition(":")[2]
    return f"{short}.{member}" if isinstance(member, str) else f"{short}({_show(member, depth)})"


def _second_text(content: Any, depth: int) -> Any:
    return _text(content[1], depth)


def _range(content: Any, depth: int) -> Any:
    start, stop, step = (_show(part, depth) for part in content)
    return f"range({start}, {stop})" if step == 1 else f"range({start}, {stop}, {step})"


def _complex(content: Any, depth: int) -> Any:
    real, imaginary = (_show(part, depth) for part in content)
    return f"({real}{'' if str(imaginary).startswith('-') else '+'}{imaginary}j)"


def _fraction(content: Any, depth: int) -> Any:
    numerator, denominator = (_show(part, depth) for part in content)
    return f"{numerator}/{denominator}"


def _exception(content: Any, depth: int) -> Any:
    """An exception: type and message first, then what else is recorded of it."""
    shown = {"type": public_name(content["type"]), "message": _show(content["message"], depth + 1)}
    for key in ("args", "attributes", "notes", "cause", "context", "members", "traceback"):
        if key in content:
            shown[key] = _show(content[key], depth + 1)
    return shown


def _stream(content: Any, depth: int) -> Any:
    run_id, name = content
    return {"run_id": _text(run_id, depth), "stream": _text(name, depth)}


def public_name(name: str) -> str:
    """Give a class's recorded name, `module:qualname`, as people write it; `ValueError` for Python's own."""
    module, _, qualname = name.partition(":")
    return qualname if module == "builtins" else f"{module}.{qualname}" if qualname else module


_TAGS: Final[dict[str, Callable[[Any, int], Any]]] = {
    "$int": _integer,
    "$float": _text,
    "$str": _lone_surrogates,
    "$dict": _pairs,
    "$tuple": _list,
    "$set": _list,
    "$frozenset": _list,
    "$deque": _first_list,
    "$ordereddict": _pairs,
    "$counter": _pairs,
    "$defaultdict": _default_dict,
    "$range": _range,
    "$complex": _complex,
    "$fraction": _fraction,
    "$decimal": _text,
    "$uuid": _text,
    "$datetime": _moment,
    "$time": _moment,
    "$date": _text,
    "$timedelta": _span,
    "$timezone": _zone,
    "$path": _text,
    "$pureposixpath": _text,
    "$purewindowspath": _text,
    "$ip": _second_text,
    "$enum": _enum,
    "$dataclass": _fields,
    "$struct": _fields,
    "$namedtuple": _members,
    "$pydantic": _fields,
    "$secret": lambda content, depth: _MASK,
    "$url": _second_text,
    "$unset": lambda content, depth: None,
    "$object": _fields,
    "$exception": _exception,
    "$run": _text,
    "$stream": _stream,
}
