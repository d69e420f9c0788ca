"""Webhooks: who knows the token is heard, and nobody learns anything else."""

from __future__ import annotations

import asyncio

import pytest

import wf
from tests.wfstudio.site import PORT, TOKEN, Site, enc, open_site
from tests.wfstudio.studio import rest
from wf.ids import hash_token
from wfstudio.core.client import Client
from wfstudio.core.errors import ConflictError
from wfstudio.server.guard import WEBHOOK_BYTES, WEBHOOK_CSP
from wfstudio.server.hooks import _make_response


async def waiting(site: Site, token: str, how: str = "accepted") -> str:
    started = await site.client.start("receive", [token, how])
    await rest(site.client, started.id)
    return started.id


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_request_of_any_method_resumes_the_run(method: str) -> None:
    async with open_site() as site:
        run_id = await waiting(site, "t1")
        headers = [("content-type", "text/plain"), ("x-custom", "1")]
        answer = await site.ask(method, "/hooks/t1?a=b", body=b"ping", headers=headers, token=None)
        assert (answer.status, answer.body) == (202, b"")
        assert (await site.client.wait_for_end(run_id, 10)).output == "ping"
        [received] = [e for e in await site.client.list_events(run_id) if e.type == "hook_received"]
        assert (received.payload["method"], received.payload["url"]) == (method, "/hooks/t1?a=b")
        assert received.payload["headers"]["x-custom"] == "1"


async def test_a_fixed_answer_is_given() -> None:
    async with open_site() as site:
        await waiting(site, "t1", "fixed")
        answer = await site.ask("POST", "/hooks/t1", token=None)
        assert (answer.status, answer.body, answer.header("x-pot")) == (418, b"short and stout", "tea")


async def test_a_step_may_answer() -> None:
    async with open_site() as site:
        await waiting(site, "t1", "manual")
        answer = await site.ask("POST", "/hooks/t1", body=b"you", token=None)
        assert (answer.status, answer.body, answer.header("x-answer")) == (201, b"got you", "yes")


async def test_a_token_may_hold_anything() -> None:
    async with open_site() as site:
        for token in ("a/b c", "ü?#%", "..", "x" * 900):
            run_id = await waiting(site, token)
            assert (await site.ask("POST", f"/hooks/{enc(token)}", token=None)).status == 202
            await site.client.wait_for_end(run_id, 10)


async def test_whatever_is_no_webhook_is_one_and_the_same_404() -> None:
    async with open_site() as site:
        hook = await site.client.start("approve", ["42"])
        await rest(site.client, hook.id)
        ended = await waiting(site, "ended")
        await site.ask("POST", "/hooks/ended", token=None)
        await site.client.wait_for_end(ended, 10)
        answers = [
            await site.ask("POST", f"/hooks/{token}", token=None)
            for token in ("unknown", "site%3A42", "ended", "x" * 2000, "%ff", "%00")
        ]
        assert {answer.status for answer in answers} == {404}
        first = answers[0]
        assert all((a.headers, a.body) == (first.headers, first.body) for a in answers if "waits" in a.body.decode())
        assert sum("no webhook waits here" in a.body.decode() for a in answers) == 5
        assert (await site.client.get_run(hook.id)).status == "running"


async def test_a_delivery_that_is_repeated_counts_once() -> None:
    async with open_site() as site:
        run_id = await waiting(site, "t1")
        named = [("webhook-id", "msg_1")]
        first = [site.ask("POST", "/hooks/t1", body=b"paid", headers=named, token=None) for _ in range(5)]
        assert {answer.status for answer in await asyncio.gather(*first)} == {202}
        await site.client.wait_for_end(run_id, 10)
        again = await site.ask("POST", "/hooks/t1", body=b"paid", headers=named, token=None)
        assert (again.status, again.body) == (202, b""), "the hook is gone, and the sender may not have heard of it"
        other = await site.ask("POST", "/hooks/t1", body=b"refused", headers=named, token=None)
        assert (other.status, other.slug) == (409, "conflict")
        late = await site.ask("POST", "/hooks/t1", body=b"paid", headers=[("webhook-id", "msg_2")], token=None)
        assert late.status == 404
        elsewhere = await site.ask("POST", "/hooks/t2", body=b"paid", headers=named, token=None)
        assert elsewhere.status == 404
        received = [event for event in await site.client.list_events(run_id) if event.type == "hook_received"]
        assert len(received) == 1


async def test_of_two_requests_under_one_id_at_the_same_moment_one_is_refused() -> None:
    async with open_site() as site:
        run_id = await waiting(site, "t1")
        named = [("webhook-id", "msg_1")]
        unknown = await site.ask("POST", "/hooks/t9", body=b"1", headers=named, token=None)
        unknown_too = await site.ask("POST", "/hooks/t9", body=b"2", headers=named, token=None)
        assert (unknown.status, unknown_too.status) == (404, 404), "nobody took the first"
        bodies = [b"paid", b"refused", b"paid", b"nothing"]
        answers = await asyncio.gather(
            *(site.ask("POST", "/hooks/t1", body=body, headers=named, token=None) for body in bodies)
        )
        taken = {body for body, answer in zip(bodies, answers, strict=True) if answer.status == 202}
        assert len(taken) == 1
        refused = [answer for body, answer in zip(bodies, answers, strict=True) if body not in taken]
        assert {(answer.status, answer.slug) for answer in refused} == {(409, "conflict")}
        await site.client.wait_for_end(run_id, 10)
        [body] = taken
        fresh = Client(site.client.session)  # of a server that was started since
        requests = {sent: wf.Request("POST", "/hooks/t1", {"webhook-id": "msg_1"}, sent) for sent in bodies}
        delivery_id = f"webhook:{hash_token('t1').hex()}:msg_1"
        for _ in range(2):
            with pytest.raises(ConflictError, match="another request was delivered under this id"):
                await fresh.deliver_webhook(
                    "t1", requests[b"paid" if body != b"paid" else b"refused"], delivery_id=delivery_id
                )
            assert (await fresh.deliver_webhook("t1", requests[body], delivery_id=delivery_id)).status == 202


