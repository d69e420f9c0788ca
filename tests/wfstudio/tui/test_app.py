"""The shell: screens, prompt, filter, palette, jumping, panes, help, keys of one's own, errors."""

from __future__ import annotations

import asyncio
import gc

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import WorkerFailed

from tests.wfstudio.studio import open_studio, rest, run
from tests.wfstudio.tui.hand import open_tui
from tests.wfstudio.tui.stage import LARGE, SMALL, until_shown
from wf.errors import WorkflowError
from wfstudio.core.errors import UsageError
from wfstudio.tui.app import StudioApp
from wfstudio.tui.attachment import Attachment
from wfstudio.tui.preferences import Preferences
from wfstudio.tui.resources import RESOURCES, find_resource, load_screen
from wfstudio.tui.screens.runs import RunsScreen
from wfstudio.tui.studio_screen import StudioScreen
from wfstudio.tui.widgets.failure import FailureScreen
from wfstudio.tui.widgets.grid import Grid
from wfstudio.tui.widgets.keysheet import KeySheet

# -- resources ----------------------------------------------------------------------------------


def test_a_resource_is_found_by_name_alias_and_beginning() -> None:
    found = {word: find_resource(word) for word in ("runs", ":hooks", "q", "work", "DEV", "zz", "")}
    names = {word: None if resource is None else resource.name for word, resource in found.items()}
    assert names == {
        "runs": "runs", ":hooks": "hooks", "q": "query", "work": "workflows", "DEV": "dev", "zz": None, "": None,
    }  # fmt: skip


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_every_screen_opens_by_its_name_and_says_where_one_is(size) -> None:
    async with open_studio() as client, open_tui(client, size) as tui:
        for name, resource in RESOURCES.items():
            await tui.press("escape")  # out of an editor, where a colon is a colon
            await tui.type(f":{name}")
            await tui.press("enter")
            await tui.until(lambda name=name: tui.lines[0].startswith(f" wf  {name}"))
            assert isinstance(tui.app.screen, load_screen(resource.place))
            assert tui.app.screen.query_one("#body").size.height == size[1] - 2


