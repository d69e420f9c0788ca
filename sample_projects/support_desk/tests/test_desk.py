"""The page's server, called as a web server calls it, without one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import desk
import flow
from flow import RefundDecision

import wf


class Answer:
    """What came back: status, and the body, or the events in it."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[int, dict[str, Any]]]:
        found = []
        for block in self.body.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            if "id" in fields:
                found.append((int(fields["id"]), json.loads(fields["data"])))
        return found


async def call(
    method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, enough: int = 0
) -> Answer:
    """Make a request; with `enough` leave when so many events are there, as a browser that loses its line does."""
    answer, is_gone = Answer(), asyncio.Event()
    content = json.dumps(body).encode()
    asked = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def receive() -> Any:
        for message in asked:
            return message
        await is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answer.status = message.get("status", answer.status)
        answer.body += message.get("body", b"")
        if enough and len(answer.events) >= enough:
            is_gone.set()

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
    }  # fmt: skip
    async with asyncio.timeout(20):
        await desk.app(scope, receive, send)
    return answer


async def test_a_ticket_is_opened_followed_and_closed(wf_env: Any) -> None:
    opened = await call("POST", "/tickets", {"question": "Where is B200?", "customer": "grace"})
    assert opened.status == 201
    path = f"/tickets/{opened.json['ticket']}"
    await wf_env.wait_for_hook(wf.get_run(opened.json["ticket"]))
    assert (await call("POST", f"{path}/messages", {"is_over": True})).status == 202
    followed = await call("GET", f"{path}/events")
    assert followed.body.startswith(b"retry: ")
    assert followed.body.endswith(b"event: closed\ndata: {}\n\n")
    assert [number for number, _ in followed.events] == list(range(len(followed.events)))
    words = "".join(event["text"] for _, event in followed.events if event["kind"] == "piece")
    assert words == "Your order B200, a desk lamp: with the carrier, expected on Friday."


async def test_a_browser_that_lost_its_line_goes_on_with_the_event_after_the_last_it_saw(wf_env: Any) -> None:
    opened = await call("POST", "/tickets", {"question": "My machine A101 is broken"})
    ticket = opened.json["ticket"]
    first = await call("GET", f"/tickets/{ticket}/events", enough=3)
    seen = first.events[-1][0]
    assert first.events[-1][1]["kind"] == "note", "it waits for a person, and the line is lost"
    hook = await wf_env.wait_for_hook(wf.get_run(ticket), f"refund:A101:{ticket}")
    await RefundDecision(approved=True).resume(hook)
    await wf.get_run(ticket).return_value()
    second = await call("GET", f"/tickets/{ticket}/events", headers={"Last-Event-ID": str(seen)})
    whole = await call("GET", f"/tickets/{ticket}/events")
    assert second.events[0][0] == seen + 1
    assert [*first.events, *second.events] == whole.events


async def test_a_message_to_a_closed_or_unknown_ticket_is_refused(wf_env: Any) -> None:
    run = await wf_env.start(flow.ticket, "thank you")
    await run.return_value()
    for ticket in (run.run_id, "wrun_nobody"):
        assert (await call("POST", f"/tickets/{ticket}/messages", {"text": "hello?"})).status == 404
    assert (await call("GET", "/tickets/wrun_nobody/events")).status == 404


async def test_the_page_is_there(wf_env: Any) -> None:
    page = await call("GET", "/")
    assert page.status == 200
    assert b"EventSource" in page.body
