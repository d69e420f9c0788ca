"""The catalog: what a deployment's code defines, for processes that do not load it.

A worker keeps it with its deployment, sealed as the sources are. So a command line, a server or a
browser can list workflows, check arguments and draw a form without importing anything of the user's.

1. It is plain data: names, JSON Schemas, places. Making one never calls the user's code.
2. A type that JSON Schema has no word for is described by nothing (`{}`), which allows all.
"""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Mapping
from hashlib import sha256
from inspect import Parameter as P
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from wf import codec
from wf.errors import DecryptionError
from wf.keys import Keyring
from wf.registry import Definition, Step, Workflow, list_steps, list_workflows
from wf.schemas import describe_schema
from wf.world import DeploymentRow

Kind = Literal["positional", "keyword", "args", "kwargs"]

_KINDS: Final[Mapping[Any, Kind]] = {
    P.POSITIONAL_ONLY: "positional",
    P.POSITIONAL_OR_KEYWORD: "positional",
    P.KEYWORD_ONLY: "keyword",
    P.VAR_POSITIONAL: "args",
    P.VAR_KEYWORD: "kwargs",
}
_LONGEST_DEFAULT: Final = 80

DEPLOYMENTS: Final = "\0deployments"
"""What stands for the run id in the keys of sources and catalogs. No run can have it."""


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parameter. `schema` is JSON Schema (`{}`: anything); `default` its text, for people."""

    name: str
    kind: Kind = "positional"
    is_required: bool = True
    schema: dict[str, Any] = {}
    default: str | None = None


class WorkflowEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A workflow. `file` is relative to the project's root where it lies in it; `schema` describes
    the arguments by name, as one object; `returns` the result, None where nothing is known of it."""

    id: str
    name: str
    file: str
    line: int
    doc: str | None = None
    parameters: list[Parameter] = []
    schema: dict[str, Any] = {}
    returns: dict[str, Any] | None = None
    timeout_ms: float | None = None
    concurrency: int | None = None


class StepEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step. `returns` is as a workflow's."""

    id: str
    name: str
    file: str
    line: int
    doc: str | None = None
    is_async: bool = True
    max_retries: int = 3
    timeout_ms: float | None = None
    concurrency: int | None = None
    returns: dict[str, Any] | None = None


class Catalog(msgspec.Struct, frozen=True):
    workflows: list[WorkflowEntry] = []
    steps: list[StepEntry] = []


_decode = msgspec.json.Decoder(Catalog).decode


def seal_catalog(keyring: Keyring, deployment_id: str, catalog: Catalog) -> bytes:
    return keyring.run(DEPLOYMENTS).seal(deployment_id, "catalog", codec.pack(msgspec.json.encode(catalog)))


def open_catalog(keyring: Keyring, row: DeploymentRow) -> Catalog:
    """Open a deployment's catalog (an empty one if it has none). Raises `DecryptionError`."""
    if row.catalog is None:
        return Catalog()
    return _decode(codec.unpack(keyring.run(DEPLOYMENTS).open(row.deployment_id, "catalog", row.catalog)))


def seal_source(keyring: Keyring, digest: str, content: bytes) -> bytes:
    return keyring.run(DEPLOYMENTS).seal(digest, "source", codec.pack(content))


def open_source(keyring: Keyring, digest: str, blob: bytes) -> bytes:
    """Open a source file's content. Raises `DecryptionError`, also where it is not what the digest says."""
    content = codec.unpack(keyring.run(DEPLOYMENTS).open(digest, "source", blob))
    if sha256(content).hexdigest() != digest:
        raise DecryptionError(DEPLOYMENTS, None, "source", f"{digest}: the content is another")
    return content


def make_catalog(root: Path) -> Catalog:
    """Describe all workflows and steps that are registered in this process, wf's own left out."""
    return Catalog(
        [_describe_workflow(workflow, root) for workflow in list_workflows()],
        [_describe_step(step, root) for step in list_steps() if not step.id.startswith("wf/")],
    )


def _describe_workflow(workflow: Workflow[Any, Any], root: Path) -> WorkflowEntry:
    hints = _read_hints(workflow)
    parameters = [
        _describe_parameter(parameter, hints) for parameter in workflow.signature.parameters.parameters.values()
    ]
    returns = describe_schema(hints["return"]) if "return" in hints else None
    return WorkflowEntry(
        id=workflow.id,
        name=workflow.__name__,
        file=_shorten_path(workflow.where[0], root),
        line=workflow.where[1],
        doc=_read_doc(workflow),
        parameters=parameters,
        schema=_describe_arguments(parameters),
        returns=returns,
        timeout_ms=_to_ms(workflow.timeout_us),
        concurrency=workflow.concurrency,
    )


def _describe_step(step: Step[Any, Any], root: Path) -> StepEntry:
    hints = _read_hints(step)
    return StepEntry(
        id=step.id,
        name=step.__name__,
        file=_shorten_path(step.where[0], root),
        line=step.where[1],
        doc=_read_doc(step),
        is_async=step.is_async,
        max_retries=step.policy.max_retries,
        timeout_ms=_to_ms(step.timeout_us),
        concurrency=step.concurrency,
        returns=describe_schema(hints["return"]) if "return" in hints else None,
    )


def _describe_parameter(parameter: P, hints: Mapping[str, Any]) -> Parameter:
    is_required = parameter.default is P.empty and _KINDS[parameter.kind] in ("positional", "keyword")
    default = None
    if parameter.default is not P.empty:
        try:
            default = repr(parameter.default)[:_LONGEST_DEFAULT]
        except Exception:  # a default's own `__repr__` may raise
            default = "..."
    schema = describe_schema(hints[parameter.name]) if parameter.name in hints else None
    return Parameter(parameter.name, _KINDS[parameter.kind], is_required, schema or {}, default)


def _describe_arguments(parameters: list[Parameter]) -> dict[str, Any]:
    """Describe the arguments by name as one JSON Schema, the definitions of all parameters together."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    is_open = False
    for parameter in parameters:
        schema = dict(parameter.schema)
        definitions.update(schema.pop("$defs", {}))
        if parameter.kind == "kwargs":
            is_open = True
        elif parameter.kind == "args":
            properties[parameter.name] = {"type": "array", "items": schema}
        else:
            properties[parameter.name] = schema
    found: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [parameter.name for parameter in parameters if parameter.is_required],
        "additionalProperties": is_open,
    }
    if definitions:
        found["$defs"] = definitions
    return found


def _read_hints(definition: Definition[Any, Any]) -> dict[str, Any]:
    """Give the annotations as types; none where one of them cannot be told (a name only checkers see)."""
    func = inspect.unwrap(definition.func)
    try:
        return typing.get_type_hints(func, include_extras=True)
    except Exception:
        return {}


def _read_doc(definition: Definition[Any, Any]) -> str | None:
    text = inspect.getdoc(inspect.unwrap(definition.func))
    return None if text is None or text.strip() in ("use workflow", "use step") else text


def _shorten_path(file: str, root: Path) -> str:
    try:
        return Path(os.path.abspath(file)).relative_to(root).as_posix()
    except ValueError:
        return file


def _to_ms(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000
