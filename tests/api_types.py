"""The browser studio's types, made from the server's OpenAPI document: `python -m tests.api_types` writes them.

tests/test_web_ui.py fails when web_ui/src/api_types.ts is not what this makes. What the feed tells of reloads is
not in the document (an event's data is JSON there), so those structs are added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from wfstudio.dev.supervisor import Reload
from wfstudio.server.app import list_routes
from wfstudio.server.openapi import make_document

TARGET: Final = Path(__file__).resolve().parents[1] / "web_ui" / "src" / "api_types.ts"
HEAD: Final = "// Made by `python -m tests.api_types` from the server's OpenAPI document. Do not edit.\n"
_REFS: Final = "#/components/schemas/"


def make_types() -> str:
    """Write the document's schemas as TypeScript, and a map of each operation's query, body and answer."""
    document = make_document(list_routes(has_dev=True))
    _, added = msgspec.json.schema_components([Reload], ref_template=_REFS + "{name}")
    for schema in added.values():
        schema["required"] = list(schema.get("properties", {}))  # what the server sends is always whole
    schemas = {**added, **document["components"]["schemas"]}
    blocks = [HEAD, *(_declare(name, schemas[name]) for name in sorted(schemas)), *_map_operations(document["paths"])]
    return "\n".join(blocks)


def _declare(name: str, schema: dict[str, Any]) -> str:
    note = _comment(schema.get("description"))
    if schema.get("type") != "object" or "properties" not in schema:
        return f"{note}export type {name} = {_write(schema)};\n"
    required = set(schema.get("required", ()))
    fields = "".join(
        f"  {_key(key)}{'' if key in required else '?'}: {_write(field)};\n"
        for key, field in schema["properties"].items()
    )
    return f"{note}export interface {name} {{\n{fields}}}\n"


def _write(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFS)
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_write(part) for part in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_write({**schema, "type": one}) for one in kind)
    if kind == "array":
        item = _write(schema.get("items") or {})
        return f"({item})[]" if " | " in item else f"{item}[]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"Record<string, {_write(more) if isinstance(more, dict) else 'unknown'}>"
    return {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}.get(
        str(kind), "unknown"
    )


def _map_operations(paths: dict[str, Any]) -> Iterator[str]:
    operations = [(f"{m.upper()} {path}", one) for path, item in sorted(paths.items()) for m, one in item.items()]
    for title, find in (("Queries", _find_query), ("Bodies", _find_body), ("Answers", _find_answer)):
        lines = [f"  {json.dumps(name)}: {found};\n" for name, one in operations if (found := find(one)) is not None]
        yield f"export interface {title} {{\n{''.join(lines)}}}\n"


def _find_query(operation: dict[str, Any]) -> str | None:
    fields = [f"{p['name']}?: {_write(p['schema'])}" for p in operation["parameters"] if p["in"] == "query"]
    return f"{{ {'; '.join(fields)} }}" if fields else None


def _find_body(operation: dict[str, Any]) -> str | None:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return None if schema is None else _write(schema)


def _find_answer(operation: dict[str, Any]) -> str | None:
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            schema = response.get("content", {}).get("application/json", {}).get("schema")
            return None if schema is None else _write(schema)
    return None


def _comment(text: str | None) -> str:
    if not text:
        return ""
    words = " ".join(text.replace("*/", "* /").split())
    return f"/** {words} */\n"


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


if __name__ == "__main__":
    TARGET.write_text(make_types(), "utf-8")
