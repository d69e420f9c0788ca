"""The workflows screen: what there is to start, and a run that is started from it."""

from __future__ import annotations

import msgspec
import pytest
from textual.pilot import Pilot

from tests.wfstudio.studio import DIGEST, ROOT, SOURCE, open_studio, run
from tests.wfstudio.tui.pictures import check_picture
from tests.wfstudio.tui.stage import LARGE, SMALL, open_app, read_screen, type_text, until, until_shown
from wf.catalog import Catalog, make_catalog, seal_catalog, seal_source
from wf.world import DeploymentRow
from wfstudio.core.client import Client
from wfstudio.core.views import RunQuery, RunView
from wfstudio.tui.screens.run import RunScreen
from wfstudio.tui.screens.workflows import WorkflowsScreen


async def find(pilot: Pilot[None], word: str) -> None:
    await until_shown(pilot, "workflows")
    await pilot.press("slash")
    await type_text(pilot, f"{word}\n")
    await until_shown(pilot, f"async def {word}(")


async def newest(client: Client) -> RunView:
    [view] = (await client.list_runs(RunQuery(limit=1))).items
    return await client.wait_for_end(view.id, 10)


def command_of(pilot: Pilot[None]) -> str:
    assert isinstance(pilot.app.screen, WorkflowsScreen)
    return pilot.app.screen.command()


async def keep_only(client: Client, workflow: str, **added: dict[str, str]) -> None:
    """Have the newest code define one workflow, with more parameters than it has."""
    entries = [entry for entry in make_catalog(ROOT).workflows if entry.id == workflow]
    for index, entry in enumerate(entries):
        properties = {**entry.schema.get("properties", {}), **added}
        entries[index] = msgspec.structs.replace(entry, schema={**entry.schema, "properties": properties})
    catalog = seal_catalog(client.session.keyring, "dep_one", Catalog(entries))
    row = DeploymentRow("dep_one", client.session.now_us() + 1, {"flows.py": DIGEST}, catalog=catalog)
    await client.session.world.put_deployment(row, {DIGEST: seal_source(client.session.keyring, DIGEST, SOURCE)})


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_run_is_started_with_what_was_filled_in(size):
    async with open_studio() as client, open_app(client, "workflows", size) as pilot:
        await find(pilot, "greet")
        await until_shown(pilot, "Greet somebody, several times.", "default: 1", "0 runs", "Start a run")
        await pilot.press("enter")
        await type_text(pilot, "ada")
        await pilot.press("down", "space")
        await pilot.pause()
        await type_text(pilot, "2")
        await until(pilot, lambda: command_of(pilot) == """wf start greet 'name="ada"' times=2""")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        view = await newest(client)
        assert (view.workflow, view.output) == ("studio.greet", ["hello, ada", "hello, ada"])


async def test_what_is_missing_is_told_and_nothing_is_started():
    async with open_studio() as client, open_app(client, "workflows") as pilot:
        await find(pilot, "retry")
        await pilot.press("escape")
        await find(pilot, "busy")
        await pilot.press("enter", "space")
        await pilot.pause()
        await type_text(pilot, "soon")
        await pilot.press("ctrl+s")
        await until_shown(pilot, '"soon" is not a number')
        assert (await client.list_runs(RunQuery())).items == []


async def test_a_run_is_given_an_id_and_the_same_one_starts_once():
    async with open_studio() as client:
        await run(client, "studio.greet", "ada")
        async with open_app(client, "workflows", LARGE) as pilot:
            await find(pilot, "greet")
            await until_shown(pilot, "ada", "earlier: 1")
            pilot.app.screen.query_one("#run-id").focus()
            await type_text(pilot, "greeting-1")
            await until(pilot, lambda: command_of(pilot).endswith("--id greeting-1"))
            await pilot.press("ctrl+s")
            await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
            assert (await client.wait_for_end("greeting-1", 10)).input == {"name": "ada"}


