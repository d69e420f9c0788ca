"""The form, as it is filled in with keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from tests.wfstudio.tui.forms.test_drafts import ORDER
from tests.wfstudio.tui.stage import read_screen, type_text
from wfstudio.tui.forms.fields import describe
from wfstudio.tui.forms.form import make_form
from wfstudio.tui.widgets.choice import Tick
from wfstudio.tui.widgets.form import SchemaForm


class FormApp(App[None]):
    def __init__(self, schema: Any) -> None:
        super().__init__()
        self.schema = schema

    def compose(self) -> ComposeResult:
        yield SchemaForm(make_form(describe(self.schema)))

    @property
    def form(self) -> SchemaForm:
        return self.query_one(SchemaForm)


@asynccontextmanager
async def fill_in(schema: Any) -> AsyncIterator[tuple[Pilot[None], FormApp]]:
    app = FormApp(schema)
    async with app.run_test(size=(80, 24)) as pilot:
        yield pilot, app  # its first field has the keys


async def test_what_is_typed_field_by_field_is_what_is_read():
    async with fill_in(ORDER) as (pilot, app):
        await type_text(pilot, "ada\n3\n")
        assert app.form.form.read().value == {"card": "ada", "amount": 3, "lines": []}


async def test_an_optional_field_is_ticked_and_then_filled_in():
    schema = {"type": "object", "properties": {"note": {"type": "string", "default": "x"}}}
    async with fill_in(schema) as (pilot, app):
        assert 'default: "x"' in read_screen(app)
        await pilot.press("space")
        await pilot.pause()
        assert isinstance(app.focused, Input)
        await type_text(pilot, "soon")
        assert app.form.form.read().value == {"note": "soon"}
        await pilot.press("shift+tab", "space")
        await pilot.pause()
        assert app.form.form.read().value == {}
        assert isinstance(app.focused, Tick)


async def test_items_are_added_and_removed():
    schema = {"type": "array", "items": {"type": "string"}}
    async with fill_in(schema) as (pilot, app):
        for text in ("a", "b"):
            await pilot.press("enter")
            await pilot.pause()
            await type_text(pilot, f"{text}\n")
            if app.focused is not None and app.focused.id == "remove":
                await pilot.press("down")
        assert app.form.form.read().value == ["a", "b"]
        app.query("#remove").first().focus()
        await pilot.press("enter")
        await pilot.pause()
        assert app.form.form.read().value == ["b"]
        assert app.focused is not None
        assert app.focused.id == "remove"


async def test_the_keys_of_a_map_are_typed():
    async with fill_in({"type": "object", "additionalProperties": {"type": "integer"}}) as (pilot, app):
        await pilot.press("enter")
        await pilot.pause()
        await type_text(pilot, "a b\n7")
        assert app.form.form.read().value == {"a b": 7}


async def test_a_variant_is_turned_to():
    async with fill_in({"type": ["string", "integer", "null"]}) as (pilot, app):
        await pilot.press("right")
        await pilot.pause()
        await pilot.press("tab")
        await type_text(pilot, "7")
        assert app.form.form.read().value == 7
        app.query_one("#kind").focus()
        await pilot.press("right")
        await pilot.pause()
        assert app.form.form.read().problems == ()
        assert app.form.form.read().value is None


async def test_a_choice_is_listed_and_taken():
    async with fill_in({"enum": ["sale", "gift", "loan"]}) as (pilot, app):
        await pilot.press("enter")
        await pilot.pause()
        assert all(word in read_screen(app) for word in ("sale", "gift", "loan"))
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert app.form.form.read().value == "loan"


async def test_problems_are_told_when_it_is_meant_and_go_when_they_are_mended():
    async with fill_in(ORDER) as (pilot, app):
        assert "is needed" not in read_screen(app)
        assert app.form.mean_it() is False
        await pilot.pause()
        assert read_screen(app).count("is needed") == 1
        assert app.focused is not None
        assert app.focused.parent is not None
        await type_text(pilot, "x")
        await pilot.pause()
        assert '"x" is not a number' in read_screen(app)
        await pilot.press("backspace", "4")
        await pilot.pause()
        assert "number" not in read_screen(app).replace("whole number", "")
        assert app.form.mean_it() is True


async def test_up_and_down_go_from_field_to_field():
    async with fill_in(ORDER) as (pilot, app):
        first = app.focused
        await pilot.press("down")
        assert app.focused is not first
        await pilot.press("up")
        assert app.focused is first


async def test_a_long_text_and_json_have_several_lines():
    schema = {"type": "object", "properties": {"any": {}}, "required": ["any"]}
    async with fill_in(schema) as (pilot, app):
        await type_text(pilot, '{\n"a":1}')
        assert app.form.form.read().value == {"any": {"a": 1}}


async def test_what_takes_nothing_says_so():
    async with fill_in({"type": "object", "properties": {}, "additionalProperties": False}) as (_, app):
        assert "It takes nothing." in read_screen(app)


@pytest.mark.parametrize("name", ["[bold]red[/]", "\x1b[2J\x1b]0;owned\x07", "日本語の名前", "\u202egnp", "[/nonsense"])
async def test_names_and_notes_of_others_are_shown_and_obeyed_by_nobody(name):
    schema = {
        "type": "object",
        "properties": {
            name: {"enum": [name, "b"], "description": name},
            f"{name}2": {"type": "string", "default": name},
        },
        "required": [name],
    }
    async with fill_in(schema) as (pilot, app):
        await pilot.press("enter")
        await pilot.pause()
        screen = read_screen(app)
        assert "\x1b" not in screen
        assert "\u202e" not in screen
        await pilot.press("escape")
        assert app.form.form.read().value == {name: name}
