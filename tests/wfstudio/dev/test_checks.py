"""What `wf dev` finds in the code that it has just loaded."""

from __future__ import annotations

from pathlib import Path

from tests.wfstudio.dev.stage import Project, developing, until

FLOW = """
import time
import wf

@wf.workflow
async def flow() -> float:
    return time.time()
"""


async def test_a_load_is_checked_when_it_serves_already(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    async with developing(project) as dev:
        await until(lambda: dev.told("check"), "the code is checked")
        kinds = [kind for kind, _ in dev.said if kind in ("reload", "check")]
        assert kinds == ["reload", "check"]
        [facts] = dev.told("check")
        assert (facts["errors"], facts["codes"], facts["before"]) == (1, {"WF101": 1}, 0)
        assert facts["deployment_id"] == dev.reloads[-1]["deployment_id"]
        assert facts["findings"][0]["workflows"] == ["flow:flow"]


async def test_a_save_that_mends_it_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    async with developing(project) as dev:
        await until(lambda: dev.told("check"), "the code is checked")
        await dev.save("flow.py", FLOW.replace("time.time()", "1.0"))
        await until(lambda: len(dev.told("check")) == 2, "the new code is checked")
        assert (dev.told("check")[-1]["findings"], dev.told("check")[-1]["before"]) == ([], 1)


async def test_a_save_during_a_check_begins_it_anew(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    async with developing(project) as dev:
        for number in range(3):
            await dev.save("flow.py", FLOW.replace("time.time()", f"{number} + time.time()"))
        last = dev.reloads[-1]["deployment_id"]
        await until(lambda: any(facts["deployment_id"] == last for facts in dev.told("check")), "the last is checked")
        assert dev.told("error") == []


async def test_what_was_found_belongs_to_the_workflow(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    async with developing(project) as dev:
        views = await dev.supervisor.checks.add_findings(await dev.client.list_workflows())
        assert [finding.code for finding in views[0].findings] == ["WF101"]
