"""The runs: all of them, newest first, live."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from wfstudio.tui.studio_screen import StudioScreen


class RunsScreen(StudioScreen):
    crumb = "runs"

    def compose_body(self) -> Iterable[Widget]:
        yield Static("", id="list", markup=False)

    async def on_changed(self, run_ids: list[str]) -> None:
        from wfstudio.core.views import RunQuery

        page = await self.client.list_runs(RunQuery(limit=50))
        self.query_one("#list", Static).update("\n".join(f"{run.id} {run.workflow} {run.status}" for run in page.items))
