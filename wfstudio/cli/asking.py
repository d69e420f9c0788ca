"""Asking: a command that must reach the studio's own process, not only the world, asks its HTTP API."""

from __future__ import annotations

import http.client
import json
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from wf.errors import WorkflowError
from wfstudio.core.errors import NotFoundError
from wfstudio.core.server_file import ServerFile

TIMEOUT_SECONDS: Final = 60.0


class Answered(WorkflowError):
    """Internal: an error as the server told it; it shows itself as the one that it is."""

    slug: ClassVar[str]

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(str(told.get("message") or "the server refused"))
        self.slug = str(told.get("slug") or "internal")  # type: ignore[misc]
        self.where = told.get("where")
        self.hint = told.get("hint")


def ask_server(server: ServerFile, method: str, path: str, body: Any = None) -> Any:
    """Ask the server that runs beside a world, and give the JSON of its answer. Raises `WorkflowError`."""
    return ask_at(server.url, server.token, method, path, body, cure="start it anew: `wf dev`")


def ask_at(
    url: str, token: str, method: str, path: str, body: Any = None, *, cure: str = "check the address, and that it runs"
) -> Any:
    """Ask a server at an address. No redirection is followed: the token is for who was named.

    `cure` is told where nobody answers.
    """
    address = urlsplit(url)
    make = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = make(address.hostname or "127.0.0.1", address.port, timeout=TIMEOUT_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "X-WF": "1"}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body=data, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotFoundError(f"the studio at {url} does not answer: {error}", cure) from None
    finally:
        connection.close()
    try:
        told = json.loads(text) if text else None
    except ValueError:
        told = text
    refusal = told.get("error") if isinstance(told, dict) else None
    if answer.status >= 400 and isinstance(refusal, dict):
        raise Answered(refusal)
    if answer.status >= 300 or isinstance(told, bytes):
        raise NotFoundError(f"what answers at {url} is no studio (HTTP {answer.status})", "check the address")
    return told
