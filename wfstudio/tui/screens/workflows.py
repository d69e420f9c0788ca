"""The workflows: what there is to start, how it has gone, and a form made from its type hints.

What a server knows besides, what `wf check` and replays found, is asked of it where one runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import msgspec
from textual.binding import Binding, BindingType

from wf.errors import WorkflowError
from wfstudio.core.errors import UsageError
from wfstudio.core.live import LiveEvent
from wfstudio.core.views import RunQuery, RunView, WorkflowView
from wfstudio.text.pen import Pen
from wfstudio.tui.columns import Column
from wfstudio.tui.commands import command_of, start_command
from wfstudio.tui.descriptions import draw_workflow, say_rate
from wfstudio.tui.earlier import recall_inputs, split_arguments
from wfstudio.tui.forms.fields import Field, describe, rename_fallbacks
from wfstudio.tui.forms.form import Form, make_form
from wfstudio.tui.looking import is_wanted
from wfstudio.tui.screens.list_with_form import FormGrid, ListWithForm
from wfstudio.tui.tasks import begin_newest
from wfstudio.tui.widgets.form_pane import FormPane
from wfstudio.tui.widgets.grid import Cell, Grid

COLUMNS = (
    Column("workflow", 14, share=1),
    Column("runs", 4, align="right"),
    Column("failed", 6, align="right", from_width=32),
)


COUNT_SECONDS = 1.0
"""How often runs are counted at most: it reads the newest of every workflow."""


class WorkflowRows:
    """The workflows that are listed, as a grid shows them."""

    def __init__(self) -> None:
        self.workflows: list[WorkflowView] = []

    def __len__(self) -> int:
        return len(self.workflows)

    def cells(self, index: int) -> Sequence[Cell]:
        workflow = self.workflows[index]
        sign = "! " if workflow.findings else ""
        stats = workflow.stats
        if stats is None:
            return [sign + workflow.id, "", ""]
        rate = "" if not stats.failed else say_rate(stats.failure_rate)
        return [
            (sign + workflow.id, "warning") if sign else workflow.id,
            (str(stats.runs), "dim"),
            (rate, "error"),
        ]


class WorkflowsScreen(ListWithForm):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open_last", "Last run", id="workflows.open_last"),
    ]

    crumb = "workflows"

    def __init__(self) -> None:
        super().__init__()
        self.all: list[WorkflowView] = []
        self.rows = WorkflowRows()
        self._has_findings = False
        self._shown: WorkflowView | None = None
        self._forms: dict[str, Form] = {}
        self._target: tuple[str, bytes] | bool | None = None
        self._is_read = False
        self._is_stale = False

    # -- made of

    def make_grid(self) -> Grid:
        return FormGrid(COLUMNS, self.rows, id="workflows", classes="pane")

    def on_mount(self) -> None:
        self.set_interval(COUNT_SECONDS, self._count)

    # -- reading

    async def on_changed(self, run_ids: list[str]) -> None:
        if run_ids and self._is_read:
            self._is_stale = True
        else:
            await self._read()

    def _count(self) -> None:
        if self._is_stale and self.is_current:
            self._is_stale = False
            begin_newest(self, "stats", self._read_stats)

    async def on_dev(self, event: LiveEvent) -> None:
        if event.kind in ("reload", "check", "findings", "nondeterminism"):
            await self._read()

    async def _read(self) -> None:
        self.all, self._has_findings = await self._ask()
        self._is_read = True
        self.list_rows()

    async def _ask(self) -> tuple[list[WorkflowView], bool]:
        """Ask the server, which knows findings, else the world; say whether findings are among what is known."""
        link = self.studio.attachment.link
        if link is not None:
            try:
                answer = await self.studio.attachment.ask("GET", "/api/workflows", msgspec.UNSET)
                return msgspec.convert(answer["items"], list[WorkflowView]), True
            except (WorkflowError, msgspec.ValidationError, KeyError, TypeError):
                pass  # it goes: the world itself answers
        return await self.client.list_workflows(is_counting=True), False

    async def _read_stats(self) -> None:
        """Runs changed, and no code: only the figures are read anew."""
        try:
            stats = {view.id: view.stats for view in await self.client.list_workflows(is_counting=True)}
        except WorkflowError:
            return  # the headline says what is wrong with the world
        self.all = [msgspec.structs.replace(view, stats=stats.get(view.id, view.stats)) for view in self.all]
        self.list_rows()

    def list_rows(self) -> None:
        self.rows.workflows = [
            view
            for view in self.all
            if is_wanted(view.id, self.filter_text) and (not self.is_errors_only or _has_trouble(view))
        ]
        ids = [view.id for view in self.rows.workflows]
        shown = None if self._shown is None else self._shown.id
        self.grid.refresh_rows(ids.index(shown) if shown in ids else None)
        self.grid.border_subtitle = str(len(ids)) if len(ids) == len(self.all) else f"{len(ids)} of {len(self.all)}"
        if self._is_read:
            self.choose(self.grid.cursor)

    # -- showing

    def choose(self, index: int) -> None:
        """Show a workflow of the list; where there is none, say why. What was typed for the one before is kept."""
        workflow = self.rows.workflows[index] if 0 <= index < len(self.rows.workflows) else None
        before, self._shown = self._shown, workflow
        target = bool(self.all) if workflow is None else (workflow.id, msgspec.json.encode(workflow.schema))
        if target == self._target:
            if self.pane is not None:
                self.pane.draw_facts()  # the figures
            return
        self._target = target
        form = None if self.pane is None else self.pane.form
        if before is not None and form is not None:
            self._forms[before.id] = form
        self.detail.expect()
        begin_newest(self, "detail", partial(self._show, workflow))

    async def _show(self, workflow: WorkflowView | None) -> None:
        await self.detail.settle()
        if workflow is None:
            await self.detail.show_nothing(_draw_empty if not self.all else lambda pen: ["None is called that."])
            return
        form, kept = make_form(_make_field(workflow)), self._forms.get(workflow.id)
        pane = FormPane(
            self._draw,
            form if kept is None else form.carry_over(kept),  # its parameters may have changed meanwhile
            title="Start a run",
            verb="Start",
            write=lambda value, id: [self._write_command(workflow, value, id)],
            has_id=True,
        )
        pane.border_title = "workflow"
        await self.detail.show(pane)
        inputs = await recall_inputs(self.client, workflow)
        await pane.offer_earlier(inputs)
        if inputs and kept is None:
            await pane.fill(inputs[0])

    def _draw(self, pen: Pen) -> list[str]:
        return [] if self._shown is None else draw_workflow(pen, self._shown, has_findings=self._has_findings)

    def _write_command(self, workflow: WorkflowView, value: Any, id: str) -> str:
        is_alone = sum(view.name == workflow.name for view in self.all) <= 1
        try:
            args, kwargs = split_arguments(workflow, value if isinstance(value, dict) else {})
        except UsageError:
            args, kwargs = [], {}  # what is wrong is said when it is sent
        return start_command(workflow.name if is_alone else workflow.id, args, kwargs, id or None)

    # -- verbs

    def command(self) -> str:
        pane = self.pane
        commands = pane.commands() if pane is not None and self.detail.has_focus_within else ()
        return commands[0] if commands else command_of("inspect", "workflows")

    def go_back(self) -> bool:
        if not self.detail.has_focus_within:
            return False
        self.grid.focus()
        return True

    async def action_open_last(self) -> None:
        if self._shown is not None:
            found = await self.client.list_runs(RunQuery(workflow=self._shown.id, limit=1))
            if found.items:
                self.studio.open_run(found.items[0].id)
            else:
                self.studio.say(f"{self._shown.id} has no runs yet")

    async def on_form_pane_sent(self, event: FormPane.Sent) -> None:
        workflow, pane = self._shown, self.pane
        if workflow is None or pane is None:
            return
        command = self._write_command(workflow, event.value, event.id)
        work = self._start(workflow, event.value, event.id)
        run = await self.studio.act(command, work, lambda run: f"started {run.id}")
        if run is not None:
            self.studio.open_run(run.id)

    async def _start(self, workflow: WorkflowView, given: Any, id: str) -> RunView:
        if not isinstance(given, dict):
            raise UsageError("the arguments are no object", 'write them by name: `{"name": value}`')
        args, kwargs = split_arguments(workflow, given)
        return await self.client.start(workflow.id, args, kwargs, id=id or None)


def _make_field(workflow: WorkflowView) -> Field:
    return rename_fallbacks(describe(workflow.schema), {one.name: one.default for one in workflow.parameters})


def _has_trouble(workflow: WorkflowView) -> bool:
    return bool(workflow.findings) or (workflow.stats is not None and workflow.stats.failed > 0)


def _draw_empty(pen: Pen) -> list[str]:
    return [
        pen.paint("No workflow is loaded", "bold"),
        "",
        "A workflow is an `async def` with `@wf.workflow`. Make one, and it appears here:",
        "",
        "  wf new workflow hello",
    ]
