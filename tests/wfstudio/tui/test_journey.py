"""One journey in a real terminal: start a run, watch it, approve its hook, replay a step, query, quit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import find_tmux
from tests.wfstudio.dev.process import serving
from tests.wfstudio.dev.stage import Project
from tests.wfstudio.tui.terminal import running

FLOW = '''
    from dataclasses import dataclass

    import wf


    @dataclass
    class Approval(wf.BaseHook):
        approved: bool


    @wf.step
    async def price(count: int) -> int:
        print("\\x1b[2J priced", count)
        return 7 * count


    @wf.workflow
    async def order(count: int = 6) -> str:
        """Order some, once somebody approves."""
        total = await price(count)
        decision = await Approval.wait(token="order:1", metadata={"total": total})
        return f"{total} paid" if decision.approved else "refused"
'''


@pytest.mark.acceptance
def test_a_run_is_started_watched_approved_replayed_and_queried_in_a_terminal(tmp_path: Path) -> None:
    tmux = find_tmux()
    if tmux is None:
        pytest.skip("no tmux here: apt-get install tmux")
    project = Project(tmp_path / "shop")
    project.write("flow.py", FLOW)
    with serving(project) as dev:
        dev.wait_for("reload")
        with running(tmux, project.root, "tui") as terminal:
            terminal.wait_for(r"wf  runs", r"attached to wf dev at http://127\.0\.0\.1:\d+ · live", r"no run yet")

            terminal.type(":workflows")
            terminal.press("Enter")
            terminal.wait_for(r"async def order\(count: int = 6\)", r"\$ wf start order")
            terminal.press("Enter")
            terminal.wait_for(r"\^s Send")
            terminal.press("C-s")
            terminal.wait_for(r"started")
            terminal.wait_for(r"workflows › wrun_", r"✓ price", r"● hook Approval", r"waiting for hook order:1")

            terminal.press("Escape")
            terminal.wait_for(r"(?m)^ wf  workflows  ")
            terminal.type(":hooks")
            terminal.press("Enter")
            terminal.wait_for(r'"total": 42', r"approved")
            terminal.press("Enter")
            terminal.wait_for(r"approved: true or false")
            terminal.press("Space")
            terminal.wait_for(r"""wf resume order:1 '\{"approved":true\}'""")
            terminal.press("C-s")
            terminal.wait_for(r"order:1 was resumed")

            terminal.type(":runs")
            terminal.press("Enter")
            terminal.wait_for(r"✓ completed +order")
            terminal.resize(80, 24)
            terminal.press("Enter")
            terminal.wait_for(r"runs › wrun_", r"✓ price")
            terminal.press("j")
            terminal.wait_for(r"─ price ─")
            terminal.press("S")
            terminal.wait_for(r'"count": 6', r"wf replay wrun_\w+ --step price")
            terminal.press("C-s")
            terminal.wait_for(r"✓ same as recorded", r"\\x1b\[2J priced 6")  # shown, not obeyed

            # One after the other: textual hands a key to what has the focus then, which may get to it when the next
            # screen has had keys already. A third Escape closed the prompt that was opened behind it.
            terminal.press("Escape")
            terminal.wait_for(r"1 span  2 events  3 code  4 logs  5 streams")
            terminal.resize(100, 30)
            terminal.press("Escape")
            terminal.wait_for(r"(?m)^ wf  runs  ")
            terminal.type(":query")
            terminal.press("Enter")
            terminal.wait_for(r"GROUP BY ALL")
            terminal.press("F5")
            terminal.wait_for(r"flow:order +completed +1")

            dev.stop()
            terminal.wait_for(r"the server is gone · reconnecting …")

            terminal.press("C-q")
            terminal.wait_for(r"ended 0")
