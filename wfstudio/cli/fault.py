"""`wf fault`: disturb runs on purpose, under `wf dev`, and see what becomes of them."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote

import msgspec
import typer

from wf.errors import RunNotFoundError
from wf.ids import is_run_id
from wfstudio.cli import parameters
from wfstudio.cli.asking import ask_server
from wfstudio.cli.completion import complete_run, complete_workflow
from wfstudio.cli.connection import carry_out, find_run, find_server, open_client, settle
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal, results, words
from wfstudio.core.errors import UsageError
from wfstudio.core.faults import FaultError, FaultRule, describe, make_rule
from wfstudio.core.server_file import ServerFile
from wfstudio.core.views import WaitView
from wfstudio.text.printable import printable

T = TypeVar("T")

VERBS: Final = ("add", "list", "clear", "jump")
_COLUMNS: Final = [
    Column("id"),
    Column("fault", is_flexible=True),
    Column("where", is_flexible=True),
    Column("attempt", is_number=True),
    Column("probability", is_number=True),
    Column("seed", is_number=True),
]


def fault(
    verb: Annotated[
        str,
        typer.Argument(
            metavar="add|list|clear|jump",
            help="add a fault; list them; clear some, or all; jump: have a run's next due time come now.",
            autocompletion=lambda: list(VERBS),
        ),
    ] = "list",
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FAULT|ID|RUN",
            help="add: fail[=TYPE:MESSAGE], delay=DURATION, crash or twice; clear: ids; jump: a run.",
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Disturb this run.", autocompletion=complete_run)
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option(
            "--workflow", metavar="NAME", help="Disturb all runs of this workflow.", autocompletion=complete_workflow
        ),
    ] = None,
    step: Annotated[
        str | None, typer.Option("--step", metavar="STEP", help="Only this step: its name, or its number.")
    ] = None,
    hook: Annotated[
        str | None,
        typer.Option("--hook", metavar="HOOK", help="With twice: only this hook; its token, name or number."),
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="Only this attempt of a step.")
    ] = None,
    probability: Annotated[
        float, typer.Option("--probability", metavar="P", help="How often, of all that would be struck: 0 to 1.")
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Which of them: the same seed, the same ones.")] = 0,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Disturb runs on purpose: fail, delay or crash attempts of steps, deliver payloads twice, jump to a timer.

    Only under `wf dev`. Every fault is recorded on the run, as its attribute `$fault`.

    Examples:

        wf fault add fail --workflow order --step charge --attempt 1

        wf fault add 'fail=shop.Declined: no money' --run wrun_01K3

        wf fault add crash --workflow order --probability 0.1 --seed 7

        wf fault jump wrun_01K3
    """
    asked = given or []
    server = _find_dev(world)
    terminal = results()
    match verb:
        case "add":
            narrowed = {"step": step, "hook": hook, "attempt": attempt, "probability": probability, "seed": seed}
            rule = _add(server, asked, world, {"run": run, "workflow": workflow, **narrowed})
            terminal.print_json(rule) if is_json else terminal.print(*_tell(rule))
        case "list":
            rules = _convert(ask_server(server, "GET", "/api/faults")["items"], list[FaultRule])
            terminal.print_json({"items": rules}) if is_json else _show(terminal, rules)
        case "clear":
            cleared = sum(_clear(server, id) for id in asked) if asked else _clear(server, None)
            told = f"{cleared} {'fault' if cleared == 1 else 'faults'} taken back"
            terminal.print_json({"cleared": cleared}) if is_json else terminal.print(told)
        case "jump":
            _jump(server, asked, world, terminal, is_json=is_json)
        case _:
            raise Misuse(f"fault cannot {verb!r:.80}", hint=suggest(verb, VERBS) or "add, list, clear or jump")
    return 0


def _find_dev(world: str | None) -> ServerFile:
    server = find_server(settle(world))
    if server is None:
        text = "faults are injected under `wf dev` only, and none runs beside this world"
        raise FaultError(text, "start `wf dev`, and say it again")
    return server


def _add(server: ServerFile, asked: list[str], world: str | None, fields: dict[str, Any]) -> FaultRule:
    if len(asked) != 1:
        raise Misuse("name one fault", hint="fail, fail=Type:message, delay=2s, crash, or twice")
    try:
        make_rule("f", asked[0], **fields)  # what is wrong with it is told before anybody is asked
    except UsageError as error:
        raise Misuse.of(error) from None
    if fields["run"] is not None:
        fields["run"] = _name_run(fields["run"], world)
    body = {name: value for name, value in fields.items() if value is not None}
    return _convert(ask_server(server, "POST", "/api/faults", {"action": asked[0], **body}), FaultRule)


def _name_run(text: str, world: str | None) -> str:
    """Give the run that is meant; one that is yet to be started may be meant, too."""

    async def look() -> str:
        async with open_client(world) as client:
            return await find_run(client, text)

    try:
        return carry_out(look())
    except RunNotFoundError:
        if not is_run_id(text):
            raise
        words().print(printable(f"no run has the id {text} yet: the fault waits for one that is started with it"))
        return text


def _clear(server: ServerFile, id: str | None) -> int:
    path = "/api/faults" if id is None else f"/api/faults/{quote(id, safe='')}"
    return int(ask_server(server, "DELETE", path)["cleared"])


def _jump(server: ServerFile, asked: list[str], world: str | None, terminal: Terminal, *, is_json: bool) -> None:
    if not asked:
        raise Misuse("name the run: `wf fault jump RUN`", hint="`wf inspect waits` lists what runs wait for")
    for text in asked:
        run_id = _name_run(text, world)
        wait = _convert(ask_server(server, "POST", f"/api/runs/{quote(run_id, safe='')}/jump", {}), WaitView)
        if is_json:
            terminal.print_json(wait)
        else:
            terminal.print(f"{run_id}  {wait.kind} at position {wait.correlation_id}, due at {wait.due_at}, comes now")


def _convert(told: Any, type: type[T]) -> T:
    return msgspec.convert(told, type)


# -- showing them -------------------------------------------------------------------------------


def _tell(rule: FaultRule) -> list[str]:
    return [printable(f"{rule.id}  {describe(rule)}  {_say_where(rule)}")]


def _show(terminal: Terminal, rules: list[FaultRule]) -> None:
    if not rules:
        words().print("no fault is injected")
        return
    rows = [
        [rule.id, printable(describe(rule)), printable(_say_where(rule)), str(rule.attempt or ""),
         f"{rule.probability:g}", str(rule.seed)]
        for rule in rules
    ]  # fmt: skip
    terminal.print(*draw_table(terminal, _COLUMNS, rows))


def _say_where(rule: FaultRule) -> str:
    what = f"run {rule.run}" if rule.run is not None else f"workflow {rule.workflow}"
    if rule.action == "twice":
        return f"{what}, {'any hook' if rule.hook is None else f'hook {rule.hook}'}"
    return f"{what}, {'any step' if rule.step is None else f'step {rule.step}'}"
