"""RELIABILITY's security list, attacked: hosts, origins, tokens, cookies, codes, headers, bodies, websockets."""

from __future__ import annotations

import asyncio
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.site import PORT, TOKEN, Headers, Site, enc, open_site
from wfstudio.core.views import RunQuery
from wfstudio.server import studio
from wfstudio.server.access import CODE_SECONDS, MAX_CODES, Access, is_loopback
from wfstudio.server.guard import CSP, WEBHOOK_BYTES, WEBHOOK_CSP
from wfstudio.server.routing import ANY_METHODS, Route

# -- hosts (S2, S10) ----------------------------------------------------------------------------

FOREIGN_HOSTS = [
    None, "", "evil.com", f"evil.com:{PORT}", f"localhost.evil.com:{PORT}", f"127.0.0.1.nip.io:{PORT}",
    f"localhost.:{PORT}", f"0.0.0.0:{PORT}", f"2130706433:{PORT}", f"0177.0.0.1:{PORT}", f"127.1:{PORT}",
    f"0x7f.0.0.1:{PORT}", f"user@127.0.0.1:{PORT}", f"127.0.0.1:{PORT}@evil.com", f"[::1%25lo]:{PORT}",
    f"[::]:{PORT}", f"[0:0:0:0:0:0:0:1]:{PORT}", f"::1:{PORT}", "127.0.0.1", "localhost", "[::1]",
    f"127.0.0.1:{PORT + 1}", f"127.0.0.1:0{PORT}", f"127.0.0.1:{PORT} ", f"127.0.0.1:{PORT}, evil.com",
    f"127.0.0.1:{PORT}\0", "x" * 10_000, f"localhost:{PORT}/", f"studio.test:{PORT}", "127.0.0.1:",
]  # fmt: skip


@pytest.mark.parametrize("path", ["/api/runs", "/", "/health", "/hooks/x", "/api/live", "/api/session"])
async def test_a_foreign_host_is_refused_on_every_path(path: str) -> None:
    async with open_site() as site:
        for host in FOREIGN_HOSTS:
            answer = await site.ask("GET", path, host=host)
            assert (answer.status, answer.slug) == (403, "access"), host
        two = await site.ask("GET", path, headers=[("host", f"127.0.0.1:{PORT}")])
        assert two.status == 403, "two hosts"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
async def test_this_machines_own_names_are_served_at_our_port(host: str) -> None:
    async with open_site() as site:
        assert (await site.ask("GET", "/api/runs", host=f"{host}:{PORT}")).status == 200


async def test_a_name_is_served_when_it_was_allowed() -> None:
    async with open_site(allowed_hosts=["Studio.test", "tunnel.test:443"]) as site:
        assert (await site.ask("GET", "/health", host=f"studio.test:{PORT}")).status == 200
        assert (await site.ask("GET", "/health", host="tunnel.test:443")).status == 200
        assert (await site.ask("GET", "/health", host="tunnel.test")).status == 200, "browsers leave 443 out"
        assert (await site.ask("GET", "/health", host="studio.test")).status == 200, "a proxy at 80 or 443"
        assert (await site.ask("GET", "/health", host="studio.test:1")).status == 403
        assert (await site.ask("GET", "/health", host=f"tunnel.test:{PORT}")).status == 403


async def test_behind_a_tunnel_the_page_may_be_https() -> None:
    async with open_site(allowed_hosts=["tunnel.test:443"]) as site:
        for origin, status in (
            ("https://tunnel.test", 201),
            ("https://evil.test", 403),
            ("https://tunnel.test:1", 403),
        ):
            headers = site.browser(origin=origin)
            asked = await site.ask("POST", "/api/runs", {"workflow": "nap"}, host="tunnel.test", headers=headers)
            assert asked.status == status


