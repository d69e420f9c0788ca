"""Checks of what workers have loaded: from the kept files, by the runtime's ids, once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.wfstudio.recorded import recording
from wf.deployment import keep_deployment
from wf.keys import Keyring
from wf.loading import load_target
from wf.session import Session
from wf.settings import load_settings
from wf.worlds.memory import MemoryWorld
from wfstudio.core.check.deployments import CodeChecks, examine_here
from wfstudio.core.check.findings import CheckView, Report
from wfstudio.core.errors import NotFoundError

FLOW = """
    import time
    import wf

    NAME = "computed"


    def now() -> float:
        return time.time()


    @wf.workflow(name=f"{NAME}.name")
    async def buy(order: str) -> float:
        return now()


    @wf.workflow
    async def fine(order: str) -> str:
        return order
"""


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, root: str, files: Mapping[str, bytes]) -> Report:
        self.calls += 1
        return await examine_here(root, files)


async def test_findings_name_workflows_as_the_runtime_does(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        view = await CodeChecks(found.session).check()
        assert view.deployment_id == found.session.deployment_id
        assert (view.errors, view.files, view.workflows) == (1, 1, ["computed.name", "flow:fine"])
        [finding] = view.findings
        assert (finding.code, finding.file, finding.line, finding.workflows) == (
            "WF101",
            "flow.py",
            8,
            ["computed.name"],
        )


async def test_a_workflows_view_has_its_findings(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        checks = CodeChecks(found.session, examine=examine_here)
        views = {view.id: view for view in await checks.add_findings(await found.client.list_workflows())}
        [finding] = views["computed.name"].findings
        assert (finding.code, finding.severity, finding.run_id) == ("WF101", "error", None)
        assert (finding.file, finding.line, finding.column) == ("flow.py", 8, 12)
        assert finding.fix == "ask `wf.now()` or `wf.time_ns()`, or ask the clock in a step"
        assert finding.more == "docs/rules/WF101.md"
        assert views["flow:fine"].findings == []


async def test_the_kept_files_are_read_and_not_those_of_the_disk(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        (tmp_path / "flow.py").write_text("import wf\n")
        assert (await CodeChecks(found.session, examine=examine_here).check()).errors == 1


async def test_a_deployment_is_checked_once(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        examine = Counting()
        checks = CodeChecks(found.session, examine=examine)
        assert await checks.check() == await checks.check(found.session.deployment_id)
        assert examine.calls == 1
        found.edit("time.time()", "1.0")
        await keep_deployment(found.session, load_target(str(tmp_path / "flow.py")))
        assert (await checks.check()).errors == 0
        assert (await checks.check(found.session.deployment_id)).errors == 1
        assert examine.calls == 2


async def test_what_is_not_kept_is_not_found(tmp_path: Path) -> None:
    async with recording(tmp_path, FLOW) as found:
        with pytest.raises(NotFoundError, match="no deployment has the id 'dep_1'"):
            await CodeChecks(found.session).check("dep_1")


async def test_where_no_code_is_known_there_is_nothing_to_find(tmp_path: Path) -> None:
    session = Session(MemoryWorld(), Keyring([bytes(32)]), load_settings(tmp_path))
    checks = CodeChecks(session, examine=examine_here)
    assert await checks.check() == CheckView()
    assert await checks.add_findings([]) == []
