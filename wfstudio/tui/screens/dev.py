"""The dev server: what it serves, which runs do not fit the code as it is and what can be done, what it said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Final
from urllib.parse import quote

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.widget import Widget

from wf.errors import WorkflowError
from wfstudio.core.live import LiveEvent
from wfstudio.text.pen import Pen
from wfstudio.tui.dev_lines import (
    COLUMNS,
    REMEDIES,
    Diverging,
    draw_news,
    draw_status,
    draw_verdict,
    make_command,
)
from wfstudio.tui.studio_screen import StudioScreen
from wfstudio.tui.widgets.consent import ConsentScreen
from wfstudio.tui.widgets.grid import Grid
from wfstudio.tui.widgets.sheet import Sheet

SETTLE_SECONDS: Final = 0.5
"""A run that diverged may have ended: the dev server is asked again a moment after one changed."""


class DevScreen(StudioScreen):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "reload", "Load anew", id="dev.reload"),
        Binding("enter", "open", "Open", id="dev.open", show=False),
        Binding("K", "remedy('keep')", "Keep", id="dev.keep"),
        Binding("f", "remedy('fork')", "Fork", id="dev.fork"),
        Binding("s", "remedy('restart')", "Restart", id="dev.restart"),
        Binding("c", "remedy('cancel')", "Cancel", id="dev.cancel"),
    ]
    DEFAULT_CSS = """
    DevScreen #dev-status {
        height: 9;
    }
    DevScreen #dev-runs {
        height: 2fr;
    }
    DevScreen #dev-diverging {
        height: 1fr;
    }
    DevScreen #dev-verdict {
        height: 5;
    }
    DevScreen #dev-news {
        height: 1fr;
    }
    DevScreen.-fits #dev-runs {
        height: 3;
    }
    DevScreen.-fits #dev-diverging {
        display: none;
    }
    DevScreen.-fits #dev-verdict {
        height: 1fr;
    }
    DevScreen.-short.-fits #dev-news {
        height: 1fr;
    }
    DevScreen.-short #dev-status, DevScreen.-short #dev-news {
        height: 6;
    }
    """

    crumb = "dev"

    def __init__(self) -> None:
        super().__init__()
        self.diverging = Diverging()
        self._again: Timer | None = None
        self._has_dev = False

    # -- made of

    def compose_body(self) -> Iterable[Widget]:
        yield _titled(Sheet(id="dev-status", classes="pane"), "dev server")
        with Vertical(id="dev-runs", classes="pane") as runs:
            runs.border_title = "runs that do not fit the code"
            yield Grid(COLUMNS, self.diverging, id="dev-diverging")
            yield Sheet(id="dev-verdict")
        yield _titled(Sheet(id="dev-news", classes="pane"), "log")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("remedy", "open"):
            return len(self.diverging) > 0
        return super().check_action(action, parameters)

    # -- reading

    async def on_changed(self, run_ids: list[str]) -> None:
        known = {verdict["run_id"] for verdict in self.diverging.verdicts}
        if not run_ids:
            await self._look()
        elif not known.isdisjoint(run_ids):
            self._look_soon()

    async def on_dev(self, event: LiveEvent) -> None:
        self._draw_news()
        await self._look()

    def _look_soon(self) -> None:
        if self._again is None:
            self._again = self.set_timer(SETTLE_SECONDS, self._look)

    async def _look(self) -> None:
        self._again = None
        attachment = self.studio.attachment
        status: Mapping[str, Any] | None = None
        if attachment.link is not None and attachment.is_dev:
            try:
                answer: Mapping[str, Any] = await attachment.ask("GET", "/api/dev")
                status = answer["status"]
            except WorkflowError:  # it went this moment; the headline says so
                return
        url = None if attachment.link is None else attachment.link.server.url
        self._present("#dev-status", partial(_with_pen, draw_status, status, url))
        self.diverging.verdicts = [] if status is None else list(status.get("diverging", ()))
        self.query_one("#dev-diverging", Grid).refresh_rows()
        self._has_dev = status is not None
        self.set_class(not self.diverging.verdicts, "-fits")
        self._draw_verdict()
        self._draw_news()
        self.refresh_bindings()

    # -- drawing

    def _present(self, where: str, draw: Any) -> None:
        self.query_one(where, Sheet).present(draw, is_same=True)

    def _draw_verdict(self) -> None:
        if self._has_dev:
            self._present("#dev-verdict", partial(_with_pen, draw_verdict, self.selected))
        else:  # nobody knows
            self._present("#dev-verdict", lambda pen: [])

    def _draw_news(self) -> None:
        news = self.query_one("#dev-news", Sheet)
        is_at_end = news.scroll_y >= news.max_scroll_y - 1
        self._present("#dev-news", partial(_with_pen, draw_news, list(self.studio.dev_news)))
        if is_at_end:
            news.scroll_end(animate=False)

    # -- verbs

    @property
    def selected(self) -> Mapping[str, Any] | None:
        """The verdict under the cursor."""
        cursor = self.query_one("#dev-diverging", Grid).cursor
        return self.diverging.verdicts[cursor] if cursor < len(self.diverging) else None

    def command(self) -> str:
        return "wf dev" if self.selected is None else f"wf replay {self.selected['run_id']}"

    def on_grid_highlighted(self, event: Grid.Highlighted) -> None:
        self._draw_verdict()

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        self.action_open()

    def action_open(self) -> None:
        if self.selected is not None:
            self.studio.open_run(self.selected["run_id"])

    def action_reload(self) -> None:
        work = self.studio.attachment.ask("POST", "/api/dev/reload", {})
        link = self.studio.attachment.link
        command = f"curl -X POST {'' if link is None else link.server.url}/api/dev/reload"
        self.run_worker(self._do(command, work, _say_reload))

    def action_remedy(self, action: str) -> None:
        verdict = self.selected
        if verdict is None:
            return
        command = make_command(verdict, action)
        path = f"/api/runs/{quote(verdict['run_id'], safe='')}/remedy"

        def begin(is_agreed: bool | None) -> None:
            if is_agreed:
                work = self.studio.attachment.ask("POST", path, {"action": action})
                self.run_worker(self._do(command, work, _say_remedy))

        if action == "keep":
            begin(True)
        else:
            question = f"{action.capitalize()} {verdict['run_id']}? {REMEDIES[action]}."
            self.app.push_screen(ConsentScreen(question, command, action.capitalize()), begin)

    async def _do(self, command: str, work: Any, done: Any) -> None:
        await self.studio.act(command, work, done)
        await self._look()


def _say_reload(answer: Mapping[str, Any]) -> str:
    return {"loaded": "the code is loaded anew", "unchanged": "nothing that is loaded changed"}.get(
        answer["result"]["outcome"], "the code does not load; what was loaded before goes on serving"
    )


def _say_remedy(answer: Mapping[str, Any]) -> str:
    result = answer["result"]
    if result.get("new_run_id"):
        return f"it goes on as {result['new_run_id']}"
    return "it is kept on its own code" if result["action"] == "keep" else "it was asked to stop"


def _titled(widget: Sheet, title: str) -> Sheet:
    widget.border_title = title
    return widget


def _with_pen(draw: Any, *rest: Any) -> list[str]:
    """Call a drawing function with the pen, which comes last."""
    *given, pen = rest
    assert isinstance(pen, Pen)
    drawn: list[str] = draw(pen, *given)
    return drawn