async def test_the_address_that_was_bound_may_be_asked_for() -> None:
    access = Access(TOKEN)
    access.serve_at("192.168.1.5", 80)
    assert access.is_host("192.168.1.5:80")
    access.serve_at("0.0.0.0", 81)
    assert not access.is_host("0.0.0.0:81")
    access.serve_at("fe80::1", 82)
    assert access.is_host("[fe80::1]:82")


@pytest.mark.parametrize("target", [f"http://127.0.0.1:{PORT}/health", "*", "evil.com:443", "//evil/health"])
async def test_a_target_that_is_no_path_is_answered_with_nothing(target: str) -> None:
    async with open_site() as site:
        assert (await site.ask("GET", target)).status in (400, 404)


# -- authentication (S4) ------------------------------------------------------------------------


def paths(site: Site) -> list[tuple[str, str, Route]]:
    """List a request for every route and method."""
    found = []
    for route in site.app.routes:
        for method in ANY_METHODS if route.method == "ANY" else (route.method,):
            path = route.path.replace("...}", "}")
            for name in ("id", "name", "token", "digest", "path"):
                path = path.replace("{" + name + "}", "x")
            found.append((method, path, route))
    return found


PUBLIC = {
    "/", "/runs", "/runs/{path...}", "/studio/{path...}", "/assets/{path...}", "/health", "/api/session",
    "/hooks/{token...}",
}  # fmt: skip


async def test_only_the_public_routes_answer_without_a_token() -> None:
    async with open_site() as site:
        asked = paths(site)
        assert len(asked) > 25
        for method, path, route in asked:
            answer = await site.ask(method, path, token=None)
            is_open = answer.status not in (401, 403)
            assert is_open == (route.path in PUBLIC - {"/api/session"}), (method, path, answer.status)
            assert route.is_public == (route.path in PUBLIC)


