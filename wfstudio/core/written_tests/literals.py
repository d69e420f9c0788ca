"""Literals: recorded values as Python code, without the classes that they are of.

A value that has no readable form is `Unwritable`: a class that cannot be imported, or whose constructor does
more than to take its fields; a stream's handle; not-a-number, which equals nothing. Whoever meets one reads
it from the history instead, or says why there is no test of it.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from wf.codec.walk import load
from wfstudio.core.written_tests.layout import Atom, Code, Group, quote, quote_bytes
from wfstudio.core.written_tests.locating import Locator

_WF: Final = "wf"


class Unwritable(Exception):
    """Internal: a value has no form in code. `is_lasting`: nor could a history give it to a test."""

    def __init__(self, reason: str, *, is_lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_lasting = is_lasting


class Imports:
    """What a test imports. A module of the user's is known by its last name, unless two have the same one."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken  # names that the test has of its own
        self._names: dict[str, set[str]] = {}
        self._modules: dict[str, str] = {}

    def take(self, module: str, name: str) -> str:
        """Import a name of a library's module, and give it."""
        self._names.setdefault(module, set()).add(name)
        return name

    def use(self, module: str) -> str:
        """Import a module, and give the name that it has in the test."""
        if module not in self._modules:
            short = module.rpartition(".")[2]
            is_free = short not in self._taken and short not in self._modules.values()
            self._modules[module] = short if is_free else module
        return self._modules[module]

    def list_libraries(self) -> list[str]:
        """List the import statements for what libraries give."""
        return [f"from {module} import {', '.join(sort_names(names))}" for module, names in sorted(self._names.items())]

    def list_modules(self) -> list[tuple[str, str]]:
        """List the import statements for modules that are not taken apart, each with its module."""
        lines = []
        for module, name in self._modules.items():
            parent, _, last = module.rpartition(".")
            lines.append((f"from {parent} import {last}" if parent and name == last else f"import {module}", module))
        return lines


