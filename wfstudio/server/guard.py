"""The guard: every request passes it before anything else sees it, http and websocket alike.

For every request
1. `Host`: exactly one, a name that was allowed with our port (else a rebound page could ask).
2. The path is a path, not an absolute URL.
3. The body is counted: over its cap is 413, before it is read where its length was announced.
4. What comes back carries the headers of `HEADERS`.

For all but the public paths (`/`, `/runs…`, `/studio/…`, `/assets/…`, `/health`, `/hooks/…`), and pages that are
asked for at addresses that are none: they are the same page. The router gives who is let in like this public routes
only, however the path was written.
5. A request with `Origin` or any `Sec-Fetch-*` is a browser's. `Origin`, where there is one, is ours;
   `Sec-Fetch-Site` is `same-origin`. Absent is not a pass, and `same-site` is not enough: another port
   of this machine is the same site. A browser shows the cookie (or the token).
6. Anything else is a program and shows `Authorization: Bearer`. A cookie alone is nothing: a program
   that sends cookies is a browser that hides, or one of another machine.
7. A method that may change something needs `Content-Type: application/json` for its body, or the type of
   the route's upload; and from a browser also `X-WF` and an `Origin`. No form can send any of these, and no
   foreign page without a preflight that nobody answers.
8. `POST /api/session` is a browser's only, and needs no secret but its launch code.

Webhooks (`/hooks/…`) are for everybody who knows a token: only 1 to 4 hold.
Websockets are refused: there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wf.errors import PayloadTooLargeError, WorkflowError
from wfstudio.core.errors import AccessError
from wfstudio.server.access import Access
from wfstudio.server.answers import HttpError, answer_error
from wfstudio.server.routing import STRANGER, Upload

WEBHOOK_BYTES: Final = 1024 * 1024
JSON: Final = "application/json"

SAFE: Final = frozenset({"GET", "HEAD"})

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
WEBHOOK_CSP: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""A webhook's answer is written by a workflow: shown in a browser, it must not be of our origin."""

HEADERS: Final = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}

_NO_PAGES: Final = (b"api", b"assets", b"health", b"hooks")

_HINT: Final = "open the studio by a link that `wf link` prints, or send `Authorization: Bearer TOKEN`"


