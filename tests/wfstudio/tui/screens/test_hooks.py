"""The hooks screen: what waits is listed, filled in and resumed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from textual.pilot import Pilot

from tests.wfstudio.studio import open_studio, rest
from tests.wfstudio.studio import until as until_true
from tests.wfstudio.tui.pictures import check_picture
from tests.wfstudio.tui.stage import LARGE, SMALL, open_app, read_screen, type_text, until, until_shown
from wfstudio.core.client import Client
from wfstudio.tui import clock
from wfstudio.tui.screens.hooks import HooksScreen
from wfstudio.tui.screens.run import RunScreen


async def wait_for_approval(client: Client, site: str, id: str | None = None) -> str:
    run = await client.start("studio.approve", [site], id=id)
    await rest(client, run.id)
    return run.id


def command_of(pilot: Pilot[None]) -> str:
    assert isinstance(pilot.app.screen, HooksScreen)
    return pilot.app.screen.command()


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_hook_is_filled_in_and_resumed(size):
    async with open_studio() as client:
        run_id = await wait_for_approval(client, "ada")
        async with open_app(client, "hooks", size) as pilot:
            await until_shown(pilot, "site:ada", '"site": "ada"', "Resume it")
            await pilot.press("enter", "space", "down", "space")
            await pilot.pause()
            await type_text(pilot, "well done")
            await until_shown(pilot, "$ wf resume site:ada", '"note":"well done"}')
            assert command_of(pilot) == """wf resume site:ada '{"approved":true,"note":"well done"}'"""
            await pilot.press("ctrl+s")
            await until_shown(pilot, "site:ada was resumed", "Nothing waits for you")
        assert (await client.wait_for_end(run_id, 10)).output == "live"


async def test_what_does_not_fit_is_told_and_not_sent():
    async with open_studio() as client:
        run = await client.start("studio.overtake")
        await until_true(client.list_hooks)
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "go on", "any JSON")
            await pilot.press("enter")
            await type_text(pilot, '{"a"')
            await pilot.press("ctrl+s")
            await until_shown(pilot, "is not JSON")
            assert len(await client.list_hooks()) == 1
            await type_text(pilot, ":1}")
            await pilot.press("ctrl+s")
            await until_shown(pilot, "go on was resumed")
        await client.wait_for_end(run.id, 10)


async def test_what_the_world_refuses_is_shown_with_its_cure():
    async with open_studio() as client:
        run_id = await wait_for_approval(client, "ada")
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "Resume it")
            await client.cancel(run_id, force=True)
            await client.wait_for_end(run_id, 10)
            await pilot.press("enter", "ctrl+s")
            await until_shown(pilot, "it was not done", "no live hook")


async def test_a_draft_stays_while_another_hook_is_looked_at():
    async with open_studio() as client:
        for site in ("ada", "grace"):
            await wait_for_approval(client, site)
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "site:grace", '"site": "ada"')
            await pilot.press("enter", "down", "space")
            await pilot.pause()
            await type_text(pilot, "not yet")
            await pilot.press("escape", "down")
            await until_shown(pilot, '"site": "grace"')
            assert "not yet" not in read_screen(pilot.app)
            await pilot.press("up")
            await until_shown(pilot, '"site": "ada"', "not yet")


async def test_a_hook_that_is_gone_says_so_and_is_left():
    async with open_studio() as client:
        for site in ("ada", "grace"):
            await wait_for_approval(client, site)
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, '"site": "ada"', "site:grace")
            await client.resume("site:ada", {"approved": True})
            await until_shown(pilot, "This hook is gone: it was resumed, or")
            await pilot.press("down")
            await until(pilot, lambda: "This hook is gone" not in read_screen(pilot.app))
            await until_shown(pilot, '"site": "grace"')


async def test_a_hook_appears_when_its_run_awaits_it():
    async with open_studio() as client:
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "Nothing waits for you")
            await wait_for_approval(client, "ada")
            await until_shown(pilot, "site:ada", "Resume it")


async def test_what_was_sent_before_is_offered():
    async with open_studio() as client:
        first = await wait_for_approval(client, "ada")
        await client.resume("site:ada", {"approved": True, "note": "as agreed"})
        await client.wait_for_end(first, 10)
        await wait_for_approval(client, "grace")
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "earlier: 1")
            await pilot.press("enter", "ctrl+t")
            await until_shown(pilot, '{"approved":true,"note":"as agreed"}')
            await pilot.press("enter")
            await until_shown(pilot, "[x] true", "as agreed")
            assert command_of(pilot) == """wf resume site:grace '{"approved":true,"note":"as agreed"}'"""


async def test_the_form_is_cleared():
    async with open_studio() as client:
        await wait_for_approval(client, "ada")
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "Resume it")
            await pilot.press("enter", "space")
            await until_shown(pilot, "[x] true")
            await pilot.press("ctrl+r")
            await until_shown(pilot, "[ ] false")


async def test_a_webhook_is_told_by_its_address():
    async with open_studio() as client:
        run = await client.start("studio.receive", ["a/b"])
        await rest(client, run.id)
        async with open_app(client, "hooks", LARGE) as pilot:
            await until_shown(pilot, "webhook", "curl -X POST http://127.0.0.1:4600/hooks/a%2Fb")
            assert "Resume it" not in read_screen(pilot.app)
            await pilot.press("enter", "ctrl+s")  # nothing is to be sent


async def test_hooks_are_found_by_a_part_of_their_token():
    async with open_studio() as client:
        for site in ("ada", "grace"):
            await wait_for_approval(client, site)
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "site:ada", "site:grace")
            await pilot.press("slash")
            await type_text(pilot, "grace\n")
            await until_shown(pilot, "1 of 2", '"site": "grace"')
            assert "site:ada" not in read_screen(pilot.app)
            await pilot.press("slash", "home", "exclamation_mark", "enter")
            await until_shown(pilot, "1 of 2", '"site": "ada"')
            await pilot.press("escape")
            await until_shown(pilot, "site:ada", "site:grace")


async def test_its_run_is_opened():
    async with open_studio() as client:
        await wait_for_approval(client, "ada")
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "Resume it")
            assert command_of(pilot) == "wf hooks"
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))


@pytest.mark.parametrize("token", ["[bold]x[/]\x1b[2J", "日本\u202e語", "$(rm -rf /)'", "a\nb"])
async def test_a_hostile_token_steers_neither_terminal_nor_shell(token):
    async with open_studio() as client:
        run = await client.start("studio.approve", [token])
        await rest(client, run.id)
        async with open_app(client, "hooks", LARGE) as pilot:
            screen = await until_shown(pilot, "Resume it", "$ wf resume")
            assert "\x1b" not in screen
            assert "\u202e" not in screen
            await pilot.press("enter", "space", "ctrl+s")
            await until_shown(pilot, "was resumed")
        assert (await client.wait_for_end(run.id, 10)).output == "live"


async def test_the_screen_as_it_looks(monkeypatch: pytest.MonkeyPatch):
    async with open_studio() as client:
        for site in ("ada", "grace"):
            await wait_for_approval(client, site, f"wrun_{site}")
        [first, _] = await client.list_hooks()
        later = datetime.fromisoformat(first.created_at) + timedelta(minutes=3, seconds=30)
        monkeypatch.setattr(clock, "now", lambda: later)
        async with open_app(client, "hooks") as pilot:
            await until_shown(pilot, "Resume it", "3m")
            await pilot.press("enter", "down", "space")
            await pilot.pause()
            await type_text(pilot, "fine")
            await until_shown(pilot, "fine")
            check_picture(pilot.app, "hooks")
