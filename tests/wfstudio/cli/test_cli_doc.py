"""docs/cli.md: every command, argument and option, as the program itself has them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from wfstudio.cli.app import COMMANDS, load_command

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text("utf-8")
NAMES = [name for entries in COMMANDS.values() for name in entries]


def section(title: str) -> str:
    found = re.search(rf"^### `wf {re.escape(title)}[` ].*?(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/cli.md has no section on `wf {title}`"
    return found[0]


def reference(name: str) -> str:
    """Write what the page must say of a command; paste it there."""
    command = load_command(name)
    arguments = [show_argument(p) for p in command.params if p.param_type_name == "argument"]
    lines = [f"### `{' '.join(['wf', name, *arguments])}`", "", "| option | |", "| --- | --- |"]
    for option in command.params:
        if option.param_type_name == "option":
            names = " ".join([*option.opts, *option.secondary_opts])
            shown = f"{names} {option.metavar}" if option.metavar else names
            lines.append(f"| `{shown}` | {option.help.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def show_argument(argument: Any) -> str:
    name = argument.metavar if argument.required else f"[{argument.metavar}]"
    return f"{name}..." if argument.nargs == -1 else name


@pytest.mark.parametrize("name", NAMES)
def test_a_commands_section_has_its_arguments_and_its_options(name: str) -> None:
    heading, _, table = reference(name).partition("\n\n")
    text = section(name)
    assert text.startswith(heading + "\n")
    assert table in text, f"paste:\n\n{table}"
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert named <= {option for p in load_command(name).params for option in [*p.opts, *p.secondary_opts]}


def test_the_page_has_no_other_commands() -> None:
    assert re.findall(r"^### `wf (\w+)", PAGE, re.MULTILINE) == NAMES


def test_every_example_is_a_command_line_that_can_be_read() -> None:
    """Each `wf …` line of a shell block is parsed, not run."""
    examples = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if line.startswith("wf ")
    ]
    assert len(examples) > 15
    for line in examples:
        name, *words = shlex.split(line.partition(" | ")[0].partition(" #")[0])[1:]
        if name.startswith("--"):
            continue
        load_command(name).make_context(name, words)
