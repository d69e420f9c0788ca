"""`wf new`: a project from a template; `wf new workflow` and `wf new step` in one that is there.

It asks only on a terminal, and only what was not said. It never overwrites what nobody agreed to.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from wfstudio.cli import parameters
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal, results, words
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.text.printable import printable

if TYPE_CHECKING:
    from wfstudio.scaffold.plans import Plan

KINDS: Final = ("workflow", "step")


def new(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="The project's name or path; or `workflow NAME`, `step NAME` in a project."
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            "-t",
            metavar="TEMPLATE",
            help="What to begin with (default: approval).",
            autocompletion=lambda: _complete(),
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Answer one of the template's questions; may be repeated."),
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="List the templates, and what they ask.")] = False,
    module: Annotated[
        str | None,
        typer.Option("--in", metavar="MODULE", help="With workflow and step: the file or module to add it to."),
    ] = None,
    is_yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take the defaults.")] = False,
    is_forced: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    is_json: parameters.Json = False,
) -> int:
    """Write a new project: a small program that runs, with tests, a README and settings.

    Without arguments it asks. Inside a project, `wf new workflow NAME` and `wf new step NAME` add one to it, written
    as the project writes its own, with a test. `--set` answers what `--list` shows behind each template.

    Examples:

        wf new

        wf new my-flows --template approval --set days=3

        wf new step send_letter
    """
    manner = _Manner(
        is_asking=not (is_yes or is_json) and is_terminal(),
        is_forced=is_forced,
        is_dry=is_dry,
        is_json=is_json,
    )
    try:
        if is_list:
            return _list_templates(is_json=is_json)
        words_given = names or []
        if words_given and words_given[0] in KINDS:
            if template or settings:
                raise Misuse("--template and --set belong to projects", hint="leave them out")
            return _add(words_given, module, manner)
        if module:
            raise Misuse("--in belongs to workflow and step", hint="`wf new step NAME --in MODULE`")
        if len(words_given) > 1:
            raise Misuse(
                f"a project has one name, and this is {len(words_given)}", hint=f"`{'-'.join(words_given):.60}`?"
            )
        given = parameters.read_pairs(settings, "--set")
        return _make(words_given[0] if words_given else None, template, given, manner)
    except UsageError as error:
        raise Misuse.of(error) from None
    except OSError as error:  # what is there cannot be looked at; what cannot be written says so itself
        raise Misuse(f"{error.filename} cannot be read: {error.strerror}") from None


def is_terminal() -> bool:
    """Tell whether somebody can be asked, with arrow keys."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


class _Manner(msgspec.Struct, frozen=True):
    """How to go about it."""

    is_asking: bool
    is_forced: bool
    is_dry: bool
    is_json: bool


class FileView(msgspec.Struct, frozen=True):
    """`action` is `create`, `replace`, `edit`, or `keep`: it is there already as it would be written."""

    path: str
    action: str


class CommandView(msgspec.Struct, frozen=True):
    command: str
    note: str


class NewView(msgspec.Struct, frozen=True):
    """What `--json` prints. `next` is what to type then, `tests` runs the tests; `written` is false for a dry run."""

    kind: str
    name: str
    module: str
    folder: str
    template: str | None
    answers: dict[str, int]
    files: list[FileView]
    next: list[CommandView]
    tests: str
    written: bool


class QuestionView(msgspec.Struct, frozen=True):
    name: str
    question: str
    default: int
    at_least: int
    at_most: int


class TemplateView(msgspec.Struct, frozen=True):
    name: str
    summary: str
    is_default: bool
    questions: list[QuestionView]


class TemplateList(msgspec.Struct, frozen=True):
    items: list[TemplateView]


# -- the templates ----------------------------------------------------------------------------------


def _complete() -> list[str]:
    from wfstudio.scaffold.templates import list_templates

    return [template.name for template in list_templates()]


def _list_templates(*, is_json: bool) -> int:
    from wfstudio.scaffold.templates import list_templates

    terminal = results()
    views = [
        TemplateView(
            t.name,
            t.summary,
            t.is_default,
            [QuestionView(q.name, q.ask, q.default, q.at_least, q.at_most) for q in t.questions],
        )
        for t in list_templates()
    ]
    if is_json:
        terminal.print_json(TemplateList(views))
        return 0
    columns = [Column("template"), Column("what it is", is_flexible=True), Column("asks", is_flexible=True)]
    rows = [[v.name, v.summary, " ".join(f"{q.name}={q.default}" for q in v.questions)] for v in views]
    terminal.print(*draw_table(terminal, columns, rows))
    return 0


# -- a project --------------------------------------------------------------------------------------


