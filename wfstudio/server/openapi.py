"""The OpenAPI document, made from the route table and the structs it names. Nothing in it is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

import wfstudio
from wfstudio.server.answers import ErrorAnswer, JsonResponse
from wfstudio.server.routing import ANY, ANY_METHODS, Call, Route, is_list

_REFS: Final = "#/components/schemas/{name}"
_EVENTS: Final = "text/event-stream"
_PARAMETER: Final = re.compile(r"\{(\w+)(\.\.\.)?\}")


def make_document(routes: Sequence[Route]) -> dict[str, Any]:
    """Describe the routes as OpenAPI 3.1."""
    structs = {struct for route in routes for struct in (route.query, route.body, route.answer) if _is_struct(struct)}
    _, schemas = msgspec.json.schema_components([ErrorAnswer, *sorted(structs, key=_name)], ref_template=_REFS)
    for struct in {route.query for route in routes if route.query is not None}:
        schemas.pop(_name(struct), None)  # a query is described by its parameters
    asked = {_name(route.body) for route in routes if route.body is not None}
    for name, schema in schemas.items():
        if name not in asked:  # an answer always holds all of its fields
            schema["required"] = list(schema.get("properties", {}))
    paths: dict[str, Any] = {}
    for route in routes:
        methods = ANY_METHODS if route.method == ANY else (route.method,)
        path = _PARAMETER.sub(r"{\1}", route.path)
        for method in methods:
            paths.setdefault(path, {})[method.lower()] = _describe(route, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "wf", "version": wfstudio.__version__, "summary": "Durable Python workflows."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Error": {
                    "description": "An error; its slug has a page in docs/errors",
                    "content": {"application/json": {"schema": _ref(ErrorAnswer)}},
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _describe(route: Route, method: str) -> dict[str, Any]:
    name = route.handler.__name__
    found: dict[str, Any] = {
        "operationId": name if route.method != ANY else f"{name}_{method.lower()}",
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route),
    }
    if route.body is not None:
        is_needed = any(field.required for field in msgspec.structs.fields(route.body))
        found["requestBody"] = {"required": is_needed, "content": {"application/json": {"schema": _ref(route.body)}}}
    if route.upload is not None:
        binary = {"type": "string", "format": "binary"}
        found["requestBody"] = {"required": True, "content": {route.upload.media_type: {"schema": binary}}}
    if route.is_public:
        found["security"] = []
    return found


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for match in _PARAMETER.finditer(route.path):
        yield {"name": match[1], "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    if route.query is None:
        return
    schema = msgspec.json.schema(route.query)
    [described] = schema["$defs"].values() if "$defs" in schema else [schema]
    for field in msgspec.structs.fields(route.query):
        one = {key: value for key, value in described["properties"][field.name].items() if key != "default"}
        text = one.pop("description", None)
        if "anyOf" in one:  # absent says the same as null, which a query cannot write
            [one] = [part for part in one["anyOf"] if part != {"type": "null"}]
        parameter: dict[str, Any] = {"name": field.name, "in": "query", "required": False, "schema": one}
        if text:
            parameter["description"] = text
        if is_list(field.type):
            parameter |= {"style": "form", "explode": True}
        yield parameter
    if route.streams != "never":
        yield {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "description": "Where a stream of events goes on.",
            "schema": {"type": "string"},
        }


def _responses(route: Route) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    content: dict[str, Any] = {}
    if _is_struct(route.answer):
        content["application/json"] = {"schema": _ref(route.answer)}
    elif route.answer is not None:
        content[route.answer] = {}
    content.update({media: {} for media in route.other_answers})
    if route.streams != "never":
        content[_EVENTS] = {}
    if content:
        good["content"] = content
    error = {"$ref": "#/components/responses/Error"}
    statuses = [*route.errors, 400, 403]
    if not route.is_public or route.body is not None:
        statuses += [401]
    if route.body is not None or route.upload is not None:
        statuses += [413, 415, 422]
    if route.path == "/hooks/{token...}":  # its status is the workflow's choice
        return {"default": {"description": "What the workflow answers; 202 where it says nothing", "content": content}}
    return {
        str(route.status): good,
        **{str(status): error for status in sorted(set(statuses))},
        "default": error,
    }


def _ref(struct: Any) -> dict[str, str]:
    return {"$ref": _REFS.format(name=_name(struct))}


def _is_struct(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, msgspec.Struct)


def _name(struct: Any) -> str:
    return str(struct.__name__)


def make_route(routes: Sequence[Route]) -> Route:
    """Make the route that gives the document of these routes, and of itself."""

    async def describe_api(call: Call) -> Response:
        return JsonResponse(document)

    own = Route(
        method="GET",
        path="/api/openapi.json",
        handler=describe_api,
        summary="Describe this API as OpenAPI",
        answer="application/json",
    )
    document = make_document([*routes, own])
    return own
