"""The pane of a form: what is said above it, and that nothing that others wrote is obeyed."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from tests.wfstudio.tui.stage import read_screen
from wfstudio.tui.forms.fields import describe
from wfstudio.tui.forms.form import make_form
from wfstudio.tui.themes import THEMES
from wfstudio.tui.widgets.form_pane import FormPane

HOSTILE = "[bold]x[/] [/oops] \x1b[2J\u202egnp 日本語"


class PaneApp(App[None]):
    def __init__(self, schema: object) -> None:
        super().__init__()
        self.sent: list[FormPane.Sent] = []
        self.pane = FormPane(
            lambda pen: [pen.paint("facts", "bold"), "x" * (pen.width + 5)],
            None if schema is None else make_form(describe(schema)),
            title="Send it",
            verb="Send",
            write=lambda value, id: [f"wf {value}", f"curl {id}"],
            has_id=True,
        )
        for theme in THEMES:
            self.register_theme(theme)

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_form_pane_sent(self, event: FormPane.Sent) -> None:
        self.sent.append(event)


async def test_it_is_sent_with_its_id_by_key_and_by_button():
    app = PaneApp({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    async with app.run_test(size=(60, 30)) as pilot:
        await pilot.press("7", "down", "i", "d", "ctrl+s")
        await pilot.pause()
        app.query_one("#send").focus()
        await pilot.press("enter")
        await pilot.pause()
        assert [(event.value, event.id) for event in app.sent] == [({"n": 7}, "id")] * 2
        assert "$ wf {'n': 7}" in read_screen(app)


async def test_without_a_form_there_is_nothing_to_send():
    app = PaneApp(None)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("ctrl+s", "ctrl+r", "ctrl+t")
        await pilot.pause()
        assert app.sent == []
        assert "facts" in read_screen(app)


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
async def test_what_others_wrote_is_shown_as_it_is_in_every_theme(theme):
    schema = {
        "type": "object",
        "properties": {HOSTILE: {"type": "string", "description": HOSTILE, "pattern": "^$"}},
        "required": [HOSTILE],
    }
    app = PaneApp(schema)
    async with app.run_test(size=(100, 30)) as pilot:
        app.theme = theme
        await app.pane.offer_earlier([{HOSTILE: HOSTILE}])
        await pilot.press("x", "ctrl+s")
        await pilot.pause()
        assert app.sent == []
        app.query_one("#value").focus()
        await pilot.pause()
        screen = read_screen(app)
        assert "\x1b" not in screen
        assert "\u202e" not in screen
        assert "must be like ^$" in screen
        assert r"[/oops] \x1b[2J\u202egnp" in str(app.pane.border_subtitle)
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert "[bold]x[/]" in read_screen(app)
