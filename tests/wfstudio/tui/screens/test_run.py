"""The run screen: the tree over time, what is known of a span, events, code, logs, streams, and what can be done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.wfstudio.recorded import recording
from tests.wfstudio.studio import open_studio, rest, run
from tests.wfstudio.tui.hand import Tui, open_tui
from tests.wfstudio.tui.pictures import check_picture
from tests.wfstudio.tui.stage import LARGE, SMALL
from tests.wfstudio.tui.written import CREATED_US, HOUR_MS, RUN, open_written
from wf.errors import WorldError
from wfstudio.core.client import Client
from wfstudio.core.forks import ForkRequest
from wfstudio.core.views import RunQuery
from wfstudio.text.looks import Look
from wfstudio.tui import clock
from wfstudio.tui.screens import run_stepping
from wfstudio.tui.screens.run import RunScreen
from wfstudio.tui.widgets.dialog import SheetDialog
from wfstudio.tui.widgets.failure import FailureScreen
from wfstudio.tui.widgets.timeline import Timeline

FLOW = """
    import wf


    class Declined(ValueError): ...


    @wf.step(max_retries=1, retry_delay=0)
    async def charge(card: str, amount: int = 3) -> dict:
        print("charging", card)
        if card == "bad":
            raise Declined(f"card {card}")
        return {"card": card, "amount": amount}


    @wf.workflow
    async def order(card: str) -> str:
        total = 0
        for number in range(2):
            receipt = await charge(card, number)
            total += receipt["amount"]
        word = await wf.hook(token=f"order:{card}")
        return f"{total} {word}"


    @wf.workflow
    async def pay(card: str) -> dict:
        return await charge(card)