class Guard:
    """See the laws at the top of this module. `body_limit` is the cap of the API's bodies, in bytes; `uploads` are
    those that are no JSON, by their paths."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        *,
        body_limit: int,
        webhook_limit: int = WEBHOOK_BYTES,
        uploads: Mapping[str, Upload] | None = None,
    ) -> None:
        self._app = app
        self._access = access
        self._body_limit = body_limit
        self._webhook_limit = webhook_limit
        self._uploads = {path.encode(): upload for path, upload in (uploads or {}).items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before accepting: the client sees a 403
            return
        if scope["type"] != "http":
            return  # a lifespan has nothing to start here: see `serving`
        is_webhook = is_below(scope, b"hooks")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if is_webhook:
                    headers["content-security-policy"] = WEBHOOK_CSP
            await send(message)

        try:
            self._check(scope, Headers(scope=scope))
            upload = self._find_upload(scope)
            limit = self._webhook_limit if is_webhook else self._body_limit if upload is None else upload.limit
            counted = _count_body(Headers(scope=scope), receive, limit)
        except WorkflowError as error:
            await answer_error(error)(scope, receive, send_with_headers)
            return
        await self._app(scope, counted, send_with_headers)

    def _check(self, scope: Scope, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.is_host(hosts[0]):
            raise AccessError("this server has another name", "ask for 127.0.0.1, or allow the name: `--allow-host`")
        if not scope["raw_path"].startswith(b"/"):
            raise HttpError(400, "the target of the request is not a path")
        if is_public(scope) or is_typed_page(scope, headers):
            scope[STRANGER] = True
            return
        if is_browser(headers):
            self._check_browser(scope, headers, hosts[0])
        elif is_session(scope):
            raise AccessError("a session is a browser's", _HINT)
        if scope["method"] not in SAFE and _has_body(headers):
            self._check_type(scope, headers)
        if not is_session(scope):
            self._check_secret(headers)

    def _check_browser(self, scope: Scope, headers: Headers, host: str) -> None:
        origins = headers.getlist("origin")
        is_ours = len(origins) == 1 and self._access.is_origin(origins[0], host)
        site = headers.get("sec-fetch-site")
        is_typed = site == "none" and scope["method"] in SAFE  # an address that the user typed
        if (origins and not is_ours) or not (site == "same-origin" or is_typed):
            raise AccessError("the request comes from another site")
        if scope["method"] in SAFE:
            return
        if not is_ours:
            raise AccessError("the request does not say where it comes from")
        if "x-wf" not in headers:
            raise AccessError("the request has no X-WF header")
        self._check_type(scope, headers)

    def _check_type(self, scope: Scope, headers: Headers) -> None:
        upload = self._find_upload(scope)
        if upload is None and not _is_type(headers, JSON):
            raise HttpError(415, "the body is not JSON", f"send `Content-Type: {JSON}`")
        if upload is not None and not _is_type(headers, upload.media_type):
            raise HttpError(415, "the body is not what this path takes", f"send `Content-Type: {upload.media_type}`")

    def _find_upload(self, scope: Scope) -> Upload | None:
        return self._uploads.get(scope["raw_path"]) if scope["method"] == "POST" else None

    def _check_secret(self, headers: Headers) -> None:
        shown = headers.getlist("authorization")
        scheme, _, secret = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        if scheme.lower() == "bearer" and self._access.is_token(secret.strip()):
            return
        if is_browser(headers):
            cookie = find_cookie(headers, self._access.cookie_name)
            if cookie is not None and self._access.is_cookie(cookie):
                return
        if shown:
            text = "the token that the request shows is not this server's"
            raise AccessError(
                text, "a server that draws its token has another one each time: `.wf/studio.json`", status=401
            )
        raise AccessError("the request shows no token", _HINT, status=401)


def is_public(scope: Scope) -> bool:
    """Tell whether a path answers without a token: the page, its assets, the health, webhooks."""
    is_page = scope["raw_path"] in (b"/", b"/runs", b"/health")
    is_page = is_page or any(is_below(scope, folder) for folder in (b"assets", b"runs", b"studio"))
    return (is_page and scope["method"] in SAFE) or is_below(scope, b"hooks")


def is_typed_page(scope: Scope, headers: Headers) -> bool:
    """Tell whether a page is asked for where no part of the API is: at an address that was mistyped, say."""
    first = unquote_to_bytes(scope["raw_path"].split(b"/", 2)[1])
    return scope["method"] in SAFE and first not in _NO_PAGES and "text/html" in headers.get("accept", "")


def is_session(scope: Scope) -> bool:
    """Tell whether the request asks for a session, which a launch code pays for."""
    return bool(scope["raw_path"] == b"/api/session" and scope["method"] == "POST")


def is_below(scope: Scope, folder: bytes) -> bool:
    return bool(scope["raw_path"].startswith(b"/" + folder + b"/"))


def is_browser(headers: Headers) -> bool:
    return any(name == "origin" or name.startswith("sec-fetch-") for name in headers)


def find_cookie(headers: Headers, name: str) -> str | None:
    """Give a cookie's value; None where there is none, or two, of which one may be planted."""
    found = [
        value
        for line in headers.getlist("cookie")
        for key, _, value in (part.strip().partition("=") for part in line.split(";"))
        if key == name
    ]
    return found[0] if len(found) == 1 else None


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _is_type(headers: Headers, media_type: str) -> bool:
    types = headers.getlist("content-type")
    return len(types) == 1 and types[0].partition(";")[0].strip().lower() == media_type


def _count_body(headers: Headers, receive: Receive, limit: int) -> Receive:
    announced = headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()):
        raise HttpError(400, "the length of the body is no number")
    if len(announced) > 18 or int(announced) > limit:
        raise PayloadTooLargeError("the body", int(announced[:18]), limit)
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise PayloadTooLargeError("the body", size, limit)
        return message

    return counted
