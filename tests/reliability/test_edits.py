"""Edited code, row 15 of RELIABILITY: 42 edits that break a run in flight, 22 that do not.

One rich workflow is run by hand until it waits; then its log is replayed against every edit of its
source. A breaking edit must be flagged with the event, both calls and a line of the edited file;
a safe one must replay to the same state.
"""

from __future__ import annotations

import re
import textwrap

import pytest

from tests.laws.stage import Log, Stage, describe_state, load, make_replay
from wf.errors import NondeterminismError
from wf.registry import Workflow

SOURCE = """
from dataclasses import dataclass


@wf.step(name="reserve", max_retries=2)
async def reserve(sku: str, count: int = 1) -> str:
    return f"{sku}-{count}"


@wf.step(name="charge")
async def charge(amount: int, currency: str = "EUR") -> str:
    return "receipt"


@wf.step(name="notify")
async def notify(who: str, text: str) -> None:
    return None


@wf.workflow
async def parcel(weight: int) -> str:
    await wf.sleep("1d")
    return "delivered"


@dataclass
class Approval(wf.BaseHook):
    approved: bool


PRICES = {"book": 10, "pen": 2}


async def announce(who: str) -> None:
    await notify(who, "it is on its way")


@wf.workflow
async def flow(customer: str, skus: list) -> str:
    reserved = await asyncio.gather(*(reserve(sku) for sku in skus))
    total = sum(PRICES[sku] for sku in skus)
    await wf.set_attributes(stage="reserved")
    try:
        receipt = await charge(total)
    except wf.FatalError:
        return "no money"
    await wf.sleep("1h")
    approval = Approval.wait(token=f"order:{customer}")
    try:
        async with asyncio.timeout(3600):
            decision = await approval
    except TimeoutError:
        decision = None
    if decision is not None and decision.approved:
        await announce(customer)
    async with wf.lock("dock"):
        box = await wf.start(parcel, len(reserved))
    for name in sorted(PRICES):
        await notify(customer, name)
    await wf.hook(token="wait-for-ever")
    return f"{receipt} {box}"
"""


def play() -> tuple[Log, dict]:
    """Run `SOURCE` until it waits for ever, and give its log and what it waits for."""
    with load(SOURCE) as workflow:
        stage = Stage(workflow, customer="ada", skus=["book", "pen"])
        stage.give(lambda log: log.completed(2, "pen-1"))
        stage.give(lambda log: log.completed(1, "book-1"))  # then: attributes (3), charge (4)
        stage.give(lambda log: log.completed(4, "receipt"))  # then: sleep (5)
        stage.give(lambda log: log.fired(5))  # then: hook (6), timeout (7)
        stage.give(lambda log: log.received(6, {"approved": True}))  # then: notify (8)
        stage.give(lambda log: log.completed(8, None))  # then: lock (9)
        stage.give(lambda log: log.add("lock_acquired", 9, "lock:dock"))  # then: child (10), release, notify (11)
        stage.give(lambda log: log.completed(11, None))
        stage.give(lambda log: log.completed(12, None))  # then: hook (13)
        assert list(stage.replay.body.hooks) == [6, 13]
        return stage.log, describe_state(stage.replay)


LOG, STATE = play()