def sort_names(names: set[str]) -> list[str]:
    """Sort imported names as isort does: constants, classes, functions."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))


class Writer:
    """Writes values as code. `asking` is the module whose imports say what a class's module is."""

    def __init__(self, imports: Imports, locator: Locator, asking: str, mark: str = '"') -> None:
        self.imports = imports
        self._locator = locator
        self._asking = asking
        self._mark = mark

    def write(self, data: bytes) -> Code:
        """Write an encoded value. Raises `Unwritable`."""
        return self._write(load(data))

    def write_arguments(self, data: bytes) -> dict[str, Code]:
        """Write encoded arguments by the names of their parameters. Raises `Unwritable`."""
        tree = load(data)
        if isinstance(tree, dict) and len(tree) == 1 and "$dict" in tree:  # one parameter whose name begins with $
            tree = dict(tree["$dict"])
        return {name: self._write(value) for name, value in tree.items()}

    def text(self, text: str) -> Atom:
        return Atom(quote(text, mark=self._mark))

    def _write(self, tree: Any) -> Code:
        match tree:
            case None | bool() | int():
                return Atom(repr(tree))
            case float():
                return Atom(repr(tree).replace("e+", "e"))
            case str():
                return self.text(tree)
            case list():
                return self._group("[", tree, "]")
            case dict() if len(tree) == 1 and next(iter(tree))[:1] == "$":
                [(tag, content)] = tree.items()
                write = _WRITE.get(tag)
                if write is None:
                    raise Unwritable(f"a value with the tag `{tag}` has no form in code", is_lasting=tag in _LASTING)
                return write(self, content)
            case dict():
                return Group(
                    "{", [(f"{quote(key, mark=self._mark)}: ", self._write(value)) for key, value in tree.items()], "}"
                )
        raise Unwritable(f"{type(tree).__name__} has no form in code")

    def _group(self, opening: str, items: list[Any], closing: str, *, is_tuple: bool = False) -> Group:
        return Group(opening, [("", self._write(item)) for item in items], closing, is_tuple)

    def _call(self, name: str, /, *items: Code, **named: Code) -> Group:
        return Group(
            f"{name}(", [*(("", item) for item in items), *((f"{key}=", item) for key, item in named.items())], ")"
        )

    def _library(self, module: str, name: str, /, *items: Code, **named: Code) -> Group:
        return self._call(self.imports.take(module, name), *items, **named)

    # -- what Python has words for

    def _tuple(self, content: Any) -> Code:
        return self._group("(", content, ")", is_tuple=True)

    def _set(self, content: Any) -> Code:
        return self._group("{", content, "}") if content else Atom("set()")

    def _frozenset(self, content: Any) -> Code:
        return self._call("frozenset", self._set(content)) if content else Atom("frozenset()")

    def _dict(self, content: Any) -> Code:
        pairs: list[tuple[str, Code]] = []
        for key, value in content:
            written = self._write(key)
            if not isinstance(written, Atom):  # a formatter may break it
                raise Unwritable("a dict has a key that takes more than a word")
            pairs.append((f"{written.text}: ", self._write(value)))
        return Group("{", pairs, "}")

    def _bytes(self, content: Any) -> Code:
        return Atom(quote_bytes(a2b_base64(content), mark=self._mark))

    def _bytearray(self, content: Any) -> Code:
        return self._call("bytearray", self._bytes(content))

    def _big_int(self, content: Any) -> Code:
        return Atom(str(int(content, 16)) if len(content) < 4_000 else content)

    def _odd_float(self, content: Any) -> Code:
        if content == "nan":
            raise Unwritable("not-a-number equals nothing, not even itself", is_lasting=True)
        return self._call("float", self.text(content))

    def _odd_text(self, content: Any) -> Code:
        return self.text(a2b_base64(content).decode("utf-8", "surrogatepass"))

    def _range(self, content: Any) -> Code:
        return self._call("range", *(self._write(number) for number in content))

    def _complex(self, content: Any) -> Code:
        return self._call("complex", *(self._write(part) for part in content))

    # -- what libraries have

    def _decimal(self, content: Any) -> Code:
        if "nan" in content.lower():
            raise Unwritable("not-a-number equals nothing, not even itself", is_lasting=True)
        return self._library("decimal", "Decimal", self.text(content))

    def _fraction(self, content: Any) -> Code:
        return self._library("fractions", "Fraction", *(self._write(number) for number in content))

    def _uuid(self, content: Any) -> Code:
        return self._library("uuid", "UUID", self.text(content))

    def _path(self, content: Any) -> Code:
        return self._library("pathlib", "Path", self._write(content))

    def _pure_posix_path(self, content: Any) -> Code:
        return self._library("pathlib", "PurePosixPath", self._write(content))

    def _pure_windows_path(self, content: Any) -> Code:
        return self._library("pathlib", "PureWindowsPath", self._write(content))

    def _ip(self, content: Any) -> Code:
        return self._library("ipaddress", content[0], self.text(content[1]))

    def _date(self, content: Any) -> Code:
        return self._library("datetime", "date", *map(Atom, _split(content, "-")))

    def _datetime(self, content: Any) -> Code:
        return self._moment("datetime", content)

    def _time(self, content: Any) -> Code:
        return self._moment("time", content)

    def _moment(self, name: str, content: Any) -> Code:
        """Write a datetime or time; one with an offset from its ISO text, which says it shortest."""
        if not isinstance(content, str):
            text, zone, fold = content
            named = {} if zone is None else {"tzinfo": self._zone(zone)}
            if fold:
                named["fold"] = Atom("1")
            return self._library("datetime", name, *map(Atom, _split_moment(text)), **named)
        if content.endswith("+00:00"):
            utc = Atom(self.imports.take("datetime", "UTC"))
            return self._library("datetime", name, *map(Atom, _split_moment(content[:-6])), tzinfo=utc)
        clock = content.partition("T")[2] if "T" in content else content
        if "+" in clock or "-" in clock:
            return self._call(f"{self.imports.take('datetime', name)}.fromisoformat", self.text(content))
        return self._library("datetime", name, *map(Atom, _split_moment(content)))

    def _zone(self, zone: Any) -> Code:
        if isinstance(zone, str) and zone[:1] not in "+-":
            return self._library("zoneinfo", "ZoneInfo", self.text(zone))
        offset, names = (zone, []) if isinstance(zone, str) else (zone[0], [self._write(zone[1])])
        return self._library("datetime", "timezone", self._offset(offset), *names)

    def _offset(self, text: str) -> Code:
        """Write `+01:30` as a timedelta."""
        sign = -1 if text[0] == "-" else 1
        whole, _, micros = text[1:].partition(".")
        numbers = [sign * int(part) for part in whole.split(":")]
        named = dict(zip(("hours", "minutes", "seconds"), numbers, strict=False))
        named["microseconds"] = sign * int(micros or 0)
        written: dict[str, Code] = {name: Atom(str(number)) for name, number in named.items() if number}
        return self._library("datetime", "timedelta", **written)

    def _timezone(self, content: Any) -> Code:
        return Atom(self.imports.take("datetime", "UTC")) if content == "+00:00" else self._zone(content)

    def _timedelta(self, content: Any) -> Code:
        names = ("days", "seconds", "microseconds")
        named = {name: Atom(repr(number)) for name, number in zip(names, content, strict=True) if number}
        return self._library("datetime", "timedelta", **named)

    def _deque(self, content: Any) -> Code:
        items, limit = content
        named = {} if limit is None else {"maxlen": Atom(repr(limit))}
        return self._library("collections", "deque", *([self._write(items)] if items else []), **named)

    def _ordered_dict(self, content: Any) -> Code:
        return self._library("collections", "OrderedDict", *([self._pairs(content)] if content else []))

    def _counter(self, content: Any) -> Code:
        return self._library("collections", "Counter", self._dict(content))

    def _default_dict(self, content: Any) -> Code:
        factory, pairs = content
        return self._library("collections", "defaultdict", Atom(factory or "None"), self._dict(pairs))

    def _pairs(self, content: Any) -> Code:
        return Group("[", [("", self._tuple(pair)) for pair in content], "]")

    # -- what the user has

    def _enum(self, content: Any) -> Code:
        name, member = content
        where = self._class(name)
        return Atom(f"{where}.{member}") if isinstance(member, str) else self._call(where, self._write(member))

    def _dataclass(self, content: Any) -> Code:
        return self._fields(content, is_known=True)

    def _struct(self, content: Any) -> Code:
        return self._fields(content, is_known=not content[0].startswith("wf."))

    def _pydantic(self, content: Any) -> Code:
        return self._fields(content, is_known=True)

    def _fields(self, content: Any, *, is_known: bool) -> Code:
        name, fields, *more = content
        if more:
            raise Unwritable(f"a {_short(name)} holds more than its fields")
        if is_known:
            cls = self._locator.find_class(name, self._asking)
            if cls is None or not self._locator.is_plain(cls):
                raise Unwritable(f"a {_short(name)} is not made by its fields alone")
        return self._call(self._class(name), **{key: self._write(value) for key, value in fields.items()})

    def _named_tuple(self, content: Any) -> Code:
        name, members = content
        return self._call(self._class(name), *(self._write(member) for member in members))

    def _secret(self, content: Any) -> Code:
        return self._library("pydantic", _short(content[0]), self._write(content[1]))

    def _url(self, content: Any) -> Code:
        return self._library("pydantic", _short(content[0]), self.text(content[1]))

    def _unset(self, content: Any) -> Code:
        return Atom(f"{self.imports.use('msgspec')}.UNSET")

    def _class(self, name: str) -> str:
        """Give the expression for a class of `module:qualname`."""
        module, _, qualname = name.partition(":")
        if "<locals>" in qualname or "[" in qualname:
            raise Unwritable(f"the class {_short(name)} cannot be imported", is_lasting="<locals>" in qualname)
        if module == _WF or module.startswith("wf."):
            return f"{self.imports.use(_WF)}.{qualname}"
        return f"{self.imports.use(module)}.{qualname}"


