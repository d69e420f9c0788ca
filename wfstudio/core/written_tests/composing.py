"""Composing: the text of a test, of what is known about its run."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from wfstudio.core.written_tests.layout import INDENT, Atom, Code, Group, lay_out, lay_out_equal, measure, quote
from wfstudio.core.written_tests.literals import Imports, sort_names
from wfstudio.core.written_tests.places import Style

MOST_CALLS: Final = 200
"""Lines of calls that a test names; of a longer run it counts them."""

REPEATS: Final = 3
"""From how many equal calls in a row on they are written as one line."""

TAKEN: Final = frozenset(
    {
        "HISTORY",
        "Path",
        "failed",
        "only",
        "pytest",
        "re",
        "recorded",
        "replayed",
        "result",
        "str",
        "sys",
        "wf",
        "wf_env",
    }
)
"""Names that a test has of its own."""


class StepTest(msgspec.Struct, frozen=True):
    """A step to be called once more. `call` is the expression for its function, `title` ends the test's name.

    Without `arguments` they are taken from the history; without `result` and `error` what it came to is.
    """

    call: str
    title: str
    number: int
    is_async: bool
    needs_run: bool
    arguments: Sequence[tuple[str, Code]] | None
    result: Code | None = None
    error: str | None = None
    message: str = ""


class Draft(msgspec.Struct, frozen=True):
    """What a test is made of. `module` defines the workflow; `path_depth` is how many folders above the test
    it is found, where pytest does not find it by itself; `project` are the modules that are the user's own."""

    command: str
    run_id: str
    workflow: str
    title: str
    history: str
    module: str
    calls: Sequence[str]
    steps: Sequence[StepTest] = ()
    path: str | None = None


def compose(draft: Draft, imports: Imports, style: Style, is_ours: set[str]) -> str:
    """Write the test. `is_ours` are the imported modules that are the project's."""
    body = [_replay_test(draft, style), *(_step_test(step, imports, style) for step in draft.steps)]
    text = "\n\n\n".join(body)
    head = [_docstring(draft), _imports(draft, imports, style, text, is_ours), _history(draft, style)]
    return "\n\n".join([*head, "", text]).replace("\n\n\n\n", "\n\n\n") + "\n"