async def test_a_mistyped_address_is_answered_by_the_studio_which_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text("the studio")
    monkeypatch.setattr(studio, "WEB_UI", tmp_path)
    typed = [("accept", "text/html,*/*;q=0.8"), ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")]
    async with open_site() as site:
        for path in ("/nope", "/run/x", "/studio", "/workflows/", "/runs/%ff", "//evil/x"):
            answer = await site.ask("GET", path, token=None, headers=typed)
            assert (answer.status, answer.body) == (404, b"the studio"), path
            assert answer.header("content-security-policy") == CSP
        for path, status in (("/api/nope", 401), ("/api", 401), ("/assets/nope", 404), ("/hooks/nope", 404)):
            answer = await site.ask("GET", path, token=None, headers=typed)
            assert (answer.status, answer.header("content-type")) == (status, "application/json"), path
        assert (await site.ask("GET", "/nope", token=None)).status == 401, "a program"
        assert (await site.ask("GET", "/nope")).json["error"]["message"] == "there is nothing at this path"
        assert (await site.ask("POST", "/nope", token=None, headers=typed)).status in (401, 403)
        assert (await site.ask("GET", "/nope", token=None, headers=typed, host="evil.com")).status == 403


async def test_a_session_is_asked_for_without_a_token_and_given_for_a_code_only() -> None:
    async with open_site() as site:
        answer = await site.ask("POST", "/api/session", {"code": "x"}, token=None, headers=site.browser(cookie="none"))
        assert (answer.status, answer.slug, answer.header("set-cookie")) == (401, "access", None)


async def test_no_way_of_writing_a_path_goes_around_the_guard() -> None:
    async with open_site() as site:
        await site.client.start("nap", id="mine")
        odd = """
            /%61pi/runs /ap%69/runs/mine /%61%70%69/runs /%61pi/live
            /api%2fruns /hooks/../api/runs /hooks/..%2f..%2fapi/runs /hooks/%2e%2e/api/runs
            /assets/../api/runs //api/runs /api//runs /./api/runs /health/../api/runs /api/runs;x /API/runs
            /hooks /health/ /api/session/ /api/runs#/hooks/
        """
        typed = [("accept", "text/html"), ("sec-fetch-site", "none")]
        for path in odd.split():
            for headers in ([], [("accept", "text/html")], typed):
                answer = await site.ask("GET", path, token=None, headers=headers)
                assert answer.status in (401, 403, 404, 405), (path, headers)
                assert b"mine" not in answer.body, (path, headers)


async def test_who_is_let_in_without_a_secret_reaches_public_routes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wfstudio.server.guard.is_typed_page", lambda scope, headers: True)
    async with open_site() as site:
        await site.client.start("nap", id="mine")
        for path in ("/api/runs", "/api/runs/mine", "/api/live", "/api/openapi.json"):
            answer = await site.ask("GET", path, token=None)
            assert (answer.status, b"mine" in answer.body) == (404, False), path
        assert (await site.ask("GET", "/health", token=None)).status == 200


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\xff", " "])
async def test_a_wrong_token_is_no_token(token: str) -> None:
    async with open_site() as site:
        answer = await site.ask("GET", "/api/runs", token=token)
        assert (answer.status, answer.slug) == (401, "access")
        assert answer.header("www-authenticate") == 'Bearer realm="wf"'
        assert answer.json["error"]["message"] == "the token that the request shows is not this server's"
        none = await site.ask("GET", "/api/runs", token=None)
        assert none.json["error"]["message"] == "the request shows no token"


async def test_a_token_elsewhere_is_no_token() -> None:
    async with open_site() as site:
        for headers in ([("authorization", f"Basic {TOKEN}")], [("x-token", TOKEN)], [("authorization", TOKEN)],
                        [("cookie", f"{site.access.cookie_name}={TOKEN}")]):  # fmt: skip
            assert (await site.ask("GET", "/api/runs", token=None, headers=headers)).status == 401
        assert (await site.ask("GET", f"/api/runs?token={TOKEN}", token=None)).status == 401
        twice = await site.ask("GET", "/api/runs", headers=[("authorization", "Bearer x")])
        assert twice.status == 401, "two of them, of which one may be planted"


async def test_a_program_cannot_use_the_cookie() -> None:
    async with open_site() as site:
        cookie = ("cookie", f"{site.access.cookie_name}={site.access.cookie_value}")
        assert (await site.ask("GET", "/api/runs", token=None, headers=[cookie])).status == 401
        assert (await site.ask("POST", "/api/runs", {}, token=None, headers=[cookie])).status == 401


async def test_a_browser_with_the_cookie_is_in() -> None:
    async with open_site() as site:
        reading = site.browser(origin=None)
        assert (await site.ask("GET", "/api/runs", token=None, headers=reading)).status == 200
        body = {"workflow": "nap"}
        assert (await site.ask("POST", "/api/runs", body, token=None, headers=site.browser())).status == 201


async def test_a_browser_with_another_cookie_is_not() -> None:
    async with open_site() as site:
        other = Access(TOKEN, port=PORT + 1)
        for cookie in ("", "x", other.cookie_value, TOKEN):
            assert (await site.ask("GET", "/api/runs", token=None, headers=site.browser(cookie=cookie))).status == 401
        own = site.browser()
        twice = [*own, ("cookie", f"{site.access.cookie_name}=planted")]
        assert (await site.ask("GET", "/api/runs", token=None, headers=twice)).status == 401
        foreign = [
            (name, value.replace(str(PORT), "9999")) if name == "cookie" else (name, value) for name, value in own
        ]
        assert (await site.ask("GET", "/api/runs", token=None, headers=foreign)).status == 401


# -- other sites (S3, S7, S10) ------------------------------------------------------------------

ORIGINS = [
    "http://evil.com", "null", f"http://127.0.0.1:{PORT + 1}", f"https://127.0.0.1:{PORT}", "", "http://127.0.0.1",
    f"http://localhost:{PORT}", f"http://127.0.0.1:{PORT}.evil.com", f"http://127.0.0.1:{PORT} http://evil.com",
]  # fmt: skip
SITES = ["cross-site", "same-site", "none", None, "", "SAME-ORIGIN", "bogus"]


def posts(site: Site) -> list[tuple[str, str, Route]]:
    return [(m, p, r) for m, p, r in paths(site) if m not in ("GET", "HEAD") and not r.path.startswith("/hooks/")]


async def test_what_another_site_sends_changes_nothing() -> None:
    async with open_site() as site:
        ours = f"http://127.0.0.1:{PORT}"
        cases: list[Headers] = []
        for origin, fetch_site in itertools.product([ours, None, *ORIGINS], ["same-origin", *SITES]):
            if (origin, fetch_site) in ((ours, "same-origin"), (None, None)):
                continue
            headers = list(site.browser(origin=None, site=None))
            headers += [] if origin is None else [("origin", origin)]
            headers += [] if fetch_site is None else [("sec-fetch-site", fetch_site)]
            cases.append(headers)
        assert len(posts(site)) >= 7
        for (method, path, _), headers in itertools.product(posts(site), cases):
            for token in (None, TOKEN):
                answer = await site.ask(method, path, {"workflow": "nap"}, token=token, headers=headers)
                assert answer.status in (401, 403), (method, path, headers, answer.status)
        assert (await site.client.list_runs(RunQuery())).items == []


async def test_a_rebound_page_is_stopped_by_its_host() -> None:
    """Its Origin equals its Host, its port is ours, and it sends no Sec-Fetch-Site."""
    async with open_site() as site:
        headers = [("x-wf", "1"), ("origin", f"http://evil.test:{PORT}")]
        answer = await site.ask("POST", "/api/runs", {"workflow": "nap"}, host=f"evil.test:{PORT}", headers=headers)
        assert answer.status == 403


@pytest.mark.parametrize("path", ["/api/runs", "/api/live", "/api/runs/x/events", "/api/openapi.json"])
async def test_what_another_site_reads_is_refused_before_it_begins(path: str) -> None:
    async with open_site() as site:
        for fetch_site in ("cross-site", "same-site", "", "bogus"):
            headers = [*site.browser(origin=None, site=fetch_site), ("accept", "text/event-stream")]
            answer = await site.ask("GET", path, token=None, headers=headers)
            assert (answer.status, answer.header("content-type")) == (403, "application/json")
        foreign = site.browser(origin="http://evil.com")
        assert (await site.ask("GET", path, token=None, headers=foreign)).status == 403


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/json"]
)
async def test_only_json_is_taken(type_: str) -> None:
    async with open_site() as site:
        body = b'{"workflow": "nap"}'
        for headers, token in ((site.browser(), None), ([], TOKEN)):
            sent = [*headers, ("content-type", type_)]
            assert (await site.ask("POST", "/api/runs", body=body, token=token, headers=sent)).status == 415
            assert (await site.ask("POST", "/api/runs", body=body, token=token, headers=headers)).status == 415
        assert (await site.client.list_runs(RunQuery())).items == []