async def test_its_tasks_begin_in_the_loops_next_turn_on_every_python() -> None:
    """From 3.12 on textual has them begin at once; then the first screen was built before it was on the stack."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **options))
    factories = []

    async def look(pilot: Pilot[None]) -> None:
        await pilot.pause()
        factories.append(loop.get_task_factory())
        pilot.app.exit()

    async with open_studio() as client:
        app = StudioApp(Attachment(client, client.session.settings))
        await app.run_async(headless=True, size=SMALL, auto_pilot=look)
    assert (app.return_code, factories) == (0, [None])


# -- moving about -------------------------------------------------------------------------------


async def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    async with open_studio() as client:
        async with open_tui(client) as tui:
            await tui.type(":hoks")
            await tui.press("enter")
            await tui.until(lambda: tui.said)
            assert tui.said == ["there is no screen 'hoks': did you mean `:hooks`?"]
            assert isinstance(tui.app.screen, RunsScreen)


async def test_a_run_is_opened_over_the_list_and_left_again() -> None:
    async with open_studio() as client:
        view = await run(client, "greet", "ada")
        async with open_tui(client) as tui:
            await tui.until_shown("greet")
            await tui.press("enter")
            await tui.until(lambda: f"runs › {view.id}" in tui.lines[0])
            await tui.press("escape")
            await tui.until(lambda: tui.lines[0].startswith(" wf  runs  "))
            await tui.press("escape")  # the first screen stays
            assert isinstance(tui.app.screen, RunsScreen)


async def test_keys_right_behind_the_colon_are_for_the_prompt_and_esc_takes_it_back() -> None:
    async with open_studio() as client:
        async with open_tui(client) as tui:
            await tui.type(":ec")  # `e` and `c` do something else in the list
            screen = tui.app.screen
            assert isinstance(screen, RunsScreen)
            assert (screen.query_one(Input).value, screen.is_errors_only) == ("ec", False)
            await tui.press("escape")
            assert not screen.query_one("Prompt").is_open
            assert isinstance(screen.focused, Grid)


async def test_the_palette_finds_screens_actions_and_runs() -> None:
    async with open_studio() as client:
        view = await run(client, "greet", "ada")
        async with open_tui(client, LARGE) as tui:
            await tui.until_shown("greet")
            await tui.press("ctrl+p")
            await tui.until_shown(":workflows", "Mark", "Errors")
            await tui.type(view.id[-10:].lower())
            await tui.until_shown(view.id, "studio.greet, completed")
            await tui.press("enter")
            await tui.until(lambda: f"runs › {view.id}" in tui.lines[0])


async def test_the_palette_has_what_is_seldom_wanted_at_its_end() -> None:
    async with open_studio() as client:
        async with open_tui(client) as tui:
            await tui.press("ctrl+p")
            await tui.until_shown(":runs", ":dev")
            assert "Screenshot" not in tui.text, "there is no room for it before all the rest"
            await tui.type("theme")
            await tui.until_shown("Choose another theme for this session")


async def test_the_palette_carries_an_action_out() -> None:
    async with open_studio() as client:
        async with open_tui(client) as tui:
            await tui.press("ctrl+p")
            await tui.type("errors")
            await tui.until_shown("Errors")
            await tui.press("enter")
            await tui.until(lambda: "errors only" in tui.lines[0])


async def test_jump_mode_goes_to_a_widget_by_its_letter() -> None:
    async with open_studio() as client:
        async with open_tui(client, LARGE) as tui:
            screen = tui.app.screen
            await tui.press("ctrl+o")
            await tui.until_shown(" a ", " s ")
            await tui.press("s")
            await tui.until(lambda: screen.focused is not None and screen.focused.id == "preview")
            await tui.press("ctrl+o", "escape")
            assert screen.focused.id == "preview"


async def test_a_pane_grows_to_all_of_the_screen_and_back() -> None:
    async with open_studio() as client:
        async with open_tui(client, LARGE) as tui:
            grid, preview = tui.app.screen.query_one("#runs"), tui.app.screen.query_one("#preview")
            before = grid.size.width
            await tui.press("plus")
            assert grid.size.width > before
            assert preview.display
            await tui.press("plus", "plus")
            assert grid.size.width > LARGE[0] - 6
            assert not preview.display
            await tui.press("underscore")
            assert preview.display
            await tui.press("escape")
            assert grid.size.width == before


async def test_help_tells_of_the_focused_widget_and_every_key_with_its_id() -> None:
    async with open_studio() as client:
        async with open_tui(client, LARGE) as tui:
            await tui.press("question_mark")
            await tui.until(lambda: isinstance(tui.app.screen, KeySheet))
            await tui.until_shown("The runs of this world", "runs.cancel", "grid.down", "studio.palette", "everywhere")
            await tui.press("escape")
            assert isinstance(tui.app.screen, RunsScreen)


async def test_the_last_line_has_the_keys_that_work_now_and_a_click_presses_one() -> None:
    async with open_studio() as client:
        async with open_tui(client) as tui:
            await tui.until(lambda: "c Cancel" in tui.lines[-1])
            await tui.pilot.click("KeyLine", offset=(tui.lines[-1].index("e Errors"), 0))
            await tui.until(lambda: "errors only" in tui.lines[0])
            await tui.type("/x")
            await tui.until(lambda: "esc Take back" in tui.lines[-1])
            assert "c Cancel" not in tui.lines[-1]


# -- actions ------------------------------------------------------------------------------------


async def test_the_command_for_what_is_shown_is_said_with_the_world_that_was_named() -> None:
    async with open_studio() as client:
        view = await run(client, "greet", "ada")
        async with open_tui(client, named_world="sqlite:///other world.db") as tui:
            await tui.until_shown("greet")
            await tui.press("y")
            await tui.until(lambda: tui.said)
            command = f"wf inspect {view.id} --world 'sqlite:///other world.db'"
            assert tui.said == [f"{command}\ncopied, where the terminal lets programs copy"]
            assert tui.app.clipboard == command


async def test_an_action_says_what_came_of_it_and_an_error_is_shown_whole() -> None:
    async with open_studio() as client:

        async def fail() -> None:
            raise UsageError("it is \x1b[31mwrong[/]", "do it right")

        async def do() -> int:
            return 3

        async with open_tui(client) as tui:
            assert await tui.app.act("wf do", do(), lambda n: f"{n} things") == 3
            await tui.until(lambda: tui.said == ["3 things\nwf do"])
            await tui.app.act("wf fail", fail())
            await tui.until(lambda: isinstance(tui.app.screen, FailureScreen))
            await tui.until_shown(r"it is \x1b[31mwrong[/]", "fix: do it right", "more: docs/errors/usage.md")
            await tui.press("escape")
            assert isinstance(tui.app.screen, RunsScreen)


async def test_news_that_cannot_be_read_are_said_and_a_screen_that_was_left_does_not_matter() -> None:
    async with open_studio() as client:

        class Failing(StudioScreen):
            crumb = "failing"

            async def on_changed(self, run_ids: list[str]) -> None:
                raise WorkflowError("the world is gone")

        async with open_tui(client) as tui:
            await tui.app.push_screen(Failing())
            await tui.until(lambda: "the world is gone" in tui.said)


async def test_a_bug_ends_the_studio_with_its_traceback_and_without_anybodys_values(capsys) -> None:
    class Broken(StudioScreen):
        async def on_changed(self, run_ids: list[str]) -> None:
            secret = "s3cr3t".upper()
            raise RuntimeError(f"broken\x1b[2J by {len(secret)}")

    async with open_studio() as client:
        with pytest.raises(WorkerFailed):
            async with open_tui(client) as tui:
                await tui.app.push_screen(Broken())
                await tui.until(lambda: tui.app.return_code == 1)
    said = capsys.readouterr().err
    assert r"RuntimeError: broken\x1b[2J by 6" in said
    assert "this is a bug in wf" in said
    assert "S3CR3T" not in said


async def test_work_that_outlives_its_screen_is_no_bug() -> None:
    class Late(StudioScreen):
        crumb = "late"
        done = False

        def on_mount(self) -> None:
            self.run_worker(self.look())

        async def look(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:  # as one that is in the midst of something when its screen goes
                Late.done = True
                self.query_one("#gone")

    async with open_studio() as client, open_tui(client) as tui:
        await tui.app.push_screen(Late())
        await tui.until(lambda: "late" in tui.lines[0])
        await tui.press("escape")
        await tui.until(lambda: Late.done)
        await tui.until(lambda: isinstance(tui.app.screen, RunsScreen))
        assert tui.app.return_code is None


# -- keys, themes, colours ----------------------------------------------------------------------


async def test_keys_of_ones_own_replace_ours_and_what_is_unknown_is_said() -> None:
    async with open_studio() as client:
        keys = {"grid.down": "f9", "runs.cancle": "x"}
        await run(client, "greet", "ada")
        await run(client, "greet", "bob")
        async with open_tui(client, preferences=Preferences("wf-pink", keys)) as tui:
            await tui.until(lambda: len(tui.said) == 2)
            assert tui.said == [
                "there is no theme 'wf-pink'; the palette lists them",
                "keys: there is no action 'runs.cancle'; did you mean 'runs.cancel'?",
            ]
            grid = tui.app.screen.query_one(Grid)
            await tui.until(lambda: len(grid.rows) == 2)
            await tui.press("j")
            assert grid.cursor == 0
            await tui.press("f9")
            assert grid.cursor == 1


async def test_a_key_that_means_two_things_is_told() -> None:
    async with open_studio() as client:
        async with open_tui(client, preferences=Preferences(None, {"runs.cancel": "w"})) as tui:
            await tui.until(lambda: tui.said == ["keys: 'w' is runs.cancel, and runs.wake, too"])


async def test_a_theme_that_is_preferred_is_taken() -> None:
    async with open_studio() as client:
        async with open_tui(client, preferences=Preferences("wf-light")) as tui:
            assert tui.app.theme == "wf-light"
            assert tui.app.screen.styles.background.hex == "#FFFFFF"


async def test_without_colours_what_is_chosen_is_shown_in_reverse(monkeypatch) -> None:
    async with open_studio() as client:
        monkeypatch.setenv("NO_COLOR", "1")
        await run(client, "greet", "ada")
        async with open_tui(client) as tui:
            await tui.until_shown("greet")
            styles = [
                segment.style
                for strip in tui.app.screen._compositor.render_strips()
                for segment in strip.apply_filter(tui.app.get_line_filters()[-1], tui.app.screen.styles.background)
                if segment.style is not None
            ]
            assert all(style.color is None or style.color.is_default for style in styles)
            assert all(style.bgcolor is None or style.bgcolor.is_default for style in styles)
            row = next(strip for strip in tui.app.screen._compositor.render_strips() if "✓ completed" in strip.text)
            assert any(
                segment.style is not None and segment.style.reverse for segment in row if "completed" in segment.text
            )


async def test_what_an_attachment_is_is_always_said() -> None:
    async with open_studio() as client:
        async with open_tui(client, LARGE) as tui:
            assert tui.lines[0].endswith("world .wf/world.db · no server")
        view = await client.start("studio.approve", ["ada"])
        await rest(client, view.id)


@pytest.mark.parametrize("is_own_process", [True, False])
async def test_what_is_loaded_for_a_screen_is_left_out_of_later_collections(is_own_process: bool) -> None:
    async with open_studio() as client:
        app = StudioApp(Attachment(client, client.session.settings), is_own_process=is_own_process)
        before = gc.get_freeze_count()
        try:
            async with app.run_test() as pilot:
                await until_shown(pilot, "no run yet")
                await pilot.pause()
                assert is_own_process is (gc.get_freeze_count() > before), "another's memory is its own affair"
        finally:
            gc.unfreeze()