# (the edit, what is replaced, by what, part of the recorded call, part of the actual call)
BREAKING = [
    ("a renamed step", 'name="charge"', 'name="debit"', "step charge (position 4)", "step debit (position 4)"),
    ("a renamed gathered step", 'name="reserve"', 'name="hold"', "step reserve (position 1)", "step hold"),
    ("a renamed later step", 'name="notify"', 'name="tell"', "step notify (position 8)", "step tell (position 8)"),
    ("a step called by another one's name", "charge(total)", 'reserve("x")', "step charge", "step reserve"),
    (
        "a step moved before the gather",
        "    reserved = await asyncio.gather(",
        "    receipt = await charge(12)\n    reserved = await asyncio.gather(",
        "step reserve (position 1)",
        "step charge (position 1)",
    ),
    (
        "an added step at the beginning",
        "    reserved = await asyncio.gather(",
        "    await notify(customer, 'hello')\n    reserved = await asyncio.gather(",
        "step reserve (position 1)",
        "step notify (position 1)",
    ),
    (
        "an added step in the middle",
        '    await wf.sleep("1h")\n',
        "    await notify(customer, 'paid')\n    await wf.sleep(\"1h\")\n",
        "a sleep (position 5)",
        "step notify (position 5)",
    ),
    (
        "an added step at the end",
        '    await wf.hook(token="wait-for-ever")',
        '    await charge(1)\n    await wf.hook(token="wait-for-ever")',
        "hook hook (position 13)",
        "step charge (position 13)",
    ),
    (
        "a step beside the last wait",
        'await wf.hook(token="wait-for-ever")',
        'await asyncio.gather(wf.hook(token="wait-for-ever"), charge(1))',
        "nothing more",
        "step charge (position 14)",
    ),
    (
        "a removed step",
        "        receipt = await charge(total)\n",
        "        receipt = 'free'\n",
        "step charge (position 4)",
        "a sleep (position 4)",
    ),
    ("a removed sleep", '    await wf.sleep("1h")\n', "", "a sleep (position 5)", "(position 5)"),
    (
        "a removed attribute",
        '    await wf.set_attributes(stage="reserved")\n',
        "",
        "a change of attributes",
        "step charge",
    ),
    ("another attribute", 'stage="reserved"', 'stage="held"', "a change of attributes", "other keys or values"),
    ("another attribute key", 'stage="reserved"', 'state="reserved"', "a change of attributes", "other keys or values"),
    (
        "attributes after the step",
        '    await wf.set_attributes(stage="reserved")\n    try:\n        receipt = await charge(total)\n',
        '    try:\n        receipt = await charge(total)\n        await wf.set_attributes(stage="reserved")\n',
        "a change of attributes (position 3)",
        "step charge (position 3)",
    ),
    ("a longer sleep", '"1h"', '"2h"', "a sleep (position 5)", "another time"),
    ("a shorter sleep", '"1h"', '"1s"', "a sleep (position 5)", "another time"),
    ("a sleep of nothing", '"1h"', "0", "a sleep (position 5)", "hook"),
    ("another timeout", "timeout(3600)", "timeout(60)", "a timeout (position 7)", "another time"),
    (
        "a timeout taken away",
        "async with asyncio.timeout(3600):",
        "if True:",
        "a timeout (position 7)",
        "nothing: the body waits",
    ),
    ("a changed argument", "charge(total)", "charge(total + 1)", "step charge (position 4)", "another `amount`"),
    ("an argument more", "charge(total)", 'charge(total, "USD")', "step charge (position 4)", "another `currency`"),
    ("a default said aloud", "charge(total)", 'charge(total, "EUR")', "step charge (position 4)", "another `currency`"),
    ("an argument of another type", "charge(total)", "charge(float(total))", "step charge", "another `amount`"),
    ("a text where a number was", "charge(total)", "charge(str(total))", "step charge", "another `amount`"),
    ("a renamed parameter", "charge(amount: int", "charge(cents: int", "step charge", "another `amount`, `cents`"),
    ("a changed price", '"pen": 2', '"pen": 3', "step charge (position 4)", "another `amount`"),
    ("a changed text in a helper", "it is on its way", "it comes", "step notify (position 8)", "another `text`"),
    ("another order of a gather", "for sku in skus)))", "for sku in skus[::-1])))", "", ""),
    (
        "a gather made a loop",
        "await asyncio.gather(*(reserve(sku) for sku in skus))",
        "[await reserve(sku) for sku in skus]",
        "step reserve (position 2)",
        "nothing: the body waits",
    ),
    (
        "a loop of one less",
        "for name in sorted(PRICES):",
        "for name in sorted(PRICES)[:1]:",
        "step notify (position 12)",
        "hook hook",
    ),
    (
        "a loop of one more",
        "for name in sorted(PRICES):",
        "for name in sorted(PRICES) + ['z']:",
        "hook hook",
        "step notify (position 13)",
    ),
    (
        "a loop the other way",
        "sorted(PRICES)",
        "sorted(PRICES, reverse=True)",
        "step notify (position 11)",
        "another `text`",
    ),
    (
        "a loop in a dict's order",
        "sorted(PRICES)",
        '{"pen": 1, "book": 2}',
        "step notify (position 11)",
        "another `text`",
    ),
    (
        "a gather of one more",
        "for sku in skus))",
        'for sku in [*skus, "ink"]))',
        "step_completed (position 2) next",
        "step reserve (position 3)",
    ),
    ("a new branch", "decision.approved:", "not decision.approved:", "step notify (position 8)", "lock dock"),
    (
        "an early return",
        "    total = sum",
        '    return "no"\n    total = sum',
        "a change of attributes",
        "the run's completion",
    ),
    (
        "an early error",
        "    total = sum",
        '    raise ValueError("no")\n    total = sum',
        "a change of attributes",
        "the run's failure",
    ),
    ("another token", 'f"order:{customer}"', 'f"site:{customer}"', "hook", "another `token`"),
    ("a generated token", 'Approval.wait(token=f"order:{customer}")', "Approval.wait()", "hook", "other options"),
    ("another model of a hook", "class Approval(", "class Decision(", "", ""),
    ("another lock", 'wf.lock("dock")', 'wf.lock("pier")', "lock dock (position 9)", "lock pier (position 9)"),
    (
        "another limit of a lock",
        'wf.lock("dock")',
        'wf.lock("dock", limit=2)',
        "lock dock (position 9)",
        "other options",
    ),
    ("no lock", 'async with wf.lock("dock"):', "if True:", "lock dock (position 9)", "child run"),
    ("another child argument", "len(reserved))", "len(reserved) + 1)", "child run", "another `weight`"),
    (
        "a child awaited as a step",
        "await wf.start(parcel, len(reserved))",
        "await charge(len(reserved))",
        "child run",
        "step charge",
    ),
    (
        "another workflow parameter",
        "customer: str, skus: list",
        "client: str, skus: list",
        "arguments for another signature",
        "a call that fails",
    ),
]