async def test_a_form_cannot_send_our_header() -> None:
    async with open_site() as site:
        headers = [header for header in site.browser() if header[0] != "x-wf"]
        answer = await site.ask("POST", "/api/runs", {"workflow": "nap"}, token=None, headers=headers)
        assert (answer.status, "X-WF" in answer.json["error"]["message"]) == (403, True)


async def test_no_foreign_page_is_told_that_it_may() -> None:
    async with open_site() as site:
        for method, path, _ in paths(site):
            headers = [*site.browser(origin="http://evil.com"), ("access-control-request-method", "POST")]
            for asked in (method, "OPTIONS"):
                answer = await site.ask(asked, path, headers=headers)
                assert not [name for name, _ in answer.headers if name.startswith("access-control-")]


# -- sessions (S5) ------------------------------------------------------------------------------


async def exchange(site: Site, code: str, **options: Any) -> Any:
    headers = options.pop("headers", None) or site.browser(cookie="none")
    return await site.ask("POST", "/api/session", {"code": code}, token=None, headers=headers, **options)


async def test_a_code_is_good_once_and_gives_a_cookie_that_scripts_cannot_read() -> None:
    async with open_site() as site:
        code = site.access.make_code()
        answer = await exchange(site, code)
        cookie = answer.header("set-cookie")
        assert (answer.status, answer.body) == (204, b"")
        assert cookie == f"wf-session-{PORT}={site.access.cookie_value}; HttpOnly; Path=/; SameSite=strict"
        assert TOKEN not in cookie
        assert (await exchange(site, code)).status == 401
        assert TOKEN not in str(answer.headers)


