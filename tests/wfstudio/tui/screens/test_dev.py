"""The dev screen: what it shows of a server, and what it asks of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.wfstudio.site import TOKEN, FakeDev, Site, open_site, serving
from tests.wfstudio.tui.hand import Tui, open_tui
from tests.wfstudio.tui.stage import LARGE
from wf.worlds.process import process_token
from wfstudio.core.server_file import ServerFile, remove_server_file, server_file_path, write_server_file
from wfstudio.tui.widgets.consent import ConsentScreen

STATUS: dict[str, Any] = {
    "current": {"deployment_id": "dep_2", "workflows": ["a", "b"], "pids": [7]},
    "pegged": [],
    "is_paused": False,
    "error": None,
    "nondeterministic": [],
    "diverging": [],
}


class Dev(FakeDev):
    """A dev server whose status a test says; it takes any remedy and reload."""

    def __init__(self) -> None:
        super().__init__()
        self.now = dict(STATUS)

    def status(self) -> dict[str, Any]:
        return self.now

    async def remedy(self, run_id: str, action: str) -> dict[str, Any]:
        self.calls.append(("remedy", run_id, action))
        self.now = dict(STATUS)
        return {"run_id": run_id, "action": action, "new_run_id": "wrun_new" if action == "fork" else None}

    async def reload(self) -> dict[str, Any]:
        self.calls.append(("reload",))
        return {"outcome": "unchanged"}


def verdict(run_id: str) -> dict[str, Any]:
    trouble = {
        "code": "NONDETERMINISM",
        "message": "it differs",
        "seq": 4,
        "recorded": "step charge",
        "actual": "a sleep",
    }
    return {"run_id": run_id, "workflow": "studio.approve", "outcome": "diverges", "trouble": trouble}


@asynccontextmanager
async def attached(tmp_path: Path, monkeypatch: Any, dev: Dev) -> AsyncIterator[tuple[Tui, Site]]:
    """Open the dev screen beside a server that runs."""
    monkeypatch.setattr("tests.wfstudio.site.FakeDev", lambda: dev)
    async with open_site() as site, serving(site) as server:
        session = site.client.session
        session.settings = msgspec.structs.replace(session.settings, root=tmp_path, world="sqlite:///.wf/world.db")
        place = server_file_path(session.settings)
        told = ServerFile(os.getpid(), process_token(), server.url, TOKEN, "2026-01-02T12:00:00.000000Z")
        write_server_file(place, told)
        async with open_tui(site.client, LARGE) as tui:
            await tui.app.switch("dev")
            await tui.until_shown(f"attached to wf dev at {server.url} · live")
            yield tui, site
        remove_server_file(place, told)


async def test_what_is_served_and_said_is_shown_as_it_happens(tmp_path: Path, monkeypatch: Any) -> None:
    dev = Dev()
    async with attached(tmp_path, monkeypatch, dev) as (tui, site):
        await tui.until_shown("serves   dep_2  2 workflows, process 7", "every run in flight fits")
        dev.now = {**STATUS, "error": {"message": "no such module", "where": "flow.py:3", "hint": None}}
        site.feed.publish("worker", {"pid": 7, "cause": "killed by SIGSEGV"})
        await tui.until_shown("worker 7: killed by SIGSEGV", "does not load", "at flow.py:3")


async def test_the_code_is_loaded_anew(tmp_path: Path, monkeypatch: Any) -> None:
    dev = Dev()
    async with attached(tmp_path, monkeypatch, dev) as (tui, _):
        await tui.press("l")
        await tui.until(lambda: tui.said)
        assert tui.said[0].startswith("nothing that is loaded changed\ncurl -X POST http://127.0.0.1:")
        assert dev.calls == [("reload",)]


async def test_a_run_that_diverges_is_remedied_once_it_is_agreed(tmp_path: Path, monkeypatch: Any) -> None:
    dev = Dev()
    async with attached(tmp_path, monkeypatch, dev) as (tui, site):
        assert "f Fork" not in tui.lines[-1]
        run = await site.client.start("approve", ["ada"])
        dev.now = {**STATUS, "diverging": [verdict(run.id)]}
        site.feed.publish("reload", {"outcome": "unchanged", "files": [], "load_ms": 3.0})
        await tui.until_shown(run.id, "recorded  step charge", "now       a sleep", "f Fork")
        await tui.press("f")
        await tui.until(lambda: isinstance(tui.app.screen, ConsentScreen))
        await tui.until_shown(f"Fork {run.id}? a new run shares its history", f"wf fork {run.id} --from 3")
        await tui.press("y")
        await tui.until(lambda: tui.said)
        assert tui.said == [f"it goes on as wrun_new\nwf fork {run.id} --from 3"]
        assert dev.calls == [("remedy", run.id, "fork")]
        await tui.until_shown("every run in flight fits")


async def test_without_a_dev_server_the_screen_says_how_to_start_one() -> None:
    async with open_site() as site, open_tui(site.client) as tui:
        await tui.app.switch("dev")
        await tui.until_shown("no wf dev runs beside this world")
        assert "every run in flight fits" not in tui.text  # nobody knows
        await tui.press("l")
        await tui.until_shown("fix: start one: `wf dev`")
