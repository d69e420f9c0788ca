"""The query screen: SQL that is typed, what it answers, and what becomes of it. The process that answers is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pyarrow.parquet
import pytest
from textual.pilot import Pilot

from tests.wfstudio.studio import open_studio, run
from tests.wfstudio.tui.pictures import check_picture
from tests.wfstudio.tui.stage import LARGE, SMALL, open_app, read_screen, type_text, until, until_shown
from wf.settings import load_settings
from wfstudio.tui import asked, results
from wfstudio.tui.app import StudioApp
from wfstudio.tui.attachment import attach
from wfstudio.tui.screens.query import QueryScreen
from wfstudio.tui.screens.run import RunScreen
from wfstudio.tui.widgets.grid import Grid
from wfstudio.tui.widgets.headline import Headline
from wfstudio.tui.widgets.shelf import Shelf
from wfstudio.tui.widgets.sql_editor import SqlEditor

ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a world with three runs that nobody serves."""
    folder = tmp_path_factory.mktemp("world")

    async def seed() -> None:
        async with open_studio("sqlite", folder) as client:
            for name in ("ada", "grace"):
                await run(client, "studio.greet", name)
            await run(client, "studio.fail", "no")

    asyncio.run(seed())
    return folder


@asynccontextmanager
async def open_query(world: Path, root: Path, size: tuple[int, int] = SMALL) -> AsyncIterator[Pilot[None]]:
    settings = msgspec.structs.replace(load_settings(), world=f"sqlite:///{world}/world.db", root=root)
    async with attach(settings) as attachment:
        app = StudioApp(attachment)
        async with app.run_test(size=size, notifications=True) as pilot:
            await app.switch("query")
            await until(pilot, lambda: isinstance(app.screen, QueryScreen) and app.screen.is_ready)
            yield pilot


def screen_of(pilot: Pilot[None]) -> QueryScreen:
    assert isinstance(pilot.app.screen, QueryScreen)
    return pilot.app.screen


async def ask(pilot: Pilot[None], sql: str) -> None:
    pilot.app.screen.query_one(SqlEditor).load_text(sql)
    await pilot.press("ctrl+j")


@pytest.fixture(autouse=True)
def nothing_asked(world: Path) -> None:
    asked.asked_path(world / "world.db").unlink(missing_ok=True)


