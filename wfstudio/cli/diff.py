"""`wf diff`: two runs side by side, or one run against the code of deployments. Exit code 1: they differ."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from wfstudio.cli import parameters
from wfstudio.cli.completion import complete_run
from wfstudio.cli.connection import carry_out, find_run, open_client
from wfstudio.cli.exits import FAILED
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal, results
from wfstudio.core.bench.views import ChangeView
from wfstudio.core.client import Client
from wfstudio.core.diff_code import diff_code
from wfstudio.core.diff_views import CodeDiffView, DiffCallView, DiffRunView, DiffSideView, DiffView
from wfstudio.core.reasons import short_name
from wfstudio.core.replays import Replays
from wfstudio.text.moments import show_ms
from wfstudio.text.printable import printable, to_json
from wfstudio.text.verdicts import draw_verdict
from wfstudio.text.widths import cut

MOST_CHANGES: Final = 10
"""Places of one value that are shown; `--json` gives more."""

MOST_CALLS: Final = 100
MOST_TIMES: Final = 5
_LONGEST_VALUE: Final = 60
_SIGNS: Final = {"changed": ("~", "yellow"), "only_a": ("-", "red"), "only_b": ("+", "green"), "same": (" ", "dim")}
_KINDS: Final = {
    "changed": ("~", "yellow"),
    "removed": ("-", "red"),
    "added": ("+", "green"),
    "retyped": ("~", "yellow"),
}


def diff(
    run: parameters.Run,
    other: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The run to compare it with.", autocompletion=complete_run),
    ] = None,
    codes: Annotated[
        list[str] | None,
        typer.Option(
            "--code",
            metavar="CODE",
            help="Replay the run against this code: a deployment's id, today, latest or own; may be given twice.",
        ),
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="List calls that do not differ, too.")] = False,
    is_locked: Annotated[bool, typer.Option("--locked", help="Do not decrypt: compare no payload.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Compare two runs call by call: where they part first, what went in and came out otherwise, and the times.

    With --code one run is replayed against a deployment, or two. Exit code 1: they differ.

    Examples:

        wf diff wrun_01K3 wrun_01K4

        wf diff wrun_01K3 --code dep_5f2b --code today
    """
    if codes and other is not None:
        raise Misuse("two runs are compared, or one run with code", hint="leave out the second run, or --code")
    if not codes and other is None:
        raise Misuse("name the run to compare it with, or code", hint="`wf diff RUN RUN`, or `wf diff RUN --code own`")

    async def compare() -> int:
        async with open_client(world) as client:
            a = await find_run(client, run)
            if codes:
                return await _compare_code(client, a, codes, is_json=is_json)
            b = await find_run(client, other or "")
            view = await client.diff(a, b, is_locked=is_locked, is_all=is_all or not is_json)
            terminal = results()
            if is_json:
                terminal.print_json(view)
            else:
                terminal.print(*draw_diff(terminal, view, is_all=is_all))
            return 0 if view.is_same else FAILED

    return carry_out(compare())


async def _compare_code(client: Client, run_id: str, codes: list[str], *, is_json: bool) -> int:
    replays = Replays(client.session)
    try:
        view = await diff_code(replays, run_id, codes)
    finally:
        await replays.close()
    terminal = results()
    if is_json:
        terminal.print_json(view)
    else:
        terminal.print(*draw_code_diff(terminal, view, replays.workbench.root))
    return 0 if view.is_same else FAILED


# -- two runs -----------------------------------------------------------------------------------


def draw_diff(terminal: Terminal, view: DiffView, *, is_all: bool = False) -> list[str]:
    """Draw two runs side by side."""
    lines = [*_draw_runs(terminal, view), "", _draw_verdict(terminal, view)]
    for title, changes in (("input", view.input), ("attributes", view.attributes)):
        lines += _draw_changes(terminal, changes, 2, title)
    shown = [call for call in view.calls if is_all or call.state != "same"]
    if shown:
        lines += ["", *_draw_calls(terminal, shown[:MOST_CALLS])]
    if len(shown) > MOST_CALLS or view.more_calls:
        more = len(shown) - MOST_CALLS + view.more_calls
        lines.append(terminal.paint(f"  {more} more calls; `--json` lists more of them", "dim"))
    output = _draw_changes(terminal, view.output, 2, "output")
    lines += ["", *output] if output else []
    times = _list_times(view)
    if times:
        lines += ["", f"times    {', '.join(times)}"]
    if view.is_locked:
        lines += ["", "payloads were not opened: only what is clear is compared"]
    return [*lines, "", _count(view)]


def _draw_runs(terminal: Terminal, view: DiffView) -> list[str]:
    columns = [
        Column(""), Column("run"), Column("status"), Column("workflow", is_flexible=True),
        Column("took", is_number=True), Column("delta", is_number=True), Column("code", is_flexible=True),
    ]  # fmt: skip
    rows = [
        [name, run.id, terminal.show_status(run.status), printable(run.workflow), show_ms(run.duration_ms),
         _show_delta(view.delta_ms) if name == "b" else "", run.deployment_id or ""]
        for name, run in (("a", view.a), ("b", view.b))
    ]  # fmt: skip
    errors = [_draw_error(terminal, name, run) for name, run in (("a", view.a), ("b", view.b)) if run.error is not None]
    return [*draw_table(terminal, columns, rows), *errors]