async def test_a_repeated_delivery_gets_the_answer_that_was_given() -> None:
    async with open_site() as site:
        fixed, manual = await waiting(site, "t1", "fixed"), await waiting(site, "t2", "manual")
        named = [("webhook-id", "msg_1")]
        for token, run_id in (("t1", fixed), ("t2", manual)):
            first = await site.ask("POST", f"/hooks/{token}", headers=named, token=None)
            await site.client.wait_for_end(run_id, 10)
            again = await site.ask("POST", f"/hooks/{token}", headers=named, token=None)
            assert (again.status, again.body) == (first.status, first.body)
            assert first.status not in (404, 502, 504)


async def test_a_resume_that_is_repeated_is_answered_when_the_hook_is_gone() -> None:
    async with open_site() as site:
        run = await site.client.start("approve", ["42"])
        await rest(site.client, run.id)
        body = {"payload": {"approved": True}, "delivery_id": "mail-1"}
        first = await site.ask("POST", "/api/hooks/site%3A42/resume", body)
        await site.client.wait_for_end(run.id, 10)
        again = await site.ask("POST", "/api/hooks/site%3A42/resume", body)
        assert (first.status, again.status, again.json) == (200, 200, first.json)
        assert (await site.ask("POST", "/api/hooks/site%3A42/resume", {**body, "delivery_id": "mail-2"})).status == 404


async def test_a_body_of_the_largest_size_is_taken_and_one_more_byte_is_not() -> None:
    async with open_site() as site:
        run_id = await waiting(site, "t1")
        assert (await site.ask("POST", "/hooks/t1", body=b"x" * (WEBHOOK_BYTES + 1), token=None)).status == 413
        assert (await site.ask("POST", "/hooks/t1", body=b"x" * WEBHOOK_BYTES, token=None)).status == 202
        assert len((await site.client.wait_for_end(run_id, 10)).output) == WEBHOOK_BYTES


async def test_what_opens_this_server_is_not_handed_to_a_workflow() -> None:
    async with open_site() as site:
        run_id = await waiting(site, "t1")
        cookie = ("cookie", f"wf-session-{PORT}={site.access.cookie_value}")
        await site.ask("POST", "/hooks/t1", headers=[cookie])
        await site.client.wait_for_end(run_id, 10)
        events = str(await site.client.list_events(run_id))
        assert TOKEN not in events
        assert site.access.cookie_value not in events
        other = await waiting(site, "t2")
        await site.ask("POST", "/hooks/t2", headers=[("authorization", "Bearer theirs")], token=None)
        await site.client.wait_for_end(other, 10)
        assert "Bearer theirs" in str(await site.client.list_events(other))


async def test_a_webhooks_answer_is_not_of_the_studios_origin() -> None:
    async with open_site() as site:
        await waiting(site, "t1", "fixed")
        answer = await site.ask("POST", "/hooks/t1", token=None)
        assert answer.header("content-security-policy") == WEBHOOK_CSP
        assert answer.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize(
    ("answer", "status", "headers"),
    [
        (wf.Response(200, "x", {"a\r\nb": "c"}), 200, []),
        (wf.Response(200, "x", {"a": "b\r\nset-cookie: c=d"}), 200, []),
        (wf.Response(200, "x", {"Set-Cookie": "a=b", "Content-Length": "9", "X-Fine": "1"}), 200, [("x-fine", "1")]),
        (wf.Response(200, "x", {"a": 1}), 200, []),  # type: ignore[dict-item]
        (wf.Response(99, "x"), 502, []),
        (wf.Response(700, "x"), 502, []),
        (wf.Response("200", "x"), 502, []),
    ],
)
def test_an_answer_that_http_cannot_carry_is_mended(answer: wf.Response, status: int, headers: list) -> None:
    made = _make_response(answer)
    found = [(name.decode(), value.decode()) for name, value in made.raw_headers if name != b"content-length"]
    assert (made.status_code, found) == (status, headers)


def test_an_answer_without_content_has_none() -> None:
    assert _make_response(wf.Response(204, "x")).body == b""


async def test_many_at_once_are_all_answered() -> None:
    async with open_site() as site:
        for number in range(50):
            await waiting(site, f"t{number}", "manual")
        answers = await asyncio.gather(
            *(site.ask("POST", f"/hooks/t{n}", body=str(n).encode(), token=None) for n in range(50))
        )
        assert [answer.body for answer in answers] == [f"got {n}".encode() for n in range(50)]
