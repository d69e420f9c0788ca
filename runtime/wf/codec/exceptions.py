"""Exceptions as values: what a step raised, carried so that the workflow can catch it.

    {"$exception": {"type": "module:qualname", "message": text, "args": [...], "attributes": {...},
     "notes": [...], "cause": …, "context": …, "suppress": bool, "members": [...], "traceback": text}}

All but `type` and `message` are left out where there is nothing to say. `suppress` is written where
it is not what `cause` implies.

1. Every exception can be written. What cannot be carried of it (an attribute that holds a lock, an
   argument without end) becomes its `repr`; texts end at 64 KiB; an exception met again in its own
   chain is left out there.
2. Reading makes an instance of the original class without running its code: no `__init__`, no
   `__new__` of Python's. A class that is not loaded here, or cannot be rebuilt, becomes a
   `StepError` that names it.
3. The traceback becomes text, from the user's first frame on: `__wf_traceback__` after reading.
   When the exception is raised on and written again, the frames it passed come before the old ones.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from types import GetSetDescriptorType, MemberDescriptorType, TracebackType
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from wf.codec.classes import native_base
from wf.codec.names import find_class, remember
from wf.codec.walk import LIFT, MAX_DEPTH, Lower, Lowering, Malformed, dump, lift
from wf.errors import StepError, shorten

MAX_TEXT: Final = 64 * 1024
"""Characters that a message, a text argument or a traceback keeps."""

MAX_FRAMES: Final = 100
"""Frames that a traceback keeps: the last ones, nearest to where it was raised."""

_MAX_TEXTS: Final = 16 * MAX_TEXT
_MAX_REPR: Final = 1000
_MIN_TEXT: Final = 80
# Python's own ways to the parts of an exception, whatever its class has put in front of them.
_ARGS: Final[Any] = vars(BaseException)["args"]
_get: Final = object.__getattribute__
_set: Final = object.__setattr__
_STANDARD_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_OWN_CODE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
_FRAME: Final = re.compile(r'  File "(.*)", line \d+')
# What these print themselves from, unchecked, in C. It may have been too large to be kept.
_OBJECTS: Final = {UnicodeDecodeError: bytes, UnicodeEncodeError: str, UnicodeTranslateError: str}
_members_of: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()
_HIDDEN: Final = frozenset({"__notes__", "__wf_traceback__", "__wf_since__", "__orig_class__"})


def resolve_exception(cls: type) -> Lower | None:
    return lower_exception if issubclass(cls, BaseException) else None


def lower_exception(walk: Lowering, value: BaseException, depth: int) -> Any:
    """Lower an exception and all it is linked to. Only depth can make it refuse."""
    if walk.chain is not None:
        return _lower_link(walk, value, depth)
    walk.chain = set()
    walk.text_left = _MAX_TEXTS
    try:
        return _lower_link(walk, value, depth)
    finally:
        walk.chain = None


def _lower_link(walk: Lowering, value: BaseException, depth: int) -> Any:
    depth = walk.enter(8, depth)
    data: dict[str, Any] = {"type": remember(type(value)), "message": _cut(walk, _message(value))}
    try:
        _lower_content(walk, value, depth, data)
    except UnicodeEncodeError:
        if not walk.is_careful:
            raise
    except Exception:  # a class that answers every question with an error: what is known must do
        pass
    return {"$exception": data}


def _lower_content(walk: Lowering, value: BaseException, depth: int, data: dict[str, Any]) -> None:
    assert walk.chain is not None
    is_met = id(value) in walk.chain
    walk.chain.add(id(value))
    if isinstance(value, BaseExceptionGroup):
        if is_met:
            return
        data["message"] = _cut(walk, _plain_text(_get(value, "message")))
        members = _get(value, "exceptions")
        data["members"] = [_lower_link(walk, member, depth) for member in members if depth < MAX_DEPTH]
    elif args := _validation_parts(value) or _ARGS.__get__(value):
        data["args"] = [_lower_part(walk, item, depth) for item in args]
    attributes = {name: _lower_part(walk, item, depth) for name, item in _attributes(value).items()}
    if attributes:
        data["attributes"] = attributes
    notes = _get(value, "__dict__").get("__notes__")
    if isinstance(notes, (list, tuple)) and notes:
        data["notes"] = [_cut(walk, note if type(note) is str else shorten(note, _MAX_REPR)) for note in notes]
    text = _traceback_text(value)
    if text:
        data["traceback"] = _cut(walk, text, keep_end=True)
    if not is_met:
        _lower_chain(walk, value, data, depth)


def _lower_chain(walk: Lowering, value: BaseException, data: dict[str, Any], depth: int) -> None:
    assert walk.chain is not None
    cause, context = _get(value, "__cause__"), _get(value, "__context__")
    is_suppressed = _get(value, "__suppress_context__")
    if cause is not None and id(cause) not in walk.chain and depth < MAX_DEPTH:
        data["cause"] = _lower_link(walk, cause, depth)
    if context is not None and not is_suppressed and id(context) not in walk.chain and depth < MAX_DEPTH:
        data["context"] = _lower_link(walk, context, depth)
    if is_suppressed != ("cause" in data):
        data["suppress"] = is_suppressed


def _lower_part(walk: Lowering, item: Any, depth: int) -> Any:
    """Lower an argument or attribute, or its repr where it cannot be carried or is too large."""
    if isinstance(item, str) and not isinstance(item, Enum):
        return _cut(walk, _plain_text(item))
    parts = walk.parts
    try:
        if isinstance(item, BaseException) and walk.chain is not None and id(item) in walk.chain:
            return _cut(walk, shorten(item, _MAX_REPR))
        data = dump(walk.lower(item, depth))
    except UnicodeEncodeError:
        if not walk.is_careful:
            raise
        return _cut(walk, shorten(item, _MAX_REPR))
    except Exception:  # Refusal, RecursionError, and what a user's own serializer raised
        walk.parts = parts
        return _cut(walk, shorten(item, _MAX_REPR))
    if len(data) > walk.text_left:
        return _cut(walk, shorten(item, _MAX_REPR))
    walk.text_left -= len(data)
    return msgspec.Raw(data)


def _cut(walk: Lowering, text: str, keep_end: bool = False) -> Any:
    room = max(min(MAX_TEXT, walk.text_left), _MIN_TEXT)
    if len(text) > room:
        text = "…" + text[1 - room :] if keep_end else text[: room - 1] + "…"
    walk.text_left -= len(text)
    return walk.lower(text, 0)


def _plain_text(text: str) -> str:
    return text if type(text) is str else "".join((text, ""))


def _message(error: BaseException) -> str:
    try:
        return _plain_text(str(error))
    except Exception as failure:  # a user's __str__ may do anything
        return f"<{type(error).__name__}: str raised {type(failure).__name__}>"


def _attributes(error: BaseException) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _members(type(error)):
        item = None
        with suppress(Exception):
            item = _get(error, name)
        if item is not None:
            found[name] = item
    for name, item in _get(error, "__dict__").items():
        if type(name) is str and name.isprintable() and name not in _HIDDEN:
            found[name] = item
    return found


def _is_validation_error(cls: type) -> bool:
    return cls.__name__ == "ValidationError" and cls.__module__.startswith("pydantic_core")


def _validation_parts(error: BaseException) -> tuple[Any, ...]:
    """Give what pydantic's ValidationError is made of, title first, then five parts an error.

    It is written in Rust and has no arguments. A flat list, so that an input that cannot be carried is alone in that.
    """
    if not _is_validation_error(type(error)):
        return ()
    found: Any = error
    parts = [found.title]
    for line in found.errors(include_url=False):
        parts += [line["type"], line["loc"], line["msg"], line["input"], line.get("ctx")]
    return tuple(parts)


def _rebuild_validation_error(cls: Any, title: str, *parts: Any) -> BaseException:
    core: Any = sys.modules["pydantic_core"]  # loaded: its class was found
    details = []
    for kind, loc, text, given, context in zip(*[iter(parts)] * 5, strict=True):
        made: Any = kind
        try:
            core.PydanticKnownError(kind, context)
        except KeyError:  # a validator of the user's made up the type
            made = core.PydanticCustomError(kind, text, context)
        details.append({"type": made, "loc": tuple(loc), "input": given, **({"ctx": context} if context else {})})
    return cls.from_exception_data(title, details)  # type: ignore[no-any-return]


def _members(cls: type) -> tuple[str, ...]:
    """Name what instances keep outside their dict: `errno` of an OSError, slots of Python classes."""
    known = _members_of.get(cls)
    if known is not None:
        return known
    found: dict[str, None] = {}
    for base in cls.__mro__:
        if base in (BaseException, BaseExceptionGroup):
            continue
        for name, member in vars(base).items():
            if isinstance(member, (MemberDescriptorType, GetSetDescriptorType)) and not name.startswith("__"):
                found[name] = None
    # The object whose attribute was missing: as a rule large, never wanted, often not carried.
    if issubclass(cls, AttributeError):
        found.pop("obj", None)
    return _members_of.setdefault(cls, tuple(found))


def _traceback_text(error: BaseException) -> str:
    frames = _get(error, "__traceback__")
    text = _format(_users_frames(frames)) if frames is not None else ""
    earlier = _get(error, "__dict__").get("__wf_traceback__", "")
    return text + earlier if isinstance(earlier, str) else text


def _users_frames(frames: TracebackType) -> TracebackType:
    """Skip the frames of the runtime, and those of the standard library between them and the user's."""
    user = _skip(frames, lambda file: _is_own(file) or _is_standard(file))
    # A step may be a function of the standard library itself.
    return _skip(frames, _is_own) if _is_standard(user.tb_frame.f_code.co_filename) else user


