"""docs/changing-code.md: its code is carried out, and its table of changes is true, line by line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wfstudio.recorded import recording
from wfstudio.cli.app import load_command
from wfstudio.core.bench.views import ReplayView

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "changing-code.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FIRST, LATER_STEP, EARLIER_STEP, BOTH_PATHS = BLOCKS
ROWS = dict(re.findall(r"^\| (.+?) \| ((?:fit|diverge).*?) \|$", PAGE, re.MULTILINE))


async def replayed(folder: Path, before: str, after: str, *, is_ended: bool = False) -> ReplayView:
    """Run `article` until it waits (or ends), put other code on the disk, and replay it."""
    async with recording(folder, before) as found:
        run_id = await found.rest("article", "tea")
        if is_ended:
            await found.client.resume("article:tea", True)
            await found.client.wait_for_end(run_id, 20)
        found.write(after)
        return await found.replays.replay_run(run_id)


async def test_a_step_after_the_point_that_a_run_has_reached_fits(tmp_path: Path) -> None:
    assert (await replayed(tmp_path, FIRST, LATER_STEP)).outcome == "clean"


async def test_a_step_before_it_diverges(tmp_path: Path) -> None:
    view = await replayed(tmp_path, FIRST, EARLIER_STEP)
    assert (view.outcome, view.recorded, view.actual) == (
        "diverges", "hook hook (position 2)", "step flow:check_spelling (position 2)",
    )  # fmt: skip


async def test_code_with_both_paths_fits_the_old_runs(tmp_path: Path) -> None:
    assert (await replayed(tmp_path, FIRST, BOTH_PATHS)).outcome == "clean"


async def test_a_step_at_the_end_extends_a_run_that_has_ended(tmp_path: Path) -> None:
    more = FIRST.replace(
        'return await publish(text) if approved else "rejected"',
        "text = await publish(text)\n    await publish(text)\n    return text",
    )
    assert (await replayed(tmp_path, FIRST, more, is_ended=True)).outcome == "extends"


# -- the table ----------------------------------------------------------------------------------

HOOKED = """
from dataclasses import dataclass

import asyncio
import wf


@dataclass
class Approval(wf.BaseHook):
    yes: bool


@wf.step
async def draft(topic: str) -> str:
    return f"about {topic}"


@wf.step
async def look_up(topic: str) -> str:
    return topic


@wf.workflow
async def article(topic: str) -> str:
    one, other = await asyncio.gather(draft(topic), look_up(topic))
    text = one
    approved = await Approval.wait(token=f"article:{topic}")
    return text
"""

Edit = Callable[[str], str]


def put(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


EDITS: dict[str, list[Edit]] = {
    "what a step does inside, its retries, its timeout, its type hints": [
        put('    return f"about {topic}"', '    print(topic)\n    return "something else"'),
        put("@wf.step\nasync def draft", '@wf.step(max_retries=9, timeout="1h")\nasync def draft'),
        put("async def draft(topic: str) -> str", "async def draft(topic: object) -> object"),
    ],
    "code between calls that leads to the same calls: names, helpers, logging": [
        put("    text = one\n", "    words = [one]\n    print(words)\n    text = words[0]\n"),
    ],
    "a call after the point that a run has reached": [put("    return text\n", "    return await draft(text)\n")],
    "a new parameter of the workflow with a default": [
        put("article(topic: str)", "article(topic: str, length: int = 3)")
    ],
    "a new field, with a default, of a hook's model": [put("    yes: bool\n", '    yes: bool\n    why: str = ""\n')],
    "a call before that point: added, taken away, moved, renamed, or with other arguments": [
        put("    text = one\n", "    text = await draft(one)\n"),
        put("    one, other = await asyncio.gather(draft(topic), look_up(topic))", "    one = await draft(topic)"),
        put('await Approval.wait(token=f"article:{topic}")', 'await Approval.wait(token="article")'),
        put("draft(topic), look_up(topic)", "draft(topic), look_up(topic.upper())"),
    ],
    "a step that is renamed, or moved to another module without `name=`": [put("draft", "sketch")],
    "another order of calls that run at the same time": [
        put("draft(topic), look_up(topic)", "look_up(topic), draft(topic)"),
    ],
}


def test_every_line_of_the_table_is_tried_and_no_other() -> None:
    assert list(ROWS) == list(EDITS)


@pytest.mark.parametrize(
    ("row", "edit"), [(row, edit) for row, edits in EDITS.items() for edit in edits], ids=lambda value: str(value)[:30]
)
async def test_a_line_of_the_table_is_true(tmp_path: Path, row: str, edit: Edit) -> None:
    expected = "clean" if ROWS[row].startswith("fit") else "diverges"
    assert (await replayed(tmp_path, HOOKED, edit(HOOKED))).outcome == expected


def test_every_command_of_the_page_can_be_read() -> None:
    lines = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(lines) >= 8
    for line in lines:
        name, *words = shlex.split(line.partition(" #")[0])[1:]
        load_command(name).make_context(name, words)