"""


@asynccontextmanager
async def open_run(
    client: Client, run_id: str, size: tuple[int, int] = SMALL, span: int | None = None
) -> AsyncIterator[Tui]:
    """Open the studio at a run, and wait until it is read."""
    async with open_tui(client, size) as tui:
        tui.app.open_run(run_id, span)
        await tui.until(lambda: isinstance(tui.app.screen, RunScreen) and screen_of(tui).run is not None)
        yield tui


def screen_of(tui: Tui) -> RunScreen:
    found = next(screen for screen in reversed(tui.app.screen_stack) if isinstance(screen, RunScreen))
    return found


def timeline_of(tui: Tui) -> Timeline:
    return screen_of(tui).timeline


async def until_gone(tui: Tui, part: str) -> None:
    await tui.until(lambda: part not in tui.text)


# -- what is shown ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_run_is_a_tree_over_time_with_what_is_known_of_it(size) -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada", times=2)
        async with open_run(client, ended.id, size) as tui:
            await tui.until_shown("✓ completed · studio.greet ·", "✓ studio.greet_one", "3 spans", "name=ada")
            await tui.press("j")
            await tui.until_shown("✓ studio.greet_one  completed", "position    2")
            assert screen_of(tui).command() == f"wf inspect step {ended.id}:2"


async def test_a_run_is_opened_at_the_call_that_is_asked_for() -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada", times=3)
        async with open_run(client, ended.id, span=4) as tui:
            await tui.until_shown("position    4")


async def test_a_run_that_goes_on_is_followed_and_the_cursor_stays() -> None:
    async with open_studio() as client:
        waiting = await rest(client, (await client.start("studio.order", [["tea"]])).id, "waiting")
        async with open_run(client, waiting.id) as tui:
            await tui.until_shown("● running", "waiting for hook order:tea")
            await tui.press("j")
            await tui.until_shown("studio.price  completed")
            await client.resume("order:tea", {"approved": True, "note": "go"})
            await tui.until_shown("✓ completed", "studio.price  completed")


async def test_a_childs_calls_fold_away_and_its_run_opens() -> None:
    async with open_studio() as client:
        ended = await run(client, "parent", "ada")
        async with open_run(client, ended.id) as tui:
            await tui.until_shown("▾ child studio.greet", "greet_one")
            await tui.press("j", "left")
            await tui.until_shown("▸ child studio.greet")
            await until_gone(tui, "greet_one")
            await tui.press("right")
            await tui.until_shown("▾ child studio.greet", "greet_one")
            await tui.press("enter")
            await tui.until(lambda: screen_of(tui).run_id != ended.id)
            await tui.until_shown("studio.greet ·")
            assert len(tui.app.crumbs()) == 3
            await tui.press("escape")
            await tui.until(lambda: screen_of(tui).run_id == ended.id)


async def test_a_filter_leaves_what_has_the_text_and_its_inverse_the_rest() -> None:
    async with open_studio() as client:
        ended = await run(client, "fail", "no money")
        async with open_run(client, ended.id) as tui:
            await tui.type("/explode")
            await tui.press("enter")
            await tui.until(lambda: len(timeline_of(tui).rows) == 2)
            await tui.press("escape")
            await tui.type("/!explode")
            await tui.press("enter")
            await tui.until(lambda: len(timeline_of(tui).rows) == 1)
            await tui.press("escape", "e")
            await tui.until(lambda: len(timeline_of(tui).rows) == 2)


async def test_the_axis_is_zoomed_panned_and_fitted() -> None:
    async with open_written() as client:
        async with open_run(client, RUN) as tui:
            timeline = timeline_of(tui)
            assert timeline.camera.is_whole
            await tui.press("j", "w", "w")
            near = timeline.camera
            assert (near.end_ms - near.start_ms) == pytest.approx((near.last_ms - near.first_ms) / 4)
            await tui.press("d")
            assert timeline.camera.start_ms > near.start_ms
            await tui.press("f")
            assert timeline.camera.is_whole


async def test_time_in_which_nothing_ran_is_squeezed_and_can_be_had_back() -> None:
    async with open_written() as client:
        async with open_run(client, RUN) as tui:
            await tui.until_shown("┆1h idle")
            assert timeline_of(tui).camera.last_ms < 1000
            await tui.press("i")
            await until_gone(tui, "┆1h idle")
            assert timeline_of(tui).camera.last_ms == HOUR_MS + 400


async def test_the_mouse_chooses_spans_and_tabs() -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada", times=2)
        async with open_run(client, ended.id) as tui:
            await tui.pilot.click("#timeline", offset=(4, 3))
            await tui.until_shown("position    2")
            await tui.pilot.click("TabLine", offset=(12, 0))
            await tui.until_shown("run_created")


async def test_the_next_failure_is_found() -> None:
    async with open_written() as client:
        async with open_run(client, RUN) as tui:
            await tui.press("n")
            await tui.until_shown("shop.Declined: the line was busy")
            await tui.press("n")
            await tui.until_shown("shop.Declined: no such street")


async def test_a_run_leads_to_the_one_that_it_comes_from() -> None:
    async with open_studio() as client:
        failed = await run(client, "fail", "no money")
        again = await client.retry(failed.id)
        await client.wait_for_end(again.id, 10)
        async with open_run(client, again.id) as tui:
            await tui.press("p")
            await tui.until(lambda: screen_of(tui).run_id == failed.id and screen_of(tui).run is not None)
            await tui.press("p", "o")
            await tui.until(lambda: "this run goes on as no other" in tui.said)
            assert "this run comes from none" in tui.said


async def test_text_can_be_marked_and_copied() -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada")
        async with open_run(client, ended.id) as tui:
            await tui.until_shown("✓ completed  studio.greet")
            await tui.pilot.mouse_down("#span", offset=(1, 1))
            await tui.pilot.hover("#span", offset=(60, 1))
            await tui.pilot.mouse_up("#span", offset=(60, 1))
            assert ended.id in (tui.app.screen.get_selected_text() or "")


async def test_a_run_that_is_not_there_is_said() -> None:
    async with open_studio() as client:
        async with open_tui(client) as tui:
            tui.app.open_run("wrun_none")
            await tui.until_shown("no run has the id 'wrun_none'", "fix: check the id")


# -- events, logs, streams ----------------------------------------------------------------------


async def test_an_event_shows_what_it_holds() -> None:
    async with open_written() as client:
        async with open_run(client, RUN) as tui:
            await tui.press("2", "tab", "end")
            await tui.until_shown("16", "run_failed")
            await tui.press("home", "enter")
            await tui.until_shown("run_created", '"card": "4242"')
            await tui.press("enter")
            await until_gone(tui, '"card": "4242"')
            assert screen_of(tui).command() == f"wf inspect events {RUN}"


async def test_logs_and_streams_have_what_was_written() -> None:
    async with open_studio() as client:
        greeted = await run(client, "greet", "ada")
        async with open_run(client, greeted.id) as tui:
            await tui.press("4")
            await tui.until_shown("2:1  greeting ada", "2:1  WARNING about ada")
            assert screen_of(tui).command() == f"wf logs {greeted.id}"
            await tui.press("5")
            await tui.until_shown("the run has written to no stream")
        poured = await run(client, "stream", 3)
        async with open_run(client, poured.id) as tui:
            await tui.press("5")
            await tui.until_shown("default  3 chunks, closed", '{"n":2}')


async def test_a_world_that_does_not_answer_is_said_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise WorldError("its owner hangs")

    async with open_studio() as client:
        greeted = await run(client, "greet", "ada")
        async with open_run(client, greeted.id) as tui:
            monkeypatch.setattr(client, "read_logs", fail)
            await tui.press("4")
            await tui.until(lambda: "its owner hangs" in tui.said)
            monkeypatch.undo()
            await tui.press("3", "4")
            await tui.until_shown("2:1  greeting ada")


async def test_of_a_childs_span_the_childs_events_and_logs_are_shown() -> None:
    async with open_studio() as client:
        ended = await run(client, "parent", "ada")
        async with open_run(client, ended.id) as tui:
            await tui.press("2")
            await tui.until_shown("run_created", "studio.parent")
            await tui.press("j", "j")
            child = timeline_of(tui).rows[2].run_id
            assert child != ended.id
            await tui.until_shown("studio.greet_one", f"of studio.greet {child}")
            assert screen_of(tui).event_list.seq == timeline_of(tui).rows[2].span.seq > 1
            assert screen_of(tui).command() == f"wf inspect events {child}"
            await tui.press("tab", "enter")
            await tui.until_shown('{"name":"ada"}')
            await tui.press("4")
            await tui.until_shown("2:1  greeting ada")
            await tui.press("shift+tab", "k")
            await until_gone(tui, "greeting ada")
            assert screen_of(tui).command() == f"wf logs {ended.id}"
            assert f"of studio.greet {child}" not in tui.text


async def test_the_list_of_events_goes_along_with_the_cursor() -> None:
    async with open_written() as client:
        async with open_run(client, RUN) as tui:
            await tui.press("2", "j", "j", "j")
            assert screen_of(tui).event_list.seq == 8
            await tui.press("full_stop")
            await tui.until_shown("event 8 of 16")
            await tui.press("j")
            assert screen_of(tui).event_list.seq == 8, "while somebody steps, it is where that is"


# -- stepping -----------------------------------------------------------------------------------


async def test_the_code_is_stepped_through_event_by_event(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        run_id = await found.rest("order", "ada")
        async with open_run(found.client, run_id) as tui:
            await tui.press("j", "t")
            await tui.until_shown("step_completed charge", "▶ 19", "+ receipt", "event 4 of 7")
            assert timeline_of(tui).playhead_ms is not None
            await tui.press("comma")
            await tui.until_shown("step_created charge (call 1)", "event 3 of 7")
            await tui.press("F")
            await tui.until_shown(f"wf fork {run_id} --from 3")
            await tui.press("escape", "greater_than_sign")
            await tui.until_shown("hook_created", "event 7 of 7", "total")
            assert screen_of(tui).command() == f"wf replay {run_id} --at 7"
            await tui.press("escape")
            await until_gone(tui, "event 7 of 7")
            assert timeline_of(tui).playhead_ms is None
            assert screen_of(tui).tab == "span"


FAMILY = """
    import wf


    @wf.step
    async def add(number: int) -> int:
        return number + 1


    @wf.workflow
    async def count(number: int) -> int:
        counted = await add(number)
        return counted


    @wf.workflow
    async def family(number: int) -> str:
        total = await count(number)
        await wf.hook(token=f"family:{number}")
        return str(total)