def _draw_error(terminal: Terminal, name: str, run: DiffRunView) -> str:
    assert run.error is not None
    text = f"{run.error.type or run.error.code}: {run.error.message or ''}".rstrip(": ")
    return terminal.paint(f"{name} failed with {cut(printable(text), 200, terminal.ellipsis)}", "red")


def _draw_verdict(terminal: Terminal, view: DiffView) -> str:
    if view.is_same:
        return terminal.paint("they are the same", "green")
    found = view.divergence
    if found is None:
        return terminal.paint("they differ in nothing but their attributes", "yellow")
    places = [f"event {seq} of {name}" for name, seq in (("a", found.seq_a), ("b", found.seq_b)) if seq is not None]
    where = f" at {' and '.join(places)}" if places else ""
    return terminal.paint(f"they part{where}: {printable(found.text)}", "yellow")


def _draw_calls(terminal: Terminal, calls: list[DiffCallView]) -> list[str]:
    columns = [Column("call", is_flexible=True), Column("a", is_number=True), Column("b", is_number=True),
               Column("delta", is_number=True), Column("status")]  # fmt: skip
    rows = [
        [_name(call, terminal), _took(call.a), _took(call.b), _show_delta(call.delta_ms), _status(call)]
        for call in calls
    ]
    table = draw_table(terminal, columns, rows)
    lines = table[:1]
    for call, line in zip(calls, table[1:], strict=True):
        lines.append(terminal.paint(line, _SIGNS[call.state][1]) if call.state != "same" else line)
        lines += _draw_changes(terminal, [*call.input, *call.output], 4, None, more=call.more_changes)
    return lines


def _name(call: DiffCallView, terminal: Terminal) -> str:
    name = printable(short_name(call.name) or call.name)
    text = name if call.kind in ("step", "operation") or name == call.kind else f"{call.kind} {name}"
    count = f"#{call.occurrence}" if call.occurrence > 1 else ""
    return f"{_SIGNS[call.state][0]} {text}{count}"


def _took(side: DiffSideView | None) -> str:
    return "" if side is None else show_ms(side.duration_ms)


def _status(call: DiffCallView) -> str:
    statuses = [side.status for side in (call.a, call.b) if side is not None]
    return " / ".join(dict.fromkeys(statuses))


def _draw_changes(
    terminal: Terminal, changes: list[ChangeView], indent: int, title: str | None, *, more: int = 0
) -> list[str]:
    lines = [title] if title is not None and changes else []
    for change in changes[:MOST_CHANGES]:
        sign, style = _KINDS[change.kind]
        values = [_show_value(terminal, value) for value in (change.before, change.after)]
        arrow = "→" if terminal.is_unicode else "->"
        shown = {"added": values[1], "removed": values[0]}.get(change.kind, f" {arrow} ".join(values))
        note = " (another type)" if change.kind == "retyped" else ""
        lines.append(terminal.paint(f"{' ' * indent}{sign} {printable(change.path)}  {shown}{note}", style))
    left = more + max(0, len(changes) - MOST_CHANGES)
    if left:
        lines.append(terminal.paint(f"{' ' * indent}{left} more places", "dim"))
    return lines


def _show_value(terminal: Terminal, value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"$large"}:
        return f"{value['$large']} bytes"
    return cut(printable(to_json(value)), _LONGEST_VALUE, terminal.ellipsis)


def _show_delta(ms: float | None) -> str:
    return "" if ms is None else f"{'-' if ms < 0 else '+'}{show_ms(abs(ms))}"


def _list_times(view: DiffView) -> list[str]:
    """Name the calls whose times differ most."""
    timed = [call for call in view.calls if call.delta_ms is not None and abs(call.delta_ms) >= 1]
    timed.sort(key=lambda call: -abs(call.delta_ms or 0))
    return [f"{_plain_name(call)} {_show_delta(call.delta_ms)}" for call in timed[:MOST_TIMES]]


def _plain_name(call: DiffCallView) -> str:
    name = printable(short_name(call.name) or call.name)
    return f"{name}#{call.occurrence}" if call.occurrence > 1 else name


def _count(view: DiffView) -> str:
    parts = [f"{view.same_calls} {'call is' if view.same_calls == 1 else 'calls are'} the same"]
    for count, words in (
        (view.changed_calls, "differ" if view.changed_calls != 1 else "differs"),
        (view.only_a, "only in a"),
        (view.only_b, "only in b"),
    ):
        parts += [f"{count} {words}"] if count else []
    return ", ".join(parts)


# -- one run against code -----------------------------------------------------------------------


def draw_code_diff(terminal: Terminal, view: CodeDiffView, root: str) -> list[str]:
    """Draw what one code, or two, makes of a run."""
    lines: list[str] = []
    for verdict in view.codes:
        lines += [*draw_verdict(terminal, verdict, None), ""]
    if len(view.codes) > 1 and view.first is not None:
        parting = view.codes[view.first]
        lines.append(f"{parting.deployment_id or 'the code that does not load'} parts from the log first")
    if view.files:
        lines.append(f"files that differ: {', '.join(printable(path) for path in view.files)}")
    return lines if lines[-1] else lines[:-1]