def _short(name: str) -> str:
    return name.rpartition(":")[2]


def _split(text: str, mark: str) -> list[str]:
    return [str(int(part)) for part in text.split(mark)]


def _split_moment(text: str) -> list[str]:
    """Give the numbers of an ISO text without a zone."""
    day, mark, clock = text.partition("T") if "T" in text else ("", "", text)
    whole, _, micros = clock.partition(".")
    numbers = [*(_split(day, "-") if mark else []), *_split(whole, ":")]
    if micros:
        numbers.append(str(int(micros)))
    elif len(numbers) % 3 == 0 and numbers[-1] == "0":  # seconds that are none
        numbers.pop()
    return numbers


_LASTING: Final = frozenset({"$stream", "$run"})
"""Handles of a run: there is nothing behind them in a test."""

_WRITE: Final[Mapping[str, Callable[[Writer, Any], Code]]] = {
    "$int": Writer._big_int,
    "$float": Writer._odd_float,
    "$str": Writer._odd_text,
    "$bytes": Writer._bytes,
    "$bytearray": Writer._bytearray,
    "$dict": Writer._dict,
    "$tuple": Writer._tuple,
    "$set": Writer._set,
    "$frozenset": Writer._frozenset,
    "$deque": Writer._deque,
    "$ordereddict": Writer._ordered_dict,
    "$counter": Writer._counter,
    "$defaultdict": Writer._default_dict,
    "$range": Writer._range,
    "$complex": Writer._complex,
    "$fraction": Writer._fraction,
    "$decimal": Writer._decimal,
    "$uuid": Writer._uuid,
    "$datetime": Writer._datetime,
    "$time": Writer._time,
    "$date": Writer._date,
    "$timezone": Writer._timezone,
    "$timedelta": Writer._timedelta,
    "$path": Writer._path,
    "$pureposixpath": Writer._pure_posix_path,
    "$purewindowspath": Writer._pure_windows_path,
    "$ip": Writer._ip,
    "$enum": Writer._enum,
    "$dataclass": Writer._dataclass,
    "$struct": Writer._struct,
    "$namedtuple": Writer._named_tuple,
    "$pydantic": Writer._pydantic,
    "$secret": Writer._secret,
    "$url": Writer._url,
    "$unset": Writer._unset,
}


def decode_error_parts(data: bytes) -> tuple[str, str]:
    """Give the class (`module:qualname`) and message of a recorded exception."""
    content = load(data)["$exception"]
    message = content["message"]
    if isinstance(message, dict):
        message = a2b_base64(message["$str"]).decode("utf-8", "surrogatepass")
    return content["type"], message


__all__ = ["Imports", "Unwritable", "Writer", "decode_error_parts", "sort_names"]