async def test_behind_tls_the_cookie_is_for_tls_only() -> None:
    async with open_site(allowed_hosts=["tunnel.test"]) as site:
        code = (await site.ask("POST", "/api/link", {})).json["code"]
        headers = site.browser(cookie="none", origin="https://tunnel.test")
        answer = await exchange(site, code, headers=headers, host="tunnel.test")
        assert answer.status == 204
        assert (answer.header("set-cookie") or "").endswith("SameSite=strict; Secure")


async def test_a_code_is_drawn_for_the_token_only() -> None:
    async with open_site() as site:
        drawn = await site.ask("POST", "/api/link")
        assert (drawn.status, drawn.json["expires_in_ms"]) == (201, 60_000.0)
        assert (await exchange(site, drawn.json["code"])).status == 204
        assert (await site.ask("POST", "/api/link", token=None)).status == 401
        assert (await site.ask("POST", "/api/link", token="x" * 43)).status == 401
        assert (await site.ask("GET", "/api/link")).status == 405


async def test_a_code_dies_after_a_minute() -> None:
    async with open_site() as site:
        code = site.access.make_code()
        site.now += CODE_SECONDS
        assert (await exchange(site, code)).status == 401
        late = site.access.make_code()
        site.now += CODE_SECONDS - 0.001
        assert (await exchange(site, late)).status == 204


async def test_a_code_from_another_site_is_refused_and_not_used_up() -> None:
    async with open_site() as site:
        code = site.access.make_code()
        for headers in (site.browser(origin="http://evil.com"), site.browser(site="same-site"), [("accept", "*/*")]):
            assert (await exchange(site, code, headers=headers)).status in (401, 403)
        assert (await exchange(site, code)).status == 204


def test_a_cookie_outlives_the_token_where_its_secret_does() -> None:
    before, after = (Access(port=PORT, cookie_secret="s" * 43) for _ in range(2))
    assert after.is_cookie(before.cookie_value)
    assert not after.is_token(before.token)
    assert not after.is_token("s" * 43), "the secret itself opens nothing"
    assert not after.is_cookie("s" * 43)
    assert not Access(port=PORT + 1, cookie_secret="s" * 43).is_cookie(before.cookie_value)
    assert not Access(port=PORT).is_cookie(before.cookie_value)


