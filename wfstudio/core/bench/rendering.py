"""Rendering: any value of the user's as text and parts, within bounds of size and time.

1. Containers and records (dataclasses, models, structs, exceptions, plain objects) are taken apart here,
   with Python's own operations only: what the user's class says of `__len__`, `__iter__`, `__class__` or
   `__getattr__` is not asked.
2. A class's own `__repr__` is called only where nothing better is known, under a timer. One that raises,
   hangs in Python, or gives nonsense is said to; one that hangs in C keeps the whole process, which
   whoever started it kills, and asks again with `is_plain`: then none is called.
3. Secrets (`SecretStr` and its kin) are shown as stars.
4. The same value has the same rendering, so that two moments can be compared.
"""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from types import (
    BuiltinFunctionType,
    CoroutineType,
    FrameType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, Final, NoReturn
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from wfstudio.core.bench.views import ItemView, ValueView

LONGEST_TEXT: Final = 200
MOST_ITEMS: Final = 50
MOST_DEPTH: Final = 4
MOST_NODES: Final = 400
"""Parts of one value that are shown; `MOST_COMPARED` are looked at to tell whether it has changed."""

ALL_NODES: Final = 20_000
"""Parts of all values of a moment that are shown: some 4 MB of JSON."""

MOST_COMPARED: Final = 1_000
REPR_SECONDS: Final = 0.1
ALL_REPRS_SECONDS: Final = 0.5
_SHORTEST_SECONDS: Final = 0.001
_MASK: Final = "**********"
_CUT: Final = "…"
_LARGEST_INT: Final = 10**60


class _TooSlow(BaseException):
    """Raised by the timer in a `__repr__`."""


class Renderer:
    """Renders the values of one moment. With `is_plain` it calls nothing of the user's."""

    def __init__(self, *, is_plain: bool = False) -> None:
        self._is_plain = is_plain
        self._left_seconds = ALL_REPRS_SECONDS
        self._all_nodes = ALL_NODES
        self._nodes = 0
        self._path: set[int] = set()

    def render(self, value: Any) -> ValueView:
        """Give a value's rendering. Never raises."""
        self._nodes = given = min(MOST_NODES, self._all_nodes)
        self._path.clear()
        try:
            view = self._render(value, 0)
            self._all_nodes -= given - self._nodes
            return view
        except Exception as error:  # what is stranger than anybody thought of
            cls = type(value)
            return ValueView(type=_name(cls), text=f"<{_name(cls)}>", problem=f"showing it raises {_name(type(error))}")

    # -- taking apart

    def _render(self, value: Any, depth: int) -> ValueView:
        self._nodes -= 1
        cls = type(value)
        simple = _SIMPLE.get(id(cls))
        if simple is not None:
            return simple(value)
        if id(value) in self._path:
            return ValueView(type=_name(cls), text=_CUT, is_cut=True)
        self._path.add(id(value))
        try:
            return self._render_whole(value, cls, depth)
        finally:
            self._path.discard(id(value))

    def _render_whole(self, value: Any, cls: type, depth: int) -> ValueView:
        mro = _mro(cls)
        if _is_secret(mro):
            return ValueView(type=_name(cls), text=f"{_short(cls)}({_MASK!r})")
        for base in mro:
            container = _CONTAINERS.get(id(base))
            if container is not None:
                names = _dict_of(cls).get("_fields")
                if base is tuple and type(names) is tuple:  # a named one
                    named = zip(names, tuple.__iter__(value), strict=False)
                    return self._assemble(cls, None, f"{_short(cls)}(", ")", None, named, depth)
                opening, closing, size, parts = container
                return self._assemble(cls, base, opening, closing, size(value), parts(value), depth)
            if id(base) in _SIMPLE:  # of a subclass: an IntEnum, a str with methods
                return self._render_kin(value, cls, _SIMPLE[id(base)](value))
        if _is_among(BaseException, mro):
            return self._render_exception(value, cls, depth)
        if id(cls) in _OPAQUE or _is_among(type, mro):
            return ValueView(type=_name(cls), text=_describe_opaque(value))
        if _is_ours(cls) and not _is_record(mro):
            return ValueView(type=_name(cls), text=_cut(self._describe_ours(value, cls, mro)))
        member = _enum_name(value, cls)
        if member is not None:
            return ValueView(type=_name(cls), text=f"{_short(cls)}.{member}")
        is_record = _is_record(mro)
        fields = _list_fields(value, cls, mro) if is_record or not _is_of_python(cls) else []
        if is_record or _owner_of_repr(mro) is object:
            return self._assemble(cls, None, f"{_short(cls)}(", ")", None, fields, depth)
        text, problem = self._ask(value, cls)
        view = self._assemble(cls, None, f"{_short(cls)}(", ")", None, fields, depth)
        return msgspec.structs.replace(view, text=_cut(text), is_cut=view.is_cut or len(text) > LONGEST_TEXT,
                                       problem=problem)  # fmt: skip

    def _describe_ours(self, value: Any, cls: type, mro: tuple[type, ...]) -> str:
        """A handle of wf says what it is; a task or a future of asyncio would say an address, too."""
        is_handle = _package(_owner_of_repr(mro)) == "wf"
        return self._ask(value, cls)[0] if is_handle else f"<{_name(cls)}>"

    def _render_kin(self, value: Any, cls: type, plain: ValueView) -> ValueView:
        name = _enum_name(value, cls)
        text = plain.text if name is None else f"<{_short(cls)}.{name}: {plain.text}>"
        return msgspec.structs.replace(plain, type=_name(cls), text=_cut(text))

    def _render_exception(self, value: Any, cls: type, depth: int) -> ValueView:
        args = BaseException.__dict__["args"].__get__(value)
        inner = self._assemble(tuple, None, f"{_short(cls)}(", ")", None, ((None, one) for one in args), depth)
        return msgspec.structs.replace(inner, type=_name(cls))

    def _assemble(
        self,
        cls: type,
        base: type | None,
        opening: str,
        closing: str,
        size: int | None,
        parts: Iterable[tuple[Any, Any]],
        depth: int,
    ) -> ValueView:
        """Render the parts, and the whole by their texts."""
        items: list[ItemView] = []
        texts: list[str] = []
        is_cut = False
        for key, part in parts:
            if len(items) >= MOST_ITEMS or self._nodes <= 0 or depth >= MOST_DEPTH:
                is_cut = True
                texts.append(_CUT)
                break
            view = self._render(part, depth + 1)
            is_cut = is_cut or view.is_cut
            name, shown = self._name_part(key, view, len(items), base)
            items.append(ItemView(name, view))
            texts.append(shown)
        if base is not None and cls is not base:
            opening, closing = f"{_short(cls)}({opening}", f"{closing})"
        if base is tuple and len(texts) == 1:
            closing = f",{closing}"
        text = f"{opening}{', '.join(texts)}{closing}"
        return ValueView(
            type=_name(cls), text=_cut(text), size=size, items=items, is_cut=is_cut or len(text) > LONGEST_TEXT
        )

    def _name_part(self, key: Any, view: ValueView, place: int, base: type | None) -> tuple[str, str]:
        """Give a part's key, and how it stands in the text of the whole."""
        if base is dict:
            name = self._render(key, MOST_DEPTH - 1).text
            return name, f"{name}: {view.text}"
        if key is None:
            return str(place), view.text
        return str(key), f"{key}={view.text}"

    # -- asking the class

    def _ask(self, value: Any, cls: type) -> tuple[str, str | None]:
        """Call a class's own `__repr__`; give its text, or a plain one with what went wrong."""
        plain = f"<{_name(cls)}>"
        if self._is_plain:
            return plain, "its __repr__ was not called"
        if self._left_seconds < _SHORTEST_SECONDS:
            return plain, "its __repr__ was not called: others took all the time"
        try:
            with self._timed():
                ask: Any = cls.__repr__
                text = ask(value)
        except _TooSlow:
            return plain, f"its __repr__ takes longer than {REPR_SECONDS:g} s"
        except BaseException as error:
            return plain, f"its __repr__ raises {_name(type(error))}"
        if type(text) is not str:
            return plain, "its __repr__ gives no text"
        return text, None

    @contextmanager
    def _timed(self) -> Iterator[None]:
        seconds = min(REPR_SECONDS, self._left_seconds)
        before = signal.signal(signal.SIGALRM, _on_alarm)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self._left_seconds -= seconds - left


def _on_alarm(number: int, frame: FrameType | None) -> NoReturn:
    raise _TooSlow


# -- classes, without asking their metaclasses --------------------------------------------------

_get_mro: Final = type.__dict__["__mro__"].__get__
_get_dict: Final = type.__dict__["__dict__"].__get__
_get_module: Final = type.__dict__["__module__"].__get__
_get_qualname: Final = type.__dict__["__qualname__"].__get__


def _mro(cls: type) -> tuple[type, ...]:
    return _get_mro(cls)  # type: ignore[no-any-return]


def _is_among(cls: type, mro: tuple[type, ...]) -> bool:
    return any(base is cls for base in mro)


def _dict_of(cls: type) -> Any:
    return _get_dict(cls)


def _short(cls: type) -> str:
    return str(_get_qualname(cls)).rpartition(".<locals>.")[2]


def _name(cls: type) -> str:
    own: str = _get_qualname(cls)
    module = _module(cls)
    return own if module == "builtins" else f"{module}.{own}"


def _module(cls: type) -> str:
    found = _get_module(cls)
    if type(found) is not str:
        return "?"
    return "pathlib" if found == "pathlib._local" else found  # so it calls itself in 3.13 alone


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + _CUT


# -- simple values ------------------------------------------------------------------------------


def _show_text(value: str) -> ValueView:
    size = str.__len__(value)
    text = str.__repr__(str.__getitem__(value, slice(LONGEST_TEXT)))
    return ValueView(type="str", text=_cut(text), size=size, is_cut=size > LONGEST_TEXT)


def _show_bytes(value: bytes) -> ValueView:
    size = bytes.__len__(value)
    text = bytes.__repr__(bytes.__getitem__(value, slice(LONGEST_TEXT)))
    return ValueView(type="bytes", text=_cut(text), size=size, is_cut=size > LONGEST_TEXT)


def _show_bytearray(value: bytearray) -> ValueView:
    view = _show_bytes(bytes(bytearray.__getitem__(value, slice(LONGEST_TEXT))))
    size = bytearray.__len__(value)
    return ValueView(type="bytearray", text=_cut(f"bytearray({view.text})"), size=size, is_cut=size > LONGEST_TEXT)


def _show_int(value: int) -> ValueView:
    if -_LARGEST_INT < int.__int__(value) < _LARGEST_INT:
        return ValueView(type="int", text=int.__repr__(value))
    return ValueView(type="int", text=f"<an int of {int.bit_length(value)} bits>", is_cut=True)


def _show_by(cls: type) -> Callable[[Any], ValueView]:
    name = _name(cls)
    show: Any = cls.__repr__
    return lambda value: ValueView(type=name, text=show(value))


def _show_moment(value: Any) -> ValueView:
    """A datetime or time; its text asks its zone, which may be anybody's."""
    cls: Any = datetime if issubclass(type(value), datetime) else time
    is_known = type(cls.tzinfo.__get__(value)) in (type(None), timezone, ZoneInfo)
    text = cls.__repr__(value if is_known else cls.replace(value, tzinfo=None))
    return ValueView(type=_name(cls), text=text, is_cut=not is_known)


_SHOWN_BY: Final[dict[type, Callable[[Any], ValueView]]] = {
    str: _show_text,
    bytes: _show_bytes,
    bytearray: _show_bytearray,
    int: _show_int,
    bool: _show_by(bool),
    float: _show_by(float),
    complex: _show_by(complex),
    type(None): _show_by(type(None)),
    type(...): _show_by(type(...)),
    range: _show_by(range),
    datetime: _show_moment,
    time: _show_moment,
    **{
        cls: _show_by(cls)
        for cls in (date, timedelta, Decimal, Fraction, UUID, PurePosixPath, PureWindowsPath, PosixPath, WindowsPath)
    },
}
_SIMPLE: Final = {id(cls): show for cls, show in _SHOWN_BY.items()}
"""By the id of their class: how that hashes may be its metaclass's own idea."""


# -- containers ---------------------------------------------------------------------------------


def _members(values: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    return ((None, value) for value in values)


def _sorted_members(values: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    """Give a set's members in an order of their own: by type and text where they are simple."""
    members = list(values)
    simple = [member for member in members if id(type(member)) in _SIMPLE]
    if len(simple) == len(members):
        members.sort(key=lambda member: (type(member).__name__, _SIMPLE[id(type(member))](member).text))
    return _members(members)


_Container = tuple[str, str, Callable[[Any], int], Callable[[Any], Iterable[tuple[Any, Any]]]]

_TAKEN_APART_BY: Final[dict[type, _Container]] = {
    dict: ("{", "}", dict.__len__, dict.items),
    list: ("[", "]", list.__len__, lambda value: _members(list.__iter__(value))),
    tuple: ("(", ")", tuple.__len__, lambda value: _members(tuple.__iter__(value))),
    set: ("{", "}", set.__len__, lambda value: _sorted_members(set.__iter__(value))),
    frozenset: ("frozenset({", "})", frozenset.__len__, lambda value: _sorted_members(frozenset.__iter__(value))),
    deque: ("deque([", "])", deque.__len__, lambda value: _members(deque.__iter__(value))),
}
_CONTAINERS: Final = {id(cls): container for cls, container in _TAKEN_APART_BY.items()}

_OPAQUE: Final = frozenset(map(id, (FunctionType, BuiltinFunctionType, MethodType, ModuleType, CoroutineType)))


def _describe_opaque(value: Any) -> str:
    kind = type(value)
    if kind is ModuleType:
        return f"<module {ModuleType.__getattribute__(value, '__dict__').get('__name__', '?')}>"
    if _is_among(type, _mro(kind)):
        return f"<class {_name(value)}>"
    if kind is MethodType:
        value = value.__func__
    name = getattr(value, "__qualname__", "?") if id(type(value)) in _OPAQUE else "?"
    return f"<{'coroutine' if kind is CoroutineType else 'function'} {name}>"


# -- records and other objects ------------------------------------------------------------------


def _list_fields(value: Any, cls: type, mro: tuple[type, ...]) -> list[tuple[str, Any]]:
    """Give an object's attributes, in the order of their making, without asking the object for them."""
    found: dict[str, Any] = {}
    for base in reversed(mro):
        for name, member in list(_dict_of(base).items()):
            # What a class in C describes by functions may compute; what `__slots__` made is only kept.
            if type(member) is MemberDescriptorType and _package(base) != "builtins":
                try:
                    found[name] = member.__get__(value, cls)
                except Exception:  # a slot that is empty
                    continue
    if any("__dict__" in _dict_of(base) for base in mro):
        try:
            own = object.__getattribute__(value, "__dict__")
        except Exception:
            own = None
        if type(own) is dict:
            found.update((name, member) for name, member in list(own.items()) if type(name) is str)
    return [(name, member) for name, member in found.items() if not (name.startswith("__") and name.endswith("__"))]


def _is_record(mro: tuple[type, ...]) -> bool:
    """A class whose text is that of its fields, whatever it says: dataclass, model, struct, attrs."""
    marks = ("__dataclass_fields__", "__struct_fields__", "__pydantic_fields__", "__attrs_attrs__")
    return _is_among(SimpleNamespace, mro) or any(mark in _dict_of(base) for base in mro for mark in marks)


def _owner_of_repr(mro: tuple[type, ...]) -> type:
    return next(base for base in mro if "__repr__" in _dict_of(base))


def _is_ours(cls: type) -> bool:
    return _package(cls) in ("wf", "asyncio", "_asyncio")


def _is_of_python(cls: type) -> bool:
    """A class of the standard library: what it keeps inside is nobody's business."""
    return _package(cls) in sys.stdlib_module_names


def _package(cls: type) -> str:
    return _module(cls).partition(".")[0]


def _is_secret(mro: tuple[type, ...]) -> bool:
    return any("get_secret_value" in _dict_of(base) for base in mro)


def _enum_name(value: Any, cls: type) -> str | None:
    if "_member_map_" not in _dict_of(cls):
        return None
    own = object.__getattribute__(value, "__dict__")
    name = own.get("_name_") if type(own) is dict else None
    return name if type(name) is str else None


# -- comparing ----------------------------------------------------------------------------------


def fingerprint(value: Any) -> int:
    """Give a number that changes, most likely, when a value does: deeper than what is shown, and calling nothing."""
    try:
        return hash(_trace(value, [MOST_COMPARED], frozenset()))
    except RecursionError:
        return 0


def _trace(value: Any, budget: list[int], path: frozenset[int]) -> Any:
    budget[0] -= 1
    cls = type(value)
    kind = id(cls)  # not the class: its metaclass may say how it hashes
    if budget[0] < 0 or id(value) in path:
        return None
    if cls is str or cls is bytes:
        return kind, value
    if kind in _SIMPLE:  # by its text: Python holds 1, 1.0 and True for equal, and a nan for another one
        return kind, _SIMPLE[kind](value).text
    path = path | {id(value)}
    mro = _mro(cls)
    for base in mro:
        container = _CONTAINERS.get(id(base))
        if container is not None:
            return kind, tuple((_trace(k, budget, path), _trace(v, budget, path)) for k, v in container[3](value))
        if id(base) in _SIMPLE:
            return kind, _SIMPLE[id(base)](value).text
    if _is_among(BaseException, mro):
        return kind, _trace(BaseException.__dict__["args"].__get__(value), budget, path)
    if id(cls) in _OPAQUE or _is_among(type, mro) or _is_ours(cls):
        return kind, id(value)
    return kind, tuple((name, _trace(member, budget, path)) for name, member in _list_fields(value, cls, mro))