async def test_the_last_input_is_filled_in_and_earlier_ones_are_offered():
    async with open_studio() as client:
        for name in ("ada", "grace"):
            await run(client, "studio.greet", name, times=2)
        async with open_app(client, "workflows", LARGE) as pilot:
            await find(pilot, "greet")
            await until_shown(pilot, "earlier: 2", "grace", "2 runs · 0 in flight · 0 % failed")
            await pilot.press("enter", "ctrl+t")
            await until_shown(pilot, '{"name":"ada","times":2}')
            await pilot.press("down", "enter")
            await until(pilot, lambda: command_of(pilot) == """wf start greet 'name="ada"' times=2""")


async def test_arguments_by_place_and_with_any_name_are_started_too():
    async with open_studio() as client:
        await run(client, "studio.gather", 1, 2, 3)
        async with open_app(client, "workflows", LARGE) as pilot:
            await until_shown(pilot, "studio.gather")
            await pilot.press("slash")
            await type_text(pilot, "gather\n")
            await until_shown(pilot, "*rest", "**named", "earlier: 1")
            await until(pilot, lambda: "2" in read_screen(pilot.app))
            await pilot.press("enter")
            assert command_of(pilot) == "wf start collect 1 2 3"
            await pilot.press("ctrl+s")
            await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
            assert (await newest(client)).output == [1, [2, 3], {}]


async def test_the_figures_go_on_while_one_looks():
    async with open_studio() as client, open_app(client, "workflows", LARGE) as pilot:
        await find(pilot, "fail")
        await until_shown(pilot, "0 runs")
        await run(client, "studio.fail", "no")
        await until_shown(pilot, "1 run · 0 in flight · 100 % failed")


async def test_only_those_with_trouble_are_listed():
    async with open_studio() as client:
        await run(client, "studio.fail", "no")
        async with open_app(client, "workflows") as pilot:
            await until_shown(pilot, "studio.greet")
            await pilot.press("e")
            await until_shown(pilot, "async def fail(", "errors only")
            assert "studio.greet" not in read_screen(pilot.app)
            await pilot.press("slash")
            await type_text(pilot, "nothing\n")
            await until_shown(pilot, "None is called that.")
            await pilot.press("escape")
            await until_shown(pilot, "studio.greet")


async def test_code_that_is_loaded_shows_at_once_and_keeps_what_was_typed():
    async with open_studio() as client, open_app(client, "workflows") as pilot:
        await find(pilot, "greet")
        await pilot.press("enter")
        await type_text(pilot, "ada")
        await keep_only(client, "studio.greet", mood={"type": "string"})
        await pilot.app.screen.on_changed([])  # type: ignore[attr-defined]
        await until_shown(pilot, "mood")
        assert command_of(pilot) == """wf start greet 'name="ada"'"""


async def test_a_world_without_code_says_how_to_make_some():
    async with open_studio() as client:
        await keep_only(client, "no such workflow")
        async with open_app(client, "workflows") as pilot:
            await until_shown(pilot, "No workflow is loaded", "wf new workflow hello")


async def test_the_last_run_is_opened():
    async with open_studio() as client:
        async with open_app(client, "workflows", LARGE) as pilot:
            await find(pilot, "greet")
            await pilot.press("o")
            await until_shown(pilot, "studio.greet has no runs yet")
            await run(client, "studio.greet", "ada")
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))


async def test_the_screen_as_it_looks():
    async with open_studio() as client:
        await keep_only(client, "studio.greet")
        async with open_app(client, "workflows", LARGE) as pilot:
            await until_shown(pilot, "Start a run", "0 runs")
            await pilot.press("enter")
            await type_text(pilot, "ada")
            pilot.app.screen.query("#give").first().focus()
            await pilot.pause()
            await until_shown(pilot, """$ wf start greet 'name="ada"'""", "times: whole number")
            check_picture(pilot.app, "workflows")
