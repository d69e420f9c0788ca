"""What was given earlier is read from the world, whoever gave it."""

from __future__ import annotations

import pytest

from tests.wfstudio.studio import open_studio, rest, run
from wfstudio.core.client import Client
from wfstudio.core.errors import UsageError
from wfstudio.core.views import WorkflowView
from wfstudio.tui.earlier import INPUTS, recall_inputs, recall_payloads, show_earlier, split_arguments


async def find_workflow(client: Client, id: str) -> WorkflowView:
    return next(view for view in await client.list_workflows() if view.id == id)


async def test_inputs_are_listed_with_the_newest_first_and_each_once():
    async with open_studio() as client:
        greet = await find_workflow(client, "studio.greet")
        assert await recall_inputs(client, greet) == []
        for name in ("ada", "grace", "ada"):
            await run(client, "studio.greet", name, times=2)
        assert await recall_inputs(client, greet) == [{"name": "ada", "times": 2}, {"name": "grace", "times": 2}]


async def test_only_so_many_are_offered():
    async with open_studio() as client:
        for number in range(INPUTS + 2):
            await run(client, "studio.greet", f"n{number}")
        assert len(await recall_inputs(client, await find_workflow(client, "studio.greet"))) == INPUTS


async def test_arguments_by_place_and_any_name_come_back_as_they_are_given():
    async with open_studio() as client:
        await run(client, "studio.gather", 1, 2, 3, a="x")
        gather = await find_workflow(client, "studio.gather")
        [given] = await recall_inputs(client, gather)
        assert given == {"first": 1, "rest": [2, 3], "a": "x"}
        assert split_arguments(gather, given) == ([1, 2, 3], {"a": "x"})
        assert split_arguments(gather, {"first": 1}) == ([], {"first": 1})
        assert split_arguments(gather, {"first": 1, "rest": []}) == ([], {"first": 1})
        with pytest.raises(UsageError, match="first is left out, and rest stands behind it"):
            split_arguments(gather, {"rest": [2]})


async def test_payloads_of_hooks_of_one_kind_are_listed():
    async with open_studio() as client:
        for site, note in (("ada", "fine"), ("grace", "no")):
            waiting = await client.start("studio.approve", [site])
            await rest(client, waiting.id)
            await client.resume(f"site:{site}", {"approved": True, "note": note})
            await client.wait_for_end(waiting.id, 10)
        waiting = await client.start("studio.approve", ["last"])
        await rest(client, waiting.id)
        [hook] = await client.list_hooks()
        assert await recall_payloads(client, hook) == [
            {"approved": True, "note": "no"},
            {"approved": True, "note": "fine"},
        ]


def test_one_is_shown_on_a_line():
    assert show_earlier({"a": [1, "é"]}) == '{"a":[1,"é"]}'
    assert len(show_earlier("x" * 500)) == 80