def _docstring(draft: Draft) -> str:
    lines = [
        f"What run {draft.run_id} of {draft.workflow} did, held against today's code.",
        "",
        f"Written by `{draft.command}`; it is yours to change.",
    ]
    text = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{text}\n"""'


# -- imports ------------------------------------------------------------------------------------


def _imports(draft: Draft, imports: Imports, style: Style, text: str, is_ours: set[str]) -> str:
    name = imports.use(draft.module)
    standard = ["from pathlib import Path"]
    if "re.escape(" in text:
        standard.append("import re")
    if draft.path is not None:
        standard.append("import sys")
    others = [line for line, needed in (("import pytest", "pytest."), ("import wf", "wf.")) if _names(text, needed)]
    for line in imports.list_libraries():
        module = line.split()[1]
        (standard if module.partition(".")[0] in sys.stdlib_module_names else others).append(line)
    ours = []
    for line, module in imports.list_modules():
        if module == draft.module and not _names(text, f"{name}."):
            ours.append(f"{line}  # noqa: F401  the code that is replayed")
        elif module in is_ours or module == draft.module:
            ours.append(line if draft.path is None else f"{line}  # noqa: E402")
        elif line not in others:
            others.append(line)
    if draft.path is not None:
        ours = [re.sub(r"  # noqa: F401", "  # noqa: E402, F401", line) for line in ours]
        others.append("")
        others.append(f"sys.path.insert(0, {draft.path})")
    groups = [_sort(_merge(standard)), others if draft.path else _sort(others), _sort(ours)]
    return "\n\n".join("\n".join(group).strip("\n") for group in groups if group)


def _names(text: str, prefix: str) -> bool:
    return re.search(rf"(?<![\w.\"']){re.escape(prefix)}", text) is not None


def _merge(lines: list[str]) -> list[str]:
    """Put imports from one module on one line."""
    found: dict[str, set[str]] = {}
    plain = []
    for line in lines:
        match = re.fullmatch(r"from (\S+) import (.+)", line)
        if match is None:
            plain.append(line)
        else:
            found.setdefault(match[1], set()).update(match[2].split(", "))
    return [*plain, *(f"from {module} import {', '.join(sort_names(names))}" for module, names in found.items())]


def _sort(lines: list[str]) -> list[str]:
    return sorted(lines, key=lambda line: (line.startswith("from"), line))


def _history(draft: Draft, style: Style) -> str:
    parts = [quote(part, mark=style.mark) for part in ("histories", draft.history)]
    flat = f"HISTORY = Path(__file__).parent / {parts[0]} / {parts[1]}"
    if measure(flat) <= style.width:
        return flat
    items = [("", Atom(part)) for part in parts]
    return lay_out(Group("Path(__file__).parent.joinpath(", items, ")"), width=style.width, before="HISTORY = ")


# -- tests --------------------------------------------------------------------------------------


def _replay_test(draft: Draft, style: Style) -> str:
    lines = [f"def test_{draft.title}_replays(wf_env):", f"{INDENT}replayed = wf_env.replay(HISTORY)"]
    items = _list_calls(draft.calls, style)
    if len(items) > MOST_CALLS:
        lines.append(f"{INDENT}assert len(replayed.calls) == {len(draft.calls)}")
    else:
        calls = Group("[", [("", item) for item in items], "]")
        lines.append(INDENT + lay_out(calls, width=style.width, depth=1, before="assert replayed.calls == "))
    return "\n".join(lines)


def _list_calls(calls: Sequence[str], style: Style) -> list[Atom]:
    found: list[Atom] = []
    for call, same in groupby(calls):
        number = len(list(same))
        written = quote(call, mark=style.mark)
        if number < REPEATS:
            found += [Atom(written)] * number
        else:
            found.append(Atom(f"*[{written}] * {number}"))
    return found


def _step_test(step: StepTest, imports: Imports, style: Style) -> str:
    is_recorded = step.arguments is None or (step.result is None and step.error is None)
    parameter = "wf_env" if step.needs_run else ""
    keyword = "async def" if step.is_async or step.needs_run else "def"
    lines = [f"{keyword} test_{step.title}({parameter}):"]
    if is_recorded:
        lines.append(f"{INDENT}recorded = wf.testing.open_history(HISTORY).step({step.number})")
        if step.needs_run:
            lines.append("")
    items = step.arguments
    if items is None:
        items = [("", Atom("*recorded.args")), ("", Atom("**recorded.kwargs"))]
    if step.needs_run:
        lines += _in_a_run(step, items, imports, style)
    elif step.error is not None:
        call = Group(f"{step.call}.func(", items, ")")
        lines += [
            INDENT + _raises(step.error, step.message, imports, style),
            INDENT * 2 + lay_out(call, width=style.width, depth=2, before="await " if step.is_async else ""),
        ]
    else:
        call = Group(f"{step.call}.func(", items, ")")
        before = "result = await " if step.is_async else "result = "
        lines += [INDENT + lay_out(call, width=style.width, depth=1, before=before), INDENT + _expect(step, style)]
    return "\n".join(lines)


def _in_a_run(step: StepTest, items: Sequence[tuple[str, Code]], imports: Imports, style: Style) -> list[str]:
    """Call a step that asks for its run in a small workflow of its own."""
    call = Group(f"{step.call}(", items, ")")
    lines = [
        f"{INDENT}@wf.workflow",
        f"{INDENT}async def only():",
        INDENT * 2 + lay_out(call, width=style.width, depth=2, before="return await "),
        "",
    ]
    if step.error is None:
        return [*lines, f"{INDENT}result = await wf_env.run(only)", INDENT + _expect(step, style)]
    raises = Group("pytest.raises(", [("", Atom("wf.WorkflowRunFailedError"))], ")")
    return [
        *lines,
        INDENT + lay_out(raises, width=style.width, depth=1, before="with ", behind=" as failed:"),
        f"{INDENT * 2}await wf_env.run(only)",
        f"{INDENT}assert isinstance(failed.value.__cause__, {step.error})",
    ]


def _expect(step: StepTest, style: Style) -> str:
    if step.result is None:
        return "assert result == recorded.result"
    if isinstance(step.result, Atom) and step.result.text in ("None", "True", "False"):
        return f"assert result is {step.result.text}"
    return lay_out_equal("result", step.result, width=style.width, depth=1)


def _raises(error: str, message: str, imports: Imports, style: Style) -> str:
    items: list[tuple[str, Code]] = [("", Atom(error))]
    if message:
        written = quote(message, mark=style.mark)
        escaped = re.escape(message).replace(r"\ ", " ")
        items.append(("match=", Atom(written if escaped == message else f"re.escape({written})")))
    return lay_out(Group("pytest.raises(", items, ")"), width=style.width, depth=1, before="with ", behind=":")


def write_path(base: str, folder: str) -> str:
    """Write the expression for a folder that is put on the path, as seen from a test in `folder`."""
    relative = os.path.relpath(base, folder)
    if set(relative.split(os.sep)) == {".."}:
        return f"str(Path(__file__).resolve().parents[{relative.count('..')}])"
    place = "" if relative == "." else f" / {quote(relative.replace(os.sep, '/'))}"
    return f"str(Path(__file__).resolve().parent{place})"
