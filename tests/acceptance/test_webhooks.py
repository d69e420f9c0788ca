"""API.md §2: webhooks."""

from __future__ import annotations

import asyncio

import pytest

import wf


@wf.step
async def answer(request: wf.Request, status: int = 200):
    await request.respond(wf.Response(status, f"hello {request.text()}", {"x-from": "step"}))


async def test_a_webhook_resumes_the_run_with_the_request(wf_env, restart):
    @wf.workflow
    async def flow():
        event = wf.webhook(token="w")
        assert event.token == "w"
        assert "w" in event.url
        request = await event
        assert isinstance(request, wf.Request)
        return request.method, request.body, request.headers, request.json()

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="w")
    await restart()
    given = await wf.resume_webhook(
        "w", wf.Request("POST", "/x?y=1", {"Content-Type": "application/json"}, b'{"a": 1}')
    )
    assert isinstance(given, wf.Response)
    assert (given.status, given.body or b"") == (202, b"")
    method, body, headers, data = await run.return_value()
    assert (method, body, data) == ("POST", b'{"a": 1}', {"a": 1})
    assert {k.lower(): v for k, v in headers.items()} == {"content-type": "application/json"}


async def test_a_fixed_response_is_given(wf_env):
    fixed = wf.Response(201, b"made", {"x": "y"})

    @wf.workflow
    async def flow():
        return (await wf.webhook(token="w", respond_with=fixed)).text()

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    given = await wf.resume_webhook("w", wf.Request(body=b"in"))
    assert (given.status, given.body, given.headers) == (201, b"made", {"x": "y"})
    assert await run.return_value() == "in"


async def test_a_manual_response_comes_from_a_step(wf_env):
    @wf.workflow
    async def flow():
        request = await wf.webhook("w", "manual")
        await answer(request, 418)
        return "answered"

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    given = await wf.resume_webhook("w", wf.Request(body=b"you"))
    body = given.body.encode() if isinstance(given.body, str) else given.body
    assert (given.status, body, given.headers["x-from"]) == (418, b"hello you", "step")
    assert await run.return_value() == "answered"


async def test_a_run_that_ends_without_a_manual_answer_does_not_leave_the_caller_waiting(wf_env):
    @wf.workflow
    async def flow():
        await wf.webhook(token="w", respond_with="manual")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    given = await wf.resume_webhook("w", wf.Request())
    assert given.status >= 500
    await run.return_value()


async def test_an_answer_is_given_although_the_run_ends_while_it_is_looked_for(wf_env, monkeypatch):
    @wf.workflow
    async def flow():
        await answer(await wf.webhook(token="w", respond_with="manual"), 201)

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    world = wf_env.session.world
    looked = []

    def slow(look):
        async def look_slowly(*args):
            looked.append(args)
            found = await look(*args)
            while (await get_run(run.run_id)).status == "running":
                await asyncio.sleep(0)
            return found

        return look_slowly

    async def deliver():
        return await wf.resume_webhook("w", wf.Request())

    get_run = world.get_run
    monkeypatch.setattr(world, "read_chunks", slow(world.read_chunks))
    assert (await deliver()).status == 201
    assert looked


async def test_respond_belongs_in_a_step_and_to_manual_webhooks(wf_env):
    @wf.step(max_retries=0)
    async def respond(request):
        await request.respond(wf.Response(200))

    @wf.workflow
    async def flow():
        request = await wf.webhook(token="w")
        with pytest.raises(wf.WorkflowError):
            await request.respond(wf.Response(200))
        with pytest.raises(wf.WorkflowError):
            await respond(request)
        return "refused"

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await wf.resume_webhook("w", wf.Request())
    assert await run.return_value() == "refused"


async def test_many_requests_in_order(wf_env):
    @wf.workflow
    async def flow():
        got = []
        async for request in wf.webhook(token="w"):
            got.append(request.text())
            if len(got) == 3:
                return got

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    for text in (b"a", b"b", b"c"):
        await wf.resume_webhook("w", wf.Request(body=text))
    assert await run.return_value() == ["a", "b", "c"]


async def test_manual_answers_go_to_their_own_requests(wf_env):
    @wf.workflow
    async def flow():
        event = wf.webhook(token="w", respond_with="manual")
        first, second = await event, await event
        await answer(second)
        await answer(first)

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    first = asyncio.create_task(wf.resume_webhook("w", wf.Request(body=b"1")))
    while (await wf_env.session.world.get_run(run.run_id)).seq < 4:
        await asyncio.sleep(0)
    second = await wf.resume_webhook("w", wf.Request(body=b"2"))
    texts = [r.body if isinstance(r.body, str) else r.body.decode() for r in (await first, second)]
    assert texts == ["hello 1", "hello 2"]
    await run.return_value()


async def test_plain_hooks_are_not_reachable_there(wf_env):
    @wf.workflow
    async def flow():
        return await wf.hook(token="plain")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    with pytest.raises(wf.HookNotFoundError):
        await wf.resume_webhook("plain", wf.Request())
    with pytest.raises(wf.HookNotFoundError):
        await wf.resume_webhook("unknown", wf.Request())
    await wf.resume_hook("plain", 1)
    assert await run.return_value() == 1


async def test_generated_tokens_make_a_url_that_ends_with_them(wf_env):
    kept = []

    @wf.workflow
    async def flow():
        event = wf.webhook()
        kept.append((event.url, event.token))
        await event

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    url, token = kept[0]
    assert url.endswith(token)
    await wf.resume_webhook(token, wf.Request())
    await run.return_value()


async def test_bad_respond_with_is_refused(wf_env):
    @wf.workflow
    async def flow():
        with pytest.raises((TypeError, ValueError)):
            wf.webhook(respond_with="later")
        with pytest.raises((TypeError, ValueError)):
            wf.webhook(respond_with=202)
        return "refused"

    assert await wf_env.run(flow) == "refused"


def test_a_response_is_status_body_headers():
    response = wf.Response(404, b"no", {"a": "b"})
    assert (response.status, response.body, response.headers) == (404, b"no", {"a": "b"})
    response = wf.Response(status=404, body="no", headers={})
    assert response.status == 404
