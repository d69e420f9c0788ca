"""`wf check`: would a replay come to the same? The lint of workflow bodies, and the replay of runs in flight.

Exit code 1: there are errors, or with --strict warnings, or runs in flight that today's code does not fit.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Annotated, Final

import typer

from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, open_client, settle
from wfstudio.cli.exits import FAILED
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.replay import say_counts
from wfstudio.cli.terminal import Terminal, results, words
from wfstudio.core.bench.views import ReplayList
from wfstudio.core.check.checking import check_files
from wfstudio.core.check.findings import Finding, Report, show_report
from wfstudio.core.check.pages import render_page
from wfstudio.core.check.rules import BY_CODE, RULES, Rule
from wfstudio.core.check.rules.source import Unreadable
from wfstudio.core.check.targets import Scope, find_scopes
from wfstudio.core.check.texts import count_findings, describe_finding, summarize
from wfstudio.core.errors import UsageError
from wfstudio.core.excerpts import read_excerpt
from wfstudio.core.replays import Replays, list_verdicts
from wfstudio.text.printable import printable
from wfstudio.text.verdicts import draw_verdict

_STYLES: Final = {"error": "red", "warning": "yellow"}


def complete_code(incomplete: str) -> list[str]:
    return [code for code in BY_CODE if code.startswith(incomplete.upper())]


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Files, folders or modules (default: [tool.wf] modules, else discovery)."),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option("--select", metavar="CODES", help="Only these rules: `WF101,WF2` (a beginning stands for all)."),
    ] = None,
    ignore: Annotated[str | None, typer.Option("--ignore", metavar="CODES", help="Not these rules.")] = None,
    is_strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors do.")] = False,
    has_no_replay: Annotated[bool, typer.Option("--no-replay", help="Leave the runs in flight alone.")] = False,
    explained: Annotated[
        str | None,
        typer.Option("--explain", metavar="CODE", help="Show the page of a rule.", autocompletion=complete_code),
    ] = None,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Check that workflow bodies come out the same in a replay, and that the runs in flight fit today's code.

    Reads the code and does not run it. A finding is hidden by `# wf: ignore[CODE]` behind its line.

    Examples:

        wf check

        wf check flows/order.py --select WF1 --json

        wf check --explain WF101
    """
    if explained is not None:
        results().print(render_page(_find_rule(explained)).rstrip("\n"))
        return 0
    rules = _choose_rules(select, ignore)
    try:
        scopes = find_scopes(paths or [])
    except UsageError as error:
        raise Misuse.of(error) from None
    report = _join(check_files(scope.root, scope.files, rules=rules, shown_from=_find_base(scope)) for scope in scopes)
    replay = None if has_no_replay else _replay(scopes, report, world, is_all=not paths)
    if is_json:
        results().print_json(show_report(report, replay=replay))
    else:
        _show(results(), report, replay, scopes[0].root)
    is_failed = report.errors or (is_strict and report.warnings) or (replay and replay.clean < len(replay.items))
    return FAILED if is_failed else 0


# -- what is asked for --------------------------------------------------------------------------


def _choose_rules(select: str | None, ignore: str | None) -> Collection[type[Rule]]:
    wanted = set(RULES) if select is None else _read_codes(select, "--select")
    unwanted = set() if ignore is None else _read_codes(ignore, "--ignore")
    return [rule for rule in RULES if rule in wanted - unwanted]


def _read_codes(text: str, option: str) -> set[type[Rule]]:
    found: set[type[Rule]] = set()
    for word in text.upper().replace(" ", ",").split(","):
        if not word:
            continue
        named = [rule for rule in RULES if rule.code.startswith(word)]
        if not named or not word.startswith("WF"):
            hint = suggest(word, BY_CODE) or f"one of {' '.join(BY_CODE)}"
            raise Misuse(f"{option}: there is no rule {word!r:.80}", hint=hint)
        found.update(named)
    return found


def _find_rule(text: str) -> type[Rule]:
    rule = BY_CODE.get(text.upper())
    if rule is None:
        hint = suggest(text.upper(), BY_CODE) or f"one of {' '.join(BY_CODE)}"
        raise Misuse(f"--explain: there is no rule {text!r:.80}", hint=hint)
    return rule


def _find_base(scope: Scope) -> str:
    """Give the folder that files are named from: ours where they lie in it, so that an editor finds them."""
    here = os.getcwd()
    return here if all(file.startswith(os.path.join(here, "")) for file in scope.files) else scope.root


def _join(reports: Iterable[Report]) -> Report:
    found = list(reports)
    return Report(
        findings=[finding for report in found for finding in report.findings],
        workflows=[workflow for report in found for workflow in report.workflows],
        steps=sum(report.steps for report in found),
        files=sum(report.files for report in found),
    )


# -- the runs in flight ---------------------------------------------------------------------------


def _replay(scopes: list[Scope], report: Report, world: str | None, *, is_all: bool) -> ReplayList | None:
    """Replay the runs in flight, where there is a world; with paths only those of workflows that they have."""
    address = settle(world).address
    if address.kind == "memory" or (address.path is not None and not address.path.exists()):
        return None
    if any(finding.code == Unreadable.code for finding in report.findings):
        words().print("runs in flight are not replayed: the code does not load")
        return None
    ids = None if is_all else {workflow.id for workflow in report.workflows}
    return carry_out(_replay_open(scopes, ids, world))


async def _replay_open(scopes: list[Scope], ids: set[str] | None, world: str | None) -> ReplayList:
    async with open_client(world) as client:
        replays = Replays(client.session, targets=[target for scope in scopes for target in scope.targets])
        try:
            chosen = await replays.choose_runs("open")
            if ids is not None:
                rows = [await client.session.world.get_run(run_id) for run_id in chosen]
                chosen = [row.run_id for row in rows if row is not None and row.workflow in ids]
            return list_verdicts([view async for view in replays.replay_runs(chosen)])
        finally:
            await replays.close()


# -- showing it -----------------------------------------------------------------------------------


def _show(terminal: Terminal, report: Report, replay: ReplayList | None, root: str) -> None:
    for file, found in groupby(report.findings, key=lambda finding: finding.file):
        findings = list(found)
        errors = sum(finding.severity == "error" for finding in findings)
        terminal.print(f"{terminal.paint(printable(file), 'bold')}: {count_findings(errors, len(findings) - errors)}")
        for finding in findings:
            terminal.print(*_draw(terminal, finding))
        terminal.print("")
    for view in replay.items if replay is not None else []:
        if view.outcome != "clean":
            terminal.print(*draw_verdict(terminal, view, read_excerpt(root, view.where or "")), "")
    words().print(summarize(report))
    if replay is not None and replay.items:
        words().print(f"runs in flight: {say_counts(replay.items)}")


def _draw(terminal: Terminal, finding: Finding) -> list[str]:
    head, *rest = [printable(line) for line in describe_finding(finding)]
    mark = f"{finding.code} {finding.severity}"
    return [head.replace(mark, terminal.paint(mark, _STYLES[finding.severity]), 1), *rest]
