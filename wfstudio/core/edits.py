"""Edits: what a fork is to hear otherwise, checked, and with the types that its code expects.

1. Nothing is written before all edits fit.
2. A value takes the types of what it replaces (`shaping`); where it replaces nothing, or brings something new,
   it is checked against what today's code says that it returns, and gets its type in the fork's process.
3. Nothing of the user's is imported. Classes of exceptions are found in Python itself, among those that the
   run has recorded, and in the kept sources, as text.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from wf import codec, errors, schemas
from wf import events as types
from wf.catalog import Catalog, StepEntry, WorkflowEntry
from wf.errors import PayloadTooLargeError, SerializationError, ValidationError, shorten
from wf.records import Answer
from wf.webhooks import Request
from wfstudio.core.calls import Call, Opened, name_call
from wfstudio.core.errors import UsageError
from wfstudio.core.shaping import Misfit, shape_like, shape_plain, unwrap_bytes

_RESULTS: Final = {types.STEP_CREATED: types.STEP_COMPLETED, types.CHILD_STARTED: types.CHILD_COMPLETED}
_FAILURES: Final = {types.STEP_CREATED: types.STEP_FAILED, types.CHILD_STARTED: types.CHILD_COMPLETED}


class ErrorText(msgspec.Struct, frozen=True):
    """An exception as people write it: `type` is a name like `ValueError` or `shop.Declined`."""

    type: str
    message: str = ""


def read_error_text(text: str) -> ErrorText:
    """Read `Type` or `Type: message`."""
    name, _, message = text.partition(":")
    return ErrorText(name.strip(), message.strip())


# -- values -------------------------------------------------------------------------------------


def make_output(call: Call, value: Any, catalog: Catalog, limit: int) -> Answer:
    """Make the answer that gives a step, or a child, another result. Raises `ValidationError`."""
    recorded = next((data for event, data in call.answers if _is_result(event)), None)
    shaped, misfit = None, None
    if recorded is not None:
        try:
            shaped = shape_like(value, recorded, "output")
        except (Misfit, SerializationError) as error:
            misfit = error
    if shaped is not None and not shaped.has_new:
        return _answer(call, _RESULTS, shaped.data, limit)
    schema = _find_schema(call, catalog)
    if schema is not None:
        plain = unwrap_bytes(value)
        try:
            schemas.check_json(plain, schema)
        except ValidationError as error:
            if shaped is None:
                reason = str(error).rpartition("the payload does not fit the hook's schema: ")[2]
                raise _misfit(call, reason.removeprefix("payload: "), misfit) from None
        else:
            return _answer(call, _RESULTS, codec.encode(plain, "output"), limit, is_plain=True)
    if shaped is None:
        if misfit is not None:
            raise _misfit(call, _bare(misfit), None)
        try:
            return _answer(call, _RESULTS, shape_plain(value, "output"), limit)
        except (Misfit, SerializationError) as error:
            raise _misfit(call, _bare(error), None) from None
    return _answer(call, _RESULTS, shaped.data, limit)


def _is_result(event: types.Event) -> bool:
    if event.type == types.CHILD_COMPLETED:
        return bool(msgspec.json.decode(event.meta or "{}").get("status") == types.COMPLETED)
    return event.type == types.STEP_COMPLETED


def _find_schema(call: Call, catalog: Catalog) -> dict[str, Any] | None:
    entries = catalog.steps if call.event.type == types.STEP_CREATED else catalog.workflows
    return next((entry.returns for entry in entries if entry.id == call.name), None)


def _misfit(call: Call, reason: str, other: Exception | None) -> ValidationError:
    error = ValidationError(f"the output does not fit {name_call(call)}: {reason}")
    if other is not None:
        error.hint = f"give what the code says, or what was recorded; for that, {_bare(other)}"
    return error


def _bare(error: Exception) -> str:
    """Say where an output does not fit; that it is the output is said already."""
    return str(error).removeprefix("output").removeprefix(": ").removeprefix(".")


def make_payload(call: Call, value: Any, replaced: Opened | None, limit: int) -> Answer:
    """Make the answer that sends another payload to a hook; checked like one that is sent. Raises `ValidationError`."""
    if call.name == "webhook":
        data = _make_request(call, value, None if replaced is None else replaced[1])
    else:
        record = msgspec.json.decode(call.data or b"{}", type=dict[str, msgspec.Raw])
        schema = codec.decode(bytes(record["schema"])) if "schema" in record else None
        if schema is not None:
            schemas.check_json(value, schema)
        data = codec.encode(value, "payload")
    return _answer(call, {types.HOOK_CREATED: types.HOOK_RECEIVED}, data, limit)


def _make_request(call: Call, value: Any, recorded: bytes | None) -> bytes:
    """Make a webhook's request of what the old one had otherwise; its body may be a text."""
    if not isinstance(value, dict):
        value = {"body": value if isinstance(value, str) else msgspec.json.encode(value).decode()}
    before = codec.decode(recorded) if recorded is not None else None
    request = before if isinstance(before, Request) else Request()
    body = value.get("body", request.body)
    try:
        if isinstance(body, dict):
            body = codec.decode(shape_plain(body, "body"))
        changes = {**value, "body": body.encode() if isinstance(body, str) else body}
        changes.pop("answer_to", None)
        made = msgspec.convert({**msgspec.structs.asdict(request), **changes}, Request)
    except (Misfit, msgspec.ValidationError, UnicodeEncodeError) as error:
        raise ValidationError(f"the payload is no request for {name_call(call)}: {error}") from None
    unknown = set(value) - {field.name for field in msgspec.structs.fields(Request)}
    if unknown:
        raise ValidationError(f"the payload is no request for {name_call(call)}: it has {', '.join(sorted(unknown))}")
    return codec.encode(made, "payload")


