"""The runs screen: live, filtered, marked, acted upon, previewed; and as many runs as there are."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.bench.histories import write_world
from tests.wfstudio.studio import open_studio, rest, run
from tests.wfstudio.tui.hand import Tui, open_tui
from tests.wfstudio.tui.pictures import check_picture
from tests.wfstudio.tui.stage import LARGE, SMALL
from wf.clock import ManualClock
from wf.errors import WorldError
from wf.keys import Keyring
from wf.session import Session
from wf.settings import load_settings
from wf.worlds.sqlite import SqliteWorld
from wfstudio.core.client import Client
from wfstudio.tui import clock
from wfstudio.tui.screens.runs import RunGrid, RunsScreen
from wfstudio.tui.widgets.consent import ConsentScreen

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def screen(tui: Tui) -> RunsScreen:
    found = next(one for one in tui.app.screen_stack if isinstance(one, RunsScreen))
    assert isinstance(found, RunsScreen)
    return found


def rows(tui: Tui) -> list[str]:
    """Give the workflows and statuses that the list shows, in its order."""
    return [f"{one.workflow.partition('.')[2]} {one.status}" for one in screen(tui).runs]


async def test_runs_appear_change_and_end_as_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_studio() as client, open_tui(client) as tui:
        await tui.until_shown("no run yet", "wf start WORKFLOW")
        started = await client.start("studio.approve", ["ada"])
        await tui.until_shown("● running", "waiting for hook site:ada")
        await run(client, "greet", "bob")
        await tui.until(lambda: rows(tui) == ["greet completed", "approve running"])
        await client.resume("site:ada", {"approved": True})
        await tui.until(lambda: rows(tui) == ["greet completed", "approve completed"])
        await tui.press("j")
        await tui.until_shown(started.id)
        assert screen(tui).command() == f"wf inspect {started.id}"


async def test_what_was_read_before_a_run_ended_does_not_take_its_end_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_studio() as client, open_tui(client) as tui:
        waiting = await client.start("studio.approve", ["ada"])
        await tui.until_shown("waiting for hook site:ada")
        world, read = client.session.world, client.session.world.list_runs

        async def list_late(*arguments: Any) -> Any:
            found = await read(*arguments)
            monkeypatch.setattr(world, "list_runs", read)
            await client.resume("site:ada", {"approved": True})
            await client.wait_for_end(waiting.id, 10)
            await tui.until(lambda: rows(tui) == ["approve completed"])
            return found

        monkeypatch.setattr(world, "list_runs", list_late)
        await screen(tui).on_changed([])
        assert rows(tui) == ["approve completed"]


async def test_all_runs_are_listed_once_the_world_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_studio() as client:
        await run(client, "greet", "ada")
        read, is_well = client.session.world.list_runs, False

        async def list_if_well(*arguments: Any) -> Any:
            if not is_well:
                raise WorldError("its owner hangs")
            return await read(*arguments)

        monkeypatch.setattr(client.session.world, "list_runs", list_if_well)
        async with open_tui(client) as tui:
            await tui.until(lambda: "its owner hangs" in tui.said)
            is_well = True
            await tui.until(lambda: rows(tui) == ["greet completed"])
            await tui.until(lambda: not screen(tui)._is_loading)


async def test_what_one_looks_at_stays_while_others_come() -> None:
    async with open_studio() as client, open_tui(client) as tui:
        first = await run(client, "greet", "ada")
        await run(client, "greet", "bob")
        await tui.until(lambda: len(screen(tui).runs) == 2)
        await tui.press("j")
        for name in ("cleo", "dora"):
            await run(client, "greet", name)
        await tui.until(lambda: len(screen(tui).runs) == 4)
        assert screen(tui).selected == first.id


async def test_a_filter_is_applied_as_it_is_typed_inverted_and_taken_back() -> None:
    async with open_studio() as client, open_tui(client) as tui:
        await run(client, "greet", "ada")
        await run(client, "fail", "no")
        await tui.until(lambda: len(screen(tui).runs) == 2)
        await tui.type("/status:fail")
        await tui.until_shown("no status is called 'fail'; there are pending")
        await tui.type("ed")
        await tui.until(lambda: rows(tui) == ["fail failed"])
        await tui.press("enter")
        assert "/status:failed" in tui.lines[0]
        await tui.until_shown("1 of 2")
        await tui.press("escape")
        await tui.until(lambda: len(rows(tui)) == 2)
        await tui.type("/!fail")
        await tui.press("enter")
        assert rows(tui) == ["greet completed"]
        await tui.press("slash", "escape")  # esc in the prompt leaves the filter as it was
        assert rows(tui) == ["greet completed"]
        await tui.press("escape", "e")
        await tui.until(lambda: rows(tui) == ["fail failed"])
        assert "errors only" in tui.lines[0]
        await run(client, "fail", "again")
        await run(client, "greet", "bob")
        await tui.until(lambda: rows(tui) == ["fail failed", "fail failed"])


async def test_marked_runs_are_cancelled_together_once_it_is_agreed() -> None:
    async with open_studio() as client, open_tui(client) as tui:
        ids = [(await client.start("studio.nap", [3600])).id for _ in range(3)]
        for run_id in ids:
            await rest(client, run_id)
        await tui.until(lambda: rows(tui) == ["nap running"] * 3)
        await tui.press("space", "space", "c")
        await tui.until(lambda: isinstance(tui.app.screen, ConsentScreen))
        await tui.until_shown("Cancel 2 runs?", "wf cancel")
        await tui.press("escape")
        assert {(await client.get_run(run_id)).status for run_id in ids} == {"running"}
        await tui.press("c", "y")
        await tui.until(lambda: sorted(rows(tui)) == ["nap cancelled", "nap cancelled", "nap running"])
        await tui.until(lambda: tui.said[-1:] == [f"2 runs\nwf cancel {ids[1]} {ids[2]}"])
        await tui.press("escape")  # takes the marks back
        assert screen(tui).grid.marked == set()


async def test_a_sleep_is_ended_and_a_failed_run_tried_again() -> None:
    async with open_studio() as client, open_tui(client) as tui:
        nap = await client.start("studio.nap", [3600])
        await rest(client, nap.id)
        await tui.until_shown("nap")
        await tui.press("w")
        await tui.until(lambda: tui.said == [f"1 sleep ends now\nwf wake {nap.id}"])
        await client.wait_for_end(nap.id, 10)
        failed = await run(client, "fail", "no")
        await tui.until(lambda: rows(tui) == ["fail failed", "nap completed"])
        await tui.press("r")
        await tui.until(lambda: isinstance(tui.app.screen, ConsentScreen))
        await tui.press("enter")
        await tui.until(lambda: len(screen(tui).runs) == 3)
        again = screen(tui).runs[0].run_id
        await tui.until(lambda: tui.said[-1:] == [f"it goes on as {again}\nwf retry {failed.id}"])


async def test_what_refuses_is_shown_and_the_others_are_done_all_the_same() -> None:
    async with open_studio() as client, open_tui(client) as tui:
        await run(client, "greet", "ada")
        nap = await client.start("studio.nap", [3600])
        await rest(client, nap.id)
        await tui.until(lambda: len(rows(tui)) == 2)
        await tui.press("r", "y")  # a run that has not ended cannot be tried again
        await tui.until_shown("it was not done", "fix: ", "docs/errors/")


async def test_a_hundred_thousand_runs_are_there_and_only_those_in_sight_are_drawn(tmp_path: Path) -> None:
    count = 3_000  # more than a page; the time of 100 000 is the benchmark's
    async with filled(tmp_path, count) as client, open_tui(client, LARGE) as tui:
        await tui.until_shown("order_4")
        await tui.until(lambda: screen(tui).runs.loaded == count)
        await tui.until_shown("3 000")
        await tui.press("G")
        await tui.until_shown(f"…{0:0>10}"[:8])
        assert screen(tui).selected == f"wrun_{0:026}"


@asynccontextmanager
async def filled(folder: Path, count: int) -> AsyncIterator[Client]:
    """Open a world that has so many runs, without any worker."""
    keyring = Keyring([os.urandom(32)])
    write_world(folder / "world.db", keyring, count)
    world = SqliteWorld(folder / "world.db")
    await world.open()
    try:
        yield Client(Session(world, keyring, load_settings(folder)))
    finally:
        await world.close()


async def test_what_users_wrote_is_shown_and_not_obeyed() -> None:
    name = "\x1b[2J[red]\u202eevil 日本語\x07"
    async with open_studio() as client, open_tui(client, LARGE) as tui:
        await run(client, "greet", name)
        shown = r"\x1b[2J[red]\u202eevil 日本語\x07"
        await tui.until_shown(f"name={shown}", shown)
        for line in tui.text.split("\n"):
            assert not any(code in line for code in ("\x1b", "\x07", "\u202e"))


@pytest.mark.parametrize(("name", "size"), [("runs", SMALL), ("runs_wide", LARGE)])
async def test_the_runs_look_as_they_did(name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    at = ManualClock(round(NOON.timestamp() * 1_000_000) - 95_000_000)
    async with open_studio(clock=at) as client:
        failed = await client.start("studio.fail", ["no card"], id="order-1", attributes={"tenant": "acme"})
        await client.wait_for_end(failed.id, 10)
        at.move_to(at.now_us() + 90_000_000)
        approve = await client.start("studio.approve", ["ada"], id="order-2")
        await rest(client, approve.id, "waiting for hook")
        greet = await client.start("studio.greet", ["日本 [b]x[/b]"], id="order-3")
        await client.wait_for_end(greet.id, 10)
        at.move_to(round(NOON.timestamp() * 1_000_000))
        async with open_tui(client, size) as tui:
            await tui.until_shown("waiting for hook", "ValueError tenant=acme")
            await tui.press("j", "j", "space", "k")
            await tui.until_shown("order-2", "created     5s ago")
            await tui.until(lambda: screen(tui)._previewed == ("order-2", screen(tui).runs[1].seq))
            grid = screen(tui).query_one(RunGrid)
            await tui.until(lambda: grid.cursor == 1)
            await tui.pilot.pause()
            check_picture(tui.app, name)
