"""What a finding says, word for word."""

from __future__ import annotations

import pytest

from tests.wfstudio.core.check.stage import check, check_body
from wfstudio.core.check.texts import describe_finding, summarize

MESSAGES = {
    "time.time()": "`time.time` asks the clock",
    "time.localtime()": "`time.localtime` without a time asks the clock",
    "import random\nrandom.choice(given)": "`random.choice` draws by chance",
    "import random\nrandom.Random()": "`random.Random` without a seed draws by chance",
    "import uuid\nuuid.uuid4()": "`uuid.uuid4` makes a fresh id",
    "import os\nos.environ['A']": "`os.environ` reads the environment",
    "hash(order)": "`hash` differs from one process to the next",
    "sorted(given, key=id)": "`id` as `key` differs from one process to the next",
    "for x in {'a', 'b'}: pass": "`{'a', 'b'}` is a set, and a loop goes through it in whatever order it has",
    "list(set(given))": "`set(given)` is a set, and `list` takes its members in whatever order it has",
    "open('x')": "`open` touches files",
    "input()": "`input` asks who sits at the terminal",
    "given['x'].read_text()": "`.read_text` touches files",
    "import subprocess\nsubprocess.run('ls')": "`subprocess.run` starts or steers a process",
    "import urllib.request as r\nr.urlopen('x')": "`urllib.request.urlopen` uses the network or a database",
    "await asyncio.to_thread(print)": "`asyncio.to_thread` leaves the body's event loop",
    "time.sleep(1)": "`time.sleep` blocks the worker",
    "charge(order)": "step charge is called, and never awaited",
    "child(order)": "workflow child is called, and never awaited",
    "wf.sleep(1)": "`wf.sleep` is called, and never awaited",
    "x = charge(order)": "step charge is called into `x`, which is never awaited",
    "wf.hook()": "the hook is made, and never used",
    "Approval.wait()": "the hook Approval is made, and never used",
    "await child(charge(order))": "step charge is given to workflow child before it is awaited",
    "if charge(order): pass": "step charge is tested before it is awaited",
    "return charge(order)": "step charge is returned as the result before it is awaited",
    "async def f(): pass\nf()": "`f` is called, and never awaited",
    "try:\n    await charge(order)\nexcept: pass": "`except:` swallows a cancel",
    "try:\n    await charge(order)\nfinally:\n    return 1": "`return` in a `finally` swallows a cancel",
}


@pytest.mark.parametrize("body", MESSAGES)
def test_a_message_says_what_is_wrong(body: str) -> None:
    assert [finding.message for finding in check_body(body)] == [MESSAGES[body]]


def test_a_finding_has_place_way_reason_cure_and_page() -> None:
    report = check(
        """
        import time
        import wf

        def now():
            return "é", time.time()

        @wf.workflow
        async def flow():
            return now()
        """
    )
    [finding] = report.findings
    assert describe_finding(finding) == [
        "flow.py:6:17 WF101 error: `time.time` asks the clock",
        "  in now, called by flow:flow",
        "  why: a replay asks again and gets another answer, so the run no longer fits its log",
        "  fix: ask `wf.now()` or `wf.time_ns()`, or ask the clock in a step",
        "  more: docs/rules/WF101.md",
    ]


def test_a_report_is_summed_up_in_a_line() -> None:
    fine = "import wf\n\n@wf.workflow\nasync def flow(): ...\n"
    assert summarize(check(fine)) == "1 workflow in 1 file: no findings"
    both = fine + "    \nimport time\n@wf.workflow\nasync def b(x=[]):\n    time.time(); time.time(); open('x')\n"
    assert summarize(check(both)) == "2 workflows in 1 file: 3 errors, 1 warning (WF101 ×2, WF201, WF303)"
    assert summarize(check(fine.replace("()", "(x=[])"))) == "1 workflow in 1 file: 1 warning (WF303)"
