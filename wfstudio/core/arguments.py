"""Arguments: a start from outside, checked against the catalog, without the user's code.

1. Nothing is written before all arguments fit: names, number, and the JSON Schema of each.
2. The record is the one that a call in the user's process makes: by parameter name, in the order of
   the parameters, defaults left out, `*args` under `"*args"` and `**kwargs` under `"**kwargs"`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from wf import schemas
from wf.catalog import Parameter, WorkflowEntry
from wf.errors import NotRegisteredError, ValidationError


def find_entry(entries: Sequence[WorkflowEntry], name: str) -> WorkflowEntry:
    """Find a workflow by its id, or by a short name that only one has.

    Raises `NotRegisteredError` with the close matches.
    """
    for entry in entries:
        if entry.id == name:
            return entry
    found = [entry for entry in entries if entry.name == name or entry.id.endswith(f":{name}")]
    if len(found) == 1:
        return found[0]
    error = NotRegisteredError("workflow", name, [known for entry in entries for known in (entry.name, entry.id)])
    if found:
        error.hint = "several have this name; give the id: " + ", ".join(f"`{entry.id}`" for entry in found)
    elif not entries:
        error.hint = "no code was loaded into this world yet: start `wf dev` or a worker first"
    raise error


def bind_arguments(entry: WorkflowEntry, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the record of a call's arguments. Raises `ValidationError`; nothing has been written then."""
    record: dict[str, Any] = {}
    left = list(args)
    named = dict(kwargs)
    for parameter in entry.parameters:
        name = parameter.name
        match parameter.kind:
            case "args":
                if left:
                    record[f"*{name}"] = [_check(entry, parameter, value) for value in left]
                    left = []
            case "kwargs":
                if named:
                    record[f"**{name}"] = {key: _check(entry, parameter, named[key]) for key in named}
                    named = {}
            case "positional" if left:
                if name in named:
                    raise _misfit(entry, f"{name} is given twice, by place and by name")
                record[name] = _check(entry, parameter, left.pop(0))
            case _ if name in named:
                record[name] = _check(entry, parameter, named.pop(name))
            case _ if parameter.is_required:
                raise _misfit(entry, f"{name} is missing")
    if left:
        most = len(args) - len(left)
        raise _misfit(entry, f"{len(args)} arguments were given by place, and it takes {most}")
    for name in named:
        close = get_close_matches(name, [parameter.name for parameter in entry.parameters], n=1)
        tail = f"; did you mean {close[0]}?" if close else ""
        raise _misfit(entry, f"it has no parameter {name!r:.80}{tail}")
    return record


def _check(entry: WorkflowEntry, parameter: Parameter, value: Any) -> Any:
    if parameter.schema:
        try:
            schemas.check_json(value, parameter.schema)
        except ValidationError as error:
            # `check_json` speaks of a hook's payload; here it is a parameter of a workflow.
            _, _, reason = str(error).rpartition("the payload does not fit the hook's schema: ")
            raise _misfit(entry, f"{parameter.name}: {reason.removeprefix('payload: ')}") from None
    return value


def _misfit(entry: WorkflowEntry, reason: str) -> ValidationError:
    error = ValidationError(f"the arguments do not fit {entry.name}: {reason}")
    error.hint = f"it is {entry.name}({', '.join(_show(parameter) for parameter in entry.parameters)})"
    return error


def _show(parameter: Parameter) -> str:
    name = {"args": "*", "kwargs": "**"}.get(parameter.kind, "") + parameter.name
    return name if parameter.default is None else f"{name}={parameter.default}"