async def test_the_first_query_is_there_and_is_answered(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        await until_shown(
            pilot, "Runs by workflow and status", "ctrl+j runs the query", "10 000 rows are shown at most"
        )
        await pilot.press("ctrl+j")
        await until_shown(pilot, "studio.greet  completed     2", "studio.fail   failed        1", "2 rows in ")
        assert screen_of(pilot).command() == (
            "wf query 'SELECT workflow, status, count(*) AS runs FROM runs GROUP BY ALL ORDER BY runs DESC'"
        )
        screen_of(pilot).editor.load_text("")
        assert screen_of(pilot).command() == "wf query"


async def test_what_is_typed_is_completed_and_asked(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        editor = screen_of(pilot).editor
        editor.load_text("SELECT count(*) AS n FROM ")
        editor.move_cursor(editor.document.end)
        await type_text(pilot, "ru")
        await until_shown(pilot, "runs  One row a run.")
        await pilot.press("tab", "ctrl+j")
        await until_shown(pilot, "SELECT count(*) AS n FROM runs", "1 row in ")
        assert screen_of(pilot).result.rows == [["3"]]


async def test_offers_are_walked_through_taken_and_left(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        editor = screen_of(pilot).editor
        editor.load_text("SELECT ")
        editor.move_cursor(editor.document.end)
        await type_text(pilot, "re")
        await until(pilot, lambda: editor.is_offering)
        await pilot.press("escape")
        assert not editor.is_offering
        assert screen_of(pilot).focused is editor
        await type_text(pilot, "t")
        await until(pilot, lambda: editor.is_offering)
        await pilot.press("down", "enter")
        assert editor.text == "SELECT retries"
        await type_text(pilot, "\n")
        assert editor.text == "SELECT retries\n"


async def test_a_mistake_is_told_with_its_place_and_cure(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        await ask(pilot, "SELECT x\nFROM nowhere")
        await until_shown(pilot, "nowhere does not exist", "fix: the shelf (f2) lists the tables")
        assert screen_of(pilot).result is None
        await pilot.press("escape", "slash", "x", "escape", "question_mark")
        await until_shown(pilot, "What is said where there are no rows")
        await pilot.press("escape", "colon")
        await type_text(pilot, "hooks\n")  # outside of the editor, keys are the screen's
        await until_shown(pilot, "Nothing waits for you")
        assert pilot.app.get_screen_stack("query")[0].query_one(SqlEditor).text.startswith("xSELECT x")


async def test_a_query_that_never_ends_is_ended(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        await ask(pilot, ENDLESS)
        await until_shown(pilot, "of 30 s · esc ends it")
        await pilot.press("escape")
        await until_shown(pilot, "the query was cancelled")
        assert not screen_of(pilot).is_asking
        await ask(pilot, "SELECT 40 + 2 AS n")
        await until_shown(pilot, "1 row in")


async def test_no_more_rows_are_shown_than_is_said(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        await ask(pilot, f"SELECT n FROM range({results.ROWS + 5}) AS t(n)")
        await until_shown(pilot, "10 000 rows, and more: the answer was cut there in ")
        await pilot.press("escape", "end")
        await until_shown(pilot, "9999")


async def test_an_answer_is_drawn_by_the_columns_that_are_chosen(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        await ask(pilot, "SELECT * FROM (VALUES ('a', 1, 20), ('b', 2, 10)) AS t(name, n, m)")
        await until_shown(pilot, "2 rows in ")
        await pilot.press("f3")
        await until_shown(pilot, "‹ bar ›", "across ‹ name ›", "a bar chart of n, m by name, 2 rows", "█ n", "█ m")
        screen_of(pilot).query_one("#chart-y-2").focus()
        await pilot.press("space")
        await until(pilot, lambda: "█ m" not in read_screen(pilot.app))
        screen_of(pilot).query_one("#chart-kind").focus()
        await pilot.press("right")
        await until_shown(pilot, "‹ scatter ›")
        await pilot.press("v")
        await until_shown(pilot, "a     1  20")
        await ask(pilot, "SELECT 'a' AS name")
        await until_shown(pilot, "1 row in ")
        await pilot.press("f3")
        await until_shown(pilot, "There is no number to draw")


async def test_a_row_is_seen_whole_and_its_run_is_opened(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        await ask(pilot, "SELECT run_id, input, NULL AS nothing FROM runs WHERE status = 'failed'")
        await until_shown(pilot, "1 row in ")
        await pilot.press("escape", "enter")
        await until_shown(pilot, "row 1", '"message": "no"', "nothing  NULL")
        await pilot.press("escape", "o")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))


async def test_a_query_is_kept_with_the_project_and_taken_from_the_shelf(world, tmp_path):
    async with open_query(world, tmp_path, LARGE) as pilot:
        await until_shown(pilot, "the project's", "none yet", "failures")
        screen_of(pilot).editor.load_text("-- Mine.\nSELECT 17 AS mine")
        await pilot.press("ctrl+s")
        await until_shown(pilot, "Save the query")
        await type_text(pilot, "No")
        await pilot.press("ctrl+s")
        await until_shown(pilot, "'No' is no name for a query")
        await pilot.press("backspace", "backspace")
        await type_text(pilot, "own")
        await pilot.press("ctrl+s")
        await until_shown(pilot, "kept as queries/own.sql", "Mine.")
        assert (tmp_path / "queries" / "own.sql").read_text() == "-- Mine.\nSELECT 17 AS mine\n"
        screen_of(pilot).editor.load_text("SELECT 18 AS mine")
        await pilot.press("ctrl+s")
        await until_shown(pilot, "Save the query")
        await type_text(pilot, "own")
        await until_shown(
            pilot, "There is one of this name; it is replaced.", "wf query --save own 'SELECT 18 AS mine'"
        )
        await pilot.press("ctrl+s")
        await until(pilot, lambda: (tmp_path / "queries" / "own.sql").read_text() == "SELECT 18 AS mine\n")
        screen_of(pilot).editor.load_text("SELECT 1")
        await pilot.press("f2", "down", "enter")
        await until_shown(pilot, "SELECT 18 AS mine", "1 row in ")


async def test_tables_and_columns_are_looked_up_and_written(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        screen_of(pilot).editor.load_text("FROM")
        screen_of(pilot).editor.move_cursor((0, 4))
        await pilot.press("f2")
        await until_shown(pilot, "from wf", "failures")
        await pilot.press("2", "j", "enter")
        await until_shown(pilot, "One row a run.", "attributes MAP(VARCHAR, VARCHAR)")
        await pilot.press("j", "enter")
        await until(pilot, lambda: screen_of(pilot).editor.has_focus)
        assert screen_of(pilot).editor.text == "FROM run_id"
        assert not screen_of(pilot).query_one(Shelf).display


async def test_what_was_asked_is_kept_for_the_next_time_and_for_the_prompt(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        await ask(pilot, "SELECT 1 AS a")
        await until_shown(pilot, "1 row in ")
        await ask(pilot, "SELECT 2 AS b")
        await until_shown(pilot, "│b")
    assert asked.read_asked(asked.asked_path(world / "world.db")) == ["SELECT 2 AS b", "SELECT 1 AS a"]
    async with open_query(world, tmp_path) as pilot:
        await until_shown(pilot, "SELECT 2 AS b")
        await pilot.press("f2", "3")
        await until_shown(pilot, "SELECT 1 AS a")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: screen_of(pilot).editor.text == "SELECT 1 AS a")
        assert screen_of(pilot).result is None  # what was asked before is not asked again unasked


async def test_what_the_names_of_a_query_stand_for_is_asked_for_and_remembered(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        screen = screen_of(pilot)
        screen.editor.load_text("SELECT count(*) AS found, $more + 1 AS more FROM runs WHERE workflow LIKE $name")
        await pilot.press("ctrl+j")
        await until_shown(pilot, "Values for the query", "$more", "$name", "--param more=")
        await type_text(pilot, "41")
        await pilot.press("tab")
        await type_text(pilot, "%greet")
        await until_shown(pilot, "--param more=41 --param name=%greet")
        await pilot.press("enter")
        await until(pilot, lambda: screen.result is not None)
        assert screen.result is not None and dict(screen.result.record(0)) == {"found": "2", "more": "42"}
        assert screen.command().endswith("--param more=41 --param name=%greet")
        screen._focus_answer()
        await pilot.press("x")
        await until_shown(pilot, "Export all rows", "--param more=41")
        path = tmp_path / "found.csv"
        await pilot.press("ctrl+u")
        await type_text(pilot, str(path))
        await pilot.press("enter")
        await until(pilot, path.exists)
        assert path.read_text().split() == ["found,more", "2,42"]
    async with open_query(world, tmp_path) as pilot:
        screen = screen_of(pilot)
        screen.editor.load_text("SELECT $name AS said")
        await pilot.press("ctrl+j")
        await until_shown(pilot, "%greet")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, QueryScreen))
        assert screen.result is None, "who leaves it asks nothing"


async def test_all_rows_go_into_a_file_in_the_format_of_its_name(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        await ask(pilot, f"SELECT n FROM range({results.ROWS + 5}) AS t(n)")
        await until_shown(pilot, "and more")
        await pilot.press("f4")
        await until_shown(pilot, "Export all rows", "wf query 'SELECT n FROM range(10005) AS t(n)' -o query.csv")
        pilot.app.screen.query_one("#file").value = "rows.xls"  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.press("ctrl+s")
        await until_shown(pilot, "'rows.xls' does not say in which format", "fix: end its name in .csv")
        await pilot.press("escape")
        for name in ("rows.csv", "rows.parquet"):
            await pilot.press("f4")
            await until_shown(pilot, "Export all rows")
            pilot.app.screen.query_one("#file").value = str(tmp_path / name)  # type: ignore[attr-defined]
            await pilot.pause()
            await pilot.press("ctrl+s")
            await until(pilot, (tmp_path / name).exists)
        await until_shown(pilot, "10005 rows are in")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == results.ROWS + 6
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").num_rows == results.ROWS + 5


async def test_values_of_others_steer_nothing(world, tmp_path):
    async with open_query(world, tmp_path) as pilot:
        hostile = (
            "SELECT chr(27) || '[2J' AS \"[red]\x1b[2J\", '[bold]b[/]' AS b, chr(8238) || 'x' AS c, '日本' AS d, 1 AS n"
        )
        await ask(pilot, hostile)
        screen = await until_shown(pilot, r"\x1b[2J", "[bold]b[/]", r"\u202ex", "日本")
        assert "\x1b" not in screen
        await pilot.press("f3")
        assert "\x1b" not in await until_shown(pilot, "█ n")
        await pilot.press("f3", "escape", "enter")
        assert "\x1b" not in await until_shown(pilot, "row 1")


async def test_a_world_in_memory_says_that_sql_needs_a_file(tmp_path):
    async with open_studio() as client:
        client.session.settings = msgspec.structs.replace(client.session.settings, world="memory://")
        async with open_app(client, "query", root=tmp_path) as pilot:
            await until_shown(pilot, "SQL needs a world in a file")
            await pilot.press("ctrl+j")
            assert not screen_of(pilot).is_asking


async def test_the_screen_as_it_looks(world, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "show_ms", lambda milliseconds: "3.5 ms")
    async with open_query(world, tmp_path, (120, 36)) as pilot:
        await ask(
            pilot,
            "-- How long calls take, and how often they fail\n"
            "SELECT name, calls, round(p95_ms, 1) AS p95_ms\n"
            "FROM (VALUES ('flow:charge', 1204, 87.123), ('flow:ship', 311, 12.5), ('flow:notify', 40, NULL))\n"
            "  AS t(name, calls, p95_ms)\n"
            "WHERE calls > 10",
        )
        await until_shown(pilot, "3 rows in 3.5 ms")
        pilot.app.screen.query_one(Grid).focus()
        await settle(pilot)
        check_picture(pilot.app, "query_table")
        await pilot.press("f3")
        await until_shown(pilot, "a bar chart of calls, p95_ms by name, 3 rows")
        await settle(pilot)
        check_picture(pilot.app, "query_chart")


async def settle(pilot: Pilot[None]) -> None:
    """Have where the world lies, which is elsewhere every time, out of the picture."""
    pilot.app.screen.query_one(Headline).label = "world .wf/world.db · no server"
    await pilot.pause()