"""


async def test_of_a_childs_span_the_childs_code_is_stepped_through(tmp_path: Path) -> None:
    async with recording(tmp_path, FAMILY) as found:
        run_id = await found.rest("family", 6)
        async with open_run(found.client, run_id, LARGE) as tui:
            await tui.press("j", "j", "t")
            child = timeline_of(tui).rows[2].run_id
            await tui.until_shown("the body returned 7", "event 4 of 5", f"of count {child}")
            playhead = timeline_of(tui).playhead_ms
            assert playhead == pytest.approx(timeline_of(tui).rows[2].span.end_ms), (
                "in the time of the run that is shown"
            )
            assert screen_of(tui).command() == f"wf replay {child} --at 4"
            await tui.press("home", "comma")  # whatever is under the cursor, it goes on where it is
            await tui.until_shown("event 3 of 5", "counted = await add(number)")
            await tui.press("t")
            await tui.until_shown("event 5 of 5", "await wf.hook(", "hook_created")
            assert screen_of(tui).command() == f"wf replay {run_id} --at 5", "of a run that goes on: as it is now"


async def test_an_end_that_is_told_of_while_the_run_is_read_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_studio() as client:
        started = await client.start("studio.approve", ["ada"])
        await rest(client, started.id, "waiting for hook")
        async with open_run(client, started.id) as tui:
            screen = screen_of(tui)
            looker = screen._looker
            assert looker is not None
            look = looker.look

            async def look_late() -> Look:
                found = await look()
                monkeypatch.setattr(looker, "look", look)
                await client.resume("site:ada", {"approved": True})
                await client.wait_for_end(started.id, 10)
                tui.app.workers.cancel_group(tui.app, "default")  # nothing else tells of it
                await screen.on_changed([started.id])
                return found

            monkeypatch.setattr(looker, "look", look_late)
            await tui.until(lambda: all(row.span.end_ms is not None for row in timeline_of(tui).rows))


async def test_the_sleeps_that_are_ended_early_are_those_of_the_span_under_the_cursor() -> None:
    async with open_studio() as client:
        ended = await run(client, "parent", "ada")
        async with open_run(client, ended.id) as tui:
            await tui.press("j", "j", "W")
            await tui.until(lambda: any(f"wf wake {timeline_of(tui).rows[2].run_id}" in text for text in tui.said))


async def test_the_events_are_played_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_stepping, "PLAY_SECONDS", 0.01)
    async with recording(tmp_path, FLOW) as found:
        run_id = await found.run("pay", "ada")
        async with open_run(found.client, run_id) as tui:
            await tui.press("space")
            await tui.until_shown("event 5 of 5", "the body returned")
            await until_gone(tui, "▶")


async def test_the_list_of_events_moves_the_same_place(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        run_id = await found.run("pay", "ada")
        async with open_run(found.client, run_id) as tui:
            await tui.press("full_stop")
            await tui.until_shown("event 1 of 5")
            await tui.press("2", "tab", "down", "down")
            await tui.until_shown("event 3 of 5")
            assert screen_of(tui).seq == 3


async def test_no_window_is_too_small_for_a_run_that_is_stepped_through() -> None:
    async with open_written() as client:
        async with open_run(client, RUN) as tui:
            await tui.press("2", "exclamation_mark", "exclamation_mark")
            await tui.until_shown("event 15 of 16")
            for size in ((40, 12), (24, 8), (12, 4), (3, 2), (1, 1), SMALL):
                await tui.pilot.resize_terminal(*size)
                await tui.pilot.pause()
            await tui.until_shown("event 15 of 16", "▼")


async def test_code_that_cannot_be_replayed_is_said_where_it_would_be_shown() -> None:
    async with open_written() as client:
        async with open_run(client, RUN) as tui:
            await tui.press("full_stop")
            await tui.until_shown("event 1 of 16", "fix:", "more:")


# -- acting -------------------------------------------------------------------------------------


async def test_a_run_is_cancelled_with_a_reason() -> None:
    async with open_studio() as client:
        waiting = await rest(client, (await client.start("studio.approve", ["docs"])).id)
        async with open_run(client, waiting.id) as tui:
            await tui.press("c")
            await tui.type("wrong order")
            await tui.until_shown(f"wf cancel {waiting.id} --reason")
            await tui.press("ctrl+s")
            await tui.until_shown("⊘ cancelled", "because     wrong order")
        assert (await client.get_run(waiting.id)).output == "wrong order"


async def test_a_dialog_that_is_left_does_nothing() -> None:
    async with open_studio() as client:
        waiting = await rest(client, (await client.start("studio.approve", ["docs"])).id)
        async with open_run(client, waiting.id) as tui:
            for key in ("c", "r", "F"):
                await tui.press(key)
                await tui.until_shown("esc leaves it")
                await tui.press("escape")
                await until_gone(tui, "esc leaves it")
        assert (await client.get_run(waiting.id)).status == "running"
        assert len((await client.list_runs(RunQuery())).items) == 1


async def test_a_sleep_is_ended_early() -> None:
    async with open_studio() as client:
        sleeping = await rest(client, (await client.start("studio.nap", [])).id, "sleeping")
        async with open_run(client, sleeping.id) as tui:
            await tui.press("W")
            await tui.until_shown("✓ completed")
            assert any("1 sleep ended early" in said for said in tui.said)


async def test_a_failed_run_is_retried_and_the_new_one_is_shown() -> None:
    async with open_studio() as client:
        failed = await run(client, "fail", "no money")
        async with open_run(client, failed.id) as tui:
            await tui.press("r")
            await tui.until_shown(f"wf retry {failed.id}")
            await tui.press("enter")
            await tui.until(lambda: screen_of(tui).run_id != failed.id)
            again = screen_of(tui).run_id
            assert (await client.get_run(again)).forked_from == failed.id


async def test_what_cannot_be_done_is_said_with_its_cure() -> None:
    async with open_studio() as client:
        waiting = await rest(client, (await client.start("studio.approve", ["docs"])).id)
        async with open_run(client, waiting.id) as tui:
            await tui.press("r", "enter")
            await tui.until(lambda: isinstance(tui.app.screen, FailureScreen))
            await tui.until_shown("it was not done", "fix:")


async def test_a_run_is_forked_with_another_output() -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada")
        async with open_run(client, ended.id, LARGE) as tui:
            await tui.press("j", "F")
            await tui.until_shown("fork from studio.greet_one", f"wf fork {ended.id} --from studio.greet_one")
            await tui.press("tab", "right")
            await tui.until_shown("--set 'studio.greet_one=\"hello, ada\"'")
            await tui.press("tab", *["delete"] * 12)
            await tui.type('"moin"')
            await tui.until_shown("--set 'studio.greet_one=\"moin\"'")
            await tui.press("ctrl+s")
            await tui.until(lambda: screen_of(tui).run_id != ended.id)
            forked = await client.wait_for_end(screen_of(tui).run_id, 10)
        assert forked.output == ["moin"]


async def test_what_is_no_json_is_said_and_nothing_is_forked() -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada")
        async with open_run(client, ended.id, LARGE) as tui:
            await tui.press("j", "F", "tab", "right", "tab", "delete", "ctrl+s")
            await tui.until_shown("it is not JSON", "fix: a text has quotes")
        assert len((await client.list_runs(RunQuery())).items) == 1


async def test_the_playhead_of_a_fork_is_in_what_it_inherited(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        run_id = await found.rest("order", "ada")
        forked = await found.client.fork(run_id, ForkRequest(start="charge#2"))
        await rest(found.client, forked.run.id, "waiting")
        async with open_run(found.client, forked.run.id) as tui:
            await tui.press("j", "t")
            await tui.until_shown("step_completed charge (call 1)", "+ receipt")
            timeline = timeline_of(tui)
            assert timeline.rows[1].span.is_inherited
            assert timeline.playhead_ms == pytest.approx(timeline.rows[1].span.end_ms)
            assert timeline.playhead_ms <= 0


async def test_the_verdict_of_todays_code_is_shown(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        run_id = await found.run("pay", "ada")
        async with open_run(found.client, run_id) as tui:
            await tui.press("v")
            await tui.until_shown("verdict of today's code", "✓ clean", "5 events fit the code")
            await tui.press("escape")
            found.edit("return await charge(card)", "return await charge(card, 9)")
            await tui.press("v")
            await tui.until_shown("diverges at event 3", "> ", "fix:")


async def test_a_step_is_carried_out_once_more_and_compared(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        run_id = await found.run("pay", "ada")
        before = await found.read_everything(run_id)
        async with open_run(found.client, run_id, LARGE) as tui:
            await tui.press("j", "S")
            await tui.until_shown("carry out charge once more", '"card": "ada"')
            await tui.press("ctrl+s")
            await tui.until(lambda: isinstance(tui.app.screen, SheetDialog))
            await tui.until_shown("✓ same as recorded", "charging ada")
        assert await found.read_everything(run_id) == before


async def test_a_step_replay_needs_a_step() -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada")
        async with open_run(client, ended.id) as tui:
            await tui.press("S")
            await tui.until(lambda: any("put the cursor on a step" in said for said in tui.said))


# -- what users wrote, and how it looks ---------------------------------------------------------

HOSTILE = "\x1b[2J\x07[bold red]x[/] \u202egnp.exe 日本語"


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_what_users_wrote_is_text_and_steers_nothing(size) -> None:
    async with open_studio() as client:
        ended = await run(client, "fail", HOSTILE)
        async with open_run(client, ended.id, size) as tui:
            for tab in ("1", "2", "4", "5"):
                await tui.press(tab)
                await tui.pilot.pause()
                assert all(character.isprintable() or character == "\n" for character in tui.text)
            await tui.press("1", "j")
            await tui.until_shown(r"\x1b[2J\x07[bold red]x[/]", "日本語")
            await tui.press("F", "tab", "right")
            await tui.pilot.pause()
            assert all(character.isprintable() or character == "\n" for character in tui.text)


@pytest.mark.parametrize(("size", "name"), [(SMALL, "run-small"), (LARGE, "run-large")])
async def test_it_looks_as_it_did(size, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    later = datetime.fromtimestamp(CREATED_US / 1_000_000, UTC) + timedelta(hours=3)
    monkeypatch.setattr(clock, "now", lambda: later)
    async with open_written() as client:
        async with open_run(client, RUN, size) as tui:
            await tui.press("j", "j", "j")
            await tui.until_shown("the line was busy")
            await tui.pilot.pause()
            check_picture(tui.app, name)