def _answer(
    call: Call,
    ends: Mapping[str, str],
    data: bytes,
    limit: int,
    *,
    is_plain: bool = False,
    error_type: str | None = None,
) -> Answer:
    if len(data) > limit:
        raise PayloadTooLargeError(f"the answer to {name_call(call)}", len(data), limit)
    type_ = ends[call.event.type]
    return Answer(call.number, type_, call.name, msgspec.Raw(data), is_plain=is_plain, error_type=error_type)


# -- exceptions ---------------------------------------------------------------------------------


def make_error(call: Call, text: ErrorText, classes: Classes, limit: int) -> Answer:
    """Make the answer that raises an exception in place of what a step, or a child, came to. Raises `UsageError`."""
    found = classes.find(text.type, call)
    if isinstance(found, type):
        data, name = _encode_instance(found, text.message), codec.public_type_name(found)
    else:
        data, name = _write_exception(found, text.message), found.replace(":", ".")
    return _answer(call, _FAILURES, data, limit, error_type=name)


def _encode_instance(cls: type[Exception], message: str) -> bytes:
    """Encode a real exception; one whose class wants other arguments is written as it would be."""
    try:
        return codec.encode(cls(message) if message else cls(), "error")
    except Exception:  # its own `__init__` may ask for anything
        return _write_exception(codec.type_name(cls), message)


def _write_exception(name: str, message: str) -> bytes:
    args = {"args": [message]} if message else {}
    text = msgspec.json.decode(codec.encode(message, "message"))
    return msgspec.json.encode({"$exception": {"type": name, "message": text, **args}})


class Classes:
    """The classes of exceptions that a name may mean. `files` are the kept sources of the fork's code."""

    def __init__(self, log: list[Opened], catalog: Catalog, files: Mapping[str, bytes]) -> None:
        self._recorded = {name for _, data in log if data and b"$exception" in data for name in _list_recorded(data)}
        self._defined = list(_list_defined(files, catalog))

    def find(self, name: str, call: Call) -> type[Exception] | str:
        """Give a class of Python's or wf's own, or the `module:qualname` of one of the user's."""
        own = _find_own(name)
        if own is not None:
            return own
        module = call.name.partition(":")[0] if ":" in call.name else None
        known = sorted({*self._recorded, *self._defined})
        found = [one for one in known if one.replace(":", ".") == name.replace(":", ".")]
        found = found or [one for one in known if one == f"{module}:{name}"]
        found = found or [one for one in known if one.rpartition(":")[2].rpartition(".")[2] == name]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(one.replace(":", ".") for one in found)
            raise UsageError(f"several classes are called {shorten(name)}", f"name one: {listed}")
        if "." in name.strip(".") and name.replace(".", "").isidentifier():
            return ":".join(name.rpartition(".")[::2])  # of a library: where it is not loaded, a `StepError` names it
        names = [*(one.rpartition(":")[2] for one in known), *_OWN_NAMES]
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean `{close[0]}`?" if close else "write `ValueError`, or `module.Class` for one of your own"
        raise UsageError(f"no exception is called {shorten(name)}", hint)


_OWN_NAMES: Final = [
    name
    for place in (builtins, errors)
    for name, cls in vars(place).items()
    if isinstance(cls, type) and issubclass(cls, Exception)
]


def _find_own(name: str) -> type[Exception] | None:
    """Find a class of Python, of its standard library as far as it is loaded, or of wf."""
    module, _, short = name.replace(":", ".").rpartition(".")
    places = [builtins, errors] if not module else [sys.modules[module]] if _is_safe(module) else []
    for place in places:
        cls = vars(place).get(short)
        if isinstance(cls, type) and issubclass(cls, BaseException):
            if not issubclass(cls, Exception):
                raise UsageError(f"{short} ends a process or a task; no step fails with it")
            return cls
    return None


def _is_safe(module: str) -> bool:
    return module in sys.modules and module.partition(".")[0] in {*sys.stdlib_module_names, "wf"}


def _list_recorded(data: bytes) -> list[str]:
    """List the classes of the exceptions in a value."""
    found: list[str] = []
    left: list[Any] = [msgspec.json.decode(data)]
    while left:
        tree = left.pop()
        if type(tree) is list:
            left += tree
        elif type(tree) is dict:
            content = tree.get("$exception")
            if isinstance(content, dict) and isinstance(content.get("type"), str):
                found.append(content["type"])
            left += tree.values()
    return found


def _list_defined(files: Mapping[str, bytes], catalog: Catalog) -> list[str]:
    """List the classes that the sources define, as `module:qualname`; a module is named as its steps name it."""
    entries: list[WorkflowEntry | StepEntry] = [*catalog.workflows, *catalog.steps]
    modules = {entry.file: entry.id.partition(":")[0] for entry in entries if ":" in entry.id}
    found: list[str] = []
    for path, content in files.items():
        module = modules.get(path) or path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError):  # of another Python, perhaps
            continue
        found += [f"{module.removesuffix('.__init__')}:{name}" for name in _list_classes(tree, "")]
    return found


def _list_classes(node: ast.AST, prefix: str) -> list[str]:
    found: list[str] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            if child.bases:  # an exception has some
                found.append(f"{prefix}{child.name}")
            found += _list_classes(child, f"{prefix}{child.name}.")
        elif isinstance(child, (ast.If, ast.Try)):
            found += _list_classes(child, prefix)
    return found