def _skip(frames: TracebackType, is_skipped: Callable[[str], bool]) -> TracebackType:
    while frames.tb_next is not None and is_skipped(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def _is_own(file: str) -> bool:
    return file.startswith(_OWN_CODE)


def _is_standard(file: str) -> bool:
    return file.startswith(_STANDARD_LIBRARY) and "-packages" not in file


def _format(frames: TracebackType) -> str:
    try:
        return "".join(traceback.format_tb(frames, -MAX_FRAMES))
    except Exception as failure:  # a source file that changed its encoding, a loader that fails
        return f"  (the traceback cannot be shown: {type(failure).__name__})\n"


def keep_users_frames(trace: str) -> Iterator[str]:
    """Give the lines of a recorded traceback without the frames of this package."""
    is_ours = False
    for line in trace.splitlines(keepends=True):
        frame = _FRAME.match(line)
        if frame is not None:
            is_ours = frame[1].startswith(_OWN_CODE)
        if not is_ours:
            yield line


# -- reading ------------------------------------------------------------------------------------


def _is_exception(cls: type) -> bool:
    return issubclass(cls, BaseException)


def _lift_exception(tree: dict[str, Any], depth: int) -> Any:
    data = tree["$exception"]
    name, message = data["type"], lift(data["message"], depth)
    if type(name) is not str or type(message) is not str:
        raise Malformed("its type or message is not text")
    args = [lift(item, depth) for item in data.get("args", ())]
    attributes = {key: lift(item, depth) for key, item in data.get("attributes", {}).items()}
    members = [lift(item, depth) for item in data.get("members", ())]
    cls = find_class(name, _is_exception)
    error = _rebuild(cls, message, args, attributes, members) if cls else None
    if error is None:
        error = StepError(name.replace(":", "."), message)
    _set(error, "__cause__", _lift_linked(data.get("cause"), depth))
    _set(error, "__context__", _lift_linked(data.get("context"), depth))
    _set(error, "__suppress_context__", data.get("suppress", "cause" in data))
    if "notes" in data:
        _get(error, "__dict__")["__notes__"] = [lift(note, depth) for note in data["notes"]]
    if "traceback" in data:
        _get(error, "__dict__")["__wf_traceback__"] = lift(data["traceback"], depth)
    return error


def _lift_linked(tree: Any, depth: int) -> BaseException | None:
    if tree is None:
        return None
    error = lift(tree, depth)
    if not isinstance(error, BaseException):
        raise Malformed("its cause or context is not an exception")
    return error


def _rebuild(
    cls: type, message: str, args: list[Any], attributes: dict[str, Any], members: list[Any]
) -> BaseException | None:
    maker: Any = native_base(cls)
    try:
        if issubclass(cls, BaseExceptionGroup):
            error: BaseException = maker.__new__(cls, message, members)
        elif _is_validation_error(cls):
            error = _rebuild_validation_error(cls, *args)
        else:
            error = maker.__new__(cls, *args)
            _ARGS.__set__(error, tuple(args))
        outside = _members(cls)
        for name, item in attributes.items():
            if name in outside:
                # Some are read-only, and then follow from the arguments.
                with suppress(AttributeError, TypeError):
                    _set(error, name, item)
            else:
                _get(error, "__dict__")[name] = item
        for kind, expected in _OBJECTS.items():
            if issubclass(cls, kind) and type(_get(error, "object")) is not expected:
                return None
    except Exception:  # a class that was written in C and wants other arguments
        return None
    return error if type(error) is cls else None


LIFT["$exception"] = _lift_exception