SAFE = [
    ("nothing", "", ""),
    ("a comment", "    total = sum", "    # what it costs\n    total = sum"),
    ("many lines above", "from dataclasses import dataclass", "# 1\n# 2\n# 3\n\nfrom dataclasses import dataclass"),
    ("a docstring", "-> str:\n    reserved =", '-> str:\n    """Sell things."""\n    reserved ='),
    ("a print in the body", "    total = sum", "    print(end='')\n    total = sum"),
    ("a log line", "    total = sum", "    import logging\n    logging.getLogger('x').debug('x')\n    total = sum"),
    ("another body of a step", 'return f"{sku}-{count}"', "return (await asyncio.sleep(0)) or sku"),
    ("a step made a plain function", "async def charge(", "def charge("),
    ("another retry policy", "max_retries=2", "max_retries=9, retry_delay='1m', timeout='1h'"),
    ("another default of a step", 'currency: str = "EUR"', 'currency: str = "USD"'),
    ("a new optional parameter of a step", 'currency: str = "EUR"', 'currency: str = "EUR", tip: int = 0'),
    ("another annotation", "amount: int", "amount: object"),
    ("an argument by name", "charge(total)", "charge(amount=total)"),
    ("a new workflow", "PRICES = {", "@wf.workflow\nasync def other(): ...\n\nPRICES = {"),
    ("a new step", "PRICES = {", "@wf.step\nasync def other(): ...\n\nPRICES = {"),
    ("a renamed variable", "total", "amount_due"),
    ("a renamed helper", "announce", "say_so"),
    ("a helper written out", "await announce(customer)", 'await notify(customer, "it is on its way")'),
    ("a part moved to a helper", '    await wf.sleep("1h")\n', "    await pause()\n"),
    ("the same time in other words", 'wf.sleep("1h")', "wf.sleep(3600)"),
    ("asyncio's sleep for ours", 'wf.sleep("1h")', "asyncio.sleep(3600)"),
    ("another child body", 'return "delivered"', 'return "lost"'),
    ("a field more in a hook's model", "    approved: bool\n", "    approved: bool\n    by: str = ''\n"),
    ("code after the last wait", 'return f"{receipt} {box}"', "await charge(1)\n    return receipt"),
    ("code where the run never was", 'return "no money"', "await charge(0)\n        return 'poor'"),
    ("a default of the workflow", "skus: list)", "skus: list, express: bool = False)"),
    (
        "a try around everything",
        "    total = sum(PRICES[sku] for sku in skus)\n",
        "    try:\n        total = sum(PRICES[sku] for sku in skus)\n    finally:\n        pass\n",
    ),
]


def edited(old: str, new: str) -> str:
    assert old in SOURCE, old
    source = SOURCE.replace(old, new)
    if "pause()" in new:
        source += textwrap.dedent("""
            async def pause() -> None:
                await wf.sleep("1h")
        """)
    if "class Decision" in new:
        source = source.replace("Approval.wait", "Decision.wait")
    return source


def replay_edited(workflow: Workflow) -> dict:
    replay = make_replay(workflow)
    try:
        replay.replay(LOG.events)
        return describe_state(replay)
    finally:
        replay.close()


@pytest.mark.parametrize(
    ("old", "new", "recorded", "actual"), [row[1:] for row in BREAKING], ids=[r[0] for r in BREAKING]
)
def test_a_breaking_edit_is_flagged_with_both_calls_and_a_line(old: str, new: str, recorded: str, actual: str):
    if old == "for sku in skus)))":
        old, new = "for sku in skus))", "for sku in skus[::-1]))"
        recorded, actual = "step reserve (position 1)", "another `sku`"
    if old == "class Approval(":
        recorded, actual = "hook flow_of_laws:Approval (position 6)", "hook flow_of_laws:Decision (position 6)"
    source = edited(old, new)
    assert source != SOURCE
    with load(source) as workflow, pytest.raises(NondeterminismError) as caught:
        replay_edited(workflow)
    error = caught.value
    assert recorded in error.recorded
    assert actual in error.actual
    assert error.seq in range(1, len(LOG.events) + 2)
    has_line = "the run's" not in error.actual and "signature" not in error.recorded
    assert bool(re.fullmatch(r"flow\.py:\d+ in [\w<>]+", error.where or "")) == has_line


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in SAFE], ids=[row[0] for row in SAFE])
def test_a_safe_edit_replays_to_the_same_state(old: str, new: str):
    with load(edited(old, new)) as workflow:
        assert replay_edited(workflow) == STATE


def test_there_are_40_breaking_and_20_safe_edits():
    assert len(BREAKING) >= 40
    assert len(SAFE) >= 20
    assert len({row[0] for row in BREAKING + SAFE}) == len(BREAKING) + len(SAFE)