def test_codes_are_few_and_unlike() -> None:
    access = Access(port=PORT)
    codes = [access.make_code() for _ in range(MAX_CODES + 1)]
    assert len(set(codes)) == len(codes)
    assert all(len(code) >= 43 for code in codes)
    assert not access.take_code(codes[0]), "the oldest made room"
    assert access.take_code(codes[-1])
    assert len({Access().token for _ in range(10)}) == 10
    assert len(Access().token) >= 43


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True), ("127.9.9.9", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.2", False), ("example.com", False), ("", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(host: str, is_ours: bool) -> None:
    assert is_loopback(host) == is_ours


# -- what comes back (S6, S8) -------------------------------------------------------------------


async def test_every_answer_carries_the_protecting_headers() -> None:
    async with open_site() as site:
        answers = [await site.ask(method, path) for method, path, route in paths(site) if route.streams != "always"]
        answers.append(await site.ask("GET", "/api/runs", token=None))
        answers.append(await site.ask("GET", "/health", host="evil.com"))
        for answer in answers:
            headers = dict(answer.headers)
            assert headers["content-security-policy"] in (CSP, WEBHOOK_CSP)
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-frame-options"] == "DENY"
            assert headers["cache-control"] == "no-store"


async def test_the_pages_policy_allows_no_inline_script_and_no_frame() -> None:
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
                 "form-action 'none'", "require-trusted-types-for 'script'"):  # fmt: skip
        assert part in CSP
    assert "unsafe" not in CSP
    async with open_site() as site:
        page = (await site.ask("GET", "/", token=None)).body.decode()
        assert re.findall(r"<script(?![^>]* src=\"/assets/[\w.-]+\"></script>)", page) == [], "a script within the page"
        assert "<style" not in page
        assert "style=" not in page
        assert re.search(r"\son\w+=", page) is None
        assert TOKEN not in page


async def test_no_answer_to_a_refused_request_holds_the_token() -> None:
    async with open_site() as site:
        for method, path, _ in paths(site):
            answer = await site.ask(method, path, token=None)
            assert TOKEN.encode() not in answer.body
            assert TOKEN not in str(answer.headers)


# -- bodies (S11, S21) --------------------------------------------------------------------------


async def test_a_body_over_the_cap_is_refused_by_its_length_before_it_is_read() -> None:
    async with open_site() as site:
        limit = site.client.session.settings.limits.payload
        headers = [("content-length", str(limit * 2)), ("content-type", "application/json")]
        answer = await site.ask("POST", "/api/runs", headers=headers, body=[b"{"])
        assert (answer.status, answer.slug) == (413, "payload-too-large")
        hook = await site.ask("POST", "/hooks/x", headers=[("content-length", str(WEBHOOK_BYTES + 1))], body=[b""])
        assert hook.status == 413


async def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    async with open_site() as site:
        part = b"x" * 64 * 1024
        answer = await site.ask("POST", "/hooks/x", headers=[("transfer-encoding", "chunked")], body=[part] * 1000)
        assert (answer.status, answer.slug) == (413, "payload-too-large")


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "", "0x10", "9" * 40, "١"])
async def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    async with open_site() as site:
        answer = await site.ask("POST", "/hooks/x", headers=[("content-length", length)])
        assert answer.status in (400, 413)


# -- the rest -----------------------------------------------------------------------------------


async def test_websockets_are_refused_before_they_are_accepted() -> None:
    async with open_site() as site:
        sent: list[dict] = []

        async def receive() -> dict:
            return {"type": "websocket.connect"}

        async def send(message: dict) -> None:
            sent.append(message)

        for path in ("/", "/api/live", "/api/runs"):
            scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "headers": [], "query_string": b""}
            await site.app(scope, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}] * 3


@pytest.mark.parametrize("key", ["status", "workflow", "attr", "since", "until", "cursor", "limit"])
async def test_no_query_is_more_than_a_value(key: str) -> None:
    """S14: quotes, wildcards, JSON paths, NULs, a megabyte."""
    async with open_site() as site:
        await site.client.start("nap", attributes={"tenant": "acme"})
        for value in ("' OR 1=1 --", '"', "%", "_", "$.tenant", "a\0b", "\\", "x" * 1_000_000, "tenant=' OR '1'='1"):
            answer = await site.ask("GET", f"/api/runs?{key}={enc(value)}")
            assert answer.status in (200, 400), value[:20]
            if answer.status == 200:
                assert answer.json["items"] == [], value[:20]


async def test_a_lifespan_is_nobodys_business() -> None:
    async with open_site() as site:
        await asyncio.wait_for(site.app({"type": "lifespan"}, None, None), 1)  # type: ignore[arg-type]
