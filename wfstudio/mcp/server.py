"""The server: the tools over the Model Context Protocol, on standard input and output.

1. An answer is one text: JSON, at most `paging.CAP` bytes of it.
2. An error is an answer, too: `{"error": {"slug", "message", "where", "hint"}}`, marked as one, so that an agent
   reads the cure. What nobody foresaw is told to stderr, and to the agent only that it happened.
3. Standard output belongs to the protocol. The SDK keeps everything else off it.
"""

from __future__ import annotations

import logging
from difflib import get_close_matches
from typing import Any, Final

import mcp_types as types
import msgspec
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

import wfstudio
from wf.errors import WorkflowError
from wfstudio.core.errors import InternalError, UsageError
from wfstudio.mcp.paging import CAP, cut
from wfstudio.mcp.tools import TOOLS, Desk, Tool

INSTRUCTIONS: Final = (
    "Durable Python workflows (wf) of the project in the working directory. To debug a run: list_runs, then "
    "inspect_run (why it rests or failed), list_events and logs; replay with `at` shows its variables at an event; "
    "replay says whether today's code still fits; fork goes on from a point with other code, or another result. "
    "Answers are capped: pass their `cursor` to go on. A payload shown as {$large: n} comes with more max_bytes, or "
    "by query. "
    "A worker must be running (`wf dev`) for runs to make progress."
)

_log: Final = logging.getLogger("wf.mcp")
_MOST_ERROR: Final = 4_000


async def serve(desk: Desk, *, is_reading: bool) -> None:
    """Serve until standard input ends; `is_reading` offers only tools that change nothing."""
    server = make_server(desk, is_reading=is_reading)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def make_server(desk: Desk, *, is_reading: bool = False) -> Server[dict[str, Any]]:
    tools = {name: tool for name, tool in TOOLS.items() if tool.is_reading or not is_reading}

    async def list_tools(
        context: ServerRequestContext[dict[str, Any]], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[describe(tool) for tool in tools.values()])

    async def call_tool(
        context: ServerRequestContext[dict[str, Any]], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        try:
            return _answer(await call(desk, tools, params.name, params.arguments or {}))
        except WorkflowError as error:
            return _answer_error(error)
        except Exception:
            _log.exception("the tool %s failed", params.name)
            return _answer_error(InternalError())

    return Server(
        "wf", version=wfstudio.__version__, title="wf", instructions=INSTRUCTIONS,
        on_list_tools=list_tools, on_call_tool=call_tool,
    )  # fmt: skip


async def call(desk: Desk, tools: dict[str, Tool], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Check what a tool is asked, and carry it out."""
    tool = tools.get(name)
    if tool is None:
        close = get_close_matches(name, tools, n=3)
        known = "did you mean " + " or ".join(close) + "?" if close else f"there are {', '.join(tools)}"
        raise UsageError(f"there is no tool {name!r:.80}", known)
    try:
        ask = msgspec.convert(arguments, tool.ask)
    except msgspec.ValidationError as error:
        text = str(error)
        fields = ", ".join(tool.ask.__struct_fields__)
        raise UsageError(f"{name}: {text[:1].lower()}{text[1:]}", f"it takes {fields}") from None
    return await tool.act(desk, ask)


def describe(tool: Tool) -> types.Tool:
    """Give a tool as clients see it."""
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=make_schema(tool),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.is_reading,
            destructive_hint=tool.is_destructive,
            idempotent_hint=tool.is_reading or tool.is_idempotent,
            open_world_hint=tool.is_open,
        ),
    )


def make_schema(tool: Tool) -> dict[str, Any]:
    """Write the JSON Schema of a tool's arguments, its root in place: the protocol wants an object there."""
    [_], parts = msgspec.json.schema_components([tool.ask], ref_template="#/$defs/{name}")
    root = dict(parts.pop(tool.ask.__name__))
    for key in ("title", "description"):
        root.pop(key, None)
    return {**root, "$defs": parts} if parts else root


def _answer(found: dict[str, Any], *, is_error: bool = False) -> types.CallToolResult:
    text = msgspec.json.encode(found).decode()
    assert len(text) <= CAP + 2_000, "an answer is never longer than that"
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)


def _answer_error(error: WorkflowError) -> types.CallToolResult:
    told = {"slug": error.slug, "message": error.message, "where": error.where, "hint": error.hint}
    return _answer({"error": cut(told, _MOST_ERROR)}, is_error=True)


__all__ = ["INSTRUCTIONS", "call", "describe", "make_schema", "make_server", "serve"]
