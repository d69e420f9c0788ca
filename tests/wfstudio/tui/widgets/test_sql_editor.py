"""The SQL editor: colours, and offers that are taken with keys and with the mouse."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import App, ComposeResult
from textual.widgets import Input

from tests.wfstudio.tui.stage import read_screen, type_text
from wfstudio.history.completion import Offer, offer_sql
from wfstudio.tui.themes import THEMES
from wfstudio.tui.widgets.sql_editor import Offers, SqlEditor


def complete(text: str, before: str) -> Sequence[Offer]:
    return offer_sql(text, before)


class EditorApp(App[None]):
    def __init__(self, text: str = "") -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name
        self.editor = SqlEditor(text, complete)

    def compose(self) -> ComposeResult:
        yield self.editor
        yield Input()


async def test_an_offer_is_clicked_on():
    app = EditorApp()
    async with app.run_test(size=(60, 16)) as pilot:
        await type_text(pilot, "SELECT waited")
        await pilot.pause()
        assert "waited_ms  DOUBLE" in read_screen(app)
        await pilot.click(Offers, offset=(2, 0))
        await pilot.pause()
        assert app.editor.text == "SELECT waited_ms"
        assert app.focused is app.editor


async def test_offers_go_when_the_keys_go_elsewhere():
    app = EditorApp()
    async with app.run_test(size=(60, 16)) as pilot:
        await type_text(pilot, "sel")
        await pilot.pause()
        assert app.editor.is_offering
        app.query_one(Input).focus()
        await pilot.pause()
        assert not app.editor.is_offering


async def test_what_is_pasted_or_loaded_is_no_word_that_is_being_typed():
    app = EditorApp()
    async with app.run_test(size=(60, 16)) as pilot:
        app.editor.insert("SELECT waited")
        await pilot.pause()
        assert not app.editor.is_offering
        await pilot.press("ctrl+@")
        assert app.editor.is_offering
        app.editor.load_text("SELECT stat")
        await pilot.pause()
        assert not app.editor.is_offering


async def test_a_word_that_is_whole_has_no_offer_of_itself():
    app = EditorApp()
    async with app.run_test(size=(60, 16)) as pilot:
        await type_text(pilot, "SUMMARIZE")
        await pilot.pause()
        assert not app.editor.is_offering


async def test_sql_is_coloured_and_what_would_steer_a_terminal_is_not_written():
    app = EditorApp("SELECT 'a\x1b[2J\u202e' -- why")
    async with app.run_test(size=(60, 16)) as pilot:
        await pilot.pause()
        screen = read_screen(app)
        assert "\x1b" not in screen
        assert "\u202e" not in screen
        assert "SELECT 'a�[2J�' -- why" in screen
        line = app.editor.get_line(0)
        assert [str(line.plain[span.start : span.end]) for span in line.spans] == ["SELECT", "'a�[2J�'", "-- why"]
        assert app.editor.text == "SELECT 'a\x1b[2J\u202e' -- why"


async def test_a_word_is_written_with_a_space_in_front_where_it_needs_one():
    app = EditorApp("FROM")
    async with app.run_test(size=(60, 16)):
        app.editor.move_cursor((0, 4))
        app.editor.insert_word("runs")
        app.editor.insert(" SELECT (")
        app.editor.insert_word("p95(")
        assert app.editor.text == "FROM runs SELECT (p95("