def _make(place: str | None, wanted: str | None, given: dict[str, str], manner: _Manner) -> int:
    from wfstudio.cli import questions
    from wfstudio.scaffold import commands, projects, templates

    if wanted is not None:
        template = templates.find_template(wanted)
    elif manner.is_asking:
        options = [(t.name, t.summary) for t in templates.list_templates()]
        chosen = questions.choose("What do you want to begin with?", options, templates.default_template().name)
        template = templates.find_template(chosen)
    else:
        template = templates.default_template()
    answers = template.answer(given)
    if place is None:
        place = f"my-{template.name}"
        if manner.is_asking:
            place = questions.ask("What is it called?", place, projects.read_place)
    folder, name = projects.read_place(place)
    if manner.is_asking:
        for question in template.questions:
            if question.name not in given:
                told = questions.ask(question.ask, str(question.default), question.read)
                answers[question.name] = question.read(told)
    plan = projects.plan_project(template, folder, name, answers)
    _agree(plan.folder, projects.list_content(folder), plan.replaced, manner)
    nexts = commands.list_project_commands(template, folder, name)
    view = NewView(
        kind="project",
        name=name.distribution,
        module=name.module,
        folder=str(folder),
        template=template.name,
        answers=answers,
        files=[FileView(file.path, file.action) for file in plan.files],
        next=[CommandView(one.command, one.note) for one in nexts],
        tests=commands.make_test_command(),
        written=not manner.is_dry,
    )
    return _finish(view, plan, manner)


# -- in a project -----------------------------------------------------------------------------------


def _add(given: list[str], module: str | None, manner: _Manner) -> int:
    from wfstudio.cli import questions
    from wfstudio.scaffold import additions, commands, names

    kind: additions.Kind = "workflow" if given[0] == "workflow" else "step"
    if len(given) > 2:
        raise Misuse(f"a {kind} has one name, and this is {len(given) - 1}", hint=f"`{'_'.join(given[1:]):.60}`?")
    if len(given) == 2:
        name = given[1]
    elif manner.is_asking:
        name = questions.ask(f"What is the {kind} called?", "", lambda text: names.check_definition_name(text, kind))
    else:
        raise Misuse(f"which {kind}?", hint=f"`wf new {kind} NAME`; a project of that name is `wf new ./{kind}`")
    addition = additions.plan_addition(kind, name, target=module)
    _agree(addition.plan.folder, [], addition.plan.replaced, manner)
    nexts = commands.list_addition_commands(addition)
    view = NewView(
        kind=kind,
        name=name,
        module=addition.module,
        folder=str(addition.plan.folder),
        template=None,
        answers={},
        files=[FileView(file.path, file.action) for file in addition.plan.files],
        next=[CommandView(one.command, one.note) for one in nexts],
        tests=commands.make_test_command(),
        written=not manner.is_dry,
    )
    return _finish(view, addition.plan, manner)


# -- both -------------------------------------------------------------------------------------------


def _agree(folder: Path, content: list[str], replaced: list[str], manner: _Manner) -> None:
    """See that nothing is written over or beside what somebody has, unless they say so.

    Raises `ConflictError` where nobody can be asked, `typer.Abort` for a no.
    """
    if manner.is_forced or not (content or replaced):
        return
    shown = printable(os.path.relpath(folder))
    if replaced:
        problem = f"{_count(replaced)} in {shown} would be overwritten: {_name_some(replaced)}"
        question = "Overwrite?"
    else:
        problem = f"{shown} is not empty: it has {_name_some(content)}"
        question = "Write beside that?"
    if not manner.is_asking:
        raise ConflictError(problem, "choose another name, or say `--force`")
    from wfstudio.cli import questions

    words().print(problem)
    if not questions.confirm(question):
        raise typer.Abort


def _finish(view: NewView, plan: Plan, manner: _Manner) -> int:
    if not manner.is_dry:
        from wfstudio.scaffold.writing import write_plan

        write_plan(plan)
    terminal = results()
    if manner.is_json:
        terminal.print_json(view)
        return 0
    verb = "would be made" if manner.is_dry else "made"
    if view.kind == "project":
        said = f"{verb} from the template {view.template}"
        terminal.print(f"{terminal.paint(printable(_relate(view.folder)), 'bold')} {terminal.paint(said, 'dim')}")
    else:
        said = f"{view.kind} {view.name} {'would be ' if manner.is_dry else ''}added to {view.module}"
        terminal.print(terminal.paint(printable(said), "bold"))
    for file in view.files:
        note = "" if file.action == "create" else f"  ({_ACTIONS[file.action]})"
        terminal.print(f"  {printable(file.path)}{terminal.paint(note, 'dim')}")
    _show_next(view, terminal)
    return 0


def _show_next(view: NewView, terminal: Terminal) -> None:
    """Print commands with their notes in one column, or above them where lines are too short for both."""
    terminal.print("", "next:")
    widest = max((len(one.command) for one in view.next if one.note), default=0)
    has_room = not terminal.is_tty or all(widest + len(one.note) + 6 <= terminal.width for one in view.next)
    for one in view.next:
        command, note = printable(one.command), terminal.paint(f"# {printable(one.note)}", "dim")
        if not one.note:
            terminal.print(f"  {command}")
        elif has_room:
            terminal.print(f"  {command.ljust(widest)}  {note}")
        else:
            terminal.print(f"  {note}", f"  {command}")
    if view.kind == "project":
        terminal.print("", f"README.md says more; the tests: {printable(view.tests)}")


def _relate(folder: str) -> str:
    relative = os.path.relpath(folder)
    return relative if len(relative) < len(folder) else folder


def _count(files: list[str]) -> str:
    return f"{len(files)} file{'' if len(files) == 1 else 's'}"


def _name_some(names: list[str]) -> str:
    shown = [printable(name) for name in names[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


_SHOWN: Final = 6
_ACTIONS: Final = {"replace": "overwritten", "edit": "edited", "keep": "was there already"}
